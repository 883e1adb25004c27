//! Classic groups: ids, and the topics in the bytes that consumers hand each other.

use bifrost_core::protocol::ApiKey;
use bifrost_testkit::json;
use kafka_protocol::messages::consumer_protocol_assignment::TopicPartition as Assigned;
use kafka_protocol::messages::consumer_protocol_subscription::TopicPartition as Owned;
use kafka_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicName};
use kafka_protocol::protocol::{Encodable, StrBytes};
use serde_json::{Value, json};

use crate::{Talk, acme, cluster, prefixed};

const JOIN: ApiKey = ApiKey::JOIN_GROUP;
const SYNC: ApiKey = ApiKey::SYNC_GROUP;
const DESCRIBE: ApiKey = ApiKey::DESCRIBE_GROUPS;

fn name(topic: &str) -> StrBytes {
    StrBytes::from_string(topic.to_owned())
}

/// As `kafka-protocol` writes it, version in front.
fn blob(version: i16, body: &impl Encodable) -> String {
    let mut bytes = version.to_be_bytes().to_vec();
    body.encode(&mut bytes, version).unwrap();
    json::hex(&bytes)
}

/// What a member wants: these topics, of which it owns the last; its user data names one, too.
fn subscription(version: i16, topics: &[&str]) -> String {
    let owned = Owned::default().with_topic(TopicName(name(topics.last().unwrap()))).with_partitions(vec![0, 7]);
    let mut body = ConsumerProtocolSubscription::default()
        .with_topics(topics.iter().map(|topic| name(topic)).collect())
        .with_user_data(Some("acme.orders orders".into()));
    if version >= 1 {
        body = body.with_owned_partitions(vec![owned]);
    }
    if version >= 2 {
        body = body.with_generation_id(9);
    }
    if version >= 3 {
        body = body.with_rack_id(Some(name("orders")));
    }
    blob(version, &body)
}

/// What a member gets.
fn assignment(version: i16, topics: &[&str]) -> String {
    let assigned = |topic: &&str| Assigned::default().with_topic(TopicName(name(topic))).with_partitions(vec![3]);
    let body = ConsumerProtocolAssignment::default()
        .with_assigned_partitions(topics.iter().map(assigned).collect())
        .with_user_data(Some("orders acme.orders".into()));
    blob(version, &body)
}

fn join(kind: &str, metadata: &[&str]) -> Value {
    let protocols: Vec<Value> =
        metadata.iter().enumerate().map(|(n, bytes)| json!({"Name": format!("p{n}"), "Metadata": bytes})).collect();
    json!({"GroupId": "g", "ProtocolType": kind, "Protocols": protocols})
}

fn sync(assignments: &[&str]) -> Value {
    let assignments: Vec<Value> =
        assignments.iter().map(|bytes| json!({"MemberId": "m", "Assignment": bytes})).collect();
    json!({"GroupId": "g", "ProtocolType": "consumer", "ProtocolName": "range", "Assignments": assignments})
}

/// A member of a group of this type that has joined.
fn joined(kind: &str) -> Talk {
    let mut talk = Talk::new(acme());
    talk.sent(JOIN, 5, join(kind, &[]));
    talk.heard(JOIN, 5, json!({}));
    talk
}

#[test]
fn subscriptions_are_renamed_on_the_way_to_the_broker_and_back_to_the_leader() {
    for version in 0..=9 {
        for blob in 0..=3 {
            let (virtual_, physical) =
                (subscription(blob, &["orders", "clicks"]), subscription(blob, &["acme.orders", "acme.clicks"]));
            let name = format!("v{version}, subscription v{blob}");
            let mut talk = Talk::new(acme());
            let got = talk.sent(JOIN, version, join("consumer", &[&virtual_, &virtual_]));
            assert_eq!(got["GroupId"], "acme.g", "{name}");
            for at in [0, 1] {
                assert_eq!(got["Protocols"][at]["Metadata"], physical, "{name}");
            }
            // Only the leader gets members; before version 7 the answer does not say what they speak.
            let member = json!({"MemberId": "m", "Metadata": physical});
            let heard = talk.heard(JOIN, version, json!({"ProtocolType": "consumer", "Members": [member, member]}));
            for at in [0, 1] {
                assert_eq!(heard["Members"][at]["Metadata"], virtual_, "{name}");
            }
        }
    }
}

