//! What a tenant may create: by itself, through Metadata, as internal topics of a streams group.

use bifrost_core::fault::Fault;
use bifrost_core::protocol::ApiKey;
use bifrost_tenancy::{Config, TopicCreation};
use serde_json::{Value, json};

use crate::{Talk, acme};

fn bounded() -> Config {
    let topic_creation = TopicCreation {
        auto_create: false,
        partitions_max: Some(10),
        replication_factor_max: Some(3),
        configs: Some(vec!["retention.ms".to_owned()]),
    };
    Config { topic_creation, ..acme() }
}

/// Name at the broker of a topic that is created like this, and the error that the client sees although the broker says 17.
fn created(key: ApiKey, version: i16, mut topic: Value) -> (String, i64) {
    topic["Name"] = json!("orders");
    let mut talk = Talk::new(bounded());
    let got = talk.sent(key, version, json!({"Topics": [topic, {"Name": "next"}]}));
    assert_eq!(got["Topics"][1]["Name"], "acme.next", "each for itself");
    let name = got["Topics"][0]["Name"].as_str().unwrap().to_owned();
    let answer = json!([{"Name": name, "ErrorCode": 17}, {"Name": "acme.next"}]);
    let list = if key == ApiKey::CREATE_TOPICS { "Topics" } else { "Results" };
    let heard = talk.heard(key, version, json!({list: answer}));
    assert_eq!((&heard[list][0]["Name"], &heard[list][1]["Name"]), (&json!("orders"), &json!("next")));
    assert_eq!(heard[list][1]["ErrorCode"], 0);
    (name, heard[list][0]["ErrorCode"].as_i64().unwrap())
}

#[test]
fn topics_within_the_policy_are_created() {
    for version in 0..=7 {
        for topic in [
            json!({"NumPartitions": 10, "ReplicationFactor": 3}),
            json!({"NumPartitions": -1, "ReplicationFactor": -1}),
            json!({"Configs": [{"Name": "retention.ms", "Value": "1"}]}),
        ] {
            assert_eq!(created(ApiKey::CREATE_TOPICS, version, topic).0, "acme.orders", "v{version}");
        }
    }
}

#[test]
fn topics_beyond_the_policy_are_refused_one_by_one() {
    for version in 0..=7 {
        for topic in [
            json!({"NumPartitions": 11}),
            json!({"ReplicationFactor": 4}),
            json!({"Assignments": [{"PartitionIndex": 0, "BrokerIds": [1]}]}),
            json!({"Configs": [{"Name": "retention.ms", "Value": "1"}, {"Name": "segment.bytes", "Value": "1"}]}),
        ] {
            let (name, code) = created(ApiKey::CREATE_TOPICS, version, topic);
            assert!(name.starts_with(':') && code == 44, "v{version}: {name} {code}");
        }
    }
}

#[test]
fn partitions_are_bounded_when_they_are_added_too() {
    for version in 0..=3 {
        assert_eq!(
            created(ApiKey::CREATE_PARTITIONS, version, json!({"Count": 10, "Assignments": null})).0,
            "acme.orders"
        );
        for topic in [json!({"Count": 11}), json!({"Count": 5, "Assignments": [{"BrokerIds": [1]}]})] {
            let (name, code) = created(ApiKey::CREATE_PARTITIONS, version, topic);
            assert!(name.starts_with(':') && code == 44, "v{version}: {name} {code}");
        }
    }
}

#[test]
fn metadata_creates_nothing_when_auto_creation_is_off() {
    for version in [4, 9, 12, 13] {
        let body = json!({"Topics": [{"Name": "orders"}], "AllowAutoTopicCreation": true});
        assert_eq!(Talk::new(bounded()).sent(ApiKey::METADATA, version, body.clone())["AllowAutoTopicCreation"], false);
        assert_eq!(Talk::new(acme()).sent(ApiKey::METADATA, version, body)["AllowAutoTopicCreation"], true);
    }
    for version in 0..4 {
        let sent = Talk::new(bounded()).send(ApiKey::METADATA, version, json!({}));
        assert_eq!(sent, Err(Fault::Unsupported { api_key: ApiKey::METADATA, version }));
    }
}

fn topology(kind: &str, topic: Value) -> Value {
    let mut topic = topic;
    topic["Name"] = json!("changelog");
    json!({"GroupId": "g", "Topology": {"Epoch": 1, "Subtopologies": [{"SubtopologyId": "0", kind: [topic]}]}})
}

#[test]
fn internal_topics_of_a_streams_group_are_bounded() {
    for version in [0, 1] {
        for kind in ["StateChangelogTopics", "RepartitionSourceTopics"] {
            let within = topology(kind, json!({"Partitions": 10, "ReplicationFactor": 3}));
            let got = Talk::new(bounded()).sent(ApiKey::STREAMS_GROUP_HEARTBEAT, version, within);
            assert_eq!(got["Topology"]["Subtopologies"][0][kind][0]["Name"], "acme.changelog");
            for topic in [json!({"Partitions": 11}), json!({"ReplicationFactor": 4})] {
                let beyond = topology(kind, topic);
                let heard = Talk::new(bounded()).refused(ApiKey::STREAMS_GROUP_HEARTBEAT, version, beyond);
                assert_eq!(heard["ErrorCode"], 44, "v{version} {kind}");
            }
        }
    }
}

#[test]
fn configs_of_internal_topics_of_a_streams_group_are_bounded() {
    for kind in ["StateChangelogTopics", "RepartitionSourceTopics"] {
        let configs = |keys: &[&str]| {
            let list: Vec<Value> = keys.iter().map(|key| json!({"Key": key, "Value": "segment.bytes"})).collect();
            topology(kind, json!({"TopicConfigs": list}))
        };
        let within = configs(&["retention.ms", "retention.ms"]);
        Talk::new(bounded()).sent(ApiKey::STREAMS_GROUP_HEARTBEAT, 0, within);
        for beyond in [configs(&["segment.bytes"]), configs(&["retention.ms", "segment.bytes"])] {
            let heard = Talk::new(bounded()).refused(ApiKey::STREAMS_GROUP_HEARTBEAT, 0, beyond);
            assert_eq!(heard["ErrorCode"], 44, "{kind}");
        }
    }
}

/// Tags of a client are no configs of topics, wherever they stand.
#[test]
fn keys_of_client_tags_are_no_configs() {
    let mut body = topology("StateChangelogTopics", json!({"TopicConfigs": [{"Key": "retention.ms", "Value": "1"}]}));
    body["ClientTags"] = json!([{"Key": "segment.bytes", "Value": "zone"}]);
    let got = Talk::new(bounded()).sent(ApiKey::STREAMS_GROUP_HEARTBEAT, 0, body);
    assert_eq!(got["ClientTags"][0]["Key"], "segment.bytes");
}

#[test]
fn source_patterns_of_a_streams_group_are_refused() {
    let body = json!({"GroupId": "g", "Topology": {"Subtopologies": [{"SourceTopicRegex": [".*"]}]}});
    assert_eq!(Talk::new(acme()).refused(ApiKey::STREAMS_GROUP_HEARTBEAT, 0, body)["ErrorCode"], 42);
}
