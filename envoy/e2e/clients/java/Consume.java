import java.io.IOException;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Verbs that read records. */
final class Consume {
    private static final Duration POLL = Duration.ofMillis(200);

    /** {@code consume topic group count timeout_ms}: ends with `count` records or after the time. */
    static Map<String, ?> group(Arguments arguments) {
        Tally tally = new Tally();
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(arguments)) {
            consumer.subscribe(List.of(arguments.text("topic")));
            long deadline = deadline(arguments);
            while (tally.count() < arguments.number("count") && System.nanoTime() < deadline) {
                add(tally, consumer.poll(POLL));
            }
            consumer.commitSync();
            Map<String, Object> report = tally.report();
            consumer.metrics().forEach((name, metric) -> {
                if (name.name().equals("fetch-size-max") && !name.tags().containsKey("topic")) {
                    report.put("fetch_bytes_max", metric.metricValue());
                }
            });
            return report;
        }
    }

    /** {@code member topic group}: prints each assignment, until standard input ends. */
    static Map<String, ?> member(Arguments arguments) throws Exception {
        KafkaConsumer<byte[], byte[]> consumer = consumer(arguments);
        new Thread(() -> {
            waitForEndOfInput();
            consumer.wakeup();
        }).start();
        consumer.subscribe(List.of(arguments.text("topic")), new ConsumerRebalanceListener() {
            @Override
            public void onPartitionsRevoked(Collection<TopicPartition> partitions) {}

            @Override
            public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                printAssignment(consumer);
            }
        });
        try {
            while (true) {
                consumer.poll(POLL);
            }
        } catch (WakeupException end) {
            consumer.close();
            return Map.of("left", true);
        }
    }

    /** {@code share-consume topic group count timeout_ms} */
    static Map<String, ?> shareGroup(Arguments arguments) throws Exception {
        String group = arguments.text("group");
        try (Admin admin = Admin.create(arguments.client())) {
            ConfigEntry earliest = new ConfigEntry("share.auto.offset.reset", "earliest");
            admin.incrementalAlterConfigs(Map.of(
                    new ConfigResource(ConfigResource.Type.GROUP, group),
                    List.of(new AlterConfigOp(earliest, AlterConfigOp.OpType.SET)))).all().get();
        }
        Properties properties = arguments.client();
        properties.put("group.id", group);
        Tally tally = new Tally();
        try (KafkaShareConsumer<byte[], byte[]> consumer =
                new KafkaShareConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(arguments.text("topic")));
            long deadline = deadline(arguments);
            while (tally.count() < arguments.number("count") && System.nanoTime() < deadline) {
                add(tally, consumer.poll(POLL));
                consumer.commitSync().values().forEach(error -> error.ifPresent(e -> { throw e; }));
            }
            return tally.report();
        }
    }

    private static KafkaConsumer<byte[], byte[]> consumer(Arguments arguments) {
        Properties properties = arguments.client();
        properties.put("group.id", arguments.text("group"));
        properties.putIfAbsent("auto.offset.reset", "earliest");
        properties.putIfAbsent("enable.auto.commit", "false");
        return new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private static void add(Tally tally, ConsumerRecords<byte[], byte[]> records) {
        for (ConsumerRecord<byte[], byte[]> record : records) {
            tally.add(record.partition(), record.key(), record.value());
        }
    }

    private static void printAssignment(KafkaConsumer<byte[], byte[]> consumer) {
        try {
            Client.print(Map.of("assigned", consumer.assignment().stream().map(TopicPartition::partition).sorted().toList()));
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    private static void waitForEndOfInput() {
        try {
            while (System.in.read() >= 0) {}
        } catch (IOException end) {
            // As good as the end.
        }
    }

    private static long deadline(Arguments arguments) {
        return System.nanoTime() + arguments.number("timeout_ms") * 1_000_000L;
    }
}
