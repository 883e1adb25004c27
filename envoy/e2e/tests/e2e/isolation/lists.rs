//! "All" means all of the attacker's.

use bifrost_core::protocol::ApiKey;
use serde_json::{Value, json};

use crate::isolation::caller::{all, errors, texts};
use crate::isolation::setting::{Attacker, setting};
use crate::isolation::victim::physical;

/// Names of what is the attacker's, asked at the broker.
fn own(
    mut operator: crate::isolation::caller::Caller,
    key: ApiKey,
    version: i16,
    body: &Value,
    field: &str,
) -> Vec<String> {
    let answer = operator.ask(key, version, body);
    texts(&answer, field).iter().filter_map(|name| name.strip_prefix("tenantB-")).map(ToOwned::to_owned).collect()
}

#[test]
fn all_topics_are_the_attackers_topics() {
    let setting = setting();
    let mut attacker = setting.attacker();
    for name in ["own-list-1", "own-list-2"] {
        attacker.topic(name);
    }
    let topics = own(setting.direct(), ApiKey::METADATA, 12, &json!({"Topics": null}), "Name");
    let names = |answer: &Value| texts(answer, "Name");
    for version in attacker.versions(ApiKey::METADATA, 0) {
        let body = if version == 0 { json!({"Topics": []}) } else { json!({"Topics": null}) };
        assert_eq!(names(&attacker.ask(ApiKey::METADATA, version, &body)), topics, "v{version}");
    }

    // With and without a cursor, one page or many; cursors on what is not there.
    let describe = |cursor: Value, limit: i32| json!({"Topics": [], "ResponsePartitionLimit": limit, "Cursor": cursor});
    assert_eq!(names(&attacker.ask(ApiKey::DESCRIBE_TOPIC_PARTITIONS, 0, &describe(Value::Null, 2000))), topics);
    for name in ["", "own-list", "tenantA-orders", "tenantA-", "__consumer_offsets", "\u{0}", "~"] {
        let cursor = json!({"TopicName": name, "PartitionIndex": 0});
        let listed = names(&attacker.ask(ApiKey::DESCRIBE_TOPIC_PARTITIONS, 0, &describe(cursor, 2000)));
        assert!(listed.iter().all(|name| topics.contains(name)), "{name}: {listed:?}");
    }
    assert_eq!(pages(&mut attacker), topics);
    drop(attacker);
    setting.assert_isolated();
}

fn pages(attacker: &mut Attacker<'_>) -> Vec<String> {
    let (mut names, mut cursor) = (Vec::new(), Value::Null);
    for _ in 0..1_000 {
        let body = json!({"Topics": [], "ResponsePartitionLimit": 1, "Cursor": cursor});
        let page = attacker.ask(ApiKey::DESCRIBE_TOPIC_PARTITIONS, 0, &body);
        let listed = page["Topics"].as_array().expect("topics").iter().filter_map(|topic| topic["Name"].as_str());
        names.extend(listed.map(ToOwned::to_owned));
        cursor = page["NextCursor"].clone();
        if cursor.is_null() {
            break;
        }
        cursor.as_object_mut().expect("a cursor").retain(|name, _| name == "TopicName" || name == "PartitionIndex");
    }
    names.dedup();
    names
}

#[test]
fn all_groups_are_the_attackers_groups() {
    let setting = setting();
    let mut attacker = setting.attacker();
    attacker.topic("own-groups");
    commit(&mut attacker, "lists-group", "own-groups");
    let groups = own(setting.direct(), ApiKey::LIST_GROUPS, 5, &json!({}), "GroupId");
    assert!(groups.contains(&"lists-group".to_owned()));

    attacker.expect(ApiKey::LIST_GROUPS, 0, &json!({}), |answer| texts(answer, "GroupId"), groups);
    for kind in ["classic", "consumer", "share", "streams"] {
        let body = json!({"TypesFilter": [kind]});
        let listed = texts(&attacker.ask(ApiKey::LIST_GROUPS, 5, &body), "GroupId");
        assert!(!listed.contains(&"fleet".to_owned()) || kind == "consumer", "{kind}: {listed:?}");
    }
    drop(attacker);
    setting.assert_isolated();
}

