//! What one subject of limits has used, on all workers together.
//!
//! The bucket of each resource lies in the host's shared data. A worker takes a small lease of tokens out of it and shares those
//! between its connections, so that most requests touch nothing but the worker's own memory.

use core::cell::{Cell, RefCell};
use std::rc::Rc;

use bifrost_core::filter::PAUSE_MS_MAX;
use bifrost_core::host::Host;

use crate::bucket::{Level, Shape};
use crate::config::{Limits, Resource};
use crate::connections::Connections;

/// What a worker takes out of a shared bucket beyond what it needs: the tokens of so many milliseconds. What lies unused with a
/// worker is at most this.
const LEASE_MS: i64 = 20;

/// How often a lost race for a bucket is tried again before the worker owes what it has used.
const RACES_MAX: usize = 16;

/// What was used, and how long clients had to wait for it; kept for metrics until they are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// In the resource's own unit.
    pub used: u64,
    /// Times that a client was made to wait or refused.
    pub throttled: u64,
    /// Milliseconds that clients were made to wait.
    pub throttle_ms: u64,
}

/// What all accounts of one entry of the configuration have used in this worker.
#[derive(Debug, Default)]
pub(crate) struct Usage([Cell<Used>; Resource::ALL.len()]);

impl Usage {
    fn add(&self, resource: Resource, more: Used) {
        let Some(cell) = self.0.get(resource as usize) else { return };
        let old = cell.get();
        cell.set(Used {
            used: old.used.saturating_add(more.used),
            throttled: old.throttled.saturating_add(more.throttled),
            throttle_ms: old.throttle_ms.saturating_add(more.throttle_ms),
        });
    }

    /// What has been used since this was called last.
    pub(crate) fn take(&self, resource: Resource) -> Used {
        self.0.get(resource as usize).map(Cell::take).unwrap_or_default()
    }
}

/// The account of a virtual cluster, a client or a topic in one worker.
#[derive(Debug)]
pub(crate) struct Account {
    buckets: [RefCell<Option<Bucket>>; Resource::ALL.len()],
    pub(crate) connections: Connections,
    usage: Rc<Usage>,
}

impl Account {
    /// `key` tells it from all others of the virtual cluster.
    pub(crate) fn new(key: &str, limits: &Limits, usage: Rc<Usage>) -> Self {
        let account = Account {
            buckets: Resource::ALL.map(|resource| RefCell::new(Bucket::new(key, resource, limits))),
            connections: Connections::new(format!("bifrost.quota.{key}.connections")),
            usage,
        };
        account.connections.set_max(limits.connections);
        account
    }

    /// Other limits from now on; debts stay.
    pub(crate) fn set_limits(&self, key: &str, limits: &Limits) {
        for (cell, resource) in self.buckets.iter().zip(Resource::ALL) {
            let mut bucket = cell.borrow_mut();
            let lease = bucket.as_ref().map_or(0, |bucket| bucket.lease);
            *bucket = Bucket::new(key, resource, limits).map(|bucket| Bucket { lease, ..bucket });
        }
        self.connections.set_max(limits.connections);
    }

    /// Uses so many tokens. Gives the time until which the client has to wait for them, 0 when it need not.
    pub(crate) fn charge(&self, resource: Resource, tokens: u64, host: &mut dyn Host) -> u64 {
        let Some(cell) = self.buckets.get(resource as usize) else { return 0 };
        let mut bucket = cell.borrow_mut();
        let Some(bucket) = bucket.as_mut() else { return 0 };
        let wait = bucket.take(tokens, host);
        let (throttled, throttle_ms) = wait.map_or((0, 0), |wait| (1, wait.ms));
        self.usage.add(resource, Used { used: tokens, throttled, throttle_ms });
        wait.map_or(0, |wait| wait.until_ms)
    }

