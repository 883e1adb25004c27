import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.DescribeProducersOptions;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListTransactionsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;

/** Transactions. Producer ids and epochs are the cluster's own, so they do not show. */
final class ScenarioTransactions {
    private static final List<String> PATTERNS =
            List.of("transfer", "trans.*", "^transfer$", "transfer|fenced", "(?i)TRANSFER", "fer", "-transfer", "tenant.*", "(", "x)|(?:.*");

    private final ScenarioSteps steps;
    private final ScenarioClients clients;
    private final Admin admin;
    /** Of all names, so that this can be done again. */
    private final String prefix;
    private final String accounts;
    private final String ledger;

    private ScenarioTransactions(ScenarioSteps steps, ScenarioClients clients, String prefix) {
        this.steps = steps;
        this.clients = clients;
        this.admin = clients.admin;
        this.prefix = prefix;
        accounts = prefix + "accounts";
        ledger = prefix + "ledger";
    }

    static void run(ScenarioSteps steps, ScenarioClients clients) throws Exception {
        new ScenarioTransactions(steps, clients, "").run();
    }

    /** With other names, after the cluster has changed its version of transactions. */
    static void again(ScenarioSteps steps, ScenarioClients clients) throws Exception {
        new ScenarioTransactions(steps, clients, "again-").run();
    }

    private void run() throws Exception {
        steps.step("transactions: the finalized version", () ->
                admin.describeFeatures().featureMetadata().get().finalizedFeatures().get("transaction.version"));
        clients.createTopics(2, accounts, ledger);
        commitAndAbort();
        consume();
        groups();
        fence();
        refused();
        if (prefix.isEmpty()) {
            list();
        }
        abandon();
    }

    private void commitAndAbort() {
        try (KafkaProducer<String, String> producer = producer(prefix + "transfer")) {
            steps.step("transaction: initialise", () -> {
                producer.initTransactions();
                return "initialised";
            });
            steps.step("transaction: describe before the first", () -> describe(prefix + "transfer"));
            producer.beginTransaction();
            steps.step("transaction: produce to two topics", () -> List.of(
                    ScenarioRecords.send(producer, accounts, 0, "committed"), ScenarioRecords.send(producer, ledger, 1, "committed"),
                    ScenarioRecords.send(producer, accounts, 0, "committed, too")));
            steps.step("transaction: describe while it is open", () -> describe(prefix + "transfer"));
            steps.step("transaction: list while it is open", () -> list(new ListTransactionsOptions()));
            steps.step("transaction: describeProducers while it is open", () -> producers(accounts, ledger));
            steps.step("transaction: end offsets while it is open", () -> List.of(
                    end(IsolationLevel.READ_COMMITTED), end(IsolationLevel.READ_UNCOMMITTED)));
            steps.step("transaction: commit", () -> {
                producer.commitTransaction();
                return settled(prefix + "transfer");
            });
            producer.beginTransaction();
            steps.step("transaction: produce and abort", () -> {
                Object sent = ScenarioRecords.send(producer, accounts, 0, "aborted");
                producer.abortTransaction();
                return List.of(sent, settled(prefix + "transfer"));
            });
            producer.beginTransaction();
            steps.step("transaction: produce once more", () -> {
                Object sent = ScenarioRecords.send(producer, accounts, 1, "committed at last");
                producer.commitTransaction();
                return List.of(sent, settled(prefix + "transfer"));
            });
            steps.step("transaction: produce to a topic that is not there, which is created", () -> {
                producer.beginTransaction();
                Object sent = ScenarioRecords.send(producer, prefix + "auto-created-in-a-transaction", 0, "committed");
                producer.commitTransaction();
                return sent;
            });
        }
        steps.step("transaction: describeProducers afterwards", () -> producers(accounts, ledger));
        steps.step("transaction: end offsets afterwards", () -> List.of(
                end(IsolationLevel.READ_COMMITTED), end(IsolationLevel.READ_UNCOMMITTED)));
    }

