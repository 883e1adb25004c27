//! Any other proxy, described by an entry of a file: see `envoy/bench/peers.example.yaml`.

mod file;
mod placeholders;

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

pub(crate) use self::file::read;
use self::placeholders::Placeholders;
use super::process::Launch;
use super::{Cluster, Files, Running, free_ports, slug};
use crate::load::{Client, Route};
use crate::plan::Deployment;

/// How another proxy is started and reached. Texts may hold placeholders.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Peer {
    /// As the report calls it.
    pub(crate) name: String,
    /// Program and arguments.
    command: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    /// Relative to the peers file; without it the folder of what the peer writes.
    working_directory: Option<PathBuf>,
    configuration: Option<Configuration>,
    /// How many adjacent ports it listens at.
    #[serde(default = "one")]
    ports: u16,
    /// Where clients find it.
    #[serde(default = "first_listener")]
    bootstrap: String,
    /// Where each node is found through it, when it leaves the addresses in answers as they are.
    #[serde(default)]
    nodes: Vec<String>,
    /// What it puts before the names of topics and groups.
    #[serde(default)]
    prefix: String,
    #[serde(default = "half_a_minute")]
    ready_timeout_seconds: u64,
}

/// A file that is written before each start.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Configuration {
    file: String,
    text: String,
}

fn one() -> u16 {
    1
}

fn first_listener() -> String {
    "$(listen0)".to_owned()
}

fn half_a_minute() -> u64 {
    30
}

impl Peer {
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Starts it in front of the cluster and waits until a client can use it.
    pub(super) fn start(&'static self, deployment: &Deployment, files: &Files, cluster: &Cluster) -> Result<Running> {
        let directory = files.work.join(slug(&self.name));
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let configuration = self.configuration.as_ref().map(|configuration| directory.join(&configuration.file));
        let placeholders = Placeholders {
            ports: &free_ports(self.ports)?,
            nodes: &cluster.nodes,
            directory: &directory,
            configuration: configuration.as_deref(),
            workers: deployment.workers,
        };
        if let (Some(path), Some(configuration)) = (&configuration, &self.configuration) {
            let text = placeholders.fill(&configuration.text).context("configuration.text")?;
            fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let bootstrap = address(&placeholders, &self.bootstrap).context("bootstrap")?;
        let route = self.route(&placeholders, cluster)?;
        let prefix = self.prefix.as_str();
        let launch = Launch {
            command: self.command(&placeholders, &directory)?,
            output: directory.join("output.log"),
            log: directory.join("error.log"),
            workers: deployment.workers,
            ready_within: Duration::from_secs(self.ready_timeout_seconds),
        };
        let proxy = launch.start(files, || Client::bootstrap(bootstrap, route.clone(), prefix).is_ok())?;
        Ok(Running { bootstrap, route, prefix, proxy: Some(proxy) })
    }

    fn command(&self, placeholders: &Placeholders<'_>, directory: &Path) -> Result<Command> {
        let (program, arguments) = self.command.split_first().context("command")?;
        let mut command = Command::new(placeholders.fill(program).context("command[0]")?);
        for (index, argument) in arguments.iter().enumerate() {
            command.arg(placeholders.fill(argument).with_context(|| format!("command[{}]", index + 1))?);
        }
        for (name, value) in &self.environment {
            command.env(name, placeholders.fill(value).with_context(|| format!("environment.{name}"))?);
        }
        command.current_dir(self.working_directory.as_deref().unwrap_or(directory));
        Ok(command)
    }

    fn route(&self, placeholders: &Placeholders<'_>, cluster: &Cluster) -> Result<Route> {
        if self.nodes.is_empty() {
            return Ok(Route::Advertised);
        }
        let (given, needed) = (self.nodes.len(), cluster.nodes.len());
        ensure!(given == needed, "nodes: {given} addresses, but the cluster has {needed} nodes");
        let node =
            |(index, text): (usize, &String)| address(placeholders, text).with_context(|| format!("nodes[{index}]"));
        Ok(Route::Listeners(self.nodes.iter().enumerate().map(node).collect::<Result<_>>()?))
    }
}

fn address(placeholders: &Placeholders<'_>, text: &str) -> Result<SocketAddr> {
    let text = placeholders.fill(text)?;
    let resolved = text.to_socket_addrs().with_context(|| format!("'{text}' is no host:port"))?.next();
    resolved.with_context(|| format!("'{text}' has no address"))
}
