import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;

/** Consumer groups of KIP-848: brokers assign, and match patterns. */
final class ScenarioConsumerGroups {
    /** Patterns in RE2's language, which must match whole names. */
    private static final List<String> PATTERNS = List.of(
            "kip848-1", "kip848-.*", "kip848-[12]", "kip848-1|kip848-2", "^kip848-.*$", "^kip848-1|^kip848-2", "(kip848)-(1|2)",
            "(?i)KIP848-1", "(?i)^KIP848-(1|2)$", "\\Akip848-2\\z", "\\bkip848-\\d", "kip848-(?:1|2){1}", "\\Qkip848-1\\E", "[[:alnum:]]+848-\\d");
    /** Not the whole of a name, or would be behind some prefix. */
    private static final List<String> PATTERNS_OF_NOTHING =
            List.of("kip848", ".*-kip848-.*", "-kip848-1", "kip848-1.", "x*", "tenant[A-Z]-kip848-1");
    private static final List<String> BAD_PATTERNS = List.of("", "(", "x)|(?:.*", "[", "*", "(?=a)", "\\1");

    static void run(ScenarioSteps steps, ScenarioClients clients) throws Exception {
        clients.createTopics(4, "kip848-1", "kip848-2");
        clients.createTopics(2, "other-848");
        clients.fill("kip848-1", 0, 5);
        clients.fill("kip848-2", 3, 5);
        members(steps, clients);
        patterns(steps, clients);
        everything(steps, clients);
        staticMembers(steps, clients);
        refused(steps, clients);
        offsets(steps, clients);
    }

    private static void members(ScenarioSteps steps, ScenarioClients clients) throws Exception {
        Admin admin = clients.admin;
        List<KafkaConsumer<String, String>> members = new ArrayList<>();
        try {
            members.add(member(clients, "kip848", "client.id", "member-1"));
            members.get(0).subscribe(List.of("kip848-1", "kip848-2"));
            steps.step("consumer group: consume", () -> ScenarioGroups.values(ScenarioClients.poll(members.get(0), 10)));
            steps.step("consumer group: commit", () -> {
                members.get(0).commitSync();
                members.get(0).commitSync(Map.of(new TopicPartition("kip848-1", 1), new OffsetAndMetadata(0, "kip848-1 has no record here")));
                return ScenarioGroups.offsets(members.get(0).committed(members.get(0).assignment()));
            });
            steps.step("consumer group: commit for a topic that is not there", () -> {
                members.get(0).commitSync(Map.of(new TopicPartition("no-such-topic", 0), new OffsetAndMetadata(3)), Duration.ofMillis(700));
                return "committed";
            });
            ScenarioGroups.settle(admin, "kip848", members);
            steps.step("consumer group: describe", () -> ScenarioGroups.describe(admin, "kip848"));
            steps.step("consumer group: describe as a classic group", () -> ScenarioGroups.describeClassic(admin, "kip848"));
            members.add(member(clients, "kip848", "client.id", "member-2"));
            members.get(1).subscribe(List.of("kip848-1", "kip848-2"));
            steps.step("consumer group: a second member joins", () -> ScenarioGroups.shares(members, 8));
            members.add(member(clients, "kip848", "client.id", "member-3"));
            members.get(2).subscribe(List.of("no-such-topic", "other-848"));
            steps.step("consumer group: a third member wants something else", () -> {
                ScenarioGroups.assignments(members, 4, 4, 2);
                return members.get(2).assignment();
            });
            steps.step("consumer group: delete subscribed offsets", () ->
                    admin.deleteConsumerGroupOffsets("kip848", Set.of(new TopicPartition("kip848-1", 0))).all());
            steps.step("consumer group: delete while it has members", () -> admin.deleteConsumerGroups(List.of("kip848")).deletedGroups());
            steps.step("consumer group: alter offsets while it has members", () ->
                    admin.alterConsumerGroupOffsets("kip848", Map.of(new TopicPartition("kip848-1", 0), new OffsetAndMetadata(1))).all());
            members.remove(2).close();
            members.remove(1).close();
            steps.step("consumer group: the others leave", () -> ScenarioGroups.assignments(members, 8));
            steps.step("consumer group: subscribe to less", () -> {
                members.get(0).subscribe(List.of("kip848-2"));
                return ScenarioGroups.assignments(members, 4);
            });
        } finally {
            members.forEach(KafkaConsumer::close);
        }
    }

