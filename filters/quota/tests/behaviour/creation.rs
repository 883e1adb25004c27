//! Limits of creations.

use bifrost_core::protocol::{ApiKey, VersionRange};
use bifrost_quota::{Config, Limits, TopicLimits};
use serde_json::{Value, json};

use crate::{Cluster, Talk, limits, produce_limit};

fn creations(topics: Option<u64>, partitions: Option<u64>) -> Config {
    limits(Limits {
        topic_creations_per_minute: topics,
        partition_creations_per_minute: partitions,
        ..Limits::default()
    })
}

fn create(talk: &mut Talk, version: i16, topics: Value, validate_only: bool) -> bool {
    let body = json!({"Topics": topics, "validateOnly": validate_only});
    let frame = talk.request(ApiKey::CREATE_TOPICS, version, 1, &body);
    talk.send(&frame);
    talk.driver.to_broker[5] == 19
}

fn plain(name: &str, partitions: i32) -> Value {
    json!({"Name": name, "NumPartitions": partitions, "ReplicationFactor": 1})
}

#[test]
fn a_debt_is_answered_with_kafkas_error_for_every_topic() {
    for version in [6, 7] {
        let cluster = Cluster::of_tenant(creations(Some(2), None));
        let mut talk = cluster.connect();
        assert!(create(&mut talk, version, json!([plain("a", 1), plain("b", 1), plain("c", 1)]), false));
        assert_eq!(talk.until(), Some(30_000));
        let mut second = cluster.connect();
        second.driver.host = talk.driver.host.clone();
        second.driver.host.now_ms = 10_000;
        assert!(!create(&mut second, version, json!([plain("d", 1), plain("e", 1)]), false), "a carrier goes instead");
        second.driver.to_client.clear();
        let carried = bifrost_testkit::json::response(ApiKey::API_VERSIONS, 0, 1, &json!({}));
        second.driver.broker(&carried).unwrap();
        let frame = &second.driver.to_client[4..];
        let direction = bifrost_core::filter::Direction::Response;
        let answer = bifrost_testkit::json::read(ApiKey::CREATE_TOPICS, version, direction, frame).unwrap().body;
        assert_eq!(answer["ThrottleTimeMs"], 20_000);
        for (at, name) in ["d", "e"].iter().enumerate() {
            assert_eq!((&answer["Topics"][at]["Name"], &answer["Topics"][at]["ErrorCode"]), (&json!(name), &json!(89)));
        }
        assert_eq!(second.until(), Some(30_000));
        // A refusal costs nothing.
        let mut third = cluster.connect();
        third.driver.host = second.driver.host.clone();
        third.driver.host.now_ms = 30_000;
        assert!(create(&mut third, version, json!([plain("f", 1)]), false));
    }
}

#[test]
fn older_clients_wait_behind_their_request() {
    let mut talk = Cluster::new(creations(Some(2), None)).connect();
    assert!(create(&mut talk, 4, json!([plain("a", 1), plain("b", 1), plain("c", 1)]), false));
    let answer = talk.answer(ApiKey::CREATE_TOPICS, 4, 1, json!({}));
    assert_eq!(answer["ThrottleTimeMs"], 30_000);
    talk.at(30_000);
    assert!(create(&mut talk, 4, json!([plain("d", 1)]), false));
    assert_eq!(talk.until(), Some(60_000));
}

#[test]
fn partitions_are_counted_as_far_as_the_request_tells() {
    let charged = |key, version, topic: Value, validate_only: bool| {
        let cluster = Cluster::new(creations(None, Some(1)));
        let mut talk = cluster.connect();
        let name = if key == ApiKey::CREATE_TOPICS { "validateOnly" } else { "ValidateOnly" };
        talk.send(&talk.request(key, version, 1, &json!({"Topics": [topic], name: validate_only})));
        cluster.in_force.readings().0[0].used.used
    };
    let assigned =
        json!({"Name": "a", "NumPartitions": -1, "Assignments": [{"PartitionIndex": 0}, {"PartitionIndex": 1}]});
    assert_eq!(charged(ApiKey::CREATE_TOPICS, 7, plain("a", 5), false), 5);
    assert_eq!(charged(ApiKey::CREATE_TOPICS, 7, plain("a", -1), false), 1, "the broker's default");
    assert_eq!(charged(ApiKey::CREATE_TOPICS, 7, assigned, false), 2);
    assert_eq!(charged(ApiKey::CREATE_TOPICS, 7, plain("a", 5), true), 0, "nothing is created");
    let more = json!({"Name": "a", "Count": 9, "Assignments": null});
    assert_eq!(charged(ApiKey::CREATE_PARTITIONS, 3, more.clone(), false), 9);
    assert_eq!(charged(ApiKey::CREATE_PARTITIONS, 3, more, true), 0);
    let assigned = json!({"Name": "a", "Count": 9, "Assignments": [{"BrokerIds": [1]}]});
    assert_eq!(charged(ApiKey::CREATE_PARTITIONS, 3, assigned, false), 1);
}

#[test]
fn topics_have_creations_of_their_own() {
    let topic_creations_per_minute = Some(1);
    let limits = Limits { topic_creations_per_minute, ..Limits::default() };
    let topics = vec![TopicLimits { topic: "tmp.*".to_owned(), each: false, limits }];
    let mut talk = Cluster::new(Config { topics, ..Config::default() }).connect();
    assert!(create(&mut talk, 7, json!([plain("a", 1), plain("b", 1), plain("tmp.a", 1)]), false));
    assert_eq!(talk.until(), None);
    assert!(create(&mut talk, 7, json!([plain("c", 1), plain("tmp.b", 1)]), false));
    assert_eq!(talk.until(), Some(60_000));
}

#[test]
fn metadata_creates_nothing_where_creations_are_limited() {
    let creates = |config: Config| {
        let mut talk = Cluster::new(config).connect();
        let body = json!({"Topics": [{"Name": "t"}], "AllowAutoTopicCreation": true});
        talk.send(&talk.request(ApiKey::METADATA, 9, 1, &body));
        let direction = bifrost_core::filter::Direction::Request;
        let sent = bifrost_testkit::json::read(ApiKey::METADATA, 9, direction, &talk.driver.to_broker[4..]).unwrap();
        sent.body["AllowAutoTopicCreation"].as_bool().unwrap()
    };
    assert!(!creates(creations(Some(1), None)) && !creates(creations(None, Some(1))));
    assert!(creates(produce_limit(1)));
    let offered = |config| Cluster::new(config).chain.versions(ApiKey::METADATA);
    assert_eq!(offered(creations(Some(1), None)), Some(VersionRange::new(4, 13)));
    assert_eq!(offered(produce_limit(1)), Some(VersionRange::new(0, 13)));
}
