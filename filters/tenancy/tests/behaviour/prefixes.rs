//! Prefixes of any length, none included.

use bifrost_core::filter::Direction;
use bifrost_core::protocol::{ApiKey, Entity};
use bifrost_tenancy::{Config, TopicCreation};
use bifrost_testkit::addresses::Realistic;
use bifrost_testkit::choices::Choices;
use bifrost_testkit::every_message;
use bifrost_testkit::generate::generate_with;
use bifrost_testkit::notes::Note;
use serde_json::json;

use crate::{Talk, gateway, id, prefixed, same};

#[test]
fn names_go_and_come_back_behind_a_prefix_of_any_length() {
    for prefix in ["t", "t.", "a-b.", &*"p".repeat(200)] {
        for name in ["orders", "t", "tt", "", ".", "..", prefix] {
            let mut talk = Talk::new(prefixed(prefix));
            let got = talk.sent(ApiKey::METADATA, 9, json!({"Topics": [{"Name": name}]}));
            let physical = got["Topics"][0]["Name"].as_str().unwrap().to_owned();
            assert_eq!(physical.len(), prefix.len() + name.len(), "{prefix}: {name}");
            let possible = !matches!(name, "" | "." | "..");
            assert_eq!(physical == format!("{prefix}{name}"), possible, "{prefix}: {name} became {physical}");
            assert!(possible || physical.contains(':'), "{prefix}: {name} became {physical}");
            let heard = talk.heard(ApiKey::METADATA, 9, json!({"Topics": [{"Name": physical, "ErrorCode": 17}]}));
            assert_eq!(heard["Topics"][0]["Name"], name, "{prefix}");
        }
    }
}

#[test]
fn a_list_behind_a_short_prefix_holds_what_begins_with_it() {
    let mut talk = Talk::new(prefixed("t"));
    talk.sent(ApiKey::LIST_GROUPS, 0, json!({}));
    let groups = json!({"Groups": [{"GroupId": "ta"}, {"GroupId": "a"}, {"GroupId": "t"}, {"GroupId": "T"}]});
    let heard = talk.heard(ApiKey::LIST_GROUPS, 0, groups);
    let names: Vec<_> = heard["Groups"].as_array().unwrap().iter().map(|g| g["GroupId"].clone()).collect();
    assert_eq!(names, ["a", ""]);
}

fn empty() -> Config {
    Config::default()
}

#[test]
fn without_prefixes_names_pass_both_ways() {
    let named = |name: &str| json!({"Topics": [{"Name": name}]});
    let mut talk = Talk::new(empty());
    for name in ["orders", "", ".", "..", ":", "a:b", "__consumer_offsets"] {
        assert_eq!(talk.sent(ApiKey::METADATA, 9, named(name))["Topics"][0]["Name"], name);
        assert_eq!(talk.heard(ApiKey::METADATA, 9, named(name))["Topics"][0]["Name"], name);
    }
    // No topic can have such a name, so it is taken for one that was refused.
    assert_eq!(talk.sent(ApiKey::METADATA, 9, named(":44:2:x"))["Topics"][0]["Name"], ":44:2:x");
    let heard = talk.heard(ApiKey::METADATA, 9, json!({"Topics": [{"Name": ":44:2:x", "ErrorCode": 17}]}));
    assert_eq!((&heard["Topics"][0]["Name"], &heard["Topics"][0]["ErrorCode"]), (&json!("x"), &json!(17)));
}

#[test]
fn without_a_topic_prefix_every_topic_id_passes() {
    let mut talk = Talk::new(empty());
    let got = talk.sent(ApiKey::FETCH, 13, json!({"Topics": [{"TopicId": id(7), "Partitions": []}]}));
    assert_eq!(got["Topics"][0]["TopicId"], id(7));
}

#[test]
fn without_a_topic_prefix_refusals_still_come_back_as_they_went() {
    let mut talk = Talk::new(Config {
        topic_creation: TopicCreation { partitions_max: Some(10), ..TopicCreation::default() },
        ..empty()
    });
    let got = talk.sent(ApiKey::CREATE_TOPICS, 7, json!({"Topics": [{"Name": "big", "NumPartitions": 11}]}));
    let name = got["Topics"][0]["Name"].clone();
    assert_ne!(name, "big", "refused");
    let answer = json!({"Topics": [{"Name": name, "ErrorCode": 17, "ErrorMessage": "Invalid topic"}]});
    let heard = talk.heard(ApiKey::CREATE_TOPICS, 7, answer);
    assert_eq!((&heard["Topics"][0]["Name"], &heard["Topics"][0]["ErrorCode"]), (&json!("big"), &json!(44)));
}

#[test]
fn without_a_topic_prefix_the_operators_configs_are_still_refused() {
    let mut talk = Talk::new(empty());
    let body = json!({"Resources": [{"ResourceType": 4, "ResourceName": "1"}]});
    let name = talk.sent(ApiKey::DESCRIBE_CONFIGS, 4, body)["Resources"][0]["ResourceName"].clone();
    assert_ne!(name, "1");
    let answer = json!({"Results": [{"ResourceType": 2, "ResourceName": name, "ErrorCode": 17}]});
    let heard = talk.heard(ApiKey::DESCRIBE_CONFIGS, 4, answer);
    let result = &heard["Results"][0];
    assert_eq!((&result["ResourceType"], &result["ResourceName"]), (&json!(4), &json!("1")));
    assert_eq!(result["ErrorCode"], 31);
}

/// What these hold besides names is changed whatever the prefix: rights, replicas, sessions, manual assignments, cluster
/// resources, keys between brokers, and texts.
const OTHERWISE_CHANGED: &[ApiKey] = &[ApiKey::FETCH, ApiKey::LIST_OFFSETS, ApiKey::OFFSET_FOR_LEADER_EPOCH];

#[test]
fn without_prefixes_requests_that_only_name_pass_unchanged() {
    let named = [
        ApiKey::PRODUCE,
        ApiKey::OFFSET_FETCH,
        ApiKey::HEARTBEAT,
        ApiKey::DELETE_RECORDS,
        ApiKey::DELETE_GROUPS,
        ApiKey::ADD_OFFSETS_TO_TXN,
        ApiKey::LIST_GROUPS,
        ApiKey::DESCRIBE_PRODUCERS,
        ApiKey::JOIN_GROUP,
    ];
    let mut passed = 0;
    for (api, version, direction) in every_message() {
        if direction == Direction::Response || !named.contains(&api.key) || OTHERWISE_CHANGED.contains(&api.key) {
            continue;
        }
        // The last versions name topics by id.
        if (api.key == ApiKey::PRODUCE && version > 12) || (api.key == ApiKey::OFFSET_FETCH && version > 9) {
            continue;
        }
        for seed in 0..6 {
            let choices = &mut Choices::from_seed(seed * 7 + version as u64);
            let request = generate_with(api, version, direction, 1, choices, &mut Realistic::new(false));
            let refused = request.notes.iter().any(|note| {
                matches!(note, Note::Value(_, Entity::GroupId | Entity::TransactionalId, Some(id)) if id.is_empty())
            });
            if refused {
                continue;
            }
            let name = format!("{} v{version}", api.name);
            let mut driver = gateway(empty());
            driver.client_in(&[9], &request.bytes).unwrap_or_else(|fault| panic!("{name}: {fault}"));
            same(&name, &driver.to_broker, &request.bytes);
            passed += 1;
        }
    }
    assert!(passed > 200, "{passed}");
}
