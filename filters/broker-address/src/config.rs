//! What an operator can set: where clients reach the bootstrap address and each node.

use core::fmt;
use std::borrow::Cow;
use std::rc::Rc;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::pattern::HostPattern;
use crate::rule::{HostRule, Part};

/// The addresses of one virtual cluster as its clients see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Config {
    /// One host, a port for each node.
    PortPerNode(PortPerNode),
    /// One port, a host name for each node, told apart by the server name of the TLS handshake (SNI).
    HostPerNode(HostPerNode),
}

/// One host, a port for each node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortPerNode {
    /// Host name that clients are sent to, for every node.
    pub advertised_host: String,
    /// First port of the bootstrap address. Connections that arrive here may go to any bootstrap server.
    pub bootstrap_port: u16,
    /// How many ports from `bootstrap_port` upwards are bootstrap addresses; at least 1.
    #[serde(default = "one")]
    pub bootstrap_slots: u16,
    /// Which port belongs to which node id. Ranges overlap neither in ids nor in ports.
    pub node_ports: Vec<NodePortRange>,
    /// What clients have to add to a port of ours, where something before the gateway moves ports.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub advertised_offset: i32,
}

/// One port, a host name for each node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostPerNode {
    /// Name of the bootstrap address. Connections to it may go to any bootstrap server.
    pub bootstrap_host: String,
    /// Names of the nodes.
    pub node_host: NodeHost,
    /// The port that clients are sent to.
    pub advertised_port: u16,
}

/// How nodes are named: a text, or a mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum NodeHost {
    /// By their ids.
    ById(HostPattern),
    /// By the names that their brokers advertise.
    ByUpstreamHost(HostRule),
}

/// A pattern that is not there yet.
impl Default for NodeHost {
    fn default() -> Self {
        NodeHost::ById(HostPattern::default())
    }
}

impl NodeHost {
    /// The pieces of every name.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        match self {
            NodeHost::ById(pattern) => {
                let (prefix, suffix) = pattern.parts();
                vec![Part::Text(prefix.to_owned()), Part::Id, Part::Text(suffix.to_owned())]
            }
            NodeHost::ByUpstreamHost(rule) => rule.parts().to_vec(),
        }
    }
}

/// Says what is wrong with the one that it is, which serde's untagged enums do not.
impl<'de> Deserialize<'de> for NodeHost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = NodeHost;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a host pattern, or upstreamHost and template")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<NodeHost, E> {
                HostPattern::parse(text).map(NodeHost::ById).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<NodeHost, A::Error> {
                HostRule::deserialize(MapAccessDeserializer::new(fields)).map(NodeHost::ByUpstreamHost)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl fmt::Display for NodeHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeHost::ById(pattern) => pattern.fmt(f),
            NodeHost::ByUpstreamHost(rule) => rule.fmt(f),
        }
    }
}

/// Node ids `first_id..=last_id` on the ports from `first_port` upwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodePortRange {
    /// Lowest node id, at least 0.
    pub first_id: i32,
    /// Highest node id, at least `first_id`.
    pub last_id: i32,
    /// Port of `first_id`; the port of `last_id` may not exceed 65535.
    pub first_port: u16,
}

/// Where a client's connection has arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// The port of the gateway.
    pub port: u16,
    /// The server name of the TLS handshake; empty without one.
    pub server_name: String,
}

/// What an address of the gateway stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Any bootstrap server.
    Bootstrap,
    /// This node and no other.
    Node(Node),
}

/// A node as a client means it. Displays as in "node 3" or "node 'b-3.example.com'".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// The one with this id.
    Id(i32),
    /// The one that has this host name, in lower case, because of what its broker advertises.
    Host(Rc<str>),
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Id(id) => id.fmt(f),
            Node::Host(host) => write!(f, "'{host}'"),
        }
    }
}

