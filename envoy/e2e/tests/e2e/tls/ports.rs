//! A port for each node, with certificates on both sides, and brokers that cannot be trusted.

use std::time::Duration;

use bifrost_e2e::gateway::GATEWAY_IP;
use bifrost_e2e::wait;
use bifrost_e2e::wire::{self, RawClient};
use kafka_protocol::messages::MetadataRequest;

use super::{MISNAMED, MUTUAL, UNCHECKED, UNTRUSTING, setting};
use crate::fixture::beside_others;

#[test]
fn clients_with_a_certificate_reach_every_node_by_its_port() {
    let _turn = beside_others();
    let setting = setting();
    setting.every_client_reads_what_it_wrote(&setting.gateway.bootstrap(MUTUAL), true);
}

#[test]
fn a_client_without_a_certificate_is_refused_where_one_is_required() {
    let _turn = beside_others();
    let setting = setting();
    let before = setting.counted("ssl.fail_verify_no_cert");
    let refused = setting.refusal(&setting.gateway.bootstrap(MUTUAL), false);
    assert!(refused.contains("SslAuthenticationException") || refused.contains("SSL handshake failed"), "{refused}");
    assert!(setting.counted("ssl.fail_verify_no_cert") > before);
}

#[test]
fn a_broker_of_another_ca_gets_nothing() {
    let _turn = beside_others();
    let setting = setting();
    let mut client = RawClient::connect((GATEWAY_IP, setting.gateway.port(UNTRUSTING))).unwrap();
    client.send(&wire::frame(3, 1, &wire::api_versions()).unwrap()).unwrap();
    assert_eq!(client.read_until_closed(Duration::from_secs(20)).unwrap(), Vec::<u8>::new());
    assert!(setting.counted("cluster.untrusting/bootstrap.ssl.fail_verify_error") > 0);
    assert_eq!(setting.counted("cluster.untrusting/bootstrap.ssl.handshake"), 0);
    let log = setting.gateway.log().unwrap();
    let told = log.lines().find(|line| line.contains("untrusting: ") && line.contains("CERTIFICATE_VERIFY_FAILED"));
    assert!(
        told.is_some_and(|line| line.contains("bootstrap server 127.0.0.2:")),
        "the log names host and reason: {log}"
    );
}

#[test]
fn a_broker_with_a_certificate_for_another_name_gets_nothing() {
    let _turn = beside_others();
    let setting = setting();
    let port = setting.gateway.port(MISNAMED);
    // The bootstrap servers are known by the address that the certificate is for; this tells the gateway the nodes.
    metadata(port);

    let mut client = RawClient::connect((GATEWAY_IP, port + 1 + 1)).unwrap();
    client.send(&wire::frame(3, 1, &wire::api_versions()).unwrap()).unwrap();

    assert_eq!(client.read_until_closed(Duration::from_secs(20)).unwrap(), Vec::<u8>::new());
    assert!(setting.counted("cluster.misnamed/nodes.ssl.fail_verify_san") > 0);
    assert_eq!(setting.counted("cluster.misnamed/nodes.ssl.handshake"), 0);
    let log = setting.gateway.log().unwrap();
    let told = log.lines().any(|line| line.contains("misnamed: ") && line.contains("node 1, broker-1.elsewhere.test:"));
    assert!(told, "the log names node and host: {log}");
}

#[test]
fn certificates_are_unchecked_only_where_the_operator_says_so_and_is_warned() {
    let _turn = beside_others();
    let setting = setting();
    let port = setting.gateway.port(UNCHECKED);
    metadata(port);
    wait::until("the node answers", Duration::from_secs(10), || {
        Ok(RawClient::connect((GATEWAY_IP, port + 1 + 1))?.call(3, 1, &wire::api_versions()).ok())
    })
    .unwrap();
    let log = setting.gateway.log().unwrap();
    let warned = log.lines().filter(|line| line.contains("WARN") && line.contains("certificates are NOT checked"));
    assert_eq!(warned.count(), 1, "{log}");
}

/// Asks for nodes, which lets the gateway learn them, too.
fn metadata(port: u16) {
    let answer = RawClient::connect((GATEWAY_IP, port)).unwrap().call(12, 1, &MetadataRequest::default()).unwrap();
    assert_eq!(answer.brokers.len(), 2);
}
