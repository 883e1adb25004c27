//! The whole set of documents, checked: everything that is wrong is reported at once.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

pub use bifrost_broker_address::Config as Endpoints;
use bifrost_broker_address::{Node, Target};
use bifrost_chain::{ClusterIdentityConfig, Override};
use bifrost_core::limits::Limits;

use crate::document::Virtualization;
use crate::host_port::HostPort;
use crate::load::{Document, Loaded};
use crate::problem::Problem;
use crate::target::{self, KafkaCluster, TargetClusters};
use crate::tls::{DownstreamTls, UpstreamTls};
use crate::{endpoints, host_names, overlap, ports, quota, tls, virtualization};

/// Filters that this build can put into a chain besides the address rewriting that is always there.
const FILTERS: &[&str] = &[QUOTA];

const QUOTA: &str = "Quota";

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
    /// Which Kafka cluster the target has to be.
    pub cluster_identity: Option<ClusterIdentityConfig>,
    /// TLS to the brokers.
    pub upstream_tls: Option<UpstreamTls>,
    /// How much may be used; without it, as much as there is.
    pub quota: Option<bifrost_quota::Config>,
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
        bootstrap.chain(nodes.map(|(id, port)| (Target::Node(Node::Id(id)), port)))
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
    let Loaded { documents, target_clusters, mut problems } = loaded;
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
    unique_names(documents.iter().map(|document| (document, &*document.resource.metadata.name)), &mut problems);
    let mut virtual_clusters = Vec::new();
    let mut warnings = Vec::new();
    let targets = TargetClusters::check(&target_clusters, all_read, &mut problems, &mut warnings);
    warnings.extend(target::unused(&target_clusters, &documents));
    let mut uses = Vec::new();
    for document in &documents {
        let mut check = Check { document, targets: &targets, problems: &mut problems, warnings: &mut warnings };
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

/// Reports every name that an earlier document of the same kind has.
pub(crate) fn unique_names<'a, R: 'a>(
    documents: impl Iterator<Item = (&'a Document<R>, &'a str)>,
    problems: &mut Vec<Problem>,
) {
    const PATH: &str = "metadata.name";
    let mut first = HashMap::new();
    for (document, name) in documents {
        match first.get(name) {
            None => {
                first.insert(name, document.place(PATH));
            }
            Some(place) => problems.push(document.problem(PATH, format!("'{name}' is already the name of {place}"))),
        }
    }
}

/// What is wrong with a name that is no DNS label.
pub(crate) fn bad_name<R>(document: &Document<R>, name: &str) -> Option<Problem> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let label =
        (1..=63).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with('-') && !name.ends_with('-');
    let message =
        format!("'{name}' is not a name; use 1 to 63 lower case letters, digits and '-', not at the start or end");
    (!label).then(|| document.problem("metadata.name", message))
}

/// The checks of one document, in the order of its fields.
struct Check<'a> {
    document: &'a Document,
    targets: &'a TargetClusters,
    problems: &'a mut Vec<Problem>,
    warnings: &'a mut Vec<Problem>,
}

impl Check<'_> {
    /// The virtual cluster as far as it makes sense; it is used only when nothing was reported.
    fn virtual_cluster(&mut self) -> VirtualCluster {
        let resource = &self.document.resource;
        let spec = &resource.spec;
        self.problems.extend(bad_name(self.document, &resource.metadata.name));
        let endpoints = endpoints::endpoints(self.document, self.problems);
        let downstream_tls =
            spec.listener.tls.as_ref().and_then(|tls| tls::listener(self.document, tls, self.problems));
        let KafkaCluster { bootstrap_servers, resolve, cluster_identity, upstream_tls } = self.target_cluster();
        if let Some(virtualization) = &spec.virtualization {
            for (path, message) in virtualization::findings(virtualization) {
                self.report(&format!("spec.virtualization.{path}"), message);
            }
        }
        let identifies = downstream_tls.as_ref().is_none_or(|tls| tls.client_principal.is_some());
        let quota = self.filters(identifies && spec.listener.tls.is_some());
        self.limits(&spec.limits);
        VirtualCluster {
            name: resource.metadata.name.clone(),
            bind: spec.listener.bind,
            port: spec.listener.port,
            endpoints,
            downstream_tls,
            bootstrap_servers,
            resolve,
            cluster_identity,
            upstream_tls,
            quota,
            tenancy: spec.virtualization.as_ref().map(Virtualization::tenancy),
            limits: spec.limits.clone(),
        }
    }

    fn report(&mut self, path: &str, message: impl Into<String>) {
        self.problems.push(self.document.problem(path, message.into()));
    }

    fn target_cluster(&mut self) -> KafkaCluster {
        match self.targets.of(self.document, self.problems) {
            Some(named) => named,
            None => {
                let spec = &self.document.resource.spec.target_cluster;
                target::check(self.document, "spec.targetCluster", spec, self.problems, self.warnings)
            }
        }
    }

    /// The configuration of the one filter that there is.
    fn filters(&mut self, identifies: bool) -> Option<bifrost_quota::Config> {
        let mut quota = None;
        for (index, filter) in self.document.resource.spec.filters.iter().enumerate() {
            let path = format!("spec.filters[{index}]");
            if filter.name != QUOTA {
                let message = format!(
                    "'{}' is not available in this build; available filters: {}",
                    filter.name,
                    FILTERS.join(", ")
                );
                self.report(&format!("{path}.name"), message);
            } else if quota.is_some() {
                self.report(&format!("{path}.name"), format!("'{QUOTA}' is in the list already; join the two"));
            } else {
                quota = Some(self.quota(&format!("{path}.config"), identifies));
            }
        }
        quota
    }

    fn quota(&mut self, path: &str, identifies: bool) -> bifrost_quota::Config {
        match self.document.typed(path) {
            Ok(config) => {
                let config: bifrost_quota::Config = config.unwrap_or_default();
                for (below, message) in quota::findings(&config, identifies) {
                    let dot = if below.is_empty() { "" } else { "." };
                    self.report(&format!("{path}{dot}{below}"), message);
                }
                config
            }
            Err(problem) => {
                self.problems.push(problem);
                bifrost_quota::Config::default()
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
            ("nodeRefreshMs", limits.node_refresh_ms, 1_000, 3_600_000),
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
