//! Limits of topics.

use bifrost_core::protocol::{ApiKey, VersionRange};
use bifrost_quota::{Config, Limits, TopicLimits};
use bifrost_testkit::json;
use serde_json::json;

use crate::{Cluster, PREFIX, produce_limit};

fn logs(limits: Limits) -> Config {
    Config { topics: vec![TopicLimits { topic: "logs.*".to_owned(), each: false, limits }], ..Config::default() }
}

fn both(bytes: u64) -> Config {
    let limits =
        Limits { produce_bytes_per_second: Some(bytes), fetch_bytes_per_second: Some(bytes), ..Limits::default() };
    logs(limits)
}

#[test]
fn only_records_of_topics_that_fit_count() {
    let cluster = Cluster::of_tenant(both(1_000));
    let mut talk = cluster.connect();
    assert_eq!(talk.send(&talk.produce(1, "orders", 50_000)), 1);
    assert_eq!(talk.until(), None);
    talk.send(&talk.produce(2, "logs.app", 900));
    assert_eq!(talk.until(), None);
    talk.send(&talk.produce(3, "logs.web", 600));
    assert_eq!(talk.until(), Some(500), "both count together, their records only");
    assert_eq!(talk.at(500), 0);
    let records = json::hex(&[7; 100]);
    let topic = |name: &str| json!({"Name": name, "PartitionData": [{"Index": 0, "Records": records}, {"Index": 1, "Records": records}]});
    let body = json!({"Acks": 1, "TopicData": [topic("orders"), topic("logs.app"), topic("other")]});
    talk.send(&talk.request(ApiKey::PRODUCE, 9, 4, &body));
    assert_eq!(talk.until(), Some(700));
}

#[test]
fn answers_name_topics_as_the_broker_does() {
    for version in [4, 11, 12] {
        let cluster = Cluster::of_tenant(both(1_000));
        let mut talk = cluster.connect();
        talk.send(&talk.request(ApiKey::FETCH, version, 1, &json!({})));
        let records = json::hex(&vec![7; 1_500]);
        let topic = |name: &str| json!({"Topic": format!("{PREFIX}{name}"), "Partitions": [{"Records": records}]});
        let body = json!({"Responses": [topic("orders"), topic("logs.app"), topic("x-logs.app")]});
        let seen = talk.answer(ApiKey::FETCH, version, 1, body);
        assert_eq!(seen["Responses"][1]["Topic"], "logs.app");
        assert_eq!(talk.until(), Some(500), "v{version}");
    }
}

#[test]
fn versions_that_name_topics_by_id_are_not_offered_only_where_names_are_needed() {
    let offered = |config: Config, key| Cluster::new(config).chain.versions(key);
    assert_eq!(offered(both(1), ApiKey::PRODUCE), Some(VersionRange::new(0, 12)));
    assert_eq!(offered(both(1), ApiKey::FETCH), Some(VersionRange::new(0, 12)));
    assert_eq!(offered(both(1), ApiKey::SHARE_FETCH), None);
    let produce_only = logs(Limits { produce_bytes_per_second: Some(1), ..Limits::default() });
    assert_eq!(offered(produce_only, ApiKey::FETCH), Some(VersionRange::new(0, 18)));
    assert_eq!(offered(produce_limit(1), ApiKey::PRODUCE), Some(VersionRange::new(0, 13)));
    assert!(offered(produce_limit(1), ApiKey::SHARE_FETCH).is_some());
}
