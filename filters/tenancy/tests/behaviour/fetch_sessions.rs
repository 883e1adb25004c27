//! Fetch sessions: brokers bind them to nothing but their id, so the gateway does.

use bifrost_core::protocol::ApiKey;
use serde_json::{Value, json};

use crate::{Talk, acme, cluster, id};

const VERSIONS: [i16; 5] = [7, 11, 12, 13, 18];
const FETCH: ApiKey = ApiKey::FETCH;

fn fetch(session: i32, epoch: i32) -> Value {
    json!({"SessionId": session, "SessionEpoch": epoch})
}

#[test]
fn a_session_of_this_connection_goes_on() {
    for version in VERSIONS {
        let mut talk = Talk::new(acme());
        talk.sent(FETCH, version, fetch(0, 0));
        talk.heard(FETCH, version, json!({"SessionId": 77}));
        for epoch in [1, 2, 0, -1] {
            let got = talk.sent(FETCH, version, fetch(77, epoch));
            assert_eq!((&got["SessionId"], &got["SessionEpoch"]), (&json!(77), &json!(epoch)), "v{version}");
        }
    }
}

#[test]
fn a_session_of_another_connection_is_not_found() {
    for version in VERSIONS {
        let cluster = cluster(acme());
        let mut other = Talk::on(&cluster);
        other.sent(FETCH, version, fetch(0, 0));
        other.heard(FETCH, version, json!({"SessionId": 77}));
        let mut talk = Talk::on(&cluster);
        let heard = talk.refused(FETCH, version, fetch(77, 1));
        assert_eq!(heard["ErrorCode"], 70, "v{version}");
        assert_eq!(heard["SessionId"], 0);
    }
}

#[test]
fn a_full_fetch_does_not_close_a_session_of_another() {
    for version in VERSIONS {
        for epoch in [0, -1] {
            let got = Talk::new(acme()).sent(FETCH, version, fetch(77, epoch));
            assert_eq!((&got["SessionId"], &got["SessionEpoch"]), (&json!(0), &json!(epoch)), "v{version}");
        }
    }
}

#[test]
fn a_hidden_id_never_becomes_part_of_a_session() {
    for version in [13, 18] {
        let mut talk = Talk::new(acme());
        talk.sent(FETCH, version, fetch(0, 0));
        talk.heard(FETCH, version, json!({"SessionId": 77}));
        let with = |session, epoch| {
            json!({"SessionId": session, "SessionEpoch": epoch,
                "Topics": [{"TopicId": id(9), "Partitions": [{"Partition": 0}]}]})
        };
        for session in [0, 77] {
            let got = talk.sent(FETCH, version, with(session, 0));
            assert_eq!(got["SessionEpoch"], -1, "v{version}: answered without a session");
            assert_eq!(got["SessionId"], session);
            talk.heard(FETCH, version, json!({}));
        }
        assert_eq!(talk.refused(FETCH, version, with(77, 1))["ErrorCode"], 70, "v{version}");
    }
}

#[test]
fn a_forgotten_foreign_id_does_not_reach_the_session_either() {
    let mut talk = Talk::new(acme());
    talk.sent(FETCH, 13, fetch(0, 0));
    talk.heard(FETCH, 13, json!({"SessionId": 77}));
    let body = json!({"SessionId": 77, "SessionEpoch": 1, "ForgottenTopicsData": [{"TopicId": id(9)}]});
    talk.send(FETCH, 13, body).unwrap();
    assert!(!crate::holds(&talk.driver.to_broker, std::str::from_utf8(&9u128.to_be_bytes()).unwrap()));
}

#[test]
fn a_client_is_no_replica() {
    for version in [0, 4, 11, 12, 14] {
        assert_eq!(Talk::new(acme()).sent(FETCH, version, json!({"ReplicaId": 3}))["ReplicaId"], -1, "v{version}");
    }
    for version in [15, 18] {
        let body = json!({"ReplicaState": {"ReplicaId": 3, "ReplicaEpoch": 9}, "ClusterId": "real"});
        let got = Talk::new(acme()).sent(FETCH, version, body);
        assert_eq!(got["ReplicaState"]["ReplicaId"], -1, "v{version}");
        assert!(got.get("ClusterId").is_none_or(Value::is_null), "v{version}");
    }
    for (key, version) in [(ApiKey::LIST_OFFSETS, 1), (ApiKey::LIST_OFFSETS, 11), (ApiKey::OFFSET_FOR_LEADER_EPOCH, 4)]
    {
        assert_eq!(Talk::new(acme()).sent(key, version, json!({"ReplicaId": 3}))["ReplicaId"], -1, "{key} v{version}");
    }
}