#[test]
fn all_transactions_are_the_attackers_transactions() {
    let setting = setting();
    let mut attacker = setting.attacker();
    let find = json!({"KeyType": 1, "CoordinatorKeys": ["lists-transaction"]});
    attacker.ask_until(ApiKey::FIND_COORDINATOR, 4, &find, |answer| errors(answer) == [0]);
    let init = json!({"TransactionalId": "lists-transaction", "TransactionTimeoutMs": 1000});
    attacker.ask_until(ApiKey::INIT_PRODUCER_ID, 4, &init, |answer| errors(answer) == [0]);
    let everything = json!({"DurationFilter": -1});
    let ids = own(setting.direct(), ApiKey::LIST_TRANSACTIONS, 1, &everything, "TransactionalId");
    assert!(ids.contains(&"lists-transaction".to_owned()));

    attacker.expect(ApiKey::LIST_TRANSACTIONS, 0, &everything, |answer| texts(answer, "TransactionalId"), ids);
    let victims = json!({"ProducerIdFilters": [setting.victim.producer_id], "DurationFilter": -1});
    attacker.expect(ApiKey::LIST_TRANSACTIONS, 0, &victims, |answer| texts(answer, "TransactionalId"), vec![]);
    drop(attacker);
    setting.assert_isolated();
}

#[test]
fn all_offsets_of_a_group_are_those_of_own_topics() {
    let setting = setting();
    let mut attacker = setting.attacker();
    attacker.topic("own-offsets");
    commit(&mut attacker, "offsets-group", "own-offsets");
    // Somebody committed a foreign topic's offset to the attacker's group, past the gateway.
    let planted = json!({"GroupId": "tenantB-offsets-group", "Topics": [{"Name": physical("orders"), "Partitions":
        [{"PartitionIndex": 0, "CommittedOffset": 1, "CommittedMetadata": "x9q7 planted"}]}]});
    assert_eq!(errors(&setting.direct().ask(ApiKey::OFFSET_COMMIT, 8, &planted)), [0]);

    let of_all =
        json!({"GroupId": "offsets-group", "Topics": null, "Groups": [{"GroupId": "offsets-group", "Topics": null}]});
    for version in attacker.versions(ApiKey::OFFSET_FETCH, 2) {
        let answer = attacker.ask(ApiKey::OFFSET_FETCH, version, &of_all);
        assert_eq!(all(&answer, "PartitionIndex").len(), 1, "v{version}: {answer}");
        if version < 10 {
            assert_eq!(texts(&answer, "Name"), ["own-offsets"], "v{version}");
        }
    }
    drop(attacker);
    setting.assert_isolated();
}

#[test]
fn config_resources_are_the_attackers() {
    let setting = setting();
    let mut attacker = setting.attacker();
    attacker.topic("own-configs");
    let topics = own(setting.direct(), ApiKey::METADATA, 12, &json!({"Topics": null}), "Name");
    for types in [json!([]), json!([2]), json!([32]), json!([4, 8, 16]), json!([2, 32, 4, 8, 16])] {
        for version in attacker.versions(ApiKey::LIST_CONFIG_RESOURCES, 0) {
            let body = if version == 0 { json!({}) } else { json!({"ResourceTypes": types}) };
            let answer = attacker.ask(ApiKey::LIST_CONFIG_RESOURCES, version, &body);
            for resource in answer["ConfigResources"].as_array().into_iter().flatten() {
                let (name, kind) = (resource["ResourceName"].as_str().unwrap_or_default(), &resource["ResourceType"]);
                assert!(*kind == 32 || (*kind == 2 && topics.contains(&name.to_owned())), "{types}: {resource}");
            }
        }
    }
    drop(attacker);
    setting.assert_isolated();
}

#[test]
fn all_share_offsets_are_the_attackers() {
    let setting = setting();
    let mut attacker = setting.attacker();
    for group in ["pool", "tenantA-pool", "share-nobody"] {
        let body = json!({"Groups": [{"GroupId": group, "Topics": null}]});
        attacker.expect(ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS, 0, &body, |answer| texts(answer, "TopicName"), vec![]);
    }
    drop(attacker);
    setting.assert_isolated();
}

fn commit(attacker: &mut Attacker<'_>, group: &str, topic: &str) {
    let find = json!({"KeyType": 0, "CoordinatorKeys": [group]});
    attacker.ask_until(ApiKey::FIND_COORDINATOR, 4, &find, |answer| errors(answer) == [0]);
    let commit = json!({"GroupId": group, "Topics": [{"Name": topic, "Partitions":
        [{"PartitionIndex": 0, "CommittedOffset": 1}]}]});
    attacker.ask_until(ApiKey::OFFSET_COMMIT, 8, &commit, |answer| errors(answer) == [0]);
}
