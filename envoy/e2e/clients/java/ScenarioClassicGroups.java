import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;

/** Consumer groups of the classic protocol: clients assign, and brokers see names in blobs. */
final class ScenarioClassicGroups {
    static void run(ScenarioSteps steps, ScenarioClients clients) throws Exception {
        clients.createTopics(4, "classic-1", "classic-2");
        clients.fill("classic-1", 0, 5);
        clients.fill("classic-2", 3, 5);
        members(steps, clients);
        pattern(steps, clients);
        cooperative(steps, clients);
        staticMembers(steps, clients);
        withoutMembers(steps, clients);
        offsets(steps, clients.admin);
        badGroups(steps, clients);
        migration(steps, clients);
        delete(steps, clients.admin);
    }

    private static void members(ScenarioSteps steps, ScenarioClients clients) throws Exception {
        Admin admin = clients.admin;
        List<KafkaConsumer<String, String>> members = new ArrayList<>();
        try {
            members.add(clients.consumer("classic", "client.id", "member-1"));
            members.get(0).subscribe(List.of("classic-1", "classic-2"));
            steps.step("classic group: consume", () -> ScenarioGroups.values(ScenarioClients.poll(members.get(0), 10)));
            steps.step("classic group: commit", () -> {
                members.get(0).commitSync();
                return ScenarioGroups.offsets(members.get(0).committed(members.get(0).assignment()));
            });
            steps.step("classic group: commit with metadata", () -> {
                members.get(0).commitSync(Map.of(new TopicPartition("classic-1", 0), new OffsetAndMetadata(3, "classic-1 was read")));
                return ScenarioGroups.offsets(admin, "classic");
            });
            steps.step("classic group: commit too much metadata", () -> {
                members.get(0).commitSync(Map.of(new TopicPartition("classic-1", 0), new OffsetAndMetadata(3, "m".repeat(5000))));
                return "committed";
            });
            steps.step("classic group: commit for a topic that is not there", () -> {
                members.get(0).commitSync(Map.of(new TopicPartition("no-such-topic", 0), new OffsetAndMetadata(3)), java.time.Duration.ofMillis(700));
                return "committed";
            });
            steps.step("classic group: describe", () -> ScenarioGroups.describe(admin, "classic"));
            members.add(clients.consumer("classic", "client.id", "member-2"));
            members.get(1).subscribe(List.of("classic-1"));
            steps.step("classic group: a second member joins", () -> ScenarioGroups.assignments(members, 6, 2));
            ScenarioGroups.settle(admin, "classic", members);
            steps.step("classic group: describe two members", () -> ScenarioGroups.describe(admin, "classic"));
            steps.step("classic group: describe as a classic group", () -> ScenarioGroups.describeClassic(admin, "classic"));
            steps.step("classic group: list", () -> ScenarioGroups.list(admin, new ListGroupsOptions()));
            steps.step("classic group: delete subscribed offsets", () -> {
                Set<TopicPartition> partitions = Set.of(new TopicPartition("classic-1", 0), new TopicPartition("good-1", 0));
                var result = admin.deleteConsumerGroupOffsets("classic", partitions);
                Map<TopicPartition, Object> results = new TreeMap<>(ScenarioText.BY_PARTITION);
                partitions.forEach(partition -> results.put(partition, result.partitionResult(partition)));
                return results;
            });
            steps.step("classic group: alter offsets while it has members", () -> {
                TopicPartition partition = new TopicPartition("classic-1", 0);
                return admin.alterConsumerGroupOffsets("classic", Map.of(partition, new OffsetAndMetadata(1))).partitionResult(partition);
            });
            steps.step("classic group: delete while it has members", () -> admin.deleteConsumerGroups(List.of("classic")).deletedGroups());
            members.remove(1).close();
            steps.step("classic group: the second member leaves", () -> ScenarioGroups.assignments(members, 8));
        } finally {
            members.forEach(KafkaConsumer::close);
        }
        steps.step("classic group: describe without members", () -> ScenarioGroups.describe(admin, "classic"));
    }

    private static void pattern(ScenarioSteps steps, ScenarioClients clients) throws Exception {
        try (KafkaConsumer<String, String> member = clients.consumer("classic-pattern", "client.id", "member-1",
                "partition.assignment.strategy", RoundRobinAssignor.class.getName(), "metadata.max.age.ms", "300")) {
            member.subscribe(Pattern.compile("classic-.*"));
            steps.step("classic group: subscribe to a pattern", () -> ScenarioGroups.assignments(List.of(member), 8));
            clients.createTopics(1, "classic-3");
            steps.step("classic group: a topic begins to match", () -> ScenarioGroups.assignments(List.of(member), 9));
            steps.step("classic group: describe a pattern's assignment", () -> ScenarioGroups.describe(clients.admin, "classic-pattern"));
        }
    }

