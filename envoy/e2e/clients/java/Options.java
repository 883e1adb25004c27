import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicReference;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigsResult;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.ClusterResource;
import org.apache.kafka.common.ClusterResourceListener;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.StringDeserializer;

/** What an operator can set for a virtual cluster, as its clients see it; {@code operator_options.rs} says what has to come of it. */
final class Options {
    private final ScenarioText text;
    private final ScenarioClients clients;
    private final Admin admin;
    /** Past the gateway. */
    private final Admin operator;
    private final List<List<?>> steps = new ArrayList<>();
    private String part;

    /** {@code options parts direct forbidden}: part, name, result and error messages of every step; `direct` is a broker's address. */
    static Map<String, ?> run(Arguments arguments) throws Exception {
        Properties direct = arguments.client();
        direct.put("bootstrap.servers", arguments.text("direct"));
        try (ScenarioClients clients = new ScenarioClients(arguments); Admin operator = Admin.create(direct)) {
            Options options = new Options(clients, operator, Arrays.asList(arguments.text("forbidden").split(",")));
            for (String part : arguments.text("parts").split(",")) {
                options.part(part);
            }
            return Map.of("steps", options.steps);
        }
    }

    private Options(ScenarioClients clients, Admin operator, List<String> forbidden) {
        this.clients = clients;
        this.admin = clients.admin;
        this.operator = operator;
        text = new ScenarioText(forbidden);
    }

    private void part(String part) throws Exception {
        this.part = part;
        switch (part) {
            case "shared" -> shared();
            case "read-only" -> readOnly();
            case "not-shared" -> notShared();
            case "creation" -> creation();
            case "cluster-id" -> clusterId();
            case "client-ids" -> clientIds();
            case "topics-only" -> topicsOnly();
            case "groups-only" -> groupsOnly();
            default -> throw new IllegalArgumentException("unknown part " + part);
        }
    }

    private void step(String name, Callable<?> action) {
        String result;
        try {
            result = text.of(action.call());
        } catch (Exception error) {
            result = text.of(error);
        }
        Set<String> messages = new LinkedHashSet<>(text.takeMessages());
        steps.add(List.of(part, name, result, messages));
        System.err.println(name + " | " + result + " | " + messages);
    }

    // ---- Shared topics ----------------------------------------------------------------------------

    /** The operator has made what is behind `countries`, with six records, and `events`, which is empty; each has two partitions. */
    private void shared() throws Exception {
        clients.createTopics(1, "own");
        clients.fill("own", 0, 1);
        read();
        consume();
        write();
        manage();
        step("what the operator still has", () -> {
            Map<String, Object> topics = new TreeMap<>(described(operator, "reference.countries", "public.events"));
            topics.put("retention.ms", retentions(operator, "reference.countries", "public.events"));
            return topics;
        });
    }

    private void read() throws Exception {
        List<Uuid> ids = new ArrayList<>();
        step("listTopics", () -> ScenarioTopics.list(admin, true).keySet());
        step("describeTopics", () -> described(admin, "countries", "events"));
        step("describeTopics by id", () -> {
            admin.describeTopics(List.of("countries", "events")).allTopicNames().get().values().forEach(topic -> ids.add(topic.topicId()));
            Map<String, Object> topics = new TreeMap<>();
            admin.describeTopics(TopicCollection.ofTopicIds(ids)).allTopicIds().get().values().forEach(topic -> topics.put(topic.name(), partitions(topic)));
            return topics;
        });
        step("describeTopics by physical name", () -> described(admin, "reference.countries", "public.events"));
        step("describeTopics of what the operator does not share", () -> described(admin, "secrets", "reference.secrets"));
        step("describeConfigs", () -> retentions(admin, "countries", "events"));
        step("listOffsets", () -> {
            Map<TopicPartition, OffsetSpec> all = new TreeMap<>(ScenarioText.BY_PARTITION);
            List.of(0, 1).forEach(partition -> all.put(new TopicPartition("countries", partition), OffsetSpec.latest()));
            return admin.listOffsets(all).all().get().values().stream().mapToLong(end -> end.offset()).sum();
        });
    }

