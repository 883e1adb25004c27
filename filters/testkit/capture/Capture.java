import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionReplica;
import org.apache.kafka.common.acl.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Calls what Apache Kafka's Java clients can call, so that capture-frames sees the frames. Argument: bootstrap servers. */
public final class Capture {
    private static final String TOPIC = "orders";
    private static String bootstrap;

    private interface Call {
        Object run() throws Exception;
    }

    public static void main(String[] words) throws Exception {
        bootstrap = words[0];
        try (Admin admin = Admin.create(config())) {
            topics(admin);
            produce();
            consume("classic");
            consume("consumer");
            share(admin);
            transact(admin);
            groups(admin);
            cluster(admin);
            security(admin);
            attempt("deleteTopics", () -> admin.deleteTopics(List.of("payments")).all().get());
        }
        System.exit(0);
    }

    /** A refusal is a frame too. */
    private static void attempt(String what, Call call) {
        try {
            call.run();
        } catch (Exception error) {
            System.err.println(what + ": " + error);
        }
    }

    private static Map<String, Object> config(Object... more) {
        Map<String, Object> config = new java.util.HashMap<>(Map.of("bootstrap.servers", bootstrap, "client.id", "java"));
        for (int index = 0; index < more.length; index += 2) {
            config.put((String) more[index], more[index + 1]);
        }
        return config;
    }