    /** Members that keep what they own say so in their blobs. */
    private static void cooperative(ScenarioSteps steps, ScenarioClients clients) throws Exception {
        List<KafkaConsumer<String, String>> members = new ArrayList<>();
        try {
            for (String name : List.of("member-1", "member-2", "member-3")) {
                members.add(clients.consumer("classic-cooperative", "client.id", name,
                        "partition.assignment.strategy", CooperativeStickyAssignor.class.getName()));
                members.get(members.size() - 1).subscribe(List.of("classic-1", "classic-2"));
                steps.step("classic group: cooperative " + name + " joins", () -> ScenarioGroups.shares(members, 8));
                ScenarioGroups.settle(clients.admin, "classic-cooperative", members);
            }
            steps.step("classic group: a cooperative member keeps its partitions", () -> {
                Set<TopicPartition> before = members.get(0).assignment();
                members.remove(2).close();
                ScenarioGroups.shares(members, 8);
                return members.get(0).assignment().containsAll(before);
            });
        } finally {
            members.forEach(KafkaConsumer::close);
        }
    }

    private static void staticMembers(ScenarioSteps steps, ScenarioClients clients) throws Exception {
        Admin admin = clients.admin;
        KafkaConsumer<String, String> member = staticMember(clients);
        steps.step("classic group: a static member joins", () -> ScenarioGroups.assignments(List.of(member), 4));
        member.close();
        steps.step("classic group: a static member stays when it closes", () -> ScenarioGroups.describe(admin, "classic-static"));
        KafkaConsumer<String, String> again = staticMember(clients);
        steps.step("classic group: a static member returns", () -> ScenarioGroups.assignments(List.of(again), 4));
        try (KafkaConsumer<String, String> second = staticMember(clients)) {
            steps.step("classic group: a second one with the same instance id", () -> ScenarioGroups.assignments(List.of(second), 4));
            steps.step("classic group: the first one with the instance id is fenced", () -> {
                again.commitSync(Map.of(new TopicPartition("classic-1", 1), new OffsetAndMetadata(0)));
                return "committed";
            });
            again.close();
            steps.step("classic group: remove an unknown static member", () -> removed(admin, "nobody"));
            steps.step("classic group: remove a static member", () -> removed(admin, "instance"));
        }
        steps.step("classic group: describe after removal", () -> ScenarioGroups.describe(admin, "classic-static"));
    }

    private static KafkaConsumer<String, String> staticMember(ScenarioClients clients) {
        KafkaConsumer<String, String> member = clients.consumer("classic-static", "client.id", "static", "group.instance.id", "instance");
        member.subscribe(List.of("classic-1"));
        return member;
    }

    private static Object removed(Admin admin, String instance) {
        MemberToRemove member = new MemberToRemove(instance);
        return admin.removeMembersFromConsumerGroup("classic-static", new RemoveMembersFromConsumerGroupOptions(List.of(member))).memberResult(member);
    }

    private static void withoutMembers(ScenarioSteps steps, ScenarioClients clients) {
        steps.step("classic group: commit without members", () -> {
            try (KafkaConsumer<String, String> consumer = clients.consumer("simple")) {
                TopicPartition partition = new TopicPartition("classic-1", 0);
                consumer.assign(List.of(partition));
                consumer.commitSync(Map.of(partition, new OffsetAndMetadata(2)));
                return ScenarioGroups.offsets(consumer.committed(Set.of(partition, new TopicPartition("classic-2", 0))));
            }
        });
        steps.step("classic group: describe a simple group", () -> ScenarioGroups.describe(clients.admin, "simple"));
    }

    private static void offsets(ScenarioSteps steps, Admin admin) {
        TopicPartition partition = new TopicPartition("classic-1", 2);
        steps.step("classic group: alter offsets", () -> {
            Map<TopicPartition, OffsetAndMetadata> offsets = Map.of(partition, new OffsetAndMetadata(0, "altered"), new TopicPartition("no-such-topic", 0), new OffsetAndMetadata(1));
            return each(offsets.keySet(), admin.alterConsumerGroupOffsets("classic", offsets)::partitionResult);
        });
        steps.step("classic group: list all offsets", () -> ScenarioGroups.offsets(admin, "classic"));
        steps.step("classic group: list some offsets", () ->
                ScenarioGroups.offsets(admin, "classic", partition, new TopicPartition("classic-2", 1), new TopicPartition("no-such-topic", 0)));
        steps.step("classic group: list offsets of an unknown group", () -> ScenarioGroups.offsets(admin, "no-such-group"));
        steps.step("classic group: alter offsets of a new group", () ->
                admin.alterConsumerGroupOffsets("classic-new", Map.of(partition, new OffsetAndMetadata(0))).partitionResult(partition));
        steps.step("classic group: delete offsets", () -> {
            Set<TopicPartition> partitions = Set.of(partition, new TopicPartition("classic-2", 1), new TopicPartition("no-such-topic", 0));
            return each(partitions, admin.deleteConsumerGroupOffsets("classic", partitions)::partitionResult);
        });
        steps.step("classic group: delete offsets of an unknown group", () ->
                admin.deleteConsumerGroupOffsets("no-such-group", Set.of(partition)).all());
        steps.step("classic group: list offsets after deletion", () -> ScenarioGroups.offsets(admin, "classic"));
    }