    private void consume() {
        for (String level : List.of("read_committed", "read_uncommitted")) {
            steps.step("transaction: consume " + level, () -> {
                try (KafkaConsumer<String, String> consumer = clients.consumer(null, "isolation.level", level)) {
                    TopicPartition partition = new TopicPartition(accounts, 0);
                    consumer.assign(List.of(partition));
                    // Up to the end, where markers are: records that are left out are not waited for.
                    return ScenarioGroups.values(ScenarioClients.poll(List.of(consumer), records ->
                            consumer.position(partition) >= consumer.endOffsets(List.of(partition)).get(partition)));
                }
            });
        }
    }

    /** Consume, transform, produce. */
    private void groups() {
        for (String protocol : List.of("classic", "consumer")) {
            String group = prefix + "transacting-" + protocol;
            steps.step("transaction: offsets of a group, protocol " + protocol, () -> {
                try (KafkaProducer<String, String> producer = producer(group);
                        KafkaConsumer<String, String> consumer = clients.consumer(group, "isolation.level", "read_committed", "group.protocol", protocol)) {
                    producer.initTransactions();
                    consumer.subscribe(List.of(ledger));
                    Object values = ScenarioGroups.values(ScenarioClients.poll(consumer, 1));
                    TopicPartition partition = new TopicPartition(ledger, 1);
                    producer.beginTransaction();
                    producer.send(new ProducerRecord<>(accounts, 1, "key", "answer")).get();
                    producer.sendOffsetsToTransaction(Map.of(partition, new OffsetAndMetadata(1, "transacted")), consumer.groupMetadata());
                    Object open = describe(group);
                    Object before = ScenarioGroups.offsets(clients.admin, group);
                    producer.commitTransaction();
                    return List.of(values, open, before, settled(group),
                            ScenarioGroups.offsets(consumer.committed(Set.of(partition))));
                }
            });
            steps.step("transaction: aborted offsets, protocol " + protocol, () -> {
                try (KafkaProducer<String, String> producer = producer(group)) {
                    producer.initTransactions();
                    producer.beginTransaction();
                    producer.sendOffsetsToTransaction(
                            Map.of(new TopicPartition(ledger, 0), new OffsetAndMetadata(1)), group(group));
                    producer.abortTransaction();
                    settled(group);
                    return ScenarioGroups.offsets(clients.admin, group);
                }
            });
        }
        steps.step("transaction: offsets of a member that is not there", () -> sendOffsets(ledger,
                member(prefix + "transacting-classic", 99, "nobody")));
        steps.step("transaction: offsets of group ''", () -> sendOffsets(ledger, group("")));
        steps.step("transaction: offsets of a new group", () -> sendOffsets(ledger, group(prefix + "transacting-new")));
        steps.step("transaction: offsets of a topic that is not there, which is created", () -> sendOffsets(prefix + "auto-created-for-offsets", group(prefix + "transacting-new")));
    }

