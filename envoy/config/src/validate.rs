//! The whole set of documents, checked: everything that is wrong is reported at once.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

pub use bifrost_broker_address::Config as Endpoints;
use bifrost_broker_address::Target;
use bifrost_chain::{Override, resolve};
use bifrost_core::limits::Limits;

use crate::document::{BootstrapServers, Virtualization};
use crate::host_port::{HostPort, check_host};
use crate::load::{Document, Loaded};
use crate::problem::Problem;
use crate::tls::{DownstreamTls, UpstreamTls, Verification};
use crate::{endpoints, host_names, overlap, ports, tls, virtualization};

/// Filters that this build can put into a chain besides the address rewriting that is always there.
const FILTERS: &[&str] = &[];

/// A validated set: it can be rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Ordered by name.
    pub virtual_clusters: Vec<VirtualCluster>,
    /// What works but is dangerous; sorted by file and line.
    pub warnings: Vec<Problem>,
}

/// One virtual cluster with every default filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualCluster {
    /// A DNS label, unique in the gateway.
    pub name: String,
    /// IP address that the ports are opened on.
    pub bind: IpAddr,
    /// The bootstrap port; with a host per node, the only one.
    pub port: u16,
    /// The addresses that clients use.
    pub endpoints: Endpoints,
    /// TLS to the clients.
    pub downstream_tls: Option<DownstreamTls>,
    /// At least one.
    pub bootstrap_servers: Vec<HostPort>,
    /// Where bootstrap servers and nodes are, in place of what DNS says.
    pub resolve: Vec<Override>,
    /// TLS to the brokers.
    pub upstream_tls: Option<UpstreamTls>,
    /// Names of the tenant; without it names pass as they are.
    pub tenancy: Option<bifrost_tenancy::Config>,
    /// Bounds of the data path.
    pub limits: Limits,
}

impl VirtualCluster {
    /// Every port that is opened, and what for: the bootstrap port first.
    pub fn ports(&self) -> impl Iterator<Item = (Target, u16)> + '_ {
        let ports = match &self.endpoints {
            Endpoints::PortPerNode(ports) => Some(ports),
            Endpoints::HostPerNode(_) => None,
        };
        let slots = ports.map_or(1, |ports| ports.bootstrap_slots);
        let bootstrap = (self.port..=u16::MAX).take(usize::from(slots)).map(|port| (Target::Bootstrap, port));
        let ranges = ports.map_or(&[][..], |ports| &ports.node_ports);
        let nodes = ranges.iter().flat_map(|range| (range.first_id..=range.last_id).zip(range.first_port..=u16::MAX));
        bootstrap.chain(nodes.map(|(id, port)| (Target::Node(id), port)))
    }

    /// The bootstrap address for clients.
    pub fn advertised(&self) -> HostPort {
        match &self.endpoints {
            Endpoints::PortPerNode(ports) => HostPort {
                host: ports.advertised_host.clone(),
                port: ports.advertised_port(self.port).unwrap_or(self.port),
            },
            Endpoints::HostPerNode(hosts) => {
                HostPort { host: hosts.bootstrap_host.clone(), port: hosts.advertised_port }
            }
        }
    }
}