    private interface PartitionResult {
        Object of(TopicPartition partition);
    }

    private static Object each(Set<TopicPartition> partitions, PartitionResult result) {
        Map<TopicPartition, Object> results = new TreeMap<>(ScenarioText.BY_PARTITION);
        partitions.forEach(partition -> results.put(partition, result.of(partition)));
        return results;
    }

    private static void badGroups(ScenarioSteps steps, ScenarioClients clients) {
        Admin admin = clients.admin;
        TopicPartition partition = new TopicPartition("classic-1", 0);
        steps.step("group '': subscribe", () -> {
            try (KafkaConsumer<String, String> consumer = clients.consumer("")) {
                consumer.subscribe(List.of("classic-1"));
                return ScenarioClients.poll(consumer, 1);
            }
        });
        steps.step("group '': describe", () -> ScenarioGroups.describe(admin, ""));
        steps.step("group '': describe as a classic group", () -> ScenarioGroups.describeClassic(admin, ""));
        steps.step("group '': list offsets", () -> ScenarioGroups.offsets(admin, ""));
        steps.step("group '': alter offsets", () -> admin.alterConsumerGroupOffsets("", Map.of(partition, new OffsetAndMetadata(0))).all());
        steps.step("group '': delete offsets", () -> admin.deleteConsumerGroupOffsets("", Set.of(partition)).all());
        steps.step("group '': delete", () -> admin.deleteConsumerGroups(List.of("")).deletedGroups());
        steps.step("no group: subscribe", () -> {
            try (KafkaConsumer<String, String> consumer = clients.consumer(null)) {
                consumer.subscribe(List.of("classic-1"));
                return ScenarioClients.poll(consumer, 1);
            }
        });
        steps.step("unknown group: describe", () -> ScenarioGroups.describe(admin, "no-such-group"));
        steps.step("unknown group: describe as a classic group", () -> ScenarioGroups.describeClassic(admin, "no-such-group"));
        steps.step("unknown group: delete", () -> admin.deleteConsumerGroups(List.of("no-such-group")).deletedGroups());
        steps.step("strange group id", () -> {
            String group = "a group/with: *strange* characters, ł " + "g".repeat(500);
            admin.alterConsumerGroupOffsets(group, Map.of(partition, new OffsetAndMetadata(1))).all().get();
            Object offsets = ScenarioGroups.offsets(admin, group);
            admin.deleteConsumerGroups(List.of(group)).all().get();
            return offsets;
        });
        for (String topic : List.of("with space", "")) {
            steps.step("classic group: subscribe to " + ScenarioText.shortened(topic), () -> {
                try (KafkaConsumer<String, String> consumer = clients.consumer("classic-bad-topic")) {
                    consumer.subscribe(List.of(topic));
                    return ScenarioClients.poll(consumer, 1);
                }
            });
        }
    }

    /** Members of both protocols in one group: brokers translate the blobs of the classic ones. */
    private static void migration(ScenarioSteps steps, ScenarioClients clients) throws Exception {
        List<KafkaConsumer<String, String>> members = new ArrayList<>();
        try {
            members.add(clients.consumer("migrating", "client.id", "classic"));
            members.get(0).subscribe(List.of("classic-1", "classic-2"));
            ScenarioGroups.assignments(members, 8);
            members.add(clients.consumer("migrating", "client.id", "consumer", "group.protocol", "consumer"));
            members.get(1).subscribe(List.of("classic-1", "classic-2"));
            steps.step("migrating group: members of both protocols share", () -> {
                return ScenarioGroups.shares(members, 8);
            });
            ScenarioGroups.settle(clients.admin, "migrating", members);
            steps.step("migrating group: list", () -> ScenarioGroups.list(clients.admin, new ListGroupsOptions().withTypes(Set.of(GroupType.CONSUMER))));
            members.remove(0).close();
            steps.step("migrating group: the classic member leaves", () -> ScenarioGroups.assignments(members, 8));
        } finally {
            members.forEach(KafkaConsumer::close);
        }
    }

    private static void delete(ScenarioSteps steps, Admin admin) {
        steps.step("listGroups that are empty", () ->
                ScenarioGroups.list(admin, new ListGroupsOptions().inGroupStates(Set.of(GroupState.EMPTY))).keySet());
        steps.step("listGroups that are classic", () ->
                ScenarioGroups.list(admin, new ListGroupsOptions().withTypes(Set.of(GroupType.CLASSIC))).keySet());
        steps.step("listGroups with a protocol type", () ->
                ScenarioGroups.list(admin, ListGroupsOptions.forConsumerGroups()).keySet());
        steps.step("deleteConsumerGroups", () -> admin.deleteConsumerGroups(List.of("classic", "classic-pattern", "no-such-group")).deletedGroups());
        steps.step("listGroups after deletion", () -> ScenarioGroups.list(admin, new ListGroupsOptions()));
    }
}
