//! What clients are told about brokers, and where node ports lead.

use std::net::Ipv4Addr;
use std::time::Duration;

use bifrost_e2e::clients::Family;
use bifrost_e2e::gateway::{GATEWAY_IP, Gateway, VirtualCluster};
use bifrost_e2e::kafka::BROKER_IP;
use bifrost_e2e::wait;
use bifrost_e2e::wire::{self, RawClient};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use kafka_protocol::protocol::StrBytes;

use crate::fixture::{TAP_IP, shared};

#[test]
fn an_administrator_sees_the_gateway_in_place_of_every_broker() {
    let fixture = shared();

    let cluster = fixture.clients.run(Family::Java, "describe", &[]).unwrap();

    let hosts: Vec<&str> =
        cluster["nodes"].as_array().unwrap().iter().map(|node| node["host"].as_str().unwrap()).collect();
    assert_eq!(hosts, vec![TAP_IP.to_string(); 3]);
    assert_eq!(cluster["configs"].as_object().unwrap().len(), 3, "the configuration of each broker was read");
    assert!(!cluster.to_string().contains(&BROKER_IP.to_string()), "a broker's address is in {cluster:#}");
    fixture.assert_brokers_are_hidden();
}

#[test]
fn every_node_port_leads_to_its_node() {
    let fixture = shared();

    for id in 1..=3 {
        let answer = ask_for_node_id(fixture.raw_node(id), id);
        assert_eq!(node_id_in(&answer), Some(id.to_string()));
    }
}

#[test]
fn a_node_port_leads_to_its_node_even_when_nobody_has_asked_for_addresses() {
    let fixture = shared();
    let virtual_cluster = VirtualCluster::new("fresh", &fixture.kafka.bootstrap_servers());
    let gateway = Gateway::start(&fixture.tools, &fixture.run, "fresh", &[virtual_cluster]).unwrap();

    let answer = ask_for_node_id((GATEWAY_IP, gateway.port(0) + 1 + 2), 2);

    assert_eq!(node_id_in(&answer), Some("2".to_owned()));
    gateway.stop().unwrap();
}

#[test]
fn the_port_of_a_node_that_does_not_exist_leads_nowhere() {
    let fixture = shared();
    let mut client = RawClient::connect(fixture.raw_node(77)).unwrap();

    client.send(&wire::frame(4, 1, &node_id_of(77)).unwrap()).unwrap();

    let answer = client.read_until_closed(Duration::from_secs(15)).unwrap();
    assert_eq!(answer, Vec::<u8>::new());
}

/// The answer of whoever is behind `address`. A gateway that does not know the node yet may close the connection,
/// as an unreachable broker would; clients connect again.
fn ask_for_node_id(address: (Ipv4Addr, u16), id: u16) -> DescribeConfigsResponse {
    wait::until("an answer on the node's port", Duration::from_secs(10), || {
        Ok(RawClient::connect(address)?.call(4, 1, &node_id_of(id)).ok())
    })
    .unwrap()
}

/// Only the broker with this id answers it: brokers do not describe each other.
fn node_id_of(id: u16) -> DescribeConfigsRequest {
    const BROKER: i8 = 4;
    let resource = DescribeConfigsResource::default()
        .with_resource_type(BROKER)
        .with_resource_name(StrBytes::from_string(id.to_string()))
        .with_configuration_keys(Some(vec![StrBytes::from_static_str("node.id")]));
    DescribeConfigsRequest::default().with_resources(vec![resource])
}

fn node_id_in(answer: &DescribeConfigsResponse) -> Option<String> {
    answer.results.first()?.configs.first()?.value.as_ref().map(ToString::to_string)
}
