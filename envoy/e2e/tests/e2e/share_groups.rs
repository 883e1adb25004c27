//! Share groups (KIP-932).

use bifrost_e2e::clients::Family;

use crate::fixture::{shared, unique};

#[test]
fn a_java_share_consumer_takes_every_record() {
    let fixture = shared();
    let topic = fixture.topic(Family::Java, "shared", 3);
    let produce = [("topic", &*topic), ("count", "1000"), ("size", "100")];
    let sent = fixture.clients.tally(Family::Java, "produce", &produce).unwrap();

    let group = unique("share-group");
    let consume = [("topic", &*topic), ("group", &group), ("count", "1000"), ("timeout_ms", "60000")];
    let received = fixture.clients.tally(Family::Java, "share-consume", &consume).unwrap();

    assert_eq!((sent.count, received), (1000, sent));
    fixture.assert_brokers_are_hidden();
}

#[test]
fn a_franz_go_share_consumer_takes_what_a_java_one_left() {
    let fixture = shared();
    let topic = fixture.topic(Family::Java, "shared", 3);
    let group = unique("share-group");
    let first = [("topic", &*topic), ("count", "100"), ("size", "100")];
    fixture.clients.tally(Family::Java, "produce", &first).unwrap();
    let consume = |count| [("topic", &*topic), ("group", &*group), ("count", count), ("timeout_ms", "60000")];
    // It also sets where the group begins.
    fixture.clients.tally(Family::Java, "share-consume", &consume("100")).unwrap();
    let second = [("topic", &*topic), ("count", "500"), ("size", "100"), ("first", "100")];
    let sent = fixture.clients.tally(Family::Java, "produce", &second).unwrap();

    let received = fixture.clients.tally(Family::FranzGo, "share-consume", &consume("500")).unwrap();

    assert_eq!((sent.count, received), (500, sent));
    fixture.assert_brokers_are_hidden();
}
