//! Documents in, a validated gateway out, or every problem on standard error.

use std::fmt::Write as _;

use bifrost_config::certificates::check_files;
use bifrost_config::{Endpoints, Gateway, PortPerNode, Problem, VirtualCluster, load, validate};
use time::OffsetDateTime;

use crate::arguments::Documents;

/// Where the certificates and keys are that documents name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PemFiles {
    /// On this machine: what is wrong with one is a problem of the documents.
    Here,
    /// Perhaps on another machine: a warning will do.
    Elsewhere,
}

/// `None`: the problems have been printed.
pub(crate) fn gateway(documents: &Documents, pem_files: PemFiles) -> Option<Gateway> {
    match read(documents, pem_files) {
        Ok(gateway) => {
            for warning in &gateway.warnings {
                tracing::warn!("{warning}");
            }
            Some(gateway)
        }
        Err(problems) => {
            for problem in &problems {
                eprintln!("{problem}");
            }
            eprintln!("error: {} in the documents", counted(problems.len(), "problem"));
            None
        }
    }
}

/// Everything that the documents say and that can be checked from here.
fn read(documents: &Documents, pem_files: PemFiles) -> Result<Gateway, Vec<Problem>> {
    let mut gateway = validate(load(&documents.files), documents.admin())?;
    let found = check_files(&gateway, OffsetDateTime::now_utc());
    match pem_files {
        PemFiles::Here if !found.is_empty() => return Err(found),
        PemFiles::Here => {}
        PemFiles::Elsewhere => gateway.warnings.extend(found),
    }
    Ok(gateway)
}

/// What one virtual cluster offers, a few indented lines.
pub(crate) fn describe(virtual_cluster: &VirtualCluster) -> String {
    let servers: Vec<String> = virtual_cluster.bootstrap_servers.iter().map(ToString::to_string).collect();
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "  {}", virtual_cluster.name);
    let _ = writeln!(text, "    clients  bootstrap.servers={}", virtual_cluster.advertised());
    let bind = virtual_cluster.bind;
    let _ = match &virtual_cluster.endpoints {
        Endpoints::PortPerNode(ports) => writeln!(text, "    ports    {} on {bind}", port_list(ports)),
        Endpoints::HostPerNode(hosts) => {
            let port = virtual_cluster.port;
            writeln!(text, "    nodes    {}:{}, port {port} on {bind}", hosts.node_host, hosts.advertised_port)
        }
    };
    let _ = writeln!(text, "    target   {}", servers.join(", "));
    text
}

/// Ports and what each is for.
fn port_list(ports: &PortPerNode) -> String {
    let span = |first: u16, more: u32| match more {
        0 => first.to_string(),
        more => format!("{first}-{}", u32::from(first).saturating_add(more)),
    };
    let mut list =
        format!("{} (bootstrap)", span(ports.bootstrap_port, u32::from(ports.bootstrap_slots).saturating_sub(1)));
    for range in &ports.node_ports {
        let more = range.last_id.abs_diff(range.first_id);
        let nodes = match more {
            0 => format!("node {}", range.first_id),
            _ => format!("nodes {}-{}", range.first_id, range.last_id),
        };
        // Writing to a string cannot fail.
        let _ = write!(list, ", {} ({nodes})", span(range.first_port, more));
    }
    list
}

/// `1 problem`, `2 problems`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
