//! TLS on both sides: host names on one port, ports with certificates on both sides, overrides of addresses.

mod client;
mod examples;
mod hosts;
mod identity;
mod ports;
mod rotation;

use std::sync::OnceLock;

use bifrost_e2e::certificates::{Authority, Issued};
use bifrost_e2e::clients::{Clients, Family};
use bifrost_e2e::gateway::{Gateway, VirtualCluster};
use bifrost_e2e::kafka::{CLUSTER_ID, Extra, Kafka, Secure, Tls, Version};
use bifrost_e2e::run_dir::RunDir;
use bifrost_e2e::tools::Tools;

use crate::fixture::{tools, unique};

pub(crate) use client::TlsClient;

/// Two brokers with TLS, a gateway with a virtual cluster for each way in, and what they trust.
struct Setting {
    tools: Tools,
    run: RunDir,
    kafka: Kafka,
    gateway: Gateway,
    /// Issues the certificates of gateway and clients.
    authority: Authority,
    /// A client's.
    client: Issued,
}

/// Positions in the gateway's document.
const ORDERS: usize = 0;
const MUTUAL: usize = 2;
const UNTRUSTING: usize = 3;
const MISNAMED: usize = 4;
const UNCHECKED: usize = 5;
const IDENTIFIED: usize = 6;
const ELSEWHERE: usize = 7;
const NOBODY: usize = 8;
const BY_SUBJECT: usize = 9;
const BY_DNS_NAME: usize = 10;
const BY_URI: usize = 11;

/// A cluster id that no cluster has.
const OTHER_CLUSTER_ID: &str = "anotherCluster00000001";

fn setting() -> &'static Setting {
    static SETTING: OnceLock<Setting> = OnceLock::new();
    SETTING.get_or_init(Setting::start)
}

impl Setting {
    fn start() -> Setting {
        let tools = tools();
        let run = RunDir::create(&tools, "tls").unwrap();
        let folder = run.folder("certificates").unwrap();
        let brokers = Authority::new("Brokers' CA").unwrap();
        let certificate = brokers.issue(&folder.join("brokers"), "brokers", &Tls::NAMES).unwrap();
        let to_brokers = brokers.issue(&folder.join("gateway"), "gateway", &[]).unwrap();
        let extra = Extra { tls: Some(Tls { certificate }), ..Extra::default() };
        let kafka = Kafka::start_with(&tools, &run, Version::V4_4, 2, extra).unwrap();

        let authority = Authority::new("Clients' CA").unwrap();
        let client = authority.issue(&folder.join("client"), "client", &[]).unwrap();
        let server = |name: &str, names: &[&str]| {
            let issued = authority.issue(&folder.join(name), name, names).unwrap();
            issued.folder().display().to_string()
        };
        let orders = server("orders", &["*.orders.test"]);
        let payments = server("payments", &["*.payments.test"]);
        let migrated = server("migrated", &["*.migrated.test"]);
        let ip = server("ip", &["127.0.0.1"]);
        let ca = to_brokers.authority().display().to_string();
        let gateway_folder = to_brokers.folder().display().to_string();
        let resolve = "resolve: [{ host: '*.kafka.test', address: 127.0.0.2 }]";
        let anywhere = "resolve: [{ host: '*', address: 127.0.0.2 }]";
        let identified = |name: &str, rules: &str, cluster_id: &str| {
            VirtualCluster::new(name, &kafka.secure_servers(Secure::Server, true))
                .listener_tls(&format!(
                    "{{ directory: {ip}, clientAuthentication: required, clientPrincipal: {{ mappingRules: '{rules}' }} }}"
                ))
                .target(&format!("clusterId: {cluster_id}, {resolve}, tls: {{ caFile: {ca} }}"))
        };
        let requested = |name: &str, principal: &str| {
            VirtualCluster::new(name, &kafka.secure_servers(Secure::Server, true))
                .listener_tls(&format!("{{ directory: {ip}, clientAuthentication: requested{principal} }}"))
                .target(&format!("{resolve}, tls: {{ caFile: {ca} }}"))
        };
        let rules = "RULE:^CN=([a-z]+)$/user-$1/U, DEFAULT";
        let by_name = |secure| kafka.secure_servers(secure, true);
        let virtual_clusters = [
            VirtualCluster::new("orders", &by_name(Secure::Server))
                .domain("orders.test")
                .listener_tls(&format!("{{ directory: {orders} }}"))
                .target(&format!("{resolve}, tls: {{ caFile: {ca} }}"))
                .more("  virtualization: { topicPrefix: o-, groupPrefix: o-, transactionIdPrefix: o- }\n"),
            VirtualCluster::new("payments", &kafka.secure_servers(Secure::Mutual, false))
                .domain("payments.test")
                .listener_tls(&format!("{{ directory: {payments}, clientAuthentication: requested }}"))
                .target(&format!("{resolve}, tls: {{ directory: {gateway_folder} }}"))
                .more("  virtualization: { topicPrefix: p-, groupPrefix: p-, transactionIdPrefix: p- }\n"),
            VirtualCluster::new("mutual", &by_name(Secure::Server))
                .listener_tls(&format!("{{ directory: {ip}, clientAuthentication: required }}"))
                .target(&format!("{resolve}, tls: {{ caFile: {ca} }}")),
            // Trusts the CA of clients, which has issued nothing to a broker.
            VirtualCluster::new("untrusting", &kafka.secure_servers(Secure::Server, false))
                .target(&format!("tls: {{ directory: {} }}", client.folder().display())),
            VirtualCluster::new("misnamed", &kafka.secure_servers(Secure::Misnamed, false))
                .target(&format!("{anywhere}, tls: {{ caFile: {ca} }}")),
            VirtualCluster::new("unchecked", &kafka.secure_servers(Secure::Misnamed, false))
                .target(&format!("{anywhere}, tls: {{ insecureSkipVerify: true }}")),
            identified("identified", rules, CLUSTER_ID),
            identified("elsewhere", rules, OTHER_CLUSTER_ID),
            identified("nobody", "RULE:CN=somebody-else/x/", CLUSTER_ID),
            requested("by-subject", ""),
            requested("by-dns-name", ", clientPrincipal: { from: dnsName }"),
            requested(
                "by-uri",
                r", clientPrincipal: { from: uri, mappingRules: 'RULE:spiffe:\/\/([^\/]*)\/(.*)/$2@$1/' }",
            ),
            VirtualCluster::new("migrated", &by_name(Secure::Server))
                .domain("migrated.test")
                .named_after(r"(broker-[0-9]+)\.kafka\.test", "$1-eu")
                .listener_tls(&format!("{{ directory: {migrated} }}"))
                .target(&format!("{resolve}, tls: {{ caFile: {ca} }}")),
        ];
        let gateway = Gateway::start(&tools, &run, "gateway", &virtual_clusters).unwrap();
        Setting { tools, run, kafka, gateway, authority, client }
    }