#[test]
fn assignments_are_renamed_on_the_way_to_the_broker_and_back_to_the_member() {
    for version in 0..=5 {
        for blob in 0..=3 {
            let (virtual_, physical) =
                (assignment(blob, &["orders", "clicks"]), assignment(blob, &["acme.orders", "acme.clicks"]));
            let mut talk = joined("consumer");
            let got = talk.sent(SYNC, version, sync(&[&virtual_, &virtual_]));
            assert_eq!(got["GroupId"], "acme.g");
            for at in [0, 1] {
                assert_eq!(got["Assignments"][at]["Assignment"], physical, "v{version}, assignment v{blob}");
            }
            let heard = talk.heard(SYNC, version, json!({"Assignment": physical}));
            assert_eq!(heard["Assignment"], virtual_, "v{version}, assignment v{blob}");
        }
    }
}

#[test]
fn descriptions_of_consumers_are_renamed_and_others_are_not() {
    for version in 0..=6 {
        let (wants, gets) = (subscription(1, &["acme.orders"]), assignment(0, &["acme.orders", "acme.clicks"]));
        let members = json!([{"MemberMetadata": wants, "MemberAssignment": gets}]);
        let group = |id: &str, kind: &str| json!({"GroupId": id, "ProtocolType": kind, "Members": members});
        let mut talk = Talk::new(acme());
        let got = talk.sent(DESCRIBE, version, json!({"Groups": ["a", "b", "c"]}));
        assert_eq!(got["Groups"], json!(["acme.a", "acme.b", "acme.c"]));
        let groups = [group("acme.a", "consumer"), group("acme.b", "connect"), group("acme.c", "consumer")];
        let heard = talk.heard(DESCRIBE, version, json!({"Groups": groups}));
        for (at, id, renamed) in [(0, "a", true), (1, "b", false), (2, "c", true)] {
            let group = &heard["Groups"][at];
            let (shown_wants, shown_gets) = if renamed {
                (subscription(1, &["orders"]), assignment(0, &["orders", "clicks"]))
            } else {
                (wants.clone(), gets.clone())
            };
            assert_eq!(group["GroupId"], id, "v{version}");
            assert_eq!(group["Members"][0]["MemberMetadata"], shown_wants, "v{version} {id}");
            assert_eq!(group["Members"][0]["MemberAssignment"], shown_gets, "v{version} {id}");
        }
    }
}

/// Connect and Schema Registry write what they like, even if it looks like a consumer's.
#[test]
fn bytes_of_other_protocols_stay_both_ways() {
    for kind in ["connect", "sr", "", "consumers", "Consumer"] {
        let (wants, gets) = (subscription(1, &["orders"]), assignment(0, &["orders"]));
        for version in 0..=9 {
            let mut talk = Talk::new(acme());
            let got = talk.sent(JOIN, version, join(kind, &[&wants]));
            assert_eq!(got["Protocols"][0]["Metadata"], wants, "v{version} {kind}");
            let seen = subscription(1, &["acme.orders"]);
            let heard = talk.heard(JOIN, version, json!({"ProtocolType": kind, "Members": [{"Metadata": seen}]}));
            assert_eq!(heard["Members"][0]["Metadata"], seen, "v{version} {kind}");
        }
        for version in 0..=5 {
            let mut talk = joined(kind);
            let mut body = sync(&[&gets]);
            body["ProtocolType"] = json!(kind);
            let got = talk.sent(SYNC, version, body);
            assert_eq!(got["Assignments"][0]["Assignment"], gets, "v{version} {kind}");
            let seen = assignment(0, &["acme.orders"]);
            let heard = talk.heard(SYNC, version, json!({"ProtocolType": kind, "Assignment": seen}));
            assert_eq!(heard["Assignment"], seen, "v{version} {kind}");
        }
    }
}

