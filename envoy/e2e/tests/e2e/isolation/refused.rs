//! What no tenant may do, and what a tenant may do only to itself.

use bifrost_core::protocol::ApiKey;
use kafka_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use kafka_protocol::messages::{
    DeleteShareGroupStateRequest, ProducerId, ReadShareGroupStateRequest, TopicName, WriteTxnMarkersRequest,
};
use kafka_protocol::protocol::StrBytes;
use serde_json::{Value, json};

use crate::isolation::caller::{Outcome, all, errors, texts};
use crate::isolation::setting::setting;
use crate::isolation::victim::{physical, records};

const SECURITY_DISABLED: i64 = 54;
const INVALID_REQUEST: i64 = 42;

/// Names under which the attacker looks for what is the victim's.
const GUESSES: [&str; 2] = ["", "tenantA-"];

#[test]
fn there_are_no_acls() {
    let setting = setting();
    let mut attacker = setting.attacker();
    for kind in 0..=7 {
        for pattern in 0..=4 {
            for name in [Value::Null, json!("*"), json!("tenantA-orders"), json!("orders")] {
                let filter = json!({"ResourceTypeFilter": kind, "ResourceNameFilter": name, "PatternTypeFilter": pattern,
                    "PrincipalFilter": null, "HostFilter": null, "Operation": 1, "PermissionType": 1});
                attacker.expect(ApiKey::DESCRIBE_ACLS, 1, &filter, errors, vec![SECURITY_DISABLED]);
                let delete = json!({"Filters": [filter, filter]});
                attacker.expect(ApiKey::DELETE_ACLS, 1, &delete, errors, vec![SECURITY_DISABLED; 2]);
            }
        }
    }
    let create = json!({"Creations": [{"ResourceType": 2, "ResourceName": "*", "ResourcePatternType": 3,
        "Principal": "User:*", "Host": "*", "Operation": 2, "PermissionType": 3}]});
    attacker.expect(ApiKey::CREATE_ACLS, 1, &create, errors, vec![SECURITY_DISABLED]);
    drop(attacker);
    setting.assert_isolated();
}

#[test]
fn share_keys_have_no_coordinator_for_tenants() {
    let setting = setting();
    let mut attacker = setting.attacker();
    let keys = [
        "pool:AAAAAAAAAAAAAAAAAAAAAA:0".to_owned(),
        "tenantA-pool:AAAAAAAAAAAAAAAAAAAAAA:0".to_owned(),
        "pool".to_owned(),
        String::new(),
        ":::".to_owned(),
    ];
    for version in attacker.versions(ApiKey::FIND_COORDINATOR, 4) {
        let answer = attacker.ask(ApiKey::FIND_COORDINATOR, version, &json!({"KeyType": 2, "CoordinatorKeys": keys}));
        assert_eq!(errors(&answer), [INVALID_REQUEST; 5], "v{version}: {answer}");
        assert_eq!(all(&answer, "NodeId"), [-1; 5], "v{version}: {answer}");
    }
    for version in 1..=3 {
        let answer = attacker.ask(ApiKey::FIND_COORDINATOR, version, &json!({"KeyType": 2, "Key": keys[1]}));
        assert_eq!(errors(&answer), [INVALID_REQUEST], "v{version}: {answer}");
    }
    drop(attacker);
    setting.assert_isolated();
}

#[test]
fn what_brokers_say_to_each_other_closes_the_connection() {
    let setting = setting();
    let mut attacker = setting.attacker();
    let topic = WritableTxnMarkerTopic::default()
        .with_name(TopicName(StrBytes::from_string(physical("orders"))))
        .with_partition_indexes(vec![0]);
    let marker = WritableTxnMarker::default()
        .with_producer_id(ProducerId(setting.victim.producer_id))
        .with_producer_epoch(setting.victim.producer_epoch as i16)
        .with_transaction_result(true)
        .with_topics(vec![topic]);
    let markers = WriteTxnMarkersRequest::default().with_markers(vec![marker]);
    let share = ReadShareGroupStateRequest::default().with_group_id(StrBytes::from_string(physical("pool")));
    let forget = DeleteShareGroupStateRequest::default().with_group_id(StrBytes::from_string(physical("pool")));

    for frame in [
        bifrost_e2e::wire::frame(1, 1, &markers).unwrap(),
        bifrost_e2e::wire::frame(0, 2, &share).unwrap(),
        bifrost_e2e::wire::frame(0, 3, &forget).unwrap(),
    ] {
        assert_eq!(attacker.send(&frame), Outcome::Closed, "{}", frame.escape_ascii());
    }
    drop(attacker);
    setting.assert_isolated();
}

