//! Ids that the attacker has guessed: of topics and of fetch sessions.

use bifrost_core::protocol::ApiKey;
use bifrost_testkit::json::{from_hex, hex};
use serde_json::{Value, json};

use crate::isolation::caller::{all, errors, texts};
use crate::isolation::setting::setting;
use crate::isolation::victim::{fetch, records};

const UNKNOWN_TOPIC_ID: i64 = 100;
const FETCH_SESSION_ID_NOT_FOUND: i64 = 70;

/// Three ids of others and one that no topic has.
fn foreign(ids: &[[u8; 16]]) -> Vec<String> {
    ids.iter().map(|id| hex(id)).chain(["77".repeat(16)]).collect()
}

#[test]
fn a_foreign_topic_id_is_an_unknown_topic_id() {
    let setting = setting();
    let mut attacker = setting.attacker();
    let own = attacker.topic("own-ids");
    let (group, transaction) = ("ids-group", "ids-transaction");
    find_coordinators(&mut attacker, group, transaction);
    for id in foreign(&setting.victim.foreign_ids()) {
        let partition = |fields: Value| json!([{"TopicId": id, "Partitions": [fields]}]);
        // The error stands in each partition, and where a request fails as a whole, at its top.
        let unknown = |answer: &Value| errors(answer).contains(&UNKNOWN_TOPIC_ID);

        let read = json!({"MaxBytes": 1 << 20, "SessionEpoch": -1,
            "Topics": partition(json!({"Partition": 0, "PartitionMaxBytes": 1 << 20}))});
        attacker.expect(ApiKey::FETCH, 13, &read, unknown, true);
        let write = json!({"Acks": -1, "TimeoutMs": 1000, "TopicData": [{"TopicId": id, "PartitionData":
            [{"Index": 0, "Records": records(&["intruder"], -1, -1, -1)}]}]});
        attacker.expect(ApiKey::PRODUCE, 13, &write, errors, vec![UNKNOWN_TOPIC_ID]);
        let ask = json!({"Topics": [{"TopicId": id, "Name": null}]});
        attacker.expect(ApiKey::METADATA, 12, &ask, errors_of_topics, vec![UNKNOWN_TOPIC_ID]);
        attacker.expect(ApiKey::METADATA, 12, &ask, |answer| texts(answer, "Name"), vec![]);
        let delete = json!({"Topics": [{"TopicId": id, "Name": null}], "TimeoutMs": 1000});
        attacker.expect(ApiKey::DELETE_TOPICS, 6, &delete, errors, vec![UNKNOWN_TOPIC_ID]);
        let commit = json!({"GroupId": group, "Topics": partition(json!({"PartitionIndex": 0, "CommittedOffset": 1}))});
        attacker.expect(ApiKey::OFFSET_COMMIT, 10, &commit, errors, vec![UNKNOWN_TOPIC_ID]);
        let fetched = json!({"Groups": [{"GroupId": group, "Topics": [{"TopicId": id, "PartitionIndexes": [0]}]}]});
        attacker.expect(ApiKey::OFFSET_FETCH, 10, &fetched, unknown, true);
    }

    // The same requests with an own id are good: the id alone made the difference.
    let read = json!({"MaxBytes": 1 << 20, "SessionEpoch": -1,
        "Topics": [{"TopicId": own, "Partitions": [{"Partition": 0, "PartitionMaxBytes": 1 << 20}]}]});
    attacker.expect(ApiKey::FETCH, 13, &read, |answer| errors(answer).iter().all(|code| *code == 0), true);
    drop(attacker);
    setting.assert_isolated();
}

#[test]
fn a_foreign_id_beside_an_own_one_spoils_nothing() {
    let setting = setting();
    let mut attacker = setting.attacker();
    let own = attacker.topic("own-beside");
    let foreign = hex(&setting.victim.secret_id);
    let partitions = json!([{"Partition": 0, "PartitionMaxBytes": 1 << 20}]);
    let read = json!({"MaxBytes": 1 << 20, "SessionEpoch": -1, "Topics": [
        {"TopicId": own, "Partitions": partitions}, {"TopicId": foreign, "Partitions": partitions}]});

    for version in attacker.versions(ApiKey::FETCH, 13) {
        let answer = attacker.ask(ApiKey::FETCH, version, &read);

        let of = |id: &str| {
            let topics = answer["Responses"].as_array().expect("topics");
            topics.iter().filter(|topic| topic["TopicId"] == id).flat_map(errors).collect::<Vec<_>>()
        };
        // A broker may also fail the whole request; then nobody gets anything.
        let failed = answer["ErrorCode"] == UNKNOWN_TOPIC_ID;
        assert!(failed || (of(&own) == [0] && of(&foreign) == [UNKNOWN_TOPIC_ID]), "v{version}: {answer}");
    }
    drop(attacker);
    setting.assert_isolated();
}

