//! What operators ask for in `spec.virtualization`: one virtual cluster with each set of options, on a Kafka of their own.
//!
//! Java's part is `Options.java`, one run for each virtual cluster; what came of its steps is here. It also looks past the
//! gateway, as the operator does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;
use std::sync::{OnceLock, RwLockReadGuard};
use std::time::Duration;

use bifrost_core::protocol::ApiKey;
use bifrost_e2e::clients::{Clients, Family};
use bifrost_e2e::gateway::{GATEWAY_IP, Gateway, VirtualCluster};
use bifrost_e2e::kafka::{BROKER_IP, Extra, Kafka, Version};
use bifrost_e2e::run_dir::RunDir;
use bifrost_e2e::tap::Tap;
use bifrost_e2e::wait;
use serde_json::{Value, json};

use crate::fixture::{TAP_IP, beside_others, tools};
use crate::isolation::caller::{Caller, Outcome, all, errors, texts};
use crate::isolation::victim::records;

/// Positions in the gateway's document.
const ALPHA: usize = 0;
const BETA: usize = 1;
const GAMMA: usize = 2;
const DELTA: usize = 3;
const EPSILON: usize = 4;

/// What Java does in each.
const PARTS: [&str; 4] =
    ["shared,read-only,cluster-id,client-ids", "not-shared,creation,cluster-id", "topics-only", "groups-only"];

/// Everything but bounds. Its client ids have another prefix than its names: members of classic groups see it, because brokers
/// make member ids out of client ids.
const ALPHA_OPTIONS: &str = "  virtualization:
    topicPrefix: alpha-
    groupPrefix: alpha-
    transactionIdPrefix: alpha-
    clientIdPrefix: quota/
    clusterId: virtual-one
    sharedTopics:
    - { topic: reference.countries, as: countries }
    - { topic: public.events, as: events, access: readWrite }
    - { topic: clicks, access: readWrite }
    sharesNamesWith: [gamma, delta]
";

const BETA_OPTIONS: &str = "  virtualization:
    topicPrefix: beta-
    groupPrefix: beta-
    transactionIdPrefix: beta-
    topicCreation:
      autoCreate: false
      partitionsMax: 4
      replicationFactorMax: 1
      configs: [retention.ms, cleanup.policy]
    sharesNamesWith: [gamma, delta]
";

/// Empty prefixes begin all others, so everybody has to agree.
const GAMMA_OPTIONS: &str =
    "  virtualization: { topicPrefix: gamma-, sharesNamesWith: [alpha, beta, delta, epsilon] }\n";

const DELTA_OPTIONS: &str =
    "  virtualization: { groupPrefix: delta-, sharesNamesWith: [alpha, beta, gamma, epsilon] }\n";

/// Is promised topics that are not there yet.
const EPSILON_OPTIONS: &str = "  virtualization:
    topicPrefix: epsilon-
    groupPrefix: epsilon-
    transactionIdPrefix: epsilon-
    sharedTopics: [{ topic: reference.later, as: later }, { topic: reference.inner, as: inner },
      { topic: reference.missing, as: missing }, { topic: public.compacted, as: compacted, access: readWrite }]
    sharesNamesWith: [gamma, delta]
";

/// Of the brokers, and what `alpha` is shown in its place.
const CLUSTER_ID: &str = "bifrostE2eCluster00001";
const VIRTUAL_ID: &str = "virtual-one";

/// What the operator shares: physical name, records. Each has two partitions. The last is not shared.
const OPERATORS_TOPICS: [(&str, &str); 4] =
    [("reference.countries", "6"), ("public.events", "0"), ("clicks", "5"), ("reference.secrets", "1")];

const PROPERTIES: &str = "auto.create.topics.enable=true
group.consumer.min.heartbeat.interval.ms=200
group.consumer.heartbeat.interval.ms=200
group.share.min.heartbeat.interval.ms=200
group.share.heartbeat.interval.ms=200
";

const NOT_THERE: i64 = 3;
const SHARED: i64 = 29;
const EXISTS: i64 = 36;
const POLICY_VIOLATION: i64 = 44;
const NOT_ATTEMPTED: i64 = 55;
const INVALID_RECORD: i64 = 87;
const REBOOTSTRAP_REQUIRED: i64 = 129;
/// The coordinator is not ready.
const LOADING: [i64; 3] = [14, 15, 16];

/// Texts of the gateway's.
const SHARED_TEXT: &str =
    "This topic is shared with this virtual cluster; it can be read, or written if it is shared so, but not changed.";
const EXISTS_TEXT: &str = "A shared topic of this virtual cluster has this name.";
const POLICY_TEXT: &str = "The topic policy of this virtual cluster does not allow this.";

// ---- Shared topics --------------------------------------------------------------------------------

