//! Counters of one virtual cluster and the state its workers share: the core's [`Host`] on top of the host calls.
//!
//! Names: `bifrost.<virtual cluster>.<counter>` and `bifrost.<virtual cluster>.closed.<reason>`; Envoy shows them on its
//! admin port under `wasmcustom.` and to Prometheus.

use core::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use bifrost_chain::{Closing, ConnectionReading, InForce, Reading};
use bifrost_core::fault::Fault;
use bifrost_core::host::{Counter, Host, Report};

use crate::host::{self, Level, MetricType};

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
    /// `bifrost.<virtual cluster>.quota`
    quota_prefix: String,
    /// Metrics of quotas by name: their number follows the configuration. For gauges, the value told last.
    quotas: RefCell<BTreeMap<String, (u32, Option<u64>)>>,
}

/// A counter and what the host has not been told yet.
struct Pending {
    counter: Counter,
    id: u32,
    by: Cell<u64>,
}

impl Metrics {
    pub(crate) fn define(virtual_cluster: &str) -> Result<Self, Fault> {
        let define =
            |name: &str| host::define_metric(MetricType::Counter, &format!("bifrost.{virtual_cluster}.{name}"));
        let counters = Counter::ALL
            .iter()
            .map(|(counter, name)| Ok(Pending { counter: *counter, id: define(name)?, by: Cell::new(0) }));
        let reasons = Fault::REASONS.iter().chain(Closing::REASONS).chain([&NO_ADDRESS]);
        let closed = reasons.map(|reason| Ok((*reason, define(&format!("closed.{reason}"))?)));
        Ok(Metrics {
            counters: counters.collect::<Result<_, Fault>>()?,
            closed: closed.collect::<Result<_, Fault>>()?,
            reported: RefCell::default(),
            quota_prefix: format!("bifrost.{virtual_cluster}.quota"),
            quotas: RefCell::default(),
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

    /// Tells the host of the quotas in force and what has been used of them. A quota that is no more is told as 0.
    pub(crate) fn flush_quotas(&self, quotas: &InForce) {
        let (readings, connections) = quotas.readings();
        let mut told = BTreeSet::new();
        for Reading { subject, resource, limit, used } in readings {
            let name = format!("{}.{subject}.{}", self.quota_prefix, resource.name());
            self.gauge(format!("{name}.limit"), limit, &mut told);
            self.add(format!("{name}.used"), used.used);
            self.add(format!("{name}.throttled"), used.throttled);
            self.add(format!("{name}.throttle_time_ms"), used.throttle_ms);
        }
        for ConnectionReading { subject, limit, connections } in connections {
            let name = format!("{}.{subject}.connections", self.quota_prefix);
            self.gauge(format!("{name}.limit"), u64::from(limit), &mut told);
            // Other workers tell it, too, so what was told last may not be what is shown.
            self.forget(&format!("{name}.used"));
            self.gauge(format!("{name}.used"), u64::from(connections), &mut told);
        }
        for (name, (id, value)) in &mut *self.quotas.borrow_mut() {
            if value.is_some_and(|value| value != 0) && !told.contains(name) {
                *value = Some(0);
                host::record(*id, 0);
            }
        }
    }

    fn gauge(&self, name: String, value: u64, told: &mut BTreeSet<String>) {
        let mut quotas = self.quotas.borrow_mut();
        let known = quotas.get(&name).copied();
        let id = known.map(|(id, _)| id).or_else(|| host::define_metric(MetricType::Gauge, &name).ok());
        if let Some(id) = id.filter(|_| known.is_none_or(|(_, last)| last != Some(value))) {
            host::record(id, value);
            quotas.insert(name.clone(), (id, Some(value)));
        }
        told.insert(name);
    }

    /// The gauge is to be told even if it has not changed.
    fn forget(&self, gauge: &str) {
        if let Some((_, last)) = self.quotas.borrow_mut().get_mut(gauge) {
            *last = None;
        }
    }

    fn add(&self, name: String, by: u64) {
        let mut quotas = self.quotas.borrow_mut();
        let known = quotas.get(&name).map(|(id, _)| *id);
        if let Some(id) = known.or_else(|| host::define_metric(MetricType::Counter, &name).ok()) {
            if by > 0 {
                host::increment(id, by);
            }
            if known.is_none() {
                quotas.insert(name, (id, None));
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

    fn now_ms(&mut self) -> u64 {
        host::now_ms()
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