    private static void patterns(ScenarioSteps steps, ScenarioClients clients) {
        for (String pattern : PATTERNS) {
            steps.step("consumer group: pattern '" + pattern + "'", () -> matches(clients, pattern));
        }
        for (String pattern : BAD_PATTERNS) {
            steps.step("consumer group: bad pattern '" + pattern + "'", () -> matches(clients, pattern));
        }
        steps.step("consumer group: patterns of nothing", () -> matchesNothing(clients));
        steps.step("consumer group: pattern and records", () -> {
            try (KafkaConsumer<String, String> member = member(clients, "kip848-pattern", "client.id", "member-1")) {
                member.subscribe(new SubscriptionPattern("kip848-.*"));
                Object values = ScenarioGroups.values(ScenarioClients.poll(member, 10));
                member.commitSync();
                ScenarioGroups.settle(clients.admin, "kip848-pattern", List.of(member));
                return List.of(values, ScenarioGroups.describe(clients.admin, "kip848-pattern"), ScenarioGroups.offsets(clients.admin, "kip848-pattern"));
            }
        });
        steps.step("consumer group: pattern, then another, then names", () -> {
            try (KafkaConsumer<String, String> member = member(clients, "kip848-changing")) {
                List<Object> topics = new ArrayList<>();
                member.subscribe(new SubscriptionPattern("kip848-1"));
                topics.add(topics(member));
                member.subscribe(new SubscriptionPattern("kip848-2"));
                ScenarioClients.poll(List.of(member), records -> !topics(member).contains("kip848-1"));
                topics.add(topics(member));
                member.unsubscribe();
                member.subscribe(List.of("kip848-1"));
                topics.add(topics(member));
                return topics;
            }
        });
    }

    /** A broker may see topics of others: this must not reach them. */
    private static void everything(ScenarioSteps steps, ScenarioClients clients) {
        steps.step("consumer group: pattern of everything", () -> matches(clients, ".*"));
    }

    /** The topics that a new group gets for a pattern. */
    private static Object matches(ScenarioClients clients, String pattern) throws Exception {
        try (KafkaConsumer<String, String> member = member(clients, "kip848-pattern " + pattern, "client.id", "member-1")) {
            member.subscribe(new SubscriptionPattern(pattern));
            return topics(member);
        } finally {
            // Virtual clusters may refuse the pattern: no later list shows the difference.
            clients.admin.deleteConsumerGroups(List.of("kip848-pattern " + pattern)).all()
                    .toCompletionStage().exceptionally(notThere -> null).toCompletableFuture().get();
        }
    }

    /** All at once: that nothing matches is never said, so enough heartbeats must do. */
    private static Object matchesNothing(ScenarioClients clients) throws Exception {
        Map<String, KafkaConsumer<String, String>> members = new TreeMap<>();
        Map<String, Object> matches = new TreeMap<>();
        try {
            for (String pattern : PATTERNS_OF_NOTHING) {
                members.put(pattern, member(clients, "kip848-pattern " + pattern));
                members.get(pattern).subscribe(new SubscriptionPattern(pattern));
            }
            long enough = System.nanoTime() + Duration.ofMillis(2500).toNanos();
            while (System.nanoTime() < enough) {
                members.forEach((pattern, member) -> {
                    try {
                        if (!(matches.get(pattern) instanceof Exception)) {
                            member.poll(Duration.ofMillis(10));
                            matches.put(pattern, member.assignment());
                        }
                    } catch (KafkaException refused) {
                        matches.put(pattern, refused);
                    }
                });
            }
        } finally {
            members.values().forEach(KafkaConsumer::close);
        }
        return matches;
    }

    /** Of a member's assignment, which must come. */
    private static Set<String> topics(KafkaConsumer<String, String> member) throws Exception {
        ScenarioClients.poll(List.of(member), records -> !member.assignment().isEmpty());
        return member.assignment().stream().map(TopicPartition::topic).collect(Collectors.toCollection(TreeSet::new));
    }