#[test]
fn bytes_that_are_no_consumers_stay_as_they_are() {
    let whole = subscription(1, &["orders"]);
    let cut = whole.get(..whole.len() - 2).unwrap();
    for bytes in ["", "00", "0001", "ffff00000000", "0000ffffffff", "000000000001ffff", cut] {
        let mut talk = Talk::new(acme());
        let got = talk.sent(JOIN, 9, join("consumer", &[bytes, &whole]));
        assert_eq!(got["Protocols"][0]["Metadata"], bytes);
        assert_eq!(got["Protocols"][1]["Metadata"], subscription(1, &["acme.orders"]), "behind {bytes}");
        let heard = talk.heard(JOIN, 9, json!({"ProtocolType": "consumer", "Members": [{"Metadata": bytes}]}));
        assert_eq!(heard["Members"][0]["Metadata"], bytes);
    }
}

/// Members that joined past the gateway may want anything; the leader must not assign the wrong topic.
#[test]
fn names_of_others_in_bytes_stay_what_they_are() {
    let mut talk = Talk::new(acme());
    talk.sent(JOIN, 9, join("consumer", &[]));
    let member = json!({"Metadata": subscription(1, &["globex.orders", "acme.clicks"])});
    let heard = talk.heard(JOIN, 9, json!({"ProtocolType": "consumer", "Members": [member]}));
    assert_eq!(heard["Members"][0]["Metadata"], subscription(1, &["globex.orders", "clicks"]));
}

#[test]
fn newer_bytes_keep_what_nobody_knows() {
    let newer = |topic: &str| format!("0009{}beef", subscription(3, &[topic]).strip_prefix("0003").unwrap());
    let mut talk = Talk::new(acme());
    let got = talk.sent(JOIN, 9, join("consumer", &[&newer("orders")]));
    assert_eq!(got["Protocols"][0]["Metadata"], newer("acme.orders"));
}

#[test]
fn an_assignment_before_version_5_needs_a_join_on_the_same_connection() {
    for version in 0..=5 {
        let gets = assignment(0, &["orders"]);
        let mut talk = Talk::new(acme());
        if version < 5 {
            let heard = talk.refused(SYNC, version, sync(&[&gets]));
            assert_eq!(heard["ErrorCode"], 27, "v{version}");
        } else {
            assert_eq!(
                talk.sent(SYNC, version, sync(&[&gets]))["Assignments"][0]["Assignment"],
                assignment(0, &["acme.orders"])
            );
        }
    }
    let cluster = cluster(acme());
    let mut other = Talk::on(&cluster);
    other.sent(JOIN, 5, join("consumer", &[]));
    assert_eq!(Talk::on(&cluster).refused(SYNC, 3, sync(&[]))["ErrorCode"], 27, "of another connection");
}

#[test]
fn protocol_types_are_remembered_group_by_group_and_the_last_one_counts() {
    let mut talk = joined("connect");
    let (gets, sent) = (assignment(0, &["orders"]), assignment(0, &["acme.orders"]));
    let group = |id: &str| json!({"GroupId": id, "Assignments": [{"MemberId": "m", "Assignment": gets}]});
    talk.sent(JOIN, 0, json!({"GroupId": "h", "ProtocolType": "consumer"}));
    talk.heard(JOIN, 0, json!({}));
    for (id, expected) in [("g", &gets), ("h", &sent)] {
        assert_eq!(talk.sent(SYNC, 0, group(id))["Assignments"][0]["Assignment"], *expected, "{id}");
        talk.heard(SYNC, 0, json!({}));
    }
    talk.sent(JOIN, 0, join("consumer", &[]));
    talk.heard(JOIN, 0, json!({}));
    assert_eq!(talk.sent(SYNC, 0, group("g"))["Assignments"][0]["Assignment"], sent);
}