    private static void topics(Admin admin) {
        ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, TOPIC);
        attempt("createTopics", () -> admin.createTopics(List.of(
                new NewTopic(TOPIC, 3, (short) 1).configs(Map.of("retention.ms", "3600000")),
                new NewTopic("payments", 1, (short) 1), new NewTopic("no spaces allowed", 1, (short) 1))).all().get());
        attempt("listTopics", () -> admin.listTopics().names().get());
        attempt("describeTopics", () -> admin.describeTopics(List.of(TOPIC, "payments", "missing")).allTopicNames().get());
        attempt("describeConfigs", () -> admin.describeConfigs(List.of(topic),
                new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(false)).all().get());
        attempt("incrementalAlterConfigs", () -> admin.incrementalAlterConfigs(Map.of(topic, List.of(
                new AlterConfigOp(new ConfigEntry("cleanup.policy", "delete"), AlterConfigOp.OpType.SET)))).all().get());
        attempt("listConfigResources", () -> admin.listConfigResources().all().get());
        attempt("createPartitions", () -> admin.createPartitions(Map.of("payments", NewPartitions.increaseTo(2))).all().get());
    }

    private static KafkaProducer<String, String> producer(Object... more) {
        return new KafkaProducer<>(config(more), new StringSerializer(), new StringSerializer());
    }

    private static void produce() {
        for (String codec : List.of("none", "gzip", "lz4", "snappy", "zstd")) {
            try (KafkaProducer<String, String> producer = producer("compression.type", codec, "linger.ms", 50)) {
                for (int index = 0; index < 20; index++) {
                    producer.send(new ProducerRecord<>(TOPIC, index % 3, "key-" + index, "value-" + "x".repeat(index)));
                    producer.send(new ProducerRecord<>("payments", null, "amount-" + index));
                }
            }
        }
        try (KafkaProducer<String, String> producer = producer("acks", "0", "enable.idempotence", false)) {
            attempt("acks=0", () -> producer.send(new ProducerRecord<>(TOPIC, "fire", "forget")).get());
        }
    }

    private static void consume(String protocol) {
        KafkaConsumer<String, String> consumer = new KafkaConsumer<>(config("group.protocol", protocol, "group.id", protocol,
                "auto.offset.reset", "earliest", "enable.auto.commit", false), new StringDeserializer(), new StringDeserializer());
        try (consumer) {
            consumer.subscribe(List.of(TOPIC, "payments"));
            for (int polls = 0, records = 0; polls < 60 && records < 100; polls++) {
                records += consumer.poll(Duration.ofMillis(200)).count();
            }
            attempt("commit", () -> { consumer.commitSync(); return null; });
            TopicPartition partition = new TopicPartition(TOPIC, 0);
            attempt("committed", () -> consumer.committed(Set.of(partition)));
            attempt("offsetsForTimes", () -> consumer.offsetsForTimes(Map.of(partition, 1L)));
            attempt("endOffsets", () -> consumer.endOffsets(Set.of(partition)));
            try (Admin admin = Admin.create(config())) {
                attempt("describe member", () -> admin.describeConsumerGroups(List.of(protocol)).all().get());
                attempt("describe classic", () -> admin.describeClassicGroups(List.of(protocol)).all().get());
            }
        }
    }

    private static void share(Admin admin) {
        ConfigResource group = new ConfigResource(ConfigResource.Type.GROUP, "share");
        attempt("share.auto.offset.reset", () -> admin.incrementalAlterConfigs(Map.of(group, List.of(
                new AlterConfigOp(new ConfigEntry("share.auto.offset.reset", "earliest"), AlterConfigOp.OpType.SET)))).all().get());
        KafkaShareConsumer<String, String> consumer = new KafkaShareConsumer<>(config("group.id", "share",
                "share.acknowledgement.mode", "explicit"), new StringDeserializer(), new StringDeserializer());
        try (consumer) {
            consumer.subscribe(List.of(TOPIC));
            for (int polls = 0, seen = 0; polls < 60 && seen < 20; polls++) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(300))) {
                    consumer.acknowledge(record);
                    seen++;
                }
                attempt("commit of shares", consumer::commitSync);
            }
            attempt("describeShareGroups", () -> admin.describeShareGroups(List.of("share", "missing")).all().get());
        }
        TopicPartition partition = new TopicPartition(TOPIC, 0);
        attempt("listShareGroupOffsets", () -> admin.listShareGroupOffsets(Map.of("share", new ListShareGroupOffsetsSpec())).all().get());
        attempt("alterShareGroupOffsets", () -> admin.alterShareGroupOffsets("share", Map.of(partition, 1L)).all().get());
        attempt("deleteShareGroupOffsets", () -> admin.deleteShareGroupOffsets("share", Set.of(TOPIC)).all().get());
        attempt("deleteShareGroups", () -> admin.deleteShareGroups(List.of("share")).all().get());
    }

    private static void transact(Admin admin) {
        KafkaProducer<String, String> producer = producer("transactional.id", "tx-1");
        try (producer) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(TOPIC, "in", "transaction"));
            attempt("sendOffsets", () -> {
                producer.sendOffsetsToTransaction(Map.of(new TopicPartition("payments", 0), new OffsetAndMetadata(3, "note")),
                        new org.apache.kafka.clients.consumer.ConsumerGroupMetadata("tx-group"));
                return null;
            });
            producer.flush();
            attempt("describeTransactions", () -> admin.describeTransactions(List.of("tx-1")).all().get());
            attempt("describeProducers", () -> admin.describeProducers(List.of(new TopicPartition(TOPIC, 0), new TopicPartition(TOPIC, 1))).all().get());
            producer.commitTransaction();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(TOPIC, "to be", "aborted"));
            producer.flush();
            producer.abortTransaction();
        }
        attempt("listTransactions", () -> admin.listTransactions().all().get());
        attempt("fenceProducers", () -> admin.fenceProducers(List.of("tx-1")).all().get());
    }

    private static void groups(Admin admin) {
        TopicPartition partition = new TopicPartition(TOPIC, 0);
        Collection<String> both = List.of("classic", "consumer", "missing");
        attempt("listGroups", () -> admin.listGroups().all().get());
        attempt("describeConsumerGroups", () -> admin.describeConsumerGroups(both).all().get());
        attempt("describeStreamsGroups", () -> admin.describeStreamsGroups(List.of("streams")).all().get());
        attempt("listConsumerGroupOffsets", () -> admin.listConsumerGroupOffsets("classic").all().get());
        attempt("alterConsumerGroupOffsets", () -> admin.alterConsumerGroupOffsets("classic", Map.of(partition, new OffsetAndMetadata(1))).all().get());
        attempt("deleteConsumerGroupOffsets", () -> admin.deleteConsumerGroupOffsets("classic", Set.of(partition)).all().get());
        attempt("removeMembers", () -> admin.removeMembersFromConsumerGroup("classic", new RemoveMembersFromConsumerGroupOptions()).all().get());
        attempt("deleteConsumerGroups", () -> admin.deleteConsumerGroups(List.of("classic")).all().get());
        attempt("listOffsets", () -> admin.listOffsets(Map.of(partition, OffsetSpec.latest(), new TopicPartition(TOPIC, 1), OffsetSpec.maxTimestamp())).all().get());
        attempt("deleteRecords", () -> admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(1))).all().get());
    }

    private static void cluster(Admin admin) {
        TopicPartition partition = new TopicPartition(TOPIC, 0);
        attempt("describeCluster", () -> admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true)).nodes().get());
        attempt("describeLogDirs", () -> admin.describeLogDirs(List.of(1)).allDescriptions().get());
        attempt("alterReplicaLogDirs", () -> admin.alterReplicaLogDirs(Map.of(new TopicPartitionReplica(TOPIC, 0, 1), "/nowhere")).all().get());
        attempt("describeMetadataQuorum", () -> admin.describeMetadataQuorum().quorumInfo().get());
        attempt("describeFeatures", () -> admin.describeFeatures().featureMetadata().get());
        attempt("updateFeatures", () -> admin.updateFeatures(Map.of("group.version", new FeatureUpdate((short) 1, FeatureUpdate.UpgradeType.UPGRADE)), new UpdateFeaturesOptions().validateOnly(true)).all().get());
        attempt("electLeaders", () -> admin.electLeaders(ElectionType.PREFERRED, Set.of(partition)).partitions().get());
        attempt("reassign", () -> admin.alterPartitionReassignments(Map.of(partition, Optional.of(new NewPartitionReassignment(List.of(1))))).all().get());
        attempt("listPartitionReassignments", () -> admin.listPartitionReassignments().reassignments().get());
        attempt("unregisterBroker", () -> admin.unregisterBroker(77).all().get());
        attempt("addRaftVoter", () -> admin.addRaftVoter(9, org.apache.kafka.common.Uuid.randomUuid(), Set.of(new RaftVoterEndpoint("CONTROLLER", "127.0.0.1", 9))).all().get());
        attempt("removeRaftVoter", () -> admin.removeRaftVoter(9, org.apache.kafka.common.Uuid.randomUuid()).all().get());
    }

    private static void security(Admin admin) {
        AclBinding acl = new AclBinding(new ResourcePattern(ResourceType.TOPIC, TOPIC, PatternType.PREFIXED),
                new AccessControlEntry("User:alice", "*", AclOperation.READ, AclPermissionType.ALLOW));
        attempt("createAcls", () -> admin.createAcls(List.of(acl)).all().get());
        attempt("describeAcls", () -> admin.describeAcls(AclBindingFilter.ANY).values().get());
        attempt("deleteAcls", () -> admin.deleteAcls(List.of(acl.toFilter())).all().get());
        ClientQuotaEntity user = new ClientQuotaEntity(Map.of(ClientQuotaEntity.USER, "alice"));
        attempt("alterClientQuotas", () -> admin.alterClientQuotas(List.of(new ClientQuotaAlteration(user, List.of(
                new ClientQuotaAlteration.Op("producer_byte_rate", 1e6))))).all().get());
        attempt("describeClientQuotas", () -> admin.describeClientQuotas(ClientQuotaFilter.all()).entities().get());
        attempt("describeUserScramCredentials", () -> admin.describeUserScramCredentials().all().get());
        attempt("alterUserScramCredentials", () -> admin.alterUserScramCredentials(List.of(
                new UserScramCredentialDeletion("nobody", ScramMechanism.SCRAM_SHA_256))).all().get());
        attempt("createDelegationToken", () -> admin.createDelegationToken().delegationToken().get());
        attempt("describeDelegationToken", () -> admin.describeDelegationToken().delegationTokens().get());
        attempt("renewDelegationToken", () -> admin.renewDelegationToken(new byte[] {1}).expiryTimestamp().get());
        attempt("expireDelegationToken", () -> admin.expireDelegationToken(new byte[] {1}).expiryTimestamp().get());
    }
}
