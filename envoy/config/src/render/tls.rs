//! Transport sockets, and the secrets that they take from files.
//!
//! A secret is a resource of its own that says where the PEM files are (SDS). Envoy watches the folder of the PEM files and reads
//! them again when something is renamed into it, for new connections: the old ones stay. So certificates rotate.

use std::net::IpAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::{Form, RenderOptions, discovery, extend, text};
use crate::tls::{ClientCertificates, DownstreamTls, KeyPair, Roots, UpstreamTls, Verification};
use crate::validate::VirtualCluster;

const LISTENER_CERTIFICATE: &str = "listener-certificate";
const CLIENT_CA: &str = "client-ca";
const UPSTREAM_CERTIFICATE: &str = "upstream-certificate";
const UPSTREAM_CA: &str = "upstream-ca";

/// The transport socket of a filter chain; nothing when clients speak plaintext.
pub(super) fn to_clients(virtual_cluster: &VirtualCluster, form: &Form<'_>) -> Value {
    let Some(DownstreamTls { clients, .. }) = &virtual_cluster.downstream_tls else { return json!({}) };
    let secret = |what| reference(virtual_cluster, what, form);
    let mut context = json!({ "tls_certificate_sds_secret_configs": [secret(LISTENER_CERTIFICATE)] });
    if !matches!(clients, ClientCertificates::NotAsked) {
        extend(&mut context, json!({ "validation_context_sds_secret_config": secret(CLIENT_CA) }));
    }
    json!({
        "transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "require_client_certificate": matches!(clients, ClientCertificates::Required(_)),
                "common_tls_context": context
            }
        },
        // A client that does not finish its handshake takes up a connection.
        "transport_socket_connect_timeout": "15s"
    })
}

/// The transport socket of the bootstrap servers; nothing when they speak plaintext. Envoy sends each server the name that
/// the operator knows it by, and compares its certificate with that.
pub(super) fn to_bootstrap(virtual_cluster: &VirtualCluster, form: &Form<'_>) -> Value {
    let Some(tls) = &virtual_cluster.upstream_tls else { return json!({}) };
    let mut validation = json!({});
    if matches!(tls.verification, Verification::ChainAndName(_)) {
        // `auto_sni_san_validation` alone checks nothing for a server that has no name but an IP address.
        let names = virtual_cluster.bootstrap_servers.iter().map(|server| match server.host.parse::<IpAddr>() {
            Ok(ip) => json!({ "san_type": "IP_ADDRESS", "matcher": { "exact": ip.to_string() } }),
            Err(_) => json!({ "san_type": "DNS", "matcher": { "exact": server.host } }),
        });
        validation = json!({ "match_typed_subject_alt_names": names.collect::<Vec<_>>() });
    }
    let mut context = upstream_context(virtual_cluster, tls, validation, form);
    extend(&mut context, json!({ "auto_host_sni": true }));
    if matches!(tls.verification, Verification::ChainAndName(_)) {
        extend(&mut context, json!({ "auto_sni_san_validation": true }));
    }
    upstream_socket(context)
}

/// The transport socket of the nodes; nothing when they speak plaintext. The module says in filter state which name to send
/// and which to demand.
pub(super) fn to_nodes(virtual_cluster: &VirtualCluster, form: &Form<'_>) -> Value {
    let Some(tls) = &virtual_cluster.upstream_tls else { return json!({}) };
    upstream_socket(upstream_context(virtual_cluster, tls, json!({}), form))
}

fn upstream_context(virtual_cluster: &VirtualCluster, tls: &UpstreamTls, validation: Value, form: &Form<'_>) -> Value {
    let secret = |what| reference(virtual_cluster, what, form);
    let mut context = json!({});
    if tls.key_pair.is_some() {
        extend(&mut context, json!({ "tls_certificate_sds_secret_configs": [secret(UPSTREAM_CERTIFICATE)] }));
    }
    if tls.verification.roots().is_some() {
        let combined = json!({
            "default_validation_context": validation,
            "validation_context_sds_secret_config": secret(UPSTREAM_CA)
        });
        extend(&mut context, json!({ "combined_validation_context": combined }));
    }
    json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": context
    })
}

