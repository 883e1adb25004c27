//! A validated gateway as Envoy reads it, JSON because Envoy's YAML is YAML 1.1.
//!
//! Two forms of the same resources: [`render`] puts them all into one bootstrap; [`discover`] keeps them apart, for an Envoy that
//! is told of changes while it runs.

mod cluster;
mod discovery;
mod listener;
mod tls;
mod transition;

use std::net::{IpAddr, SocketAddr};

use bifrost_chain::{Config, ServerNames, Upstream};
use serde_json::{Value, json};

use crate::tls::Verification;
use crate::validate::{Gateway, VirtualCluster};

pub use discovery::{Resource, ResourceKind, content_hash, discover, discovery_bootstrap};
pub use transition::transition;

/// Envoy's read and write buffer per connection and side. Measured from 128 KiB to 4 MiB at frames of 256 KiB, see BENCHMARKS.md.
const BUFFER_BYTES: u32 = 1 << 20;

/// Clients of one gateway process, all virtual clusters together. At 16 KiB each this is 1.6 GiB.
const CONNECTIONS_MAX: u32 = 100_000;

/// Where things are on the machine that Envoy runs on.
#[derive(Clone, Debug)]
pub struct RenderOptions {
    /// The gateway's wasm module.
    pub module: String,
    /// Envoy's admin interface. It is not authenticated: keep it on the loopback address.
    pub admin: SocketAddr,
    /// Envoy's `node.id`, for logs and statistics.
    pub node_id: String,
    /// The folder that [`Rendered::files`] will lie in.
    pub folder: String,
    /// PEM file of the CAs that the operating system trusts.
    pub system_ca: String,
}

impl Default for RenderOptions {
    fn default() -> Self {
        RenderOptions {
            module: "bifrost_adapter.wasm".to_owned(),
            admin: SocketAddr::from(([127, 0, 0, 1], 9901)),
            node_id: "bifrost".to_owned(),
            folder: ".".to_owned(),
            system_ca: "/etc/ssl/certs/ca-certificates.crt".to_owned(),
        }
    }
}

/// A gateway as Envoy reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Envoy's bootstrap, JSON.
    pub bootstrap: String,
    /// Files that the bootstrap names: path below [`RenderOptions::folder`], and content. They hold no secrets, only where
    /// those are.
    pub files: Vec<(String, String)>,
}

/// Envoy's configuration for the gateway: the same input gives the same bytes.
///
/// An error is a bug: the configuration of a filter could not be written as JSON.
pub fn render(gateway: &Gateway, options: &RenderOptions) -> Result<Rendered, serde_json::Error> {
    let listeners = listener::listeners(gateway, &Form::Bootstrap(options))?;
    let mut files = Vec::new();
    for virtual_cluster in &gateway.virtual_clusters {
        files.extend(tls::files(virtual_cluster, options));
    }
    let clusters = cluster::clusters(gateway, &Form::Bootstrap(options));
    let resources = json!({ "static_resources": { "listeners": listeners, "clusters": clusters } });
    Ok(Rendered { bootstrap: text(&bootstrap(options, resources)), files })
}

/// Where Envoy finds what a listener or a cluster refers to.
enum Form<'a> {
    /// In place, or in a file below [`RenderOptions::folder`].
    Bootstrap(&'a RenderOptions),
    /// Envoy asks for it.
    Discovery,
}

/// A bootstrap with `resources` between what every gateway has.
fn bootstrap(options: &RenderOptions, resources: Value) -> Value {
    let mut bootstrap = json!({
        "node": { "id": options.node_id, "cluster": "bifrost" },
        "admin": {
            "address": address(options.admin.ip(), options.admin.port()),
            "ignore_global_conn_limit": true
        }
    });
    extend(&mut bootstrap, resources);
    let rest = json!({
        "bootstrap_extensions": [{
            "name": "envoy.bootstrap.internal_listener",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener"
            }
        }],
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
    extend(&mut bootstrap, rest);
    bootstrap
}

/// The parts of the module's metric names that are labels: `bifrost.<virtual cluster>.closed.<reason>` becomes
/// `bifrost_closed{virtual_cluster="...",reason="..."}` for Prometheus.
fn stats_tags() -> Value {
    json!([
        // What of a virtual cluster a quota is for: a client id or topic with any characters but line breaks.
        { "tag_name": "quota", "regex": "^wasmcustom\\.bifrost\\.[^.]+\\.quota\\.(?:principal|client_id|topic)(\\.(.+))\\.[a-z_]+\\.[a-z_]+$" },
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
            ask_cluster: ask_cluster_name(virtual_cluster),
            server_names: match &virtual_cluster.upstream_tls {
                None => ServerNames::None,
                Some(tls) if matches!(tls.verification, Verification::ChainAndName(_)) => ServerNames::Verified,
                Some(_) => ServerNames::Sent,
            },
            resolve: virtual_cluster.resolve.clone(),
        },
        limits: virtual_cluster.limits.clone(),
        client_principal: virtual_cluster.downstream_tls.as_ref().and_then(|tls| tls.client_principal.clone()),
        cluster_identity: virtual_cluster.cluster_identity.clone(),
        quota: virtual_cluster.quota.clone(),
        tenancy: virtual_cluster.tenancy.clone(),
        broker_address: virtual_cluster.endpoints.clone(),
    }
}

fn bootstrap_cluster_name(virtual_cluster: &VirtualCluster) -> String {
    format!("{}/bootstrap", virtual_cluster.name)
}

fn node_cluster_name(virtual_cluster: &VirtualCluster) -> String {
    format!("{}/nodes", virtual_cluster.name)
}

fn ask_cluster_name(virtual_cluster: &VirtualCluster) -> String {
    format!("{}/ask", virtual_cluster.name)
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

fn text(json: &Value) -> String {
    format!("{json:#}\n")
}

/// Adds the fields of `more` behind those of `object`.
fn extend(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}
