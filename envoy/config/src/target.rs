//! Target clusters: what documents say of the Kafka clusters behind the gateway, in place or by reference.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use bifrost_chain::{ClusterIdentityConfig, Override, resolve};

use crate::document::{BootstrapServers, KafkaTargetCluster, TargetCluster};
use crate::host_port::{HostPort, check_host};
use crate::load::Document;
use crate::problem::Problem;
use crate::tls::{self, UpstreamTls, Verification};
use crate::validate::{bad_name, unique_names};
use crate::virtualization;

/// A Kafka cluster behind the gateway, as far as it makes sense; it is used only when nothing was reported.
#[derive(Clone, Debug, Default)]
pub(crate) struct KafkaCluster {
    pub(crate) bootstrap_servers: Vec<HostPort>,
    pub(crate) resolve: Vec<Override>,
    pub(crate) cluster_identity: Option<ClusterIdentityConfig>,
    pub(crate) upstream_tls: Option<UpstreamTls>,
}

/// Those that have documents of their own.
#[derive(Debug)]
pub(crate) struct TargetClusters {
    by_name: BTreeMap<String, KafkaCluster>,
    /// None is missing because its document could not be read.
    all_read: bool,
}

impl TargetClusters {
    /// Checks each once, however many refer to it.
    pub(crate) fn check(
        documents: &[Document<KafkaTargetCluster>],
        all_read: bool,
        problems: &mut Vec<Problem>,
        warnings: &mut Vec<Problem>,
    ) -> TargetClusters {
        unique_names(documents.iter().map(|document| (document, &*document.resource.metadata.name)), problems);
        let mut by_name = BTreeMap::new();
        for document in documents {
            let KafkaTargetCluster { metadata, spec, .. } = &document.resource;
            problems.extend(bad_name(document, &metadata.name));
            if spec.reference.is_some() {
                let message = "is for virtual clusters; write here what the target cluster is";
                problems.push(document.problem("spec.ref", message.to_owned()));
            }
            by_name.insert(metadata.name.clone(), check(document, "spec", spec, problems, warnings));
        }
        TargetClusters { by_name, all_read }
    }

    /// The one that a virtual cluster refers to; `None` when it refers to none.
    pub(crate) fn of(&self, document: &Document, problems: &mut Vec<Problem>) -> Option<KafkaCluster> {
        let TargetCluster { reference, bootstrap_servers, cluster_id, resolve, tls } =
            &document.resource.spec.target_cluster;
        let name = reference.as_ref()?;
        let mut report = |field: &str, message: String| {
            problems.push(document.problem(&format!("spec.targetCluster.{field}"), message));
        };
        for (field, is_set) in [
            ("bootstrapServers", bootstrap_servers.is_some()),
            ("clusterId", cluster_id.is_some()),
            ("resolve", !resolve.is_empty()),
            ("tls", tls.is_some()),
        ] {
            if is_set {
                report(
                    field,
                    format!("stands beside ref, where KafkaTargetCluster '{name}' says it; remove one of them"),
                );
            }
        }
        let found = self.by_name.get(name);
        if found.is_none() && self.all_read {
            let names: Vec<&str> = self.by_name.keys().map(String::as_str).collect();
            let others = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            report("ref", format!("no KafkaTargetCluster has the name '{name}'; the documents have: {others}"));
        }
        Some(found.cloned().unwrap_or_default())
    }
}

/// A warning for each target cluster that no virtual cluster refers to.
pub(crate) fn unused(targets: &[Document<KafkaTargetCluster>], virtual_clusters: &[Document]) -> Vec<Problem> {
    let used: HashSet<&str> = virtual_clusters
        .iter()
        .filter_map(|document| document.resource.spec.target_cluster.reference.as_deref())
        .collect();
    let unused = targets.iter().filter(|document| !used.contains(&*document.resource.metadata.name));
    unused.map(|document| document.problem("metadata.name", "no virtual cluster refers to it".to_owned())).collect()
}

/// Checks what `document` says of a target cluster at `base`.
pub(crate) fn check<R>(
    document: &Document<R>,
    base: &str,
    spec: &TargetCluster,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) -> KafkaCluster {
    Check { document, base, spec, problems, warnings }.kafka_cluster()
}

