//! What differs between the versions of Kafka that the gateway is tested with.

use std::path::Path;

use crate::kafka::{BROKER_IP, CONTROLLERS, Extra, MISNAMED_TLS, MUTUAL_TLS, RELAYED, SERVER_TLS, ZOOKEEPER};
use crate::ports::PortBlock;
use crate::tools::Tools;

/// The patch level stands in the Makefile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The oldest that the gateway supports; with ZooKeeper.
    V2_8,
    /// The last before 4.0, which gave up the oldest versions of many APIs.
    V3_9,
    V4_4,
}

impl Version {
    pub(super) fn libs(self, tools: &Tools) -> &Path {
        match self {
            Version::V2_8 => &tools.kafka_2_8_libs,
            Version::V3_9 => &tools.kafka_3_9_libs,
            Version::V4_4 => &tools.kafka_libs,
        }
    }

    /// Whether ZooKeeper keeps the metadata, and not a quorum of the nodes.
    pub(super) fn has_zookeeper(self) -> bool {
        self == Version::V2_8
    }

    /// What a node logs when it serves.
    pub(super) fn started(self) -> &'static str {
        match self {
            Version::V2_8 => "started (kafka.server.KafkaServer)",
            Version::V3_9 | Version::V4_4 => "Kafka Server started",
        }
    }

    /// Java's option for logging to standard output.
    pub(super) fn logging(self) -> String {
        let (option, file) = match self {
            Version::V2_8 | Version::V3_9 => ("log4j.configuration=file:", "log4j.properties"),
            Version::V4_4 => ("log4j2.configurationFile=", "log4j2.properties"),
        };
        format!("-D{option}{}", Path::new(env!("CARGO_MANIFEST_DIR")).join("kafka").join(file).display())
    }

    /// Prefixes of the properties of its internal topics that keep state.
    pub(super) fn state_topics(self) -> &'static [&'static str] {
        match self {
            Version::V2_8 | Version::V3_9 => &["transaction.state.log"],
            Version::V4_4 => &["transaction.state.log", "share.coordinator.state.topic"],
        }
    }

    /// Properties of a node: who it is, where it listens, who keeps the metadata.
    pub(super) fn identity(self, id: u16, nodes: u16, ports: &PortBlock, extra: &Extra) -> String {
        let mut listeners = vec![("BROKER", "PLAINTEXT", ports.port(id))];
        if extra.relay.is_some() {
            listeners.push(("RELAYED", "PLAINTEXT", ports.port(RELAYED + id)));
        }
        if extra.tls.is_some() {
            listeners.push(("SERVER", "SSL", ports.port(SERVER_TLS + id)));
            listeners.push(("MUTUAL", "SSL", ports.port(MUTUAL_TLS + id)));
            listeners.push(("MISNAMED", "SSL", ports.port(MISNAMED_TLS + id)));
        }
        let broker = listeners.iter().map(|(name, _, port)| format!("{name}://{BROKER_IP}:{port}"));
        let broker = broker.collect::<Vec<_>>().join(",");
        let protocols = listeners.iter().map(|(name, protocol, _)| format!("{name}:{protocol}"));
        let protocols = protocols.collect::<Vec<_>>().join(",");
        if self.has_zookeeper() {
            return format!(
                "broker.id={id}
zookeeper.connect={BROKER_IP}:{}
listeners={broker}
listener.security.protocol.map={protocols}
",
                ports.port(ZOOKEEPER)
            );
        }
        let controller = |id| format!("{BROKER_IP}:{}", ports.port(CONTROLLERS + id));
        let voters: Vec<String> = (1..=nodes).map(|id| format!("{id}@{}", controller(id))).collect();
        format!(
            "node.id={id}
process.roles=broker,controller
controller.quorum.voters={}
controller.listener.names=CONTROLLER
listeners={broker},CONTROLLER://{}
listener.security.protocol.map={protocols},CONTROLLER:PLAINTEXT
",
            voters.join(","),
            controller(id)
        )
    }
}
