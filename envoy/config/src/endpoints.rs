//! `spec.listener` without its TLS: which addresses clients use, and what is wrong with them.

use std::net::IpAddr;

use bifrost_broker_address::{
    BadRule, Config, HostPattern, HostPerNode, HostRule, NodeHost, NodePortRange, Part, PortPerNode,
};

use crate::document::{Listener, Sni};
use crate::host_port::check_host;
use crate::load::Document;
use crate::ports;
use crate::problem::Problem;

/// The highest node id that has a port when the document names none: enough for most clusters.
const MAX_NODE_ID: i32 = 99;

/// As many as anybody lists in `bootstrap.servers`; each is a socket of every worker.
const BOOTSTRAP_SLOTS_MAX: u16 = 100;

/// The addresses as far as they make sense; they are used only when nothing was reported.
pub(crate) fn endpoints(document: &Document, problems: &mut Vec<Problem>) -> Config {
    let listener = &document.resource.spec.listener;
    let mut check = Check { document, listener, problems };
    check.common();
    match &listener.sni {
        Some(sni) => Config::HostPerNode(check.host_per_node(sni)),
        None => Config::PortPerNode(check.port_per_node()),
    }
}

struct Check<'a> {
    document: &'a Document,
    listener: &'a Listener,
    problems: &'a mut Vec<Problem>,
}

impl Check<'_> {
    fn report(&mut self, field: &str, message: impl Into<String>) {
        let path = if field.is_empty() { "spec.listener".to_owned() } else { format!("spec.listener.{field}") };
        self.problems.push(self.document.problem(&path, message.into()));
    }

    fn common(&mut self) {
        for (field, port) in [("port", Some(self.listener.port)), ("advertisedPort", self.listener.advertised_port)] {
            if port == Some(0) {
                self.report(field, "must be from 1 to 65535");
            }
        }
        if self.listener.bind.is_multicast() {
            self.report("bind", format!("{} is a multicast address", self.listener.bind));
        }
    }

    fn host_per_node(&mut self, sni: &Sni) -> HostPerNode {
        let Listener { advertised_host, bootstrap_slots, max_node_id, node_ports, tls, .. } = self.listener;
        for (field, is_set) in [
            ("advertisedHost", advertised_host.is_some()),
            ("bootstrapSlots", bootstrap_slots.is_some()),
            ("maxNodeId", max_node_id.is_some()),
            ("nodePorts", node_ports.is_some()),
        ] {
            if is_set {
                self.report(
                    field,
                    "is for a port per node, and sni for one port with a host name per node; remove one of them",
                );
            }
        }
        if tls.is_none() {
            self.report("sni", "needs TLS, because clients say there which host they mean; set spec.listener.tls");
        }
        let bootstrap_host = sni.bootstrap_host.to_ascii_lowercase();
        if let Err(reason) = check_name(&bootstrap_host) {
            self.report("sni.bootstrapHost", reason);
        }
        let node_host = node_host(sni).unwrap_or_else(|(field, reason)| {
            self.report(field, reason);
            NodeHost::default()
        });
        let hosts = HostPerNode {
            bootstrap_host,
            node_host,
            advertised_port: self.listener.advertised_port.unwrap_or(self.listener.port),
        };
        if let NodeHost::ById(pattern) = &hosts.node_host
            && let Some(id) = pattern.node_id(&hosts.bootstrap_host)
        {
            self.report("sni.bootstrapHost", format!("is the host name of node {id} too; change one of them"));
        }
        hosts
    }

    fn port_per_node(&mut self) -> PortPerNode {
        let Listener { port, advertised_port, .. } = *self.listener;
        let mut bootstrap_slots = self.listener.bootstrap_slots.unwrap_or(1);
        if !(1..=BOOTSTRAP_SLOTS_MAX).contains(&bootstrap_slots) {
            self.report(
                "bootstrapSlots",
                format!("{bootstrap_slots} is out of range; allowed: 1 to {BOOTSTRAP_SLOTS_MAX}"),
            );
            bootstrap_slots = 1;
        } else if port.checked_add(bootstrap_slots.saturating_sub(1)).is_none() {
            self.report("bootstrapSlots", format!("{bootstrap_slots} ports from {port} on go past 65535"));
        }
        let node_ports = self.node_ports(bootstrap_slots);
        let ports = PortPerNode {
            advertised_host: self.advertised_host(),
            bootstrap_port: port,
            bootstrap_slots,
            node_ports,
            advertised_offset: i32::from(advertised_port.unwrap_or(port)).saturating_sub(i32::from(port)),
        };
        self.advertised_ports(&ports);
        ports
    }

    fn advertised_host(&mut self) -> String {
        const FIELD: &str = "advertisedHost";
        let Some(host) = &self.listener.advertised_host else {
            self.report(
                "",
                "has neither advertisedHost, for a port per node, nor sni, for a host name per node; set one",
            );
            return String::new();
        };
        match host.parse::<IpAddr>() {
            Ok(ip) if ip.is_unspecified() => self
                .report(FIELD, format!("clients cannot connect to {ip}; write the host name or IP address they use")),
            Ok(_) => {}
            Err(_) => {
                if let Err(reason) = check_host(host) {
                    self.report(FIELD, reason);
                }
            }
        }
        host.clone()
    }

    /// Ports that were moved out of what there is.
    fn advertised_ports(&mut self, ports: &PortPerNode) {
        let last = ports.node_ports.iter().filter_map(ports::last_port);
        let all = ports.node_ports.iter().map(|range| range.first_port).chain(last).chain([ports.bootstrap_port]);
        let gone: Vec<u16> = all.filter(|port| ports.advertised_port(*port).is_none()).collect();
        if let (Some(port), true) = (gone.first(), self.listener.advertised_port.is_some_and(|port| port > 0)) {
            self.report(
                "advertisedPort",
                format!("moves every port by {:+}, and port {port} out of 1 to 65535", ports.advertised_offset),
            );
        }
    }

    fn node_ports(&mut self, bootstrap_slots: u16) -> Vec<NodePortRange> {
        const FIELD: &str = "nodePorts";
        let Some(ranges) = &self.listener.node_ports else { return self.counted_from_0(bootstrap_slots) };
        if self.listener.max_node_id.is_some() {
            self.report("maxNodeId", "means nothing beside nodePorts, which lists the ids; remove one of them");
        }
        if ranges.is_empty() {
            self.report(
                FIELD,
                "at least one range is needed, or clients cannot reach any node; leave it out for nodes 0-99",
            );
        }
        let mut good: Vec<(usize, NodePortRange)> = Vec::new();
        for (index, range) in ranges.iter().enumerate() {
            let path = format!("{FIELD}[{index}]");
            if range.first_id < 0 {
                self.report(&format!("{path}.firstId"), "node ids start at 0");
            } else if range.first_id > range.last_id {
                self.report(
                    &format!("{path}.lastId"),
                    format!("{} is below firstId {}", range.last_id, range.first_id),
                );
            } else if range.first_port == 0 {
                self.report(&format!("{path}.firstPort"), "must be from 1 to 65535");
            } else if ports::last_port(range).is_none() {
                self.report(
                    &path,
                    format!(
                        "nodes {}-{} from port {} on need ports past 65535",
                        range.first_id, range.last_id, range.first_port
                    ),
                );
            } else {
                for (other, earlier) in &good {
                    if range.first_id <= earlier.last_id && earlier.first_id <= range.last_id {
                        self.report(
                            &path,
                            format!(
                                "node ids {}-{} overlap {}-{} of nodePorts[{other}]",
                                range.first_id, range.last_id, earlier.first_id, earlier.last_id
                            ),
                        );
                    }
                }
                good.push((index, *range));
            }
        }
        self.not_too_many(FIELD, good.into_iter().map(|(_, range)| range).collect())
    }

    /// Nodes 0 to `maxNodeId` behind the bootstrap ports.
    fn counted_from_0(&mut self, bootstrap_slots: u16) -> Vec<NodePortRange> {
        const FIELD: &str = "maxNodeId";
        let port = self.listener.port;
        let last_id = self.listener.max_node_id.unwrap_or(MAX_NODE_ID);
        if last_id < 0 {
            self.report(FIELD, "node ids start at 0");
            return Vec::new();
        }
        let range =
            port.checked_add(bootstrap_slots).map(|first_port| NodePortRange { first_id: 0, last_id, first_port });
        match range.filter(|range| ports::last_port(range).is_some()) {
            Some(range) => self.not_too_many(FIELD, vec![range]),
            None if self.listener.max_node_id.is_none() => {
                let nodes = MAX_NODE_ID.saturating_add(1);
                let message = format!(
                    "the default needs {nodes} ports above port {}, past 65535; choose a lower port, a lower maxNodeId, or \
                     set nodePorts",
                    port.saturating_add(bootstrap_slots.saturating_sub(1))
                );
                self.report("nodePorts", message);
                Vec::new()
            }
            None => {
                self.report(FIELD, format!("nodes 0-{last_id} behind port {port} need ports past 65535"));
                Vec::new()
            }
        }
    }

    fn not_too_many(&mut self, field: &str, ranges: Vec<NodePortRange>) -> Vec<NodePortRange> {
        let count = ports::count(&ranges);
        if count > ports::NODE_PORTS_MAX {
            self.report(
                field,
                format!(
                    "{count} node ports; at most {} per virtual cluster, because each is a socket of every worker",
                    ports::NODE_PORTS_MAX
                ),
            );
        }
        ranges
    }
}