#[test]
fn java_uses_shared_topics_under_the_names_they_are_shared_by() {
    let setting = setting();
    setting.expect(
        ALPHA,
        "shared",
        &[
            ("listTopics", "[clicks, countries, events, own]", ""),
            ("describeTopics", "{countries=2, events=2}", ""),
            ("describeTopics by id", "{countries=2, events=2}", ""),
            (
                "describeTopics by physical name",
                "{public.events=UnknownTopicOrPartitionException 3, reference.countries=UnknownTopicOrPartitionException 3}",
                "This server does not host this topic-partition.",
            ),
            (
                "describeTopics of what the operator does not share",
                "{reference.secrets=UnknownTopicOrPartitionException 3, secrets=UnknownTopicOrPartitionException 3}",
                "This server does not host this topic-partition.",
            ),
            ("describeConfigs", "{countries=604800000, events=604800000}", ""),
            ("listOffsets", "6", ""),
            (
                "a group subscribes, protocol classic",
                "[{countries=6, own=1}, [countries-0, countries-1, events-0, events-1, own-0], \
                 [[countries-0, countries-1, events-0, events-1, own-0]]]",
                "",
            ),
            ("its offsets, protocol classic", "{countries=6, events=0, own=1}", ""),
            (
                "its offsets as the operator sees them, protocol classic",
                "{alpha-own=1, public.events=0, reference.countries=6}",
                "",
            ),
            (
                "a group subscribes, protocol consumer",
                "[{countries=6, own=1}, [countries-0, countries-1, events-0, events-1, own-0], \
                 [[countries-0, countries-1, events-0, events-1, own-0]]]",
                "",
            ),
            ("its offsets, protocol consumer", "{countries=6, events=0, own=1}", ""),
            (
                "its offsets as the operator sees them, protocol consumer",
                "{alpha-own=1, public.events=0, reference.countries=6}",
                "",
            ),
            ("a group subscribes to a pattern, protocol classic", "{countries=6, own=1}", ""),
            // Brokers match physical names; the pattern's prefix keeps it to the tenant's own.
            ("a group subscribes to a pattern, protocol consumer", "{own=1}", ""),
            ("a share group subscribes", "[{countries=6}, [none]]", ""),
            ("alterConsumerGroupOffsets", "null", ""),
            ("listConsumerGroupOffsets", "{events-0=7''}", ""),
            ("deleteConsumerGroupOffsets", "null", ""),
            ("listConsumerGroupOffsets when they are deleted", "{}", ""),
            ("produce, idempotence true", "events-0@0", ""),
            ("produce, idempotence false", "events-0@1", ""),
            ("produce in a transaction", "{countries=1}", ""),
            ("read what was produced", "{events-0=[0 plain, 1 plain], events-1=[0 committed]}", ""),
            (
                "deleteTopics",
                "{countries=TopicAuthorizationException 29, events=TopicAuthorizationException 29}",
                SHARED_TEXT,
            ),
            (
                "deleteTopics of shared and own ones",
                "{countries=TopicAuthorizationException 29, events=TopicAuthorizationException 29, temporary=null}",
                SHARED_TEXT,
            ),
            (
                "incrementalAlterConfigs",
                "{countries=TopicAuthorizationException 29, events=TopicAuthorizationException 29}",
                SHARED_TEXT,
            ),
            (
                "createPartitions",
                "{countries=TopicAuthorizationException 29, events=TopicAuthorizationException 29}",
                "",
            ),
            // Answers to DeleteRecords have no texts; this is Java's own.
            (
                "deleteRecords",
                "{countries-0=TopicAuthorizationException 29, events-0=TopicAuthorizationException 29}",
                "Topic authorization failed.",
            ),
            (
                "createTopics, validated only",
                "{countries=TopicExistsException 36, events=TopicExistsException 36, fresh=null}",
                EXISTS_TEXT,
            ),
            (
                "createTopics",
                "{countries=TopicExistsException 36, events=TopicExistsException 36, fresh=null}",
                EXISTS_TEXT,
            ),
            (
                "createTopics called like the operator's",
                "[{reference.countries=1}, {alpha-reference.countries=1, reference.countries=2}]",
                "",
            ),
            (
                "what the operator still has",
                "{public.events=2, reference.countries=2, \
                 retention.ms={public.events=604800000, reference.countries=604800000}}",
                "",
            ),
        ],
    );
}

#[test]
fn java_is_told_that_a_topic_that_it_knows_by_id_is_only_shared() {
    let setting = setting();
    let refused = "TopicAuthorizationException 29";
    setting.expect(
        ALPHA,
        "read-only",
        &[
            ("produce, idempotence true", refused, ""),
            ("produce, idempotence false", refused, ""),
            ("produce in a transaction", refused, ""),
            ("deleteTopics by id", &format!("{{countries={refused}, events={refused}}}"), ""),
        ],
    );
}

#[test]
fn nobody_else_sees_shared_topics() {
    let setting = setting();
    setting.expect(
        BETA,
        "not-shared",
        &[
            ("listTopics", "[]", ""),
            (
                "describeTopics",
                "{countries=UnknownTopicOrPartitionException 3, events=UnknownTopicOrPartitionException 3, \
                 public.events=UnknownTopicOrPartitionException 3, reference.countries=UnknownTopicOrPartitionException 3}",
                "This server does not host this topic-partition.",
            ),
            ("createTopics called like a shared topic", "[{countries=1}, {beta-countries=1}]", ""),
            ("consume it", "{countries=2}", ""),
        ],
    );
}

#[test]
fn librdkafka_uses_shared_topics() {
    let setting = setting();
    let clients = setting.clients(ALPHA);
    let consume = |topic, count| {
        let arguments = [("topic", topic), ("group", "by-name"), ("count", count), ("timeout_ms", "30000")];
        clients.tally(Family::Librdkafka, "consume", &arguments).unwrap().count
    };
    let produce = |topic| {
        let arguments = [("topic", topic), ("count", "10"), ("size", "20"), ("config.message.timeout.ms", "10000")];
        clients.tally(Family::Librdkafka, "produce", &arguments)
    };

    assert_eq!(consume("countries", "6"), 6);
    let committed = json!({"GroupId": "by-name", "Topics": null});
    let committed = setting.caller(ALPHA).ask(ApiKey::OFFSET_FETCH, 5, &committed);
    assert_eq!(texts(&committed, "Name"), ["countries"], "{committed}");
    let sum: i64 = all(&committed, "CommittedOffset").into_iter().filter_map(Value::as_i64).sum();
    assert_eq!(sum, 6, "{committed}");

    assert_eq!(produce("clicks").unwrap().count, 10);
    assert!(consume("clicks", "15") >= 15);

    let refused = format!("{:#}", produce("countries").unwrap_err());
    assert!(refused.contains("Topic authorization failed"), "{refused}");
    setting.assert_nothing_leaks();
}

