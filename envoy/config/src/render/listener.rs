//! Envoy listeners: sockets, TLS to the clients, and what a connection goes through.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bifrost_broker_address::{HostPerNode, Part};
use serde_json::{Value, json};

use super::cluster::dns_cache;
use super::{
    BUFFER_BYTES, Form, RenderOptions, address, ask_cluster_name, bootstrap_cluster_name, discovery, extend,
    plugin_config, tcp_keepalive, tls,
};
use crate::validate::{Endpoints, Gateway, VirtualCluster};

/// What Envoy takes from a client before the upstream connection stands.
const EARLY_DATA_BYTES: u32 = 64 << 10;

const WASM_TYPE: &str = "type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm";

/// A listener for each virtual cluster that has ports of its own, and one for each port that virtual clusters share.
pub(super) fn listeners(gateway: &Gateway, form: &Form<'_>) -> Result<Vec<Value>, serde_json::Error> {
    let mut listeners = Vec::new();
    let mut shared: BTreeMap<SocketAddr, Vec<(&VirtualCluster, &HostPerNode)>> = BTreeMap::new();
    for virtual_cluster in &gateway.virtual_clusters {
        match &virtual_cluster.endpoints {
            Endpoints::PortPerNode(_) => listeners.push(with_own_ports(virtual_cluster, form)?),
            Endpoints::HostPerNode(hosts) => shared
                .entry(SocketAddr::new(virtual_cluster.bind, virtual_cluster.port))
                .or_default()
                .push((virtual_cluster, hosts)),
        }
    }
    for (socket, virtual_clusters) in shared {
        listeners.push(with_shared_port(socket, &virtual_clusters, form)?);
    }
    for virtual_cluster in &gateway.virtual_clusters {
        listeners.push(without_port(virtual_cluster, form)?);
    }
    Ok(listeners)
}

/// Reached from inside this Envoy only: what the module is told here makes it ask for the nodes.
fn without_port(virtual_cluster: &VirtualCluster, form: &Form<'_>) -> Result<Value, serde_json::Error> {
    let name = ask_cluster_name(virtual_cluster);
    Ok(json!({
        "name": name,
        "stat_prefix": name,
        "internal_listener": {},
        // Without it the module's filter would be made within the module's own call, and modules cannot be entered twice.
        "listener_filters": [{
            "name": "envoy.filters.listener.http_inspector",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector"
            }
        }],
        "filter_chains": [{
            "name": name,
            "filters": [wasm_filter(virtual_cluster, form)?, tcp_proxy_filter(virtual_cluster)]
        }]
    }))
}

/// One socket for each port, all with the same filters: the module tells them apart by the port.
fn with_own_ports(virtual_cluster: &VirtualCluster, form: &Form<'_>) -> Result<Value, serde_json::Error> {
    let more: Vec<Value> = virtual_cluster
        .ports()
        .skip(1)
        .map(|(_, port)| json!({ "address": address(virtual_cluster.bind, port) }))
        .collect();
    Ok(json!({
        "name": virtual_cluster.name,
        "stat_prefix": virtual_cluster.name,
        "address": address(virtual_cluster.bind, virtual_cluster.port),
        "additional_addresses": more,
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "tcp_keepalive": tcp_keepalive(),
        "filter_chains": [filter_chain(virtual_cluster, form)?]
    }))
}

/// One socket; the server name of the TLS handshake chooses the virtual cluster. A connection without a name, or with one
/// that is nobody's, finds no filter chain: Envoy closes and counts it.
fn with_shared_port(
    socket: SocketAddr,
    virtual_clusters: &[(&VirtualCluster, &HostPerNode)],
    form: &Form<'_>,
) -> Result<Value, serde_json::Error> {
    let chains = virtual_clusters.iter().map(|(virtual_cluster, _)| filter_chain(virtual_cluster, form));
    let matchers: Vec<Value> = virtual_clusters
        .iter()
        .map(|(virtual_cluster, hosts)| server_name_matcher(&virtual_cluster.name, hosts))
        .collect();
    Ok(json!({
        "name": socket.to_string(),
        "stat_prefix": socket.to_string(),
        "address": address(socket.ip(), socket.port()),
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "tcp_keepalive": tcp_keepalive(),
        "listener_filters": [{
            "name": "envoy.filters.listener.tls_inspector",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
            }
        }],
        // Not `filter_chain_match`: its names with `*` cannot tell `a-1.example.com` from `b-1.example.com`.
        "filter_chain_matcher": { "matcher_list": { "matchers": matchers } },
        "filter_chains": chains.collect::<Result<Vec<_>, _>>()?
    }))
}

