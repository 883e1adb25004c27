//! Counters of one virtual cluster and the state its workers share: the core's [`Host`] on top of the host calls.
//!
//! Names: `bifrost.<virtual cluster>.<counter>` and `bifrost.<virtual cluster>.closed.<reason>`; Envoy shows them on its
//! admin port under `wasmcustom.` and to Prometheus.

use core::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use bifrost_chain::Closing;
use bifrost_core::fault::Fault;
use bifrost_core::host::{Counter, Host, Report};

use crate::host::{self, Level};

/// Reason label of connections to an address that belongs to nothing.
pub(crate) const NO_ADDRESS: &str = "address";

/// Different reports that a worker makes; later ones are only counted.
const REPORTS_MAX: usize = 1000;

/// Metric ids, defined once. What is counted for every frame goes to the host from time to time only: a host call for
/// each would be a good part of a small request's cost.
pub(crate) struct Metrics {
    counters: Vec<Pending>,
    closed: BTreeMap<&'static str, u32>,
    /// What the operator has been told.
    reported: RefCell<BTreeSet<Report>>,
}

/// A counter and what the host has not been told yet.
struct Pending {
    counter: Counter,
    id: u32,
    by: Cell<u64>,
}

impl Metrics {
    pub(crate) fn define(virtual_cluster: &str) -> Result<Self, Fault> {
        let define = |name: &str| host::define_counter(&format!("bifrost.{virtual_cluster}.{name}"));
        let counters = Counter::ALL
            .iter()
            .map(|(counter, name)| Ok(Pending { counter: *counter, id: define(name)?, by: Cell::new(0) }));
        let reasons = Fault::REASONS.iter().chain(Closing::REASONS).chain([&NO_ADDRESS]);
        let closed = reasons.map(|reason| Ok((*reason, define(&format!("closed.{reason}"))?)));
        Ok(Metrics {
            counters: counters.collect::<Result<_, Fault>>()?,
            closed: closed.collect::<Result<_, Fault>>()?,
            reported: RefCell::default(),
        })
    }

    /// Tells the host what has been counted.
    pub(crate) fn flush(&self) {
        for pending in &self.counters {
            match pending.by.take() {
                0 => {}
                by => host::increment(pending.id, by),
            }
        }
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
        if let Some(pending) = self.counters.iter().find(|pending| pending.counter == counter) {
            pending.by.set(pending.by.get().saturating_add(by));
        }
    }

    fn report(&mut self, report: Report) {
        let mut reported = self.reported.borrow_mut();
        if reported.len() < REPORTS_MAX && reported.insert(report) {
            host::log(Level::Error, &report.to_string());
        }
    }
}
