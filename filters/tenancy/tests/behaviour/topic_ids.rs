//! Topic ids: own ones pass, others are asked for and hidden behind ids that no topic has.

use bifrost_core::host::Counter;
use bifrost_core::protocol::ApiKey;
use serde_json::{Value, json};

use crate::{Talk, acme, cluster, id};

const METADATA: ApiKey = ApiKey::METADATA;

fn fetch(ids: &[String]) -> Value {
    let topics: Vec<Value> = ids.iter().map(|id| json!({"TopicId": id, "Partitions": [{"Partition": 0}]})).collect();
    json!({"SessionEpoch": -1, "Topics": topics})
}

fn ids(topics: &Value) -> Vec<String> {
    topics.as_array().unwrap().iter().map(|topic| topic["TopicId"].as_str().unwrap().to_owned()).collect()
}

fn by_id(ids: &[String]) -> Value {
    let topics: Vec<Value> = ids.iter().map(|id| json!({"TopicId": id, "Name": null})).collect();
    json!({"Topics": topics})
}

fn unknown(ids: &[String]) -> Value {
    let topics: Vec<Value> = ids.iter().map(|id| json!({"TopicId": id, "Name": null, "ErrorCode": 100})).collect();
    json!({"Topics": topics})
}

#[test]
fn an_id_that_came_with_an_own_name_passes() {
    let mut talk = Talk::new(acme());
    talk.learn("acme.orders", &id(7));
    let got = talk.sent(ApiKey::FETCH, 13, fetch(&[id(7)]));
    assert_eq!(ids(&got["Topics"]), [id(7)]);
}

#[test]
fn an_id_that_one_connection_has_learnt_is_known_to_all() {
    let cluster = cluster(acme());
    Talk::on(&cluster).learn("acme.orders", &id(7));
    let got = Talk::on(&cluster).sent(ApiKey::FETCH, 13, fetch(&[id(7)]));
    assert_eq!(ids(&got["Topics"]), [id(7)]);
}

#[test]
fn an_id_that_came_with_a_foreign_name_is_not_learnt() {
    let mut talk = Talk::new(acme());
    talk.sent(METADATA, 12, json!({"Topics": null}));
    let listed = talk.heard(METADATA, 12, json!({"Topics": [{"Name": "globex.orders", "TopicId": id(8)}]}));
    assert_eq!(listed["Topics"], json!([]));
    let got = talk.sent(ApiKey::FETCH, 13, fetch(&[id(8)]));
    assert_ne!(ids(&got["Topics"]), [id(8)]);
}

#[test]
fn an_unknown_id_is_asked_for_and_the_request_goes_on_when_it_is_own() {
    let mut talk = Talk::new(acme());
    talk.broker_knows_metadata(13);
    talk.send(ApiKey::FETCH, 13, fetch(&[id(7), id(8)])).unwrap();
    let mut asked = talk.asked();
    asked.sort();
    assert_eq!(asked, [id(7), id(8)]);

    talk.tell(&[(&id(7), "acme.orders"), (&id(8), "globex.orders")]);

    let got = ids(&talk.got(ApiKey::FETCH, 13)["Topics"]);
    assert_eq!(got[0], id(7));
    assert_ne!(got[1], id(8), "not the tenant's: an id that no topic has");
    assert_eq!(talk.driver.host.counted(Counter::TopicIdsForeign), 1);
    let answer = json!({"Responses": [
        {"TopicId": got[0], "Partitions": [{"PartitionIndex": 0}]},
        {"TopicId": got[1], "Partitions": [{"PartitionIndex": 0, "ErrorCode": 100}]},
    ]});
    let heard = talk.heard(ApiKey::FETCH, 13, answer);
    assert_eq!(ids(&heard["Responses"]), [id(7), id(8)], "the client sees the id that it wrote");
}

#[test]
fn requests_behind_a_held_one_wait_and_keep_their_order() {
    let mut talk = Talk::new(acme());
    talk.broker_knows_metadata(12);
    talk.send(METADATA, 12, by_id(&[id(7)])).unwrap();
    talk.correlation_id += 1;
    let next =
        bifrost_testkit::json::request(ApiKey::HEARTBEAT, 4, talk.correlation_id, "client", &json!({"GroupId": "g"}));
    talk.driver.client(&next).unwrap();

    talk.tell(&[(&id(7), "acme.orders")]);

    let frames = bifrost_testkit::frames::split(&talk.driver.to_broker);
    let keys: Vec<u8> = frames.iter().map(|frame| frame[5]).collect();
    assert_eq!(keys, [3, 12]);
}

