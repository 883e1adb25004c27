//! Counters of one virtual cluster and the state its workers share: the core's [`Host`] on top of the host calls.
//!
//! Names: `bifrost.<virtual cluster>.<counter>` and `bifrost.<virtual cluster>.closed.<reason>`; Envoy shows them on its
//! admin port under `wasmcustom.` and to Prometheus.

use std::collections::BTreeMap;

use bifrost_chain::Closing;
use bifrost_core::fault::Fault;
use bifrost_core::host::{Counter, Host};

use crate::host;

/// Reason label of connections on a port that belongs to nothing.
pub(crate) const NO_PORT: &str = "port";

/// Metric ids, defined once.
pub(crate) struct Metrics {
    counters: Vec<(Counter, u32)>,
    closed: BTreeMap<&'static str, u32>,
}

impl Metrics {
    pub(crate) fn define(virtual_cluster: &str) -> Result<Self, Fault> {
        let define = |name: &str| host::define_counter(&format!("bifrost.{virtual_cluster}.{name}"));
        let counters = Counter::ALL.iter().map(|(counter, name)| Ok((*counter, define(name)?)));
        let reasons = Fault::REASONS.iter().chain(Closing::REASONS).chain([&NO_PORT]);
        let closed = reasons.map(|reason| Ok((*reason, define(&format!("closed.{reason}"))?)));
        Ok(Metrics { counters: counters.collect::<Result<_, Fault>>()?, closed: closed.collect::<Result<_, Fault>>()? })
    }

    /// Counts a connection that the gateway closes.
    pub(crate) fn closed(&self, reason: &str) {
        if let Some(id) = self.closed.get(reason) {
            host::increment(*id, 1);
        }
    }
}

impl Host for &Metrics {
    fn shared(&mut self, key: &str) -> Option<(Vec<u8>, u32)> {
        host::shared(key)
    }

    fn set_shared(&mut self, key: &str, value: &[u8], version: u32) -> bool {
        host::set_shared(key, value, version)
    }

    fn count(&mut self, counter: Counter, by: u64) {
        if let Some((_, id)) = self.counters.iter().find(|(known, _)| *known == counter) {
            host::increment(*id, by);
        }
    }
}