#[test]
fn every_version_reads_and_writes_shared_topics_as_they_are_shared() {
    let setting = setting();
    let mut caller = setting.caller(ALPHA);
    let id = |caller: &mut Caller, name: &str| {
        let answer = caller.ask(ApiKey::METADATA, 12, &json!({"Topics": [{"Name": name}]}));
        all(&answer, "TopicId")[0].as_str().expect("an id").to_owned()
    };
    let (countries, clicks) = (id(&mut caller, "countries"), id(&mut caller, "clicks"));

    for version in versions(&mut caller, ApiKey::METADATA, 1) {
        let answer = caller.ask(
            ApiKey::METADATA,
            version,
            &json!({"Topics": [{"Name": "countries"}, {"Name": "reference.countries"}]}),
        );
        let codes: BTreeMap<&str, i64> = answer["Topics"]
            .as_array()
            .expect("topics")
            .iter()
            .map(|topic| (topic["Name"].as_str().expect("a name"), topic["ErrorCode"].as_i64().expect("a code")))
            .collect();
        assert_eq!(codes["countries"], 0, "v{version}: {answer}");
    }
    let partitions = |fields: Value| {
        let partition = |index: i32| {
            let mut partition = fields.clone();
            partition["Partition"] = json!(index);
            partition
        };
        json!([partition(0), partition(1)])
    };
    for version in versions(&mut caller, ApiKey::FETCH, 4) {
        let fetch = json!({"MaxBytes": 1 << 20, "SessionEpoch": -1, "Topics": [
            {"Topic": "countries", "TopicId": countries, "Partitions": partitions(json!({"PartitionMaxBytes": 1 << 20}))}]});
        let answer = caller.ask(ApiKey::FETCH, version, &fetch);
        assert!(errors(&answer).iter().all(|code| *code == 0), "v{version}: {answer}");
        assert!(
            all(&answer, "Records").iter().any(|records| records.as_str().is_some_and(|r| !r.is_empty())),
            "v{version}: {answer}"
        );
        if version <= 12 {
            assert_eq!(texts(&answer, "Topic"), ["countries"], "v{version}: {answer}");
        }
    }
    for version in versions(&mut caller, ApiKey::PRODUCE, 3) {
        let topic = |name: &str, id: &str| json!({"Name": name, "TopicId": id, "PartitionData": [{"Index": 0, "Records": records(&["raw"], -1, -1, -1)}]});
        let topics = json!([topic("countries", &countries), topic("clicks", &clicks)]);
        let produce = json!({"Acks": -1, "TimeoutMs": 5000, "TopicData": topics});
        let answer = caller.ask(ApiKey::PRODUCE, version, &produce);
        let mut codes = errors(&answer);
        codes.sort_unstable();
        // By id: see `java_is_told_that_a_topic_that_it_knows_by_id_is_only_shared`.
        assert!(codes == [0, SHARED] || (version > 12 && codes[0] == 0 && codes[1] != 0), "v{version}: {answer}");

        // No answer is due; what comes next shows that this was taken, or finds the connection closed.
        let unanswered = json!({"Acks": 0, "TimeoutMs": 5000, "TopicData": [topic("countries", &countries)]});
        let unanswered = caller.frame(ApiKey::PRODUCE, version, &unanswered);
        let hello = json!({"ClientSoftwareName": "raw", "ClientSoftwareVersion": "1"});
        let hello = caller.frame(ApiKey::API_VERSIONS, 3, &hello);
        let _ = caller.send(&[unanswered, hello].concat());
    }
    for version in 0..=3 {
        let id = format!("raw-{version}");
        let find = json!({"KeyType": 1, "CoordinatorKeys": [id]});
        caller.ask_until(ApiKey::FIND_COORDINATOR, 4, &find, |answer| errors(answer) == [0]);
        let init = json!({"TransactionalId": id, "TransactionTimeoutMs": 5000});
        let producer = caller.ask_until(ApiKey::INIT_PRODUCER_ID, 2, &init, |answer| errors(answer) == [0]);
        let add = json!({"V3AndBelowTransactionalId": id, "V3AndBelowProducerId": producer["ProducerId"],
            "V3AndBelowProducerEpoch": producer["ProducerEpoch"], "V3AndBelowTopics": [
                {"Name": "countries", "Partitions": [0]}, {"Name": "clicks", "Partitions": [0]}]});
        let answer = caller.ask(ApiKey::ADD_PARTITIONS_TO_TXN, version, &add);
        let mut codes = errors(&answer);
        codes.sort_unstable();
        assert_eq!(codes, [SHARED, NOT_ATTEMPTED], "v{version}: {answer}");
    }
    for version in versions(&mut caller, ApiKey::OFFSET_COMMIT, 2) {
        let commit = json!({"GroupId": "raw", "Topics": [{"Name": "countries", "TopicId": countries,
            "Partitions": [{"PartitionIndex": 1, "CommittedOffset": version}]}]});
        let answer = caller.ask_until(ApiKey::OFFSET_COMMIT, version, &commit, |answer| errors(answer) == [0]);
        assert_eq!(errors(&answer), [0], "v{version}: {answer}");
    }
    for version in versions(&mut caller, ApiKey::OFFSET_FETCH, 2) {
        let fetch = json!({"GroupId": "raw", "Topics": null, "Groups": [{"GroupId": "raw", "Topics": null}]});
        let answer = caller.ask(ApiKey::OFFSET_FETCH, version, &fetch);
        assert_eq!(all(&answer, "CommittedOffset").len(), 1, "v{version}: {answer}");
        let (name, by_id) = (texts(&answer, "Name"), texts(&answer, "TopicId"));
        assert!(name == ["countries"] || by_id == [&*countries], "v{version}: {answer}");
    }
    let ends = json!({"Topics": [{"Name": "reference.countries", "Partitions": [
        {"PartitionIndex": 0, "Timestamp": -1}, {"PartitionIndex": 1, "Timestamp": -1}]}]});
    let ends = setting.direct().ask(ApiKey::LIST_OFFSETS, 5, &ends);
    let sum: i64 = all(&ends, "Offset").into_iter().filter_map(Value::as_i64).sum();
    assert_eq!(sum, 6, "nothing was written: {ends}");
    setting.assert_nothing_leaks();
}

