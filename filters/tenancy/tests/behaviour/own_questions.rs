//! What the gateway asks the broker itself, and what happens to the client's requests meanwhile.

use bifrost_core::host::Counter;
use bifrost_core::protocol::ApiKey;
use bifrost_core::session::OWN_CORRELATION_ID;
use bifrost_testkit::{frames, json};
use serde_json::{Value, json};

use crate::{Talk, acme, cluster, id, prefixed};

const OFFSETS: ApiKey = ApiKey::OFFSET_FETCH;
const METADATA: ApiKey = ApiKey::METADATA;

/// All offsets of these groups.
fn all_of(groups: &[&str]) -> Value {
    json!({"Groups": groups.iter().map(|id| json!({"GroupId": id, "Topics": null})).collect::<Vec<_>>()})
}

fn committed(group: &str, ids: &[u128]) -> Value {
    let topics: Vec<Value> = ids
        .iter()
        .map(|topic| json!({"TopicId": id(*topic), "Partitions": [{"CommittedOffset": *topic as i64}]}))
        .collect();
    json!({"GroupId": group, "Topics": topics})
}

fn shown(group: &Value) -> Vec<String> {
    group["Topics"].as_array().unwrap().iter().map(|topic| topic["TopicId"].as_str().unwrap().to_owned()).collect()
}

fn by_id(number: u128) -> Value {
    json!({"Topics": [{"TopicId": id(number), "Name": null}]})
}

impl Talk {
    /// The broker answers the gateway's question for all topics.
    fn tell_all(&mut self, topics: Value) {
        assert_eq!(self.got(METADATA, 12)["Topics"], Value::Null, "all topics are asked for");
        self.tell_body(&json!({"Topics": topics}));
    }

    fn tell_body(&mut self, body: &Value) {
        self.driver.to_broker.clear();
        self.driver.to_client.clear();
        self.driver.broker(&json::response(METADATA, 12, OWN_CORRELATION_ID, body)).unwrap();
        assert!(self.driver.to_client.is_empty(), "the client hears nothing of it");
    }

    /// API keys of what the broker has got.
    fn keys(&self) -> Vec<u8> {
        frames::split(&self.driver.to_broker).iter().map(|frame| frame[5]).collect()
    }
}

#[test]
fn all_offsets_of_a_group_wait_until_the_own_ids_are_known() {
    let mut talk = Talk::new(acme());
    talk.send(OFFSETS, 10, all_of(&["g"])).unwrap();
    talk.tell_all(json!([{"Name": "acme.a", "TopicId": id(7)}, {"Name": "globex.b", "TopicId": id(8)},
        {"Name": "__consumer_offsets", "TopicId": id(6)}, {"Name": "acme.c", "TopicId": id(9)}]));
    let got = talk.got(OFFSETS, 10);
    assert_eq!((&got["Groups"][0]["GroupId"], &got["Groups"][0]["Topics"]), (&json!("acme.g"), &Value::Null));
    let heard = talk.heard(OFFSETS, 10, json!({"Groups": [committed("acme.g", &[8, 7, 6, 9, 1_000])]}));
    assert_eq!(shown(&heard["Groups"][0]), [id(7), id(9)]);
    assert_eq!(heard["Groups"][0]["Topics"][1]["Partitions"][0]["CommittedOffset"], 9);
    assert_eq!(talk.driver.host.counted(Counter::OwnRequests), 1);
    assert_eq!(talk.driver.driven.held_bytes(), 0);
}

#[test]
fn answers_in_pieces_leave_foreign_ids_out_too() {
    for size in [1, 7, 40] {
        let mut talk = Talk::new(acme());
        talk.learn("acme.a", &id(7));
        talk.send(OFFSETS, 10, json!({"Groups": [{"GroupId": "g", "Topics": [{"TopicId": id(7)}]}]})).unwrap();
        let answer = json!({"Groups": [committed("acme.g", &[8, 7, 6]), committed("acme.h", &[6])]});
        talk.driver.to_client.clear();
        talk.driver.broker_in(&[size], &json::response(OFFSETS, 10, talk.correlation_id, &answer)).unwrap();
        let heard = talk.got_back(OFFSETS, 10);
        assert_eq!((shown(&heard["Groups"][0]), shown(&heard["Groups"][1])), (vec![id(7)], vec![]), "{size}");
    }
}

