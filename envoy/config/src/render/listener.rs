//! Envoy listeners: sockets, TLS to the clients, and what a connection goes through.

use serde_json::{Value, json};

use super::cluster::dns_cache;
use super::{BUFFER_BYTES, RenderOptions, address, bootstrap_cluster_name, extend, plugin_config, tcp_keepalive, tls};
use crate::validate::VirtualCluster;

/// What Envoy takes from a client before the upstream connection stands.
const EARLY_DATA_BYTES: u32 = 64 << 10;

/// One socket for the bootstrap port and one for each node, all with the same filters: the module tells them
/// apart by the port.
pub(super) fn listener(virtual_cluster: &VirtualCluster, options: &RenderOptions) -> Result<Value, serde_json::Error> {
    let node_addresses: Vec<Value> =
        virtual_cluster.nodes().map(|(_, port)| json!({ "address": address(virtual_cluster.bind, port) })).collect();
    Ok(json!({
        "name": virtual_cluster.name,
        "stat_prefix": virtual_cluster.name,
        "address": address(virtual_cluster.bind, virtual_cluster.port),
        "additional_addresses": node_addresses,
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "tcp_keepalive": tcp_keepalive(),
        "filter_chains": [filter_chain(virtual_cluster, options)?]
    }))
}

fn filter_chain(virtual_cluster: &VirtualCluster, options: &RenderOptions) -> Result<Value, serde_json::Error> {
    let mut chain = json!({
        "filters": [
            wasm_filter(virtual_cluster, options)?,
            node_resolver_filter(virtual_cluster),
            tcp_proxy_filter(virtual_cluster)
        ]
    });
    extend(&mut chain, tls::to_clients(virtual_cluster, options));
    Ok(chain)
}

/// The gateway's module. Each virtual cluster has a VM of its own, so that a fault stays with one tenant; a dead
/// VM is replaced, and nothing ever passes unfiltered.
fn wasm_filter(virtual_cluster: &VirtualCluster, options: &RenderOptions) -> Result<Value, serde_json::Error> {
    Ok(json!({
        "name": "envoy.filters.network.wasm",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm",
            "config": {
                "name": "bifrost",
                "root_id": "bifrost",
                "failure_policy": "FAIL_RELOAD",
                "reload_config": { "backoff": { "base_interval": "0.1s" } },
                "vm_config": {
                    "vm_id": virtual_cluster.name,
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": { "local": { "filename": options.module } }
                },
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": serde_json::to_string(&plugin_config(virtual_cluster))?
                }
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
