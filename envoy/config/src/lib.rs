//! From `KafkaVirtualCluster` and `KafkaTargetCluster` documents to the configuration of Envoy.
//!
//! Three steps, each a function: [`load`] reads files into typed documents, [`validate`] turns the whole set
//! into a [`Gateway`] or a sorted list of [`Problem`]s, and [`render`] turns a gateway into Envoy's bootstrap, or [`discover`]
//! into what Envoy asks for while it runs. `load` reads files and the environment; the others are pure, and what is rendered
//! is deterministic to the byte.
#![forbid(unsafe_code)]

pub mod certificates;
mod document;
mod endpoints;
mod expand;
mod host_names;
mod host_port;
mod load;
mod overlap;
mod ports;
mod problem;
mod quota;
mod render;
mod target;
mod tls;
mod validate;
mod virtualization;
mod yaml;

pub use bifrost_broker_address::{HostPerNode, PortPerNode, Target};
pub use document::{
    ApiVersion, BootstrapServers, ClientAuthentication, FilterSpec, KafkaTargetCluster, KafkaVirtualCluster, Kind,
    Listener, ListenerTls, Metadata, Sni, Spec, TargetCluster, TargetTls, Virtualization,
};
pub use host_port::HostPort;
pub use load::{Document, Loaded, files, load, parse};
pub use problem::Problem;
pub use render::{
    RenderOptions, Rendered, Resource, ResourceKind, content_hash, discover, discovery_bootstrap, plugin_config,
    render, transition,
};
pub use tls::{ClientCertificates, DownstreamTls, KeyPair, PemFile, Roots, UpstreamTls, Verification};
pub use validate::{Endpoints, Gateway, VirtualCluster, validate};