    private void consume() {
        for (String protocol : List.of("classic", "consumer")) {
            String group = "readers-" + protocol;
            step("a group subscribes, protocol " + protocol, () -> {
                try (KafkaConsumer<String, String> consumer = clients.consumer(group, "group.protocol", protocol)) {
                    consumer.subscribe(List.of("countries", "events", "own"));
                    Object topics = byTopic(ScenarioClients.poll(consumer, 7));
                    consumer.commitSync();
                    Object members = admin.describeConsumerGroups(List.of(group)).all().get().get(group).members().stream()
                            .map(member -> member.assignment().topicPartitions()).toList();
                    return List.of(topics, consumer.assignment(), members);
                }
            });
            step("its offsets, protocol " + protocol, () -> sums(admin, group));
            step("its offsets as the operator sees them, protocol " + protocol, () -> sums(operator, "alpha-" + group));
        }
        step("a group subscribes to a pattern, protocol classic", () -> {
            try (KafkaConsumer<String, String> consumer = clients.consumer("matchers-classic")) {
                consumer.subscribe(Pattern.compile("own|co.*"));
                return byTopic(ScenarioClients.poll(consumer, 7));
            }
        });
        step("a group subscribes to a pattern, protocol consumer", () -> {
            try (KafkaConsumer<String, String> consumer = clients.consumer("matchers-consumer", "group.protocol", "consumer")) {
                consumer.subscribe(new SubscriptionPattern("own|co.*"));
                return byTopic(ScenarioClients.poll(consumer, 1));
            }
        });
        step("a share group subscribes", () -> {
            set(admin, ConfigResource.Type.GROUP, "sharers", "share.auto.offset.reset", "earliest").all().get();
            try (KafkaShareConsumer<String, String> consumer = clients.shareConsumer("sharers")) {
                consumer.subscribe(List.of("countries"));
                Object topics = byTopic(ScenarioClients.poll(consumer, 6));
                return List.of(topics, consumer.commitSync().values());
            }
        });
        TopicPartition events = new TopicPartition("events", 0);
        step("alterConsumerGroupOffsets", () -> admin.alterConsumerGroupOffsets("jumpers", Map.of(events, new OffsetAndMetadata(7))).all());
        step("listConsumerGroupOffsets", () -> ScenarioGroups.offsets(admin, "jumpers"));
        step("deleteConsumerGroupOffsets", () -> admin.deleteConsumerGroupOffsets("jumpers", Set.of(events)).all());
        step("listConsumerGroupOffsets when they are deleted", () -> ScenarioGroups.offsets(admin, "jumpers"));
    }

    @SuppressWarnings("removal")
    private void write() {
        for (String idempotence : List.of("true", "false")) {
            step("produce, idempotence " + idempotence, () -> {
                try (KafkaProducer<String, String> producer = clients.producer("enable.idempotence", idempotence)) {
                    return ScenarioRecords.send(producer, "events", 0, "plain");
                }
            });
        }
        step("produce in a transaction", () -> {
            try (KafkaProducer<String, String> producer = clients.producer("transactional.id", "ledger")) {
                producer.initTransactions();
                producer.beginTransaction();
                ScenarioRecords.send(producer, "events", 1, "committed");
                producer.sendOffsetsToTransaction(Map.of(new TopicPartition("countries", 0), new OffsetAndMetadata(1)),
                        new ConsumerGroupMetadata("transacting"));
                producer.commitTransaction();
                ScenarioClients.until(() -> !sums(admin, "transacting").isEmpty());
                return sums(admin, "transacting");
            }
        });
        step("read what was produced", () -> {
            try (KafkaConsumer<String, String> consumer = clients.consumer("auditors", "isolation.level", "read_committed")) {
                consumer.subscribe(List.of("events"));
                return ScenarioGroups.values(ScenarioClients.poll(consumer, 3));
            }
        });
    }

