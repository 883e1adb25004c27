//! The Kafka cluster behind the gateway, and how to trust it.

use std::fmt;
use std::path::PathBuf;

use bifrost_chain::Override;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::not_null;

/// The Kafka cluster behind the gateway: `spec.targetCluster` of a virtual cluster, and all of `spec` of a target cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetCluster {
    /// In a virtual cluster, and in place of all else: `metadata.name` of a `KafkaTargetCluster`.
    #[serde(rename = "ref", default, deserialize_with = "not_null")]
    pub reference: Option<String>,
    /// Servers to start from, as in Kafka's `bootstrap.servers`. Required, unless there is a reference.
    #[serde(default, deserialize_with = "not_null")]
    pub bootstrap_servers: Option<BootstrapServers>,
    /// The id that the Kafka cluster has to have. Left out: any.
    #[serde(default)]
    pub cluster_id: Option<String>,
    /// Addresses of hosts, in place of what DNS says. Applies to bootstrap servers and nodes, by the host names that they
    /// advertise.
    #[serde(default)]
    pub resolve: Vec<Override>,
    /// TLS to the brokers. Left out: plaintext. `{}`: the CAs of the system, and the server's name is checked.
    #[serde(default, deserialize_with = "not_null")]
    pub tls: Option<TargetTls>,
}

/// TLS to the brokers. All files are PEM; paths are relative to the document's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TargetTls {
    /// The CAs that brokers' certificates must come from. Default: `ca.crt` of `directory`, else those of the system.
    pub ca_file: Option<PathBuf>,
    /// The gateway's own certificate, with the chain to its CA.
    pub certificate_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
    /// In place of the two: a folder with `tls.crt`, `tls.key` and `ca.crt`, as Kubernetes mounts a TLS secret.
    pub directory: Option<PathBuf>,
    /// Whether a broker's certificate must be for the host that was connected to. Default: yes.
    pub verify_server_name: Option<bool>,
    /// Take any certificate. Whoever is between gateway and broker can then read and change everything.
    pub insecure_skip_verify: bool,
}

/// `"host:port,host:port"` or a list of `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootstrapServers {
    /// One text, comma separated.
    Text(String),
    /// A YAML list.
    List(Vec<String>),
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
