//! Envoy clusters: the bootstrap servers of a target cluster, and its nodes.

use std::net::IpAddr;

use bifrost_chain::resolve;
use serde_json::{Value, json};

use super::{
    BUFFER_BYTES, Form, ask_cluster_name, bootstrap_cluster_name, extend, node_cluster_name, tcp_keepalive, tls,
};
use crate::host_port::HostPort;
use crate::validate::{Gateway, VirtualCluster};

/// Connections, and connections being opened, to one target cluster: clients are counted at the listener, so
/// Envoy's default of 1024 here would only be a hidden second limit.
const UPSTREAM_CONNECTIONS_MAX: u32 = 1_000_000;

/// How often broker names are resolved again: a broker may come back with another address.
const DNS_REFRESH: &str = "5s";

/// Three for each virtual cluster.
pub(super) fn clusters(gateway: &Gateway, form: &Form<'_>) -> Vec<Value> {
    let of = |virtual_cluster: &VirtualCluster| {
        [bootstrap(virtual_cluster, form), nodes(virtual_cluster, form), ask(virtual_cluster)]
    };
    gateway.virtual_clusters.iter().flat_map(of).collect()
}

fn bootstrap(virtual_cluster: &VirtualCluster, form: &Form<'_>) -> Value {
    let endpoints: Vec<Value> = virtual_cluster
        .bootstrap_servers
        .iter()
        .map(|server| {
            let HostPort { host, port } = server;
            let address = address_of(virtual_cluster, server);
            let mut endpoint = json!({ "address": { "socket_address": { "address": address, "port_value": port } } });
            if virtual_cluster.upstream_tls.is_some() && !server.is_ip() {
                extend(&mut endpoint, json!({ "hostname": host }));
            }
            json!({ "endpoint": endpoint })
        })
        .collect();
    let name = bootstrap_cluster_name(virtual_cluster);
    let is_ip = |server: &HostPort| address_of(virtual_cluster, server).parse::<IpAddr>().is_ok();
    let discovery = if virtual_cluster.bootstrap_servers.iter().all(is_ip) {
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
    extend(&mut cluster, tls::to_bootstrap(virtual_cluster, form));
    cluster
}

/// Host name or IP address to connect to.
fn address_of(virtual_cluster: &VirtualCluster, server: &HostPort) -> String {
    resolve(&virtual_cluster.resolve, &server.host).map_or_else(|| server.host.clone(), |ip| ip.to_string())
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

fn nodes(virtual_cluster: &VirtualCluster, form: &Form<'_>) -> Value {
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
    extend(&mut cluster, tls::to_nodes(virtual_cluster, form));
    cluster
}

/// Leads to the internal listener where the module asks for the nodes.
fn ask(virtual_cluster: &VirtualCluster) -> Value {
    let name = ask_cluster_name(virtual_cluster);
    let endpoint = json!({ "address": { "envoy_internal_address": { "server_listener_name": name } } });
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [{ "endpoint": endpoint }] }] }
    })
}

/// Shared by the node cluster and the filter before it: Envoy wants both to say the same.
pub(super) fn dns_cache(virtual_cluster: &VirtualCluster) -> Value {
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
