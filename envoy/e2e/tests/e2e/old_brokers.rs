//! Clients of today, through the gateway, to brokers of yesterday: the oldest supported, and the last before 4.0.

use std::net::ToSocketAddrs;

use bifrost_e2e::clients::Family;
use bifrost_e2e::kafka::{BROKER_IP, Version};
use bifrost_e2e::wire::{self, RawClient};
use serde_json::Value;

use crate::fixture::{Fixture, TAP_IP, beside_others, unique};
use crate::tenants::assert_tenants_do_not_meet;

#[test]
fn clients_work_with_kafka_2_8_and_zookeeper() {
    let _turn = beside_others();
    let fixture = Fixture::start("kafka-2.8", Version::V2_8, 1);

    every_client_reads_what_it_wrote(&fixture);
    let configuration = configuration_of_the_broker(&fixture, &[("quorum", "no")]);
    assert_tenants_do_not_meet(&fixture.tools, &fixture.run, &fixture.kafka);
    fixture.assert_brokers_are_hidden();

    assert_eq!(configuration["zookeeper.connect"], "");
    only_what_brokers_tell_each_other_is_withheld(&fixture);
}

#[test]
fn clients_work_with_kafka_3_9() {
    let _turn = beside_others();
    let fixture = Fixture::start("kafka-3.9", Version::V3_9, 1);

    every_client_reads_what_it_wrote(&fixture);
    configuration_of_the_broker(&fixture, &[]);
    assert_tenants_do_not_meet(&fixture.tools, &fixture.run, &fixture.kafka);
    fixture.assert_brokers_are_hidden();

    only_what_brokers_tell_each_other_is_withheld(&fixture);
}

/// With and without a transaction, and without what was aborted.
fn every_client_reads_what_it_wrote(fixture: &Fixture) {
    for family in Family::ALL {
        let (topic, transactional_id) = (fixture.topic(family, "old", 3), unique("transactional-id"));

        let produce = [("topic", &*topic), ("count", "1000"), ("size", "100"), ("acks", "all")];
        let sent = fixture.clients.tally(family, "produce", &produce).unwrap();
        let transact = [("topic", &*topic), ("transactional_id", &transactional_id), ("count", "300"), ("size", "50")];
        let committed = fixture.clients.tally(family, "transact", &transact).unwrap();
        let received = fixture.consume(family, &topic, 1300, &[("config.isolation.level", "read_committed")]);

        assert_eq!((sent.count, committed.count, received.count), (1000, 300, 1300), "{family}");
        let [sent, committed, received] =
            [sent, committed, received].map(|tally| tally.checksum.parse::<u64>().unwrap());
        assert_eq!(received, sent.wrapping_add(committed), "{family}");
    }
}

/// What an administrator reads; no real address is in it.
fn configuration_of_the_broker(fixture: &Fixture, arguments: &[(&str, &str)]) -> Value {
    let cluster = fixture.clients.run(Family::Java, "describe", arguments).unwrap();

    let configuration = cluster["configs"]["1"].clone();
    let listener = format!("BROKER://{TAP_IP}:{}", cluster["nodes"][0]["port"]);
    assert_eq!(configuration["advertised.listeners"], listener);
    assert!(!cluster.to_string().contains(&BROKER_IP.to_string()), "a broker's address is in {cluster:#}");
    configuration
}

/// Compares what the gateway offers in ApiVersions with what the broker itself does. It connects to the broker.
fn only_what_brokers_tell_each_other_is_withheld(fixture: &Fixture) {
    /// LeaderAndIsr, StopReplica, UpdateMetadata, ControlledShutdown, WriteTxnMarkers, AlterPartition.
    const BETWEEN_BROKERS: [i16; 6] = [4, 5, 6, 7, 27, 56];
    const SASL_HANDSHAKE: i16 = 17;
    for version in 0..=3 {
        let through_the_gateway = offered(fixture.raw(), version);

        let mut expected = offered(fixture.kafka.addresses()[0], version);
        expected.retain(|(api_key, ..)| !BETWEEN_BROKERS.contains(api_key));
        for (api_key, min, _) in &mut expected {
            // After version 0 come bare SASL tokens, which are no Kafka requests.
            if *api_key == SASL_HANDSHAKE {
                *min = 1;
            }
        }
        assert_eq!(through_the_gateway, expected, "ApiVersions {version}");
    }
}

/// API keys with lowest and highest version.
fn offered(address: impl ToSocketAddrs, version: i16) -> Vec<(i16, i16, i16)> {
    let mut client = RawClient::connect(address).unwrap();
    let answer = client.call(version, 1, &wire::api_versions()).unwrap();
    assert_eq!(answer.error_code, 0);
    answer.api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version)).collect()
}
