//! The targets: what stands between load and endpoint.

mod bare;
mod files;
mod gateway;
mod peer;
mod process;
mod settings;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

pub(crate) use self::files::{Files, Places};
pub(crate) use self::gateway::Build;
pub(crate) use self::peer::{Peer, read as read_peers};
use self::process::Launch;
pub(crate) use self::process::{Held, Proxy};
pub(crate) use self::settings::{VARIANTS, VARIANTS_OF_WORKERS, Variant};
use crate::endpoint::Endpoint;
use crate::kafka::TENANT_PREFIX;
use crate::load::{Client, Route};
use crate::plan::Deployment;

/// The longest that Envoy may take to serve.
const READY_WITHIN: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// No proxy.
    Direct,
    /// Stock Envoy, `tcp_proxy` only: what everything is compared with.
    Bare,
    /// Stock Envoy with a wasm filter that does this and nothing else: the floor of any wasm filter.
    Floor(Floor),
    /// Envoy with the module, addresses rewritten, nothing else in the chain.
    Addresses,
    /// The same for a tenant: all names get a prefix, what belongs to others is hidden.
    Tenancy,
    /// Tenancy with another setting of Envoy.
    With(&'static Variant),
    /// Tenancy as another commit has it.
    Build(&'static Build),
    /// Another proxy.
    Peer(&'static Peer),
}

/// Behaviours of `envoy/bench/floor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Floor {
    Noop,
    Peek,
    Copy,
}

impl Target {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Bare => "bare",
            Self::Floor(floor) => floor.name(),
            Self::Addresses => "addresses",
            Self::Tenancy => "tenancy",
            Self::With(variant) => variant.name,
            Self::Build(build) => &build.name,
            Self::Peer(peer) => &peer.name,
        }
    }

    /// Whether it has virtual clusters.
    pub(crate) fn is_gateway(&self) -> bool {
        matches!(self, Self::Addresses | Self::Tenancy | Self::With(_) | Self::Build(_))
    }

    /// What stands before a client's names at the endpoint.
    pub(crate) fn prefix(&self) -> &'static str {
        match self {
            Self::Tenancy | Self::With(_) | Self::Build(_) => TENANT_PREFIX,
            Self::Direct | Self::Bare | Self::Floor(_) | Self::Addresses => "",
            Self::Peer(peer) => peer.prefix(),
        }
    }

    pub(crate) fn start(&self, deployment: &Deployment, files: &Files, cluster: &Cluster) -> Result<Running> {
        match self {
            Self::Direct => {
                Ok(Running { bootstrap: cluster.nodes[0], route: Route::Advertised, prefix: "", proxy: None })
            }
            Self::Peer(peer) => peer.start(deployment, files, cluster),
            _ => envoy(self, deployment, files, cluster),
        }
    }
}

impl Floor {
    /// As its plugin configuration calls it, too.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Noop => "noop",
            Self::Peek => "peek",
            Self::Copy => "copy",
        }
    }
}

/// The cluster behind the targets.
pub(crate) struct Cluster {
    pub(crate) first_id: usize,
    /// Index is node id minus `first_id`.
    pub(crate) nodes: Vec<SocketAddr>,
    /// For real clients: what the nodes have for bare Envoy, which cannot change what they advertise.
    pub(crate) relay: Option<Relay>,
}

impl From<&Endpoint> for Cluster {
    fn from(endpoint: &Endpoint) -> Self {
        Self { first_id: 0, nodes: endpoint.nodes.clone(), relay: None }
    }
}

/// What bare Envoy listens at and leads to.
#[derive(Clone, Debug)]
pub(crate) struct Relay {
    pub(crate) listeners: Vec<SocketAddr>,
    /// Where each of them leads: a node's address, at which it may advertise the listener.
    pub(crate) nodes: Vec<SocketAddr>,
}

/// A target that takes connections.
pub(crate) struct Running {
    pub(crate) bootstrap: SocketAddr,
    pub(crate) route: Route,
    pub(crate) prefix: &'static str,
    pub(crate) proxy: Option<Proxy>,
}

impl Running {
    pub(crate) fn client(&self) -> Result<Client> {
        Client::bootstrap(self.bootstrap, self.route.clone(), self.prefix)
    }

    /// The proxy's process, if there is one.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.proxy.as_ref().map(Proxy::pid)
    }
}

/// Starts Envoy as the target has it.
fn envoy(target: &Target, deployment: &Deployment, files: &Files, cluster: &Cluster) -> Result<Running> {
    // Admin, then bootstrap and nodes of each virtual cluster.
    let per_cluster = 1 + cluster.nodes.len();
    let ports = free_ports(u16::try_from(1 + deployment.virtual_clusters * per_cluster)?)?;
    let directory = files.work.join(slug(target.name()));
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;

    let prefix = target.prefix();
    let documents = gateway::documents(prefix, &ports[1..], cluster);
    let mut gateway = match target {
        Target::Build(build) => build.render(&directory, &documents, ports[0])?,
        _ => gateway::render(files, &documents, ports[0])?,
    };
    if let Target::With(variant) = target {
        variant.setting.apply(&mut gateway).with_context(|| variant.name)?;
    }
    let listening = |port: &u16| SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
    let floor = match target {
        Target::Floor(floor) => Some((*floor, files.floor_module.as_path())),
        _ => None,
    };
    let (configuration, bootstrap, route) = match target {
        Target::Bare | Target::Floor(_) => {
            let relay = cluster.relay.clone().unwrap_or_else(|| Relay {
                listeners: ports[2..=per_cluster].iter().map(listening).collect(),
                nodes: cluster.nodes.clone(),
            });
            let configuration = bare::bootstrap(&gateway, floor, &relay)?;
            (configuration, relay.listeners[0], Route::Listeners(relay.listeners))
        }
        _ => (gateway, listening(&ports[1]), Route::Advertised),
    };
    let launch = Launch {
        command: envoy_command(files, &directory.join("envoy.json"), &configuration, deployment.workers)?,
        output: directory.join("access.log"),
        log: directory.join("envoy.log"),
        workers: deployment.workers,
        ready_within: READY_WITHIN,
    };
    let proxy = launch.start(files, || Client::bootstrap(bootstrap, route.clone(), prefix).is_ok())?;
    Ok(Running { bootstrap, route, prefix, proxy: Some(proxy) })
}

fn envoy_command(files: &Files, path: &Path, configuration: &Value, workers: usize) -> Result<Command> {
    fs::write(path, serde_json::to_vec_pretty(configuration)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    let mut command = Command::new(&files.envoy);
    command.arg("--config-path").arg(path).args(["--concurrency", &workers.to_string()]);
    command.args(["--disable-hot-restart", "--log-level", "warning"]);
    Ok(command)
}

/// Adjacent ports that are free now, below those the kernel hands out by itself.
fn free_ports(count: u16) -> Result<Vec<u16>> {
    let spread = u16::try_from(std::process::id() % 8_000)?;
    (0..40)
        .map(|attempt| 20_000 + (spread + attempt * 211) % 12_000)
        .map(|first| (first..first + count).collect::<Vec<_>>())
        .find(|ports| ports.iter().all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()))
        .with_context(|| format!("no {count} adjacent free ports"))
}

/// A name as the name of a folder.
fn slug(name: &str) -> String {
    name.chars().map(|letter| if letter.is_alphanumeric() || letter == '.' { letter } else { '-' }).collect()
}