#[test]
fn no_version_changes_a_shared_topic() {
    let setting = setting();
    let mut caller = setting.caller(ALPHA);
    for name in ["countries", "events"] {
        let requests = [
            (
                ApiKey::CREATE_TOPICS,
                EXISTS,
                json!({"Topics": [{"Name": name, "NumPartitions": 1, "ReplicationFactor": 1}]}),
            ),
            (
                ApiKey::DELETE_TOPICS,
                SHARED,
                json!({"Topics": [{"Name": name}], "TopicNames": [name], "TimeoutMs": 1000}),
            ),
            (
                ApiKey::CREATE_PARTITIONS,
                SHARED,
                json!({"Topics": [{"Name": name, "Count": 7, "Assignments": null}], "TimeoutMs": 1000}),
            ),
            (
                ApiKey::DELETE_RECORDS,
                SHARED,
                json!({"Topics": [{"Name": name, "Partitions": [{"PartitionIndex": 0, "Offset": 1}]}], "TimeoutMs": 1000}),
            ),
            (
                ApiKey::ALTER_CONFIGS,
                SHARED,
                json!({"Resources": [{"ResourceType": 2, "ResourceName": name, "Configs": [{"Name": "retention.ms", "Value": "1"}]}]}),
            ),
            (
                ApiKey::INCREMENTAL_ALTER_CONFIGS,
                SHARED,
                json!({"Resources": [{"ResourceType": 2, "ResourceName": name, "Configs": [{"Name": "retention.ms", "Value": "1"}]}]}),
            ),
        ];
        for (key, code, body) in requests {
            for version in versions(&mut caller, key, 0) {
                let answer = caller.ask(key, version, &body);
                assert_eq!(errors(&answer), [code], "{key} v{version} of {name}: {answer}");
            }
        }
    }
    setting.assert_nothing_leaks();
}

#[test]
fn asking_for_a_shared_topic_does_not_create_it() {
    let setting = setting();
    let ask = json!({"Topics": [{"Name": "later"}], "AllowAutoTopicCreation": true});
    assert_eq!(*versions(&mut setting.caller(EPSILON), ApiKey::METADATA, 0).start(), 4, "older requests always create");
    for version in [4, 8, 12] {
        setting.caller(EPSILON).ask(ApiKey::METADATA, version, &ask);
    }
    setting.assert_never_created("reference.later");
}

#[test]
fn a_streams_group_does_not_create_a_shared_topic() {
    let setting = setting();
    let source = json!({"Topics": [{"Name": "source", "NumPartitions": 1, "ReplicationFactor": 1}], "timeoutMs": 5000});
    setting.caller(EPSILON).ask(ApiKey::CREATE_TOPICS, 7, &source);
    let mut caller = setting.caller(EPSILON);
    let mut join = |internal: &str| {
        let topic = json!({"Name": internal, "Partitions": 1, "ReplicationFactor": 1});
        let mut join = streams_heartbeat("source", topic);
        join["GroupId"] = json!(format!("makes-{internal}"));
        caller.ask_until(ApiKey::STREAMS_GROUP_HEARTBEAT, 0, &join, |answer| !LOADING.contains(&errors(answer)[0]))
    };

    // What is not shared is made, once the coordinator knows the source.
    let made = wait::until("an internal topic is made", Duration::from_secs(10), || {
        join("other-inner");
        Ok(setting.topics_of_the_broker().contains(&"epsilon-other-inner".to_owned()).then_some(()))
    });
    made.unwrap();
    join("inner");
    setting.assert_never_created("reference.inner");
}

#[test]
fn why_records_are_rejected_is_said_with_the_name_that_the_topic_is_shared_by() {
    let setting = setting();
    let compacted = json!({"Topics": [{"Name": "public.compacted", "NumPartitions": 1, "ReplicationFactor": 1,
        "Configs": [{"Name": "cleanup.policy", "Value": "compact"}]}], "timeoutMs": 5000});
    setting.direct().ask(ApiKey::CREATE_TOPICS, 7, &compacted);
    let mut caller = setting.caller(EPSILON);
    for version in 8..=12 {
        // Without a key.
        let produce = json!({"Acks": -1, "TimeoutMs": 5000, "TopicData": [{"Name": "compacted", "PartitionData": [
            {"Index": 0, "Records": records(&["raw"], -1, -1, -1)}]}]});
        let answer = caller.ask_until(ApiKey::PRODUCE, version, &produce, |answer| errors(answer) == [INVALID_RECORD]);
        assert!(!answer.to_string().contains("public."), "v{version}: {answer}");
    }
}

#[test]
fn what_a_streams_group_lacks_is_said_with_the_name_that_the_topic_is_shared_by() {
    let setting = setting();
    let mut join =
        streams_heartbeat("missing", json!({"Name": "missing-too", "Partitions": 1, "ReplicationFactor": 1}));
    join["GroupId"] = json!("lacks");
    let ready = |answer: &Value| !LOADING.contains(&errors(answer)[0]);
    let answer = setting.caller(EPSILON).ask_until(ApiKey::STREAMS_GROUP_HEARTBEAT, 0, &join, ready);
    assert!(!answer.to_string().contains("reference."), "{answer}");
}

#[test]
fn a_refusal_has_a_text_where_brokers_give_none() {
    let setting = setting();
    for (virtual_cluster, text) in [(ALPHA, SHARED_TEXT), (BETA, POLICY_TEXT)] {
        let mut caller = setting.caller(virtual_cluster);
        for version in versions(&mut caller, ApiKey::CREATE_PARTITIONS, 0) {
            let grow = json!({"Topics": [{"Name": "countries", "Count": 5, "Assignments": null}], "TimeoutMs": 1000});
            let answer = caller.ask(ApiKey::CREATE_PARTITIONS, version, &grow);
            assert_eq!(texts(&answer, "ErrorMessage"), [text], "v{version}: {answer}");
        }
    }
    let mut caller = setting.caller(ALPHA);
    for version in 8..=12 {
        let produce = json!({"Acks": -1, "TimeoutMs": 5000, "TopicData": [{"Name": "countries", "PartitionData": [
            {"Index": 0, "Records": records(&["raw"], -1, -1, -1)}]}]});
        let answer = caller.ask(ApiKey::PRODUCE, version, &produce);
        assert_eq!(texts(&answer, "ErrorMessage"), [SHARED_TEXT], "v{version}: {answer}");
    }
}

