//! What quotas cost the host.

use bifrost_core::protocol::ApiKey;
use bifrost_quota::{ClientLimits, Config, Limits, TopicLimits};
use bifrost_testkit::buffer::Calls;
use bifrost_testkit::json;
use serde_json::json;

use crate::{Cluster, Talk, limits};

/// Limits of everything for everybody, far away.
fn everything() -> Config {
    let all = Limits {
        produce_bytes_per_second: Some(1 << 30),
        fetch_bytes_per_second: Some(1 << 30),
        requests_per_second: Some(1 << 20),
        connections: Some(1_000),
        ..Limits::default()
    };
    let clients = vec![ClientLimits { client_id: "*".to_owned(), each: true, limits: all.clone() }];
    Config { clients, ..limits(all) }
}

/// Calls of a Produce request and its answer, and of the host's own data and clock.
fn cost(talk: &mut Talk, request: &[u8]) -> (Calls, Calls, usize) {
    let before = talk.driver.host.calls;
    talk.send(request);
    let answer = json!({"Responses": [{"Name": "logs.app", "PartitionResponses": [{"Index": 0}]}]});
    talk.driver.broker(&json::response(ApiKey::PRODUCE, 9, 1, &answer)).unwrap();
    (talk.driver.client_calls, talk.driver.broker_calls, talk.driver.host.calls - before)
}

#[test]
fn a_produce_request_within_its_limits_costs_one_look_and_its_answer_one() {
    for bytes in [10, 16_384, 256 << 10] {
        let mut talk = Cluster::new(everything()).connect();
        let request = talk.produce(1, "logs.app", bytes);
        cost(&mut talk, &request);
        let mut own = 0;
        for _ in 0..100 {
            let (request, answer, calls) = cost(&mut talk, &request);
            let (peeks, changes) = (request.peeks, request.splices + answer.splices);
            assert_eq!((peeks, answer.peeks, changes), (1, 1, 0), "{bytes} bytes");
            assert!(request.bytes_peeked <= 1_024, "{bytes} bytes: {request:?}");
            own += calls;
        }
        // 20 ms of the limit are 21 MB or 20971 requests; each time a clock, a read and a write, for two accounts.
        let most = 2 * 3 * (100 * bytes / 21_000_000 + 1);
        assert!(own <= most, "{bytes} bytes: {own} calls");
    }
}

#[test]
fn limits_of_topics_cost_a_look_at_each_topic() {
    let config = Config {
        topics: vec![TopicLimits {
            topic: "logs.*".to_owned(),
            each: true,
            limits: Limits { produce_bytes_per_second: Some(1 << 30), ..Limits::default() },
        }],
        ..Config::default()
    };
    let mut talk = Cluster::new(config).connect();
    let request = talk.produce(1, "logs.app", 1_000);
    cost(&mut talk, &request);
    for _ in 0..100 {
        let (request, answer, calls) = cost(&mut talk, &request);
        assert_eq!((request.peeks, answer.peeks, calls), (1, 1, 0));
    }
}

#[test]
fn a_paused_client_costs_a_look_at_the_clock_and_its_answers_one_change() {
    let mut talk = Cluster::new(crate::produce_limit(1_000)).connect();
    talk.send(&talk.produce(1, "t", 3_000));
    let before = talk.driver.host.calls;
    talk.send(&talk.produce(2, "t", 10));
    assert_eq!((talk.driver.client_calls, talk.driver.host.calls - before), (Calls::default(), 1));
    let before = talk.driver.host.calls;
    talk.answer(ApiKey::PRODUCE, 9, 1, json!({}));
    let Calls { peeks, splices, .. } = talk.driver.broker_calls;
    assert_eq!((peeks, splices, talk.driver.host.calls - before), (1, 1, 1));
}

#[test]
fn a_fetch_answer_within_its_limit_is_looked_at_once() {
    let mut talk = Cluster::new(everything()).connect();
    talk.send(&talk.request(ApiKey::FETCH, 12, 1, &json!({})));
    let records = json::hex(&vec![7; 1 << 20]);
    let body = json!({"Responses": [{"Topic": "t", "Partitions": [{"Records": records}]}]});
    talk.driver.broker(&json::response(ApiKey::FETCH, 12, 1, &body)).unwrap();
    assert_eq!((talk.driver.broker_calls.peeks, talk.driver.broker_calls.splices), (1, 0));
}
