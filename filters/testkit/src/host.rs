//! The process around the core: shared data with compare-and-set, and counters.

use std::collections::{BTreeMap, BTreeSet};

use bifrost_core::host::{Counter, Host, Report};

/// A host in memory.
#[derive(Clone, Debug, Default)]
pub struct FakeHost {
    shared: BTreeMap<String, (Vec<u8>, u32)>,
    counts: BTreeMap<&'static str, u64>,
    /// What was reported, each once.
    pub reports: BTreeSet<Report>,
    /// What the clock shows.
    pub now_ms: u64,
    /// Reads and writes of shared data and of the clock.
    pub calls: usize,
    /// How many of the next writes somebody else is faster than.
    pub races: usize,
}

impl FakeHost {
    /// How often `counter` was counted.
    pub fn counted(&self, counter: Counter) -> u64 {
        self.counts.get(name(counter)).copied().unwrap_or(0)
    }

    /// Whether anything is stored under `key`.
    pub fn has(&self, key: &str) -> bool {
        self.shared.contains_key(key)
    }
}

fn name(counter: Counter) -> &'static str {
    Counter::ALL.iter().find(|(known, _)| *known == counter).expect("every counter has a name").1
}

impl Host for FakeHost {
    fn shared(&mut self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.calls += 1;
        self.shared.get(key).cloned()
    }

    fn set_shared(&mut self, key: &str, value: &[u8], version: u32) -> bool {
        self.calls += 1;
        if self.races > 0 {
            self.races -= 1;
            return false;
        }
        let current = self.shared.get(key).map_or(0, |(_, version)| *version);
        if version != 0 && version != current {
            return false;
        }
        self.shared.insert(key.to_owned(), (value.to_vec(), current + 1));
        true
    }

    fn now_ms(&mut self) -> u64 {
        self.calls += 1;
        self.now_ms
    }

    fn count(&mut self, counter: Counter, by: u64) {
        *self.counts.entry(name(counter)).or_default() += by;
    }

    fn report(&mut self, report: Report) {
        self.reports.insert(report);
    }
}
