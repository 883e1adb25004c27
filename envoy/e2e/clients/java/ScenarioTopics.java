import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreatePartitionsOptions;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.CreateTopicsResult;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.Uuid;

/** Topics: their names above all. */
final class ScenarioTopics {
    /** Names that no cluster takes. */
    private static final List<String> BAD_NAMES =
            List.of("", ".", "..", "with space", "with/slash", "with:colon", "wiłdcard", "*", "x".repeat(250), "x".repeat(300));
    private static final Uuid NO_SUCH_ID = new Uuid(0x0123456789abcdefL, 0x0123456789abcdefL);

    static void run(ScenarioSteps steps, ScenarioClients clients) throws Exception {
        Admin admin = clients.admin;
        create(steps, admin);
        names(steps, admin);
        describe(steps, clients);
        createPartitions(steps, clients);
        delete(steps, clients);
    }

    /** The visible topics: name to whether it is internal. */
    static Map<String, Boolean> list(Admin admin, boolean internal) throws Exception {
        Map<String, Boolean> topics = new TreeMap<>();
        admin.listTopics(new ListTopicsOptions().listInternal(internal)).listings().get()
                .forEach(topic -> topics.put(topic.name(), topic.isInternal()));
        return topics;
    }

    private static void create(ScenarioSteps steps, Admin admin) {
        steps.step("listTopics of a new cluster", () -> list(admin, true));
        steps.step("createTopics", () -> {
            NewTopic orders = new NewTopic("orders", 3, (short) 1).configs(Map.of("retention.ms", "3600000", "cleanup.policy", "compact"));
            return created(admin.createTopics(List.of(orders)), "orders");
        });
        steps.step("createTopics that exists", () -> create(admin, new NewTopic("orders", 1, (short) 1)));
        steps.step("createTopics with the broker's defaults", () ->
                created(admin.createTopics(List.of(new NewTopic("defaults", Optional.empty(), Optional.empty()))), "defaults"));
        steps.step("createTopics, some good", () -> create(admin,
                new NewTopic("good-1", 1, (short) 1), new NewTopic("bad name", 1, (short) 1),
                new NewTopic("orders", 1, (short) 1), new NewTopic("good-2", 2, (short) 1)));
        steps.step("createTopics without partitions", () -> create(admin, new NewTopic("no-partitions", 0, (short) 1)));
        steps.step("createTopics with -2 partitions", () -> create(admin, new NewTopic("few-partitions", -2, (short) 1)));
        steps.step("createTopics with too many replicas", () -> create(admin, new NewTopic("replicas", 1, (short) 5)));
        steps.step("createTopics with 0 replicas", () -> create(admin, new NewTopic("no-replicas", 1, (short) 0)));
        steps.step("createTopics with a bad config value", () -> create(admin,
                new NewTopic("bad-value", 1, (short) 1).configs(Map.of("retention.ms", "for ever"))));
        steps.step("createTopics with an unknown config", () -> create(admin,
                new NewTopic("bad-config", 1, (short) 1).configs(Map.of("no.such.config", "1"))));
        steps.step("createTopics with assignments", () -> createAndDelete(admin, new NewTopic("assigned", Map.of(0, List.of(1), 1, List.of(1)))));
        steps.step("createTopics with assignments to an unknown broker", () -> create(admin,
                new NewTopic("assigned-badly", Map.of(0, List.of(99)))));
        CreateTopicsOptions validateOnly = new CreateTopicsOptions().validateOnly(true);
        steps.step("createTopics, validated only", () ->
                created(admin.createTopics(List.of(new NewTopic("validated", 4, (short) 1)), validateOnly), "validated"));
        steps.step("createTopics that exists, validated only", () ->
                admin.createTopics(List.of(new NewTopic("orders", 4, (short) 1)), validateOnly).values());
    }