/// The least recently joined group is forgotten, and its member joins again.
#[test]
fn remembered_groups_are_bounded() {
    let mut talk = joined("consumer");
    for n in 0..1_000 {
        talk.sent(JOIN, 0, json!({"GroupId": format!("h{n}"), "ProtocolType": "consumer"}));
        talk.heard(JOIN, 0, json!({}));
    }
    assert_eq!(talk.refused(SYNC, 0, sync(&[]))["ErrorCode"], 27);
    talk.sent(SYNC, 0, json!({"GroupId": "h999"}));
}

#[test]
fn answers_in_flight_meet_the_type_of_their_own_request() {
    let mut talk = Talk::new(acme());
    talk.sent(JOIN, 0, join("consumer", &[]));
    talk.sent(JOIN, 0, join("connect", &[]));
    talk.correlation_id -= 1;
    let member = json!({"Members": [{"Metadata": subscription(0, &["acme.orders"])}]});
    let heard = talk.heard(JOIN, 0, member.clone());
    assert_eq!(heard["Members"][0]["Metadata"], subscription(0, &["orders"]));
    talk.correlation_id += 1;
    assert_eq!(talk.heard(JOIN, 0, member)["Members"][0]["Metadata"], subscription(0, &["acme.orders"]));
}

#[test]
fn impossible_topics_in_bytes_come_back_as_they_went() {
    let mut talk = Talk::new(acme());
    let wants = subscription(1, &["", ".", "..", "acme.x", "\u{fc}"]);
    let got = talk.sent(JOIN, 9, join("consumer", &[&wants]));
    let sent = got["Protocols"][0]["Metadata"].clone();
    assert_eq!(sent, subscription(1, &[":cme.", ":cme..", ":cme...", "acme.acme.x", "acme.\u{fc}"]));
    let heard = talk.heard(JOIN, 9, json!({"ProtocolType": "consumer", "Members": [{"Metadata": sent}]}));
    assert_eq!(heard["Members"][0]["Metadata"], wants);
}

#[test]
fn without_a_prefix_bytes_pass() {
    let mut talk = Talk::new(prefixed(""));
    let wants = subscription(1, &["orders", ""]);
    let got = talk.sent(JOIN, 9, join("consumer", &[&wants]));
    assert_eq!((&got["GroupId"], &got["Protocols"][0]["Metadata"]), (&json!("g"), &json!(wants)));
    let heard = talk.heard(JOIN, 9, json!({"ProtocolType": "consumer", "Members": [{"Metadata": wants}]}));
    assert_eq!(heard["Members"][0]["Metadata"], wants);
}

#[test]
fn ids_of_members_and_instances_stay() {
    let body = json!({"GroupId": "g", "MemberId": "acme.m", "GroupInstanceId": "acme.i", "Members": [
        {"MemberId": "acme.m", "GroupInstanceId": "acme.i"}]});
    for (key, versions) in [(ApiKey::HEARTBEAT, 0..=4), (ApiKey::LEAVE_GROUP, 0..=5)] {
        for version in versions {
            let mut talk = Talk::new(acme());
            let mut body = body.clone();
            let fields = if key == ApiKey::HEARTBEAT { "Members" } else { "GroupInstanceId" };
            body.as_object_mut().unwrap().remove(fields);
            let got = talk.sent(key, version, body);
            assert_eq!(got["GroupId"], "acme.g", "{key} v{version}");
            for field in ["MemberId", "GroupInstanceId"] {
                assert!(got.get(field).is_none_or(|id| id.as_str().unwrap().starts_with("acme.")), "{key} v{version}");
            }
            if let Some(members) = got.get("Members") {
                assert_eq!(members[0]["MemberId"], "acme.m", "{key} v{version}");
            }
        }
    }
}
