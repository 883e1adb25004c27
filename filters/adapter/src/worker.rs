//! What all connections of a worker share: the virtual cluster, its counters, and the question where the nodes are.
//!
//! Envoy lets a module open no connection but by HTTP. So the question is an HTTP request to an internal listener with this
//! module in it, which takes it away, asks a bootstrap server for the nodes on the same connection, and puts an HTTP answer in
//! place of the broker's. Shared data tell all workers the nodes, and when somebody has asked last.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use bifrost_chain::{InForce, VirtualCluster};
use bifrost_core::fault::Fault;
use bifrost_core::filter::PAUSE_MS_MAX;
use bifrost_core::window::Window as _;

use crate::host::{self, Buffer, BufferType};
use crate::metrics::Metrics;
use crate::stream::{self, Stream};

/// How often counters are flushed and deadlines are looked at.
const TICK_MS: u64 = 500;

/// Ticks that end pauses, or ask for a node that a connection waits for, come no closer than this.
const TICK_MS_MIN: u64 = 2;

thread_local! {
    /// The quotas of this VM, which is a virtual cluster's own. A new configuration comes with a new root context; connections
    /// stay with the one that they came under, but quotas are those of the newest.
    static QUOTAS: Rc<InForce> = Rc::default();
}

/// Key of the time of the last question, in shared data.
const ASKED_KEY: &str = "bifrost.nodes.asked";

/// A worker that could not ask leaves it to others for this long, and twice as long each time ...
const PAUSE_MS: u64 = 1_000;
/// ... up to this: brokers that want SASL count each try as a failed login. For a client that waits it asks all the same.
const PAUSE_MAX_MS: u64 = 600_000;

/// One for each worker and configuration.
pub(crate) struct Worker {
    root_id: u32,
    pub(crate) cluster: VirtualCluster,
    pub(crate) metrics: Metrics,
    /// By context id.
    waiting: RefCell<BTreeMap<u32, Waiting>>,
    /// By context id.
    paused: RefCell<BTreeMap<u32, Paused>>,
    /// When the next tick is to come.
    tick_at_ms: Cell<u64>,
    tick_period_ms: Cell<u64>,
    /// When counters are flushed and deadlines are looked at next.
    look_at_ms: Cell<u64>,
    /// The question that is under way.
    question: Cell<Option<u32>>,
    /// How often in a row this worker could not ask, and until when it leaves it to others.
    failures: Cell<(u32, u64)>,
}

/// A connection that waits for a node's address.
struct Waiting {
    stream: Rc<RefCell<Stream>>,
    deadline_ms: u64,
}

/// A connection whose client is not read.
struct Paused {
    until_ms: u64,
    stream: Weak<RefCell<Stream>>,
}

impl Worker {
    pub(crate) fn configure(root_id: u32, size: usize) -> Result<Self, Box<dyn core::error::Error>> {
        let json = Buffer::new(BufferType::PluginConfiguration, size).peek(0..size)?;
        let cluster = VirtualCluster::from_json_after(&json, QUOTAS.with(Rc::clone))?;
        let metrics = Metrics::define(cluster.name())?;
        let worker = Worker {
            root_id,
            cluster,
            metrics,
            waiting: RefCell::default(),
            paused: RefCell::default(),
            tick_at_ms: Cell::default(),
            tick_period_ms: Cell::default(),
            look_at_ms: Cell::default(),
            question: Cell::default(),
            failures: Cell::default(),
        };
        worker.tick_at(host::now_ms().saturating_add(TICK_MS))?;
        Ok(worker)
    }

    /// The connection, whose callback is running, waits for its node.
    pub(crate) fn wait(&self, context_id: u32, stream: &Rc<RefCell<Stream>>) {
        let now_ms = host::now_ms();
        let deadline_ms = now_ms.saturating_add(u64::from(self.cluster.limits().node_wait_ms));
        let waiting = || Waiting { stream: Rc::clone(stream), deadline_ms };
        self.waiting.borrow_mut().entry(context_id).or_insert_with(waiting);
        if self.question.get().is_none() {
            // Only the root's own callbacks can ask.
            self.look_at_ms.set(now_ms);
            self.tick_soon(context_id, now_ms);
        }
    }

    /// The connection, whose callback is running or which is the effective context, is paused until then.
    pub(crate) fn pause(&self, context_id: u32, until_ms: u64, stream: &Rc<RefCell<Stream>>) {
        let paused = Paused { until_ms, stream: Rc::downgrade(stream) };
        self.paused.borrow_mut().insert(context_id, paused);
        self.tick_soon(context_id, until_ms);
    }

    /// The connection is no more.
    pub(crate) fn forget(&self, context_id: u32) {
        self.waiting.borrow_mut().remove(&context_id);
        self.paused.borrow_mut().remove(&context_id);
    }