    private void manage() {
        List<String> both = List.of("countries", "events");
        step("deleteTopics", () -> admin.deleteTopics(both).topicNameValues());
        step("deleteTopics of shared and own ones", () -> {
            clients.createTopics(1, "temporary");
            return admin.deleteTopics(List.of("countries", "temporary", "events")).topicNameValues();
        });
        step("incrementalAlterConfigs", () -> byName(set(admin, ConfigResource.Type.TOPIC, both, "retention.ms", "1000")));
        step("createPartitions", () -> {
            Map<String, NewPartitions> wanted = new TreeMap<>();
            both.forEach(topic -> wanted.put(topic, NewPartitions.increaseTo(5)));
            return admin.createPartitions(wanted).values();
        });
        step("deleteRecords", () -> {
            Map<TopicPartition, RecordsToDelete> wanted = new TreeMap<>(ScenarioText.BY_PARTITION);
            both.forEach(topic -> wanted.put(new TopicPartition(topic, 0), RecordsToDelete.beforeOffset(1)));
            return admin.deleteRecords(wanted).lowWatermarks();
        });
        List<NewTopic> taken = List.of(new NewTopic("countries", 1, (short) 1), new NewTopic("events", 1, (short) 1), new NewTopic("fresh", 1, (short) 1));
        step("createTopics, validated only", () -> admin.createTopics(taken, new CreateTopicsOptions().validateOnly(true)).values());
        step("createTopics", () -> admin.createTopics(taken).values());
        // To a tenant this is a name like any other.
        step("createTopics called like the operator's", () -> {
            clients.createTopics(1, "reference.countries");
            return List.of(described(admin, "reference.countries"), described(operator, "alpha-reference.countries", "reference.countries"));
        });
    }

    /** What is refused although the request names the topic by its id, which tenants know. */
    private void readOnly() {
        for (String idempotence : List.of("true", "false")) {
            step("produce, idempotence " + idempotence, () -> {
                try (KafkaProducer<String, String> producer = hasty("enable.idempotence", idempotence)) {
                    return ScenarioRecords.send(producer, "countries", 0, "refused");
                }
            });
        }
        step("produce in a transaction", () -> {
            KafkaProducer<String, String> producer = hasty("transactional.id", "refused");
            try {
                producer.initTransactions();
                producer.beginTransaction();
                return ScenarioRecords.send(producer, "countries", 1, "refused");
            } finally {
                // It would wait for the end of the transaction.
                producer.close(Duration.ZERO);
            }
        });
        step("deleteTopics by id", () -> {
            Map<String, Object> results = new TreeMap<>();
            for (TopicDescription topic : admin.describeTopics(List.of("countries", "events")).allTopicNames().get().values()) {
                results.put(topic.name(), admin.deleteTopics(TopicCollection.ofTopicIds(List.of(topic.topicId()))).all());
            }
            return results;
        });
    }

    /** Gives up soon. */
    private KafkaProducer<String, String> hasty(String name, String value) {
        return clients.producer(name, value, "request.timeout.ms", "2500", "delivery.timeout.ms", "3000");
    }

    /** Another tenant, with which nothing is shared. */
    private void notShared() {
        step("listTopics", () -> ScenarioTopics.list(admin, true).keySet());
        step("describeTopics", () -> described(admin, "countries", "events", "reference.countries", "public.events"));
        step("createTopics called like a shared topic", () -> {
            clients.createTopics(1, "countries");
            return List.of(described(admin, "countries"), described(operator, "beta-countries"));
        });
        step("consume it", () -> {
            clients.fill("countries", 0, 2);
            try (KafkaConsumer<String, String> consumer = clients.consumer("readers-classic")) {
                consumer.subscribe(List.of("countries"));
                return byTopic(ScenarioClients.poll(consumer, 2));
            }
        });
    }

    // ---- Creation of topics -----------------------------------------------------------------------

