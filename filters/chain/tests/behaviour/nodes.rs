//! Connections to a node's port.

use bifrost_chain::{Arrival, Config, Node, Override, Route, ServerNames, Step, VirtualCluster};
use bifrost_core::session::Flow;
use bifrost_testkit::addresses::config;
use bifrost_testkit::driver::Driver;
use bifrost_testkit::frames;
use bifrost_testkit::host::FakeHost;
use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
use kafka_protocol::messages::{ApiVersionsRequest, BrokerId, MetadataRequest, MetadataResponse};
use kafka_protocol::protocol::StrBytes;

use crate::{cluster, connect};

const NODE_3: u16 = 19_097;

/// What the bootstrap server says when the gateway asks.
fn told(correlation_id: i32, id: i32) -> Vec<u8> {
    told_at(correlation_id, id, "real-3.internal")
}

fn told_at(correlation_id: i32, id: i32, host: &str) -> Vec<u8> {
    let host = StrBytes::from_string(host.to_owned());
    let broker = MetadataResponseBroker::default().with_node_id(BrokerId(id)).with_host(host).with_port(9092);
    frames::response::<MetadataRequest>(2, correlation_id, &MetadataResponse::default().with_brokers(vec![broker]))
}

fn client_bytes() -> Vec<u8> {
    frames::request(3, 0, &ApiVersionsRequest::default())
}

/// The correlation id of the one question that reached the bootstrap server.
fn asked(to_broker: &[u8]) -> i32 {
    let sent = frames::split(to_broker);
    assert_eq!(sent.len(), 1, "the gateway's question and nothing of the client");
    assert_eq!(sent[0][4..8], [0, 3, 0, 2], "Metadata version 2");
    i32::from_be_bytes(sent[0][8..12].try_into().unwrap())
}

/// The shared data when the gateway has asked and was told that node 3 is at `host`.
fn where_node_3_is(cluster: &VirtualCluster, host: &str) -> FakeHost {
    let mut asking = Driver::new(cluster.ask());
    assert_eq!(asking.driven.route(&mut asking.host), Ok(Route::Cluster("bootstrap".into())));
    asking.poll().unwrap();
    let question = asked(&asking.to_broker);
    asking.broker(&told_at(question, 3, host)).unwrap();
    asking.host
}

fn where_node_3_is_known(cluster: &VirtualCluster) -> FakeHost {
    where_node_3_is(cluster, "real-3.internal")
}

#[test]
fn a_bootstrap_connection_is_led_to_any_bootstrap_server() {
    let cluster = cluster();
    let Driver { mut driven, mut host, .. } = connect(&cluster, 19_093);
    assert_eq!(driven.route(&mut host), Ok(Route::Cluster("bootstrap".into())));
    assert_eq!(driven.node(), None);
}

#[test]
fn a_port_that_belongs_to_nothing_takes_no_connection() {
    assert!(cluster().connect(&Arrival { port: 19_104, ..Arrival::default() }).is_none());
}

#[test]
fn hosts_lead_where_they_say_and_nowhere_else() {
    let cluster = VirtualCluster::new(Config { broker_address: config("b-$(nodeId).corp.net"), ..crate::config() });
    let arrival = |name: &str| Arrival { port: 19_093, server_name: name.to_owned() };
    let bootstrap = Route::Cluster("bootstrap".into());
    for (name, route) in [
        ("bootstrap.corp.net", bootstrap),
        ("b-3.corp.net", Route::Unknown(Node::Id(3))),
        ("B-1001.Corp.net", Route::Unknown(Node::Id(1001))),
    ] {
        let mut driver = Driver::new(cluster.connect(&arrival(name)).unwrap());
        assert_eq!(driver.driven.route(&mut driver.host), Ok(route), "{name}");
    }
    for name in ["", "corp.net", "b-x.corp.net", "b-3.corp.net.evil.test"] {
        assert!(cluster.connect(&arrival(name)).is_none(), "{name}");
    }
}

#[test]
fn a_node_that_nobody_knows_is_asked_for_and_the_answer_is_the_gateways() {
    for sizes in [&[][..], &[1], &[30]] {
        for id in [3, 4] {
            let cluster = cluster();
            let mut client = connect(&cluster, NODE_3);
            assert_eq!(client.driven.route(&mut client.host), Ok(Route::Unknown(Node::Id(3))));

            let mut asking = Driver::new(cluster.ask());
            asking.driven.route(&mut asking.host).unwrap();
            asking.poll().unwrap();
            let question = asked(&asking.to_broker);
            assert_eq!(asking.client(b"GET / HTTP/1.1").unwrap(), Flow::Stop, "nothing else goes to the broker");
            asking.broker_in(sizes, &told(question, id)).unwrap();

            asked(&asking.to_broker);
            assert!(asking.to_client.is_empty());
            assert_eq!(asking.told, [Step::Asked]);
            client.host = asking.host;
            let known = matches!(client.driven.route(&mut client.host), Ok(Route::Node { .. }));
            assert_eq!(known, id == 3);
        }
    }
}