    /// Sees to it that a tick comes then. When this fails it is late, and that is all.
    fn tick_soon(&self, context_id: u32, at_ms: u64) {
        if at_ms < self.tick_at_ms.get() && host::set_effective_context(self.root_id).is_ok() {
            let _ = self.tick_at(at_ms);
            let _ = host::set_effective_context(context_id);
        }
    }

    fn tick_at(&self, at_ms: u64) -> Result<(), Fault> {
        let now_ms = host::now_ms();
        let period_ms = at_ms.saturating_sub(now_ms).clamp(TICK_MS_MIN, TICK_MS);
        self.tick_at_ms.set(now_ms.saturating_add(period_ms));
        if self.tick_period_ms.replace(period_ms) != period_ms {
            host::set_tick_period(u32::try_from(period_ms).unwrap_or(u32::MAX))?;
        }
        Ok(())
    }

    pub(crate) fn tick(&self) {
        let now_ms = host::now_ms();
        let look_at_ms = self.look_at_ms.get();
        // The clock may have been set back.
        if now_ms >= look_at_ms || now_ms.saturating_add(TICK_MS) < look_at_ms {
            self.look_at_ms.set(now_ms.saturating_add(TICK_MS));
            self.look(now_ms);
        }
        self.end_pauses(now_ms);
        let _ = host::set_effective_context(self.root_id);
        let paused = self.paused.borrow().values().map(|paused| paused.until_ms).min();
        let _ = self.tick_at(self.look_at_ms.get().min(paused.unwrap_or(u64::MAX)));
    }

    /// What is due from time to time.
    fn look(&self, now_ms: u64) {
        let quotas = self.cluster.quotas();
        quotas.tick(&mut &self.metrics);
        self.metrics.flush_quotas(quotas);
        self.metrics.flush();
        let waits = !self.waiting.borrow().is_empty();
        if waits {
            let late: Vec<_> =
                self.waiting.borrow_mut().extract_if(.., |_, waiting| now_ms >= waiting.deadline_ms).collect();
            late.iter().for_each(|(_, waiting)| stream::wait_is_over(&waiting.stream));
            let _ = host::set_effective_context(self.root_id);
        }
        if self.question.get().is_none() && (waits || self.takes_turn(now_ms)) {
            let patience = Duration::from_millis(u64::from(self.cluster.limits().node_wait_ms));
            self.question.set(host::get(self.cluster.ask_cluster(), patience));
            if self.question.get().is_none() {
                self.failed(now_ms);
            }
        }
    }

    /// Reads on where a pause is over. One that seems very long is from before the clock was set back.
    fn end_pauses(&self, now_ms: u64) {
        let is_over =
            |_: &u32, paused: &mut Paused| !(1..=PAUSE_MS_MAX).contains(&paused.until_ms.saturating_sub(now_ms));
        let over: Vec<_> = self.paused.borrow_mut().extract_if(.., is_over).collect();
        over.iter().filter_map(|(_, paused)| paused.stream.upgrade()).for_each(|stream| stream::pause_is_over(&stream));
    }

    /// Whether it is time to ask and this worker is the one to do it.
    fn takes_turn(&self, now_ms: u64) -> bool {
        let (_, silent_until_ms) = self.failures.get();
        if now_ms < silent_until_ms {
            return false;
        }
        let (asked, version) = host::shared(ASKED_KEY).unwrap_or_default();
        let asked_ms = <[u8; 8]>::try_from(asked).map_or(0, u64::from_le_bytes);
        let next_ms = asked_ms.saturating_add(u64::from(self.cluster.limits().node_refresh_ms));
        now_ms >= next_ms && host::set_shared(ASKED_KEY, &now_ms.to_le_bytes(), version)
    }

    /// The question has been answered, well or not.
    pub(crate) fn answered(&self, question: u32, well: bool) {
        if self.question.get() != Some(question) {
            return;
        }
        self.question.set(None);
        if !well {
            return self.failed(host::now_ms());
        }
        self.failures.set((0, 0));
        let waiting = core::mem::take(&mut *self.waiting.borrow_mut());
        waiting.values().for_each(|waiting| stream::look_again(&waiting.stream));
    }

    /// Another worker may ask at once: Envoy's main thread, which has a root context, too, cannot reach internal listeners.
    fn failed(&self, now_ms: u64) {
        let (count, _) = self.failures.get();
        let pause_ms = PAUSE_MS.saturating_mul(1u64.checked_shl(count.min(16)).unwrap_or(u64::MAX));
        let pause_ms = pause_ms.min(PAUSE_MAX_MS);
        self.failures.set((count.saturating_add(1), now_ms.saturating_add(pause_ms)));
        let _ = host::set_shared(ASKED_KEY, &[], 0);
    }
}
