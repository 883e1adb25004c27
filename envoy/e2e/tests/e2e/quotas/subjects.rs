//! Limits of clients and of topics, which leave the others alone.

use std::time::{Duration, Instant};

use bifrost_e2e::clients::{Clients, Family, Tally};
use bifrost_e2e::gateway::GATEWAY_IP;

use super::{assert_nobody_was_closed, gateway, metric};
use crate::fixture::alone;

/// Bytes in a second.
const RATE: u64 = 500_000;

const QUOTA: &str = "{ \
    clients: [{ clientId: 'slow-*', each: true, limits: { produceBytesPerSecond: 500000 } }], \
    topics: [{ topic: 'logs.*', limits: { produceBytesPerSecond: 500000, fetchBytesPerSecond: 500000 } }] }";

/// Six seconds' worth, and the burst.
const RECORDS: &str = "700";

#[test]
fn only_clients_and_topics_that_are_limited_wait() {
    let fixture = alone();
    let gateway = gateway(&fixture, "subjects", &[("tenant", QUOTA)]);
    let clients = Clients::new(&fixture.tools, &fixture.run, format!("{GATEWAY_IP}:{}", gateway.port(0))).unwrap();
    for topic in ["logs.app", "orders"] {
        let create = [("topic", topic), ("partitions", "1"), ("replication", "1")];
        clients.run(Family::Java, "create-topic", &create).unwrap();
    }
    let timed = |family: Family, verb: &str, arguments: &[(&str, &str)]| -> (Tally, Duration) {
        let start = Instant::now();
        let tally = clients.tally(family, verb, arguments).unwrap();
        (tally, start.elapsed())
    };
    for family in [Family::Java, Family::Librdkafka] {
        let produce = |topic: &'static str, client_id: &'static str| {
            let client = if family == Family::Java { "client_id" } else { "config.client.id" };
            let arguments = [("topic", topic), ("count", RECORDS), ("size", "5000"), (client, client_id)];
            timed(family, "produce", &arguments)
        };
        let throttled = || {
            let subjects = ["client_id.slow-*", "topic.logs.*"];
            subjects.map(|subject| metric(&gateway, "tenant", &format!("{subject}.produce_bytes.throttled")))
        };
        let before = throttled();
        let (_, free) = produce("orders", "quick");
        assert_eq!(throttled(), before, "{family}: nobody waits");
        let (_, by_client) = produce("orders", "slow-1");
        let (sent, by_topic) = produce("logs.app", "quick");
        eprintln!("{family}: {free:?} without a limit, {by_client:?} by client id, {by_topic:?} by topic");
        for limited in [by_client, by_topic] {
            assert!(limited > Duration::from_millis(5_400), "{family}: {limited:?}");
        }
        let after = throttled();
        assert!(after[0] > before[0] && after[1] > before[1], "{family}: {before:?}, then {after:?}");
        if family == Family::Java {
            let consume = [("topic", "logs.app"), ("group", "g"), ("count", RECORDS), ("timeout_ms", "60000")];
            // In small answers: time is owed behind an answer, and the last one's is not waited for.
            let small = [&consume[..], &[("config.max.partition.fetch.bytes", "100000")]].concat();
            let (received, took) = timed(family, "consume", &small);
            assert_eq!(received.checksum, sent.checksum);
            assert!(took > Duration::from_millis(5_500), "{family}: fetched in {took:?}");
        }
    }
    assert_eq!(metric(&gateway, "tenant", "topic.logs.*.fetch_bytes.limit"), RATE);
    assert!(metric(&gateway, "tenant", "topic.logs.*.produce_bytes.used") > 7_000_000);
    assert!(metric(&gateway, "tenant", "client_id.slow-*.produce_bytes.throttled") > 0);
    let prometheus = gateway.admin("/stats/prometheus").unwrap();
    let line = "quota=\"logs.*\"";
    assert!(prometheus.lines().any(|text| text.contains(line) && text.contains("virtual_cluster=\"tenant\"")));
    assert_nobody_was_closed(&gateway);
}
