//! A validated gateway as Envoy's bootstrap, JSON because Envoy reads YAML 1.1.

use std::net::{IpAddr, SocketAddr};

use bifrost_chain::{Config, Upstream};
use serde_json::{Value, json};

use crate::host_port::HostPort;
use crate::validate::{Gateway, VirtualCluster};

/// Envoy's read and write buffer per connection and side. Measured from 128 KiB to 4 MiB at frames of 256 KiB, see BENCHMARKS.md.
const BUFFER_BYTES: u32 = 1 << 20;

/// What Envoy takes from a client before the upstream connection stands.
const EARLY_DATA_BYTES: u32 = 64 << 10;

/// Clients of one gateway process, all virtual clusters together. At 16 KiB each this is 1.6 GiB.
const CONNECTIONS_MAX: u32 = 100_000;

/// Connections, and connections being opened, to one target cluster: clients are counted at the listener, so
/// Envoy's default of 1024 here would only be a hidden second limit.
const UPSTREAM_CONNECTIONS_MAX: u32 = 1_000_000;

/// How often broker names are resolved again: a broker may come back with another address.
const DNS_REFRESH: &str = "5s";

/// Where things are on the machine that Envoy runs on.
#[derive(Clone, Debug)]
pub struct RenderOptions {
    /// The gateway's wasm module.
    pub module: String,
    /// Envoy's admin interface. It is not authenticated: keep it on the loopback address.
    pub admin: SocketAddr,
    /// Envoy's `node.id`, for logs and statistics.
    pub node_id: String,
}

impl Default for RenderOptions {
    fn default() -> Self {
        RenderOptions {
            module: "bifrost_adapter.wasm".to_owned(),
            admin: SocketAddr::from(([127, 0, 0, 1], 9901)),
            node_id: "bifrost".to_owned(),
        }
    }
}

/// Envoy's bootstrap for the gateway: the same input gives the same bytes.
///
/// An error is a bug: the configuration of a filter could not be written as JSON.
pub fn render(gateway: &Gateway, options: &RenderOptions) -> Result<String, serde_json::Error> {
    let mut listeners = Vec::new();
    let mut clusters = Vec::new();
    for virtual_cluster in &gateway.virtual_clusters {
        listeners.push(listener(virtual_cluster, options)?);
        clusters.push(bootstrap_cluster(virtual_cluster));
        clusters.push(node_cluster(virtual_cluster));
    }
    let bootstrap = json!({
        "node": { "id": options.node_id, "cluster": "bifrost" },
        "admin": {
            "address": address(options.admin.ip(), options.admin.port()),
            "ignore_global_conn_limit": true
        },
        "static_resources": { "listeners": listeners, "clusters": clusters },
        "stats_config": { "stats_tags": stats_tags() },
        "overload_manager": {
            "resource_monitors": [{
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                    "max_active_downstream_connections": CONNECTIONS_MAX
                }
            }]
        }
    });
    Ok(format!("{bootstrap:#}\n"))
}

/// The parts of the module's metric names that are labels: `bifrost.<virtual cluster>.closed.<reason>` becomes
/// `bifrost_closed{virtual_cluster="...",reason="..."}` for Prometheus.
fn stats_tags() -> Value {
    json!([
        { "tag_name": "virtual_cluster", "regex": "^wasmcustom\\.bifrost\\.(([^.]+)\\.)" },
        { "tag_name": "reason", "regex": "^wasmcustom\\.bifrost\\.[^.]+\\.closed(\\.([^.]+))$" }
    ])
}

/// The configuration of the virtual cluster's filter chain, as the module reads it.
pub fn plugin_config(virtual_cluster: &VirtualCluster) -> Config {
    Config {
        virtual_cluster: virtual_cluster.name.clone(),
        upstream: Upstream {
            bootstrap_cluster: bootstrap_cluster_name(virtual_cluster),
            node_cluster: node_cluster_name(virtual_cluster),
        },
        limits: virtual_cluster.limits.clone(),
        tenancy: virtual_cluster.tenancy.clone(),
        broker_address: bifrost_broker_address::Config {
            advertised_host: virtual_cluster.advertised_host.clone(),
            bootstrap_port: virtual_cluster.port,
            node_ports: virtual_cluster.node_ports.clone(),
        },
    }
}

fn bootstrap_cluster_name(virtual_cluster: &VirtualCluster) -> String {
    format!("{}/bootstrap", virtual_cluster.name)
}

fn node_cluster_name(virtual_cluster: &VirtualCluster) -> String {
    format!("{}/nodes", virtual_cluster.name)
}

