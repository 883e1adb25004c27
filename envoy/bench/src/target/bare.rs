//! Bare Envoy, what everything is compared with, and Envoy with a filter that does next to nothing.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{Floor, Relay};

/// What bare Envoy takes over from the gateway's listener and cluster.
const LISTENER_SETTINGS: &[&str] = &["per_connection_buffer_limit_bytes", "tcp_keepalive"];
const CLUSTER_SETTINGS: &[&str] =
    &["connect_timeout", "per_connection_buffer_limit_bytes", "circuit_breakers", "upstream_connection_options"];

/// `tcp_proxy` and nothing else, with the gateway's settings of sockets and buffers: listener `i` leads to node `i`.
///
/// A floor has its filter, from this module, before `tcp_proxy`.
pub(super) fn bootstrap(gateway: &Value, floor: Option<(Floor, &Path)>, relay: &Relay) -> Result<Value> {
    let floor = floor.map(|(floor, module)| floor_filter(floor, module)).transpose()?;
    let listener = |(index, address): (usize, &SocketAddr)| {
        let name = format!("node-{index}");
        let tcp_proxy = json!({
            "name": "envoy.filters.network.tcp_proxy",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                "stat_prefix": name,
                "cluster": name,
            },
        });
        let filters: Vec<_> = floor.iter().cloned().chain([tcp_proxy]).collect();
        let mut listener = json!({
            "name": name,
            "address": socket_address(address),
            "filter_chains": [{ "filters": filters }],
        });
        copy_fields(&gateway["static_resources"]["listeners"][0], LISTENER_SETTINGS, &mut listener);
        listener
    };
    let cluster = |(index, address): (usize, &SocketAddr)| {
        let name = format!("node-{index}");
        let endpoint = json!({ "endpoint": { "address": socket_address(address) } });
        let mut cluster = json!({
            "name": name,
            "type": "STATIC",
            "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [endpoint] }] },
        });
        copy_fields(&gateway["static_resources"]["clusters"][0], CLUSTER_SETTINGS, &mut cluster);
        cluster
    };
    Ok(json!({ "static_resources": {
        "listeners": relay.listeners.iter().enumerate().map(listener).collect::<Vec<_>>(),
        "clusters": relay.nodes.iter().enumerate().map(cluster).collect::<Vec<_>>(),
    } }))
}

fn floor_filter(floor: Floor, module: &Path) -> Result<Value> {
    ensure!(module.exists(), "{} is missing: `make wasm-floor` builds it", module.display());
    Ok(json!({
        "name": "envoy.filters.network.wasm",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm",
            "config": {
                "name": "floor",
                "vm_config": {
                    "vm_id": "floor",
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": { "local": { "filename": module } },
                },
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": floor.name(),
                },
            },
        },
    }))
}

fn copy_fields(from: &Value, fields: &[&str], to: &mut Value) {
    for field in fields {
        if let Some(value) = from.get(field) {
            to[field] = value.clone();
        }
    }
}

fn socket_address(address: &SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } })
}