/// Checks the set. `admin` is the address of Envoy's admin interface, whose port is taken; port 0 takes none.
///
/// The error holds the problems of loading and of validation, sorted by file and line, never empty.
pub fn validate(loaded: Loaded, admin: SocketAddr) -> Result<Gateway, Vec<Problem>> {
    let Loaded { documents, mut problems } = loaded;
    if documents.is_empty() && problems.is_empty() {
        problems.push(Problem {
            file: Default::default(),
            line: 0,
            document: 0,
            path: String::new(),
            message: "no KafkaVirtualCluster document found".to_owned(),
        });
    }
    // A virtual cluster that could not be read is not here to be found by its name.
    let all_read = problems.is_empty();
    unique_names(&documents, &mut problems);
    let mut virtual_clusters = Vec::new();
    let mut warnings = Vec::new();
    let mut uses = Vec::new();
    for document in &documents {
        let mut check = Check { document, problems: &mut problems, warnings: &mut warnings };
        let virtual_cluster = check.virtual_cluster();
        uses.extend(ports::uses(document, &virtual_cluster));
        virtual_clusters.push(virtual_cluster);
    }
    ports::conflicts(&uses, admin, &mut problems);
    host_names::overlaps(&documents, &virtual_clusters, &mut problems);
    overlap::check(&overlap::members(&documents, &virtual_clusters), all_read, &mut problems);
    if problems.is_empty() {
        virtual_clusters.sort_by(|a, b| a.name.cmp(&b.name));
        warnings.sort();
        Ok(Gateway { virtual_clusters, warnings })
    } else {
        problems.sort();
        problems.dedup();
        Err(problems)
    }
}

fn unique_names(documents: &[Document], problems: &mut Vec<Problem>) {
    let mut first = HashMap::new();
    for document in documents {
        let name = &document.resource.metadata.name;
        match first.get(name) {
            None => {
                first.insert(name, document.place("metadata.name"));
            }
            Some(place) => {
                problems.push(document.problem("metadata.name", format!("'{name}' is already the name of {place}")));
            }
        }
    }
}

/// The checks of one document, in the order of its fields.
struct Check<'a> {
    document: &'a Document,
    problems: &'a mut Vec<Problem>,
    warnings: &'a mut Vec<Problem>,
}

