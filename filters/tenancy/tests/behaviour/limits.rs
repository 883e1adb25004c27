//! Names, and numbers of names, that are too many.

use bifrost_core::fault::Fault;
use bifrost_core::host::Counter;
use bifrost_core::limits::Limits;
use bifrost_core::protocol::ApiKey;
use bifrost_core::session::OWN_CORRELATION_ID;
use bifrost_testkit::{frames, json};
use serde_json::{Value, json};

use crate::{Talk, acme, cluster_within, id};

#[test]
fn a_name_that_would_not_fit_closes_and_never_wraps() {
    for (length, fits) in [(32_767 - 5, true), (32_767 - 4, false), (32_767, false)] {
        let name = "x".repeat(length);
        for (key, version, body) in [
            (ApiKey::METADATA, 1, json!({"Topics": [{"Name": name}]})),
            (ApiKey::METADATA, 9, json!({"Topics": [{"Name": name}]})),
            (ApiKey::HEARTBEAT, 0, json!({"GroupId": name})),
            (ApiKey::HEARTBEAT, 4, json!({"GroupId": name})),
            (ApiKey::PRODUCE, 8, json!({"Acks": 1, "TopicData": [{"Name": name}]})),
            (ApiKey::PRODUCE, 9, json!({"Acks": 1, "TopicData": [{"Name": name}]})),
            (ApiKey::PRODUCE, 9, json!({"Acks": 1, "TransactionalId": name})),
            (ApiKey::INIT_PRODUCER_ID, 0, json!({"TransactionalId": name})),
            (ApiKey::FIND_COORDINATOR, 1, json!({"Key": name})),
            (ApiKey::CREATE_TOPICS, 5, json!({"Topics": [{"Name": name}]})),
        ] {
            let sent = Talk::new(acme()).send(key, version, body);
            if fits {
                assert_eq!(sent, Ok(()), "{key} v{version} {length}");
            } else {
                assert!(matches!(sent, Err(Fault::Malformed { .. })), "{key} v{version} {length}: {sent:?}");
            }
        }
    }
}

/// What the broker has just said of an id is for the next request only. If it were kept, ids that a client makes up would
/// fill the memory of its connection.
#[test]
fn what_was_said_of_an_id_is_forgotten_behind_the_next_request() {
    for (key, version, list) in [(ApiKey::FETCH, 13, "Topics"), (ApiKey::PRODUCE, 13, "TopicData")] {
        let mut talk = Talk::new(acme());
        talk.broker_knows_metadata(13);
        for (round, number) in [1, 2, 3, 1].into_iter().enumerate() {
            let body = json!({list: [{"TopicId": id(number)}]});
            let body = if key == ApiKey::FETCH { json!({"SessionEpoch": -1, list: body[list]}) } else { body };
            let mut body = body;
            if key == ApiKey::PRODUCE {
                body["Acks"] = json!(1);
            }
            talk.send(key, version, body).unwrap();
            let question: Vec<u8> = frames::split(&talk.driver.to_broker)
                .into_iter()
                .filter(|frame| frame[4..6] == [0, 3])
                .flatten()
                .copied()
                .collect();
            assert!(!question.is_empty(), "{key}, request {round}: id {number} is asked for");
            talk.driver.to_broker = question;
            talk.tell(&[]);
            talk.answer(key, version, json!({})).unwrap();
        }
    }
}

/// A request with these ids, and an answer that repeats what the broker got.
fn with_ids(key: ApiKey, ids: impl Iterator<Item = u128>) -> Value {
    let topics: Vec<Value> = ids.map(|number| json!({"TopicId": id(number)})).collect();
    if key == ApiKey::PRODUCE {
        json!({"Acks": 1, "TopicData": topics})
    } else {
        json!({"SessionEpoch": -1, "Topics": topics})
    }
}

/// Ids that a client makes up are asked for once each, and leave nothing behind.
#[test]
fn foreign_ids_over_many_requests_do_not_fill_the_memory() {
    const ROUNDS: u128 = 200;
    const EACH: u128 = 500;
    for key in [ApiKey::PRODUCE, ApiKey::FETCH] {
        let mut talk = Talk::new(acme());
        talk.broker_knows_metadata(13);
        let mut frame_max = 0;
        for round in 0..ROUNDS {
            let ids = 1 + round * EACH..=(round + 1) * EACH;
            let frame = json::request(key, 13, 500, "client", &with_ids(key, ids));
            frame_max = frame_max.max(frame.len());
            talk.driver.to_broker.clear();
            talk.driver.client_in(&[4_096], &frame).unwrap();
            // Produce goes at once and the question behind it, Fetch waits for the answer to the question.
            for _ in 0..2 {
                for frame in frames::split(&core::mem::take(&mut talk.driver.to_broker)) {
                    let own = frame[8..12] == OWN_CORRELATION_ID.to_be_bytes();
                    let (key, version, correlation_id) =
                        if own { (ApiKey::METADATA, 12, OWN_CORRELATION_ID) } else { (key, 13, 500) };
                    talk.driver.broker_in(&[4_096], &json::response(key, version, correlation_id, &json!({}))).unwrap();
                }
            }
            assert!(talk.driver.unread.bytes.is_empty());
            assert_eq!(talk.driver.driven.held_bytes(), 0, "{key}, round {round}");
        }
        assert_eq!(talk.driver.host.counted(Counter::OwnRequests), ROUNDS as u64, "{key}: one question per request");
        assert_eq!(talk.driver.host.counted(Counter::TopicIdsForeign), (ROUNDS * EACH) as u64, "{key}");
        assert!(talk.driver.held_bytes_max <= frame_max, "{key}: {} bytes", talk.driver.held_bytes_max);
    }
}

/// Ids that wait to be asked for, and the question, are memory too. A client that puts them into a Produce request, which may be
/// as large as `frameBytesMax`, must meet `workerHeldBytesMax`, or be asked for in bounded questions.
#[test]
fn ids_that_are_asked_for_are_counted_as_held() {
    const IDS: u128 = 60_000;
    let bytes_max = 256 << 10;
    let limits = Limits { worker_held_bytes_max: bytes_max, ..Limits::default() };
    let mut talk = Talk::on(&cluster_within(acme(), limits));
    talk.broker_knows_metadata(13);
    talk.driver.to_broker.clear();
    let frame = json::request(ApiKey::PRODUCE, 13, 500, "client", &with_ids(ApiKey::PRODUCE, 1..=IDS));
    let sent = talk.driver.client_in(&[65_536], &frame);
    if sent.is_ok() {
        let sent = frames::split(&talk.driver.to_broker);
        let asked = sent.iter().filter(|frame| frame[4..6] == [0, 3]).map(|frame| frame.len()).sum::<usize>();
        assert!(asked <= bytes_max as usize, "a question of {asked} bytes was kept, the limit is {bytes_max}");
    }
}