    private static void names(ScenarioSteps steps, Admin admin) throws Exception {
        for (String name : BAD_NAMES) {
            steps.step("createTopics called " + ScenarioText.shortened(name), () -> create(admin, new NewTopic(name, 1, (short) 1)));
        }
        steps.step("createTopics with a dot", () -> create(admin, new NewTopic("collides.here", 1, (short) 1)));
        steps.step("createTopics that collides", () -> create(admin, new NewTopic("collides_here", 1, (short) 1)));
        steps.step("createTopics that begins with a dot", () -> create(admin, new NewTopic(".hidden", 1, (short) 1)));
        // Nothing else waits for these topics.
        ScenarioClients.until(() -> list(admin, false).containsKey(".hidden"));
        steps.step("listTopics after creation", () -> list(admin, true));
        for (int length : List.of(240, 249)) {
            steps.step("createTopics with " + length + " characters", () -> createAndDelete(admin, new NewTopic("y".repeat(length), 1, (short) 1)));
        }
    }

    /** Without a trace in later lists: virtual clusters may refuse the topic. */
    private static Object createAndDelete(Admin admin, NewTopic topic) throws Exception {
        KafkaFuture<Void> created = admin.createTopics(List.of(topic)).values().get(topic.name());
        created.get();
        ScenarioClients.until(() -> list(admin, false).containsKey(topic.name()));
        admin.deleteTopics(List.of(topic.name())).all().get();
        ScenarioClients.until(() -> !list(admin, false).containsKey(topic.name()));
        return created;
    }

    private static void describe(ScenarioSteps steps, ScenarioClients clients) throws Exception {
        Admin admin = clients.admin;
        steps.step("describeTopics", () -> described(admin, new DescribeTopicsOptions(), "orders", "good-2", "defaults"));
        steps.step("describeTopics with their rights", () -> admin.describeTopics(
                List.of("orders"), new DescribeTopicsOptions().includeAuthorizedOperations(true)).topicNameValues().get("orders").get().authorizedOperations());
        steps.step("describeTopics in small pages", () ->
                described(admin, new DescribeTopicsOptions().partitionSizeLimitPerResponse(2), "orders", "good-1", "good-2", "no-such-topic"));
        steps.step("describeTopics that were validated only", () -> described(admin, new DescribeTopicsOptions(), "validated"));
        for (String name : BAD_NAMES) {
            steps.step("describeTopics called " + ScenarioText.shortened(name), () -> described(admin, new DescribeTopicsOptions(), name));
        }
        Uuid id = admin.describeTopics(List.of("orders")).topicNameValues().get("orders").get().topicId();
        steps.step("describeTopics by id", () -> describedById(admin, id));
        steps.step("describeTopics by an unknown id", () -> describedById(admin, NO_SUCH_ID));
        steps.step("describeTopics by id 0", () -> describedById(admin, Uuid.ZERO_UUID));
    }

    private static void createPartitions(ScenarioSteps steps, ScenarioClients clients) throws Exception {
        Admin admin = clients.admin;
        steps.step("createPartitions", () -> admin.createPartitions(Map.of("good-1", NewPartitions.increaseTo(3))).values());
        ScenarioClients.until(() -> partitions(admin, "good-1") == 3);
        steps.step("describeTopics after createPartitions", () -> partitions(admin, "good-1"));
        steps.step("createPartitions, fewer", () -> admin.createPartitions(Map.of("good-1", NewPartitions.increaseTo(2))).values());
        steps.step("createPartitions, as many", () -> admin.createPartitions(Map.of("good-1", NewPartitions.increaseTo(3))).values());
        steps.step("createPartitions, -1", () -> admin.createPartitions(Map.of("good-1", NewPartitions.increaseTo(-1))).values());
        steps.step("createPartitions with assignments", () -> admin.createPartitions(
                Map.of("good-1", NewPartitions.increaseTo(4, List.of(List.of(1)))), new CreatePartitionsOptions().validateOnly(true)).values());
        steps.step("createPartitions, validated only", () -> admin.createPartitions(
                Map.of("good-2", NewPartitions.increaseTo(5)), new CreatePartitionsOptions().validateOnly(true)).values());
        steps.step("createPartitions of bad and unknown topics", () -> {
            Map<String, NewPartitions> wanted = new TreeMap<>();
            List.of("no-such-topic", "", ".", "with space").forEach(topic -> wanted.put(topic, NewPartitions.increaseTo(2)));
            return admin.createPartitions(wanted).values();
        });
    }

