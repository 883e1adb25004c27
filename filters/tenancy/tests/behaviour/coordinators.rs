//! FindCoordinator: what its key means stands in the request only.

use bifrost_core::protocol::ApiKey;
use serde_json::{Value, json};

use crate::{Talk, acme};

const FIND: ApiKey = ApiKey::FIND_COORDINATOR;

fn find(version: i16, key_type: i8, key: &str) -> Value {
    if version < 4 {
        json!({"Key": key, "KeyType": key_type})
    } else {
        json!({"KeyType": key_type, "CoordinatorKeys": [key]})
    }
}

fn key(version: i16, body: &Value) -> Value {
    if version < 4 { body["Key"].clone() } else { body["CoordinatorKeys"][0].clone() }
}

#[test]
fn groups_and_transactional_ids_are_renamed_by_their_own_prefix() {
    let config = || bifrost_tenancy::Config { transaction_id_prefix: "txn-".to_owned(), ..acme() };
    for version in 0..=6 {
        for (key_type, physical) in [(0, "acme.pay"), (1, "txn-pay")] {
            if version == 0 && key_type == 1 {
                continue;
            }
            let mut talk = Talk::new(config());
            let got = talk.sent(FIND, version, find(version, key_type, "pay"));
            assert_eq!(key(version, &got), physical, "v{version} type {key_type}");
            let heard =
                talk.heard(FIND, version, json!({"Coordinators": [{"Key": physical, "Host": "", "NodeId": -1}]}));
            if version >= 4 {
                assert_eq!(heard["Coordinators"][0]["Key"], "pay", "v{version} type {key_type}");
            }
        }
    }
}

#[test]
fn answers_in_flight_meet_the_type_of_their_own_request() {
    let config = || bifrost_tenancy::Config { transaction_id_prefix: "txn-".to_owned(), ..acme() };
    let mut talk = Talk::new(config());
    talk.sent(FIND, 4, find(4, 0, "a"));
    talk.sent(FIND, 4, find(4, 1, "a"));
    talk.correlation_id -= 1;
    let coordinators = |key: &str| json!({"Coordinators": [{"Key": key, "NodeId": -1}]});
    assert_eq!(talk.heard(FIND, 4, coordinators("acme.a"))["Coordinators"][0]["Key"], "a");
    talk.correlation_id += 1;
    assert_eq!(talk.heard(FIND, 4, coordinators("txn-a"))["Coordinators"][0]["Key"], "a");
}

/// Share partitions are for brokers (KIP-932), and other types are known to nobody. Each key gets the error, under the name that
/// the client wrote.
#[test]
fn keys_of_other_types_are_answered_and_reach_no_broker() {
    for version in 1..=6 {
        for key_type in [2, 3, 127, -1, -128] {
            for share in ["g:AAAAAAAAAAAAAAAAAAAAAA:0", "globex.g:AAAAAAAAAAAAAAAAAAAAAA:0", ":none", "", "pay:"] {
                let mut talk = Talk::new(acme());
                let heard = talk.refused(FIND, version, find(version, key_type, share));
                let answer = if version < 4 { &heard } else { &heard["Coordinators"][0] };
                assert_eq!(answer["ErrorCode"], 42, "v{version} type {key_type}");
                assert_eq!((&answer["NodeId"], &answer["Host"]), (&json!(-1), &json!("")), "v{version}");
                if version >= 4 {
                    assert_eq!(answer["Key"], share, "v{version} type {key_type}");
                }
            }
        }
    }
}

#[test]
fn every_key_that_is_refused_is_named() {
    for version in 4..=6 {
        for count in [0, 1, 2, 300] {
            let keys: Vec<String> = (0..count).map(|n| format!("g:id:{n}")).collect();
            let heard = Talk::new(acme()).refused(FIND, version, json!({"KeyType": 2, "CoordinatorKeys": keys}));
            let named: Vec<&str> =
                heard["Coordinators"].as_array().unwrap().iter().map(|c| c["Key"].as_str().unwrap()).collect();
            assert_eq!(named, keys, "v{version}");
        }
    }
}

#[test]
fn version_0_knows_groups_only() {
    assert_eq!(Talk::new(acme()).sent(FIND, 0, json!({"Key": "g:AAAA:0"}))["Key"], "acme.g:AAAA:0");
}
