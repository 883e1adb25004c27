//! What connections cost: to open and close them, and to keep them.

mod churn;
mod dialogue;
mod frames;
mod held;

use std::net::SocketAddr;

use anyhow::{Context, Result};

pub(crate) use self::churn::churn;
pub(crate) use self::frames::peak;
pub(crate) use self::held::{hold, most_held};
use crate::figure::Figure;
use crate::load::Route;
use crate::record::Measured;
use crate::target::{Proxy, Running};

/// Threads that open connections.
const THREADS: usize = 8;

/// Where clients connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Bootstrap,
    /// Both nodes, at the addresses that they are advertised at.
    Nodes,
}

impl Door {
    fn addresses(self, running: &Running) -> Result<Vec<SocketAddr>> {
        match self {
            Self::Bootstrap => Ok(vec![running.bootstrap]),
            Self::Nodes => match &running.route {
                Route::Listeners(listeners) => Ok(listeners.clone()),
                Route::Advertised => dialogue::advertised(running.bootstrap),
            },
        }
    }
}

/// How the process started, and what memory it has with nothing to do.
pub(crate) fn start(running: &Running) -> Result<Measured> {
    let proxy = process(running)?;
    Ok(Measured::default()
        .with(Figure::StartSeconds, proxy.started.after.as_secs_f64())
        .with(Figure::StartCpuSeconds, proxy.started.cpu.as_secs_f64())
        .with(Figure::ResidentMib, proxy.memory_at_rest()?.resident_mib()))
}

fn process(running: &Running) -> Result<&Proxy> {
    running.proxy.as_ref().context("there is no process: leave this target out of the case")
}