    /// Until when nothing more of this may be used, 0 when something may: for what is refused and not made to wait.
    pub(crate) fn in_debt_until(&self, resource: Resource, host: &mut dyn Host) -> u64 {
        let Some(cell) = self.buckets.get(resource as usize) else { return 0 };
        let wait = cell.borrow().as_ref().and_then(|bucket| bucket.wait(host));
        wait.map_or(0, |wait| wait.until_ms)
    }

    /// Something was refused because of a debt.
    pub(crate) fn count_refusal(&self, resource: Resource) {
        self.usage.add(resource, Used { throttled: 1, ..Used::default() });
    }
}

/// How long a debt takes to be paid, and when it will be.
#[derive(Clone, Copy, Debug)]
struct Wait {
    ms: u64,
    until_ms: u64,
}

/// One resource's bucket, as a worker sees it.
#[derive(Debug)]
struct Bucket {
    key: String,
    shape: Shape,
    /// Units that were taken out and not used yet; below zero, used and not taken out yet.
    lease: i64,
    /// Units taken out at a time beyond what is needed.
    lease_units: i64,
}

impl Bucket {
    fn new(key: &str, resource: Resource, limits: &Limits) -> Option<Self> {
        let shape = Shape::new(limits.of(resource)?, resource.period_ms(), limits.burst_ms(resource));
        // Creations are refused as soon as there is a debt, which has to be seen by all at once.
        let leases = !matches!(resource, Resource::TopicCreations | Resource::PartitionCreations);
        let lease_units = if leases { shape.units_in(LEASE_MS) } else { 0 };
        Some(Bucket { key: format!("bifrost.quota.{key}.{}", resource.name()), shape, lease: 0, lease_units })
    }

    fn take(&mut self, tokens: u64, host: &mut dyn Host) -> Option<Wait> {
        let units = self.shape.units(tokens);
        if self.lease >= units {
            self.lease = self.lease.saturating_sub(units);
            return None;
        }
        let need = units.saturating_sub(self.lease);
        let now_ms = host.now_ms();
        for _ in 0..RACES_MAX {
            let (level, version) = self.level(now_ms, host);
            let rest = level.units.saturating_sub(need);
            let lease = self.lease_units.min(rest.max(0));
            let left = Level { units: rest.saturating_sub(lease), ..level };
            if host.set_shared(&self.key, &left.to_bytes(), version) {
                self.lease = lease;
                return self.wait_for(left, now_ms);
            }
        }
        self.lease = need.saturating_neg();
        None
    }

    fn wait(&self, host: &mut dyn Host) -> Option<Wait> {
        let now_ms = host.now_ms();
        let (level, _) = self.level(now_ms, host);
        self.wait_for(level, now_ms)
    }

    fn level(&self, now_ms: u64, host: &mut dyn Host) -> (Level, u32) {
        let (bytes, version) = host.shared(&self.key).unwrap_or_default();
        let level = Level::from_bytes(&bytes).unwrap_or_else(|| self.shape.full(now_ms));
        (self.shape.refill(level, now_ms), version)
    }

    /// What is owed beyond the longest pause is met by the next request.
    fn wait_for(&self, level: Level, now_ms: u64) -> Option<Wait> {
        let ms = self.shape.wait_ms(level.units).min(PAUSE_MS_MAX);
        (ms > 0).then(|| Wait { ms, until_ms: now_ms.saturating_add(ms) })
    }
}

#[cfg(test)]
mod tests {
    use bifrost_testkit::host::FakeHost;

    use super::*;

    fn limits(produce: u64) -> Limits {
        Limits { produce_bytes_per_second: Some(produce), ..Limits::default() }
    }

    fn account(produce: u64) -> Account {
        Account::new("whole", &limits(produce), Rc::default())
    }

    const PRODUCE: Resource = Resource::ProduceBytes;

    #[test]
    fn workers_share_one_bucket() {
        let mut host = FakeHost::default();
        let (a, b) = (account(1_000), account(1_000));
        assert_eq!(a.charge(PRODUCE, 600, &mut host), 0);
        // 20 of what is left lie with the first worker.
        assert_eq!(b.charge(PRODUCE, 600, &mut host), 220);
        assert_eq!(a.charge(PRODUCE, 20, &mut host), 0, "its lease");
        assert_eq!(a.charge(PRODUCE, 100, &mut host), 320);
    }