fn upstream_socket(context: Value) -> Value {
    json!({ "transport_socket": { "name": "envoy.transport_sockets.tls", "typed_config": context } })
}

/// What is said where a secret is needed.
fn reference(virtual_cluster: &VirtualCluster, what: &str, form: &Form<'_>) -> Value {
    let name = secret_name(virtual_cluster, what);
    let source = match form {
        Form::Bootstrap(options) => json!({
            "path_config_source": { "path": format!("{}/{}", options.folder, file_name(virtual_cluster, what)) },
            "resource_api_version": "V3"
        }),
        Form::Discovery => discovery::source(),
    };
    json!({ "name": name, "sds_config": source })
}

/// Every secret of the virtual cluster as a file: name and content.
pub(super) fn files(virtual_cluster: &VirtualCluster, options: &RenderOptions) -> Vec<(String, String)> {
    let file =
        |(what, secret): (&str, Value)| (file_name(virtual_cluster, what), text(&json!({ "resources": [secret] })));
    secrets(virtual_cluster, options).into_iter().map(file).collect()
}

/// Every secret of the virtual cluster by its name: where the PEM files are.
pub(super) fn named_secrets(virtual_cluster: &VirtualCluster, options: &RenderOptions) -> Vec<(String, Value)> {
    let named = |(what, secret): (&str, Value)| (secret_name(virtual_cluster, what), secret);
    secrets(virtual_cluster, options).into_iter().map(named).collect()
}

fn secrets(virtual_cluster: &VirtualCluster, options: &RenderOptions) -> Vec<(&'static str, Value)> {
    let mut secrets = Vec::new();
    if let Some(tls) = &virtual_cluster.downstream_tls {
        secrets.push((LISTENER_CERTIFICATE, certificate(&tls.key_pair)));
        match &tls.clients {
            ClientCertificates::NotAsked => {}
            ClientCertificates::Requested(ca) | ClientCertificates::Required(ca) => {
                secrets.push((CLIENT_CA, authorities(&ca.path)));
            }
        }
    }
    if let Some(tls) = &virtual_cluster.upstream_tls {
        if let Some(key_pair) = &tls.key_pair {
            secrets.push((UPSTREAM_CERTIFICATE, certificate(key_pair)));
        }
        match tls.verification.roots() {
            None => {}
            Some(Roots::File(ca)) => secrets.push((UPSTREAM_CA, authorities(&ca.path))),
            Some(Roots::System) => secrets.push((UPSTREAM_CA, authorities(Path::new(&options.system_ca)))),
        }
    }
    let secret = |(what, content): (&'static str, Value)| {
        let mut secret = json!({
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            "name": secret_name(virtual_cluster, what)
        });
        extend(&mut secret, content);
        (what, secret)
    };
    secrets.into_iter().map(secret).collect()
}

/// Both files are read together when their folder changes. In two folders, each is watched by itself.
fn certificate(key_pair: &KeyPair) -> Value {
    let KeyPair { certificate, key } = key_pair;
    let mut value = json!({
        "certificate_chain": { "filename": certificate.path },
        "private_key": { "filename": key.path }
    });
    if folder(&certificate.path) == folder(&key.path) {
        extend(&mut value, json!({ "watched_directory": { "path": folder(&certificate.path) } }));
    }
    json!({ "tls_certificate": value })
}

fn authorities(ca: &Path) -> Value {
    json!({
        "validation_context": {
            "trusted_ca": { "filename": ca },
            "watched_directory": { "path": folder(ca) }
        }
    })
}

fn folder(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn secret_name(virtual_cluster: &VirtualCluster, what: &str) -> String {
    format!("{}/{what}", virtual_cluster.name)
}

fn file_name(virtual_cluster: &VirtualCluster, what: &str) -> String {
    format!("secrets/{}.{what}.json", virtual_cluster.name)
}