/// The address of a node that clients are sent to. Displays as `host:port`, an IPv6 address in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised<'a> {
    /// Host name or IP address.
    pub host: Cow<'a, str>,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for Advertised<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Advertised { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl Config {
    /// What the address of a connection stands for, or `None` when it belongs to nothing.
    #[must_use]
    pub fn target(&self, arrival: &Arrival) -> Option<Target> {
        match self {
            Config::PortPerNode(ports) => ports.target(arrival.port),
            Config::HostPerNode(hosts) => hosts.target(&arrival.server_name),
        }
    }

    /// Where clients reach node `id`, whose broker advertises `upstream_host`, or `None` when they cannot.
    #[must_use]
    pub fn advertised(&self, id: i32, upstream_host: &str) -> Option<Advertised<'_>> {
        match self {
            Config::PortPerNode(ports) => {
                let host = Cow::Borrowed(ports.advertised_host.as_str());
                Some(Advertised { host, port: ports.advertised_port(ports.port(id)?)? })
            }
            Config::HostPerNode(hosts) => {
                let host = Cow::Owned(hosts.host(id, upstream_host)?);
                Some(Advertised { host, port: hosts.advertised_port })
            }
        }
    }

    /// The names of nodes, where they come from what brokers advertise.
    pub(crate) fn named(&self) -> Option<&HostPerNode> {
        match self {
            Config::HostPerNode(hosts) if matches!(hosts.node_host, NodeHost::ByUpstreamHost(_)) => Some(hosts),
            Config::HostPerNode(_) | Config::PortPerNode(_) => None,
        }
    }
}

impl PortPerNode {
    fn target(&self, port: u16) -> Option<Target> {
        if port.checked_sub(self.bootstrap_port).is_some_and(|slot| slot < self.bootstrap_slots) {
            return Some(Target::Bootstrap);
        }
        self.node_ports.iter().find_map(|range| range.node_id(port)).map(|id| Target::Node(Node::Id(id)))
    }

    /// The port of node `id`, or `None` when no range holds it.
    #[must_use]
    pub fn port(&self, id: i32) -> Option<u16> {
        self.node_ports.iter().find_map(|range| range.port(id))
    }

    /// What clients are told for a port of ours; `None` when there is no such port.
    #[must_use]
    pub fn advertised_port(&self, port: u16) -> Option<u16> {
        let port = i32::from(port).checked_add(self.advertised_offset)?;
        u16::try_from(port).ok().filter(|port| *port > 0)
    }
}

impl HostPerNode {
    /// What the host name stands for, or `None` when it belongs to nothing.
    #[must_use]
    pub fn target(&self, host: &str) -> Option<Target> {
        if host.eq_ignore_ascii_case(&self.bootstrap_host) {
            return Some(Target::Bootstrap);
        }
        let node = match &self.node_host {
            NodeHost::ById(pattern) => Node::Id(pattern.node_id(host)?),
            NodeHost::ByUpstreamHost(_) if host.is_empty() => return None,
            // Which names there are is known when it is looked for.
            NodeHost::ByUpstreamHost(_) => Node::Host(host.to_ascii_lowercase().into()),
        };
        Some(Target::Node(node))
    }

    /// The host name of node `id`, whose broker advertises `upstream_host`.
    #[must_use]
    pub fn host(&self, id: i32, upstream_host: &str) -> Option<String> {
        match &self.node_host {
            NodeHost::ById(pattern) => (id >= 0).then(|| pattern.host(id)),
            NodeHost::ByUpstreamHost(rule) => {
                rule.host(id, upstream_host).filter(|host| !host.eq_ignore_ascii_case(&self.bootstrap_host))
            }
        }
    }
}

fn one() -> u16 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(offset: &i32) -> bool {
    *offset == 0
}

impl NodePortRange {
    fn port(&self, id: i32) -> Option<u16> {
        if id < self.first_id || id > self.last_id {
            return None;
        }
        let offset = u16::try_from(id.checked_sub(self.first_id)?).ok()?;
        self.first_port.checked_add(offset)
    }

