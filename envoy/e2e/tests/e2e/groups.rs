//! Consumer groups: members of different libraries share partitions, and take over when one leaves.

use std::time::Duration;

use bifrost_e2e::clients::{Family, Running};
use serde_json::{Value, json};

use crate::fixture::{shared, unique};

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn java_and_librdkafka_share_a_classic_group() {
    join_and_leave(Family::Java, Family::Librdkafka, &[]);
}

#[test]
fn franz_go_and_franz_go_share_a_classic_group() {
    join_and_leave(Family::FranzGo, Family::FranzGo, &[]);
}

#[test]
fn java_and_java_share_a_consumer_group_of_kip_848() {
    join_and_leave(Family::Java, Family::Java, &[("config.group.protocol", "consumer")]);
}

fn join_and_leave(first: Family, second: Family, config: &[(&str, &str)]) {
    let fixture = shared();
    let topic = fixture.topic(first, "group", 6);
    let group = unique("group");
    let mut arguments = vec![("topic", &*topic), ("group", &*group)];
    arguments.extend(config);

    let mut stays = fixture.clients.start(first, "member", &arguments).unwrap();
    wait_for_partitions(&mut stays, 6);
    let mut leaves = fixture.clients.start(second, "member", &arguments).unwrap();
    wait_for_partitions(&mut leaves, 3);
    leaves.close_input();
    let left = leaves.finish(PATIENCE).unwrap();
    wait_for_partitions(&mut stays, 6);

    assert_eq!(left, json!({ "left": true }));
    fixture.assert_brokers_are_hidden();
}

/// Waits until a member tells that it has `count` partitions.
fn wait_for_partitions(member: &mut Running, count: usize) {
    while member.next(PATIENCE).unwrap()["assigned"].as_array().map(Vec::<Value>::len) != Some(count) {}
}
