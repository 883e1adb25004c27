//! The names that the certificate of a virtual cluster needs.

use std::net::IpAddr;

use crate::document::{KafkaVirtualCluster, Listener};

/// Stands for the node id in a host pattern, as in `broker-$(nodeId).orders.kafka.example.com`.
pub const NODE_ID: &str = "$(nodeId)";

/// Every name by which clients reach the virtual cluster, in the order of the document, none twice. A host pattern with
/// a variable (`$(nodeId)`, `$1`) in its first label needs a wildcard: `*.orders.kafka.example.com`.
///
/// The document need not be valid as a whole: what is no name in it is no name here.
pub fn names(resource: &KafkaVirtualCluster) -> Vec<String> {
    let mut names = Vec::new();
    for pattern in host_patterns(&resource.spec.listener) {
        let name = certificate_name(pattern);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Hosts and host patterns of the listener.
fn host_patterns(listener: &Listener) -> impl Iterator<Item = &str> {
    let sni = listener.sni.iter().flat_map(|sni| [sni.bootstrap_host.as_str(), sni.node_host.as_str()]);
    listener.advertised_host.as_deref().into_iter().chain(sni)
}

/// What a certificate has to hold for all hosts of the pattern. A wildcard stands for the whole first label and only for
/// that, wherever the variable is in it; one in another label cannot be covered and stays as it is.
fn certificate_name(pattern: &str) -> String {
    if let Ok(ip) = pattern.parse::<IpAddr>() {
        return ip.to_string();
    }
    let pattern = pattern.strip_suffix('.').unwrap_or(pattern).to_ascii_lowercase();
    match pattern.split_once('.') {
        Some((label, parent)) if has_variable(label) => format!("*.{parent}"),
        _ => pattern,
    }
}

/// Whether the text is no host name but stands for several: none has a `$`.
pub fn has_variable(text: &str) -> bool {
    text.contains('$')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::parse;

    #[test]
    fn a_node_id_in_the_first_label_becomes_a_wildcard() {
        for (pattern, wanted) in [
            ("broker-$(nodeId).orders.kafka.example.com", "*.orders.kafka.example.com"),
            ("$(nodeId).Orders.example.com.", "*.orders.example.com"),
            ("b$(nodeId)-eu.example.com", "*.example.com"),
            ("Kafka.Example.com.", "kafka.example.com"),
            ("10.0.0.1", "10.0.0.1"),
            ("0:0:0:0:0:0:0:1", "::1"),
            ("b$(NODEID).example.com", "*.example.com"),
            ("$2-$1.example.com", "*.example.com"),
            ("kafka.$1.example.com", "kafka.$1.example.com"),
            ("kafka.$(nodeId).example.com", "kafka.$(nodeid).example.com"),
            ("broker-$(nodeId)", "broker-$(nodeid)"),
        ] {
            assert_eq!(certificate_name(pattern), wanted, "{pattern}");
        }
    }

    #[test]
    fn the_advertised_host_is_a_name() {
        let text = "apiVersion: gateway.corp/v1alpha1\n\
                    kind: KafkaVirtualCluster\n\
                    metadata: { name: orders }\n\
                    spec:\n\
                    \x20 listener: { port: 9093, advertisedHost: Orders.Kafka.Example.com }\n\
                    \x20 targetCluster: { bootstrapServers: \"broker:9092\" }\n";
        let loaded = parse("gateway.yaml".as_ref(), text, &|_| None);
        assert_eq!(loaded.problems, []);
        assert_eq!(names(&loaded.documents[0].resource), ["orders.kafka.example.com"]);
    }
}
