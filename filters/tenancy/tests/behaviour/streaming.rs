//! Produce requests and Fetch answers, renamed while their record bytes stream past.

use bifrost_core::filter::Direction;
use bifrost_core::protocol::ApiKey;
use bifrost_testkit::{frames, json};
use serde_json::{Value, json};

use crate::{Talk, acme, gateway, holds, id, prefixed, same_body};

/// Lengths of names, around the ones at which a varint needs another byte with and without the prefix.
const LENGTHS: [usize; 12] = [1, 2, 3, 100, 121, 122, 126, 127, 128, 200, 244, 300];

fn names(count: usize, shift: usize) -> Vec<String> {
    let impossible = ["", ".", ".."];
    (0..count)
        .map(|n| match (n + shift) % 15 {
            at @ 0..12 => "x".repeat(LENGTHS[at]),
            at => impossible[at - 12].to_owned(),
        })
        .collect()
}

fn physical(prefix: &str, name: &str) -> String {
    let impossible = matches!(name, "" | "." | "..");
    if impossible { format!(":{}{name}", prefix.get(1..).unwrap()) } else { format!("{prefix}{name}") }
}

fn records(bytes: usize, seed: usize) -> String {
    json::hex(&(0..bytes).map(|n| (n * 7 + seed) as u8).collect::<Vec<u8>>())
}

fn produced(names: &[String], bytes: usize) -> Value {
    let topic = |name: &String| {
        let partitions: Vec<Value> = (0..2).map(|n| json!({"Index": n, "Records": records(bytes, n)})).collect();
        json!({"Name": name, "PartitionData": partitions})
    };
    json!({"TransactionalId": "pay", "Acks": -1, "TopicData": names.iter().map(topic).collect::<Vec<_>>()})
}

fn fetched(names: &[String], bytes: usize) -> Value {
    let topic = |name: &String| {
        let partitions: Vec<Value> =
            (0..3).map(|n| json!({"PartitionIndex": n, "Records": records(bytes, n)})).collect();
        json!({"Topic": name, "Partitions": partitions})
    };
    json!({"Responses": names.iter().map(topic).collect::<Vec<_>>()})
}

/// Every name at every place in every version, each of them in pieces of another size.
fn shapes() -> impl Iterator<Item = (&'static str, i16, Vec<String>, usize)> {
    let prefixes = ["acme.", "t", &*"p".repeat(200).leak()];
    (0..prefixes.len() * 13 * 15).map(move |n| {
        let (shift, version, prefix) = (n % 15, n / 15 % 13, prefixes[n / 15 / 13]);
        let size = [5, 64, 301, usize::MAX, if shift % 2 == 0 { 1 } else { 29 }][(shift + version) % 5];
        (prefix, version as i16, names([3, 7, 1, 0][(shift + version) % 4], shift), size)
    })
}

#[test]
fn produce_requests_of_any_names_are_renamed_in_any_pieces() {
    for (prefix, version, names, size) in shapes() {
        let frame = json::request(ApiKey::PRODUCE, version, 1, "client", &produced(&names, 150));
        let mut driver = gateway(prefixed(prefix));
        driver.client_in(&[size], &frame).unwrap();
        let name = format!("v{version} {} {} names in pieces of {size}", prefix.len(), names.len());
        let sent = frames::split(&driver.to_broker);
        let got = json::read(ApiKey::PRODUCE, version, Direction::Request, &sent[0][4..]).expect(&name);
        let renamed: Vec<String> = names.iter().map(|name| physical(prefix, name)).collect();
        let mut expected = produced(&renamed, 150);
        expected["TransactionalId"] = json!(format!("{prefix}pay"));
        let expected = json::request(ApiKey::PRODUCE, version, 1, "client", &expected);
        let expected = json::read(ApiKey::PRODUCE, version, Direction::Request, &expected[4..]).unwrap();
        same_body(&name, &got.body, &expected.body);
        if let Some(key) = frames::supported(ApiKey::PRODUCE, version) {
            frames::read_request_kind(key, version, sent[0]).expect(&name);
        }
    }
}

#[test]
fn fetch_answers_of_any_names_are_renamed_in_any_pieces() {
    for (prefix, version, names, size) in shapes() {
        let renamed: Vec<String> = names.iter().map(|name| physical(prefix, name)).collect();
        let frame = json::response(ApiKey::FETCH, version, 1, &fetched(&renamed, 150));
        let mut driver = gateway(prefixed(prefix));
        driver.client(&json::request(ApiKey::FETCH, version, 1, "client", &json!({}))).unwrap();
        driver.broker_in(&[size], &frame).unwrap();
        let name = format!("v{version} {} {} names in pieces of {size}", prefix.len(), names.len());
        let heard = frames::split(&driver.to_client);
        let got = json::read(ApiKey::FETCH, version, Direction::Response, &heard[0][4..]).expect(&name);
        let expected = json::response(ApiKey::FETCH, version, 1, &fetched(&names, 150));
        let expected = json::read(ApiKey::FETCH, version, Direction::Response, &expected[4..]).unwrap();
        same_body(&name, &got.body, &expected.body);
        if let Some(key) = frames::supported(ApiKey::FETCH, version) {
            frames::read_response_kind(key, version, heard[0]).expect(&name);
        }
    }
}

