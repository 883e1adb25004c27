//! The same resources for an Envoy that asks for them while it runs (xDS over REST).
//!
//! The policies of a virtual cluster, which are the configuration of its module, are a resource of their own (ECDS), and so
//! is each secret (SDS): Envoy changes those without touching a listener or a connection.

use std::path::Path;

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::{Form, RenderOptions, bootstrap, cluster, extend, listener, text, tls};
use crate::validate::{Gateway, VirtualCluster};

/// The Envoy cluster of the socket where Envoy asks. No virtual cluster's has a name without '/'.
const CLUSTER: &str = "discovery";

/// Envoy waits as long for an answer; whoever answers waits less for something new to say. Each question brings a list of all that
/// Envoy is made of, so there should not be many.
const REQUEST_TIMEOUT: &str = "1200s";

/// How long Envoy waits between an answer and the next question; up to twice as long.
const REFRESH_DELAY: &str = "0.010s";

/// What Envoy can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// All clusters (CDS).
    Clusters,
    /// One secret (SDS).
    Secret,
    /// The policies of one virtual cluster (ECDS).
    Filter,
    /// All listeners (LDS).
    Listeners,
}

impl ResourceKind {
    /// The kind that Envoy asks for at this path.
    #[must_use]
    pub fn at(path: &str) -> Option<ResourceKind> {
        [ResourceKind::Clusters, ResourceKind::Secret, ResourceKind::Filter, ResourceKind::Listeners]
            .into_iter()
            .find(|kind| kind.path() == path)
    }

    /// Where Envoy asks.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            ResourceKind::Clusters => "/v3/discovery:clusters",
            ResourceKind::Secret => "/v3/discovery:secrets",
            ResourceKind::Filter => "/v3/discovery:extension_configs",
            ResourceKind::Listeners => "/v3/discovery:listeners",
        }
    }

    /// Whether there is one resource for each name, or all come together.
    #[must_use]
    pub fn is_named(self) -> bool {
        matches!(self, ResourceKind::Secret | ResourceKind::Filter)
    }
}

/// One answer to a question of Envoy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// What it is.
    pub kind: ResourceKind,
    /// By which name Envoy asks; empty when there is only one of the kind.
    pub name: String,
    /// The resources, a JSON array.
    pub content: String,
    /// Of the content: the same text has the same hash.
    pub hash: String,
}

impl Resource {
    pub(super) fn new(kind: ResourceKind, name: String, resources: &[Value]) -> Result<Resource, serde_json::Error> {
        let content = serde_json::to_string(resources)?;
        let hash = content_hash(content.as_bytes());
        Ok(Resource { kind, name, content, hash })
    }
}

/// The first 64 bits of SHA-256, in hexadecimal digits.
#[must_use]
pub fn content_hash(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Everything that Envoy may ask for: the same input gives the same bytes.
///
/// # Errors
/// A bug: a configuration could not be written as JSON.
pub fn discover(gateway: &Gateway, options: &RenderOptions) -> Result<Vec<Resource>, serde_json::Error> {
    let form = Form::Discovery;
    let mut resources = Vec::new();
    let typed = |name: &str, resource: Value| {
        let mut typed = json!({ "@type": format!("type.googleapis.com/envoy.config.{name}") });
        extend(&mut typed, resource);
        typed
    };
    let clusters = cluster::clusters(gateway, &form).into_iter();
    let clusters: Vec<Value> = clusters.map(|cluster| typed("cluster.v3.Cluster", cluster)).collect();
    resources.push(Resource::new(ResourceKind::Clusters, String::new(), &clusters)?);
    for virtual_cluster in &gateway.virtual_clusters {
        for (name, secret) in tls::named_secrets(virtual_cluster, options) {
            resources.push(Resource::new(ResourceKind::Secret, name, &[secret])?);
        }
        let name = filter_name(virtual_cluster);
        let filter = json!({
            "name": name,
            "typed_config": listener::wasm(virtual_cluster, &vm_id(virtual_cluster), options)?
        });
        resources.push(Resource::new(ResourceKind::Filter, name, &[typed("core.v3.TypedExtensionConfig", filter)])?);
    }
    let listeners = listener::listeners(gateway, &form)?.into_iter();
    let listeners: Vec<Value> = listeners.map(|listener| typed("listener.v3.Listener", listener)).collect();
    resources.push(Resource::new(ResourceKind::Listeners, String::new(), &listeners)?);
    Ok(resources)
}

/// The bootstrap of an Envoy that asks at `socket`, a Unix domain socket: the same for every gateway.
#[must_use]
pub fn discovery_bootstrap(options: &RenderOptions, socket: &Path) -> String {
    let endpoint = json!({ "endpoint": { "address": { "pipe": { "path": socket } } } });
    let everything = 1_000_000;
    let cluster = json!({
        "name": CLUSTER,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": { "cluster_name": CLUSTER, "endpoints": [{ "lb_endpoints": [endpoint] }] },
        "circuit_breakers": {
            "thresholds": [{ "max_pending_requests": everything, "max_requests": everything }]
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { "http2_protocol_options": {} }
            }
        }
    });
    let resources = json!({
        "static_resources": { "clusters": [cluster] },
        "dynamic_resources": { "lds_config": source(), "cds_config": source() }
    });
    text(&bootstrap(options, resources))
}

/// Where to ask.
pub(super) fn source() -> Value {
    json!({
        "api_config_source": {
            "api_type": "REST",
            "transport_api_version": "V3",
            "cluster_names": [CLUSTER],
            "refresh_delay": REFRESH_DELAY,
            "request_timeout": REQUEST_TIMEOUT
        },
        "resource_api_version": "V3"
    })
}

/// By which name Envoy asks for the policies of a virtual cluster.
pub(super) fn filter_name(virtual_cluster: &VirtualCluster) -> String {
    virtual_cluster.name.clone()
}

/// A VM shares its map of nodes with those of the same id. Old connections of a virtual cluster that was led to another target
/// cluster go on teaching their map the old nodes, so the new ones have another.
fn vm_id(virtual_cluster: &VirtualCluster) -> String {
    let servers: Vec<String> = virtual_cluster.bootstrap_servers.iter().map(ToString::to_string).collect();
    format!("{}/{}", virtual_cluster.name, content_hash(servers.join(",").as_bytes()))
}