    private static void delete(ScenarioSteps steps, ScenarioClients clients) throws Exception {
        Admin admin = clients.admin;
        clients.createTopics(2, "deleted-by-name", "deleted-by-id");
        Uuid byName = id(admin, "deleted-by-name");
        Uuid byId = id(admin, "deleted-by-id");
        steps.step("deleteTopics by name", () -> admin.deleteTopics(List.of("deleted-by-name")).topicNameValues());
        steps.step("deleteTopics by id", () -> admin.deleteTopics(TopicCollection.ofTopicIds(List.of(byId))).topicIdValues());
        ScenarioClients.until(() -> list(admin, false).keySet().stream().noneMatch(name -> name.startsWith("deleted")));
        steps.step("deleteTopics again by name", () -> admin.deleteTopics(List.of("deleted-by-name")).topicNameValues());
        steps.step("deleteTopics again by id", () -> admin.deleteTopics(TopicCollection.ofTopicIds(List.of(byId))).topicIdValues());
        steps.step("deleteTopics by an unknown id", () -> admin.deleteTopics(TopicCollection.ofTopicIds(List.of(NO_SUCH_ID))).topicIdValues());
        steps.step("deleteTopics, bad and unknown", () ->
                admin.deleteTopics(List.of("no-such-topic", "", ".", "with space", "x".repeat(300))).topicNameValues());
        steps.step("describeTopics by the id of a deleted topic", () -> describedById(admin, byName));
        steps.step("createTopics again after deleteTopics", () -> {
            clients.createTopics(1, "deleted-by-name");
            return id(admin, "deleted-by-name").equals(byName);
        });
        steps.step("describeTopics by the id of its deleted namesake", () -> describedById(admin, byName));
        steps.step("listTopics after deletion", () -> list(admin, false));
    }

    private static Object create(Admin admin, NewTopic... topics) {
        return admin.createTopics(List.of(topics)).values();
    }

    /** What the answer tells about a new topic. */
    private static Object created(CreateTopicsResult result, String topic) throws Exception {
        Map<String, String> configs = new TreeMap<>();
        for (ConfigEntry entry : result.config(topic).get().entries()) {
            if (entry.source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG) {
                configs.put(entry.name(), entry.value());
            }
        }
        return ScenarioText.fields("id", result.topicId(topic), "partitions", result.numPartitions(topic),
                "replicas", result.replicationFactor(topic), "configs", configs);
    }

    private static Object described(Admin admin, DescribeTopicsOptions options, String... topics) {
        Map<String, Object> descriptions = new TreeMap<>();
        admin.describeTopics(List.of(topics), options).topicNameValues()
                .forEach((name, topic) -> descriptions.put(name, topic.thenApply(ScenarioTopics::description)));
        return descriptions;
    }

    private static Object describedById(Admin admin, Uuid id) {
        return admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).topicIdValues().get(id)
                .thenApply(ScenarioTopics::description);
    }

    private static Object description(TopicDescription topic) {
        List<Object> partitions = topic.partitions().stream().<Object>map(partition -> ScenarioText.fields(
                "partition", partition.partition(), "leader", partition.leader(),
                "replicas", partition.replicas(), "isr", partition.isr())).toList();
        return ScenarioText.fields("name", topic.name(), "id", topic.topicId(), "internal", topic.isInternal(), "partitions", partitions);
    }

    private static int partitions(Admin admin, String topic) throws Exception {
        return admin.describeTopics(List.of(topic)).topicNameValues().get(topic).get().partitions().size();
    }

    private static Uuid id(Admin admin, String topic) throws Exception {
        return admin.describeTopics(List.of(topic)).topicNameValues().get(topic).get().topicId();
    }
}
