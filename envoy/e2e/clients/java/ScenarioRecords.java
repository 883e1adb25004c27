import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;

/** Records without groups: produced, consumed, counted by offsets, deleted. */
final class ScenarioRecords {
    static void run(ScenarioSteps steps, ScenarioClients clients) throws Exception {
        clients.createTopics(3, "records", "records-2");
        produce(steps, clients);
        produceLarge(steps, clients);
        produceRefused(steps, clients);
        produceUnknown(steps, clients);
        consume(steps, clients);
        listOffsets(steps, clients.admin);
        deleteRecords(steps, clients);
        recreate(steps, clients);
    }

    private static void produce(ScenarioSteps steps, ScenarioClients clients) {
        for (String acks : List.of("all", "1", "0")) {
            steps.step("produce with acks " + acks, () -> {
                try (KafkaProducer<String, String> producer =
                        clients.producer("acks", acks, "enable.idempotence", String.valueOf(acks.equals("all")))) {
                    List<Object> sent = new ArrayList<>();
                    for (int i = 0; i < 6; i++) {
                        sent.add(send(producer, "records", i % 3, "acks " + acks + " " + i));
                    }
                    return sent;
                }
            });
        }
        steps.step("produce to several topics at once", () -> {
            try (KafkaProducer<String, String> producer = clients.producer("linger.ms", "50")) {
                List<Future<RecordMetadata>> sent = new ArrayList<>();
                for (int i = 0; i < 12; i++) {
                    sent.add(producer.send(new ProducerRecord<>(i % 2 == 0 ? "records-2" : "orders", i % 3, "key", "value " + i)));
                }
                List<Object> answers = new ArrayList<>();
                for (Future<RecordMetadata> answer : sent) {
                    answers.add(answer(answer.get()));
                }
                return answers;
            }
        });
        steps.step("partitionsFor a producer", () -> {
            try (KafkaProducer<String, String> producer = clients.producer()) {
                return producer.partitionsFor("records").size();
            }
        });
    }

    private static void produceLarge(ScenarioSteps steps, ScenarioClients clients) throws Exception {
        clients.admin.createTopics(List.of(new NewTopic("large", 2, (short) 1).configs(Map.of("max.message.bytes", "20000000")))).all().get();
        for (String compression : List.of("none", "gzip", "lz4", "zstd", "snappy")) {
            steps.step("produce large batches, compression " + compression, () -> {
                try (KafkaProducer<String, String> producer = clients.producer("compression.type", compression,
                        "batch.size", "4000000", "max.request.size", "20000000", "linger.ms", "50")) {
                    List<Future<RecordMetadata>> sent = new ArrayList<>();
                    for (int i = 0; i < 12; i++) {
                        sent.add(producer.send(new ProducerRecord<>("large", i % 2, "key", String.valueOf(i % 10).repeat(700_000))));
                    }
                    return answer(sent.get(11).get());
                }
            });
        }
        steps.step("consume large batches", () -> {
            try (KafkaConsumer<String, String> consumer = clients.consumer(null)) {
                List<TopicPartition> partitions = List.of(new TopicPartition("large", 0), new TopicPartition("large", 1));
                consumer.assign(partitions);
                consumer.seekToBeginning(partitions);
                return ScenarioClients.poll(consumer, 60).stream().mapToLong(record -> record.value().length()).sum();
            }
        });
    }

    private static void produceRefused(ScenarioSteps steps, ScenarioClients clients) throws Exception {
        clients.admin.createTopics(List.of(
                new NewTopic("small", 1, (short) 1).configs(Map.of("max.message.bytes", "1000")),
                new NewTopic("compacted", 1, (short) 1).configs(Map.of("cleanup.policy", "compact")),
                new NewTopic("timely", 1, (short) 1).configs(Map.of("message.timestamp.after.max.ms", "3600000")))).all().get();
        steps.step("produce a record that is too large", () -> sendAlone(clients, new ProducerRecord<>("small", "x".repeat(5000))));
        steps.step("produce a record without a key to a compacted topic", () -> sendAlone(clients, new ProducerRecord<>("compacted", "value")));
        steps.step("produce a record of the future", () -> {
            long tomorrow = System.currentTimeMillis() + 86_400_000;
            return sendAlone(clients, new ProducerRecord<>("timely", 0, tomorrow, "key", "value"));
        });
        steps.step("produce with an empty transactional id", () -> {
            try (KafkaProducer<String, String> producer = clients.producer("transactional.id", "")) {
                producer.initTransactions();
                return "initialised";
            }
        });
    }