    fn port(&self) -> u16 {
        self.gateway.port(ORDERS)
    }

    fn clients(&self, bootstrap: &str) -> Clients {
        Clients::new(&self.tools, &self.run, bootstrap).unwrap()
    }

    /// Configuration of a client that trusts the gateway's certificates, and may show one.
    fn config(&self, family: Family, shows_certificate: bool) -> Vec<(String, String)> {
        let path = |path: std::path::PathBuf| path.display().to_string();
        let mut config = vec![("security.protocol", "SSL".to_owned())];
        match family {
            Family::Java => {
                config.push(("ssl.truststore.type", "PEM".to_owned()));
                config.push(("ssl.truststore.location", path(self.client.authority())));
                if shows_certificate {
                    config.push(("ssl.keystore.type", "PEM".to_owned()));
                    config.push(("ssl.keystore.location", path(self.client.store())));
                }
            }
            _ => {
                config.push(("ssl.ca.location", path(self.client.authority())));
                if shows_certificate {
                    config.push(("ssl.certificate.location", path(self.client.certificate())));
                    config.push(("ssl.key.location", path(self.client.key())));
                }
            }
        }
        config.into_iter().map(|(name, value)| (format!("config.{name}"), value)).collect()
    }

    /// Writes and reads, with both client families.
    fn every_client_reads_what_it_wrote(&self, bootstrap: &str, shows_certificate: bool) {
        self.every_client_with(bootstrap, |family| self.config(family, shows_certificate));
    }

    /// The same with another configuration.
    fn every_client_with(&self, bootstrap: &str, config: impl Fn(Family) -> Vec<(String, String)>) {
        let clients = self.clients(bootstrap);
        for family in [Family::Java, Family::Librdkafka] {
            let config = config(family);
            let with = |arguments: &[(&'static str, &str)]| {
                let arguments = arguments.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
                arguments.chain(config.iter().cloned()).collect::<Vec<_>>()
            };
            let run = |verb: &str, arguments: &[(&'static str, &str)]| {
                let arguments = with(arguments);
                let arguments: Vec<(&str, &str)> = arguments.iter().map(|(name, value)| (&**name, &**value)).collect();
                clients.run(family, verb, &arguments).unwrap()
            };
            let (topic, group) = (unique("tls"), unique("group"));
            run("create-topic", &[("topic", &topic), ("partitions", "4"), ("replication", "2")]);
            let sent = run("produce", &[("topic", &topic), ("count", "500"), ("size", "100"), ("acks", "all")]);
            let consume = [("topic", &*topic), ("group", &group), ("count", "500"), ("timeout_ms", "60000")];
            let received = run("consume", &consume);
            assert_eq!(sent["count"], 500, "{family}");
            assert_eq!(received["checksum"], sent["checksum"], "{family}");
        }
    }

    /// What a Java client with a certificate says when it asks for a topic that it does not get.
    fn refusal(&self, bootstrap: &str, shows_certificate: bool) -> String {
        let mut config = self.config(Family::Java, shows_certificate);
        config.push(("config.default.api.timeout.ms".to_owned(), "5000".to_owned()));
        config.push(("config.request.timeout.ms".to_owned(), "4000".to_owned()));
        let mut arguments: Vec<(&str, &str)> = config.iter().map(|(name, value)| (&**name, &**value)).collect();
        arguments.extend([("topic", "refused"), ("partitions", "1")]);
        self.clients(bootstrap).run(Family::Java, "create-topic", &arguments).unwrap_err().to_string()
    }

    /// A counter of the gateway.
    fn counted(&self, name: &str) -> u64 {
        self.gateway.stats(name).unwrap().iter().map(|(_, value)| value).sum()
    }
}
