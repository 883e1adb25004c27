//! Configs: topics and groups by their names, everything else is the operator's.

use bifrost_core::protocol::ApiKey;
use bifrost_tenancy::{Config, TopicCreation};
use serde_json::{Value, json};

use crate::{Talk, acme};

const APIS: [(ApiKey, &[i16], &str); 3] = [
    (ApiKey::DESCRIBE_CONFIGS, &[0, 1, 2, 3, 4], "Results"),
    (ApiKey::ALTER_CONFIGS, &[0, 1, 2], "Responses"),
    (ApiKey::INCREMENTAL_ALTER_CONFIGS, &[0, 1], "Responses"),
];

fn resource(got: &Value, array: &str, at: usize) -> (i64, String, i64) {
    let resource = &got[array][at];
    let name = resource["ResourceName"].as_str().unwrap().to_owned();
    (resource["ResourceType"].as_i64().unwrap(), name, resource["ErrorCode"].as_i64().unwrap_or(0))
}

#[test]
fn topics_and_groups_are_renamed_and_others_are_refused_one_by_one() {
    let resources = [(2, "orders"), (4, "1"), (32, "group"), (8, "1"), (16, "metrics"), (4, ""), (99, "x"), (-1, "")];
    for (key, versions, results) in APIS {
        for &version in versions {
            let mut talk = Talk::new(acme());
            let list: Vec<Value> =
                resources.iter().map(|(kind, name)| json!({"ResourceType": kind, "ResourceName": name})).collect();
            let got = talk.sent(key, version, json!({"Resources": list}));
            let sent: Vec<_> = (0..list.len()).map(|at| resource(&got, "Resources", at)).collect();
            assert_eq!((sent[0].0, &*sent[0].1), (2, "acme.orders"));
            assert_eq!((sent[2].0, &*sent[2].1), (32, "acme.group"));
            for at in [1, 3, 4, 5, 6, 7] {
                let (kind, name, _) = &sent[at];
                assert!(*kind == 2 && name.starts_with(':'), "{key} v{version}: {name}");
            }

            let answer: Vec<Value> = sent
                .iter()
                .map(|(kind, name, _)| {
                    let code = if name.starts_with(':') { 17 } else { 0 };
                    json!({"ResourceType": kind, "ResourceName": name, "ErrorCode": code, "ErrorMessage": "globex."})
                })
                .collect();
            let heard = talk.heard(key, version, json!({results: answer}));
            for (at, (kind, name)) in resources.iter().enumerate() {
                let code = if matches!(kind, 2 | 32) { 0 } else { 31 };
                assert_eq!(resource(&heard, results, at), (*kind, (*name).to_owned(), code), "{key} v{version}");
                if code == 31 {
                    assert!(heard[results][at]["ErrorMessage"].as_str().unwrap().contains("operator"));
                }
            }
        }
    }
}

#[test]
fn configs_that_are_not_allowed_are_refused_with_a_policy_violation() {
    let creation = TopicCreation { configs: Some(vec!["retention.ms".to_owned()]), ..TopicCreation::default() };
    for (key, version) in [(ApiKey::ALTER_CONFIGS, 2), (ApiKey::INCREMENTAL_ALTER_CONFIGS, 1)] {
        for (config, allowed) in [("retention.ms", true), ("segment.bytes", false)] {
            let mut talk = Talk::new(Config { topic_creation: creation.clone(), ..acme() });
            let list =
                json!([{"ResourceType": 2, "ResourceName": "orders", "Configs": [{"Name": config, "Value": "1"}]}]);
            let got = talk.sent(key, version, json!({"Resources": list}));
            let (kind, name, _) = resource(&got, "Resources", 0);
            assert_eq!(name == "acme.orders", allowed, "{config}: {name}");
            let answer = json!({"Responses": [{"ResourceType": kind, "ResourceName": name, "ErrorCode": 0}]});
            let heard = talk.heard(key, version, answer);
            assert_eq!(resource(&heard, "Responses", 0), (2, "orders".to_owned(), if allowed { 0 } else { 44 }));
        }
    }
}

