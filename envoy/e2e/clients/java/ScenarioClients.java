import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.Callable;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.consumer.ShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The clients of the scenario, and waiting for what happens after an answer. */
final class ScenarioClients implements AutoCloseable {
    private static final long PATIENCE_NS = Duration.ofSeconds(20).toNanos();
    private static final Duration POLL = Duration.ofMillis(50);

    final Admin admin;
    private final Arguments arguments;

    ScenarioClients(Arguments arguments) {
        this.arguments = arguments;
        admin = Admin.create(properties());
    }

    /** {@code config} is name, value, name, value... */
    Properties properties(String... config) {
        Properties properties = arguments.client();
        properties.put("retry.backoff.ms", "20");
        properties.put("retry.backoff.max.ms", "100");
        properties.put("request.timeout.ms", "10000");
        properties.put("default.api.timeout.ms", "15000");
        for (int i = 0; i < config.length; i += 2) {
            properties.put(config[i], config[i + 1]);
        }
        return properties;
    }

    KafkaProducer<String, String> producer(String... config) {
        Properties properties = properties(config);
        properties.remove("default.api.timeout.ms");
        properties.putIfAbsent("delivery.timeout.ms", "15000");
        properties.putIfAbsent("max.block.ms", "5000");
        return new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer());
    }

    /** A consumer without a group when {@code group} is null. */
    KafkaConsumer<String, String> consumer(String group, String... config) {
        Properties properties = properties(config);
        if (group != null) {
            properties.put("group.id", group);
        }
        if (!properties.getProperty("group.protocol", "classic").equals("consumer")) {
            properties.putIfAbsent("heartbeat.interval.ms", "200");
        }
        properties.putIfAbsent("auto.offset.reset", "earliest");
        properties.putIfAbsent("enable.auto.commit", "false");
        properties.putIfAbsent("allow.auto.create.topics", "false");
        properties.putIfAbsent("fetch.max.wait.ms", "100");
        return new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer());
    }

    KafkaShareConsumer<String, String> shareConsumer(String group, String... config) {
        Properties properties = properties(config);
        properties.put("group.id", group);
        properties.putIfAbsent("fetch.max.wait.ms", "100");
        return new KafkaShareConsumer<>(properties, new StringDeserializer(), new StringDeserializer());
    }

    /** Creates topics and waits until they can be used. */
    void createTopics(int partitions, String... topics) throws Exception {
        List<NewTopic> wanted = new ArrayList<>();
        for (String topic : topics) {
            wanted.add(new NewTopic(topic, partitions, (short) 1));
        }
        admin.createTopics(wanted).all().get();
        until(() -> admin.describeTopics(List.of(topics)).allTopicNames().get().values().stream()
                .flatMap(topic -> topic.partitions().stream()).allMatch(partition -> partition.leader() != null));
    }

    /** Writes {@code count} records called 0, 1, 2... to a partition. */
    void fill(String topic, int partition, int count) throws Exception {
        try (KafkaProducer<String, String> producer = producer()) {
            for (int i = 0; i < count; i++) {
                producer.send(new ProducerRecord<>(topic, partition, "key " + i, "value " + i));
            }
        }
    }

    /** Waits until the condition holds, errors count as no; gives whether it did in time. */
    static boolean until(Callable<Boolean> condition) throws InterruptedException {
        long deadline = System.nanoTime() + PATIENCE_NS;
        while (System.nanoTime() < deadline) {
            try {
                if (condition.call()) {
                    return true;
                }
            } catch (InterruptedException end) {
                throw end;
            } catch (Exception notYet) {
                // Asked again below.
            }
            Thread.sleep(20);
        }
        return false;
    }

    /** Polls all consumers, in turn, until the condition holds; gives the records on the way. */
    static List<ConsumerRecord<String, String>> poll(
            Collection<? extends Consumer<String, String>> consumers, PollEnd end) throws Exception {
        List<ConsumerRecord<String, String>> records = new ArrayList<>();
        long deadline = System.nanoTime() + PATIENCE_NS;
        while (!end.reached(records)) {
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException("not in time, after " + records.size() + " records");
            }
            for (Consumer<String, String> consumer : consumers) {
                consumer.poll(POLL).forEach(records::add);
            }
        }
        return records;
    }

    static List<ConsumerRecord<String, String>> poll(Consumer<String, String> consumer, int count) throws Exception {
        return poll(List.of(consumer), records -> records.size() >= count);
    }

    /** Records of a share group; unlike {@link #poll}, never polls again after the last. */
    static List<ConsumerRecord<String, String>> poll(ShareConsumer<String, String> consumer, int count) {
        List<ConsumerRecord<String, String>> records = new ArrayList<>();
        long deadline = System.nanoTime() + PATIENCE_NS;
        while (records.size() < count) {
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException("not in time, after " + records.size() + " records");
            }
            consumer.poll(POLL).forEach(records::add);
        }
        return records;
    }

    interface PollEnd {
        boolean reached(List<ConsumerRecord<String, String>> records) throws Exception;
    }

    @Override
    public void close() {
        admin.close();
    }
}
