//! Who waits, from when to when, and what it is told.

use bifrost_core::fault::Fault;
use bifrost_core::limits::Limits as Bounds;
use bifrost_core::protocol::ApiKey;
use bifrost_core::session::OWN_CORRELATION_ID;
use bifrost_quota::{ClientLimits, Config, Limits};
use bifrost_testkit::driver::pieces;
use bifrost_testkit::{frames, json};
use proptest::prelude::*;
use serde_json::json;

use crate::{Cluster, PREFIX, Talk, fetch_limit, limits, produce_limit};

fn told(talk: &mut Talk, id: i32, broker: i32) -> i64 {
    talk.answer(ApiKey::PRODUCE, 9, id, json!({"ThrottleTimeMs": broker}))["ThrottleTimeMs"].as_i64().unwrap()
}

#[test]
fn a_request_beyond_the_limit_goes_and_the_next_one_waits() {
    let mut talk = Cluster::new(produce_limit(1_000)).connect();
    let first = talk.produce(1, "t", 3_000);
    assert_eq!(talk.send(&first), 1, "nothing is held up");
    let wait_ms = first.len() as u64 - 1_000;
    assert_eq!(talk.until(), Some(wait_ms));

    talk.driver.host.now_ms = 100;
    assert_eq!(told(&mut talk, 1, 0), wait_ms as i64 - 100, "what is left of it");
    let second = talk.produce(2, "t", 10);
    assert_eq!(talk.send(&second), 0);
    assert_eq!(talk.at(wait_ms - 1), 0);
    assert_eq!(talk.at(wait_ms), 1);
    assert_eq!(talk.driver.to_broker, second);
}

#[test]
fn the_longer_one_of_two_times_is_told() {
    let mut talk = Cluster::new(produce_limit(1_000)).connect();
    let first = talk.produce(1, "t", 3_000);
    talk.send(&first);
    assert_eq!(told(&mut talk, 1, 50_000), 50_000);
    let now_ms = talk.until().unwrap();
    talk.at(now_ms);
    talk.send(&talk.produce(2, "t", 10));
    let now_ms = talk.until().unwrap_or(now_ms);
    talk.driver.host.now_ms = now_ms;
    assert_eq!(told(&mut talk, 2, 7), 7, "the broker's is not touched");
}

#[test]
fn what_is_within_the_limit_passes_untouched_in_both_directions() {
    let mut talk = Cluster::new(produce_limit(1 << 20)).connect();
    for id in 0..100 {
        let request = talk.produce(id, "t", 1_000);
        assert_eq!(talk.send(&request), 1);
        assert_eq!(talk.driver.to_broker, request);
        let answer = json::response(ApiKey::PRODUCE, 9, id, &json!({"ThrottleTimeMs": 3}));
        talk.driver.to_client.clear();
        talk.driver.broker(&answer).unwrap();
        assert_eq!(talk.driver.to_client, answer);
    }
    assert_eq!(talk.until(), None);
}

#[test]
fn whoever_sends_on_gets_one_request_through_at_a_time() {
    let mut talk = Cluster::new(limits(Limits { requests_per_second: Some(10), ..Limits::default() })).connect();
    let requests: Vec<u8> = (0..30).flat_map(|id| talk.heartbeat(id)).collect();
    // Ten are free, and one more goes before it is known to be too much.
    assert_eq!(talk.send(&requests), 11);
    for at in 1..20u64 {
        assert_eq!(talk.at(at * 100 - 1), 0, "at {at}");
        assert_eq!(talk.at(at * 100), 1, "at {at}");
    }
    assert_eq!(talk.at(10_000), 0, "all have gone");
}

#[test]
fn a_pause_begins_inside_a_frame_that_is_too_much() {
    let mut talk = Cluster::new(produce_limit(1_000_000)).connect();
    let frame = talk.produce(1, "t", 3_000_000);
    let wait_ms = (frame.len() as u64 - 1_000_000).div_ceil(1_000);
    let (start, rest) = frame.split_at(100_000);
    talk.driver.client(start).unwrap();
    assert_eq!(talk.until(), Some(wait_ms));
    talk.driver.client(rest).unwrap();
    assert_eq!(talk.driver.to_broker.len(), start.len(), "the rest is not read");
    assert_eq!(talk.driver.driven.handle_downstream_end(), Ok(()), "nor missed");
    talk.driver.host.now_ms = wait_ms;
    talk.driver.client(&[]).unwrap();
    assert_eq!(talk.driver.to_broker, frame);
}

