//! What tenancy costs the host.

use bifrost_core::filter::Direction;
use bifrost_core::protocol::ApiKey;
use bifrost_testkit::buffer::Calls;
use bifrost_testkit::json;
use serde_json::{Value, json};

use crate::{Talk, acme, gateway};

fn produce(topics: usize, bytes: usize) -> Value {
    let topic =
        |n| json!({"Name": format!("orders-{n}"), "PartitionData": [{"Index": 0, "Records": "07".repeat(bytes)}]});
    json!({"Acks": 1, "TopicData": (0..topics).map(topic).collect::<Vec<_>>()})
}

#[test]
fn a_produce_request_of_one_topic_costs_one_peek_and_one_splice() {
    for version in [3, 8, 9, 12] {
        for bytes in [10, 900, 16_384, 1 << 20] {
            let mut driver = gateway(acme());
            driver.client(&json::request(ApiKey::PRODUCE, version, 1, "client", &produce(1, bytes))).unwrap();
            let calls = driver.client_calls;
            assert_eq!((calls.peeks, calls.splices), (1, 1), "v{version}, {bytes} bytes: {calls:?}");
            assert!(calls.bytes_peeked <= 1_027 && calls.bytes_written <= 60, "v{version}, {bytes} bytes: {calls:?}");
        }
    }
}

#[test]
fn a_produce_request_of_an_own_id_costs_one_peek_and_writes_nothing() {
    for bytes in [10, 16_384, 1 << 20] {
        let calls = produced_by_id(1, bytes).0;
        assert_eq!((calls.peeks, calls.splices, calls.bytes_written), (1, 0, 0), "{bytes} bytes: {calls:?}");
        assert!(calls.bytes_peeked <= 1_024, "{bytes} bytes: {calls:?}");
    }
}

/// Host calls of a Produce request by own ids, and its size.
fn produced_by_id(topics: usize, bytes: usize) -> (Calls, usize) {
    let mut talk = Talk::new(acme());
    let ids: Vec<String> = (1..=topics as u128).map(crate::id).collect();
    ids.iter().for_each(|id| talk.learn("acme.orders", id));
    let topic = |id| json!({"TopicId": id, "PartitionData": [{"Index": 0, "Records": "07".repeat(bytes)}]});
    let body = json!({"Acks": 1, "TopicData": ids.iter().map(topic).collect::<Vec<_>>()});
    talk.send(ApiKey::PRODUCE, 13, body).unwrap();
    (talk.driver.client_calls, talk.driver.to_broker.len())
}

#[test]
fn many_topics_cost_a_peek_each_at_most() {
    for (topics, bytes) in [(10, 1_024), (100, 1_024), (10, 16_384)] {
        let frame = json::request(ApiKey::PRODUCE, 12, 1, "client", &produce(topics, bytes));
        let mut driver = gateway(acme());
        driver.client(&frame).unwrap();
        let name = format!("{topics} topics of {bytes}");
        // Once to look at each topic, once to copy what lies between them.
        let calls = driver.client_calls;
        assert!(calls.peeks <= 2 * topics, "{name}: {calls:?}");
        assert!(calls.splices <= topics, "{name}: {calls:?}");
        assert!(calls.bytes_peeked <= 2 * frame.len(), "{name}: {calls:?} of {}", frame.len());
        assert!(calls.bytes_written <= driver.to_broker.len(), "{name}: {calls:?}");

        let (calls, frame_bytes) = produced_by_id(topics, bytes);
        assert!(calls.peeks <= topics && calls.splices == 0, "{name} by id: {calls:?}");
        let copied = if bytes > 1_024 { topics * 1_100 } else { frame_bytes };
        assert!(calls.bytes_peeked <= copied, "{name} by id: {calls:?}");
    }
}

