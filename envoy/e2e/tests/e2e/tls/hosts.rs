//! Host names on one port.

use super::client::TlsClient;
use super::setting;
use crate::fixture::beside_others;

#[test]
fn clients_reach_virtual_clusters_by_host_names_on_one_port() {
    let _turn = beside_others();
    let setting = setting();
    for (domain, shows_certificate) in [("orders.test", false), ("payments.test", false), ("payments.test", true)] {
        let bootstrap = format!("bootstrap.{domain}:{}", setting.port());
        setting.every_client_reads_what_it_wrote(&bootstrap, shows_certificate);
    }
    assert_eq!(setting.counted("closed.address"), 0);
}

#[test]
fn every_host_name_of_a_node_is_answered() {
    let _turn = beside_others();
    let setting = setting();
    for id in setting.kafka.ids() {
        for domain in ["orders.test", "payments.test"] {
            let name = format!("Broker-{id}.{domain}");
            bifrost_e2e::wait::until("the node answers", std::time::Duration::from_secs(10), || {
                let answered = TlsClient::connect(setting.port(), &name, &setting.authority)?.ask();
                Ok(answered.ok())
            })
            .unwrap();
        }
    }
}

#[test]
fn a_host_name_of_nobody_is_refused_and_counted() {
    let _turn = beside_others();
    let setting = setting();
    let names = [
        "bootstrap.refunds.test",
        "orders.test",
        "broker-x.orders.test",
        "broker-01.orders.test",
        "broker-1.orders.test.evil.test",
        // An IP address is not sent as server name.
        "127.0.0.1",
    ];
    for name in names {
        let before = setting.counted("no_filter_chain_match");
        assert!(TlsClient::connect(setting.port(), name, &setting.authority).is_err(), "{name}");
        assert_eq!(setting.counted("no_filter_chain_match"), before + 1, "{name}");
    }
}

#[test]
fn the_host_name_of_a_node_that_does_not_exist_leads_nowhere() {
    let _turn = beside_others();
    let setting = setting();
    let before = setting.counted("orders.closed.node_unknown");
    let mut client = TlsClient::connect(setting.port(), "broker-77.orders.test", &setting.authority).unwrap();
    assert!(client.ask().is_err());
    assert_eq!(setting.counted("orders.closed.node_unknown"), before + 1);
}

#[test]
fn nodes_may_be_named_after_their_brokers() {
    let _turn = beside_others();
    let setting = setting();
    let unmapped = setting.counted("bifrost.migrated.nodes_unmapped");
    // Before anybody has told the gateway the nodes: it has to ask.
    for id in setting.kafka.ids() {
        let name = format!("Broker-{id}-EU.migrated.test");
        bifrost_e2e::wait::until("the node answers", std::time::Duration::from_secs(10), || {
            let answered = TlsClient::connect(setting.port(), &name, &setting.authority)?.ask();
            Ok(answered.ok())
        })
        .unwrap();
    }
    setting.every_client_reads_what_it_wrote(&format!("bootstrap.migrated.test:{}", setting.port()), false);
    assert_eq!(setting.counted("bifrost.migrated.nodes_unmapped"), unmapped);

    let before = setting.counted("bifrost.migrated.closed.node_unknown");
    let mut nobody = TlsClient::connect(setting.port(), "broker-9-eu.migrated.test", &setting.authority).unwrap();
    assert!(nobody.ask().is_err());
    assert_eq!(setting.counted("bifrost.migrated.closed.node_unknown"), before + 1);
    assert!(setting.gateway.log().unwrap().contains("the target cluster has no node 'broker-9-eu.migrated.test'"));
    assert!(TlsClient::connect(setting.port(), "broker-1.migrated.test", &setting.authority).is_err());
}