    fn node_id(&self, port: u16) -> Option<i32> {
        let id = self.first_id.checked_add(i32::from(port.checked_sub(self.first_port)?))?;
        (id <= self.last_id).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports() -> PortPerNode {
        PortPerNode {
            advertised_host: "gateway".into(),
            bootstrap_port: 9090,
            bootstrap_slots: 4,
            node_ports: vec![
                NodePortRange { first_id: 0, last_id: 9, first_port: 9094 },
                NodePortRange { first_id: 1001, last_id: 1003, first_port: 9200 },
            ],
            advertised_offset: 0,
        }
    }

    fn hosts() -> Config {
        Config::HostPerNode(HostPerNode {
            bootstrap_host: "bootstrap.orders.test".into(),
            node_host: NodeHost::ById(HostPattern::parse("broker-$(nodeId).orders.test").unwrap()),
            advertised_port: 443,
        })
    }

    fn port(port: u16) -> Arrival {
        Arrival { port, ..Arrival::default() }
    }

    fn name(server_name: &str) -> Arrival {
        Arrival { port: 9093, server_name: server_name.to_owned() }
    }

    #[test]
    fn every_port_stands_for_the_node_that_it_is_given_to() {
        let config = Config::PortPerNode(ports());
        for id in (0..=9).chain(1001..=1003) {
            let advertised = config.advertised(id, "b").unwrap();
            assert_eq!(advertised.host, "gateway");
            assert_eq!(config.target(&port(advertised.port)), Some(Target::Node(Node::Id(id))));
        }
    }

    #[test]
    fn ids_and_ports_outside_the_ranges_stand_for_nothing() {
        let config = Config::PortPerNode(ports());
        for id in [-1, 10, 1000, 1004, i32::MAX, i32::MIN] {
            assert_eq!(config.advertised(id, "b"), None, "{id}");
        }
        for outside in [9104, 9203, 9199, 9089, 1] {
            assert_eq!(config.target(&port(outside)), None, "{outside}");
        }
        for bootstrap in 9090..=9093 {
            assert_eq!(config.target(&port(bootstrap)), Some(Target::Bootstrap));
        }
    }

    #[test]
    fn clients_are_told_ports_that_something_before_the_gateway_has_moved() {
        for (offset, told) in
            [(0, Some(9094)), (10_000, Some(19_094)), (-9000, Some(94)), (60_000, None), (-9094, None)]
        {
            let config = Config::PortPerNode(PortPerNode { advertised_offset: offset, ..ports() });
            assert_eq!(config.advertised(0, "b").map(|advertised| advertised.port), told, "{offset}");
            assert_eq!(config.target(&port(9094)), Some(Target::Node(Node::Id(0))), "arrivals are on our own port");
        }
    }

    #[test]
    fn every_host_stands_for_the_node_that_it_is_given_to() {
        let config = hosts();
        for id in [0, 7, 1001, i32::MAX] {
            let advertised = config.advertised(id, "b").unwrap();
            assert_eq!(advertised.port, 443);
            assert_eq!(config.target(&name(&advertised.host)), Some(Target::Node(Node::Id(id))));
        }
        assert_eq!(config.target(&name("Bootstrap.Orders.test")), Some(Target::Bootstrap));
        assert_eq!(config.advertised(-1, "b"), None);
    }

    #[test]
    fn unknown_hosts_stand_for_nothing() {
        for host in ["", "orders.test", "bootstrap.payments.test", "broker-x.orders.test", "broker-1.orders.test.evil"]
        {
            assert_eq!(hosts().target(&name(host)), None, "{host}");
        }
    }

    #[test]
    fn an_address_is_written_as_kafka_writes_it() {
        let address = |host: &'static str| Advertised { host: host.into(), port: 1 }.to_string();
        assert_eq!((address("gw").as_str(), address("::1").as_str()), ("gw:1", "[::1]:1"));
    }
}
