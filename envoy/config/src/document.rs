//! The `KafkaVirtualCluster` document as an operator writes it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use bifrost_broker_address::NodePortRange;
use bifrost_core::limits::Limits;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// One virtual cluster: where clients connect, which Kafka cluster stands behind it, what happens in between.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KafkaVirtualCluster {
    /// Always `gateway.corp/v1alpha1`.
    pub api_version: ApiVersion,
    /// Always `KafkaVirtualCluster`.
    pub kind: Kind,
    /// Name and, as in Kubernetes, labels and annotations.
    pub metadata: Metadata,
    /// What the operator wants.
    pub spec: Spec,
}

/// Versions of the document format that this build reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum ApiVersion {
    /// `gateway.corp/v1alpha1`
    #[serde(rename = "gateway.corp/v1alpha1")]
    V1Alpha1,
}

/// Kinds of documents that this build reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Kind {
    /// `KafkaVirtualCluster`
    KafkaVirtualCluster,
}

/// Identity of a document.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// A DNS label, unique in the set: names the Envoy listener, its VM and its clusters.
    pub name: String,
    /// Not read; accepted so that the same file can be applied to Kubernetes.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Not read; accepted so that the same file can be applied to Kubernetes.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// The wanted state of one virtual cluster.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Where clients connect.
    pub listener: Listener,
    /// The Kafka cluster behind the gateway.
    pub target_cluster: TargetCluster,
    /// Prefixes that keep tenants of one target cluster apart.
    #[serde(default)]
    pub virtualization: Virtualization,
    /// Policies, in the order in which a request meets them.
    #[serde(default)]
    pub filters: Vec<FilterSpec>,
    /// Bounds of the data path.
    #[serde(default)]
    pub limits: Limits,
}

/// The addresses of the virtual cluster: a bootstrap port and one port per node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Listener {
    /// IP address to listen on; all IPv4 addresses by default, `::` for all of both families.
    #[serde(default = "any_ipv4")]
    pub bind: IpAddr,
    /// The bootstrap port.
    pub port: u16,
    /// Host name or IP address that clients are sent to.
    pub advertised_host: String,
    /// Ports of the nodes. Default: nodes 0-99 on `port + 1` to `port + 100`.
    #[serde(default)]
    pub node_ports: Option<Vec<NodePortRange>>,
}

/// The Kafka cluster behind the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetCluster {
    /// Servers to start from, as in Kafka's `bootstrap.servers`.
    pub bootstrap_servers: BootstrapServers,
}

/// `"host:port,host:port"` or a list of `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootstrapServers {
    /// One text, comma separated.
    Text(String),
    /// A YAML list.
    List(Vec<String>),
}

/// Prefixes that the gateway puts before the names a client uses. Empty means no change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Virtualization {
    /// Prefix of topic names.
    pub topic_prefix: String,
    /// Prefix of consumer group ids.
    pub group_prefix: String,
    /// Prefix of transactional ids.
    pub transaction_id_prefix: String,
}

/// One policy of the chain.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FilterSpec {
    /// Which filter.
    pub name: String,
    /// The filter's own configuration.
    #[serde(default)]
    pub config: serde_json::Value,
}

fn any_ipv4() -> IpAddr {
    IpAddr::V4(Ipv4Addr::UNSPECIFIED)
}

impl<'de> Deserialize<'de> for BootstrapServers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Servers;
        impl<'de> Visitor<'de> for Servers {
            type Value = BootstrapServers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"host:port,host:port\" or a list of host:port")
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(BootstrapServers::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(BootstrapServers::List(list))
            }
        }
        deserializer.deserialize_any(Servers)
    }
}
