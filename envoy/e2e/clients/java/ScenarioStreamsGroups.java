import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.ListStreamsGroupOffsetsSpec;
import org.apache.kafka.clients.admin.StreamsGroupDescription;
import org.apache.kafka.clients.admin.StreamsGroupMemberAssignment;
import org.apache.kafka.clients.admin.StreamsGroupMemberDescription;
import org.apache.kafka.clients.admin.StreamsGroupSubtopologyDescription;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.internals.AsyncKafkaConsumer;
import org.apache.kafka.clients.consumer.internals.StreamsRebalanceData;
import org.apache.kafka.clients.consumer.internals.StreamsRebalanceListener;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Streams groups (KIP-1071). Kafka Streams is not installed: its member protocol lies in the consumer, and this
 * does with it what Kafka Streams does.
 */
final class ScenarioStreamsGroups {
    static void run(ScenarioSteps steps, ScenarioClients clients) throws Exception {
        clients.createTopics(2, "streams-in");
        Admin admin = clients.admin;
        try (Member member = new Member(clients, "streams", "streams-in", Optional.of(new StreamsRebalanceData.HostInfo("application.example", 4711)))) {
            steps.step("streams group: tasks", () -> member.pollUntil(() -> !member.tasks.isEmpty()).tasks);
            steps.step("streams group: assignment", () -> member.pollUntil(() -> !member.consumer.assignment().isEmpty()).consumer.assignment());
            steps.step("streams group: partitions of every endpoint", () ->
                    member.pollUntil(() -> !member.data.partitionsByHost().isEmpty()).data
                            .partitionsByHost().values().stream().map(endpoint -> Set.copyOf(endpoint.activePartitions())).toList());
            steps.step("streams group: internal topics", () -> internalTopics(admin));
            steps.step("streams group: commit", () -> {
                member.consumer.commitSync(Map.of(new TopicPartition("streams-in", 0), new OffsetAndMetadata(0, "a task")));
                return ScenarioGroups.offsets(member.consumer.committed(member.consumer.assignment()));
            });
            steps.step("streams group: describe", () -> describe(admin, "streams"));
            steps.step("streams group: describe as a consumer group", () -> ScenarioGroups.describe(admin, "streams"));
            steps.step("streams group: list", () -> ScenarioGroups.list(admin, ListGroupsOptions.forStreamsGroups()));
            steps.step("streams group: delete while it has members", () -> admin.deleteStreamsGroups(List.of("streams")).deletedGroups());
        }
        steps.step("streams group: list offsets", () -> offsets(admin, "streams"));
        steps.step("streams group: alter offsets", () ->
                admin.alterStreamsGroupOffsets("streams", Map.of(new TopicPartition("streams-in", 1), new OffsetAndMetadata(0, "altered"))).all());
        steps.step("streams group: delete offsets", () ->
                admin.deleteStreamsGroupOffsets("streams", Set.of(new TopicPartition("streams-in", 0))).all());
        steps.step("streams group: list offsets after that", () -> offsets(admin, "streams"));
        try (Member member = new Member(clients, "streams-incomplete", "no-such-topic")) {
            steps.step("streams group: a source topic is missing", () -> member.pollUntil(() -> member.statuses().contains("1 ")).statuses());
            steps.step("streams group: describe while a topic is missing", () -> describe(admin, "streams-incomplete"));
        }
        steps.step("streams group '': describe", () -> describe(admin, ""));
        steps.step("streams group '': delete", () -> admin.deleteStreamsGroups(List.of("")).deletedGroups());
        steps.step("streams group: describe an unknown one", () -> describe(admin, "no-such-group"));
        steps.step("deleteStreamsGroups", () -> admin.deleteStreamsGroups(List.of("streams", "no-such-group")).deletedGroups());
        steps.step("listGroups after deleteStreamsGroups", () -> ScenarioGroups.list(admin, ListGroupsOptions.forStreamsGroups()));
    }

    /** One member of an application: reads a topic, repartitions it, keeps a store. */
    private static final class Member implements AutoCloseable {
        final StreamsRebalanceData data;
        final AsyncKafkaConsumer<String, String> consumer;
        Set<String> tasks = Set.of();

        /** Without an endpoint: brokers of 4.4.0 fail when a topic is missing and somebody has one. */
        Member(ScenarioClients clients, String group, String source) {
            this(clients, group, source, Optional.empty());
        }