impl Check<'_> {
    /// The virtual cluster as far as it makes sense; it is used only when nothing was reported.
    fn virtual_cluster(&mut self) -> VirtualCluster {
        let resource = &self.document.resource;
        let spec = &resource.spec;
        self.name(&resource.metadata.name);
        let endpoints = endpoints::endpoints(self.document, self.problems);
        let downstream_tls =
            spec.listener.tls.as_ref().and_then(|tls| tls::listener(self.document, tls, self.problems));
        let bootstrap_servers = self.bootstrap_servers(&spec.target_cluster.bootstrap_servers);
        self.resolve(&spec.target_cluster.resolve);
        let upstream_tls = self.upstream_tls(&bootstrap_servers);
        if let Some(virtualization) = &spec.virtualization {
            for (path, message) in virtualization::findings(virtualization) {
                self.report(&format!("spec.virtualization.{path}"), message);
            }
        }
        self.filters();
        self.limits(&spec.limits);
        VirtualCluster {
            name: resource.metadata.name.clone(),
            bind: spec.listener.bind,
            port: spec.listener.port,
            endpoints,
            downstream_tls,
            bootstrap_servers,
            resolve: spec.target_cluster.resolve.clone(),
            upstream_tls,
            tenancy: spec.virtualization.as_ref().map(Virtualization::tenancy),
            limits: spec.limits.clone(),
        }
    }

    fn report(&mut self, path: &str, message: impl Into<String>) {
        self.problems.push(self.document.problem(path, message.into()));
    }

    fn name(&mut self, name: &str) {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let label = (1..=63).contains(&name.len())
            && name.bytes().all(allowed)
            && !name.starts_with('-')
            && !name.ends_with('-');
        if !label {
            self.report(
                "metadata.name",
                format!(
                    "'{name}' is not a name; use 1 to 63 lower case letters, digits and '-', not at the start or end"
                ),
            );
        }
    }

    fn bootstrap_servers(&mut self, servers: &BootstrapServers) -> Vec<HostPort> {
        const PATH: &str = "spec.targetCluster.bootstrapServers";
        let texts: Vec<(String, &str)> = match servers {
            BootstrapServers::Text(text) if text.trim().is_empty() => Vec::new(),
            BootstrapServers::Text(text) => text.split(',').map(|server| (PATH.to_owned(), server.trim())).collect(),
            BootstrapServers::List(list) => {
                list.iter().enumerate().map(|(index, server)| (format!("{PATH}[{index}]"), server.trim())).collect()
            }
        };
        if texts.is_empty() {
            self.report(PATH, "at least one host:port is needed");
        }
        let mut parsed = Vec::new();
        for (path, text) in texts {
            match HostPort::parse(text) {
                Ok(server) if parsed.contains(&server) => self.report(&path, format!("{server} is listed twice")),
                Ok(server) => parsed.push(server),
                Err(reason) => self.report(&path, reason),
            }
        }
        parsed
    }

    fn resolve(&mut self, overrides: &[Override]) {
        for (index, entry) in overrides.iter().enumerate() {
            let path = format!("spec.targetCluster.resolve[{index}]");
            let host = &entry.host;
            let is_host = host.parse::<IpAddr>().is_ok() || check_host(&host.replacen('*', "x", 1)).is_ok();
            if !is_host {
                let message = format!("'{host}' is not a host name; one '*' in it stands for any text");
                self.report(&format!("{path}.host"), message);
            }
            if entry.address.is_unspecified() || entry.address.is_multicast() {
                self.report(&format!("{path}.address"), format!("no broker is at {}", entry.address));
            }
        }
    }

    fn upstream_tls(&mut self, servers: &[HostPort]) -> Option<UpstreamTls> {
        let tls = self.document.resource.spec.target_cluster.tls.as_ref()?;
        let upstream = tls::upstream(self.document, tls, self.problems, self.warnings)?;
        // Envoy takes the name of a server that is found by DNS for what its certificate must hold, and an IP address is
        // no name. A list of IP addresses needs no DNS.
        let overrides = &self.document.resource.spec.target_cluster.resolve;
        let needs_dns = |server: &HostPort| !server.is_ip() && resolve(overrides, &server.host).is_none();
        let mixed = servers.iter().any(HostPort::is_ip) && servers.iter().any(needs_dns);
        if matches!(upstream.verification, Verification::ChainAndName(_)) && mixed {
            self.report(
                "spec.targetCluster.bootstrapServers",
                "has host names beside IP addresses, whose certificates cannot be checked together; use only names or only addresses",
            );
        }
        Some(upstream)
    }

    fn filters(&mut self) {
        for (index, filter) in self.document.resource.spec.filters.iter().enumerate() {
            if !FILTERS.contains(&filter.name.as_str()) {
                let available = if FILTERS.is_empty() { "none".to_owned() } else { FILTERS.join(", ") };
                self.report(
                    &format!("spec.filters[{index}].name"),
                    format!("'{}' is not available in this build; available filters: {available}", filter.name),
                );
            }
        }
    }

    fn limits(&mut self, limits: &Limits) {
        const FRAME_BYTES_MAX: u32 = i32::MAX.unsigned_abs();
        // The module's memory ends at 1 GiB, and what is held is not all that is in it.
        const WORKER_HELD_BYTES_MAX: u32 = 768 << 20;
        for (field, value, low, high) in [
            ("frameBytesMax", limits.frame_bytes_max, 1 << 10, FRAME_BYTES_MAX),
            ("heldBytesMax", limits.held_bytes_max, 1 << 10, FRAME_BYTES_MAX),
            ("workerHeldBytesMax", limits.worker_held_bytes_max, 1 << 10, WORKER_HELD_BYTES_MAX),
            ("inFlightMax", limits.in_flight_max, 1, 1 << 20),
            ("nodeWaitMs", limits.node_wait_ms, 1, 60_000),
        ] {
            if !(low..=high).contains(&value) {
                self.report(
                    &format!("spec.limits.{field}"),
                    format!("{value} is out of range; allowed: {low} to {high}"),
                );
            }
        }
        for (field, value) in
            [("frameBytesMax", limits.frame_bytes_max), ("workerHeldBytesMax", limits.worker_held_bytes_max)]
        {
            if limits.held_bytes_max > value {
                self.report(
                    "spec.limits.heldBytesMax",
                    format!("{} is above {field} {value}; set both to lower them", limits.held_bytes_max),
                );
            }
        }
    }
}
