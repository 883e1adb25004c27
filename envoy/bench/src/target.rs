//! The targets: what stands between load and endpoint.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Result, ensure};
use rustix::thread::CpuSet;
use serde::Serialize;

use crate::cpu::{self, Side};
use crate::endpoint::Endpoint;
use crate::envoy::{Envoy, bare_bootstrap, free_ports, gateway_bootstrap};
use crate::kafka::TENANT_PREFIX;
use crate::load::{Client, Route};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Target {
    /// No proxy.
    Direct,
    /// Stock Envoy, `tcp_proxy` only.
    Bare,
    /// Envoy with the module, addresses rewritten, nothing else in the chain.
    Addresses,
    /// The same for a tenant: all names get a prefix, what belongs to others is hidden.
    Tenancy,
}

impl Target {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Bare => "bare",
            Self::Addresses => "addresses",
            Self::Tenancy => "tenancy",
        }
    }

    /// What stands before a client's names at the endpoint.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Tenancy => TENANT_PREFIX,
            Self::Direct | Self::Bare | Self::Addresses => "",
        }
    }

    pub(crate) fn start(self, files: &Files, endpoint: &Endpoint) -> Result<Running> {
        match self {
            Self::Direct => {
                Ok(Running { bootstrap: endpoint.nodes[0], route: Route::Advertised, prefix: "", envoy: None })
            }
            Self::Bare | Self::Addresses | Self::Tenancy => proxy(self, files, endpoint),
        }
    }
}

/// Where things are found and put.
#[derive(clap::Args)]
pub(crate) struct Places {
    /// Envoy's executable.
    #[arg(long, env = "BIFROST_E2E_ENVOY", default_value = ".tools/envoy-1.40.0/envoy")]
    envoy: PathBuf,
    /// The module, as `make wasm` builds it.
    #[arg(long, env = "BIFROST_E2E_MODULE", default_value = "target/wasm32-wasip1/wasm/bifrost_adapter.wasm")]
    module: PathBuf,
    /// Where configurations, logs and results go.
    #[arg(long, default_value = "target/bench")]
    output: PathBuf,
}

impl Places {
    /// Checks and makes them, and leaves the proxy's core to the proxy.
    pub(crate) fn files(&self) -> Result<Files> {
        for file in [&self.envoy, &self.module] {
            ensure!(
                file.exists(),
                "{} is missing: `make wasm` builds the module and fetches Envoy's executable",
                file.display()
            );
        }
        fs::create_dir_all(&self.output)?;
        let files = Files {
            envoy: self.envoy.clone(),
            module: self.module.canonicalize()?,
            work: self.output.canonicalize()?,
            cores: cpu::cores()?,
            buffer_bytes: None,
        };
        cpu::bind(&files.cores, Side::LoadAndEndpoint)?;
        Ok(files)
    }
}

/// What the processes are started with.
#[derive(Clone)]
pub(crate) struct Files {
    pub(crate) envoy: PathBuf,
    pub(crate) module: PathBuf,
    pub(crate) work: PathBuf,
    pub(crate) cores: CpuSet,
    /// Envoy's limit for each side of a connection, when it is not to be the gateway's own.
    pub(crate) buffer_bytes: Option<u32>,
}

/// A target that takes connections.
pub(crate) struct Running {
    pub(crate) bootstrap: SocketAddr,
    pub(crate) route: Route,
    pub(crate) prefix: &'static str,
    pub(crate) envoy: Option<Envoy>,
}

impl Running {
    pub(crate) fn client(&self) -> Result<Client> {
        Client::bootstrap(self.bootstrap, self.route.clone(), self.prefix)
    }

    /// The proxy's process, if there is one.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.envoy.as_ref().map(Envoy::pid)
    }
}

fn proxy(target: Target, files: &Files, endpoint: &Endpoint) -> Result<Running> {
    let nodes = endpoint.nodes.as_slice();
    // Admin, bootstrap, nodes.
    let ports = free_ports(2 + u16::try_from(nodes.len())?)?;
    let listening = |port: &u16| SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
    let node_listeners: Vec<_> = ports[2..].iter().map(listening).collect();
    let gateway = gateway_bootstrap(files, target, &ports, nodes)?;
    let prefix = target.prefix();
    let (configuration, bootstrap, route) = match target {
        Target::Bare => {
            (bare_bootstrap(&gateway, &node_listeners, nodes), node_listeners[0], Route::Listeners(node_listeners))
        }
        _ => (gateway, listening(&ports[1]), Route::Advertised),
    };
    let ready = || Client::bootstrap(bootstrap, route.clone(), prefix).is_ok();
    let envoy = Envoy::start(files, target, &configuration, ready)?;
    Ok(Running { bootstrap, route, prefix, envoy: Some(envoy) })
}
