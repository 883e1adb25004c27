import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.config.ConfigResource;

/** Verbs of the admin client. */
final class Administer {
    /** {@code create-topic topic partitions [replication]} */
    static Map<String, ?> createTopic(Arguments arguments) throws Exception {
        try (Admin admin = Admin.create(arguments.client())) {
            String topic = arguments.text("topic");
            NewTopic wanted = new NewTopic(topic, arguments.number("partitions"), (short) arguments.number("replication", -1));
            int partitions = admin.createTopics(List.of(wanted)).numPartitions(topic).get();
            return Map.of("partitions", partitions);
        }
    }

    /** {@code describe [quorum=no]}: every address that the cluster tells; brokers with ZooKeeper have no quorum. */
    static Map<String, ?> describe(Arguments arguments) throws Exception {
        try (Admin admin = Admin.create(arguments.client())) {
            DescribeClusterResult cluster = admin.describeCluster();
            List<Map<String, ?>> nodes = new ArrayList<>();
            List<ConfigResource> brokers = new ArrayList<>();
            for (Node node : cluster.nodes().get()) {
                nodes.add(Map.of("id", node.id(), "host", node.host(), "port", node.port()));
                brokers.add(new ConfigResource(ConfigResource.Type.BROKER, node.idString()));
            }
            Map<String, Map<String, String>> configs = new TreeMap<>();
            admin.describeConfigs(brokers).all().get().forEach((broker, config) -> {
                Map<String, String> values = configs.computeIfAbsent(broker.name(), name -> new TreeMap<>());
                for (ConfigEntry entry : config.entries()) {
                    values.put(entry.name(), Optional.ofNullable(entry.value()).orElse(""));
                }
            });
            Map<String, Object> report = new LinkedHashMap<>();
            report.put("cluster_id", cluster.clusterId().get());
            report.put("controller", cluster.controller().get().toString());
            report.put("nodes", nodes);
            if (!arguments.text("quorum", "").equals("no")) {
                report.put("quorum", admin.describeMetadataQuorum().quorumInfo().get().toString());
            }
            report.put("configs", configs);
            return report;
        }
    }

    /** {@code move-leader topic partition}: reassigns, elects, and waits until another node leads. */
    static Map<String, ?> moveLeader(Arguments arguments) throws Exception {
        try (Admin admin = Admin.create(arguments.client())) {
            TopicPartition partition = new TopicPartition(arguments.text("topic"), arguments.number("partition"));
            TopicPartitionInfo before = describe(admin, partition);
            List<Integer> replicas = new ArrayList<>(before.replicas().stream().map(Node::id).toList());
            do {
                Collections.rotate(replicas, 1);
            } while (replicas.get(0) == before.leader().id());
            admin.alterPartitionReassignments(Map.of(partition, Optional.of(new NewPartitionReassignment(replicas)))).all().get();
            while (!admin.listPartitionReassignments(Set.of(partition)).reassignments().get().isEmpty()) {
                Thread.sleep(50);
            }
            admin.electLeaders(ElectionType.PREFERRED, Set.of(partition)).partitions().get();
            Node leader;
            do {
                Thread.sleep(50);
                leader = describe(admin, partition).leader();
            } while (leader == null || leader.id() == before.leader().id());
            return Map.of("from", before.leader().id(), "to", leader.id());
        }
    }

    private static TopicPartitionInfo describe(Admin admin, TopicPartition partition) throws Exception {
        return admin.describeTopics(List.of(partition.topic())).allTopicNames().get()
                .get(partition.topic()).partitions().get(partition.partition());
    }
}
