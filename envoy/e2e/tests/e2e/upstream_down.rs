//! A target cluster that is not there.

use std::time::{Duration, Instant};

use bifrost_e2e::gateway::{GATEWAY_IP, Gateway, VirtualCluster};
use bifrost_e2e::ports::PortBlock;
use bifrost_e2e::run_dir::RunDir;
use bifrost_e2e::wire::{self, RawClient};

use crate::fixture::tools;

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
