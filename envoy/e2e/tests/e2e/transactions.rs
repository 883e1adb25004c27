//! Transactions: aborted records are not read, committed ones are.

use bifrost_e2e::clients::Family;

use crate::fixture::{shared, unique};

#[test]
fn java_reads_committed_records_only() {
    transactions(Family::Java);
}

#[test]
fn librdkafka_reads_committed_records_only() {
    transactions(Family::Librdkafka);
}

#[test]
fn franz_go_reads_committed_records_only() {
    transactions(Family::FranzGo);
}

#[test]
fn kafka_python_reads_committed_records_only() {
    transactions(Family::KafkaPython);
}

fn transactions(family: Family) {
    let fixture = shared();
    let topic = fixture.topic(family, "transactions", 3);
    let transactional_id = unique("transactional-id");

    // Aborts a transaction before the one that it commits and reports.
    let transact = [("topic", &*topic), ("transactional_id", &transactional_id), ("count", "300"), ("size", "100")];
    let committed = fixture.clients.tally(family, "transact", &transact).unwrap();
    let received = fixture.consume(family, &topic, 300, &[("config.isolation.level", "read_committed")]);

    assert_eq!((committed.count, received), (300, committed));
    fixture.assert_brokers_are_hidden();
}