#[test]
fn named_offsets_ask_for_nothing_that_is_known_and_every_list_asks_again() {
    let mut talk = Talk::new(acme());
    for round in 0..3 {
        talk.send(OFFSETS, 10, all_of(&["g", "h"])).unwrap();
        talk.tell_all(json!([{"Name": "acme.a", "TopicId": id(7)}]));
        talk.got(OFFSETS, 10);
        talk.heard(OFFSETS, 10, json!({}));
        assert_eq!(talk.driver.host.counted(Counter::OwnRequests), round + 1);
    }
    talk.sent(OFFSETS, 10, json!({"Groups": [{"GroupId": "g", "Topics": [{"TopicId": id(7)}]}]}));
    talk.heard(OFFSETS, 10, json!({}));
    for version in 2..=9 {
        let body = if version < 8 { json!({"GroupId": "g", "Topics": null}) } else { all_of(&["g"]) };
        talk.sent(OFFSETS, version, body);
        talk.heard(OFFSETS, version, json!({}));
    }
}

/// One group of the request wants all, another one names an id that nobody knows.
#[test]
fn a_list_and_an_unknown_id_are_asked_for_one_after_the_other() {
    let mut talk = Talk::new(acme());
    talk.broker_knows_metadata(13);
    let groups = json!([{"GroupId": "g", "Topics": null}, {"GroupId": "h", "Topics": [{"TopicId": id(9)}]}]);
    talk.send(OFFSETS, 10, json!({"Groups": groups})).unwrap();
    talk.tell_all(json!([{"Name": "acme.a", "TopicId": id(7)}]));
    assert_eq!(talk.asked(), [id(9)]);
    talk.tell(&[(&id(9), "globex.x")]);
    let got = talk.got(OFFSETS, 10);
    assert_eq!(got["Groups"][0]["Topics"], Value::Null);
    let hidden = got["Groups"][1]["Topics"][0]["TopicId"].clone();
    assert_ne!(hidden, json!(id(9)));
    let unknown = json!({"GroupId": "acme.h", "Topics": [{"TopicId": hidden, "Partitions": [{"ErrorCode": 100}]}]});
    let heard = talk.heard(OFFSETS, 10, json!({"Groups": [committed("acme.g", &[7, 9]), unknown]}));
    assert_eq!((shown(&heard["Groups"][0]), shown(&heard["Groups"][1])), (vec![id(7)], vec![id(9)]));
}

#[test]
fn errors_in_place_of_topics_leave_nothing_known_and_nothing_held() {
    for topics in [
        json!([]),
        json!([{"Name": "acme.a", "TopicId": id(0), "ErrorCode": 3}, {"Name": null, "TopicId": id(7), "ErrorCode": 100}]),
        json!([{"Name": "globex.a", "TopicId": id(7), "ErrorCode": 29}]),
        json!([{"Name": null, "TopicId": id(0), "ErrorCode": -1}]),
    ] {
        let mut talk = Talk::new(acme());
        talk.broker_knows_metadata(13);
        talk.send(OFFSETS, 10, all_of(&["g"])).unwrap();
        talk.tell_all(topics.clone());
        talk.got(OFFSETS, 10);
        let heard = talk.heard(OFFSETS, 10, json!({"Groups": [committed("acme.g", &[7])]}));
        assert_eq!(heard["Groups"][0]["Topics"], json!([]));

        talk.send(METADATA, 12, by_id(7)).unwrap();
        assert_eq!(talk.asked(), [id(7)]);
        talk.tell_body(&json!({"Topics": topics}));
        assert_ne!(talk.got(METADATA, 12)["Topics"][0]["TopicId"], id(7), "hidden");
    }
}