/// Several edits in one buffer: what lies before the last of them is copied out once and written back once.
#[test]
fn produce_requests_behind_each_other_copy_what_lies_before_the_last_name_twice() {
    for (frames, bytes) in [(2, 1_024), (4, 256 << 10), (16, 1_024), (32, 32 << 10)] {
        let request = json::request(ApiKey::PRODUCE, 12, 1, "client", &produce(1, bytes));
        let mut driver = gateway(acme());
        driver.client(&request.repeat(frames)).unwrap();
        let calls = driver.client_calls;
        let before_last_edit = (frames - 1) * request.len() + 64;
        let name = format!("{frames} frames of {bytes}");
        // A head is looked at; what lies before it, and between its size and its name, is copied when it is written.
        assert!(calls.peeks <= 3 * frames, "{name}: {calls:?}");
        let copied = calls.bytes_peeked + calls.bytes_written;
        assert!(copied <= 2 * before_last_edit + frames * 1_400, "{name}: {calls:?}");
    }
}

#[test]
fn a_heartbeat_is_copied_out_once_and_in_once() {
    let body = json!({"GroupId": "workers", "MemberId": "m-1", "GenerationId": 1});
    let frame = json::request(ApiKey::HEARTBEAT, 4, 1, "client", &body);
    let answer = json::response(ApiKey::HEARTBEAT, 4, 1, &json!({}));
    let mut driver = gateway(acme());
    driver.client(&frame).unwrap();
    let changed = driver.to_broker.len();
    let expected = Calls { peeks: 1, bytes_peeked: frame.len(), splices: 1, bytes_written: changed };
    assert_eq!(driver.client_calls, expected);
    driver.broker(&answer).unwrap();
    assert_eq!(driver.broker_calls, Calls { peeks: 1, bytes_peeked: answer.len(), ..Calls::default() });
}

fn fetched(key: &str, value: &str, bytes: usize) -> Value {
    json!({"Responses": [{key: value, "Partitions": [{"PartitionIndex": 0, "Records": "07".repeat(bytes)}]}]})
}

#[test]
fn a_fetch_answer_costs_at_most_one_peek_where_its_fields_are() {
    for (version, key, value) in [(11, "Topic", "acme.orders"), (12, "Topic", "acme.orders"), (13, "TopicId", "")] {
        let value = if value.is_empty() { crate::id(7) } else { value.to_owned() };
        let frame = json::response(ApiKey::FETCH, version, 1, &fetched(key, &value, 1 << 20));
        let pieces: Vec<&[u8]> = frame.chunks(64 << 10).collect();
        let mut driver = gateway(acme());
        driver.client(&json::request(ApiKey::FETCH, version, 1, "client", &json!({"SessionEpoch": -1}))).unwrap();
        for (at, piece) in pieces.iter().enumerate() {
            driver.broker(piece).unwrap();
            let calls = driver.broker_calls;
            let most = usize::from(at == 0 || at == pieces.len() - 1);
            let splices = usize::from(at == 0 && version < 13);
            assert!(calls.peeks <= most, "v{version} callback {at}: {calls:?}");
            assert_eq!(calls.splices, splices, "v{version} callback {at}: {calls:?}");
            assert!(calls.bytes_peeked <= 1_024, "v{version} callback {at}: {calls:?}");
            let written = if splices == 0 { 0 } else { 64 };
            assert!(calls.bytes_written <= written, "v{version} callback {at}: {calls:?}");
        }
    }
}

