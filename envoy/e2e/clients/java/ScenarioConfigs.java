import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigOp.OpType;
import org.apache.kafka.clients.admin.AlterConfigsOptions;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.clients.admin.ListConfigResourcesOptions;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.ConfigResource.Type;

/** Configs of everything that has some. */
final class ScenarioConfigs {
    static void run(ScenarioSteps steps, ScenarioClients clients) throws Exception {
        clients.createTopics(1, "configured");
        topics(steps, clients.admin);
        groups(steps, clients.admin);
        others(steps, clients.admin);
        list(steps, clients.admin);
    }

    private static void topics(ScenarioSteps steps, Admin admin) {
        ConfigResource topic = new ConfigResource(Type.TOPIC, "configured");
        steps.step("describeConfigs of a topic", () -> describe(admin, topic));
        steps.step("describeConfigs of a topic with synonyms", () -> {
            DescribeConfigsOptions options = new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true);
            Map<String, Object> entries = new TreeMap<>();
            for (ConfigEntry entry : admin.describeConfigs(List.of(topic), options).values().get(topic).get().entries()) {
                entries.put(entry.name(), ScenarioText.fields("type", entry.type(), "synonyms", entry.synonyms().size(), "documented", entry.documentation() != null));
            }
            return entries;
        });
        steps.step("incrementalAlterConfigs of a topic", () -> alter(admin, topic,
                op("retention.ms", "60000", OpType.SET), op("cleanup.policy", "compact", OpType.APPEND)));
        steps.step("describeConfigs after incrementalAlterConfigs", () -> own(admin, topic));
        steps.step("incrementalAlterConfigs of a topic, taken back", () -> alter(admin, topic,
                op("retention.ms", "", OpType.DELETE), op("cleanup.policy", "delete", OpType.SUBTRACT)));
        steps.step("describeConfigs after that", () -> own(admin, topic));
        steps.step("incrementalAlterConfigs, a bad value", () -> alter(admin, topic, op("retention.ms", "for ever", OpType.SET)));
        steps.step("incrementalAlterConfigs, an unknown config", () -> alter(admin, topic, op("no.such.config", "1", OpType.SET)));
        steps.step("incrementalAlterConfigs, append to a number", () -> alter(admin, topic, op("retention.ms", "1", OpType.APPEND)));
        steps.step("incrementalAlterConfigs, validated only", () -> admin.incrementalAlterConfigs(
                Map.of(topic, List.of(op("retention.ms", "1", OpType.SET))), new AlterConfigsOptions().validateOnly(true)).all());
        steps.step("incrementalAlterConfigs, throttled replicas", () -> alter(admin, topic, op("leader.replication.throttled.replicas", "0:1", OpType.SET)));
        for (String name : List.of("no-such-topic", "", ".", "with space", "x".repeat(300))) {
            ConfigResource bad = new ConfigResource(Type.TOPIC, name);
            steps.step("describeConfigs of a topic called " + ScenarioText.shortened(name), () -> describe(admin, bad));
            steps.step("incrementalAlterConfigs of a topic called " + ScenarioText.shortened(name), () -> alter(admin, bad, op("retention.ms", "1", OpType.SET)));
        }
    }

    private static void groups(ScenarioSteps steps, Admin admin) {
        ConfigResource group = new ConfigResource(Type.GROUP, "configured");
        steps.step("describeConfigs of a group without configs", () -> describe(admin, group));
        steps.step("incrementalAlterConfigs of a group", () -> alter(admin, group,
                op("consumer.session.timeout.ms", "50000", OpType.SET), op("share.isolation.level", "read_committed", OpType.SET)));
        steps.step("describeConfigs of a group", () -> {
            ScenarioClients.until(() -> !((Map<?, ?>) own(admin, group)).isEmpty());
            return own(admin, group);
        });
        steps.step("incrementalAlterConfigs of a group, a dead letter queue", () -> alter(admin, group,
                op("errors.deadletterqueue.topic.name", "dlq.configured", OpType.SET)));
        steps.step("describeConfigs of a group, its dead letter queue", () -> describe(admin, group, "errors.deadletterqueue.topic.name"));
        steps.step("incrementalAlterConfigs of a group, a bad value", () -> alter(admin, group, op("consumer.session.timeout.ms", "1", OpType.SET)));
        steps.step("incrementalAlterConfigs of a group, an unknown config", () -> alter(admin, group, op("no.such.config", "1", OpType.SET)));
        steps.step("incrementalAlterConfigs of group ''", () -> alter(admin, new ConfigResource(Type.GROUP, ""), op("consumer.session.timeout.ms", "50000", OpType.SET)));
        steps.step("describeConfigs of group ''", () -> describe(admin, new ConfigResource(Type.GROUP, "")));
    }

    private static void others(ScenarioSteps steps, Admin admin) {
        steps.step("describeConfigs of a broker", () -> {
            Map<ConfigResource, ?> configs = admin.describeConfigs(List.of(new ConfigResource(Type.BROKER, "1"))).all().get();
            return configs.keySet();
        });
        steps.step("describeConfigs of a broker that is not there", () -> 
                admin.describeConfigs(List.of(new ConfigResource(Type.BROKER, "99")), new DescribeConfigsOptions().timeoutMs(1000)).all());
        steps.step("describeConfigs of all brokers", () -> describe(admin, new ConfigResource(Type.BROKER, "")));
        steps.step("incrementalAlterConfigs of a broker", () -> admin.incrementalAlterConfigs(
                Map.of(new ConfigResource(Type.BROKER, "1"), List.of(op("log.cleaner.threads", "2", OpType.SET))), new AlterConfigsOptions().validateOnly(true)).all());
        steps.step("describeConfigs of a broker's loggers", () ->
                admin.describeConfigs(List.of(new ConfigResource(Type.BROKER_LOGGER, "1"))).all().get().keySet());
        steps.step("incrementalAlterConfigs of a broker's loggers", () -> alter(admin, new ConfigResource(Type.BROKER_LOGGER, "1"),
                op("kafka.no.such.logger", "INFO", OpType.SET)));
        steps.step("incrementalAlterConfigs of client metrics", () -> alter(admin, new ConfigResource(Type.CLIENT_METRICS, "metrics"), op("interval.ms", "60000", OpType.SET)));
        steps.step("describeConfigs of client metrics", () -> describe(admin, new ConfigResource(Type.CLIENT_METRICS, "metrics"), "interval.ms"));
        steps.step("describeConfigs of several kinds at once", () -> {
            Map<ConfigResource, Object> results = new TreeMap<>(java.util.Comparator.comparing(ConfigResource::toString));
            admin.describeConfigs(List.of(new ConfigResource(Type.TOPIC, "configured"), new ConfigResource(Type.GROUP, "configured"), new ConfigResource(Type.TOPIC, "no-such-topic")))
                    .values().forEach((resource, config) -> results.put(resource, config.thenApply(found -> found.entries().size())));
            return results;
        });
    }

    private static void list(ScenarioSteps steps, Admin admin) {
        for (Type type : List.of(Type.TOPIC, Type.GROUP, Type.BROKER, Type.BROKER_LOGGER, Type.CLIENT_METRICS)) {
            steps.step("listConfigResources of type " + type, () -> list(admin, Set.of(type)));
        }
        steps.step("listConfigResources of every type", () -> list(admin, Set.of()));
        steps.step("listConfigResources of topics and groups", () -> list(admin, Set.of(Type.TOPIC, Type.GROUP)));
    }

    private static Object list(Admin admin, Set<Type> types) throws Exception {
        Set<String> names = new TreeSet<>();
        admin.listConfigResources(types, new ListConfigResourcesOptions()).all().get().forEach(resource -> names.add(resource.type() + " " + resource.name()));
        return names;
    }

    private static AlterConfigOp op(String name, String value, OpType type) {
        return new AlterConfigOp(new ConfigEntry(name, value), type);
    }

    private static Object alter(Admin admin, ConfigResource resource, AlterConfigOp... ops) {
        return admin.incrementalAlterConfigs(Map.of(resource, List.of(ops))).all();
    }

    /** All configs, or the named ones. */
    private static Object describe(Admin admin, ConfigResource resource, String... names) throws Exception {
        return entries(admin.describeConfigs(List.of(resource)).all().get().get(resource).entries().stream()
                .filter(entry -> names.length == 0 || Set.of(names).contains(entry.name())).toList());
    }

    /** The configs that somebody has set. */
    private static Object own(Admin admin, ConfigResource resource) throws Exception {
        Config config = admin.describeConfigs(List.of(resource)).all().get().get(resource);
        return entries(config.entries().stream().filter(entry -> entry.source().name().matches("DYNAMIC_(TOPIC|GROUP)_CONFIG")).toList());
    }

    private static Object entries(Collection<ConfigEntry> entries) {
        Map<String, Object> values = new TreeMap<>();
        entries.forEach(entry -> values.put(entry.name(), entry.value() + " (" + entry.source() + (entry.isReadOnly() ? ", read only" : "") + ")"));
        return values;
    }
}