#[test]
fn the_cluster_is_nobodys() {
    let setting = setting();
    let mut attacker = setting.attacker();
    let answered = |outcome: &Outcome| matches!(outcome, Outcome::Answered(_));
    let requests = [
        (ApiKey::ELECT_LEADERS, json!({"ElectionType": 1, "TopicPartitions": null, "TimeoutMs": 1000})),
        (
            ApiKey::ALTER_PARTITION_REASSIGNMENTS,
            json!({"TimeoutMs": 1000, "Topics": [{"Name": "tenantA-orders",
            "Partitions": [{"PartitionIndex": 0, "Replicas": [1]}]}]}),
        ),
        (ApiKey::LIST_PARTITION_REASSIGNMENTS, json!({"TimeoutMs": 1000, "Topics": null})),
        (ApiKey::DESCRIBE_LOG_DIRS, json!({"Topics": null})),
        (
            ApiKey::ALTER_REPLICA_LOG_DIRS,
            json!({"Dirs": [{"Path": "/tmp", "Topics": [{"Name": "tenantA-orders", "Partitions": [0]}]}]}),
        ),
        (ApiKey::DESCRIBE_CLIENT_QUOTAS, json!({})),
        (
            ApiKey::ALTER_CLIENT_QUOTAS,
            json!({"Entries": [{"Entity": [{"EntityType": "user", "EntityName": null}],
            "Ops": [{"Key": "producer_byte_rate", "Value": 1.0}]}]}),
        ),
        (ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS, json!({"Users": null})),
        (
            ApiKey::DESCRIBE_QUORUM,
            json!({"Topics": [{"TopicName": "__cluster_metadata", "Partitions": [{"PartitionIndex": 0}]}]}),
        ),
        (
            ApiKey::UPDATE_FEATURES,
            json!({"FeatureUpdates": [{"Feature": "share.version", "MaxVersionLevel": 0, "UpgradeType": 3}]}),
        ),
        (ApiKey::UNREGISTER_BROKER, json!({"BrokerId": 1})),
        (ApiKey::DESCRIBE_DELEGATION_TOKEN, json!({"Owners": null})),
        (ApiKey::CREATE_DELEGATION_TOKEN, json!({})),
    ];
    for (key, body) in requests {
        let versions = bifrost_core::protocol::api(key).expect("known").versions;
        for version in versions.min..=versions.max {
            let frame = bifrost_testkit::json::request(key, version, 1, "attacker", &body);
            let outcome = attacker.send(&frame);
            // Left out of ApiVersions, so closed; or answered with an error.
            if answered(&outcome) {
                let Outcome::Answered(answer) = outcome else { continue };
                let answer =
                    bifrost_testkit::json::read(key, version, bifrost_core::filter::Direction::Response, &answer);
                let answer = answer.unwrap().body;
                assert!(errors(&answer).iter().any(|code| *code != 0), "{key} v{version}: {answer}");
            } else {
                assert_eq!(outcome, Outcome::Closed, "{key} v{version}");
            }
        }
    }
    assert!(attacker.findings.is_empty(), "{:?}", attacker.findings);
    drop(attacker);
    setting.assert_isolated();
}

