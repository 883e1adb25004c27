//! Host names of virtual clusters that share a port.

use bifrost_broker_address::{Config, HostPerNode, Target};

use crate::load::Document;
use crate::problem::Problem;
use crate::validate::VirtualCluster;

/// Reports every host name that would lead to two virtual clusters, at the later one. `virtual_clusters` are in the order of
/// `documents`.
pub(crate) fn overlaps(documents: &[Document], virtual_clusters: &[VirtualCluster], problems: &mut Vec<Problem>) {
    let mut earlier: Vec<(&Document, &VirtualCluster, &HostPerNode)> = Vec::new();
    for (document, virtual_cluster) in documents.iter().zip(virtual_clusters) {
        let Config::HostPerNode(hosts) = &virtual_cluster.endpoints else { continue };
        for (other_document, other, other_hosts) in &earlier {
            if (other.bind, other.port) != (virtual_cluster.bind, virtual_cluster.port) {
                continue;
            }
            for (field, other_field, host) in common(hosts, other_hosts) {
                let path = format!("spec.listener.sni.{field}");
                let other_path = format!("spec.listener.sni.{other_field}");
                let message = format!(
                    "'{host}' is a host name of virtual cluster '{}' too ({} {other_path}), on the same port; change one of them",
                    other.name,
                    other_document.place(&other_path)
                );
                problems.push(document.problem(&path, message));
            }
        }
        earlier.push((document, virtual_cluster, hosts));
    }
}

/// Fields of the one and the other that have a host name in common, and the name.
fn common(hosts: &HostPerNode, other: &HostPerNode) -> Vec<(&'static str, &'static str, String)> {
    let mut found = Vec::new();
    match other.target(&hosts.bootstrap_host) {
        Some(Target::Bootstrap) => found.push(("bootstrapHost", "bootstrapHost", hosts.bootstrap_host.clone())),
        Some(Target::Node(_)) => found.push(("bootstrapHost", "nodeHost", hosts.bootstrap_host.clone())),
        None => {}
    }
    if hosts.node_host.node_id(&other.bootstrap_host).is_some() {
        found.push(("nodeHost", "bootstrapHost", other.bootstrap_host.clone()));
    }
    found.extend(hosts.node_host.common_host(&other.node_host).map(|host| ("nodeHost", "nodeHost", host)));
    found
}