// ---- Creation of topics ---------------------------------------------------------------------------

#[test]
fn java_creates_and_changes_topics_within_bounds_only() {
    let setting = setting();
    let refused = "PolicyViolationException 44";
    setting.expect(
        BETA,
        "creation",
        &[
            ("createTopics within bounds", "{four=null}", ""),
            ("createTopics with the broker's defaults", "{defaults=null}", ""),
            ("createTopics with 5 partitions", &format!("{{five={refused}}}"), POLICY_TEXT),
            ("createTopics with 2 replicas", &format!("{{replicas={refused}}}"), POLICY_TEXT),
            ("createTopics with another config", &format!("{{segments={refused}}}"), POLICY_TEXT),
            ("createTopics with assignments", &format!("{{assigned={refused}}}"), POLICY_TEXT),
            ("createTopics, some within bounds", &format!("{{first=null, five={refused}, last=null}}"), POLICY_TEXT),
            ("createTopics with 5 partitions, validated only", &format!("{{five={refused}}}"), POLICY_TEXT),
            ("createPartitions up to 4", "{first=null}", ""),
            ("createPartitions up to 5", &format!("{{first={refused}, four={refused}}}"), ""),
            ("createPartitions with assignments", &format!("{{defaults={refused}}}"), ""),
            ("incrementalAlterConfigs of what may be set", "{four=null}", ""),
            ("incrementalAlterConfigs of what may not", &format!("{{four={refused}, last={refused}}}"), POLICY_TEXT),
            ("incrementalAlterConfigs of both", &format!("{{four={refused}}}"), POLICY_TEXT),
            ("incrementalAlterConfigs, back to the default", &format!("{{four=null, last={refused}}}"), POLICY_TEXT),
            ("incrementalAlterConfigs of a group", "{sharers=null}", ""),
            ("describeConfigs", "{four=2000}", ""),
            (
                "produce to a topic that is not there",
                "TimeoutException 7",
                "Topic by-producer not present in metadata after 1500 ms.",
            ),
            ("consume from a topic that is not there", "[]", ""),
            (
                "topics as the operator sees them",
                "{beta-countries=1, beta-defaults=1, beta-first=4, beta-four=4, beta-last=4}",
                "",
            ),
        ],
    );
}

#[test]
fn every_version_creates_and_changes_topics_within_bounds_only() {
    let setting = setting();
    let mut caller = setting.caller(BETA);
    let create = |name: &str, partitions: i32, replicas: i32, config: Option<&str>| {
        let configs: Vec<Value> = config.into_iter().map(|name| json!({"Name": name, "Value": "86400000"})).collect();
        json!({"Topics": [{"Name": name, "NumPartitions": partitions, "ReplicationFactor": replicas, "Configs": configs}],
            "timeoutMs": 5000, "validateOnly": true})
    };
    for version in versions(&mut caller, ApiKey::CREATE_TOPICS, 1) {
        for (body, code) in [
            (create("raw", 4, 1, Some("retention.ms")), 0),
            (create("raw", 5, 1, None), POLICY_VIOLATION),
            (create("raw", i32::MAX, 1, None), POLICY_VIOLATION),
            (create("raw", 1, 2, None), POLICY_VIOLATION),
            (create("raw", 1, 1, Some("segment.ms")), POLICY_VIOLATION),
        ] {
            let answer = caller.ask(ApiKey::CREATE_TOPICS, version, &body);
            assert_eq!(errors(&answer), [code], "v{version} {body}: {answer}");
        }
    }
    // Each of these replaces all configs.
    for version in versions(&mut caller, ApiKey::ALTER_CONFIGS, 0) {
        let answer = caller.ask(ApiKey::ALTER_CONFIGS, version, &json!({"Resources": [
            {"ResourceType": 2, "ResourceName": "no-such-topic", "Configs": [{"Name": "retention.ms", "Value": "1"}]},
            {"ResourceType": 2, "ResourceName": "no-such-topic-2", "Configs": [{"Name": "retention.ms", "Value": "1"}, {"Name": "segment.ms", "Value": "1"}]}]}));
        let mut codes = errors(&answer);
        codes.sort_unstable();
        assert_eq!(codes, [NOT_THERE, POLICY_VIOLATION], "v{version}: {answer}");
    }
    setting.assert_nothing_leaks();
}

#[test]
fn internal_topics_of_streams_groups_keep_to_the_bounds() {
    let setting = setting();
    let mut caller = setting.caller(BETA);
    let join = |partitions: i32, replicas: i32, config: &str| {
        let inner = json!({"Name": "app-inner-repartition", "Partitions": partitions, "ReplicationFactor": replicas,
            "TopicConfigs": [{"Key": config, "Value": "1000"}]});
        streams_heartbeat("streams-source", inner)
    };
    for version in versions(&mut caller, ApiKey::STREAMS_GROUP_HEARTBEAT, 0) {
        for (body, code) in [
            (join(5, 1, "retention.ms"), POLICY_VIOLATION),
            (join(4, 2, "retention.ms"), POLICY_VIOLATION),
            (join(4, 1, "segment.ms"), POLICY_VIOLATION),
            (join(4, 1, "retention.ms"), 0),
        ] {
            let answer =
                caller.ask_until(ApiKey::STREAMS_GROUP_HEARTBEAT, version, &body, |answer| errors(answer)[0] == code);
            assert_eq!(errors(&answer)[0], code, "v{version} {body}: {answer}");
        }
    }
    setting.assert_nothing_leaks();
}

