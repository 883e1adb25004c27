//! `spec.listener`: where clients connect, and what they have to show.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use bifrost_broker_address::NodePortRange;
use bifrost_chain::ClientPrincipal;
use serde::Deserialize;

use super::not_null;

/// The addresses of the virtual cluster. Nodes are told apart by port (`advertisedHost` and what belongs to it), or by host
/// name on one port (`sni`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Listener {
    /// IP address to listen on; all IPv4 addresses by default, `::` for all of both families.
    #[serde(default = "any_ipv4")]
    pub bind: IpAddr,
    /// The bootstrap port; with `sni` the only one.
    pub port: u16,
    /// The bootstrap port as clients see it, where something before the gateway moves ports; those of nodes are moved by as
    /// much. Default: `port`.
    #[serde(default)]
    pub advertised_port: Option<u16>,
    /// Host name or IP address that clients are sent to for every node.
    #[serde(default)]
    pub advertised_host: Option<String>,
    /// How many ports from `port` on are bootstrap addresses. Default: 1.
    #[serde(default)]
    pub bootstrap_slots: Option<u16>,
    /// The highest node id: without `nodePorts`, node `n` is on `port + bootstrapSlots + n`. Default: 99.
    #[serde(default)]
    pub max_node_id: Option<i32>,
    /// Ports of the nodes, where ids are not near 0.
    #[serde(default)]
    pub node_ports: Option<Vec<NodePortRange>>,
    /// Host names for bootstrap address and nodes.
    #[serde(default, deserialize_with = "not_null")]
    pub sni: Option<Sni>,
    /// TLS to the clients. Left out: plaintext.
    #[serde(default, deserialize_with = "not_null")]
    pub tls: Option<ListenerTls>,
}

/// Host names on one port, told apart by the server name of the TLS handshake. Virtual clusters may share the port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sni {
    /// The host name that clients start from.
    pub bootstrap_host: String,
    /// The host names of nodes, with `$(nodeId)` for the id, and `$1` to `$9` for the groups of `upstreamHost`.
    pub node_host: String,
    /// A regular expression for the host names that brokers advertise, if names of nodes are to be made of them.
    #[serde(default, deserialize_with = "not_null")]
    pub upstream_host: Option<String>,
}

/// TLS to the clients. All files are PEM; paths are relative to the document's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ListenerTls {
    /// The server's certificate, with the chain to its CA.
    pub certificate_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
    /// In place of the two: a folder with `tls.crt`, `tls.key` and, for clients' certificates, `ca.crt`, as Kubernetes
    /// mounts a TLS secret.
    pub directory: Option<PathBuf>,
    /// The CAs that clients' certificates must come from. Default: `ca.crt` of `directory`.
    pub client_ca_file: Option<PathBuf>,
    /// Whether clients show a certificate.
    pub client_authentication: ClientAuthentication,
    /// Who a client is that shows a certificate. Default: whom the subject names.
    pub client_principal: Option<ClientPrincipal>,
}

/// Kafka's `ssl.client.auth`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ClientAuthentication {
    /// Clients are not asked for a certificate.
    #[default]
    None,
    /// A client may do without; one that it shows must be good.
    Requested,
    /// A client without a good certificate is refused.
    Required,
}

fn any_ipv4() -> IpAddr {
    IpAddr::V4(Ipv4Addr::UNSPECIFIED)
}