#[test]
fn foreign_groups_do_not_exist() {
    let setting = setting();
    let mut attacker = setting.attacker();
    let member = &setting.victim.crew_member;
    for group in GUESSES.map(|prefix| format!("{prefix}crew")) {
        let find = json!({"KeyType": 0, "CoordinatorKeys": [group]});
        attacker.ask_until(ApiKey::FIND_COORDINATOR, 4, &find, |answer| errors(answer) == [0]);
        let as_member = json!({"GroupId": group, "GenerationId": 1, "MemberId": member});
        attacker.expect(ApiKey::HEARTBEAT, 0, &as_member, |answer| errors(answer)[0] != 0, true);
        let leave = json!({"GroupId": group, "MemberId": member, "Members": [{"MemberId": member}]});
        attacker.expect(ApiKey::LEAVE_GROUP, 0, &leave, |answer| errors(answer).iter().any(|code| *code != 0), true);
        let delete = json!({"GroupsNames": [group]});
        attacker.expect(ApiKey::DELETE_GROUPS, 0, &delete, |answer| errors(answer)[0] != 0, true);
        let describe = json!({"Groups": [group]});
        attacker.expect(ApiKey::DESCRIBE_GROUPS, 0, &describe, |answer| all(answer, "Members")[0].clone(), json!([]));
    }
    for group in GUESSES.map(|prefix| format!("{prefix}fleet")) {
        let describe = json!({"GroupIds": [group]});
        attacker.expect(
            ApiKey::CONSUMER_GROUP_DESCRIBE,
            0,
            &describe,
            |answer| all(answer, "Members")[0].clone(),
            json!([]),
        );
        let heartbeat = json!({"GroupId": group, "MemberId": "AAAAAAAAAAAAAAAAAAAAAQ", "MemberEpoch": 1,
            "RebalanceTimeoutMs": -1});
        attacker.expect(ApiKey::CONSUMER_GROUP_HEARTBEAT, 0, &heartbeat, |answer| errors(answer)[0] != 0, true);
    }
    for group in GUESSES.map(|prefix| format!("{prefix}billing")) {
        let fetched = json!({"GroupId": group, "Topics": null, "Groups": [{"GroupId": group, "Topics": null}]});
        attacker.expect(ApiKey::OFFSET_FETCH, 2, &fetched, |answer| texts(answer, "Metadata").len(), 0);
        let delete = json!({"GroupId": group, "Topics": [{"Name": "orders", "Partitions": [{"PartitionIndex": 0}]}]});
        attacker.expect(ApiKey::OFFSET_DELETE, 0, &delete, |answer| errors(answer).iter().any(|code| *code != 0), true);
    }
    drop(attacker);
    setting.assert_isolated();
}

#[test]
fn foreign_transactions_do_not_exist() {
    let setting = setting();
    let mut attacker = setting.attacker();
    let (id, epoch) = (setting.victim.producer_id, setting.victim.producer_epoch);
    for name in GUESSES.map(|prefix| format!("{prefix}ledger")) {
        let find = json!({"KeyType": 1, "CoordinatorKeys": [name]});
        attacker.ask_until(ApiKey::FIND_COORDINATOR, 4, &find, |answer| errors(answer) == [0]);
        let end = json!({"TransactionalId": name, "ProducerId": id, "ProducerEpoch": epoch, "Committed": true});
        attacker.expect(ApiKey::END_TXN, 0, &end, |answer| errors(answer)[0] != 0, true);
        let describe = json!({"TransactionalIds": [name]});
        attacker.expect(ApiKey::DESCRIBE_TRANSACTIONS, 0, &describe, |answer| errors(answer)[0] != 0, true);
        let add = json!({"V3AndBelowTransactionalId": name, "V3AndBelowProducerId": id, "V3AndBelowProducerEpoch": epoch,
            "V3AndBelowTopics": [{"Name": "orders", "Partitions": [0]}]});
        for version in attacker.versions(ApiKey::ADD_PARTITIONS_TO_TXN, 0).filter(|version| *version < 4) {
            let answer = attacker.ask(ApiKey::ADD_PARTITIONS_TO_TXN, version, &add);
            assert!(errors(&answer).iter().all(|code| *code != 0), "v{version}: {answer}");
        }
    }
    let batch = json!({"Transactions": [{"TransactionalId": "tenantA-ledger", "ProducerId": id, "ProducerEpoch": epoch,
        "Topics": [{"Name": "tenantA-orders", "Partitions": [0]}]}]});
    for version in [4, 5] {
        attacker.is_closed_by(ApiKey::ADD_PARTITIONS_TO_TXN, version, &batch);
    }
    drop(attacker);
    setting.assert_isolated();
}