#[test]
fn without_auto_create_nobody_makes_a_topic_by_asking_for_it() {
    let setting = setting();
    let mut caller = setting.caller(BETA);
    assert_eq!(*versions(&mut caller, ApiKey::METADATA, 0).start(), 4, "older requests always create");
    for version in 0..=13 {
        let ask = json!({"Topics": [{"Name": format!("by-metadata-{version}")}], "AllowAutoTopicCreation": true});
        let frame = caller.frame(ApiKey::METADATA, version, &ask);
        match caller.send(&frame) {
            Outcome::Answered(answer) if version >= 4 => {
                let answer = caller.read(ApiKey::METADATA, version, &answer);
                assert_eq!(answer["Topics"][0]["ErrorCode"], NOT_THERE, "v{version}: {answer}");
            }
            _ => assert!(version < 4, "v{version}"),
        }
    }
    let hasty = [
        ("count", "1"),
        ("size", "10"),
        ("config.topic.metadata.propagation.max.ms", "500"),
        ("config.message.timeout.ms", "3000"),
    ];
    let produce = |virtual_cluster, topic| {
        let arguments = [&[("topic", topic)][..], &hasty].concat();
        setting.clients(virtual_cluster).tally(Family::Librdkafka, "produce", &arguments)
    };
    let refused = format!("{:#}", produce(BETA, "by-librdkafka").unwrap_err());
    assert!(refused.contains("Unknown topic"), "{refused}");
    let consume = [
        ("topic", "by-consuming-librdkafka"),
        ("group", "hopeful-2"),
        ("count", "1"),
        ("timeout_ms", "1000"),
        ("config.allow.auto.create.topics", "true"),
    ];
    assert_eq!(setting.clients(BETA).tally(Family::Librdkafka, "consume", &consume).unwrap().count, 0);

    // Where it is not forbidden, the same makes a topic.
    assert_eq!(produce(GAMMA, "by-librdkafka").unwrap().count, 1);
    let topics = setting.topics_of_the_broker();
    assert!(topics.iter().any(|topic| topic == "gamma-by-librdkafka"), "{topics:?}");
    assert!(!topics.iter().any(|topic| topic.contains("beta-by-")), "{topics:?}");
    setting.assert_nothing_leaks();
}

// ---- Ids of cluster and clients -------------------------------------------------------------------

#[test]
fn clients_are_shown_the_virtual_cluster_id() {
    let setting = setting();
    for (virtual_cluster, id) in [(ALPHA, VIRTUAL_ID), (BETA, CLUSTER_ID)] {
        setting.expect(
            virtual_cluster,
            "cluster-id",
            &[("describeCluster", id, ""), ("a consumer's cluster", id, ""), ("the cluster's nodes", "[node 1]", "")],
        );
        let mut caller = setting.caller(virtual_cluster);
        for (key, from, body) in
            [(ApiKey::METADATA, 2, json!({"Topics": []})), (ApiKey::DESCRIBE_CLUSTER, 0, json!({"EndpointType": 1}))]
        {
            for version in versions(&mut caller, key, from) {
                let answer = caller.ask(key, version, &body);
                assert_eq!(texts(&answer, "ClusterId"), [id], "{key} v{version}: {answer}");
            }
        }
    }
}

/// KIP-1242: clients tell which cluster and node they expect. Brokers take neither alone.
#[test]
fn a_client_that_expects_another_cluster_has_to_bootstrap_again() {
    let setting = setting();
    for (virtual_cluster, shown) in [(ALPHA, VIRTUAL_ID), (BETA, CLUSTER_ID)] {
        assert_eq!(setting.expecting_cluster(virtual_cluster, shown), 0, "{shown}");
        for other in ["virtual-two", ""] {
            assert_eq!(setting.expecting_cluster(virtual_cluster, other), REBOOTSTRAP_REQUIRED, "'{other}'");
        }
    }
    assert_eq!(setting.expecting_cluster(BETA, VIRTUAL_ID), REBOOTSTRAP_REQUIRED);
}

#[test]
fn where_another_cluster_id_is_shown_the_real_one_is_not_accepted() {
    assert_eq!(setting().expecting_cluster(ALPHA, CLUSTER_ID), REBOOTSTRAP_REQUIRED);
}

#[test]
fn brokers_see_client_ids_behind_their_prefix() {
    let setting = setting();
    setting.expect(
        ALPHA,
        "client-ids",
        &[
            ("client ids, protocol classic", "[[watcher], [quota/watcher]]", ""),
            ("client ids, protocol consumer", "[[watcher], [quota/watcher]]", ""),
            ("client ids in a share group", "[[watcher], [quota/watcher]]", ""),
        ],
    );
    let member = [("topic", "clicks"), ("group", "watchers-librdkafka")];
    let mut member = setting.clients(ALPHA).start(Family::Librdkafka, "member", &member).unwrap();
    member.next(Duration::from_secs(30)).unwrap();
    assert_eq!(setting.client_ids("watchers-librdkafka"), ["librdkafka", "quota/librdkafka"]);
}

#[test]
fn a_client_without_an_id_gets_the_prefix_too() {
    let setting = setting();
    for (group, length) in [("nameless", [0, 0]), ("idless", [0xff, 0xff])] {
        let join = json!({"GroupId": group, "SessionTimeoutMs": 30_000, "RebalanceTimeoutMs": 30_000, "MemberId": "",
            "ProtocolType": "other", "Protocols": [{"Name": "any", "Metadata": ""}]});
        let mut caller = Caller::new((GATEWAY_IP, setting.gateway.port(ALPHA)), "");
        let joined = wait::until("the group is joined", Duration::from_secs(20), || {
            let mut frame = caller.frame(ApiKey::JOIN_GROUP, 3, &join);
            frame[12..14].copy_from_slice(&length);
            let Outcome::Answered(answer) = caller.send(&frame) else { panic!("{group} was not answered") };
            let answer = caller.read(ApiKey::JOIN_GROUP, 3, &answer);
            Ok((errors(&answer) == [0]).then_some(()))
        });
        joined.unwrap();
        assert_eq!(setting.client_ids(group), ["", "quota/"], "{group}");
    }
}

// ---- One prefix and no other ----------------------------------------------------------------------

