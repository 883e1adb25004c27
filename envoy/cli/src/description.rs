//! What one virtual cluster offers, for people and for programs.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use bifrost_config::{ClientCertificates, Endpoints, KeyPair, PemFile, Roots, VirtualCluster};
use serde::{Deserialize, Serialize};

/// One virtual cluster. Displays as a few indented lines.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Description {
    pub(crate) name: String,
    /// What clients set as `bootstrap.servers`.
    pub(crate) bootstrap_servers: String,
    pub(crate) bind: IpAddr,
    pub(crate) ports: Vec<Ports>,
    /// The address of each node, with `$(nodeId)` in place of its id; nothing when nodes are told apart by ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node_address: Option<String>,
    /// Bootstrap servers of the target cluster.
    pub(crate) target: Vec<String>,
    pub(crate) certificates: Vec<CertificateFile>,
}

/// Ports that follow each other, and what they stand for.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ports {
    first: u16,
    last: u16,
    /// First and last node id; nothing for bootstrap ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<[i32; 2]>,
}

/// A file of certificates and what it is for.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CertificateFile {
    pub(crate) purpose: Purpose,
    pub(crate) file: PathBuf,
}

/// What certificates are for.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Purpose {
    Listener,
    ClientCa,
    Upstream,
    UpstreamCa,
}

impl Purpose {
    /// Whether the file is a list of CAs, of which any one will do.
    pub(crate) fn is_ca(self) -> bool {
        matches!(self, Purpose::ClientCa | Purpose::UpstreamCa)
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Purpose::Listener => "shown to clients",
            Purpose::ClientCa => "CAs of clients",
            Purpose::Upstream => "shown to brokers",
            Purpose::UpstreamCa => "CAs of brokers",
        })
    }
}

impl Description {
    pub(crate) fn of(virtual_cluster: &VirtualCluster) -> Description {
        let port = virtual_cluster.port;
        let (ports, node_address) = match &virtual_cluster.endpoints {
            Endpoints::PortPerNode(ports) => {
                let last = port.saturating_add(ports.bootstrap_slots.saturating_sub(1));
                let nodes = ports.node_ports.iter().map(|range| {
                    let more = range.last_id.abs_diff(range.first_id);
                    let last = range.first_port.saturating_add(u16::try_from(more).unwrap_or(u16::MAX));
                    Ports { first: range.first_port, last, nodes: Some([range.first_id, range.last_id]) }
                });
                (std::iter::once(Ports { first: port, last, nodes: None }).chain(nodes).collect(), None)
            }
            Endpoints::HostPerNode(hosts) => (
                vec![Ports { first: port, last: port, nodes: None }],
                Some(format!("{}:{}", hosts.node_host, hosts.advertised_port)),
            ),
        };
        Description {
            name: virtual_cluster.name.clone(),
            bootstrap_servers: virtual_cluster.advertised().to_string(),
            bind: virtual_cluster.bind,
            ports,
            node_address,
            target: virtual_cluster.bootstrap_servers.iter().map(ToString::to_string).collect(),
            certificates: certificates(virtual_cluster),
        }
    }
}

fn certificates(virtual_cluster: &VirtualCluster) -> Vec<CertificateFile> {
    let mut files = Vec::new();
    let mut add = |purpose, file: &PemFile| {
        let file = std::path::absolute(&file.path).unwrap_or_else(|_| file.path.clone());
        files.push(CertificateFile { purpose, file });
    };
    if let Some(tls) = &virtual_cluster.downstream_tls {
        add(Purpose::Listener, &tls.key_pair.certificate);
        match &tls.clients {
            ClientCertificates::NotAsked => {}
            ClientCertificates::Requested(ca) | ClientCertificates::Required(ca) => add(Purpose::ClientCa, ca),
        }
    }
    if let Some(tls) = &virtual_cluster.upstream_tls {
        if let Some(KeyPair { certificate, .. }) = &tls.key_pair {
            add(Purpose::Upstream, certificate);
        }
        if let Some(Roots::File(ca)) = tls.verification.roots() {
            add(Purpose::UpstreamCa, ca);
        }
    }
    files
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Description { name, bootstrap_servers, bind, .. } = self;
        writeln!(f, "  {name}")?;
        writeln!(f, "    clients  bootstrap.servers={bootstrap_servers}")?;
        let ports: Vec<String> = self.ports.iter().map(ToString::to_string).collect();
        match &self.node_address {
            None => writeln!(f, "    ports    {} on {bind}", ports.join(", "))?,
            Some(address) => {
                let port = self.ports.first().map_or(0, |ports| ports.first);
                writeln!(f, "    nodes    {address}, port {port} on {bind}")?;
            }
        }
        writeln!(f, "    target   {}", self.target.join(", "))
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = |first: String, last: String| if first == last { first } else { format!("{first}-{last}") };
        let ports = span(self.first.to_string(), self.last.to_string());
        match self.nodes {
            None => write!(f, "{ports} (bootstrap)"),
            Some([first, last]) => {
                let nodes = if first == last { "node" } else { "nodes" };
                write!(f, "{ports} ({nodes} {})", span(first.to_string(), last.to_string()))
            }
        }
    }
}