    private static void produceUnknown(ScenarioSteps steps, ScenarioClients clients) {
        steps.step("produce to an unknown topic, which is created", () -> sendAlone(clients, new ProducerRecord<>("auto-created", "value")));
        steps.step("describeTopics after auto-creation", () -> {
            ScenarioClients.until(() -> ScenarioTopics.list(clients.admin, false).containsKey("auto-created"));
            return clients.admin.describeTopics(List.of("auto-created")).allTopicNames().get().get("auto-created").partitions().size();
        });
        steps.step("produce to an unknown partition", () -> sendAlone(clients, new ProducerRecord<>("records", 99, "key", "value")));
        for (String topic : List.of("with space", "..", "", "x".repeat(300))) {
            steps.step("produce to a topic called " + ScenarioText.shortened(topic), () -> sendAlone(clients, new ProducerRecord<>(topic, "value")));
        }
    }

    private static void consume(ScenarioSteps steps, ScenarioClients clients) {
        steps.step("consume by assignment", () -> {
            try (KafkaConsumer<String, String> consumer = clients.consumer(null)) {
                consumer.assign(partitions("records", "records-2", "orders"));
                Map<String, Object> values = new TreeMap<>();
                for (ConsumerRecord<String, String> record : ScenarioClients.poll(consumer, 18 + 12)) {
                    values.put(record.topic() + "-" + record.partition() + "@" + record.offset(), record.key() + ": " + record.value());
                }
                return values;
            }
        });
        steps.step("consume from an offset that is not there", () -> {
            try (KafkaConsumer<String, String> consumer = clients.consumer(null, "auto.offset.reset", "none")) {
                TopicPartition partition = new TopicPartition("records", 0);
                consumer.assign(List.of(partition));
                consumer.seek(partition, 1000);
                return ScenarioClients.poll(consumer, 1);
            }
        });
        steps.step("offsets seen by a consumer", () -> {
            try (KafkaConsumer<String, String> consumer = clients.consumer(null)) {
                List<TopicPartition> partitions = partitions("records");
                Map<TopicPartition, Long> times = new TreeMap<>(ScenarioText.BY_PARTITION);
                partitions.forEach(partition -> times.put(partition, 0L));
                Map<TopicPartition, Object> byTime = new TreeMap<>(ScenarioText.BY_PARTITION);
                consumer.offsetsForTimes(times).forEach((partition, offset) -> byTime.put(partition, offset.offset()));
                consumer.assign(partitions);
                return ScenarioText.fields("beginning", consumer.beginningOffsets(partitions), "end", consumer.endOffsets(partitions),
                        "for time 0", byTime, "position", consumer.position(partitions.get(0)));
            }
        });
        steps.step("listTopics of a consumer", () -> {
            try (KafkaConsumer<String, String> consumer = clients.consumer(null)) {
                Map<String, Integer> topics = new TreeMap<>();
                consumer.listTopics().forEach((topic, partitions) -> topics.put(topic, partitions.size()));
                return topics;
            }
        });
        for (String topic : List.of("no-such-topic", "with space", "")) {
            steps.step("partitionsFor a consumer of " + ScenarioText.shortened(topic), () -> {
                try (KafkaConsumer<String, String> consumer = clients.consumer(null, "default.api.timeout.ms", "1500", "request.timeout.ms", "1000")) {
                    return consumer.partitionsFor(topic);
                }
            });
        }
        steps.step("consume a topic that is not there", () -> {
            try (KafkaConsumer<String, String> consumer = clients.consumer(null, "default.api.timeout.ms", "1500", "request.timeout.ms", "1000")) {
                consumer.assign(List.of(new TopicPartition("no-such-topic", 0)));
                return consumer.position(new TopicPartition("no-such-topic", 0));
            }
        });
    }

    private static void listOffsets(ScenarioSteps steps, Admin admin) {
        Map<String, OffsetSpec> specs = new TreeMap<>(Map.of("earliest", OffsetSpec.earliest(), "latest", OffsetSpec.latest(),
                "for time 0", OffsetSpec.forTimestamp(0), "max timestamp", OffsetSpec.maxTimestamp(),
                "earliest local", OffsetSpec.earliestLocal(), "latest tiered", OffsetSpec.latestTiered(),
                "earliest pending upload", OffsetSpec.earliestPendingUpload()));
        specs.forEach((name, spec) -> steps.step("listOffsets, " + name, () -> {
            Map<TopicPartition, OffsetSpec> wanted = new TreeMap<>(ScenarioText.BY_PARTITION);
            partitions("records", "small").forEach(partition -> wanted.put(partition, spec));
            wanted.remove(new TopicPartition("small", 1));
            wanted.remove(new TopicPartition("small", 2));
            return offsets(admin, wanted, new ListOffsetsOptions());
        }));
        steps.step("listOffsets of topics that are not there", () -> {
            Map<TopicPartition, OffsetSpec> wanted = new TreeMap<>(ScenarioText.BY_PARTITION);
            for (String topic : List.of("no-such-topic", "with space", "", "x".repeat(300))) {
                wanted.put(new TopicPartition(topic, 0), OffsetSpec.latest());
            }
            return offsets(admin, wanted, new ListOffsetsOptions().timeoutMs(1500));
        });
    }