#[test]
fn an_answer_in_pieces_is_learnt_from_and_not_kept() {
    let topics: Vec<Value> = (1..=3_000u128)
        .map(|n| json!({"TopicId": id(n), "Name": format!("{}.{n}", if n % 3 == 0 { "acme" } else { "globex" })}))
        .collect();
    let answer = json::response(METADATA, 12, OWN_CORRELATION_ID, &json!({"Topics": topics}));
    let mut talk = Talk::new(acme());
    talk.send(OFFSETS, 10, all_of(&["g"])).unwrap();
    talk.driver.to_broker.clear();
    talk.driver.broker_in(&[1_000], &answer).unwrap();
    assert!(talk.driver.to_client.is_empty());
    assert!(talk.driver.held_bytes_max < 3_000, "{} of {}", talk.driver.held_bytes_max, answer.len());
    talk.got(OFFSETS, 10);
    let wrote: Vec<u128> = (1..=3_000).collect();
    let heard = talk.heard(OFFSETS, 10, json!({"Groups": [committed("acme.g", &wrote)]}));
    assert_eq!(shown(&heard["Groups"][0]), (1..=1_000).map(|n| id(3 * n)).collect::<Vec<_>>());
}

#[test]
fn without_a_topic_prefix_nothing_is_asked_for() {
    let mut talk = Talk::new(prefixed(""));
    talk.broker_knows_metadata(13);
    talk.sent(METADATA, 12, by_id(7));
    talk.heard(METADATA, 12, json!({}));
    talk.sent(OFFSETS, 10, all_of(&["g"]));
    let heard = talk.heard(OFFSETS, 10, json!({"Groups": [committed("g", &[7])]}));
    assert_eq!(shown(&heard["Groups"][0]), [id(7)]);
}

/// The client sends these after one another without waiting for answers.
fn pipelined(talk: &mut Talk, requests: &[(ApiKey, i16, Value)], at_once: bool) {
    let mut bytes = Vec::new();
    for (n, (key, version, body)) in requests.iter().enumerate() {
        let frame = json::request(*key, *version, 100 + n as i32, "client", body);
        if at_once {
            bytes.extend(frame);
        } else {
            talk.driver.client(&frame).unwrap();
        }
    }
    talk.driver.client(&bytes).unwrap();
}

#[test]
fn requests_behind_a_held_one_keep_their_order_and_may_ask_themselves() {
    let produce = json!({"Acks": 1, "TopicData": [{"Name": "a", "PartitionData": [{"Records": "07".repeat(3_000)}]}]});
    let requests = [
        (ApiKey::HEARTBEAT, 4, json!({"GroupId": "g"})),
        (METADATA, 12, by_id(7)),
        (ApiKey::PRODUCE, 9, produce),
        (ApiKey::HEARTBEAT, 4, json!({"GroupId": "g"})),
        (METADATA, 12, by_id(8)),
        (OFFSETS, 10, all_of(&["g"])),
        (ApiKey::FETCH, 13, json!({"SessionEpoch": -1, "Topics": [{"TopicId": id(7)}]})),
        (ApiKey::FETCH, 13, json!({"SessionEpoch": -1, "Topics": [{"TopicId": id(9)}]})),
        (ApiKey::LIST_GROUPS, 0, json!({})),
    ];
    for at_once in [true, false] {
        let mut talk = Talk::new(acme());
        talk.broker_knows_metadata(12);
        talk.driver.to_broker.clear();
        pipelined(&mut talk, &requests, at_once);
        // The question goes in front of the request that waits for it.
        assert_eq!(talk.keys(), [12, 3]);
        let mut order = Vec::new();
        let mut reply = |talk: &mut Talk| {
            let sent: Vec<Vec<u8>> = frames::split(&talk.driver.to_broker).into_iter().map(<[u8]>::to_vec).collect();
            talk.driver.to_broker.clear();
            for frame in &sent {
                let correlation_id = i32::from_be_bytes(frame[8..12].try_into().unwrap());
                let (key, version) = (ApiKey(i16::from(frame[5])), i16::from(frame[7]));
                let mut body = json!({});
                if correlation_id == OWN_CORRELATION_ID {
                    body = json!({"Topics": [{"TopicId": id(7), "Name": "acme.a"}, {"TopicId": id(8), "Name": "globex.b"}]});
                } else {
                    order.push(correlation_id);
                }
                talk.driver.broker(&json::response(key, version, correlation_id, &body)).unwrap();
            }
            !sent.is_empty()
        };
        while reply(&mut talk) {}
        assert_eq!(order, (100..109).collect::<Vec<_>>(), "at once: {at_once}");
        assert_eq!(talk.driver.host.counted(Counter::OwnRequests), 4, "7 is asked for once, then 8, all, and 9");
        assert!(talk.driver.unread.bytes.is_empty());
        let heard: Vec<i32> = frames::split(&talk.driver.to_client)
            .iter()
            .map(|frame| i32::from_be_bytes(frame[4..8].try_into().unwrap()))
            .filter(|correlation_id| *correlation_id >= 100)
            .collect();
        assert_eq!(heard, (100..109).collect::<Vec<_>>());
    }
}

