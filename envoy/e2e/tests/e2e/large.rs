//! Frames far larger than any buffer in between.

use bifrost_e2e::clients::Family;

use crate::fixture::shared;

const MIB: u64 = 1 << 20;

#[test]
fn a_batch_of_20_mib_passes_both_ways() {
    let fixture = shared();
    let topic = fixture.topic(Family::Java, "large-batch", 1);

    let produce = [
        ("topic", &*topic),
        ("count", "1"),
        ("size", "20971520"),
        ("config.max.request.size", "33554432"),
        ("config.buffer.memory", "67108864"),
    ];
    let sent = fixture.clients.tally(Family::Java, "produce", &produce).unwrap();
    let received = fixture.consume(Family::Java, &topic, 1, &[("config.max.partition.fetch.bytes", "33554432")]);

    assert_eq!((sent.count, received), (1, sent));
}

#[test]
fn librdkafka_moves_a_batch_of_20_mib_too() {
    let fixture = shared();
    let topic = fixture.topic(Family::Librdkafka, "large-batch", 1);
    let limit = ("config.message.max.bytes", "33554432");

    let produce = [("topic", &*topic), ("count", "1"), ("size", "20971520"), limit];
    let sent = fixture.clients.tally(Family::Librdkafka, "produce", &produce).unwrap();
    let received = fixture.consume(Family::Librdkafka, &topic, 1, &[limit]);

    assert_eq!((sent.count, received), (1, sent));
}

#[test]
fn a_fetch_answer_of_50_mib_passes() {
    let fixture = shared();
    let topic = fixture.topic(Family::Java, "large-answer", 1);
    let produce = [
        ("topic", &*topic),
        ("count", "60"),
        ("size", "1048576"),
        ("config.max.request.size", "4194304"),
        ("config.batch.size", "4194304"),
    ];
    let sent = fixture.clients.tally(Family::Java, "produce", &produce).unwrap();

    let arguments = [
        ("topic", &*topic),
        ("group", "large-answer"),
        ("count", "60"),
        ("timeout_ms", "60000"),
        ("config.max.partition.fetch.bytes", "52428800"),
        ("config.fetch.max.bytes", "52428800"),
        // The broker answers only when it has this much.
        ("config.fetch.min.bytes", "48000000"),
        ("config.fetch.max.wait.ms", "5000"),
    ];
    let report = fixture.clients.run(Family::Java, "consume", &arguments).unwrap();

    assert_eq!(report["checksum"], sent.checksum);
    let largest = report["fetch_bytes_max"].as_f64().unwrap();
    assert!(largest > (45 * MIB) as f64, "the largest answer had {largest} bytes only");
    fixture.assert_brokers_are_hidden();
}