    /** At most 4 partitions and 1 replica; retention.ms and cleanup.policy may be set; nothing is created by itself. */
    private void creation() throws Exception {
        step("createTopics within bounds", () -> create(new NewTopic("four", 4, (short) 1).configs(Map.of("retention.ms", "1000", "cleanup.policy", "compact"))));
        step("createTopics with the broker's defaults", () -> create(new NewTopic("defaults", Optional.empty(), Optional.empty())));
        step("createTopics with 5 partitions", () -> create(new NewTopic("five", 5, (short) 1)));
        step("createTopics with 2 replicas", () -> create(new NewTopic("replicas", 1, (short) 2)));
        step("createTopics with another config", () -> create(new NewTopic("segments", 1, (short) 1).configs(Map.of("retention.ms", "1000", "segment.ms", "1000"))));
        step("createTopics with assignments", () -> create(new NewTopic("assigned", Map.of(0, List.of(1)))));
        step("createTopics, some within bounds", () -> create(new NewTopic("first", 1, (short) 1), new NewTopic("five", 5, (short) 1), new NewTopic("last", 4, (short) -1)));
        step("createTopics with 5 partitions, validated only", () -> admin.createTopics(List.of(new NewTopic("five", 5, (short) 1)), new CreateTopicsOptions().validateOnly(true)).values());
        step("createPartitions up to 4", () -> admin.createPartitions(Map.of("first", NewPartitions.increaseTo(4))).values());
        step("createPartitions up to 5", () -> admin.createPartitions(Map.of("first", NewPartitions.increaseTo(5), "four", NewPartitions.increaseTo(5))).values());
        step("createPartitions with assignments", () -> admin.createPartitions(Map.of("defaults", NewPartitions.increaseTo(2, List.of(List.of(1))))).values());
        step("incrementalAlterConfigs of what may be set", () -> byName(set(admin, ConfigResource.Type.TOPIC, "four", "retention.ms", "2000")));
        step("incrementalAlterConfigs of what may not", () -> byName(set(admin, ConfigResource.Type.TOPIC, List.of("four", "last"), "segment.ms", "2000")));
        step("incrementalAlterConfigs of both", () -> byName(admin.incrementalAlterConfigs(Map.of(topic("four"), List.of(
                new AlterConfigOp(new ConfigEntry("retention.ms", "3000"), AlterConfigOp.OpType.SET),
                new AlterConfigOp(new ConfigEntry("segment.ms", "3000"), AlterConfigOp.OpType.SET)))).values()));
        step("incrementalAlterConfigs, back to the default", () -> byName(admin.incrementalAlterConfigs(Map.of(
                topic("four"), List.of(new AlterConfigOp(new ConfigEntry("cleanup.policy", ""), AlterConfigOp.OpType.DELETE)),
                topic("last"), List.of(new AlterConfigOp(new ConfigEntry("segment.ms", ""), AlterConfigOp.OpType.DELETE)))).values()));
        step("incrementalAlterConfigs of a group", () -> byName(set(admin, ConfigResource.Type.GROUP, "sharers", "share.auto.offset.reset", "earliest").values()));
        step("describeConfigs", () -> retentions(admin, "four"));
        step("produce to a topic that is not there", () -> {
            try (KafkaProducer<String, String> producer = clients.producer("max.block.ms", "1500")) {
                return ScenarioRecords.send(producer, "by-producer", 0, "nowhere");
            }
        });
        step("consume from a topic that is not there", () -> {
            try (KafkaConsumer<String, String> consumer = clients.consumer("hopeful", "allow.auto.create.topics", "true")) {
                consumer.subscribe(List.of("by-consumer"));
                consumer.poll(Duration.ofMillis(1500));
                return consumer.assignment();
            }
        });
        step("topics as the operator sees them", () -> {
            Set<String> own = new TreeSet<>(ScenarioTopics.list(operator, true).keySet());
            own.removeIf(topic -> !topic.startsWith("beta-"));
            return described(operator, own.toArray(String[]::new));
        });
    }

    private Object create(NewTopic... topics) {
        return admin.createTopics(List.of(topics)).values();
    }

    // ---- Ids of cluster and clients ---------------------------------------------------------------

