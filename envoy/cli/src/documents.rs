//! Documents in, a validated gateway out, or every problem on standard error.

use std::fmt::Write as _;

use bifrost_config::{Gateway, VirtualCluster, load, validate};

use crate::arguments::Documents;

/// `None`: the problems have been printed.
pub(crate) fn gateway(documents: &Documents) -> Option<Gateway> {
    match validate(load(&documents.files), documents.admin()) {
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

/// What one virtual cluster offers, a few indented lines.
pub(crate) fn describe(virtual_cluster: &VirtualCluster) -> String {
    let ports: Vec<String> = virtual_cluster
        .node_ports
        .iter()
        .map(|range| {
            let nodes = range.last_id.abs_diff(range.first_id);
            let last_port = u32::from(range.first_port).saturating_add(nodes);
            if nodes == 0 {
                format!("{} (node {})", range.first_port, range.first_id)
            } else {
                format!("{}-{last_port} (nodes {}-{})", range.first_port, range.first_id, range.last_id)
            }
        })
        .collect();
    let servers: Vec<String> = virtual_cluster.bootstrap_servers.iter().map(ToString::to_string).collect();
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "  {}", virtual_cluster.name);
    let _ = writeln!(text, "    clients  bootstrap.servers={}", virtual_cluster.advertised());
    let _ = writeln!(
        text,
        "    ports    {} (bootstrap), {} on {}",
        virtual_cluster.port,
        ports.join(", "),
        virtual_cluster.bind
    );
    let _ = writeln!(text, "    target   {}", servers.join(", "));
    text
}

/// `1 problem`, `2 problems`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
