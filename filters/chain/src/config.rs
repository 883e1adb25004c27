//! What Envoy hands to the module: the JSON configuration of one virtual cluster.

use bifrost_broker_address as broker_address;
use bifrost_cluster_identity as cluster_identity;
use bifrost_core::limits::Limits;
use bifrost_quota as quota;
use bifrost_tenancy as tenancy;
use serde::{Deserialize, Serialize};

use crate::principal::ClientPrincipal;
use crate::resolve::Override;

/// Configuration of one virtual cluster, as the renderer writes it and the module reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// `metadata.name` of the virtual cluster, for logs.
    pub virtual_cluster: String,
    /// Where connections go.
    pub upstream: Upstream,
    /// Bounds of the data path.
    #[serde(default)]
    pub limits: Limits,
    /// How clients are identified; without it all are anonymous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_principal: Option<ClientPrincipal>,
    /// Which Kafka cluster the upstream has to be; without it any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_identity: Option<cluster_identity::Config>,
    /// How much may be used; without it, as much as there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<quota::Config>,
    /// Names that clients use; without it they pass as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenancy: Option<tenancy::Config>,
    /// Addresses that clients are given.
    pub broker_address: broker_address::Config,
}

/// Names of the Envoy clusters behind this virtual cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Upstream {
    /// Cluster of the bootstrap servers: any of them may answer.
    pub bootstrap_cluster: String,
    /// Dynamic forward proxy cluster that connects to the node whose address the module names.
    pub node_cluster: String,
    /// Cluster of an internal listener whose filter chain has this name, too, and leads to the bootstrap servers: what is sent
    /// there makes the module ask for the nodes.
    pub ask_cluster: String,
    /// What TLS to a node needs of its name.
    #[serde(default, skip_serializing_if = "ServerNames::is_none")]
    pub server_names: ServerNames,
    /// Where nodes are, in place of what DNS says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolve: Vec<Override>,
}

/// What TLS to a node needs of its name. That of the bootstrap servers is Envoy's own business.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ServerNames {
    /// Nothing: plaintext, so there is no TLS.
    #[default]
    None,
    /// The node is told which host is meant (SNI).
    Sent,
    /// In addition its certificate must be for that host.
    Verified,
}

impl ServerNames {
    fn is_none(&self) -> bool {
        *self == ServerNames::None
    }
}
