//! A port for each node, with certificates on both sides, and brokers that cannot be trusted.

use std::time::Duration;

use bifrost_e2e::clients::Family;
use bifrost_e2e::gateway::GATEWAY_IP;
use bifrost_e2e::wire::{self, RawClient};

use super::{MUTUAL, UNTRUSTING, setting};
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
    let clients = setting.clients(&setting.gateway.bootstrap(MUTUAL));
    let before = setting.counted("ssl.fail_verify_no_cert");
    let mut config = setting.config(Family::Java, false);
    config.push(("config.default.api.timeout.ms".to_owned(), "5000".to_owned()));
    config.push(("config.request.timeout.ms".to_owned(), "4000".to_owned()));
    let mut arguments: Vec<(&str, &str)> = config.iter().map(|(name, value)| (&**name, &**value)).collect();
    arguments.extend([("topic", "refused"), ("partitions", "1")]);
    let refused = clients.run(Family::Java, "create-topic", &arguments).unwrap_err().to_string();
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
}