    private void clusterId() {
        step("describeCluster", () -> admin.describeCluster().clusterId());
        step("a consumer's cluster", () -> {
            Listening deserializer = new Listening();
            try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(clients.properties("allow.auto.create.topics", "false"), deserializer, new StringDeserializer())) {
                consumer.partitionsFor("some-topic");
                return deserializer.cluster.get().clusterId();
            } catch (TimeoutException | UnknownTopicOrPartitionException none) {
                return deserializer.cluster.get().clusterId();
            }
        });
        step("the cluster's nodes", () -> admin.describeCluster().nodes());
    }

    private static final class Listening extends StringDeserializer implements ClusterResourceListener {
        final AtomicReference<ClusterResource> cluster = new AtomicReference<>();

        @Override
        public void onUpdate(ClusterResource resource) {
            cluster.set(resource);
        }
    }

    private void clientIds() throws Exception {
        clients.createTopics(1, "watched");
        for (String protocol : List.of("classic", "consumer")) {
            String group = "watchers-" + protocol;
            step("client ids, protocol " + protocol, () -> {
                try (KafkaConsumer<String, String> consumer = clients.consumer(group, "group.protocol", protocol, "client.id", "watcher")) {
                    consumer.subscribe(List.of("watched"));
                    ScenarioClients.poll(List.of(consumer), records -> !consumer.assignment().isEmpty());
                    return List.of(clientIds(admin, group), clientIds(operator, "alpha-" + group));
                }
            });
        }
        step("client ids in a share group", () -> {
            try (KafkaShareConsumer<String, String> consumer = clients.shareConsumer("watchers-share", "client.id", "watcher")) {
                consumer.subscribe(List.of("watched"));
                consumer.poll(Duration.ofMillis(50));
                ScenarioClients.until(() -> !shareClientIds(admin, "watchers-share").isEmpty());
                return List.of(shareClientIds(admin, "watchers-share"), shareClientIds(operator, "alpha-watchers-share"));
            }
        });
    }

    private static List<String> clientIds(Admin admin, String group) throws Exception {
        return admin.describeConsumerGroups(List.of(group)).all().get().get(group).members().stream().map(member -> member.clientId()).toList();
    }

    private static List<String> shareClientIds(Admin admin, String group) throws Exception {
        return admin.describeShareGroups(List.of(group)).all().get().get(group).members().stream().map(member -> member.clientId()).toList();
    }

    // ---- One prefix and no other ------------------------------------------------------------------

    private void topicsOnly() throws Exception {
        clients.createTopics(1, "solo");
        clients.fill("solo", 0, 2);
        oneGroup("solo");
        step("topics as the operator sees them", () -> described(operator, "solo", "gamma-solo"));
        step("offsets as the operator sees them", () -> ScenarioGroups.offsets(operator, "solo-readers"));
        step("client ids as the operator sees them", () -> withMember("solo", () -> clientIds(operator, "solo-watchers")));
        step("transactions as the operator sees them", () -> transactions("solo"));
        step("offsets of a group of the operator's", () -> {
            operator.alterConsumerGroupOffsets("solo-operators", Map.of(new TopicPartition("gamma-solo", 0), new OffsetAndMetadata(1),
                    new TopicPartition("reference.countries", 0), new OffsetAndMetadata(1))).all().get();
            return ScenarioGroups.offsets(admin, "solo-operators");
        });
        step("groups", () -> admin.listGroups().all().get().stream().map(group -> group.groupId()).filter(group -> group.startsWith("solo")).sorted().toList());
        step("a topic that is created by itself", () -> {
            try (KafkaProducer<String, String> producer = clients.producer()) {
                Object sent = ScenarioRecords.send(producer, "by-producer", 0, "first");
                return List.of(sent, described(operator, "gamma-by-producer"));
            }
        });
    }

    private void groupsOnly() throws Exception {
        clients.createTopics(1, "plain");
        clients.fill("plain", 0, 2);
        oneGroup("plain");
        step("topics as the operator sees them", () -> described(operator, "plain", "delta-plain"));
        step("offsets as the operator sees them", () -> ScenarioGroups.offsets(operator, "delta-plain-readers"));
        step("client ids as the operator sees them", () -> withMember("plain", () -> clientIds(operator, "delta-plain-watchers")));
        step("transactions as the operator sees them", () -> transactions("plain"));
        step("topics of others", () -> described(admin, "reference.countries"));
        step("groups", () -> admin.listGroups().all().get().stream().map(group -> group.groupId()).sorted().toList());
        step("deleteTopics by id", () -> {
            Uuid id = admin.describeTopics(List.of("plain")).allTopicNames().get().get("plain").topicId();
            return admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all();
        });
    }

    /** A group reads a topic with two records and commits; a transaction writes there. */
    private void oneGroup(String topic) {
        for (String protocol : List.of("classic", "consumer")) {
            step("a group, protocol " + protocol, () -> {
                try (KafkaConsumer<String, String> consumer = clients.consumer(topic + "-readers", "group.protocol", protocol)) {
                    consumer.subscribe(List.of(topic));
                    if (protocol.equals("classic")) {
                        ScenarioClients.poll(consumer, 2);
                    } else {
                        ScenarioClients.poll(List.of(consumer), records -> !consumer.assignment().isEmpty());
                    }
                    consumer.commitSync(Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(2)));
                    return ScenarioGroups.offsets(admin, topic + "-readers");
                }
            });
        }
        step("a transaction", () -> {
            try (KafkaProducer<String, String> producer = clients.producer("transactional.id", topic + "-ledger")) {
                producer.initTransactions();
                producer.beginTransaction();
                ScenarioRecords.send(producer, topic, 0, "committed");
                producer.commitTransaction();
                return "committed";
            }
        });
    }

    private Object withMember(String topic, Callable<?> action) throws Exception {
        try (KafkaConsumer<String, String> consumer = clients.consumer(topic + "-watchers", "client.id", "watcher")) {
            consumer.subscribe(List.of(topic));
            ScenarioClients.poll(List.of(consumer), records -> !consumer.assignment().isEmpty());
            return action.call();
        }
    }

    private Object transactions(String start) throws Exception {
        return operator.listTransactions().all().get().stream().map(TransactionListing::transactionalId).filter(id -> id.startsWith(start)).toList();
    }

    // ---- Results ----------------------------------------------------------------------------------

    private static Map<String, Object> described(Admin admin, String... topics) {
        Map<String, Object> descriptions = new TreeMap<>();
        admin.describeTopics(List.of(topics)).topicNameValues().forEach((name, topic) -> descriptions.put(name, topic.thenApply(Options::partitions)));
        return descriptions;
    }

    private static int partitions(TopicDescription topic) {
        return topic.partitions().size();
    }

    private static ConfigResource topic(String name) {
        return new ConfigResource(ConfigResource.Type.TOPIC, name);
    }

    private static Object retentions(Admin admin, String... topics) throws Exception {
        Map<String, Object> values = new TreeMap<>();
        admin.describeConfigs(Arrays.stream(topics).map(Options::topic).toList()).all().get()
                .forEach((topic, config) -> values.put(topic.name(), config.get("retention.ms").value()));
        return values;
    }

    private static AlterConfigsResult set(Admin admin, ConfigResource.Type type, String name, String config, String value) {
        return admin.incrementalAlterConfigs(Map.of(new ConfigResource(type, name),
                List.of(new AlterConfigOp(new ConfigEntry(config, value), AlterConfigOp.OpType.SET))));
    }

    private static Map<ConfigResource, ?> set(Admin admin, ConfigResource.Type type, List<String> names, String config, String value) {
        Map<ConfigResource, Collection<AlterConfigOp>> wanted = new HashMap<>();
        names.forEach(name -> wanted.put(new ConfigResource(type, name),
                List.of(new AlterConfigOp(new ConfigEntry(config, value), AlterConfigOp.OpType.SET))));
        return admin.incrementalAlterConfigs(wanted).values();
    }

    private static Object byName(AlterConfigsResult result) {
        return byName(result.values());
    }

    private static Object byName(Map<ConfigResource, ?> results) {
        Map<String, Object> named = new TreeMap<>();
        results.forEach((resource, result) -> named.put(resource.name(), result));
        return named;
    }

    private static Object byTopic(List<ConsumerRecord<String, String>> records) {
        Map<String, Integer> counts = new TreeMap<>();
        records.forEach(record -> counts.merge(record.topic(), 1, Integer::sum));
        return counts;
    }

    /** Committed offsets, all partitions of a topic together. */
    private static Map<String, Long> sums(Admin admin, String group) throws Exception {
        Map<String, Long> sums = new TreeMap<>();
        admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get()
                .forEach((partition, offset) -> sums.merge(partition.topic(), offset.offset(), Long::sum));
        return sums;
    }
}
