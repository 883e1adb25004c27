//! Who the client is, and which Kafka cluster the upstream is.

use bifrost_chain::{
    ClientCertificate, ClientPrincipal, ClusterIdentityConfig, Config, Node, Route, Step, VirtualCluster,
};
use bifrost_core::fault::Fault;
use bifrost_core::host::Counter;
use bifrost_core::session::OWN_CORRELATION_ID;
use bifrost_testkit::driver::Driver;
use bifrost_testkit::frames;
use bifrost_testkit::host::FakeHost;
use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
use kafka_protocol::messages::{BrokerId, HeartbeatRequest, MetadataRequest, MetadataResponse};
use kafka_protocol::protocol::StrBytes;

use crate::connect;

const NODE_3: u16 = 19_097;

fn cluster_with_id(cluster_id: &str) -> VirtualCluster {
    let cluster_identity = Some(ClusterIdentityConfig { cluster_id: cluster_id.into() });
    VirtualCluster::new(Config { cluster_identity, ..crate::config() })
}

/// What a broker of the cluster `real` says of itself when it is asked by the gateway.
fn told() -> Vec<u8> {
    let text = |text: &'static str| StrBytes::from_static_str(text);
    let broker = MetadataResponseBroker::default().with_node_id(BrokerId(3)).with_host(text("real-3")).with_port(9092);
    let body = MetadataResponse::default().with_brokers(vec![broker]).with_cluster_id(Some(text("real")));
    frames::response::<MetadataRequest>(2, OWN_CORRELATION_ID, &body)
}

#[test]
fn nodes_of_a_wrong_cluster_are_not_learned() {
    for (wanted, is_right) in [("real", true), ("other", false)] {
        let cluster = cluster_with_id(wanted);
        let mut driver = Driver::new(cluster.ask());
        driver.driven.route(&mut driver.host).unwrap();
        driver.poll().unwrap();

        let answered = driver.broker(&told());

        let fault = Fault::WrongCluster { wanted: wanted.into(), got: Some("real".into()) };
        assert_eq!(answered, if is_right { Ok(()) } else { Err(fault) });
        assert_eq!(driver.host.counted(Counter::NodesLearned), u64::from(is_right));
        assert_eq!(driver.told.as_slice(), if is_right { &[Step::Asked][..] } else { &[] });
    }
}

#[test]
fn a_node_that_is_known_is_asked_again_on_every_connection() {
    let cluster = cluster_with_id("real");
    let mut asking = Driver::new(cluster.ask());
    asking.driven.route(&mut asking.host).unwrap();
    asking.poll().unwrap();
    asking.broker(&told()).unwrap();
    let heartbeat = frames::request(0, 1, &HeartbeatRequest::default());
    for _ in 0..2 {
        let mut driver = connect(&cluster, NODE_3);
        driver.host = asking.host.clone();
        assert!(matches!(driver.driven.route(&mut driver.host), Ok(Route::Node { .. })));

        driver.client(&heartbeat).unwrap();
        assert_eq!(frames::split(&driver.to_broker).len(), 1, "the question, and the client waits");
        driver.broker(&told()).unwrap();

        assert_eq!(frames::split(&driver.to_broker)[1..], [&heartbeat[..]]);
        assert!(driver.told.is_empty() && driver.to_client.is_empty());
    }
}

#[test]
fn the_address_of_a_node_where_another_cluster_answers_is_forgotten() {
    let cluster = cluster_with_id("real");
    let mut asking = Driver::new(cluster.ask());
    asking.driven.route(&mut asking.host).unwrap();
    asking.poll().unwrap();
    asking.broker(&told()).unwrap();
    let mut driver = connect(&cluster, NODE_3);
    driver.host = asking.host;
    driver.driven.route(&mut driver.host).unwrap();
    driver.client(&frames::request(0, 1, &HeartbeatRequest::default())).unwrap();

    let other = MetadataResponse::default().with_cluster_id(Some(StrBytes::from_static_str("other")));
    driver.broker(&frames::response::<MetadataRequest>(2, OWN_CORRELATION_ID, &other)).unwrap_err();

    let mut next = connect(&cluster, NODE_3);
    next.host = driver.host;
    assert_eq!(next.driven.route(&mut next.host), Ok(Route::Unknown(Node::Id(3))), "asked for again");
}

fn cluster_with_rules(rules: &str) -> VirtualCluster {
    let mapping_rules = rules.to_owned().try_into().unwrap();
    let client_principal = Some(ClientPrincipal { mapping_rules, ..ClientPrincipal::default() });
    VirtualCluster::new(Config { client_principal, ..crate::config() })
}

#[test]
fn a_client_is_who_its_certificate_says_or_anonymous() {
    let cluster = cluster_with_rules("RULE:CN=([a-z]*),.*/$1/U");
    for (certificate, name) in
        [(ClientCertificate::Named(Some("CN=alice,O=x")), "ALICE"), (ClientCertificate::None, "$anonymous")]
    {
        let mut connection = connect(&cluster, 19_093).driven;
        connection.identify(certificate).unwrap();
        assert_eq!(connection.principal().unwrap().name(), name);
    }
}

#[test]
fn a_client_without_a_principal_gets_nowhere() {
    let mut connection = connect(&cluster_with_rules("RULE:CN=([a-z]*),.*/$1/"), 19_093).driven;
    let refused = connection.identify(ClientCertificate::Named(Some("O=x")));
    assert_eq!(refused, Err(Fault::Unidentified { name: Some("O=x".into()) }));
}

#[test]
fn where_clients_are_not_asked_they_have_no_principal() {
    let mut connection = connect(&crate::cluster(), 19_093).driven;
    connection.identify(ClientCertificate::Named(Some("CN=alice"))).unwrap();
    assert_eq!(connection.principal(), None);
    connection.route(&mut FakeHost::default()).unwrap();
}

#[test]
fn a_bad_rule_is_a_bad_configuration() {
    let mut config = serde_json::to_value(crate::config()).unwrap();
    config["clientPrincipal"] = serde_json::json!({ "mappingRules": "RULE:(/x/" });
    let refused = VirtualCluster::from_json(config.to_string().as_bytes()).err().unwrap();
    assert!(refused.to_string().contains("rule 1: its pattern '(' is not good"), "{refused}");
}
