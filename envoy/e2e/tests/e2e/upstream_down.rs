//! A target cluster that is not there.

use std::time::{Duration, Instant};

use bifrost_e2e::gateway::{GATEWAY_IP, Gateway, VirtualCluster};
use bifrost_e2e::kafka::{Kafka, Version};
use bifrost_e2e::ports::PortBlock;
use bifrost_e2e::run_dir::RunDir;
use bifrost_e2e::wire::{self, RawClient};

use crate::fixture::{beside_others, tools};

#[test]
fn clients_are_closed_at_once_when_no_broker_listens() {
    let tools = tools();
    let run = RunDir::create(&tools, "upstream-down").unwrap();
    let nobody = PortBlock::claim().unwrap();
    let virtual_cluster = VirtualCluster::new("down", &format!("127.0.0.2:{}", nobody.port(0)));
    let gateway = Gateway::start(&tools, &run, "gateway", &[virtual_cluster]).unwrap();
    let mut client = RawClient::connect((GATEWAY_IP, gateway.port(0))).unwrap();
    let asked = Instant::now();

    client.send(&wire::frame(3, 1, &wire::api_versions()).unwrap()).unwrap();

    let answer = client.read_until_closed(Duration::from_secs(10)).unwrap();
    assert_eq!(answer, Vec::<u8>::new());
    assert!(asked.elapsed() < Duration::from_secs(2), "it took {:?}", asked.elapsed());
    gateway.stop().unwrap();
}

#[test]
fn a_client_of_a_node_that_nobody_knows_waits_only_so_long() {
    let tools = tools();
    let run = RunDir::create(&tools, "node-wait").unwrap();
    let nobody = PortBlock::claim().unwrap();
    let virtual_cluster =
        VirtualCluster::new("down", &format!("127.0.0.2:{}", nobody.port(0))).more("  limits: { nodeWaitMs: 2000 }\n");
    let gateway = Gateway::start(&tools, &run, "gateway", &[virtual_cluster]).unwrap();
    let mut client = RawClient::connect((GATEWAY_IP, gateway.port(0) + 2)).unwrap();
    let asked = Instant::now();

    client.send(&wire::frame(3, 1, &wire::api_versions()).unwrap()).unwrap();

    assert_eq!(client.read_until_closed(Duration::from_secs(10)).unwrap(), Vec::<u8>::new());
    let waited = asked.elapsed().as_secs_f64();
    assert!((1.9..6.0).contains(&waited), "{waited} s");
    assert_eq!(gateway.stats("bifrost.down.closed.node_wait").unwrap()[0].1, 1);
    gateway.stop().unwrap();
}

#[test]
fn a_client_that_waits_for_its_node_is_led_there_when_it_is_known() {
    let _turn = beside_others();
    let tools = tools();
    let run = RunDir::create(&tools, "node-wait-led").unwrap();
    let kafka = Kafka::start(&tools, &run, Version::V4_4, 1).unwrap();
    kafka.stop_node(1).unwrap();
    let virtual_cluster =
        VirtualCluster::new("late", &kafka.bootstrap_servers()).more("  limits: { nodeWaitMs: 60000 }\n");
    let gateway = Gateway::start(&tools, &run, "gateway", &[virtual_cluster]).unwrap();
    let mut client = RawClient::connect((GATEWAY_IP, gateway.port(0) + 2)).unwrap();
    client.send(&wire::frame(3, 7, &wire::api_versions()).unwrap()).unwrap();

    kafka.start_node(1).unwrap();

    // The answer to what was sent before there was anybody to answer it.
    assert_eq!(client.receive().unwrap()[..4], 7i32.to_be_bytes());
    gateway.stop().unwrap();
}
