//! Brokers that end, come back, or hand their partitions over, while clients write.

use std::net::Ipv4Addr;
use std::time::Duration;

use bifrost_e2e::clients::{Clients, Family, Running};
use bifrost_e2e::gateway::{Gateway, VirtualCluster};
use bifrost_e2e::wire::{self, RawClient};
use serde_json::Value;

use crate::fixture::{Fixture, alone, shared};

const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn clients_lose_nothing_when_a_broker_crashes_and_returns() {
    let fixture = alone();
    let topic = fixture.topic(Family::Java, "crash", 6);
    let mut java = writer(&fixture, Family::Java, &topic, "0");
    let mut librdkafka = writer(&fixture, Family::Librdkafka, &topic, "100000");
    std::thread::sleep(Duration::from_secs(2));

    fixture.kafka.kill_node(2).unwrap();
    let answer_of_dead_node = ask(fixture.raw_node(2));
    std::thread::sleep(Duration::from_secs(2));
    fixture.kafka.start_node(2).unwrap();
    let sent = [java.finish(PATIENCE).unwrap(), librdkafka.finish(PATIENCE).unwrap()];

    assert_eq!(answer_of_dead_node, Vec::<u8>::new(), "no other node may answer in its place");
    assert_all_arrived(&fixture, &topic, &sent);
}

#[test]
fn clients_lose_nothing_when_a_broker_restarts_in_order() {
    let fixture = alone();
    let topic = fixture.topic(Family::Java, "restart", 6);
    let mut java = writer(&fixture, Family::Java, &topic, "0");
    let mut librdkafka = writer(&fixture, Family::Librdkafka, &topic, "100000");
    std::thread::sleep(Duration::from_secs(2));

    fixture.kafka.stop_node(1).unwrap();
    fixture.kafka.start_node(1).unwrap();
    let sent = [java.finish(PATIENCE).unwrap(), librdkafka.finish(PATIENCE).unwrap()];

    assert_all_arrived(&fixture, &topic, &sent);
}

#[test]
fn clients_follow_a_partition_that_moves_to_another_leader() {
    let fixture = alone();
    let topic = fixture.topic(Family::Java, "move", 1);
    let mut java = writer(&fixture, Family::Java, &topic, "0");
    let mut librdkafka = writer(&fixture, Family::Librdkafka, &topic, "100000");
    std::thread::sleep(Duration::from_secs(2));

    let moved = fixture.clients.run(Family::Java, "move-leader", &[("topic", &topic), ("partition", "0")]).unwrap();
    let sent = [java.finish(PATIENCE).unwrap(), librdkafka.finish(PATIENCE).unwrap()];

    assert_ne!(moved["from"], moved["to"]);
    assert_all_arrived(&fixture, &topic, &sent);
}

#[test]
fn clients_lose_nothing_when_the_gateway_restarts() {
    let fixture = shared();
    let topic = fixture.topic(Family::Java, "gateway-restart", 6);
    let virtual_cluster = VirtualCluster::new("restarted", &fixture.kafka.bootstrap_servers());
    let gateway = Gateway::start(&fixture.tools, &fixture.run, "restarted", &[virtual_cluster]).unwrap();
    let clients = Clients::new(&fixture.tools, &fixture.run, gateway.bootstrap(0)).unwrap();
    // They know the nodes' ports only, and the new gateway knows no node: it has to ask.
    let mut java = write_with(&clients, Family::Java, &topic, "0");
    let mut librdkafka = write_with(&clients, Family::Librdkafka, &topic, "100000");
    std::thread::sleep(Duration::from_secs(2));

    let gateway = gateway.restart(&fixture.tools).unwrap();
    let sent = [java.finish(PATIENCE).unwrap(), librdkafka.finish(PATIENCE).unwrap()];

    assert_all_arrived(&fixture, &topic, &sent);
    gateway.stop().unwrap();
}

/// Sends a request; gives what comes back before the connection ends, which is soon.
fn ask(address: (Ipv4Addr, u16)) -> Vec<u8> {
    let mut client = RawClient::connect(address).unwrap();
    client.send(&wire::frame(3, 1, &wire::api_versions()).unwrap()).unwrap();
    client.read_until_closed(Duration::from_secs(5)).unwrap()
}

/// Writes for about ten seconds, longer than what happens meanwhile.
fn writer(fixture: &Fixture, family: Family, topic: &str, first: &str) -> Running {
    write_with(&fixture.clients, family, topic, first)
}

fn write_with(clients: &Clients, family: Family, topic: &str, first: &str) -> Running {
    let arguments = [("topic", topic), ("count", "2000"), ("size", "100"), ("pause_ms", "5"), ("first", first)];
    clients.start(family, "produce", &arguments).unwrap()
}

fn assert_all_arrived(fixture: &Fixture, topic: &str, sent: &[Value; 2]) {
    let checksums = sent.iter().map(|sent| sent["checksum"].as_str().unwrap().parse::<u64>().unwrap());
    let expected = checksums.fold(0, u64::wrapping_add);
    let received = fixture.consume(Family::Java, topic, 4000, &[]);
    assert_eq!((received.count, received.checksum), (4000, expected.to_string()));
    fixture.assert_brokers_are_hidden();
}