#[test]
fn share_requests_with_a_foreign_topic_id_get_nothing() {
    let setting = setting();
    let mut attacker = setting.attacker();
    for id in foreign(&setting.victim.foreign_ids()) {
        for group in ["intruders", "pool"] {
            let topics = json!([{"TopicId": id, "Partitions": [{"PartitionIndex": 0, "PartitionMaxBytes": 1 << 20,
                "AcknowledgementBatches": []}]}]);
            let read = json!({"GroupId": group, "MemberId": "AAAAAAAAAAAAAAAAAAAAAQ", "ShareSessionEpoch": 0,
                "MaxWaitMs": 10, "MaxBytes": 1 << 20, "MaxRecords": 10, "BatchSize": 10, "Topics": topics});
            let refused =
                |answer: &Value| errors(answer).iter().any(|code| *code != 0) && records_of(answer).is_empty();
            attacker.expect(ApiKey::SHARE_FETCH, 0, &read, refused, true);
        }
    }
    drop(attacker);
    setting.assert_isolated();
}

#[test]
fn a_foreign_fetch_session_does_not_exist() {
    let setting = setting();
    let mut attacker = setting.attacker();
    let own = attacker.topic("own-sessions");
    let unguessed = setting.victim.named_session ^ 0x55;
    for session in [setting.victim.named_session, setting.victim.id_session, unguessed] {
        // The next request of a session, one that closes it, one that begins it anew, one far ahead.
        for epoch in [1, -1, 0, 2, 77] {
            let empty = json!({"MaxBytes": 1 << 20, "SessionId": session, "SessionEpoch": epoch});
            let answers = |answer: &Value| (all(answer, "ErrorCode")[0].as_i64(), records_of(answer));
            if epoch > 0 {
                attacker.expect(ApiKey::FETCH, 7, &empty, answers, (Some(FETCH_SESSION_ID_NOT_FOUND), vec![]));
            } else {
                attacker.expect(ApiKey::FETCH, 7, &empty, records_of, vec![]);
            }
        }
    }

    // Its own session goes on.
    let id = <[u8; 16]>::try_from(from_hex(&own)).expect("16 bytes");
    for version in attacker.versions(ApiKey::FETCH, 7) {
        let begun = attacker.ask(ApiKey::FETCH, version, &fetch("own-sessions", &id, 0, 0));
        let session = begun["SessionId"].as_i64().expect("a session");
        assert_ne!(session, 0, "v{version}: {begun}");
        let next = json!({"MaxBytes": 1 << 20, "SessionId": session, "SessionEpoch": 1});
        let answer = attacker.ask(ApiKey::FETCH, version, &next);
        assert_eq!(
            (answer["ErrorCode"].as_i64(), answer["SessionId"].as_i64()),
            (Some(0), Some(session)),
            "v{version}"
        );
    }
    drop(attacker);
    setting.assert_isolated();
}

#[test]
fn nobody_becomes_a_follower() {
    let setting = setting();
    let mut attacker = setting.attacker();
    let own = attacker.topic("own-follower");
    for replica in [0, 1, 2, -2, i32::MAX] {
        let topics = json!([{"Topic": "own-follower", "TopicId": own, "Partitions":
            [{"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 1 << 20}]}]);
        let old = json!({"ReplicaId": replica, "MaxBytes": 1 << 20, "SessionEpoch": -1, "Topics": topics});
        let new = json!({"ClusterId": "bifrostE2eCluster00001", "ReplicaState": {"ReplicaId": replica, "ReplicaEpoch": 1},
            "MaxBytes": 1 << 20, "SessionEpoch": -1, "Topics": topics});
        let offsets = json!({"ReplicaId": replica, "Topics": [{"Name": "own-follower", "Partitions":
            [{"PartitionIndex": 0, "Timestamp": -1, "CurrentLeaderEpoch": -1}]}]});
        for version in attacker.versions(ApiKey::FETCH, 0) {
            let body = if version < 15 { &old } else { &new };
            // It is served as what it is: a consumer. (The laws of `needles` look at what the broker got.)
            let answer = attacker.ask(ApiKey::FETCH, version, body);
            assert!(errors(&answer).iter().all(|code| *code == 0), "v{version}: {answer}");
            assert_eq!(all(&answer, "HighWatermark"), [1], "v{version}: {answer}");
        }
        attacker.expect(ApiKey::LIST_OFFSETS, 1, &offsets, errors, vec![0]);
    }
    drop(attacker);
    setting.assert_isolated();
}

/// Makes sure that the attacker's coordinators are loaded, so that no other error is in the way.
fn find_coordinators(attacker: &mut crate::isolation::setting::Attacker<'_>, group: &str, transaction: &str) {
    for (key_type, key) in [(0, group), (1, transaction)] {
        let find = json!({"KeyType": key_type, "CoordinatorKeys": [key]});
        attacker.ask_until(ApiKey::FIND_COORDINATOR, 4, &find, |answer| errors(answer) == [0]);
    }
}

fn errors_of_topics(answer: &Value) -> Vec<i64> {
    answer["Topics"].as_array().into_iter().flatten().filter_map(|topic| topic["ErrorCode"].as_i64()).collect()
}

/// Records of the answer that are not none.
fn records_of(answer: &Value) -> Vec<String> {
    texts(answer, "Records").into_iter().filter(|records| !records.is_empty()).collect()
}
