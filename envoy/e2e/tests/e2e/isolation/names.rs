//! Names that become something else behind a prefix, or are too long for it.

use bifrost_core::filter::Direction;
use bifrost_core::protocol::ApiKey;
use serde_json::{Value, json};

use crate::isolation::caller::{Outcome, errors};
use crate::isolation::setting::setting;
use crate::isolation::victim::records;

const INVALID_TOPIC: i64 = 17;
const UNKNOWN_TOPIC: i64 = 3;
const INVALID_GROUP_ID: i64 = 24;
const INVALID_REQUEST: i64 = 42;

/// The longest topic name that fits behind `tenantB-`.
const LONGEST: usize = 249 - "tenantB-".len();

fn create(name: &str) -> Value {
    json!({"Topics": [{"Name": name, "NumPartitions": 1, "ReplicationFactor": 1}], "timeoutMs": 5000})
}

#[test]
fn names_that_kafka_refuses_stay_refused() {
    let setting = setting();
    let mut attacker = setting.attacker();
    let (long, too_long) = ("l".repeat(LONGEST + 1), "l".repeat(250));
    for name in ["", ".", "..", "a/b", "a:b", "\u{fc}", "a b", &long, &too_long] {
        let shown = &name[..name.len().min(20)];
        for version in attacker.versions(ApiKey::CREATE_TOPICS, 0) {
            let answer = attacker.ask(ApiKey::CREATE_TOPICS, version, &create(name));
            assert_eq!(errors(&answer), [INVALID_TOPIC], "{shown} v{version}");
        }
        for version in attacker.versions(ApiKey::METADATA, 4) {
            let body = json!({"Topics": [{"Name": name}], "AllowAutoTopicCreation": true});
            let answer = attacker.ask(ApiKey::METADATA, version, &body);
            assert_eq!(answer["Topics"][0]["ErrorCode"], INVALID_TOPIC, "{shown} v{version}");
        }
        let produce = json!({"Acks": -1, "TimeoutMs": 1000, "TopicData": [{"Name": name, "PartitionData":
            [{"Index": 0, "Records": records(&["x"], -1, -1, -1)}]}]});
        let refused = |answer: &Value| errors(answer).iter().all(|code| [INVALID_TOPIC, UNKNOWN_TOPIC].contains(code));
        for version in attacker.versions(ApiKey::PRODUCE, 3).filter(|version| *version < 13) {
            let answer = attacker.ask(ApiKey::PRODUCE, version, &produce);
            assert!(refused(&answer), "{shown} v{version}: {answer}");
        }
        let fetch = json!({"MaxBytes": 1 << 20, "SessionEpoch": -1, "Topics": [{"Topic": name, "Partitions":
            [{"Partition": 0, "PartitionMaxBytes": 1 << 20}]}]});
        for version in attacker.versions(ApiKey::FETCH, 4).filter(|version| *version < 13) {
            let answer = attacker.ask(ApiKey::FETCH, version, &fetch);
            assert!(errors(&answer).contains(&INVALID_TOPIC) || errors(&answer).contains(&UNKNOWN_TOPIC), "{answer}");
        }
    }
    drop(attacker);
    setting.assert_isolated();
}

#[test]
fn the_longest_name_that_fits_is_good() {
    let setting = setting();
    let mut attacker = setting.attacker();
    let name = "l".repeat(LONGEST);

    let answer = attacker.ask(ApiKey::CREATE_TOPICS, 7, &create(&name));

    assert_eq!((errors(&answer), answer["Topics"][0]["Name"].as_str()), (vec![0], Some(&*name)));
    let delete = json!({"TopicNames": [name], "TimeoutMs": 5000});
    assert_eq!(errors(&attacker.ask(ApiKey::DELETE_TOPICS, 5, &delete)), [0]);
    drop(attacker);
    setting.assert_isolated();
}

