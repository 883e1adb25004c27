//! Topics outside the prefix that the tenant may use.

use bifrost_core::protocol::ApiKey;
use bifrost_tenancy::{Access, Config, SharedTopic};
use serde_json::{Value, json};

use crate::{Talk, acme, id};

fn sharing() -> Config {
    let shared = |topic: &str, shown_as: Option<&str>, access| SharedTopic {
        topic: topic.to_owned(),
        shown_as: shown_as.map(str::to_owned),
        access,
    };
    let topics = vec![
        shared("reference.countries", Some("countries"), Access::ReadOnly),
        shared("public.events", Some("events"), Access::ReadWrite),
        shared("plain", None, Access::ReadOnly),
    ];
    Config { shared_topics: topics, ..acme() }
}

fn named(got: &Value) -> Vec<&str> {
    let topics = got["Topics"].as_array().or_else(|| got["TopicData"].as_array()).unwrap();
    topics.iter().map(|t| t["Name"].as_str().or_else(|| t["Topic"].as_str()).unwrap()).collect()
}

#[test]
fn all_of_them_are_read_by_their_virtual_names() {
    let mut talk = Talk::new(sharing());
    let topics = json!([{"Name": "countries"}, {"Name": "events"}, {"Name": "plain"}, {"Name": "public.events"}]);
    let got = talk.sent(ApiKey::METADATA, 9, json!({"Topics": topics}));
    assert_eq!(named(&got), ["reference.countries", "public.events", "plain", "acme.public.events"]);
    let heard = talk.heard(ApiKey::METADATA, 9, json!({"Topics": got["Topics"]}));
    assert_eq!(named(&heard), ["countries", "events", "plain", "public.events"]);
}

#[test]
fn only_those_that_may_be_written_are_produced_to() {
    for version in [3, 9, 12] {
        let mut talk = Talk::new(sharing());
        let topics: Vec<Value> = ["events", "countries", "own"]
            .iter()
            .map(|name| json!({"Name": name, "PartitionData": [{"Index": 0, "Records": "0102"}]}))
            .collect();
        let got = talk.sent(ApiKey::PRODUCE, version, json!({"Acks": 1, "TopicData": topics}));
        let sent = named(&got);
        assert_eq!((sent[0], sent[2]), ("public.events", "acme.own"), "v{version}");
        assert!(sent[1].starts_with(':'), "v{version}: {}", sent[1]);
        let answers: Vec<Value> = sent
            .iter()
            .map(|name| json!({"Name": name, "PartitionResponses": [{"ErrorCode": if name.starts_with(':') { 17 } else { 0 }}]}))
            .collect();
        let heard = talk.heard(ApiKey::PRODUCE, version, json!({"Responses": answers}));
        let codes: Vec<i64> =
            (0..3).map(|at| heard["Responses"][at]["PartitionResponses"][0]["ErrorCode"].as_i64().unwrap()).collect();
        assert_eq!(codes, [0, 29, 0], "v{version}");
        assert_eq!(heard["Responses"][1]["Name"], "countries");
    }
}

#[test]
fn they_are_not_managed_by_name() {
    for (key, version, list, code) in [
        (ApiKey::CREATE_TOPICS, 7, "Topics", 36),
        (ApiKey::DELETE_TOPICS, 6, "Responses", 29),
        (ApiKey::CREATE_PARTITIONS, 3, "Results", 29),
    ] {
        for name in ["countries", "events", "plain"] {
            let mut talk = Talk::new(sharing());
            let got = talk.sent(key, version, json!({"Topics": [{"Name": name}]}));
            let physical = named(&got)[0].to_owned();
            assert!(physical.starts_with(':'), "{key}: {physical}");
            let heard =
                talk.heard(key, version, json!({list: [{"Name": physical, "ErrorCode": 17, "ErrorMessage": "x"}]}));
            let element = &heard[list][0];
            assert_eq!((&element["Name"], &element["ErrorCode"]), (&json!(name), &json!(code)), "{key}");
        }
    }
    let mut talk = Talk::new(sharing());
    let got = talk.sent(ApiKey::DELETE_TOPICS, 3, json!({"TopicNames": ["own", "events"]}));
    assert_eq!(got["TopicNames"][0], "acme.own");
    assert!(got["TopicNames"][1].as_str().unwrap().starts_with(':'));
    let mut talk = Talk::new(sharing());
    let records = json!({"Topics": [{"Name": "events", "Partitions": [{"PartitionIndex": 0}]}]});
    let physical = named(&talk.sent(ApiKey::DELETE_RECORDS, 2, records))[0].to_owned();
    let answer = json!({"Topics": [{"Name": physical, "Partitions": [{"ErrorCode": 3}, {"ErrorCode": 3}]}]});
    let heard = talk.heard(ApiKey::DELETE_RECORDS, 2, answer);
    assert_eq!(
        (&heard["Topics"][0]["Name"], &heard["Topics"][0]["Partitions"][1]["ErrorCode"]),
        (&json!("events"), &json!(29))
    );
}