        Member(ScenarioClients clients, String group, String source, Optional<StreamsRebalanceData.HostInfo> endpoint) {
            var internal = Map.of(group + "-repartition", new StreamsRebalanceData.TopicInfo(Optional.of(2), Optional.empty(), Map.of()));
            var changelog = Map.of(group + "-store-changelog",
                    new StreamsRebalanceData.TopicInfo(Optional.empty(), Optional.of((short) 1), Map.of("cleanup.policy", "compact")));
            data = new StreamsRebalanceData(UUID.randomUUID(), endpoint, Optional.empty(),
                    Map.of("0", new StreamsRebalanceData.Subtopology(Set.of(source), Set.of(group + "-repartition"), Map.of(), Map.of(), List.of()),
                            "1", new StreamsRebalanceData.Subtopology(Set.of(), Set.of(), internal, changelog, List.of())),
                    Map.of("zone", "a"), Map::of, Map::of);
            Properties properties = clients.properties("group.id", group, "group.protocol", "streams", "client.id", "member-1",
                    "enable.auto.commit", "false", "auto.offset.reset", "earliest", "allow.auto.create.topics", "false");
            Map<String, Object> config = new TreeMap<>();
            properties.forEach((name, value) -> config.put((String) name, value));
            config.put("key.deserializer", StringDeserializer.class);
            config.put("value.deserializer", StringDeserializer.class);
            config.put("group.protocol", "consumer");
            consumer = new AsyncKafkaConsumer<>(new ConsumerConfig(config), new StringDeserializer(), new StringDeserializer(), Optional.of(data));
            consumer.subscribe(Set.of(source, group + "-repartition"), new Listener());
        }

        Member pollUntil(java.util.concurrent.Callable<Boolean> condition) throws Exception {
            long deadline = System.nanoTime() + Duration.ofSeconds(20).toNanos();
            while (!condition.call()) {
                if (System.nanoTime() > deadline) {
                    throw new IllegalStateException("not in time");
                }
                consumer.poll(Duration.ofMillis(50));
            }
            return this;
        }

        /** What the broker says about the topology. */
        String statuses() {
            return data.statuses().stream().map(status -> status.statusCode() + " " + status.statusDetail()).collect(Collectors.joining("; "));
        }

        @Override
        public void close() {
            consumer.close();
        }

        private final class Listener implements StreamsRebalanceListener {
            @Override
            public void onTasksRevoked(Set<StreamsRebalanceData.TaskId> revoked) {}

            @Override
            public void onTasksAssigned(StreamsRebalanceData.Assignment assignment) {
                tasks = assignment.activeTasks().stream().map(Object::toString).collect(Collectors.toSet());
                data.setReconciledAssignment(assignment);
            }

            @Override
            public void onAllTasksLost() {}
        }
    }

    private static Object internalTopics(Admin admin) throws Exception {
        Map<String, Boolean> topics = ScenarioTopics.list(admin, true);
        topics.keySet().removeIf(topic -> !topic.startsWith("streams-"));
        return topics;
    }

    private static Object offsets(Admin admin, String group) throws Exception {
        return ScenarioGroups.offsets(admin.listStreamsGroupOffsets(Map.of(group, new ListStreamsGroupOffsetsSpec()))
                .partitionsToOffsetAndMetadata(group).get());
    }

    private static Object describe(Admin admin, String... groups) {
        Map<String, Object> descriptions = new TreeMap<>();
        admin.describeStreamsGroups(Arrays.asList(groups)).describedGroups()
                .forEach((group, description) -> descriptions.put(group, description.thenApply(ScenarioStreamsGroups::description)));
        return descriptions;
    }

    private static Object description(StreamsGroupDescription group) {
        return ScenarioText.fields("group", group.groupId(), "state", group.groupState(), "coordinator", group.coordinator(), "topology", group.topologyDescriptionStatus(),
                "subtopologies", group.subtopologies().stream().map(ScenarioStreamsGroups::subtopology).collect(Collectors.toSet()),
                "members", group.members().stream().map(ScenarioStreamsGroups::member).collect(Collectors.toSet()));
    }

    private static Object subtopology(StreamsGroupSubtopologyDescription subtopology) {
        return ScenarioText.fields("id", subtopology.subtopologyId(), "sources", Set.copyOf(subtopology.sourceTopics()),
                "sinks", Set.copyOf(subtopology.repartitionSinkTopics()), "changelogs", subtopology.stateChangelogTopics().keySet(),
                "repartitions", subtopology.repartitionSourceTopics().keySet());
    }

    private static Object member(StreamsGroupMemberDescription member) {
        return ScenarioText.fields("client", member.clientId(), "tags", member.clientTags(),
                "endpoint", member.userEndpoint().map(endpoint -> endpoint.host() + ":" + endpoint.port()),
                "active", active(member.assignment()), "target", active(member.targetAssignment()));
    }

    private static Object active(StreamsGroupMemberAssignment assignment) {
        Map<String, Object> tasks = new TreeMap<>();
        assignment.activeTasks().forEach(task -> tasks.put(task.subtopologyId(), Set.copyOf(task.partitions())));
        return tasks;
    }
}