#[test]
fn with_a_topic_prefix_only_all_other_names_pass_as_they_are() {
    let setting = setting();
    setting.expect(
        GAMMA,
        "topics-only",
        &[
            ("a group, protocol classic", "{solo-0=2''}", ""),
            ("a group, protocol consumer", "{solo-0=2''}", ""),
            ("a transaction", "committed", ""),
            (
                "topics as the operator sees them",
                "{gamma-solo=1, solo=UnknownTopicOrPartitionException 3}",
                "This server does not host this topic-partition.",
            ),
            ("offsets as the operator sees them", "{gamma-solo-0=2''}", ""),
            ("client ids as the operator sees them", "[watcher]", ""),
            ("transactions as the operator sees them", "[solo-ledger]", ""),
            // Without what the group read in topics of others.
            ("offsets of a group of the operator's", "{solo-0=1''}", ""),
            ("groups", "[solo-operators, solo-readers, solo-watchers]", ""),
            ("a topic that is created by itself", "[by-producer-0@0, {gamma-by-producer=1}]", ""),
        ],
    );
}

#[test]
fn with_a_group_prefix_only_all_other_names_pass_as_they_are() {
    let setting = setting();
    setting.expect(
        DELTA,
        "groups-only",
        &[
            ("a group, protocol classic", "{plain-0=2''}", ""),
            ("a group, protocol consumer", "{plain-0=2''}", ""),
            ("a transaction", "committed", ""),
            (
                "topics as the operator sees them",
                "{delta-plain=UnknownTopicOrPartitionException 3, plain=1}",
                "This server does not host this topic-partition.",
            ),
            ("offsets as the operator sees them", "{plain-0=2''}", ""),
            ("client ids as the operator sees them", "[watcher]", ""),
            ("transactions as the operator sees them", "[plain-ledger]", ""),
            ("topics of others", "{reference.countries=2}", ""),
            ("groups", "[plain-readers, plain-watchers]", ""),
            ("deleteTopics by id", "null", ""),
        ],
    );
}

// ---- Documents ------------------------------------------------------------------------------------

#[test]
fn prefixes_that_overlap_are_refused_with_both_names() {
    let tools = tools();
    let folder = RunDir::create(&tools, "operator-options").unwrap().folder("overlap").unwrap();
    for (name, port, prefix) in [("payments", 9093, "pay-"), ("payroll", 9293, "pay-roll-")] {
        let document = format!(
            "apiVersion: gateway.corp/v1alpha1
kind: KafkaVirtualCluster
metadata: {{ name: {name} }}
spec:
  listener: {{ bind: 127.0.0.1, port: {port}, advertisedHost: localhost }}
  targetCluster: {{ bootstrapServers: kafka:9092 }}
  virtualization: {{ topicPrefix: {prefix}, groupPrefix: {name}-, transactionIdPrefix: {name}- }}
"
        );
        std::fs::write(folder.join(format!("{name}.yaml")), document).unwrap();
    }

    let output = Command::new(&tools.bifrost).arg("validate").arg("-f").arg(&folder).output().unwrap();

    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    for part in ["'pay-' of virtual cluster 'payments'", "'pay-roll-', the topicPrefix of virtual cluster 'payroll'"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!text.contains("groupPrefix"), "{text}");
}

// ---- The setting ----------------------------------------------------------------------------------

struct Setting {
    kafka: Kafka,
    gateway: Gateway,
    /// Past the gateway.
    operator: Clients,
    /// Before `alpha` and `beta`.
    taps: [Tap; 2],
    /// What came of Java's steps, by virtual cluster.
    steps: [OnceLock<Vec<Step>>; 4],
}

#[derive(Debug)]
struct Step {
    part: String,
    name: String,
    result: String,
    /// Of the errors in the result, each once.
    messages: Vec<String>,
}

/// The setting, which all tests here use at the same time.
struct Turn {
    setting: &'static Setting,
    _guard: RwLockReadGuard<'static, ()>,
}

impl std::ops::Deref for Turn {
    type Target = Setting;

    fn deref(&self) -> &Setting {
        self.setting
    }
}

fn setting() -> Turn {
    static SETTING: OnceLock<Setting> = OnceLock::new();
    let guard = beside_others();
    Turn { setting: SETTING.get_or_init(Setting::start), _guard: guard }
}

impl Setting {
    fn start() -> Setting {
        let tools = tools();
        let run = RunDir::create(&tools, "operator-options").unwrap();
        let extra = Extra { properties: PROPERTIES, ..Extra::default() };
        let kafka = Kafka::start_with(&tools, &run, Version::V4_4, 1, extra).unwrap();
        let servers = kafka.bootstrap_servers();
        let tapped = |name, options| VirtualCluster::new(name, &servers).advertised(TAP_IP).more(options);
        let virtual_clusters = [
            tapped("alpha", ALPHA_OPTIONS),
            tapped("beta", BETA_OPTIONS),
            VirtualCluster::new("gamma", &servers).more(GAMMA_OPTIONS),
            VirtualCluster::new("delta", &servers).more(DELTA_OPTIONS),
            VirtualCluster::new("epsilon", &servers).more(EPSILON_OPTIONS),
        ];
        let gateway = Gateway::start(&tools, &run, "gateway", &virtual_clusters).unwrap();
        let tap = |virtual_cluster, hidden: [&str; 3]| {
            let hidden = hidden.map(str::to_owned);
            Tap::start(TAP_IP, GATEWAY_IP, gateway.all_ports(virtual_cluster), &hidden).unwrap()
        };
        let broker = BROKER_IP.to_string();
        let taps = [tap(ALPHA, ["alpha-", CLUSTER_ID, &broker]), tap(BETA, ["beta-", "alpha-", &broker])];
        let operator = Clients::new(&tools, &run, servers).unwrap();
        for (topic, count) in OPERATORS_TOPICS {
            operator.run(Family::Librdkafka, "create-topic", &[("topic", topic), ("partitions", "2")]).unwrap();
            let produce = [("topic", topic), ("count", count), ("size", "10")];
            operator.run(Family::Librdkafka, "produce", &produce).unwrap();
        }
        let setting = Setting { kafka, gateway, operator, taps, steps: Default::default() };
        // Makes the broker's own topics, which nothing else does for a group that is joined without asking where.
        let find = json!({"KeyType": 0, "CoordinatorKeys": ["any"]});
        setting.direct().ask_until(ApiKey::FIND_COORDINATOR, 4, &find, |answer| errors(answer) == [0]);
        setting
    }