#[test]
fn their_configs_are_read_and_not_changed() {
    let mut talk = Talk::new(sharing());
    let list = json!({"Resources": [{"ResourceType": 2, "ResourceName": "countries"}]});
    assert_eq!(
        talk.sent(ApiKey::DESCRIBE_CONFIGS, 4, list.clone())["Resources"][0]["ResourceName"],
        "reference.countries"
    );
    let got = talk.sent(ApiKey::ALTER_CONFIGS, 2, list);
    assert!(got["Resources"][0]["ResourceName"].as_str().unwrap().starts_with(':'));
}

#[test]
fn their_ids_allow_what_their_names_allow() {
    let mut talk = Talk::new(sharing());
    talk.learn("reference.countries", &id(1));
    talk.learn("public.events", &id(2));
    for (key, version, passes) in [
        (ApiKey::FETCH, 13, [true, true]),
        (ApiKey::PRODUCE, 13, [false, true]),
        (ApiKey::DELETE_TOPICS, 6, [false, false]),
        (ApiKey::METADATA, 12, [true, true]),
    ] {
        for (at, passes) in passes.iter().enumerate() {
            let id = id(at as u128 + 1);
            let list = if key == ApiKey::PRODUCE { "TopicData" } else { "Topics" };
            let body = json!({list: [if key == ApiKey::DELETE_TOPICS { json!({"TopicId": id, "Name": null}) } else { json!({"TopicId": id}) }]});
            talk.send(key, version, body).unwrap();
            assert_eq!(talk.got(key, version)[list][0]["TopicId"] == json!(id), *passes, "{key} {id}");
        }
    }
}

#[test]
fn fetch_answers_with_shared_topics_are_renamed_too() {
    for version in [4, 11, 12] {
        let mut talk = Talk::new(sharing());
        let topics = json!([{"Topic": "countries", "Partitions": []}, {"Topic": "own", "Partitions": []}]);
        let got = talk.sent(ApiKey::FETCH, version, json!({"Topics": topics, "SessionEpoch": -1}));
        assert_eq!(named(&got), ["reference.countries", "acme.own"]);
        let heard = talk.heard(ApiKey::FETCH, version, json!({"Responses": [
            {"Topic": "reference.countries", "Partitions": [{"PartitionIndex": 0, "Records": "010203"}]}, {"Topic": "acme.own"}]}));
        assert_eq!(
            (&heard["Responses"][0]["Topic"], &heard["Responses"][1]["Topic"]),
            (&json!("countries"), &json!("own"))
        );
        assert_eq!(heard["Responses"][0]["Partitions"][0]["Records"], "010203");
    }
}

#[test]
fn a_fetch_answer_that_has_to_be_seen_whole_is_asked_for_in_a_size_that_may_be_held() {
    for (config, version, asked, expected) in [
        (sharing(), 12, 50 << 20, 16 << 20),
        (sharing(), 12, 1_000, 1_000),
        (sharing(), 13, 50 << 20, 50 << 20),
        (acme(), 12, 50 << 20, 50 << 20),
    ] {
        let got = Talk::new(config).sent(ApiKey::FETCH, version, json!({"MaxBytes": asked, "SessionEpoch": -1}));
        assert_eq!(got["MaxBytes"], expected, "v{version} {asked}");
    }
}