/// One socket for the bootstrap port and one for each node, all with the same filters: the module tells them
/// apart by the port.
fn listener(virtual_cluster: &VirtualCluster, options: &RenderOptions) -> Result<Value, serde_json::Error> {
    let node_addresses: Vec<Value> =
        virtual_cluster.nodes().map(|(_, port)| json!({ "address": address(virtual_cluster.bind, port) })).collect();
    Ok(json!({
        "name": virtual_cluster.name,
        "stat_prefix": virtual_cluster.name,
        "address": address(virtual_cluster.bind, virtual_cluster.port),
        "additional_addresses": node_addresses,
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "tcp_keepalive": tcp_keepalive(),
        "filter_chains": [{
            "filters": [
                wasm_filter(virtual_cluster, options)?,
                node_resolver_filter(virtual_cluster),
                tcp_proxy_filter(virtual_cluster)
            ]
        }]
    }))
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

fn bootstrap_cluster(virtual_cluster: &VirtualCluster) -> Value {
    let endpoints: Vec<Value> = virtual_cluster
        .bootstrap_servers
        .iter()
        .map(|HostPort { host, port }| {
            json!({ "endpoint": { "address": { "socket_address": { "address": host, "port_value": port } } } })
        })
        .collect();
    let name = bootstrap_cluster_name(virtual_cluster);
    let discovery = if virtual_cluster.bootstrap_servers.iter().all(HostPort::is_ip) {
        json!({ "type": "STATIC" })
    } else {
        json!({
            "cluster_type": {
                "name": "envoy.clusters.dns",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster",
                    "dns_lookup_family": "V4_PREFERRED",
                    "dns_refresh_rate": DNS_REFRESH
                }
            }
        })
    };
    let mut cluster = json!({ "name": name, "lb_policy": "ROUND_ROBIN" });
    extend(&mut cluster, discovery);
    extend(&mut cluster, upstream_limits());
    extend(&mut cluster, dead_servers_are_left_out());
    extend(
        &mut cluster,
        json!({ "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": endpoints }] } }),
    );
    cluster
}

/// Two failed connects in a row take a bootstrap server out for five seconds, longer if it stays dead: otherwise
/// clients that connect at the same time can use up their attempts on dead servers. With none left, all are tried.
fn dead_servers_are_left_out() -> Value {
    json!({
        "common_lb_config": { "healthy_panic_threshold": { "value": 1 } },
        "outlier_detection": {
            "split_external_local_origin_errors": true,
            "consecutive_local_origin_failure": 2,
            "enforcing_consecutive_local_origin_failure": 100,
            "enforcing_local_origin_success_rate": 0,
            "interval": "1s",
            "base_ejection_time": "5s",
            "max_ejection_time": "30s",
            "max_ejection_percent": 100
        }
    })
}

fn node_cluster(virtual_cluster: &VirtualCluster) -> Value {
    let mut cluster = json!({
        "name": node_cluster_name(virtual_cluster),
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {
            "name": "envoy.clusters.dynamic_forward_proxy",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig",
                "dns_cache_config": dns_cache(virtual_cluster)
            }
        }
    });
    extend(&mut cluster, upstream_limits());
    cluster
}

/// Shared by the node cluster and the filter before it: Envoy wants both to say the same.
fn dns_cache(virtual_cluster: &VirtualCluster) -> Value {
    json!({
        "name": virtual_cluster.name,
        "dns_lookup_family": "ALL",
        "dns_refresh_rate": DNS_REFRESH,
        "dns_cache_circuit_breaker": { "max_pending_requests": UPSTREAM_CONNECTIONS_MAX }
    })
}

fn upstream_limits() -> Value {
    json!({
        "connect_timeout": "5s",
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "circuit_breakers": {
            "thresholds": [{
                "max_connections": UPSTREAM_CONNECTIONS_MAX,
                "max_pending_requests": UPSTREAM_CONNECTIONS_MAX,
                "max_requests": UPSTREAM_CONNECTIONS_MAX,
                "max_retries": UPSTREAM_CONNECTIONS_MAX
            }]
        },
        "upstream_connection_options": { "tcp_keepalive": tcp_keepalive() }
    })
}

/// A peer that has vanished is noticed after a minute and a half.
fn tcp_keepalive() -> Value {
    json!({ "keepalive_time": 60, "keepalive_interval": 10, "keepalive_probes": 3 })
}

fn address(ip: IpAddr, port: u16) -> Value {
    let mut address = json!({ "address": ip.to_string(), "port_value": port });
    if ip.is_ipv6() && ip.is_unspecified() {
        extend(&mut address, json!({ "ipv4_compat": true }));
    }
    json!({ "socket_address": address })
}

/// Adds the fields of `more` behind those of `object`.
fn extend(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}