/// Leads the host names of a virtual cluster to its filter chain.
fn server_name_matcher(virtual_cluster: &str, hosts: &HostPerNode) -> Value {
    // Host names are letters, digits, '-' and '.'.
    let literal = |text: &str| text.replace('.', "\\.");
    let piece = |part| match part {
        Part::Text(text) => literal(&text),
        Part::Id => "(0|[1-9][0-9]*)".to_owned(),
        Part::Group(_) => "[a-z0-9.-]*".to_owned(),
    };
    let node: String = hosts.node_host.parts().into_iter().map(piece).collect();
    json!({
        "predicate": {
            "single_predicate": {
                "input": {
                    "name": "server-name",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.ServerNameInput"
                    }
                },
                "value_match": {
                    "safe_regex": { "google_re2": {}, "regex": format!("{}|{node}", literal(&hosts.bootstrap_host)) }
                }
            }
        },
        "on_match": {
            "action": {
                "name": "filter-chain",
                "typed_config": { "@type": "type.googleapis.com/google.protobuf.StringValue", "value": virtual_cluster }
            }
        }
    })
}

fn filter_chain(virtual_cluster: &VirtualCluster, form: &Form<'_>) -> Result<Value, serde_json::Error> {
    let mut chain = json!({
        "name": virtual_cluster.name,
        "filters": [
            wasm_filter(virtual_cluster, form)?,
            node_resolver_filter(virtual_cluster),
            tcp_proxy_filter(virtual_cluster)
        ]
    });
    extend(&mut chain, tls::to_clients(virtual_cluster, form));
    Ok(chain)
}

/// The gateway's module: in place, or a name that Envoy asks for.
fn wasm_filter(virtual_cluster: &VirtualCluster, form: &Form<'_>) -> Result<Value, serde_json::Error> {
    Ok(match form {
        Form::Bootstrap(options) => json!({
            "name": "envoy.filters.network.wasm",
            "typed_config": wasm(virtual_cluster, &virtual_cluster.name, options)?
        }),
        Form::Discovery => json!({
            "name": discovery::filter_name(virtual_cluster),
            "config_discovery": {
                "config_source": discovery::source(),
                "type_urls": [WASM_TYPE]
            }
        }),
    })
}

/// Each virtual cluster has a VM of its own, so that a fault stays with one tenant; a dead VM is replaced, and nothing ever
/// passes unfiltered.
pub(super) fn wasm(
    virtual_cluster: &VirtualCluster,
    vm_id: &str,
    options: &RenderOptions,
) -> Result<Value, serde_json::Error> {
    Ok(json!({
        "@type": WASM_TYPE,
        "config": {
            "name": "bifrost",
            "root_id": "bifrost",
            "failure_policy": "FAIL_RELOAD",
            "reload_config": { "backoff": { "base_interval": "0.1s" } },
            "vm_config": {
                "vm_id": vm_id,
                "runtime": "envoy.wasm.runtime.v8",
                "code": { "local": { "filename": options.module } }
            },
            "configuration": {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": serde_json::to_string(&plugin_config(virtual_cluster))?
            }
        }
    }))
}

/// Resolves the node that the module has named in filter state; does nothing when it has named none.
fn node_resolver_filter(virtual_cluster: &VirtualCluster) -> Value {
    json!({
        "name": "envoy.filters.network.sni_dynamic_forward_proxy",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig",
            // Required by Envoy; the module always names the port.
            "port_value": 9092,
            "dns_cache_config": dns_cache(virtual_cluster)
        }
    })
}

/// Connects to the bootstrap cluster unless the module names another in filter state. The connection waits for
/// the client's first bytes, which is what lets the module choose.
fn tcp_proxy_filter(virtual_cluster: &VirtualCluster) -> Value {
    json!({
        "name": "envoy.filters.network.tcp_proxy",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": virtual_cluster.name,
            "cluster": bootstrap_cluster_name(virtual_cluster),
            "upstream_connect_mode": "ON_DOWNSTREAM_DATA",
            "max_early_data_bytes": EARLY_DATA_BYTES,
            // Every bootstrap server, and once more for those that others have taken their turn from.
            "max_connect_attempts": virtual_cluster.bootstrap_servers.len().saturating_mul(2),
            "backoff_options": { "base_interval": "0.025s", "max_interval": "0.25s" },
            // Kafka closes idle connections itself.
            "idle_timeout": "0s",
            "check_drain_close": true
        }
    })
}
