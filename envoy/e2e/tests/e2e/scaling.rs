//! Target clusters whose nodes come, go and restart while clients are at work.

use std::net::Ipv4Addr;
use std::time::Duration;

use bifrost_e2e::clients::{Clients, Family, Running};
use bifrost_e2e::gateway::{GATEWAY_IP, Gateway, VirtualCluster};
use bifrost_e2e::kafka::{Kafka, Version};
use bifrost_e2e::run_dir::RunDir;
use bifrost_e2e::wait;
use bifrost_e2e::wire::{self, RawClient};

use crate::fixture::{alone, beside_others, tools};

const PATIENCE: Duration = Duration::from_secs(150);

/// Writers of both families on one topic.
struct Writers<'a> {
    clients: &'a Clients,
    topic: &'static str,
    count: usize,
    running: [Running; 2],
}

impl Writers<'_> {
    /// Each writes for as many seconds and a little longer.
    fn start<'a>(clients: &'a Clients, topic: &'static str, replication: &str, seconds: usize) -> Writers<'a> {
        let topology = [("topic", topic), ("partitions", "8"), ("replication", replication)];
        clients.run(Family::Java, "create-topic", &topology).unwrap();
        let count = seconds * 200;
        let running = [(Family::Java, "0"), (Family::Librdkafka, "1000000")].map(|(family, first)| {
            let (count, first) = (count.to_string(), first.to_owned());
            let arguments = [
                ("topic", topic),
                ("count", &count),
                ("size", "100"),
                ("pause_ms", "5"),
                ("acks", "all"),
                ("first", &first),
            ];
            clients.start(family, "produce", &arguments).unwrap()
        });
        Writers { clients, topic, count, running }
    }

    fn assert_at_work(&mut self) {
        for running in &mut self.running {
            assert!(running.is_running().unwrap(), "a writer was done before everything had happened");
        }
    }

    /// Every record was acknowledged and is there once.
    fn assert_nothing_is_lost(mut self) {
        let sent = self.running.each_mut().map(|running| running.finish(PATIENCE).unwrap());
        let checksums = sent.iter().map(|sent| sent["checksum"].as_str().unwrap().parse::<u64>().unwrap());
        let expected = checksums.fold(0, u64::wrapping_add).to_string();
        let count = (2 * self.count).to_string();
        let arguments = [("topic", self.topic), ("group", "all"), ("count", &*count), ("timeout_ms", "60000")];
        let received = self.clients.tally(Family::Java, "consume", &arguments).unwrap();
        assert_eq!((received.count.to_string(), received.checksum), (count, expected));
    }
}

fn answers(address: (Ipv4Addr, u16)) -> bool {
    RawClient::connect(address).is_ok_and(|mut client| client.call(3, 1, &wire::api_versions()).is_ok())
}

/// What comes back before the connection ends.
fn until_closed(address: (Ipv4Addr, u16)) -> Vec<u8> {
    let mut client = RawClient::connect(address).unwrap();
    client.send(&wire::frame(3, 1, &wire::api_versions()).unwrap()).unwrap();
    client.read_until_closed(Duration::from_secs(15)).unwrap()
}

fn ended(gateway: &Gateway, name: &str) -> u64 {
    let stats = gateway.stats(&format!("listener.{name}.downstream_cx_destroy")).unwrap();
    stats.into_iter().find(|(stat, _)| stat.ends_with("downstream_cx_destroy")).unwrap().1
}

#[test]
fn a_node_that_joins_is_found_and_one_that_leaves_is_not_missed() {
    let _turn = beside_others();
    let tools = tools();
    let run = RunDir::create(&tools, "scaling").unwrap();
    let kafka = Kafka::start(&tools, &run, Version::V4_4, 4).unwrap();
    kafka.stop_node(4).unwrap();
    let servers = kafka.bootstrap_servers().split(',').take(3).collect::<Vec<_>>().join(",");
    let virtual_clusters = ["scaled", "untouched"].map(|name| VirtualCluster::new(name, &servers));
    let gateway = Gateway::start(&tools, &run, "gateway", &virtual_clusters).unwrap();
    let node = |id: u16| (GATEWAY_IP, gateway.port(0) + 1 + id);
    let clients = Clients::new(&tools, &run, gateway.bootstrap(0)).unwrap();
    let mut held: Vec<RawClient> = (0..5).map(|_| RawClient::connect((GATEWAY_IP, gateway.port(1))).unwrap()).collect();
    let mut assert_held_answer =
        || held.iter_mut().for_each(|held| drop(held.call(3, 1, &wire::api_versions()).unwrap()));
    assert_held_answer();
    let ended_before = ended(&gateway, "untouched");

    assert_eq!(until_closed(node(4)), b"");
    wait::until("the log says why", Duration::from_secs(5), || {
        Ok(gateway.log()?.contains("closed: the target cluster has no node 4").then_some(()))
    })
    .unwrap();
    let mut old = Writers::start(&clients, "before", "3", 60);
    kafka.start_node(4).unwrap();
    wait::until("node 4 answers", Duration::from_secs(20), || Ok(answers(node(4)).then_some(()))).unwrap();
    let mut new = Writers::start(&clients, "with-node-4", "4", 25);
    std::thread::sleep(Duration::from_secs(4));
    kafka.stop_node(4).unwrap();
    old.assert_at_work();
    new.assert_at_work();

    old.assert_nothing_is_lost();
    new.assert_nothing_is_lost();
    assert_eq!(until_closed(node(4)), b"");
    assert!((1..=3).all(|id| answers(node(id))));
    assert_held_answer();
    assert_eq!(ended(&gateway, "untouched"), ended_before, "connections of the untouched virtual cluster have ended");
}

#[test]
fn every_node_restarts_and_nothing_is_lost() {
    let fixture = alone();
    let other_run = RunDir::create(&fixture.tools, "other-target").unwrap();
    let other = Kafka::start(&fixture.tools, &other_run, Version::V4_4, 1).unwrap();
    let virtual_clusters = [
        VirtualCluster::new("restarting", &fixture.kafka.bootstrap_servers())
            .more("  virtualization: { topicPrefix: r., groupPrefix: r., transactionIdPrefix: r. }\n"),
        VirtualCluster::new("untouched", &other.bootstrap_servers()),
    ];
    let gateway = Gateway::start(&fixture.tools, &fixture.run, "restarting", &virtual_clusters).unwrap();
    let clients = Clients::new(&fixture.tools, &fixture.run, gateway.bootstrap(0)).unwrap();
    // The bootstrap address and node 1.
    let mut held = [0, 2].map(|offset| RawClient::connect((GATEWAY_IP, gateway.port(1) + offset)).unwrap());
    let mut assert_held_answer =
        || held.iter_mut().for_each(|held| drop(held.call(3, 1, &wire::api_versions()).unwrap()));
    assert_held_answer();
    let ended_before = ended(&gateway, "untouched");

    let mut writers = Writers::start(&clients, "restarts", "3", 75);
    std::thread::sleep(Duration::from_secs(3));
    for id in 1..=3 {
        fixture.kafka.stop_node(id).unwrap();
        fixture.kafka.start_node(id).unwrap();
        assert_held_answer();
    }
    writers.assert_at_work();

    writers.assert_nothing_is_lost();
    assert_held_answer();
    assert_eq!(ended(&gateway, "untouched"), ended_before, "connections of the untouched virtual cluster have ended");
    gateway.stop().unwrap();
}