    private static void staticMembers(ScenarioSteps steps, ScenarioClients clients) throws Exception {
        String[] config = {"client.id", "static", "group.instance.id", "instance"};
        KafkaConsumer<String, String> member = member(clients, "kip848-static", config);
        member.subscribe(List.of("kip848-1"));
        steps.step("consumer group: a static member joins", () -> ScenarioGroups.assignments(List.of(member), 4));
        try (KafkaConsumer<String, String> second = member(clients, "kip848-static", config)) {
            second.subscribe(List.of("kip848-1"));
            steps.step("consumer group: a second one with the same instance id", () -> ScenarioGroups.assignments(List.of(second), 4));
        }
        member.close();
        steps.step("consumer group: a static member stays when it closes", () -> ScenarioGroups.describe(clients.admin, "kip848-static"));
        try (KafkaConsumer<String, String> again = member(clients, "kip848-static", config)) {
            again.subscribe(List.of("kip848-1"));
            steps.step("consumer group: a static member returns", () -> ScenarioGroups.assignments(List.of(again), 4));
        }
    }

    private static void refused(ScenarioSteps steps, ScenarioClients clients) {
        steps.step("consumer group '': subscribe", () -> {
            try (KafkaConsumer<String, String> member = member(clients, "")) {
                member.subscribe(List.of("kip848-1"));
                return ScenarioClients.poll(member, 1);
            }
        });
        steps.step("consumer group: an assignor that is not there", () -> {
            try (KafkaConsumer<String, String> member = member(clients, "kip848-assignor", "group.remote.assignor", "nobody")) {
                member.subscribe(List.of("kip848-1"));
                return ScenarioClients.poll(member, 1);
            }
        });
        steps.step("consumer group: the range assignor", () -> {
            try (KafkaConsumer<String, String> member = member(clients, "kip848-assignor", "group.remote.assignor", "range")) {
                member.subscribe(List.of("kip848-1"));
                return ScenarioGroups.assignments(List.of(member), 4);
            }
        });
        for (String topic : List.of("with space", "x".repeat(300))) {
            steps.step("consumer group: subscribe to " + ScenarioText.shortened(topic), () -> {
                try (KafkaConsumer<String, String> member = member(clients, "kip848-bad-topic")) {
                    member.subscribe(List.of(topic, "kip848-1"));
                    return ScenarioGroups.assignments(List.of(member), 4);
                }
            });
        }
    }

    private static void offsets(ScenarioSteps steps, ScenarioClients clients) throws Exception {
        Admin admin = clients.admin;
        TopicPartition partition = new TopicPartition("kip848-1", 2);
        steps.step("consumer group: list all offsets", () -> ScenarioGroups.offsets(admin, "kip848"));
        steps.step("consumer group: alter offsets", () ->
                admin.alterConsumerGroupOffsets("kip848", Map.of(partition, new OffsetAndMetadata(0, "altered"))).partitionResult(partition));
        steps.step("consumer group: delete offsets", () ->
                admin.deleteConsumerGroupOffsets("kip848", Set.of(new TopicPartition("kip848-2", 0))).all());
        steps.step("consumer group: list offsets after that", () -> ScenarioGroups.offsets(admin, "kip848"));
        steps.step("consumer group: a classic member joins the empty group", () -> {
            try (KafkaConsumer<String, String> member = clients.consumer("kip848", "client.id", "classic")) {
                member.subscribe(List.of("kip848-1"));
                return ScenarioGroups.assignments(List.of(member), 4);
            }
        });
        steps.step("listGroups of the new type", () ->
                ScenarioGroups.list(admin, new ListGroupsOptions().withTypes(Set.of(GroupType.CONSUMER))).keySet());
        steps.step("deleteConsumerGroups of the new type", () -> admin.deleteConsumerGroups(List.of("kip848-static", "kip848-changing")).deletedGroups());
    }

    private static KafkaConsumer<String, String> member(ScenarioClients clients, String group, String... config) {
        List<String> all = new ArrayList<>(List.of(config));
        all.addAll(List.of("group.protocol", "consumer"));
        return clients.consumer(group, all.toArray(String[]::new));
    }
}
