//! Brokers that take nothing before a login, which passes through the gateway.

use std::sync::OnceLock;
use std::time::Duration;

use bifrost_e2e::clients::{Clients, Family};
use bifrost_e2e::gateway::{GATEWAY_IP, Gateway, VirtualCluster};
use bifrost_e2e::kafka::{CLUSTER_ID, Extra, Kafka, Version};
use bifrost_e2e::run_dir::RunDir;
use bifrost_e2e::tools::Tools;
use bifrost_e2e::wire::{self, RawClient};
use bytes::Bytes;
use kafka_protocol::messages::{MetadataRequest, SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::StrBytes;

use crate::fixture::{beside_others, tools, unique};

/// Lines of `server.properties`: every client logs in, other brokers too.
const PROPERTIES: &str = r#"listener.security.protocol.map=BROKER:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.broker.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="broker" password="between-brokers" user_broker="between-brokers" user_alice="open-sesame";
"#;

/// A login with SASL/PLAIN: who to act as (nobody else), who, password.
const ALICE: &[u8] = b"\0alice\0open-sesame";
const MALLORY: &[u8] = b"\0mallory\0guess";

/// Positions in the gateway's document.
const IDENTIFIED: usize = 0;
const ELSEWHERE: usize = 1;

#[test]
fn clients_that_log_in_reach_the_cluster_that_was_meant() {
    let _turn = beside_others();
    let setting = setting();
    for family in [Family::Java, Family::Librdkafka] {
        let clients = setting.clients(IDENTIFIED);
        let (topic, group) = (unique("sasl"), unique("group"));
        let run = |verb: &str, arguments: &[(&str, &str)]| {
            let config = config(family);
            let config = config.iter().map(|(name, value)| (&**name, &**value));
            clients.run(family, verb, &arguments.iter().copied().chain(config).collect::<Vec<_>>()).unwrap()
        };
        run("create-topic", &[("topic", &topic), ("partitions", "4"), ("replication", "2")]);
        let sent = run("produce", &[("topic", &topic), ("count", "500"), ("size", "100"), ("acks", "all")]);
        let consume = [("topic", &*topic), ("group", &group), ("count", "500"), ("timeout_ms", "60000")];
        let received = run("consume", &consume);
        assert_eq!(sent["count"], 500, "{family}");
        assert_eq!(received["checksum"], sent["checksum"], "{family}");
    }
    assert!(setting.counted("bifrost.identified.own_requests") >= 4, "every connection asks");
    assert_eq!(setting.counted("bifrost.identified.closed.wrong_cluster"), 0);
}

#[test]
fn another_cluster_answers_a_login_and_nothing_behind_it() {
    let _turn = beside_others();
    let setting = setting();
    let mut client = setting.connect(ELSEWHERE);
    assert_eq!(log_in(&mut client, ALICE), 0);

    client.send(&wire::frame(12, 3, &MetadataRequest::default()).unwrap()).unwrap();

    assert_eq!(client.read_until_closed(Duration::from_secs(10)).unwrap(), Vec::<u8>::new());
    assert_eq!(setting.counted("bifrost.elsewhere.closed.wrong_cluster"), 1);
    let log = setting.gateway.log().unwrap();
    assert!(
        log.contains(&format!("is Kafka cluster '{CLUSTER_ID}', but clusterId of the target cluster is 'another'"))
    );
}

#[test]
fn a_wrong_password_is_told_by_the_broker() {
    let _turn = beside_others();
    const SASL_AUTHENTICATION_FAILED: i16 = 58;
    for virtual_cluster in [IDENTIFIED, ELSEWHERE] {
        assert_eq!(log_in(&mut setting().connect(virtual_cluster), MALLORY), SASL_AUTHENTICATION_FAILED);
    }
}

/// A broker closes on whoever asks before a login, the gateway included; it does not matter whether the gateway asks first.
#[test]
fn a_client_that_does_not_log_in_is_closed_by_the_broker() {
    let _turn = beside_others();
    let setting = setting();
    let mut client = setting.connect(IDENTIFIED);
    client.call(3, 1, &wire::api_versions()).unwrap();
    client.send(&wire::frame(12, 2, &MetadataRequest::default()).unwrap()).unwrap();
    assert_eq!(client.read_until_closed(Duration::from_secs(10)).unwrap(), Vec::<u8>::new());
}

/// They know the nodes' ports only, and the new gateway knows no node.
#[test]
fn clients_that_log_in_lose_nothing_when_the_gateway_restarts() {
    const PATIENCE: Duration = Duration::from_secs(120);
    let _turn = beside_others();
    let setting = setting();
    let virtual_cluster = VirtualCluster::new("restarted", &setting.kafka.bootstrap_servers());
    let gateway = Gateway::start(&setting.tools, &setting.run, "restarted", &[virtual_cluster]).unwrap();
    let clients = setting.clients(IDENTIFIED).at(gateway.bootstrap(0));
    let topic = unique("gateway-restart");
    let start = |family, verb: &str, arguments: &[(&str, &str)]| {
        let config = config(family);
        let config = config.iter().map(|(name, value)| (&**name, &**value));
        clients.start(family, verb, &arguments.iter().copied().chain(config).collect::<Vec<_>>()).unwrap()
    };
    start(Family::Java, "create-topic", &[("topic", &topic), ("partitions", "4"), ("replication", "2")])
        .finish(PATIENCE)
        .unwrap();
    let mut writers = [Family::Java, Family::Librdkafka].map(|family| {
        start(family, "produce", &[("topic", &topic), ("count", "2000"), ("size", "100"), ("pause_ms", "5")])
    });
    std::thread::sleep(Duration::from_secs(2));

    let gateway = gateway.restart(&setting.tools).unwrap();

    for writer in &mut writers {
        assert_eq!(writer.finish(PATIENCE).unwrap()["count"], 2000);
    }
    gateway.stop().unwrap();
}

struct Setting {
    tools: Tools,
    run: RunDir,
    kafka: Kafka,
    gateway: Gateway,
}

fn setting() -> &'static Setting {
    static SETTING: OnceLock<Setting> = OnceLock::new();
    SETTING.get_or_init(|| {
        let tools = tools();
        let run = RunDir::create(&tools, "sasl").unwrap();
        let extra = Extra { properties: PROPERTIES, ..Extra::default() };
        let kafka = Kafka::start_with(&tools, &run, Version::V4_4, 2, extra).unwrap();
        let virtual_cluster = |name: &str, cluster_id: &str| {
            VirtualCluster::new(name, &kafka.bootstrap_servers()).target(&format!("clusterId: {cluster_id}"))
        };
        let virtual_clusters = [virtual_cluster("identified", CLUSTER_ID), virtual_cluster("elsewhere", "another")];
        let gateway = Gateway::start(&tools, &run, "gateway", &virtual_clusters).unwrap();
        Setting { tools, run, kafka, gateway }
    })
}