#[test]
fn a_broker_that_does_not_know_metadata_12_is_not_asked() {
    for max in [None, Some(11)] {
        let mut talk = Talk::new(acme());
        if let Some(max) = max {
            talk.broker_knows_metadata(max);
        }
        let got = talk.sent(ApiKey::FETCH, 13, fetch(&[id(7)]));
        assert_ne!(ids(&got["Topics"]), [id(7)], "{max:?}");
    }
}

#[test]
fn an_id_that_was_foreign_is_asked_for_again_with_the_next_request() {
    let mut talk = Talk::new(acme());
    talk.broker_knows_metadata(12);
    for _ in 0..3 {
        talk.send(METADATA, 12, by_id(&[id(9)])).unwrap();
        assert_eq!(talk.asked(), [id(9)]);
        talk.tell(&[]);
        let masked = ids(&talk.got(METADATA, 12)["Topics"]);
        let heard = talk.heard(METADATA, 12, unknown(&masked));
        assert_eq!(ids(&heard["Topics"]), [id(9)]);
    }
    talk.send(METADATA, 12, by_id(&[id(9)])).unwrap();
    talk.tell(&[(&id(9), "acme.new")]);
    assert_eq!(ids(&talk.got(METADATA, 12)["Topics"]), [id(9)], "its topic is the tenant's now");
}

#[test]
fn no_id_is_none_and_never_asked_for() {
    let mut talk = Talk::new(acme());
    talk.broker_knows_metadata(12);
    let got = talk.sent(METADATA, 12, json!({"Topics": [{"TopicId": id(0), "Name": "orders"}]}));
    assert_eq!(got["Topics"][0], json!({"TopicId": id(0), "Name": "acme.orders"}));
}

#[test]
fn two_clusters_hide_an_id_behind_different_ids() {
    let masked = || ids(&Talk::new(acme()).sent(ApiKey::FETCH, 13, fetch(&[id(7)]))["Topics"]);
    assert_ne!(masked(), masked());
}

/// A client that sees both its id and what became of it knows the mask, and can then write an id that becomes any topic's.
#[test]
fn however_many_ids_a_request_has_no_hidden_one_reaches_the_client() {
    let mut talk = Talk::new(acme());
    let wrote: Vec<String> = (1..=5_000).map(id).collect();
    let hidden = ids(&talk.sent(METADATA, 12, by_id(&wrote))["Topics"]);
    // To close would do, too.
    if talk.answer(METADATA, 12, unknown(&hidden)).is_ok() {
        let seen = ids(&talk.got_back(METADATA, 12)["Topics"]);
        let leaked = seen.iter().filter(|seen| hidden.contains(seen)).count();
        assert_eq!(leaked, 0, "hidden ids that the client sees");
        assert_eq!(seen, wrote);
    }
}

/// Brokers keep share sessions by group and member, and repeat in each answer what they do not know.
#[test]
fn a_hidden_id_in_a_share_session_does_not_reach_another_connection() {
    let cluster = cluster(acme());
    let fetch = |epoch: i32, topics: Value| json!({"GroupId": "g", "MemberId": "m", "ShareSessionEpoch": epoch, "Topics": topics});
    let mut first = Talk::on(&cluster);
    let got = first.sent(ApiKey::SHARE_FETCH, 1, fetch(0, json!([{"TopicId": id(9), "Partitions": []}])));
    let hidden = got["Topics"][0]["TopicId"].clone();
    assert_ne!(hidden, json!(id(9)));

    let mut second = Talk::on(&cluster);
    second.sent(ApiKey::SHARE_FETCH, 1, fetch(1, json!([])));
    let answer = json!({"Responses": [{"TopicId": hidden, "Partitions": [{"PartitionIndex": 0, "ErrorCode": 100}]}]});
    if second.answer(ApiKey::SHARE_FETCH, 1, answer).is_ok() {
        let seen = second.got_back(ApiKey::SHARE_FETCH, 1);
        assert_ne!(seen["Responses"][0]["TopicId"], hidden);
    }
}