#[test]
fn the_dead_letter_topic_of_a_share_group_cannot_be_set_and_is_shown_by_its_virtual_name() {
    let config = "errors.deadletterqueue.topic.name";
    let mut talk = Talk::new(acme());
    let list = json!([{"ResourceType": 32, "ResourceName": "g", "Configs": [{"Name": config, "Value": "x"}]}]);
    let got = talk.sent(ApiKey::INCREMENTAL_ALTER_CONFIGS, 1, json!({"Resources": list}));
    let (kind, name, _) = resource(&got, "Resources", 0);
    assert!(name.starts_with(':'), "{name}");
    let answer = json!({"Responses": [{"ResourceType": kind, "ResourceName": name, "ErrorCode": 17}]});
    let heard = talk.heard(ApiKey::INCREMENTAL_ALTER_CONFIGS, 1, answer);
    assert_eq!(resource(&heard, "Responses", 0), (32, "g".to_owned(), 44));

    for (value, shown) in [("acme.dlq.x", json!("dlq.x")), ("globex.dlq", Value::Null)] {
        talk.sent(ApiKey::DESCRIBE_CONFIGS, 4, json!({"Resources": [{"ResourceType": 32, "ResourceName": "g"}]}));
        let answer = json!({"Results": [{"ResourceType": 32, "ResourceName": "acme.g", "Configs": [
            {"Name": config, "Value": value, "Synonyms": [{"Name": config, "Value": value}]}]}]});
        let heard = talk.heard(ApiKey::DESCRIBE_CONFIGS, 4, answer);
        let config = &heard["Results"][0]["Configs"][0];
        assert_eq!((&config["Value"], &config["Synonyms"][0]["Value"]), (&shown, &shown));
    }
}

#[test]
fn only_own_topics_and_groups_are_listed() {
    let list = |named: &[(i32, &str)]| -> Vec<Value> {
        named.iter().map(|(kind, name)| json!({"ResourceType": kind, "ResourceName": name})).collect()
    };
    let all = [(2, "acme.a"), (2, "globex.a"), (32, "acme.g"), (32, "globex.g"), (16, "acme.m"), (4, "1")];
    let mut talk = Talk::new(acme());
    talk.sent(ApiKey::LIST_CONFIG_RESOURCES, 1, json!({}));
    let heard = talk.heard(ApiKey::LIST_CONFIG_RESOURCES, 1, json!({"ConfigResources": list(&all)}));
    assert_eq!(heard["ConfigResources"], json!(list(&[(2, "a"), (32, "g")])));

    talk.sent(ApiKey::LIST_CONFIG_RESOURCES, 0, json!({}));
    let heard = talk.heard(ApiKey::LIST_CONFIG_RESOURCES, 0, json!({"ConfigResources": list(&[(16, "acme.m")])}));
    assert_eq!(heard["ConfigResources"], json!([]), "version 0 lists client metrics");
}

/// Behind the prefix an empty name would be a group, or a topic, like any other.
#[test]
fn configs_of_nothing_are_refused() {
    for (kind, key, version) in [
        (32, ApiKey::DESCRIBE_CONFIGS, 4),
        (32, ApiKey::ALTER_CONFIGS, 2),
        (32, ApiKey::INCREMENTAL_ALTER_CONFIGS, 1),
        (2, ApiKey::ALTER_CONFIGS, 2),
        (2, ApiKey::INCREMENTAL_ALTER_CONFIGS, 1),
    ] {
        let results = APIS.iter().find(|(known, ..)| *known == key).unwrap().2;
        let mut talk = Talk::new(acme());
        let list = json!({"Resources": [{"ResourceType": kind, "ResourceName": ""}]});
        let (sent_kind, name, _) = resource(&talk.sent(key, version, list), "Resources", 0);
        assert!(sent_kind == 2 && name.starts_with(':'), "{key} {kind}: {sent_kind} {name}");
        let answer = json!({results: [{"ResourceType": sent_kind, "ResourceName": name, "ErrorCode": 17}]});
        let heard = talk.heard(key, version, answer);
        assert_eq!(resource(&heard, results, 0), (kind, String::new(), 42), "{key}");
    }
}
