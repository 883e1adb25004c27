//! The gateway's Envoy configuration, rendered from documents by the code that renders it in production.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, ensure};
use bifrost_config::RenderOptions;
use serde_json::{Value, json};

use super::{Cluster, Files};

/// Module and `bifrost` command of one commit, see `compare`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Build {
    pub(crate) name: String,
    pub(crate) module: PathBuf,
    pub(crate) bifrost: PathBuf,
}

/// One virtual cluster for every `1 + nodes` of the ports: bootstrap, then nodes. An empty prefix leaves names alone.
pub(super) fn documents(prefix: &str, ports: &[u16], cluster: &Cluster) -> String {
    let document = |(index, ports)| {
        // Load goes through the first; the others are those of other tenants.
        let other = format!("vc{index}-");
        let prefix = if index == 0 || prefix.is_empty() { prefix } else { &other };
        document(prefix, &format!("bench-{index}"), ports, cluster).to_string()
    };
    let documents = ports.chunks_exact(1 + cluster.nodes.len()).enumerate().map(document);
    documents.collect::<Vec<_>>().join("\n---\n")
}

/// `ports`: bootstrap, then nodes.
fn document(prefix: &str, name: &str, ports: &[u16], cluster: &Cluster) -> Value {
    let Cluster { first_id, nodes, .. } = cluster;
    let mut document = json!({
        "apiVersion": "gateway.corp/v1alpha1",
        "kind": "KafkaVirtualCluster",
        "metadata": { "name": name },
        "spec": {
            "listener": {
                "bind": Ipv4Addr::LOCALHOST,
                "port": ports[0],
                "advertisedHost": Ipv4Addr::LOCALHOST,
                "nodePorts": [{ "firstId": first_id, "lastId": first_id + nodes.len() - 1, "firstPort": ports[1] }],
            },
            "targetCluster": { "bootstrapServers": nodes.iter().map(SocketAddr::to_string).collect::<Vec<_>>() },
        },
    });
    if !prefix.is_empty() {
        let names = json!({ "topicPrefix": prefix, "groupPrefix": prefix, "transactionIdPrefix": prefix });
        document["spec"]["virtualization"] = names;
    }
    document
}

/// By the renderer that this program is built with.
pub(super) fn render(files: &Files, documents: &str, admin_port: u16) -> Result<Value> {
    let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, admin_port));
    let loaded = bifrost_config::parse(Path::new("bench"), documents, &|_| None);
    let gateway = bifrost_config::validate(loaded, admin).map_err(|problems| {
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        anyhow!("{} problems in the documents of the bench, the first: {first}", problems.len())
    })?;
    let module = files.module.to_str().context("path of the module")?.to_owned();
    let rendered = bifrost_config::render(&gateway, &RenderOptions { module, admin, ..RenderOptions::default() })?;
    Ok(serde_json::from_str(&rendered.bootstrap)?)
}

impl Build {
    /// By the commit's own command, so that the configuration fits its module.
    pub(super) fn render(&self, directory: &Path, documents: &str, admin_port: u16) -> Result<Value> {
        let file = directory.join("gateway.yaml");
        fs::write(&file, documents).with_context(|| format!("cannot write {}", file.display()))?;
        let output = Command::new(&self.bifrost)
            .arg("render")
            .arg("-f")
            .arg(&file)
            .arg("--module")
            .arg(&self.module)
            .args(["--admin-port", &admin_port.to_string()])
            .output()
            .with_context(|| format!("cannot run {}", self.bifrost.display()))?;
        ensure!(
            output.status.success(),
            "the `bifrost render` of {} does not take {}:\n{}",
            self.name,
            file.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("what the `bifrost render` of {} says", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_virtual_clusters_are_several_documents() {
        let nodes = vec!["127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap()];
        let cluster = Cluster { first_id: 0, nodes, relay: None };
        let ports: Vec<u16> = (20_000..20_600).collect();
        let text = documents("t1-", &ports, &cluster);
        let loaded = bifrost_config::parse(Path::new("bench"), &text, &|_| None);
        let gateway = bifrost_config::validate(loaded, "127.0.0.1:9901".parse().unwrap());
        assert_eq!(gateway.map(|gateway| gateway.virtual_clusters.len()).map_err(|problems| problems.len()), Ok(200));
    }
}
