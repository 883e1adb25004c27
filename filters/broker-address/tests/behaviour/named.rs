//! The answers that clients follow, built by `kafka-protocol`.

use kafka_protocol::messages::describe_cluster_response::{DescribeClusterBroker, DescribeClusterResponse};
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
use kafka_protocol::messages::{
    BrokerId, DescribeClusterRequest, FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest,
    MetadataResponse,
};
use kafka_protocol::protocol::{Request, StrBytes};

use bifrost_broker_address::Node;
use bifrost_core::host::Counter;
use bifrost_testkit::addresses::config;
use bifrost_testkit::frames;

use crate::{gateway, known, request};

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

/// What a client sees of `response`.
fn seen<R: Request>(version: i16, response: &R::Response) -> R::Response {
    let (mut driver, _) = gateway("gw.corp.net");
    driver.client(&request(known(bifrost_core::protocol::ApiKey(R::KEY)), version)).unwrap();
    driver.broker(&frames::response::<R>(version, 1, response)).unwrap();
    frames::read_response::<R>(version, &driver.to_client).1
}

#[test]
fn metadata_shows_nodes_at_the_gateway_and_leaves_out_those_without_a_port() {
    let broker =
        |id, host, port| MetadataResponseBroker::default().with_node_id(BrokerId(id)).with_host(host).with_port(port);
    let brokers =
        vec![broker(0, text("real-0"), 9092), broker(77, text("real-77"), 9092), broker(9, text("real-9"), 9092)];
    let response = MetadataResponse::default().with_brokers(brokers).with_controller_id(BrokerId(9));
    for version in 0..=13 {
        let expected = vec![broker(0, text("gw.corp.net"), 19_094), broker(9, text("gw.corp.net"), 19_103)];
        assert_eq!(seen::<MetadataRequest>(version, &response).brokers, expected, "v{version}");
    }
}

#[test]
fn metadata_shows_every_node_under_its_own_name() {
    let broker =
        |id, host, port| MetadataResponseBroker::default().with_node_id(BrokerId(id)).with_host(host).with_port(port);
    let response = MetadataResponse::default()
        .with_brokers(vec![broker(0, text("real-0"), 9092), broker(1001, text("real-1001"), 9092)]);
    for version in 0..=13 {
        let (mut driver, _) = gateway("b-$(nodeId).corp.net");
        driver.client(&request(known(bifrost_core::protocol::ApiKey::METADATA), version)).unwrap();
        driver.broker(&frames::response::<MetadataRequest>(version, 1, &response)).unwrap();
        let seen = frames::read_response::<MetadataRequest>(version, &driver.to_client).1;
        let expected = vec![broker(0, text("b-0.corp.net"), 19_093), broker(1001, text("b-1001.corp.net"), 19_093)];
        assert_eq!(seen.brokers, expected, "v{version}");
    }
}

#[test]
fn nodes_are_shown_under_names_made_of_those_of_their_brokers() {
    let broker =
        |id, host, port| MetadataResponseBroker::default().with_node_id(BrokerId(id)).with_host(host).with_port(port);
    let response = MetadataResponse::default().with_brokers(vec![
        broker(10, text("real-1.internal"), 9092),
        broker(20, text("REAL-2.internal."), 9093),
        broker(30, text("real-10.internal"), 9092),
        broker(40, text("real-2.internal"), 9094),
        broker(10, text("real-1.internal"), 9092),
    ]);
    for version in 0..=13 {
        let (mut driver, nodes) = gateway("b-$1.corp.net");
        driver.client(&request(known(bifrost_core::protocol::ApiKey::METADATA), version)).unwrap();
        driver.broker(&frames::response::<MetadataRequest>(version, 1, &response)).unwrap();
        let seen = frames::read_response::<MetadataRequest>(version, &driver.to_client).1;
        let first = broker(10, text("b-1.corp.net"), 19_093);
        let expected = vec![first.clone(), broker(20, text("b-2.corp.net"), 19_093), first];
        assert_eq!(seen.brokers, expected, "v{version}: one has no name, one that of another");
        assert_eq!(driver.host.counted(Counter::NodesUnmapped), 2);
        let mut find =
            |node| nodes.borrow_mut().find(&node, &config("b-$1.corp.net"), &mut driver.host).map(|(id, _)| id);
        assert_eq!(find(Node::Host("b-2.corp.net".into())), Some(20));
        assert_eq!(find(Node::Id(40)), None);
    }
}