struct Check<'a, R> {
    document: &'a Document<R>,
    base: &'a str,
    spec: &'a TargetCluster,
    problems: &'a mut Vec<Problem>,
    warnings: &'a mut Vec<Problem>,
}

impl<R> Check<'_, R> {
    fn kafka_cluster(&mut self) -> KafkaCluster {
        let bootstrap_servers = self.bootstrap_servers();
        let cluster_identity = self.cluster_identity();
        self.resolve();
        let upstream_tls = self.upstream_tls(&bootstrap_servers);
        KafkaCluster { bootstrap_servers, resolve: self.spec.resolve.clone(), cluster_identity, upstream_tls }
    }

    fn report(&mut self, field: &str, message: impl Into<String>) {
        self.problems.push(self.document.problem(&format!("{}.{field}", self.base), message.into()));
    }

    fn bootstrap_servers(&mut self) -> Vec<HostPort> {
        const FIELD: &str = "bootstrapServers";
        let texts: Vec<(String, &str)> = match &self.spec.bootstrap_servers {
            None => {
                let or = if self.base == "spec" { "" } else { "; or set ref to the name of a KafkaTargetCluster" };
                self.report(FIELD, format!("this field is required{or}"));
                return Vec::new();
            }
            Some(BootstrapServers::Text(text)) if text.trim().is_empty() => Vec::new(),
            Some(BootstrapServers::Text(text)) => {
                text.split(',').map(|server| (FIELD.to_owned(), server.trim())).collect()
            }
            Some(BootstrapServers::List(list)) => {
                list.iter().enumerate().map(|(index, server)| (format!("{FIELD}[{index}]"), server.trim())).collect()
            }
        };
        if texts.is_empty() {
            self.report(FIELD, "at least one host:port is needed");
        }
        let mut parsed = Vec::new();
        for (field, text) in texts {
            match HostPort::parse(text) {
                Ok(server) if parsed.contains(&server) => self.report(&field, format!("{server} is listed twice")),
                Ok(server) => parsed.push(server),
                Err(reason) => self.report(&field, reason),
            }
        }
        parsed
    }

    fn cluster_identity(&mut self) -> Option<ClusterIdentityConfig> {
        let cluster_id = self.spec.cluster_id.clone()?;
        for (field, message) in virtualization::cluster_id_findings(&cluster_id, "leave it out to take any cluster") {
            self.report(&field, message);
        }
        Some(ClusterIdentityConfig { cluster_id })
    }

    fn resolve(&mut self) {
        for (index, entry) in self.spec.resolve.iter().enumerate() {
            let field = format!("resolve[{index}]");
            let host = &entry.host;
            let is_host = host.parse::<IpAddr>().is_ok() || check_host(&host.replacen('*', "x", 1)).is_ok();
            if !is_host {
                let message = format!("'{host}' is not a host name; one '*' in it stands for any text");
                self.report(&format!("{field}.host"), message);
            }
            if entry.address.is_unspecified() || entry.address.is_multicast() {
                self.report(&format!("{field}.address"), format!("no broker is at {}", entry.address));
            }
        }
    }

    fn upstream_tls(&mut self, servers: &[HostPort]) -> Option<UpstreamTls> {
        let tls = self.spec.tls.as_ref()?;
        let upstream = tls::upstream(self.document, self.base, tls, self.problems, self.warnings)?;
        // Envoy takes the name of a server that is found by DNS for what its certificate must hold, and an IP address is
        // no name. A list of IP addresses needs no DNS.
        let needs_dns = |server: &HostPort| !server.is_ip() && resolve(&self.spec.resolve, &server.host).is_none();
        let mixed = servers.iter().any(HostPort::is_ip) && servers.iter().any(needs_dns);
        if matches!(upstream.verification, Verification::ChainAndName(_)) && mixed {
            self.report(
                "bootstrapServers",
                "has host names beside IP addresses, whose certificates cannot be checked together; use only names or only addresses",
            );
        }
        Some(upstream)
    }
}