#[test]
fn a_node_that_was_learned_is_connected_to_and_forgotten_when_nobody_answers() {
    let cluster = cluster();
    let mut driver = connect(&cluster, NODE_3);
    driver.host = where_node_3_is_known(&cluster);
    let Ok(Route::Node { cluster: name, address, server_name: None, subject_alt_name: None }) =
        driver.driven.route(&mut driver.host)
    else {
        panic!("the node is known")
    };
    assert_eq!((name.as_str(), address.host.as_str(), address.port), ("nodes", "real-3.internal", 9092));
    driver.client(&client_bytes()).unwrap();
    assert_eq!(driver.to_broker, client_bytes());

    driver.driven.handle_upstream_lost(&mut driver.host);
    let mut next = connect(&cluster, NODE_3);
    next.host = driver.host.clone();
    assert_eq!(next.driven.route(&mut next.host), Ok(Route::Unknown(Node::Id(3))), "asked for again");
}

#[test]
fn a_node_behind_tls_is_called_by_its_name_and_has_to_prove_it() {
    for (server_names, host, sent, verified) in [
        (ServerNames::None, "b-3.internal", None, None),
        (ServerNames::Sent, "b-3.internal", Some("b-3.internal"), None),
        (ServerNames::Verified, "b-3.internal", Some("b-3.internal"), Some("b-3.internal")),
        (ServerNames::Verified, "10.0.0.3", None, Some("10.0.0.3")),
        (ServerNames::Verified, "0:0:0:0:0:0:0:3", None, Some("::3")),
        (ServerNames::Sent, "10.0.0.3", None, None),
    ] {
        let mut config = crate::config();
        config.upstream.server_names = server_names;
        let cluster = VirtualCluster::new(config);
        let mut driver = connect(&cluster, NODE_3);
        driver.host = where_node_3_is(&cluster, host);

        let route = driver.driven.route(&mut driver.host).unwrap();

        let Route::Node { address, server_name, subject_alt_name, .. } = route else { panic!("the node is known") };
        assert_eq!(address.host, host);
        assert_eq!((server_name.as_deref(), subject_alt_name.as_deref()), (sent, verified), "{server_names:?} {host}");
    }
}

#[test]
fn a_node_that_is_resolved_elsewhere_keeps_its_name() {
    let mut config = crate::config();
    config.upstream.server_names = ServerNames::Verified;
    config.upstream.resolve = vec![Override { host: "*.internal".into(), address: "fd00::3".parse().unwrap() }];
    let cluster = VirtualCluster::new(config);
    let mut driver = connect(&cluster, NODE_3);
    driver.host = where_node_3_is_known(&cluster);

    let route = driver.driven.route(&mut driver.host).unwrap();

    let Route::Node { address, server_name, subject_alt_name, .. } = route else { panic!("the node is known") };
    assert_eq!((address.host.as_str(), address.port), ("fd00::3", 9092));
    assert_eq!(server_name.as_deref(), Some("real-3.internal"));
    assert_eq!(subject_alt_name.as_deref(), Some("real-3.internal"));
    // What is forgotten is what was learned.
    driver.driven.handle_upstream_lost(&mut driver.host);
    let mut next = connect(&cluster, NODE_3);
    next.host = driver.host.clone();
    assert_eq!(next.driven.route(&mut next.host), Ok(Route::Unknown(Node::Id(3))));
}

#[test]
fn a_node_that_has_answered_is_kept_when_the_connection_ends() {
    let cluster = cluster();
    let mut driver = connect(&cluster, NODE_3);
    driver.host = where_node_3_is_known(&cluster);
    driver.driven.route(&mut driver.host).unwrap();
    driver.client(&client_bytes()).unwrap();
    driver.broker(&frames::response::<ApiVersionsRequest>(3, 0, &Default::default())).unwrap();
    driver.driven.handle_upstream_lost(&mut driver.host);

    let mut next = connect(&cluster, NODE_3);
    next.host = driver.host.clone();
    assert!(matches!(next.driven.route(&mut next.host), Ok(Route::Node { .. })));
}

#[test]
fn a_name_that_comes_from_a_broker_leads_to_it_once_it_is_known() {
    let cluster = VirtualCluster::new(Config { broker_address: config("b-$1.corp.net"), ..crate::config() });
    let arrival = |name: &str| Arrival { port: 19_093, server_name: name.to_owned() };
    let node = Route::Unknown(Node::Host("b-3.corp.net".into()));
    let mut first = Driver::new(cluster.connect(&arrival("B-3.corp.net")).unwrap());
    assert_eq!(first.driven.route(&mut first.host), Ok(node.clone()));
    let mut asking = Driver::new(cluster.ask());
    asking.driven.route(&mut asking.host).unwrap();
    asking.poll().unwrap();
    let question = asked(&asking.to_broker);
    asking.broker(&told(question, 77)).unwrap();
    assert_eq!(asking.told, [Step::Asked]);

    first.host = asking.host.clone();
    assert!(matches!(first.driven.route(&mut first.host), Ok(Route::Node { .. })));
    assert_eq!(first.driven.unanswered_node().map(|(id, _)| id), Some(77));
    // Nobody has answered: it is asked for again.
    first.driven.handle_upstream_lost(&mut first.host);
    let mut again = Driver::new(cluster.connect(&arrival("b-3.corp.net")).unwrap());
    again.host = first.host;
    assert_eq!(again.driven.route(&mut again.host), Ok(node));

    let mut stranger = Driver::new(cluster.connect(&arrival("b-4.corp.net")).unwrap());
    stranger.host = asking.host;
    let unknown = Route::Unknown(Node::Host("b-4.corp.net".into()));
    assert_eq!(stranger.driven.route(&mut stranger.host), Ok(unknown), "and stays so when all are known");
}