#[test]
fn a_fetch_answer_in_one_callback_costs_a_look_for_each_topic_and_one_behind_them() {
    for (topics, bytes) in [(1, 10), (1, 1_024), (1, 256 << 10), (10, 16_384), (100, 1_024)] {
        for version in [12, 17] {
            let topic = |n: usize| {
                let mut topic = json!({"Partitions": [{"Records": "07".repeat(bytes)}]});
                match version {
                    12 => topic["Topic"] = format!("acme.orders-{n}").into(),
                    _ => topic["TopicId"] = crate::id(7).into(),
                }
                topic
            };
            let body = json!({"Responses": (0..topics).map(topic).collect::<Vec<_>>()});
            let frame = json::response(ApiKey::FETCH, version, 1, &body);
            let mut driver = gateway(acme());
            driver.client(&json::request(ApiKey::FETCH, version, 1, "client", &json!({"SessionEpoch": -1}))).unwrap();
            driver.broker(&frame).unwrap();
            let calls = driver.broker_calls;
            let name = format!("v{version}, {topics} topics of {bytes}");
            if version >= 13 {
                assert!(calls.peeks <= topics + 1, "{name}: {calls:?}");
                assert_eq!((calls.splices, calls.bytes_written), (0, 0), "{name}: ids are not changed");
                assert!(calls.bytes_peeked <= topics * 1_100, "{name}: {calls:?}");
            } else {
                assert!(calls.peeks <= 2 * topics, "{name}: {calls:?}");
                let before_last_edit = (topics - 1) * frame.len() / topics + 64;
                let copied = calls.bytes_peeked + calls.bytes_written;
                assert!(copied <= 2 * before_last_edit + topics * 1_400, "{name}: {calls:?}");
            }
        }
    }
}

#[test]
fn record_bytes_in_front_of_the_last_name_are_written_back_and_no_others() {
    let mut driver = gateway(acme());
    driver.client(&json::request(ApiKey::PRODUCE, 9, 1, "client", &produce(3, 100_000))).unwrap();
    let calls = driver.client_calls;
    assert!(calls.splices <= 3, "{calls:?}");
    assert!(calls.bytes_peeked < 210_000 && calls.bytes_written < 210_000, "{calls:?}");
}

/// One topic in five is the tenant's: what is kept goes with what the client gets.
#[test]
fn listing_own_topics_among_others_copies_each_byte_once_and_keeps_what_is_shown() {
    const PIECE: usize = 64 << 10;
    let topic = |n: usize| {
        let name = format!("{}.topic-{n:05}", if n.is_multiple_of(5) { "acme" } else { "globex" });
        let partition = |index: i32| json!({"PartitionIndex": index, "ReplicaNodes": [1, 2, 3], "IsrNodes": [1, 2, 3]});
        json!({"Name": name, "TopicId": crate::id(n as u128 + 1), "Partitions": [partition(0), partition(1)]})
    };
    for version in [1, 9, 12] {
        let body = json!({"Topics": (0..5_000).map(topic).collect::<Vec<_>>()});
        let frame = json::response(ApiKey::METADATA, version, 1, &body);
        let mut driver = gateway(acme());
        driver.client(&json::request(ApiKey::METADATA, version, 1, "client", &json!({"Topics": null}))).unwrap();
        let mut total = Calls::default();
        for piece in frame.chunks(PIECE) {
            driver.broker(piece).unwrap();
            let calls = driver.broker_calls;
            assert!(calls.peeks <= 2 && calls.splices <= 1, "v{version}: {calls:?}");
            total.bytes_peeked += calls.bytes_peeked;
            total.bytes_written += calls.bytes_written;
        }
        let shown = driver.to_client.len();
        let message = json::read(ApiKey::METADATA, version, Direction::Response, &driver.to_client[4..]).unwrap();
        assert_eq!(message.body["Topics"].as_array().unwrap().len(), 1_000, "v{version}");
        assert!(shown < frame.len() / 4, "v{version}");
        assert!(total.bytes_peeked <= frame.len() + PIECE, "v{version}: {total:?} of {}", frame.len());
        assert_eq!(total.bytes_written, shown, "v{version}: only what the client gets is written");
        // A prefix for each name, and an element that has begun.
        let most = shown + 1_000 * "acme.".len() + 200;
        assert!(driver.held_bytes_max <= most, "v{version}: {} kept for {shown}", driver.held_bytes_max);
        assert_eq!(driver.driven.held_bytes(), 0);
    }
}
