//! The targets: what stands between load and endpoint.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Result;
use rustix::thread::CpuSet;
use serde::Serialize;

use crate::endpoint::Endpoint;
use crate::envoy::{Envoy, bare_bootstrap, free_ports, gateway_bootstrap};
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
}

impl Target {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Bare => "bare",
            Self::Addresses => "addresses",
        }
    }

    pub(crate) fn start(self, files: &Files, endpoint: &Endpoint) -> Result<Running> {
        match self {
            Self::Direct => Ok(Running { bootstrap: endpoint.nodes[0], route: Route::Advertised, envoy: None }),
            Self::Bare | Self::Addresses => proxy(self, files, endpoint),
        }
    }
}

/// Where things are found and put.
pub(crate) struct Files {
    pub(crate) envoy: PathBuf,
    pub(crate) module: PathBuf,
    pub(crate) work: PathBuf,
    pub(crate) cores: CpuSet,
}

/// A target that takes connections.
pub(crate) struct Running {
    pub(crate) bootstrap: SocketAddr,
    pub(crate) route: Route,
    pub(crate) envoy: Option<Envoy>,
}

impl Running {
    pub(crate) fn client(&self) -> Result<Client> {
        Client::bootstrap(self.bootstrap, self.route.clone())
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
    let gateway = gateway_bootstrap(files, &ports, nodes)?;
    let (configuration, bootstrap, route) = match target {
        Target::Bare => {
            (bare_bootstrap(&gateway, &node_listeners, nodes), node_listeners[0], Route::Listeners(node_listeners))
        }
        _ => (gateway, listening(&ports[1]), Route::Advertised),
    };
    let envoy = Envoy::start(files, target, &configuration, || Client::bootstrap(bootstrap, route.clone()).is_ok())?;
    Ok(Running { bootstrap, route, envoy: Some(envoy) })
}