#[test]
fn foreign_topics_do_not_exist() {
    let setting = setting();
    let mut attacker = setting.attacker();
    for name in ["orders", "tenantA-orders", "__consumer_offsets", "__transaction_state"] {
        let missing = |answer: &Value| errors(answer).iter().all(|code| *code == 3 || *code == 100);
        let topics = json!([{"Topic": name, "Name": name, "Partitions": [{"Partition": 0, "PartitionIndex": 0,
            "Timestamp": -1, "PartitionMaxBytes": 1 << 20, "Offset": 1}]}]);
        let only = |fields: &[&str]| {
            let mut topics = topics.clone();
            let inner = ["Partition", "PartitionIndex", "Timestamp", "PartitionMaxBytes", "Offset"];
            let topic = topics[0].as_object_mut().expect("a topic");
            topic.retain(|field, _| field == "Partitions" || fields.contains(&field.as_str()));
            let partition = topic["Partitions"][0].as_object_mut().expect("a partition");
            partition.retain(|field, _| !inner.contains(&field.as_str()) || fields.contains(&field.as_str()));
            topics
        };
        let read = json!({"MaxBytes": 1 << 20, "SessionEpoch": -1, "Topics": only(&["Topic", "Partition", "PartitionMaxBytes"])});
        for version in attacker.versions(ApiKey::FETCH, 4).filter(|version| *version < 13) {
            let answer = attacker.ask(ApiKey::FETCH, version, &read);
            let partition = &answer["Responses"][0]["Partitions"][0];
            assert_eq!(partition["ErrorCode"], 3, "{name} v{version}: {answer}");
        }
        for acks in [1, -1] {
            let write = json!({"Acks": acks, "TimeoutMs": 1000, "TopicData": [{"Name": name, "PartitionData":
                [{"Index": 0, "Records": records(&["intruder"], -1, -1, -1)}]}]});
            for version in attacker.versions(ApiKey::PRODUCE, 3).filter(|version| *version < 13) {
                let answer = attacker.ask(ApiKey::PRODUCE, version, &write);
                assert_eq!(errors(&answer), [3], "{name} v{version}: {answer}");
            }
        }
        let offsets = json!({"Topics": only(&["Name", "PartitionIndex", "Timestamp"])});
        attacker.expect(ApiKey::LIST_OFFSETS, 1, &offsets, missing, true);
        let records = json!({"Topics": only(&["Name", "PartitionIndex", "Offset"]), "TimeoutMs": 1000});
        attacker.expect(ApiKey::DELETE_RECORDS, 0, &records, missing, true);
        let named = json!({"Topics": [{"Name": name}], "TopicNames": [name], "TimeoutMs": 1000});
        attacker.expect(ApiKey::DELETE_TOPICS, 0, &named, missing, true);
        let more = json!({"Topics": [{"Name": name, "Count": 7, "Assignments": null}], "TimeoutMs": 1000});
        attacker.expect(ApiKey::CREATE_PARTITIONS, 0, &more, missing, true);
        let producers = json!({"Topics": [{"Name": name, "PartitionIndexes": [0]}]});
        attacker.expect(ApiKey::DESCRIBE_PRODUCERS, 0, &producers, missing, true);
        let configs = json!({"Resources": [{"ResourceType": 2, "ResourceName": name, "ConfigurationKeys": null,
            "Configs": [{"Name": "retention.ms", "Value": "1"}]}]});
        let mut describe = configs.clone();
        describe["Resources"][0].as_object_mut().expect("a resource").remove("Configs");
        attacker.expect(ApiKey::DESCRIBE_CONFIGS, 1, &describe, missing, true);
        let mut alter = configs;
        alter["Resources"][0].as_object_mut().expect("a resource").remove("ConfigurationKeys");
        attacker.expect(ApiKey::ALTER_CONFIGS, 0, &alter, missing, true);
        attacker.expect(ApiKey::INCREMENTAL_ALTER_CONFIGS, 0, &alter, missing, true);
    }
    drop(attacker);
    setting.assert_isolated();
}

#[test]
fn a_produce_without_answer_reaches_no_foreign_topic() {
    let setting = setting();
    let mut attacker = setting.attacker();
    let (offered_min, offered_max) = attacker.offered()[&0];
    for version in offered_min.max(3)..=offered_max {
        for name in ["orders", "tenantA-orders"] {
            let id = bifrost_testkit::json::hex(&setting.victim.orders_id);
            let write = json!({"Acks": 0, "TimeoutMs": 1000, "TopicData": [{"Name": name, "TopicId": id, "PartitionData":
                [{"Index": 0, "Records": records(&["intruder"], -1, -1, -1)}]}]});
            let frame = bifrost_testkit::json::request(ApiKey::PRODUCE, version, 1, "__admin_client", &write);
            // No answer is due; the next request tells that it was taken, or finds the connection closed.
            let hello = json!({"ClientSoftwareName": "x", "ClientSoftwareVersion": "1"});
            let hello = bifrost_testkit::json::request(ApiKey::API_VERSIONS, 3, 2, "attacker", &hello);
            let _ = attacker.send(&[frame, hello].concat());
        }
    }
    drop(attacker);
    setting.assert_isolated();
}