#[test]
fn two_connections_wait_for_their_own_questions_and_share_what_they_learn() {
    let cluster = cluster(acme());
    let (mut one, mut other) = (Talk::on(&cluster), Talk::on(&cluster));
    for talk in [&mut one, &mut other] {
        talk.broker_knows_metadata(12);
        talk.send(METADATA, 12, by_id(7)).unwrap();
        assert_eq!(talk.asked(), [id(7)]);
    }
    one.tell(&[(&id(7), "acme.a")]);
    assert_eq!(one.got(METADATA, 12)["Topics"][0]["TopicId"], id(7));
    assert_eq!(other.asked(), [id(7)], "still waits");
    other.tell(&[]);
    assert_eq!(other.got(METADATA, 12)["Topics"][0]["TopicId"], id(7), "known by the other connection");
}

#[test]
fn what_one_connection_was_told_to_be_foreign_the_other_asks_for_itself() {
    let cluster = cluster(acme());
    let (mut one, mut other) = (Talk::on(&cluster), Talk::on(&cluster));
    for talk in [&mut one, &mut other] {
        talk.broker_knows_metadata(12);
        talk.send(METADATA, 12, by_id(8)).unwrap();
        assert_eq!(talk.asked(), [id(8)]);
        talk.tell(&[(&id(8), "globex.a")]);
        assert_ne!(talk.got(METADATA, 12)["Topics"][0]["TopicId"], id(8));
    }
}

#[test]
fn a_broker_that_never_states_metadata_12_is_asked_for_no_ids() {
    for max in [None, Some(9), Some(11)] {
        let mut talk = Talk::new(acme());
        if let Some(max) = max {
            talk.broker_knows_metadata(max);
        }
        let topics = json!([{"TopicId": id(8)}]);
        for (key, version, body) in [
            (METADATA, 12, by_id(8)),
            (ApiKey::FETCH, 13, json!({"SessionEpoch": -1, "Topics": topics})),
            (ApiKey::PRODUCE, 13, json!({"Acks": 1, "TopicData": topics})),
            (ApiKey::OFFSET_COMMIT, 10, json!({"GroupId": "g", "Topics": topics})),
            (OFFSETS, 10, json!({"Groups": [{"GroupId": "g", "Topics": topics}]})),
            (ApiKey::DELETE_TOPICS, 6, json!({"Topics": [{"TopicId": id(8), "Name": null}]})),
        ] {
            let got = talk.sent(key, version, body);
            assert!(!got.to_string().contains(&id(8)), "{key}: hidden");
            talk.heard(key, version, json!({}));
        }
        assert_eq!(talk.driver.host.counted(Counter::OwnRequests), 0, "{max:?}");
    }
}