    #[test]
    fn many_workers_get_no_more_than_the_limit_together() {
        let mut host = FakeHost::default();
        let workers: Vec<Account> = (0..8).map(|_| account(100_000)).collect();
        let mut free_at = [0; 8];
        let mut used = 0u64;
        for now_ms in 0..20_000 {
            host.now_ms = now_ms;
            for (worker, free_at) in workers.iter().zip(&mut free_at) {
                if *free_at <= now_ms {
                    used += 777;
                    *free_at = worker.charge(PRODUCE, 777, &mut host);
                }
            }
        }
        // 20 s and a burst of one.
        let expected = 2_100_000;
        assert!(used.abs_diff(expected) < expected / 100, "{used}");
    }

    #[test]
    fn small_requests_below_the_limit_seldom_look_at_shared_data() {
        let mut host = FakeHost::default();
        let account = account(10 << 20);
        for second in 0..10 {
            host.now_ms = second * 1_000;
            for _ in 0..1_000 {
                assert_eq!(account.charge(PRODUCE, 1_000, &mut host), 0);
            }
        }
        // 20 ms of the limit are 209 KB: a clock, a read and a write for each of those.
        assert!(host.calls <= 3 * 50, "{}", host.calls);
    }

    #[test]
    fn without_a_limit_nothing_is_asked_of_the_host() {
        let mut host = FakeHost::default();
        let account = Account::new("whole", &Limits::default(), Rc::default());
        for resource in Resource::ALL {
            assert_eq!(account.charge(resource, u64::MAX, &mut host), 0);
            assert_eq!(account.in_debt_until(resource, &mut host), 0);
        }
        assert_eq!(host.calls, 0);
    }

    #[test]
    fn debts_outlive_new_limits() {
        let mut host = FakeHost::default();
        let account = account(1_000);
        assert_eq!(account.charge(PRODUCE, 2_000, &mut host), 1_000);
        account.set_limits("whole", &limits(100));
        assert_eq!(account.in_debt_until(PRODUCE, &mut host), 10_000);
        account.set_limits("whole", &limits(1_000_000));
        assert_eq!(account.in_debt_until(PRODUCE, &mut host), 1);
        account.set_limits("whole", &Limits::default());
        assert_eq!(account.charge(PRODUCE, 2_000, &mut host), 0);
    }

    #[test]
    fn a_pause_is_bounded_and_the_rest_is_owed() {
        let mut host = FakeHost::default();
        let account = account(1);
        assert_eq!(account.charge(PRODUCE, u64::MAX, &mut host), PAUSE_MS_MAX);
        host.now_ms = PAUSE_MS_MAX;
        assert_eq!(account.charge(PRODUCE, 1, &mut host), 2 * PAUSE_MS_MAX);
    }

    #[test]
    fn what_is_used_is_told_once() {
        let mut host = FakeHost::default();
        let usage = Rc::new(Usage::default());
        let account = Account::new("whole", &limits(1_000), Rc::clone(&usage));
        account.charge(PRODUCE, 400, &mut host);
        account.charge(PRODUCE, 1_600, &mut host);
        assert_eq!(usage.take(PRODUCE), Used { used: 2_000, throttled: 1, throttle_ms: 1_000 });
        assert_eq!(usage.take(PRODUCE), Used::default());
    }

    /// A host whose shared data somebody else always changes first.
    #[test]
    fn who_loses_every_race_owes() {
        let mut host = FakeHost::default();
        let account = account(1_000);
        account.charge(PRODUCE, 500, &mut host);
        host.races = RACES_MAX;
        assert_eq!(account.charge(PRODUCE, 900, &mut host), 0);
        assert_eq!(account.charge(PRODUCE, 0, &mut host), 400);
    }
}