impl Setting {
    fn clients(&self, virtual_cluster: usize) -> Clients {
        Clients::new(&self.tools, &self.run, self.gateway.bootstrap(virtual_cluster)).unwrap()
    }

    fn connect(&self, virtual_cluster: usize) -> RawClient {
        RawClient::connect((GATEWAY_IP, self.gateway.port(virtual_cluster))).unwrap()
    }

    /// A counter of the gateway.
    fn counted(&self, name: &str) -> u64 {
        self.gateway.stats(name).unwrap().iter().map(|(_, value)| value).sum()
    }
}

/// What the broker's answer to a login says.
fn log_in(client: &mut RawClient, login: &'static [u8]) -> i16 {
    let handshake = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str("PLAIN"));
    assert_eq!(client.call(1, 1, &handshake).unwrap().error_code, 0);
    let login = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from_static(login));
    client.call(2, 2, &login).unwrap().error_code
}

/// Configuration of a client that is alice.
fn config(family: Family) -> Vec<(String, String)> {
    const JAAS: &str =
        r#"org.apache.kafka.common.security.plain.PlainLoginModule required username="alice" password="open-sesame";"#;
    let mut config = vec![("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", "PLAIN")];
    match family {
        Family::Java => config.push(("sasl.jaas.config", JAAS)),
        _ => config.extend([("sasl.username", "alice"), ("sasl.password", "open-sesame")]),
    }
    config.into_iter().map(|(name, value)| (format!("config.{name}"), value.to_owned())).collect()
}
