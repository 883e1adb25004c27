//! Every client library reads through the gateway what it wrote through the gateway.

use bifrost_e2e::clients::Family;

use crate::fixture::shared;

#[test]
fn java_reads_what_it_wrote() {
    round_trip(Family::Java);
}

#[test]
fn librdkafka_reads_what_it_wrote() {
    round_trip(Family::Librdkafka);
}

#[test]
fn franz_go_reads_what_it_wrote() {
    round_trip(Family::FranzGo);
}

#[test]
fn kafka_python_reads_what_it_wrote() {
    round_trip(Family::KafkaPython);
}

#[test]
fn java_writes_without_acknowledgement() {
    unacknowledged(Family::Java);
}

#[test]
fn librdkafka_writes_without_acknowledgement() {
    unacknowledged(Family::Librdkafka);
}

#[test]
fn franz_go_writes_without_acknowledgement() {
    unacknowledged(Family::FranzGo);
}

#[test]
fn kafka_python_writes_without_acknowledgement() {
    unacknowledged(Family::KafkaPython);
}

fn round_trip(family: Family) {
    let fixture = shared();
    let topic = fixture.topic(family, "round-trip", 6);

    let produce = [("topic", &*topic), ("count", "2000"), ("size", "200"), ("acks", "all")];
    let sent = fixture.clients.tally(family, "produce", &produce).unwrap();
    let received = fixture.consume(family, &topic, 2000, &[]);

    assert_eq!((sent.count, received), (2000, sent));
    fixture.assert_brokers_are_hidden();
}

fn unacknowledged(family: Family) {
    let fixture = shared();
    let topic = fixture.topic(family, "unacknowledged", 3);

    let produce = [("topic", &*topic), ("count", "500"), ("size", "100"), ("acks", "0")];
    let sent = fixture.clients.tally(family, "produce", &produce).unwrap();
    let received = fixture.consume(family, &topic, 500, &[]);

    assert_eq!((received.count, received.checksum), (500, sent.checksum));
    fixture.assert_brokers_are_hidden();
}
