import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.FeatureMetadata;
import org.apache.kafka.clients.admin.FeatureUpdate;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UpdateFeaturesOptions;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionReplica;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;

/** The cluster itself, and what only its operator may do. */
final class ScenarioCluster {
    static void run(ScenarioSteps steps, ScenarioClients clients) throws Exception {
        clients.createTopics(1, "placed");
        cluster(steps, clients);
        acls(steps, clients.admin);
        placement(steps, clients.admin);
        users(steps, clients.admin);
        operation(steps, clients.admin);
        last(steps, clients.admin);
    }

    private static void cluster(ScenarioSteps steps, ScenarioClients clients) {
        Admin admin = clients.admin;
        steps.step("describeCluster", () -> {
            DescribeClusterResult cluster = admin.describeCluster();
            return ScenarioText.fields("has an id", !cluster.clusterId().get().isEmpty(), "nodes", cluster.nodes(),
                    "controller", cluster.controller(), "rights", cluster.authorizedOperations());
        });
        steps.step("describeCluster with rights", () ->
                admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true)).authorizedOperations());
        steps.step("describeCluster with fenced brokers", () -> admin.describeCluster(new DescribeClusterOptions().includeFencedBrokers(true)).nodes());
        steps.step("describeFeatures", () -> {
            FeatureMetadata features = admin.describeFeatures().featureMetadata().get();
            return ScenarioText.fields("finalized", features.finalizedFeatures(), "supported", features.supportedFeatures());
        });
        steps.step("an admin client's telemetry id", () -> admin.clientInstanceId(Duration.ofMillis(700)));
        steps.step("a consumer's telemetry id", () -> {
            try (KafkaConsumer<String, String> consumer = clients.consumer(null)) {
                consumer.assign(List.of(new TopicPartition("placed", 0)));
                return consumer.clientInstanceId(Duration.ofMillis(700));
            }
        });
    }

    private static void acls(ScenarioSteps steps, Admin admin) {
        AclBinding binding = new AclBinding(new ResourcePattern(ResourceType.TOPIC, "placed", PatternType.LITERAL),
                new AccessControlEntry("User:somebody", "*", AclOperation.READ, AclPermissionType.ALLOW));
        steps.step("describeAcls", () -> admin.describeAcls(AclBindingFilter.ANY).values());
        steps.step("createAcls", () -> admin.createAcls(List.of(binding)).values());
        steps.step("deleteAcls", () -> admin.deleteAcls(List.of(AclBindingFilter.ANY)).values());
        steps.step("deleteAcls of one", () -> admin.deleteAcls(List.of(binding.toFilter())).values());
    }

    private static void placement(ScenarioSteps steps, Admin admin) {
        TopicPartition partition = new TopicPartition("placed", 0);
        TopicPartitionReplica replica = new TopicPartitionReplica("placed", 0, 1);
        steps.step("electLeaders", () -> admin.electLeaders(ElectionType.PREFERRED, Set.of(partition)).partitions());
        steps.step("electLeaders of a topic that is not there", () ->
                admin.electLeaders(ElectionType.PREFERRED, Set.of(new TopicPartition("no-such-topic", 0))).partitions());
        steps.step("electLeaders of all", () -> admin.electLeaders(ElectionType.PREFERRED, null).all());
        steps.step("alterPartitionReassignments", () ->
                admin.alterPartitionReassignments(Map.of(partition, Optional.of(new NewPartitionReassignment(List.of(1))))).values());
        steps.step("alterPartitionReassignments of a topic that is not there", () -> admin.alterPartitionReassignments(
                Map.of(new TopicPartition("no-such-topic", 0), Optional.of(new NewPartitionReassignment(List.of(1))))).values());
        steps.step("listPartitionReassignments", () -> admin.listPartitionReassignments().reassignments());
        steps.step("listPartitionReassignments of a partition", () -> admin.listPartitionReassignments(Set.of(partition)).reassignments());
        steps.step("describeLogDirs", () -> {
            var logs = admin.describeLogDirs(List.of(1)).allDescriptions().get().get(1);
            return logs.values().stream().map(log -> log.replicaInfos().containsKey(partition)).toList();
        });
        steps.step("describeReplicaLogDirs", () -> admin.describeReplicaLogDirs(List.of(replica)).all().get().keySet());
        steps.step("alterReplicaLogDirs", () -> admin.alterReplicaLogDirs(Map.of(replica, "/no/such/directory")).values());
    }

    private static void users(ScenarioSteps steps, Admin admin) {
        steps.step("describeClientQuotas", () -> admin.describeClientQuotas(ClientQuotaFilter.all()).entities());
        ClientQuotaEntity entity = new ClientQuotaEntity(Map.of(ClientQuotaEntity.CLIENT_ID, "somebody"));
        steps.step("alterClientQuotas", () -> admin.alterClientQuotas(List.of(
                new ClientQuotaAlteration(entity, List.of(new ClientQuotaAlteration.Op("producer_byte_rate", 1e9))))).values());
        steps.step("describeUserScramCredentials", () -> admin.describeUserScramCredentials().all());
        steps.step("alterUserScramCredentials", () -> admin.alterUserScramCredentials(List.of(
                new UserScramCredentialUpsertion("somebody", new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096), "secret"))).values());
        steps.step("createDelegationToken", () -> admin.createDelegationToken().delegationToken());
        steps.step("describeDelegationToken", () -> admin.describeDelegationToken().delegationTokens());
        steps.step("renewDelegationToken", () -> admin.renewDelegationToken(new byte[] {1}).expiryTimestamp());
        steps.step("expireDelegationToken", () -> admin.expireDelegationToken(new byte[] {1}).expiryTimestamp());
    }

    private static void operation(ScenarioSteps steps, Admin admin) {
        steps.step("describeMetadataQuorum", () -> admin.describeMetadataQuorum().quorumInfo().get().voters().size());
        steps.step("updateFeatures", () -> admin.updateFeatures(Map.of("group.version", new FeatureUpdate((short) 0, FeatureUpdate.UpgradeType.SAFE_DOWNGRADE)),
                new UpdateFeaturesOptions().validateOnly(true)).values());
        steps.step("unregisterBroker", () -> admin.unregisterBroker(99).all());
        steps.step("removeRaftVoter", () -> admin.removeRaftVoter(99, new org.apache.kafka.common.Uuid(1, 2)).all());
    }

    /** What is left when everything is over: nothing of anybody else. */
    private static void last(ScenarioSteps steps, Admin admin) {
        steps.step("at the end: topics", () -> ScenarioTopics.list(admin, false));
        steps.step("at the end: topics, the internal ones with them", () -> ScenarioTopics.list(admin, true).keySet());
        steps.step("at the end: groups", () -> ScenarioGroups.list(admin, new ListGroupsOptions()));
        steps.step("at the end: an internal topic", () -> {
            Map<String, Object> topics = new TreeMap<>();
            admin.describeTopics(List.of("__consumer_offsets")).topicNameValues()
                    .forEach((name, topic) -> topics.put(name, topic.thenApply(description -> description.isInternal())));
            return topics;
        });
        steps.step("at the end: createTopics called as an internal one", () ->
                admin.createTopics(List.of(new org.apache.kafka.clients.admin.NewTopic("__consumer_offsets", 1, (short) 1))).values());
    }
}