#[test]
fn a_fetch_answer_is_told_its_own_time() {
    for (key, version) in [(ApiKey::FETCH, 4), (ApiKey::FETCH, 12), (ApiKey::FETCH, 17), (ApiKey::SHARE_FETCH, 1)] {
        let mut talk = Cluster::new(fetch_limit(1_000)).connect();
        talk.send(&talk.request(key, version, 1, &json!({})));
        let records = json::hex(&vec![7; 3_000]);
        let partitions = json!([{ "Records": records }]);
        let answer = json::response(key, version, 1, &json!({"Responses": [{"Partitions": partitions}]}));
        let wait_ms = answer.len() as u64 - 1_000;
        talk.driver.broker(&answer).unwrap();
        let met = json::read(key, version, bifrost_core::filter::Direction::Response, &talk.driver.to_client[4..]);
        assert_eq!(met.unwrap().body["ThrottleTimeMs"], wait_ms, "{key} v{version}");
        assert_eq!(talk.until(), Some(wait_ms));
        assert_eq!(talk.send(&talk.request(key, version, 2, &json!({}))), 0);
        assert_eq!(talk.at(wait_ms), 1);
    }
}

#[test]
fn a_request_without_an_answer_makes_wait_too() {
    let mut talk = Cluster::new(produce_limit(1_000)).connect();
    let records = json::hex(&vec![7; 3_000]);
    let data = json!([{"Name": "t", "PartitionData": [{"Records": records}]}]);
    let frame = talk.request(ApiKey::PRODUCE, 9, 1, &json!({"Acks": 0, "TopicData": data}));
    assert_eq!(talk.send(&frame), 1);
    assert_eq!(talk.send(&talk.heartbeat(2)), 0);
    assert_eq!(talk.at(talk.until().unwrap()), 1);
}

#[test]
fn without_room_for_what_came_along_it_goes_and_is_charged() {
    let bounds = Bounds { held_bytes_max: 1_024, worker_held_bytes_max: 1_024, ..Bounds::default() };
    let config = limits(Limits { requests_per_second: Some(10), ..Limits::default() });
    let mut talk = Cluster::within(config, bounds, false).connect();
    let requests: Vec<u8> = (0..100).flat_map(|id| talk.heartbeat(id)).collect();
    let went = talk.send(&requests);
    assert!((80..100).contains(&went), "{went} of 100 went, the last ones found room");
    // Ten were free, the others are a debt.
    assert_eq!(talk.until(), Some((went as u64 - 10) * 100));
    assert_eq!(talk.send(&talk.heartbeat(100)), 0);
}

#[test]
fn one_client_id_does_not_wait_for_another() {
    let entry = |client_id: &str| ClientLimits {
        client_id: client_id.to_owned(),
        each: true,
        limits: Limits { produce_bytes_per_second: Some(1_000), ..Limits::default() },
    };
    let cluster = Cluster::new(Config { clients: vec![entry("app-*")], ..Config::default() });
    let [mut greedy, mut frugal, mut other] = ["app-1", "app-2", "x"].map(|client_id| {
        let mut talk = cluster.connect();
        talk.client_id = client_id;
        talk
    });
    greedy.send(&greedy.produce(1, "t", 3_000));
    assert!(greedy.until().is_some());
    frugal.driver.host = greedy.driver.host.clone();
    frugal.send(&frugal.produce(1, "t", 300));
    other.driver.host = frugal.driver.host.clone();
    other.send(&other.produce(1, "t", 30_000));
    assert_eq!((frugal.until(), other.until()), (None, None));
    // Another connection of the greedy one.
    let mut again = cluster.connect();
    again.client_id = "app-1";
    again.driver.host = other.driver.host.clone();
    again.send(&again.produce(1, "t", 10));
    assert!(again.until() > greedy.until());
}

#[test]
fn a_request_that_another_filter_holds_is_charged_once() {
    let cluster = Cluster::of_tenant(limits(Limits { requests_per_second: Some(100), ..Limits::default() }));
    let mut talk = cluster.connect();
    talk.send(&talk.request(ApiKey::API_VERSIONS, 3, 1, &json!({})));
    let keys = json!([{"ApiKey": 3, "MinVersion": 0, "MaxVersion": 12}]);
    talk.answer(ApiKey::API_VERSIONS, 3, 1, json!({"ApiKeys": keys}));
    let id = json::hex(&7u128.to_be_bytes());
    let body = json!({"Topics": [{"TopicId": id, "Partitions": [{}]}]});
    let fetch = talk.request(ApiKey::FETCH, 13, 2, &body);
    assert_eq!(talk.send(&fetch), 1, "the gateway asks for the topic's name first");
    assert_eq!(talk.driver.to_broker[5], 3, "with Metadata");
    talk.driver.to_broker.clear();
    let name = format!("{PREFIX}orders");
    let known =
        json::response(ApiKey::METADATA, 12, OWN_CORRELATION_ID, &json!({"Topics": [{"TopicId": id, "Name": name}]}));
    talk.driver.broker(&known).unwrap();
    assert_eq!(talk.driver.to_broker, fetch);
    assert_eq!(cluster.in_force.readings().0[0].used.used, 2, "ApiVersions and Fetch");
}

