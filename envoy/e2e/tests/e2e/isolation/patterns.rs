//! Regular expressions that try to leave the group that they are wrapped in.

use bifrost_core::protocol::ApiKey;
use serde_json::{Value, json};

use crate::isolation::caller::{all, errors, texts};
use crate::isolation::setting::setting;
use crate::isolation::words::ESCAPES;

const INVALID_REGULAR_EXPRESSION: i64 = 128;

/// No expressions by themselves; some would be good behind `prefix(?:` and `)`.
const BROKEN: &[&str] = &["x)|(?:.*", ")|(.*", r"x\", "(", "[", r"\Etenant.*", r"x|\QtenantA-"];

fn heartbeat(group: &str, member: &str, pattern: &str) -> Value {
    json!({"GroupId": group, "MemberId": member, "MemberEpoch": 0, "RebalanceTimeoutMs": 1000,
        "SubscribedTopicNames": null, "SubscribedTopicRegex": pattern, "TopicPartitions": []})
}

#[test]
fn a_broken_pattern_is_an_invalid_regular_expression() {
    let setting = setting();
    let mut attacker = setting.attacker();
    for (at, pattern) in BROKEN.iter().enumerate() {
        let group = format!("broken-{at}");
        let body = heartbeat(&group, "AAAAAAAAAAAAAAAAAAAAAQ", pattern);
        attacker.expect(ApiKey::CONSUMER_GROUP_HEARTBEAT, 1, &body, errors, vec![INVALID_REGULAR_EXPRESSION]);
        let list = json!({"DurationFilter": -1, "TransactionalIdPattern": pattern});
        attacker.expect(ApiKey::LIST_TRANSACTIONS, 2, &list, errors, vec![INVALID_REGULAR_EXPRESSION]);
    }
    drop(attacker);
    setting.assert_isolated();
}

#[test]
fn no_pattern_matches_foreign_topics() {
    let setting = setting();
    let mut attacker = setting.attacker();
    let own = attacker.topic("own-pattern");
    for (at, pattern) in ESCAPES.iter().chain(&[".*own-pattern", "(?s).*"]).enumerate() {
        let group = format!("escape-{at}");
        let find = json!({"KeyType": 0, "CoordinatorKeys": [group]});
        attacker.ask_until(ApiKey::FIND_COORDINATOR, 4, &find, |answer| errors(answer) == [0]);
        let member = "AAAAAAAAAAAAAAAAAAAAAQ";
        let mut answer = attacker.ask(ApiKey::CONSUMER_GROUP_HEARTBEAT, 1, &heartbeat(&group, member, pattern));
        if answer["ErrorCode"] != 0 {
            continue;
        }
        // The broker evaluates patterns on its own time. What it assigns are ids.
        for _ in 0..5 {
            std::thread::sleep(std::time::Duration::from_millis(100));
            let more = json!({"GroupId": group, "MemberId": member, "MemberEpoch": answer["MemberEpoch"],
                "RebalanceTimeoutMs": -1, "SubscribedTopicNames": null, "SubscribedTopicRegex": null,
                "TopicPartitions": null});
            answer = attacker.ask(ApiKey::CONSUMER_GROUP_HEARTBEAT, 1, &more);
            for id in all(&answer, "TopicId").into_iter().filter_map(Value::as_str) {
                let foreign = setting.victim.foreign_ids().iter().any(|it| bifrost_testkit::json::hex(it) == id);
                assert!(!foreign, "{pattern}: {answer}");
            }
            if all(&answer, "TopicId").iter().any(|id| **id == own) {
                break;
            }
        }
        let described = attacker.ask(ApiKey::CONSUMER_GROUP_DESCRIBE, 1, &json!({"GroupIds": [group]}));
        assert!(texts(&described, "TopicName").iter().all(|name| !name.contains("tenant")), "{pattern}: {described}");
    }
    drop(attacker);
    setting.assert_isolated();
}

#[test]
fn no_pattern_lists_foreign_transactions() {
    let setting = setting();
    let mut attacker = setting.attacker();
    for pattern in ESCAPES.iter().chain(&["ledger", "x9.*", "(?s).*"]) {
        let pattern = if pattern.starts_with("x9") { ".*q7.*" } else { pattern };
        let list = json!({"DurationFilter": -1, "TransactionalIdPattern": pattern,
            "ProducerIdFilters": [setting.victim.producer_id]});
        attacker.expect(ApiKey::LIST_TRANSACTIONS, 2, &list, |answer| texts(answer, "TransactionalId"), vec![]);
    }
    drop(attacker);
    setting.assert_isolated();
}
