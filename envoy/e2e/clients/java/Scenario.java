import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.FeatureUpdate;
import org.apache.kafka.clients.admin.FeatureUpdate.UpgradeType;
import org.apache.kafka.clients.admin.UpdateFeaturesOptions;

/**
 * Nearly everything that a client can ask of a cluster, in the same order every time. Two runs differ only where
 * their clusters do: {@code equivalence.rs} compares a bare cluster with virtual ones.
 */
final class Scenario {
    /** {@code scenario [part] [forbidden]}: the first run takes all parts but what comes again, in order; no error may quote a {@code forbidden} name. */
    static Map<String, ?> run(Arguments arguments) throws Exception {
        ScenarioSteps steps = new ScenarioSteps(arguments);
        String wanted = arguments.text("part", "");
        try (ScenarioClients clients = new ScenarioClients(arguments)) {
            for (Part part : PARTS) {
                if (wanted.isEmpty() ? part.first : wanted.equals(part.name)) {
                    // What a part needs may fail where the clusters differ; the other parts still have their turn.
                    steps.step("the script of " + part.name, () -> {
                        part.script.run(steps, clients);
                        return "ends";
                    });
                }
            }
        }
        return Map.of("steps", steps.results());
    }

    /** {@code finalize feature level}: as the operator of a real cluster does. */
    static Map<String, ?> finalizeFeature(Arguments arguments) throws Exception {
        String feature = arguments.text("feature");
        short level = (short) arguments.number("level");
        try (ScenarioClients clients = new ScenarioClients(arguments)) {
            short before = clients.admin.describeFeatures().featureMetadata().get().finalizedFeatures().get(feature).maxVersionLevel();
            UpgradeType direction = level > before ? UpgradeType.UPGRADE : UpgradeType.SAFE_DOWNGRADE;
            clients.admin.updateFeatures(Map.of(feature, new FeatureUpdate(level, direction)), new UpdateFeaturesOptions()).all().get();
            ScenarioClients.until(() -> level == clients.admin.describeFeatures().featureMetadata().get()
                    .finalizedFeatures().get(feature).maxVersionLevel());
            return Map.of("before", before);
        }
    }

    private interface Script {
        void run(ScenarioSteps steps, ScenarioClients clients) throws Exception;
    }

    private record Part(String name, boolean first, Script script) {}

    private static final List<Part> PARTS = List.of(
            new Part("topics", true, ScenarioTopics::run),
            new Part("records", true, ScenarioRecords::run),
            new Part("classic-groups", true, ScenarioClassicGroups::run),
            new Part("consumer-groups", true, ScenarioConsumerGroups::run),
            new Part("share-groups", true, ScenarioShareGroups::run),
            new Part("streams-groups", true, ScenarioStreamsGroups::run),
            new Part("transactions", true, ScenarioTransactions::run),
            new Part("transactions-again", false, ScenarioTransactions::again),
            new Part("configs", true, ScenarioConfigs::run),
            new Part("cluster", true, ScenarioCluster::run));
}