#[test]
fn an_empty_group_id_is_no_group() {
    let setting = setting();
    let mut attacker = setting.attacker();
    let own = attacker.topic("own-empty");
    let member = json!({"GroupId": "", "MemberId": "", "SessionTimeoutMs": 6000, "RebalanceTimeoutMs": 50,
        "ProtocolType": "consumer", "Protocols": [{"Name": "range", "Metadata": ""}]});
    attacker.expect(ApiKey::JOIN_GROUP, 0, &member, errors, vec![INVALID_GROUP_ID]);
    attacker.expect(ApiKey::HEARTBEAT, 0, &json!({"GroupId": ""}), errors, vec![INVALID_GROUP_ID]);
    let leave = json!({"GroupId": "", "MemberId": "m"});
    attacker.expect(
        ApiKey::LEAVE_GROUP,
        0,
        &leave_body(&leave),
        |answer| answer["ErrorCode"].as_i64(),
        Some(INVALID_GROUP_ID),
    );
    let commit = json!({"GroupId": "", "Topics": [{"Name": "own-empty", "TopicId": own, "Partitions":
        [{"PartitionIndex": 0, "CommittedOffset": 1}]}]});
    attacker.expect(ApiKey::OFFSET_COMMIT, 2, &commit, errors, vec![INVALID_GROUP_ID]);
    let fetched = json!({"GroupId": "", "Topics": null, "Groups": [{"GroupId": "", "Topics": null}]});
    attacker.expect(ApiKey::OFFSET_FETCH, 2, &fetched, errors, vec![INVALID_GROUP_ID]);
    let describe = json!({"Groups": [""]});
    attacker.expect(ApiKey::DESCRIBE_GROUPS, 0, &describe, errors, vec![INVALID_GROUP_ID]);
    attacker.expect(ApiKey::DELETE_GROUPS, 0, &json!({"GroupsNames": [""]}), errors, vec![INVALID_GROUP_ID]);
    let heartbeat = json!({"GroupId": "", "MemberId": "AAAAAAAAAAAAAAAAAAAAAQ", "MemberEpoch": 0,
        "RebalanceTimeoutMs": 1000, "SubscribedTopicNames": ["orders"], "TopicPartitions": []});
    let refused = |answer: &Value| [INVALID_GROUP_ID, INVALID_REQUEST].contains(&errors(answer)[0]);
    attacker.expect(ApiKey::CONSUMER_GROUP_HEARTBEAT, 0, &heartbeat, refused, true);
    let share = json!({"GroupId": "", "MemberId": "AAAAAAAAAAAAAAAAAAAAAQ", "SubscribedTopicNames": ["orders"]});
    attacker.expect(ApiKey::SHARE_GROUP_HEARTBEAT, 1, &share, refused, true);
    drop(attacker);
    setting.assert_isolated();
}

fn leave_body(body: &Value) -> Value {
    let mut body = body.clone();
    body["Members"] = json!([{"MemberId": "m"}]);
    body
}

#[test]
fn an_empty_transactional_id_is_no_transaction() {
    let setting = setting();
    let mut attacker = setting.attacker();
    let init = json!({"TransactionalId": "", "TransactionTimeoutMs": 1000});
    attacker.expect(ApiKey::INIT_PRODUCER_ID, 0, &init, errors, vec![INVALID_REQUEST]);

    // None is something else: an idempotent producer.
    let none = json!({"TransactionalId": null, "TransactionTimeoutMs": 1000});
    attacker.expect(ApiKey::INIT_PRODUCER_ID, 0, &none, errors, vec![0]);
    drop(attacker);
    setting.assert_isolated();
}

/// Kafka's strings end at 32767 bytes. Behind the prefix nothing is cut and no length wraps: it is an error, or the end.
#[test]
fn names_that_would_not_fit_behind_the_prefix_are_refused() {
    let setting = setting();
    let mut attacker = setting.attacker();
    for length in [32_767, 32_767 - "tenantB-".len() + 1] {
        let name = "i".repeat(length);
        let requests = [
            (ApiKey::CREATE_TOPICS, create(&name)),
            (ApiKey::INIT_PRODUCER_ID, json!({"TransactionalId": name, "TransactionTimeoutMs": 1000})),
            (ApiKey::DESCRIBE_GROUPS, json!({"Groups": [name]})),
            (ApiKey::FIND_COORDINATOR, json!({"Key": name, "CoordinatorKeys": [name]})),
            (ApiKey::METADATA, json!({"Topics": [{"Name": name}]})),
            (ApiKey::CONSUMER_GROUP_HEARTBEAT, json!({"GroupId": name, "MemberId": "m", "SubscribedTopicNames": []})),
            (ApiKey::DESCRIBE_CONFIGS, json!({"Resources": [{"ResourceType": 32, "ResourceName": name}]})),
        ];
        for (key, body) in requests {
            for version in attacker.versions(key, 0) {
                let frame = bifrost_testkit::json::request(key, version, 1, "attacker", &body);
                match attacker.send(&frame) {
                    Outcome::Closed => {}
                    Outcome::Answered(answer) => {
                        let answer =
                            bifrost_testkit::json::read(key, version, Direction::Response, &answer).unwrap().body;
                        assert!(errors(&answer).iter().any(|code| *code != 0), "{key} v{version}: {answer}");
                    }
                    Outcome::Silent => panic!("{key} v{version}: neither answered nor closed"),
                }
            }
        }
    }
    drop(attacker);
    setting.assert_isolated();
}