    /// Clients of a virtual cluster.
    fn clients(&self, virtual_cluster: usize) -> Clients {
        let host = if virtual_cluster < self.taps.len() { TAP_IP } else { GATEWAY_IP };
        self.operator.at(format!("{host}:{}", self.gateway.port(virtual_cluster)))
    }

    /// Bare frames, through a virtual cluster and its tap.
    fn caller(&self, virtual_cluster: usize) -> Caller {
        let host = if virtual_cluster < self.taps.len() { TAP_IP } else { GATEWAY_IP };
        Caller::new((host, self.gateway.port(virtual_cluster)), "raw")
    }

    /// Bare frames past the gateway.
    fn direct(&self) -> Caller {
        let address = self.kafka.addresses()[0];
        Caller::new((*address.ip(), address.port()), "operator")
    }

    fn topics_of_the_broker(&self) -> Vec<String> {
        texts(&self.direct().ask(ApiKey::METADATA, 12, &json!({"Topics": null})), "Name")
    }

    /// What a client is told that expects this cluster.
    fn expecting_cluster(&self, virtual_cluster: usize, id: &str) -> i64 {
        let hello = json!({"ClientSoftwareName": "raw", "ClientSoftwareVersion": "1", "ClusterId": id, "NodeId": 1});
        errors(&self.caller(virtual_cluster).ask(ApiKey::API_VERSIONS, 5, &hello))[0]
    }

    /// The client id of the only member of a classic group of `alpha`, as `alpha` sees it and as the operator does.
    fn client_ids(&self, group: &str) -> [String; 2] {
        [(self.caller(ALPHA), group.to_owned()), (self.direct(), format!("alpha-{group}"))].map(
            |(mut caller, group)| {
                let answer = caller.ask(ApiKey::DESCRIBE_GROUPS, 5, &json!({"Groups": [group]}));
                let [id] = <[String; 1]>::try_from(texts(&answer, "ClientId")).expect("one member");
                id
            },
        )
    }

    /// Takes the steps of `Options.java` in a virtual cluster, unless another test has done it, and compares those of a part
    /// with name, result and error message; and no tenant has seen what it must not.
    fn expect(&self, virtual_cluster: usize, part: &str, expected: &[(&str, &str, &str)]) {
        let steps = self.steps[virtual_cluster].get_or_init(|| self.take_steps(virtual_cluster));
        let steps: Vec<&Step> = steps.iter().filter(|step| step.part == part).collect();
        let mut report = String::new();
        for (step, (name, result, message)) in steps.iter().zip(expected) {
            let messages: &[&str] = if message.is_empty() { &[] } else { &[message] };
            if step.name != *name || step.result != *result || (!message.is_empty() && step.messages != messages) {
                let _ = write!(report, "\n{name}: {result} {messages:?}\n     got {step:?}");
            }
        }
        assert!(report.is_empty() && steps.len() == expected.len(), "{} steps:{report}", steps.len());
        self.assert_nothing_leaks();
    }

    /// Not even a while after it was asked for.
    fn assert_never_created(&self, topic: &str) {
        std::thread::sleep(Duration::from_millis(500));
        let topics = self.topics_of_the_broker();
        assert!(!topics.iter().any(|other| other == topic), "{topics:?}");
    }

    fn take_steps(&self, virtual_cluster: usize) -> Vec<Step> {
        let direct = self.kafka.bootstrap_servers();
        let arguments = [("parts", PARTS[virtual_cluster]), ("direct", &*direct), ("forbidden", "alpha-,beta-")];
        let report = self.clients(virtual_cluster).run(Family::Java, "options", &arguments).unwrap();
        let text = |value: &Value| value.as_str().expect("a string").to_owned();
        let step = |step: &Value| Step {
            part: text(&step[0]),
            name: text(&step[1]),
            result: text(&step[2]),
            messages: step[3].as_array().expect("a list of messages").iter().map(text).collect(),
        };
        report["steps"].as_array().expect("a list of steps").iter().map(step).collect()
    }

    fn assert_nothing_leaks(&self) {
        assert_eq!(self.taps.each_ref().map(Tap::findings).concat(), Vec::<String>::new(), "no tenant may see this");
    }
}

/// The versions of an API that are offered, from `from` on; at least one.
fn versions(caller: &mut Caller, key: ApiKey, from: i16) -> std::ops::RangeInclusive<i16> {
    let hello = json!({"ClientSoftwareName": "raw", "ClientSoftwareVersion": "1"});
    let answer = caller.ask(ApiKey::API_VERSIONS, 4, &hello);
    let offered = answer["ApiKeys"].as_array().expect("a list of APIs").iter().find(|api| api["ApiKey"] == key.0);
    let offered = offered.unwrap_or_else(|| panic!("{key} is not offered"));
    let version = |name: &str| i16::try_from(offered[name].as_i64().expect("a number")).expect("a version");
    assert!(from <= version("MaxVersion"), "{key} is offered up to {} only", version("MaxVersion"));
    from.max(version("MinVersion"))..=version("MaxVersion")
}

/// A member that joins a streams group with one source and one internal topic.
fn streams_heartbeat(source: &str, internal: Value) -> Value {
    json!({"GroupId": "app", "MemberId": "member", "MemberEpoch": 0, "RebalanceTimeoutMs": 1000, "ProcessId": "process",
        "ActiveTasks": [], "StandbyTasks": [], "WarmupTasks": [], "ClientTags": [], "TaskOffsets": [], "TaskEndOffsets": [],
        "Topology": {"Epoch": 0, "Subtopologies": [{"SubtopologyId": "0", "SourceTopics": [source],
            "RepartitionSinkTopics": [internal["Name"]], "RepartitionSourceTopics": [internal]}]}})
}
