//! What an operator can set: where clients reach the bootstrap address and each node.

use serde::{Deserialize, Serialize};

/// The addresses of one virtual cluster as its clients see them (port per node).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Host name that clients are sent to, for every node.
    pub advertised_host: String,
    /// Port of the bootstrap address. Connections that arrive here may go to any bootstrap server.
    pub bootstrap_port: u16,
    /// Which port belongs to which node id. Ranges overlap neither in ids nor in ports.
    pub node_ports: Vec<NodePortRange>,
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

/// What a port of the gateway stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Any bootstrap server.
    Bootstrap,
    /// The node with this id and no other.
    Node(i32),
}

impl Config {
    /// What `port` stands for, or `None` when it belongs to nothing.
    #[must_use]
    pub fn target(&self, port: u16) -> Option<Target> {
        if port == self.bootstrap_port {
            return Some(Target::Bootstrap);
        }
        self.node_ports.iter().find_map(|range| range.node_id(port)).map(Target::Node)
    }

    /// The port of node `id`, or `None` when no range holds it.
    #[must_use]
    pub fn port(&self, id: i32) -> Option<u16> {
        self.node_ports.iter().find_map(|range| range.port(id))
    }
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

    fn config() -> Config {
        Config {
            advertised_host: "gateway".into(),
            bootstrap_port: 9093,
            node_ports: vec![
                NodePortRange { first_id: 0, last_id: 9, first_port: 9094 },
                NodePortRange { first_id: 1001, last_id: 1003, first_port: 9200 },
            ],
        }
    }

    #[test]
    fn every_port_stands_for_the_node_that_it_is_given_to() {
        let config = config();
        for id in (0..=9).chain(1001..=1003) {
            let port = config.port(id).unwrap();
            assert_eq!(config.target(port), Some(Target::Node(id)));
        }
    }

    #[test]
    fn ids_and_ports_outside_the_ranges_stand_for_nothing() {
        let config = config();
        assert_eq!((config.port(-1), config.port(10), config.port(1004)), (None, None, None));
        assert_eq!((config.target(9104), config.target(9203), config.target(1)), (None, None, None));
        assert_eq!(config.target(9093), Some(Target::Bootstrap));
    }
}
