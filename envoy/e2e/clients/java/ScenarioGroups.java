import java.util.ArrayList;
import java.util.Arrays;
import java.util.IntSummaryStatistics;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ClassicGroupDescription;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.MemberAssignment;
import org.apache.kafka.clients.admin.MemberDescription;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;

/** What groups of more than one type have in common, as text. */
final class ScenarioGroups {
    /** Groups that are listed: id to type, protocol and state. */
    static Map<String, Object> list(Admin admin, ListGroupsOptions options) throws Exception {
        Map<String, Object> groups = new TreeMap<>();
        for (GroupListing group : admin.listGroups(options).all().get()) {
            groups.put(group.groupId(), ScenarioText.fields("type", group.type(), "protocol", group.protocol(), "state", group.groupState()));
        }
        return groups;
    }

    static Object describe(Admin admin, String... groups) {
        Map<String, Object> descriptions = new TreeMap<>();
        admin.describeConsumerGroups(Arrays.asList(groups)).describedGroups()
                .forEach((group, description) -> descriptions.put(group, description.thenApply(ScenarioGroups::description)));
        return descriptions;
    }

    static Object describeClassic(Admin admin, String... groups) {
        Map<String, Object> descriptions = new TreeMap<>();
        admin.describeClassicGroups(Arrays.asList(groups)).describedGroups()
                .forEach((group, description) -> descriptions.put(group, description.thenApply(ScenarioGroups::description)));
        return descriptions;
    }

    /** Committed offsets of a group: all, or those of the partitions. */
    static Object offsets(Admin admin, String group, TopicPartition... partitions) throws Exception {
        ListConsumerGroupOffsetsSpec spec = new ListConsumerGroupOffsetsSpec();
        if (partitions.length > 0) {
            spec.topicPartitions(List.of(partitions));
        }
        return offsets(admin.listConsumerGroupOffsets(Map.of(group, spec)).partitionsToOffsetAndMetadata(group).get());
    }

    static Object offsets(Map<TopicPartition, OffsetAndMetadata> committed) {
        Map<String, Object> offsets = new TreeMap<>();
        committed.forEach((partition, offset) ->
                offsets.put(partition.toString(), offset == null ? "none" : offset.offset() + "'" + offset.metadata() + "'"));
        return offsets;
    }

    /** Polls until every consumer has as many partitions as stated and the group agrees; gives who has which. */
    static Object assignments(List<? extends Consumer<String, String>> members, Integer... sizes) throws Exception {
        ScenarioClients.poll(members, records -> {
            for (int i = 0; i < sizes.length; i++) {
                if (members.get(i).assignment().size() != sizes[i]) {
                    return false;
                }
            }
            return true;
        });
        List<Object> assignments = new ArrayList<>();
        members.forEach(member -> assignments.add(member.assignment()));
        return assignments;
    }

    /** Polls until the partitions are shared as evenly as possible; gives how many everyone has, in order of size. */
    static List<Integer> shares(List<? extends Consumer<String, String>> members, int partitions) throws Exception {
        ScenarioClients.poll(members, records -> {
            IntSummaryStatistics sizes = members.stream().mapToInt(member -> member.assignment().size()).summaryStatistics();
            return sizes.getSum() == partitions && sizes.getMin() >= partitions / members.size();
        });
        return members.stream().map(member -> member.assignment().size()).sorted().toList();
    }

    /** Polls until nobody rebalances. */
    static void settle(Admin admin, String group, List<? extends Consumer<String, String>> members) throws Exception {
        ScenarioClients.poll(members, records -> {
            ConsumerGroupDescription description = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
            return description.groupState() == GroupState.STABLE && description.members().size() == members.size();
        });
    }

    /** Values by topic and partition. */
    static Object values(List<ConsumerRecord<String, String>> records) {
        Map<String, List<String>> values = new TreeMap<>();
        for (ConsumerRecord<String, String> record : records) {
            values.computeIfAbsent(record.topic() + "-" + record.partition(), partition -> new ArrayList<>()).add(record.offset() + " " + record.value());
        }
        return values;
    }

    private static Object description(ConsumerGroupDescription group) {
        return ScenarioText.fields("group", group.groupId(), "type", group.type(), "state", group.groupState(),
                "assignor", group.partitionAssignor(), "simple", group.isSimpleConsumerGroup(), "coordinator", group.coordinator(),
                "rights", group.authorizedOperations(), "members", group.members().stream().map(ScenarioGroups::member).collect(Collectors.toSet()));
    }

    private static Object description(ClassicGroupDescription group) {
        return ScenarioText.fields("group", group.groupId(), "state", group.state(), "protocol", group.protocol(),
                "assignor", group.protocolData(), "simple", group.isSimpleConsumerGroup(), "coordinator", group.coordinator(),
                "members", group.members().stream().map(ScenarioGroups::member).collect(Collectors.toSet()));
    }

    private static Object member(MemberDescription member) {
        return ScenarioText.fields("client", member.clientId(), "instance", member.groupInstanceId(), "upgraded", member.upgraded(),
                "assignment", member.assignment().topicPartitions(),
                "target", member.targetAssignment().map(MemberAssignment::topicPartitions));
    }
}