#[test]
fn a_coordinator_that_has_the_name_of_another_node_is_not_available() {
    let broker = MetadataResponseBroker::default().with_node_id(BrokerId(1)).with_host(text("real-1.internal"));
    let metadata = MetadataResponse::default().with_brokers(vec![broker.with_port(9092)]);
    for (id, port, seen) in [(1, 9092, 0), (2, 9092, 0), (2, 9093, 15)] {
        let (mut driver, _) = gateway("b-$1.corp.net");
        driver.client(&request(known(bifrost_core::protocol::ApiKey::METADATA), 12)).unwrap();
        driver.broker(&frames::response::<MetadataRequest>(12, 1, &metadata)).unwrap();
        driver.to_client.clear();
        driver.client(&request(known(bifrost_core::protocol::ApiKey::FIND_COORDINATOR), 3)).unwrap();
        let coordinator = FindCoordinatorResponse::default().with_node_id(BrokerId(id)).with_port(port);
        let coordinator = coordinator.with_host(text("real-1.internal"));
        driver.broker(&frames::response::<FindCoordinatorRequest>(3, 1, &coordinator)).unwrap();
        let answer = frames::read_response::<FindCoordinatorRequest>(3, &driver.to_client).1;
        assert_eq!(answer.error_code, seen, "node {id} on port {port}");
    }
}

#[test]
fn a_coordinator_without_a_port_is_not_available() {
    for version in 0..=3 {
        let response =
            FindCoordinatorResponse::default().with_node_id(BrokerId(77)).with_host(text("real-77")).with_port(9092);
        let seen = seen::<FindCoordinatorRequest>(version, &response);
        assert_eq!((seen.error_code, seen.host.as_str(), seen.port), (15, "", -1), "v{version}");
    }
    for version in 4..=6 {
        let coordinator = |id, host| {
            Coordinator::default().with_key(text("g")).with_node_id(BrokerId(id)).with_host(host).with_port(9092)
        };
        let coordinators = vec![coordinator(77, text("real-77")), coordinator(2, text("real-2"))];
        let seen = seen::<FindCoordinatorRequest>(
            version,
            &FindCoordinatorResponse::default().with_coordinators(coordinators),
        );
        let seen: Vec<_> = seen.coordinators.iter().map(|c| (c.error_code, c.host.as_str(), c.port)).collect();
        assert_eq!(seen, [(15, "", -1), (0, "gw.corp.net", 19_096)], "v{version}");
    }
}

#[test]
fn a_coordinator_that_kafka_does_not_know_stays_unknown() {
    for version in 0..=3 {
        let response = FindCoordinatorResponse::default().with_error_code(15).with_node_id(BrokerId(-1)).with_port(-1);
        assert_eq!(seen::<FindCoordinatorRequest>(version, &response), response, "v{version}");
    }
}

#[test]
fn controllers_are_shown_at_the_gateway_but_not_taken_for_brokers() {
    let node = DescribeClusterBroker::default().with_broker_id(BrokerId(1)).with_host(text("real-1")).with_port(9093);
    let response = DescribeClusterResponse::default().with_endpoint_type(2).with_brokers(vec![node]);
    let (mut driver, nodes) = gateway("gw.corp.net");
    driver.client(&request(known(bifrost_core::protocol::ApiKey::DESCRIBE_CLUSTER), 1)).unwrap();

    driver.broker(&frames::response::<DescribeClusterRequest>(1, 1, &response)).unwrap();

    let (_, seen) = frames::read_response::<DescribeClusterRequest>(1, &driver.to_client);
    assert_eq!((seen.brokers[0].host.as_str(), seen.brokers[0].port), ("gw.corp.net", 19_095));
    assert_eq!(nodes.borrow_mut().find(&Node::Id(1), &config("gw.corp.net"), &mut driver.host), None);
}