#[test]
fn a_clock_that_is_set_back_ends_a_pause() {
    let mut talk = Cluster::new(produce_limit(1_000)).connect();
    talk.driver.host.now_ms = 10_000_000;
    let first = talk.produce(1, "t", 3_000);
    talk.send(&first);
    assert!(talk.until() > Some(10_000_000));
    assert_eq!(talk.send(&talk.produce(2, "t", 10)), 0);
    assert_eq!(talk.at(5_000), 1);
    talk.driver.host.now_ms = 0;
    assert_eq!(told(&mut talk, 1, 0), 0);
}

#[test]
fn new_limits_are_those_of_open_connections() {
    let cluster = Cluster::new(produce_limit(1_000));
    let mut talk = cluster.connect();
    let first = talk.produce(1, "t", 3_000);
    talk.send(&first);
    talk.at(talk.until().unwrap());
    cluster.in_force.set(&produce_limit(100));
    talk.send(&talk.produce(2, "t", 100));
    let slow = talk.until().unwrap() - talk.driver.host.now_ms;
    assert!(slow >= 1_000, "{slow} ms for more than 100 bytes");
    cluster.in_force.set(&Config::default());
    talk.at(talk.until().unwrap());
    talk.send(&talk.produce(3, "t", 1 << 20));
    assert_eq!(talk.until(), None);
}

#[test]
fn connections_beyond_the_limit_are_refused_and_those_from_before_stay() {
    let cluster = Cluster::new(limits(Limits { connections: Some(2), ..Limits::default() }));
    let mut host = cluster.connect().driver.host;
    // The first one has ended already.
    let mut connect = |max: u32| {
        let mut session = bifrost_core::session::Session::new(std::rc::Rc::clone(&cluster.chain));
        match session.handle_connection(&mut host) {
            Ok(()) => Some(session),
            Err(fault) => {
                assert_eq!(fault, Fault::Connections { whose: "of the virtual cluster", max });
                None
            }
        }
    };
    let (a, b) = (connect(2), connect(2));
    assert!(a.is_some() && b.is_some() && connect(2).is_none());
    drop(a);
    let c = connect(2);
    assert!(c.is_some(), "one has ended");
    cluster.in_force.set(&limits(Limits { connections: Some(1), ..Limits::default() }));
    assert!(connect(1).is_none());
    drop((b, c));
    assert!(connect(1).is_some());
}

#[test]
fn a_client_id_cut_in_two_is_waited_for_and_an_impossible_one_is_malformed() {
    let cluster = Cluster::new(produce_limit(1_000));
    let mut talk = cluster.connect();
    let frame = talk.heartbeat(1);
    for byte in &frame {
        talk.driver.client(&[*byte]).unwrap();
    }
    assert_eq!(talk.driver.to_broker, frame);
    for length in [-2i16, 100] {
        let head = [&[0, 12, 0, 4, 0, 0, 0, 1][..], &length.to_be_bytes(), &[0, 0]].concat();
        let fault = cluster.connect().driver.client(&frames::sized(&head)).unwrap_err();
        assert_eq!(fault, Fault::Malformed { field: "ClientId", at: 12 });
    }
    let short = frames::sized(&[0, 12, 0, 4, 0, 0, 0, 1, 0]);
    assert!(matches!(cluster.connect().driver.client(&short), Err(Fault::Malformed { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes in whatever pieces, everything arrives, once and in order, and no faster than allowed.
    #[test]
    fn nothing_is_lost_and_nothing_is_too_fast(
        sizes in proptest::collection::vec(0usize..6_000, 1..40),
        cuts in proptest::collection::vec(1usize..9_000, 1..5),
        gaps_ms in proptest::collection::vec(0u64..50, 1..5),
        rate in 1_000u64..1_000_000,
    ) {
        let mut talk = Cluster::new(produce_limit(rate)).connect();
        let requests: Vec<Vec<u8>> = sizes.iter().zip(0..).map(|(size, id)| talk.produce(id, "t", *size)).collect();
        let longest = requests.iter().map(Vec::len).max().unwrap() as u64;
        let stream = requests.concat();
        let mut gaps = gaps_ms.iter().cycle();
        for piece in pieces(&cuts, &stream) {
            talk.driver.host.now_ms += gaps.next().unwrap();
            talk.driver.client(piece).unwrap();
            let now_ms = talk.driver.host.now_ms;
            let passed = talk.driver.to_broker.len() as u64;
            prop_assert!(passed <= rate * (now_ms + 1_020) / 1_000 + longest, "{passed} bytes at {now_ms} ms");
        }
        while let Some(until_ms) = talk.until() {
            talk.driver.host.now_ms = until_ms;
            talk.driver.client(&[]).unwrap();
        }
        prop_assert!(talk.driver.to_broker == stream);
        prop_assert_eq!(talk.driver.driven.held_bytes(), 0);
    }
}
