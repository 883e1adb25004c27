import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.admin.ShareGroupDescription;
import org.apache.kafka.clients.admin.SharePartitionOffsetInfo;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

/** Share groups: every record is acknowledged by itself. */
final class ScenarioShareGroups {
    static void run(ScenarioSteps steps, ScenarioClients clients) throws Exception {
        clients.createTopics(1, "shared-1", "shared-2");
        clients.fill("shared-1", 0, 6);
        clients.fill("shared-2", 0, 3);
        for (String group : List.of("share", "share-explicit", "share-two")) {
            readFromTheStart(clients.admin, group);
        }
        implicit(steps, clients);
        explicit(steps, clients);
        twoMembers(steps, clients);
        offsets(steps, clients.admin);
        refused(steps, clients);
        delete(steps, clients.admin);
    }

    private static void readFromTheStart(Admin admin, String group) throws Exception {
        ConfigEntry earliest = new ConfigEntry("share.auto.offset.reset", "earliest");
        admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, group),
                List.of(new AlterConfigOp(earliest, AlterConfigOp.OpType.SET)))).all().get();
    }

    private static void implicit(ScenarioSteps steps, ScenarioClients clients) {
        try (KafkaShareConsumer<String, String> consumer = clients.shareConsumer("share", "client.id", "member-1")) {
            consumer.subscribe(List.of("shared-1", "shared-2"));
            steps.step("share group: consume", () -> deliveries(ScenarioClients.poll(consumer, 9)));
            // How many partitions are left to commit depends on how the records came.
            steps.step("share group: commit", () -> Set.copyOf(consumer.commitSync().values()));
            steps.step("share group: describe", () -> describe(clients.admin, "share"));
            steps.step("share group: describe as a consumer group", () -> ScenarioGroups.describe(clients.admin, "share"));
            steps.step("share group: alter offsets while it has members", () ->
                    clients.admin.alterShareGroupOffsets("share", Map.of(new TopicPartition("shared-1", 0), 1L)).all());
            steps.step("share group: delete while it has members", () -> clients.admin.deleteShareGroups(List.of("share")).deletedGroups());
        }
        steps.step("share group: describe without members", () -> describe(clients.admin, "share"));
    }

    private static void explicit(ScenarioSteps steps, ScenarioClients clients) {
        try (KafkaShareConsumer<String, String> consumer =
                clients.shareConsumer("share-explicit", "client.id", "member-1", "share.acknowledgement.mode", "explicit")) {
            consumer.subscribe(List.of("shared-1"));
            steps.step("share group: accept, release and reject", () -> {
                List<ConsumerRecord<String, String>> records = ScenarioClients.poll(consumer, 6);
                for (ConsumerRecord<String, String> record : records) {
                    consumer.acknowledge(record, switch ((int) record.offset()) {
                        case 1, 2 -> AcknowledgeType.RELEASE;
                        case 3 -> AcknowledgeType.REJECT;
                        default -> AcknowledgeType.ACCEPT;
                    });
                }
                return List.of(deliveries(records), committed(consumer));
            });
            steps.step("share group: released records come again", () -> {
                List<ConsumerRecord<String, String>> records = ScenarioClients.poll(consumer, 2);
                records.forEach(record -> consumer.acknowledge(record, AcknowledgeType.ACCEPT));
                return List.of(deliveries(records), committed(consumer));
            });
        }
    }

    private static void twoMembers(ScenarioSteps steps, ScenarioClients clients) throws Exception {
        try (KafkaShareConsumer<String, String> first = clients.shareConsumer("share-two", "client.id", "member-1");
                KafkaShareConsumer<String, String> second = clients.shareConsumer("share-two", "client.id", "member-2")) {
            first.subscribe(List.of("shared-1"));
            second.subscribe(List.of("shared-2"));
            steps.step("share group: two members", () -> {
                List<ConsumerRecord<String, String>> records = new ArrayList<>(ScenarioClients.poll(first, 6));
                records.addAll(ScenarioClients.poll(second, 3));
                return deliveries(records);
            });
            steps.step("share group: two members commit", () -> List.of(committed(first), committed(second)));
            steps.step("share group: describe two members", () -> describe(clients.admin, "share-two"));
            steps.step("share group: list", () -> ScenarioGroups.list(clients.admin, ListGroupsOptions.forShareGroups()));
        }
    }

    private static void offsets(ScenarioSteps steps, Admin admin) throws Exception {
        TopicPartition first = new TopicPartition("shared-1", 0);
        TopicPartition second = new TopicPartition("shared-2", 0);
        // Closed members have given back what they held, at the latest.
        steps.step("share group: all was consumed", () -> List.of(consumed(admin, "share", first), consumed(admin, "share", second),
                consumed(admin, "share-explicit", first), consumed(admin, "share-two", second)));
        steps.step("share group: list all offsets", () -> offsets(admin, "share", new ListShareGroupOffsetsSpec()));
        steps.step("share group: list some offsets", () -> offsets(admin, "share", new ListShareGroupOffsetsSpec()
                .topicPartitions(List.of(second, new TopicPartition("orders", 0), new TopicPartition("no-such-topic", 0)))));
        steps.step("share group: list offsets of an unknown group", () -> offsets(admin, "no-such-group", new ListShareGroupOffsetsSpec()));
        steps.step("share group: alter offsets", () -> {
            Map<TopicPartition, Long> wanted = Map.of(first, 2L, new TopicPartition("no-such-topic", 0), 1L, new TopicPartition("orders", 1), 1L);
            var result = admin.alterShareGroupOffsets("share", wanted);
            Map<TopicPartition, Object> results = new TreeMap<>(ScenarioText.BY_PARTITION);
            wanted.keySet().forEach(partition -> results.put(partition, result.partitionResult(partition)));
            return results;
        });
        steps.step("share group: delete offsets", () -> {
            Set<String> topics = Set.of("shared-2", "no-such-topic", "good-1");
            var result = admin.deleteShareGroupOffsets("share", topics);
            Map<String, Object> results = new TreeMap<>();
            topics.forEach(topic -> results.put(topic, result.topicResult(topic)));
            return results;
        });
        steps.step("share group: list offsets after that", () -> offsets(admin, "share", new ListShareGroupOffsetsSpec()));
    }

    private static void refused(ScenarioSteps steps, ScenarioClients clients) {
        Admin admin = clients.admin;
        TopicPartition partition = new TopicPartition("shared-1", 0);
        steps.step("share group '': subscribe", () -> {
            try (KafkaShareConsumer<String, String> consumer = clients.shareConsumer("")) {
                consumer.subscribe(List.of("shared-1"));
                return ScenarioClients.poll(consumer, 1).size();
            }
        });
        steps.step("share group '': describe", () -> describe(admin, ""));
        steps.step("share group '': list offsets", () -> offsets(admin, "", new ListShareGroupOffsetsSpec()));
        steps.step("share group '': alter offsets", () -> admin.alterShareGroupOffsets("", Map.of(partition, 1L)).all());
        steps.step("share group '': delete offsets", () -> admin.deleteShareGroupOffsets("", Set.of("shared-1")).all());
        steps.step("share group '': delete", () -> admin.deleteShareGroups(List.of("")).deletedGroups());
        steps.step("share group: describe an unknown one", () -> describe(admin, "no-such-group"));
        steps.step("share group: delete an unknown one", () -> admin.deleteShareGroups(List.of("no-such-group")).deletedGroups());
        steps.step("share group: a consumer joins", () -> {
            try (KafkaConsumer<String, String> consumer = clients.consumer("share", "group.protocol", "consumer")) {
                consumer.subscribe(List.of("shared-1"));
                return ScenarioClients.poll(consumer, 1).size();
            }
        });
        steps.step("share group: a classic consumer joins", () -> {
            try (KafkaConsumer<String, String> consumer = clients.consumer("share")) {
                consumer.subscribe(List.of("shared-1"));
                return ScenarioClients.poll(consumer, 1).size();
            }
        });
        steps.step("share group: commit offsets as a consumer group", () ->
                admin.alterConsumerGroupOffsets("share", Map.of(partition, new OffsetAndMetadata(1))).all());
        for (String topic : List.of("with space", "shared-later")) {
            steps.step("share group: subscribe to " + ScenarioText.shortened(topic), () -> {
                try (KafkaShareConsumer<String, String> consumer = clients.shareConsumer("share-explicit")) {
                    consumer.subscribe(List.of(topic));
                    List<Object> seen = new ArrayList<>();
                    for (int i = 0; i < 10; i++) {
                        consumer.poll(java.time.Duration.ofMillis(50)).forEach(seen::add);
                    }
                    // Brokers create what it asks for.
                    return List.of(seen, ScenarioTopics.list(admin, false).containsKey(topic));
                }
            });
        }
    }

    private static void delete(ScenarioSteps steps, Admin admin) {
        steps.step("deleteShareGroups", () -> admin.deleteShareGroups(List.of("share-two", "no-such-group")).deletedGroups());
        steps.step("listGroups after deleteShareGroups", () -> ScenarioGroups.list(admin, ListGroupsOptions.forShareGroups()));
    }

    private static Object deliveries(List<ConsumerRecord<String, String>> records) {
        Map<String, Object> deliveries = new TreeMap<>();
        records.forEach(record -> deliveries.put(record.topic() + "-" + record.partition() + "@" + record.offset(),
                record.value() + ", delivery " + record.deliveryCount().orElse((short) -1)));
        return deliveries;
    }

    private static Object committed(KafkaShareConsumer<String, String> consumer) {
        Map<String, Object> results = new TreeMap<>();
        consumer.commitSync().forEach((partition, error) -> results.put(partition.topic() + "-" + partition.partition(), error));
        return results;
    }

    private static Object describe(Admin admin, String... groups) {
        Map<String, Object> descriptions = new LinkedHashMap<>();
        admin.describeShareGroups(Arrays.asList(groups)).describedGroups()
                .forEach((group, description) -> descriptions.put(group, description.thenApply(ScenarioShareGroups::description)));
        return descriptions;
    }

    private static Object description(ShareGroupDescription group) {
        return ScenarioText.fields("group", group.groupId(), "state", group.groupState(), "coordinator", group.coordinator(),
                "members", group.members().stream().map(member -> ScenarioText.fields(
                        "client", member.clientId(), "assignment", member.assignment().topicPartitions())).collect(Collectors.toSet()));
    }

    private static boolean consumed(Admin admin, String group, TopicPartition partition) throws Exception {
        return ScenarioClients.until(() -> admin.listShareGroupOffsets(Map.of(group, new ListShareGroupOffsetsSpec()))
                .partitionsToOffsetInfo(group).get().get(partition).lag().orElse(-1L) == 0);
    }

    /** Without start offsets: brokers move them on when they like. */
    private static Object offsets(Admin admin, String group, ListShareGroupOffsetsSpec spec) throws Exception {
        Map<String, Object> offsets = new TreeMap<>();
        for (Map.Entry<TopicPartition, SharePartitionOffsetInfo> entry :
                admin.listShareGroupOffsets(Map.of(group, spec)).partitionsToOffsetInfo(group).get().entrySet()) {
            SharePartitionOffsetInfo info = entry.getValue();
            offsets.put(entry.getKey().toString(), info == null ? "none" : "lag " + info.lag().orElse(-1L));
        }
        return offsets;
    }
}