    private Object sendOffsets(String topic, ConsumerGroupMetadata group) {
        try (KafkaProducer<String, String> producer = clients.producer("transactional.id", prefix + "offsets", "max.block.ms", "2000", "transaction.timeout.ms", "2000")) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.sendOffsetsToTransaction(Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(0)), group);
            producer.commitTransaction();
            return "committed";
        }
    }

    private void fence() {
        try (KafkaProducer<String, String> first = producer(prefix + "fenced"); KafkaProducer<String, String> second = producer(prefix + "fenced")) {
            first.initTransactions();
            first.beginTransaction();
            steps.step("transaction: produce before it is fenced", () -> ScenarioRecords.send(first, accounts, 0, "of the first"));
            steps.step("transaction: a second producer fences the first", () -> {
                second.initTransactions();
                return settled(prefix + "fenced");
            });
            steps.step("transaction: the first producer sends", () -> ScenarioRecords.send(first, accounts, 0, "too late"));
            steps.step("transaction: the first producer commits", () -> {
                first.commitTransaction();
                return "committed";
            });
            steps.step("transaction: the second producer commits", () -> {
                second.beginTransaction();
                Object sent = ScenarioRecords.send(second, ledger, 0, "of the second");
                second.commitTransaction();
                return sent;
            });
            steps.step("transaction: fenceProducers", () -> admin.fenceProducers(List.of(prefix + "fenced")).fencedProducers());
            steps.step("transaction: the second producer sends after fenceProducers", () -> {
                second.beginTransaction();
                return ScenarioRecords.send(second, ledger, 0, "too late");
            });
        }
        steps.step("transaction: fenceProducers of an unknown id", () -> admin.fenceProducers(List.of(prefix + "never-seen")).fencedProducers());
    }

    private void refused() {
        steps.step("transaction: a timeout that is too long", () -> initialise("transaction.timeout.ms", "900000"));
        steps.step("transaction: two phases", () -> initialise("transaction.two.phase.commit.enable", "true"));
        steps.step("transaction: describe unknown ids", () -> describe(prefix + "no-such-id"));
        steps.step("transaction: describe ''", () -> describe(""));
        steps.step("transaction: forceTerminateTransaction of an unknown id", () -> admin.forceTerminateTransaction(prefix + "no-such-id").result());
        steps.step("transaction: describeProducers of topics that are not there", () -> producers("no-such-topic"));
        steps.step("transaction: produce to a bad topic", () -> {
            KafkaProducer<String, String> producer = producer(prefix + "bad-topic");
            try {
                producer.initTransactions();
                producer.beginTransaction();
                return ScenarioRecords.send(producer, "with space", 0, "value");
            } finally {
                // It would wait for an answer about the topic.
                producer.close(Duration.ZERO);
            }
        });
    }

    private static ConsumerGroupMetadata group(String group) {
        return member(group, -1, "");
    }

    /** What a consumer of this member would say. */
    @SuppressWarnings("removal")
    private static ConsumerGroupMetadata member(String group, int generation, String member) {
        return new ConsumerGroupMetadata(group, generation, member, Optional.empty());
    }

    private Object initialise(String... config) {
        List<String> all = new ArrayList<>(List.of(config));
        all.addAll(List.of("transactional.id", prefix + "initialised", "max.block.ms", "2000"));
        try (KafkaProducer<String, String> producer = clients.producer(all.toArray(String[]::new))) {
            producer.initTransactions();
            return "initialised";
        }
    }

    private void list() {
        steps.step("listTransactions", () -> {
            // The last transactions end on their own.
            ScenarioClients.until(() -> admin.listTransactions().all().get().stream().allMatch(transaction ->
                    transaction.state() == TransactionState.EMPTY || transaction.state().name().startsWith("COMPLETE")));
            return list(new ListTransactionsOptions());
        });
        for (String pattern : PATTERNS) {
            steps.step("listTransactions with pattern '" + pattern + "'", () ->
                    list(new ListTransactionsOptions().filterOnTransactionalIdPattern(pattern)).keySet());
        }
        steps.step("listTransactions in a state", () ->
                list(new ListTransactionsOptions().filterStates(List.of(TransactionState.COMPLETE_COMMIT))).keySet());
        steps.step("listTransactions of a producer id", () -> {
            long id = admin.describeTransactions(List.of(prefix + "transfer")).description(prefix + "transfer").get().producerId();
            return list(new ListTransactionsOptions().filterProducerIds(List.of(id))).keySet();
        });
        steps.step("listTransactions that run for long", () -> list(new ListTransactionsOptions().filterOnDuration(3_600_000)).keySet());
    }

    /** Transactions that administrators end. */
    private void abandon() {
        try (KafkaProducer<String, String> producer = producer(prefix + "abandoned")) {
            producer.initTransactions();
            producer.beginTransaction();
            steps.step("transaction: produce before forceTerminateTransaction", () -> ScenarioRecords.send(producer, accounts, 0, "terminated"));
            steps.step("transaction: forceTerminateTransaction", () -> admin.forceTerminateTransaction(prefix + "abandoned").result());
            steps.step("transaction: describe after forceTerminateTransaction", () -> settled(prefix + "abandoned"));
        }
        steps.step("transaction: abortTransaction", () -> {
            clients.createTopics(1, prefix + "stuck");
            TopicPartition partition = new TopicPartition(prefix + "stuck", 0);
            try (KafkaProducer<String, String> producer = producer(prefix + "stuck")) {
                producer.initTransactions();
                producer.beginTransaction();
                ScenarioRecords.send(producer, prefix + "stuck", 0, "aborted by an administrator");
                ProducerState state = admin.describeProducers(List.of(partition)).partitionResult(partition).get().activeProducers().get(0);
                AbortTransactionSpec spec = new AbortTransactionSpec(partition, state.producerId(), (short) state.producerEpoch(), state.coordinatorEpoch().orElse(0));
                return admin.abortTransaction(spec).all();
            }
        });
    }

    private KafkaProducer<String, String> producer(String transactionalId) {
        return clients.producer("transactional.id", transactionalId, "transaction.timeout.ms", "20000");
    }

    /** The transaction once its markers are written. */
    private Object settled(String transactionalId) throws Exception {
        ScenarioClients.until(() -> {
            TransactionState state = admin.describeTransactions(List.of(transactionalId)).description(transactionalId).get().state();
            return state == TransactionState.EMPTY || state.name().startsWith("COMPLETE");
        });
        return describe(transactionalId);
    }

    private Object describe(String... transactionalIds) {
        Map<String, Object> descriptions = new TreeMap<>();
        for (String id : transactionalIds) {
            descriptions.put(id, admin.describeTransactions(List.of(id)).description(id).thenApply(ScenarioTransactions::description));
        }
        return descriptions;
    }

    private static Object description(TransactionDescription transaction) {
        // Which partition of the internal topic it is depends on the group's physical name.
        Set<String> partitions = transaction.topicPartitions().stream().map(TopicPartition::toString)
                .map(partition -> partition.replaceFirst("^(__consumer_offsets)-\\d+$", "$1")).collect(Collectors.toCollection(TreeSet::new));
        return ScenarioText.fields("state", transaction.state(), "coordinator", transaction.coordinatorId(),
                "timeout", transaction.transactionTimeoutMs(), "partitions", partitions);
    }

    private Map<String, Object> list(ListTransactionsOptions options) throws Exception {
        Map<String, Object> transactions = new TreeMap<>();
        for (TransactionListing transaction : admin.listTransactions(options).all().get()) {
            if (transaction.transactionalId().startsWith(prefix)) {
                transactions.put(transaction.transactionalId(), transaction.state());
            }
        }
        return transactions;
    }

    private Object producers(String... topics) {
        Map<String, Object> producers = new TreeMap<>();
        for (String topic : topics) {
            TopicPartition partition = new TopicPartition(topic, 0);
            producers.put(partition.toString(), admin.describeProducers(List.of(partition), new DescribeProducersOptions().timeoutMs(1000))
                    .partitionResult(partition).thenApply(state ->
                    state.activeProducers().stream().map(producer -> ScenarioText.fields("last sequence", producer.lastSequence(),
                            "open since", producer.currentTransactionStartOffset())).collect(Collectors.toSet())));
        }
        return producers;
    }

    private long end(IsolationLevel level) throws Exception {
        TopicPartition partition = new TopicPartition(accounts, 0);
        return admin.listOffsets(Map.of(partition, OffsetSpec.latest()), new ListOffsetsOptions(level)).partitionResult(partition).get().offset();
    }
}
