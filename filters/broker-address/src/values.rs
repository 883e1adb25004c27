//! Addresses that hide in configuration values: DescribeConfigs of a broker shows its listeners and the quorum.

use crate::config::Advertised;

/// DescribeConfigs resource type of brokers (ConfigResource.Type.BROKER).
pub(crate) const BROKER_RESOURCE: i64 = 4;

/// Where clients reach a node.
pub(crate) type Reached<'a, 'c> = &'a dyn Fn(i32) -> Option<Advertised<'c>>;

/// The value that a client is shown for `name` of broker `node_id` (`None`: the cluster-wide default), or `None` when
/// the value holds no address and stays.
pub(crate) fn shown(at: Reached<'_, '_>, name: &str, node_id: Option<i32>, value: &str) -> Option<String> {
    match name {
        "listeners" | "advertised.listeners" => Some(listeners(at, node_id, value)),
        "controller.quorum.voters" => Some(voters(at, value)),
        // These name no node id, so there is nothing to put in the place of their addresses.
        "controller.quorum.bootstrap.servers" | "zookeeper.connect" => Some(String::new()),
        // Kafka before 3.0.
        "host.name" | "advertised.host.name" => {
            Some(node_id.and_then(at).map_or_else(String::new, |address| address.host.into_owned()))
        }
        "port" | "advertised.port" => {
            Some(node_id.and_then(at).map_or_else(String::new, |address| address.port.to_string()))
        }
        _ => None,
    }
}

/// `NAME://host:port,...` with the node's virtual address under every listener name.
fn listeners(at: Reached<'_, '_>, node_id: Option<i32>, value: &str) -> String {
    let Some(address) = node_id.and_then(at) else { return String::new() };
    let names = value.split(',').filter_map(|listener| listener.trim().split_once("://"));
    let shown = names.map(|(name, _)| format!("{name}://{address}"));
    shown.collect::<Vec<_>>().join(",")
}

/// `id@host:port,...` with virtual addresses; voters whose id has no port are left out.
fn voters(at: Reached<'_, '_>, value: &str) -> String {
    let ids = value.split(',').filter_map(|voter| voter.trim().split_once('@')?.0.parse().ok());
    let shown = ids.filter_map(|id: i32| Some(format!("{id}@{}", at(id)?)));
    shown.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, NodePortRange, PortPerNode};

    fn config() -> Config {
        Config::PortPerNode(PortPerNode {
            advertised_host: "gw".into(),
            bootstrap_port: 9093,
            bootstrap_slots: 1,
            node_ports: vec![NodePortRange { first_id: 0, last_id: 2, first_port: 9094 }],
            advertised_offset: 0,
        })
    }

    fn shown(config: &Config, name: &str, node_id: Option<i32>, value: &str) -> Option<String> {
        super::shown(&|id| config.advertised(id, ""), name, node_id, value)
    }

    #[test]
    fn listener_names_stay_and_addresses_go() {
        let value = "PLAINTEXT://10.0.0.1:9092,CONTROLLER://10.0.0.1:9093";
        let shown = shown(&config(), "advertised.listeners", Some(1), value);
        assert_eq!(shown.as_deref(), Some("PLAINTEXT://gw:9095,CONTROLLER://gw:9095"));
    }

    #[test]
    fn a_broker_without_a_port_shows_no_listener() {
        assert_eq!(shown(&config(), "listeners", Some(7), "PLAINTEXT://10.0.0.1:9092").as_deref(), Some(""));
        assert_eq!(shown(&config(), "listeners", None, "PLAINTEXT://10.0.0.1:9092").as_deref(), Some(""));
    }

    #[test]
    fn quorum_voters_are_shown_where_clients_reach_them() {
        let shown = shown(&config(), "controller.quorum.voters", Some(1), "0@10.0.0.1:9093,9@10.0.0.9:9093");
        assert_eq!(shown.as_deref(), Some("0@gw:9094"));
    }

    #[test]
    fn hosts_and_ports_of_old_brokers_are_those_of_the_node() {
        assert_eq!(shown(&config(), "host.name", Some(1), "10.0.0.1").as_deref(), Some("gw"));
        assert_eq!(shown(&config(), "advertised.port", Some(1), "9092").as_deref(), Some("9095"));
        assert_eq!(shown(&config(), "host.name", None, "10.0.0.1").as_deref(), Some(""));
    }

    #[test]
    fn other_values_stay() {
        assert_eq!(shown(&config(), "log.retention.ms", Some(1), "1"), None);
    }
}
