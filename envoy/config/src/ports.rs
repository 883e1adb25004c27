//! Who listens where, and who is in whose way.

use std::net::{IpAddr, SocketAddr};

use bifrost_broker_address::{Config, NodePortRange};

use crate::load::Document;
use crate::problem::Problem;
use crate::validate::VirtualCluster;

/// Node ports of one virtual cluster. Each is a listening socket of every Envoy worker.
pub(crate) const NODE_PORTS_MAX: u64 = 1000;

/// Ports `first..=last` on `bind`, and the field that asks for them.
pub(crate) struct PortUse<'a> {
    document: &'a Document,
    path: String,
    what: String,
    bind: IpAddr,
    first: u16,
    last: u16,
    /// Others may open it too that tell their clients by host names.
    by_host: bool,
}

/// Port of the range's last node; `None` when it is past 65535 or the range is empty.
pub(crate) fn last_port(range: &NodePortRange) -> Option<u16> {
    let span = range.last_id.checked_sub(range.first_id)?;
    range.first_port.checked_add(u16::try_from(span).ok()?)
}

/// How many ports the ranges take.
pub(crate) fn count(ranges: &[NodePortRange]) -> u64 {
    ranges
        .iter()
        .map(|range| u64::from(range.last_id.abs_diff(range.first_id)).saturating_add(1))
        .fold(0, u64::saturating_add)
}

/// What a virtual cluster listens on. Ranges that validation has refused are left out.
pub(crate) fn uses<'a>(document: &'a Document, virtual_cluster: &VirtualCluster) -> Vec<PortUse<'a>> {
    let bind = virtual_cluster.bind;
    let port = virtual_cluster.port;
    let (slots, node_ports) = match &virtual_cluster.endpoints {
        Config::PortPerNode(ports) => (ports.bootstrap_slots, ports.node_ports.as_slice()),
        Config::HostPerNode(_) => (1, &[][..]),
    };
    let by_host = matches!(virtual_cluster.endpoints, Config::HostPerNode(_));
    let mut uses = Vec::new();
    if port > 0 {
        let last = port.saturating_add(slots.saturating_sub(1));
        let (path, what) = if last == port {
            ("spec.listener.port".to_owned(), format!("port {port}"))
        } else {
            ("spec.listener.bootstrapSlots".to_owned(), format!("ports {port}-{last} for bootstrap"))
        };
        uses.push(PortUse { document, path, what, bind, first: port, last, by_host });
    }
    for range in node_ports {
        let Some(last) = last_port(range) else {
            continue;
        };
        // Ranges may have been left out before this one, so its index is looked up, not counted.
        let listed = document.resource.spec.listener.node_ports.iter().flatten().position(|listed| listed == range);
        let (path, origin) = match listed {
            Some(index) => (format!("spec.listener.nodePorts[{index}]"), ""),
            None if document.resource.spec.listener.max_node_id.is_some() => ("spec.listener.maxNodeId".to_owned(), ""),
            None => ("spec.listener.nodePorts".to_owned(), " (the default)"),
        };
        let what = if range.first_id == range.last_id {
            format!("port {last} of node {}", range.last_id)
        } else {
            format!("ports {}-{last} of nodes {}-{}{origin}", range.first_port, range.first_id, range.last_id)
        };
        uses.push(PortUse { document, path, what, bind, first: range.first_port, last, by_host: false });
    }
    uses
}

/// Reports every pair of uses that cannot both be opened, at the later one.
pub(crate) fn conflicts(uses: &[PortUse<'_>], admin: SocketAddr, problems: &mut Vec<Problem>) {
    let mut later = uses.iter();
    while let Some(one) = later.next() {
        if (one.first..=one.last).contains(&admin.port()) && overlap(one.bind, admin.ip()) {
            let message = format!("conflict between {} and the admin port {}", one.what, admin.port());
            problems.push(one.document.problem(&one.path, message));
        }
        for other in later.clone() {
            let shared = one.by_host && other.by_host && one.bind == other.bind;
            if one.first <= other.last && other.first <= one.last && overlap(one.bind, other.bind) && !shared {
                let owner = if std::ptr::eq(one.document, other.document) {
                    String::new()
                } else {
                    let name = &one.document.resource.metadata.name;
                    format!(" of virtual cluster '{name}' ({})", one.document.place(&one.path))
                };
                let message = format!("conflict between {} and {}{owner}", other.what, one.what);
                problems.push(other.document.problem(&other.path, message));
            }
        }
    }
}

/// Whether a port cannot be opened on both addresses: they are equal, or one stands for the other.
fn overlap(a: IpAddr, b: IpAddr) -> bool {
    let covers = |wide: IpAddr, other: IpAddr| match wide {
        IpAddr::V4(ip) => ip.is_unspecified() && other.is_ipv4(),
        // Rendered as a socket of both families.
        IpAddr::V6(ip) => ip.is_unspecified(),
    };
    a == b || covers(a, b) || covers(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_overlap_when_one_covers_the_other() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (a, b, wanted) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("0.0.0.0", "127.0.0.1", true),
            ("127.0.0.1", "0.0.0.0", true),
            ("0.0.0.0", "::1", false),
            ("::", "127.0.0.1", true),
            ("0.0.0.0", "::", true),
            ("::1", "127.0.0.1", false),
        ] {
            assert_eq!(overlap(ip(a), ip(b)), wanted, "{a} {b}");
        }
    }

    #[test]
    fn a_range_ends_at_port_65535() {
        let range = |last_id, first_port| NodePortRange { first_id: 0, last_id, first_port };
        assert_eq!(last_port(&range(0, 65535)), Some(65535));
        assert_eq!(last_port(&range(1, 65535)), None);
        assert_eq!(last_port(&range(i32::MAX, 1)), None);
        assert_eq!(last_port(&range(-1, 1)), None);
    }
}