    private static void deleteRecords(ScenarioSteps steps, ScenarioClients clients) {
        Admin admin = clients.admin;
        TopicPartition partition = new TopicPartition("records", 0);
        steps.step("deleteRecords", () -> admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(2)))
                .lowWatermarks().get(partition).get().lowWatermark());
        steps.step("deleteRecords to the end", () -> {
            TopicPartition whole = new TopicPartition("records-2", 1);
            return admin.deleteRecords(Map.of(whole, RecordsToDelete.beforeOffset(-1))).lowWatermarks().get(whole).get().lowWatermark();
        });
        steps.step("listOffsets after deleteRecords", () -> offsets(admin, Map.of(partition, OffsetSpec.earliest()), new ListOffsetsOptions()));
        steps.step("deleteRecords beyond the end", () -> admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(1000))).lowWatermarks());
        steps.step("deleteRecords of topics that are not there", () -> {
            Map<TopicPartition, RecordsToDelete> wanted = new TreeMap<>(ScenarioText.BY_PARTITION);
            List.of("no-such-topic", "with space", "").forEach(topic -> wanted.put(new TopicPartition(topic, 0), RecordsToDelete.beforeOffset(1)));
            return admin.deleteRecords(wanted, new org.apache.kafka.clients.admin.DeleteRecordsOptions().timeoutMs(500)).lowWatermarks();
        });
    }

    /** A new topic of the same name has a new id: clients that run must find out. */
    private static void recreate(ScenarioSteps steps, ScenarioClients clients) {
        steps.step("produce and consume across a topic that is created again", () -> {
            clients.createTopics(1, "reborn");
            TopicPartition partition = new TopicPartition("reborn", 0);
            try (KafkaProducer<String, String> producer = clients.producer("enable.idempotence", "false");
                    KafkaConsumer<String, String> consumer = clients.consumer(null)) {
                consumer.assign(List.of(partition));
                List<Object> results = new ArrayList<>();
                results.add(send(producer, "reborn", 0, "first life"));
                results.add(ScenarioClients.poll(consumer, 1).get(0).value());
                clients.admin.deleteTopics(List.of("reborn")).all().get();
                ScenarioClients.until(() -> !ScenarioTopics.list(clients.admin, false).containsKey("reborn"));
                clients.createTopics(1, "reborn");
                results.add(send(producer, "reborn", 0, "second life"));
                consumer.seek(partition, 0);
                results.add(ScenarioClients.poll(consumer, 1).get(0).value());
                return results;
            }
        });
    }

    static Object send(KafkaProducer<String, String> producer, String topic, int partition, String value) throws Exception {
        return answer(producer.send(new ProducerRecord<>(topic, partition, "key", value)).get());
    }

    private static Object sendAlone(ScenarioClients clients, ProducerRecord<String, String> record) throws Exception {
        try (KafkaProducer<String, String> producer = clients.producer("max.block.ms", "2000")) {
            return answer(producer.send(record).get());
        }
    }

    private static String answer(RecordMetadata record) {
        return record.topic() + "-" + record.partition() + "@" + record.offset();
    }

    /** Three partitions of each topic. */
    private static List<TopicPartition> partitions(String... topics) {
        List<TopicPartition> partitions = new ArrayList<>();
        for (String topic : topics) {
            for (int i = 0; i < 3; i++) {
                partitions.add(new TopicPartition(topic, i));
            }
        }
        return partitions;
    }

    private static Object offsets(Admin admin, Map<TopicPartition, OffsetSpec> wanted, ListOffsetsOptions options) {
        Map<TopicPartition, Object> offsets = new TreeMap<>(ScenarioText.BY_PARTITION);
        var result = admin.listOffsets(wanted, options);
        wanted.keySet().forEach(partition -> offsets.put(partition, result.partitionResult(partition).thenApply(ListOffsetsResultInfo::offset)));
        return offsets;
    }
}