/// How nodes are named, or which field is wrong and why.
fn node_host(sni: &Sni) -> Result<NodeHost, (&'static str, String)> {
    const FIELD: &str = "sni.nodeHost";
    let node_host = match &sni.upstream_host {
        None => NodeHost::ById(HostPattern::parse(&sni.node_host).map_err(|reason| {
            let needs = if sni.node_host.contains("$1") { "; $1 needs upstreamHost" } else { "" };
            (FIELD, format!("{reason}{needs}"))
        })?),
        Some(upstream_host) => {
            let rule = HostRule::parse(upstream_host, &sni.node_host).map_err(|bad| match bad {
                BadRule::UpstreamHost(reason) => ("sni.upstreamHost", reason),
                BadRule::Template(reason) => (FIELD, reason),
            })?;
            NodeHost::ByUpstreamHost(rule)
        }
    };
    // The longest id that there can be, and the shortest of what nobody knows yet.
    let piece = |part| match part {
        Part::Text(text) => text,
        Part::Id => i32::MAX.to_string(),
        Part::Group(_) => "x".to_owned(),
    };
    let host: String = node_host.parts().into_iter().map(piece).collect();
    check_name(&host).map_err(|reason| (FIELD, reason))?;
    Ok(node_host)
}

/// A host name that a client can send in a TLS handshake: no IP address (RFC 6066), no underscore (no certificate covers
/// it), no final dot.
fn check_name(host: &str) -> Result<(), String> {
    check_host(host)?;
    if host.parse::<IpAddr>().is_ok() {
        Err(format!("'{host}' is an IP address, which clients do not send as server name; write a host name"))
    } else if host.ends_with('.') {
        Err(format!("'{host}' ends with a dot; remove it"))
    } else if host.contains('_') {
        Err(format!("'{host}' has an underscore, which no certificate covers; use '-'"))
    } else {
        Ok(())
    }
}