#[test]
fn a_foreign_name_in_a_streaming_answer_closes_before_it_is_passed_on() {
    for version in [4, 12] {
        for size in [1, 7, 1_000] {
            let mut talk = Talk::new(acme());
            talk.sent(ApiKey::FETCH, version, json!({"SessionEpoch": -1}));
            let names = ["acme.a".to_owned(), "globex.b".to_owned()];
            let heard =
                talk.driver.broker_in(&[size], &json::response(ApiKey::FETCH, version, 1, &fetched(&names, 50)));
            assert_eq!(heard, Err(bifrost_core::fault::Fault::Foreign { field: "Topic" }), "v{version} {size}");
            assert!(!holds(&talk.driver.to_client, "globex"), "v{version} {size}");
        }
    }
}

#[test]
fn ids_are_changed_in_place_both_ways_in_any_pieces() {
    for size in [1, 7, 64, 10_000] {
        let mut talk = Talk::new(acme());
        talk.learn("acme.orders", &id(7));
        talk.driver.to_broker.clear();
        let topic = |id: String| json!({"TopicId": id, "PartitionData": [{"Index": 0, "Records": records(90, 1)}]});
        let body = json!({"Acks": 1, "TopicData": [topic(id(7)), topic(id(8))]});
        let frame = json::request(ApiKey::PRODUCE, 13, 9, "client", &body);
        talk.driver.client_in(&[size], &frame).unwrap();
        assert_eq!(talk.driver.to_broker.len(), frame.len());
        let got = talk.got(ApiKey::PRODUCE, 13);
        assert_eq!(
            got["TopicData"][0],
            json::read(ApiKey::PRODUCE, 13, Direction::Request, &frame[4..]).unwrap().body["TopicData"][0]
        );
        let hidden = got["TopicData"][1]["TopicId"].clone();
        assert_ne!(hidden, json!(id(8)));
        talk.correlation_id = 9;
        let answer = json!({"Responses": [{"TopicId": hidden, "PartitionResponses": [{"ErrorCode": 100}]}]});
        assert_eq!(talk.heard(ApiKey::PRODUCE, 13, answer)["Responses"][0]["TopicId"], id(8));
    }
}

/// A Produce request for the topics with these ids, and its correlation id.
fn produce_by_id(correlation_id: i32, ids: &[u8], bytes: usize) -> Vec<u8> {
    let topic =
        |n: &u8| json!({"TopicId": id(u128::from(*n)), "PartitionData": [{"Index": 0, "Records": records(bytes, 1)}]});
    let body = json!({"Acks": -1, "TopicData": ids.iter().map(topic).collect::<Vec<_>>()});
    json::request(ApiKey::PRODUCE, 13, correlation_id, "client", &body)
}

/// A producer whose second request passes before the first would find it out of order for ever.
#[test]
fn requests_with_unknown_ids_wait_in_order_until_they_are_known() {
    for bytes in [10, 100_000] {
        let ids = [&[7][..], &[8], &[9, 8], &[8]].into_iter().zip(20..);
        let requests: Vec<Vec<u8>> = ids.map(|(ids, id)| produce_by_id(id, ids, bytes)).collect();
        let all = requests.concat();
        // All is there; the end of the last request is missing; so is the end of the first that has to wait.
        for size in [all.len(), all.len() - 5, requests[0].len() + requests[1].len() - 5] {
            let mut talk = Talk::new(acme());
            talk.broker_knows_metadata(13);
            talk.learn("acme.orders", &id(7));
            talk.driver.to_broker.clear();
            talk.driver.client_in(&[size], &all).unwrap();
            let sent = frames::split(&talk.driver.to_broker);
            assert_eq!(sent.len(), 2, "{bytes} {size}: what is known, and the question");
            assert!(sent[0] == requests[0], "{bytes} {size}");
            for (known, name, answered) in [(8, "acme.paid", 20), (9, "acme.sent", 21)] {
                let sent = talk.driver.to_broker.clone();
                talk.driver.to_broker = frames::split(&sent).last().unwrap().to_vec();
                assert_eq!(talk.asked(), [id(known)], "{bytes} {size}");
                talk.correlation_id = answered;
                talk.answer(ApiKey::PRODUCE, 13, json!({})).unwrap();
                talk.tell(&[(&id(known), name)]);
            }
            assert!(talk.driver.to_broker == requests[2..].concat(), "{bytes} {size}");
        }
    }
}

#[test]
fn an_unknown_id_behind_what_has_been_passed_on_is_hidden_now_and_known_next_time() {
    let mut talk = Talk::new(acme());
    talk.broker_knows_metadata(13);
    let frame = produce_by_id(20, &[7], 10);
    talk.driver.to_broker.clear();
    talk.driver.client_in(&[1], &frame).unwrap();
    let sent: Vec<Vec<u8>> = frames::split(&talk.driver.to_broker).into_iter().map(<[u8]>::to_vec).collect();
    assert_eq!(sent.len(), 2, "the request, then the gateway's question");
    assert!(!holds(&sent[0], "\0\0\0\u{7}") && sent[1][5] == 3);
    talk.driver.broker(&json::response(ApiKey::PRODUCE, 13, 20, &json!({}))).unwrap();
    talk.driver.to_broker = sent[1].clone();
    talk.tell(&[(&id(7), "acme.orders")]);
    talk.driver.to_broker.clear();
    talk.driver.client_in(&[1], &frame).unwrap();
    assert!(talk.driver.to_broker == frame);
}
