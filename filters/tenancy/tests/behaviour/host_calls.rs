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
fn a_produce_request_of_an_own_id_costs_one_peek() {
    let mut talk = Talk::new(acme());
    talk.learn("acme.orders", &crate::id(7));
    let topic = json!({"TopicId": crate::id(7), "PartitionData": [{"Index": 0, "Records": "07".repeat(16_384)}]});
    talk.sent(ApiKey::PRODUCE, 13, json!({"Acks": 1, "TopicData": [topic]}));
    let calls = talk.driver.client_calls;
    assert_eq!((calls.peeks, calls.splices), (1, 0), "{calls:?}");
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
        }
    }
}

#[test]
fn record_bytes_in_front_of_the_last_name_are_written_back_and_no_others() {
    let mut driver = gateway(acme());
    driver.client(&json::request(ApiKey::PRODUCE, 9, 1, "client", &produce(3, 100_000))).unwrap();
    let calls = driver.client_calls;
    assert_eq!(calls.splices, 1, "{calls:?}");
    assert!(calls.bytes_written < 210_000, "{calls:?}");
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
