//! How many connections there are, on all workers together.
//!
//! Each worker writes its own number into a list in the host's shared data, again and again: a worker whose VM has died is not
//! counted for long. A connection that ends is taken off at the next [`Connections::tick`].

use core::cell::Cell;

use bifrost_core::host::Host;

/// Where workers get their numbers from.
const WORKERS_KEY: &str = "bifrost.quota.workers";

/// A worker that has not written for so long is no more.
const DEAD_MS: u64 = 10_000;

/// How often a worker writes although nothing has changed.
const ALIVE_MS: u64 = 2_000;

/// How often a lost race for the list is tried again.
const RACES_MAX: usize = 16;

/// Bytes of an entry of the list: worker, connections, time.
const ENTRY_BYTES: usize = 16;

/// The connections of one account.
#[derive(Debug)]
pub(crate) struct Connections {
    key: String,
    max: Cell<Option<u32>>,
    /// This worker's.
    here: Cell<u32>,
    written: Cell<u32>,
    written_ms: Cell<u64>,
    /// This worker's number; 0 before it has one.
    worker: Cell<u32>,
    /// On all workers, as far as this one knows.
    all: Cell<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    worker: u32,
    connections: u32,
    at_ms: u64,
}

impl Connections {
    pub(crate) fn new(key: String) -> Self {
        Connections {
            key,
            max: Cell::default(),
            here: Cell::default(),
            written: Cell::default(),
            written_ms: Cell::default(),
            worker: Cell::default(),
            all: Cell::default(),
        }
    }

    pub(crate) fn set_max(&self, max: Option<u32>) {
        self.max.set(max);
    }

    /// On all workers, when that is of interest.
    pub(crate) fn all(&self) -> Option<u32> {
        self.max.get().map(|_| self.all.get())
    }

    /// One more. The error is the limit, when it does not allow it.
    pub(crate) fn enter(&self, host: &mut dyn Host) -> Result<(), u32> {
        let Some(max) = self.max.get() else {
            self.add();
            return Ok(());
        };
        let here = self.here.get().saturating_add(1);
        if self.write(here, Some(max), host) {
            self.add();
            return Ok(());
        }
        Err(max)
    }

    /// One more that was there before the limit.
    pub(crate) fn add(&self) {
        self.here.set(self.here.get().saturating_add(1));
    }

    /// One less.
    pub(crate) fn leave(&self) {
        self.here.set(self.here.get().saturating_sub(1));
    }

    /// Tells the others how many there are here.
    pub(crate) fn tick(&self, host: &mut dyn Host) {
        if self.max.get().is_none() {
            return;
        }
        let here = self.here.get();
        let mut is_old = || host.now_ms().abs_diff(self.written_ms.get()) >= ALIVE_MS;
        if here != self.written.get() || (here > 0 && is_old()) {
            self.write(here, None, host);
        }
    }

    /// Writes this worker's number, unless all together would be more than `max`.
    fn write(&self, here: u32, max: Option<u32>, host: &mut dyn Host) -> bool {
        let now_ms = host.now_ms();
        let own = self.worker(host);
        for _ in 0..RACES_MAX {
            let (bytes, version) = host.shared(&self.key).unwrap_or_default();
            let mut entries = decode(&bytes);
            entries.retain(|entry| entry.worker != own && entry.at_ms.abs_diff(now_ms) < DEAD_MS);
            let others = entries.iter().map(|entry| entry.connections).fold(0, u32::saturating_add);
            let all = others.saturating_add(here);
            if max.is_some_and(|max| all > max) {
                return false;
            }
            if here > 0 {
                entries.push(Entry { worker: own, connections: here, at_ms: now_ms });
            }
            if host.set_shared(&self.key, &encode(&entries), version) {
                self.written.set(here);
                self.written_ms.set(now_ms);
                self.all.set(all);
                return true;
            }
        }
        // Nobody is turned away because others are busy.
        true
    }

    fn worker(&self, host: &mut dyn Host) -> u32 {
        if self.worker.get() == 0 {
            for _ in 0..RACES_MAX {
                let (bytes, version) = host.shared(WORKERS_KEY).unwrap_or_default();
                let last = bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
                let next = last.wrapping_add(1).max(1);
                if host.set_shared(WORKERS_KEY, &next.to_be_bytes(), version) {
                    self.worker.set(next);
                    break;
                }
            }
        }
        self.worker.get()
    }
}

fn encode(entries: &[Entry]) -> Vec<u8> {
    let bytes = |entry: &Entry| {
        let numbers = [entry.worker.to_be_bytes(), entry.connections.to_be_bytes()];
        numbers.into_iter().flatten().chain(entry.at_ms.to_be_bytes())
    };
    entries.iter().flat_map(bytes).collect()
}

fn decode(bytes: &[u8]) -> Vec<Entry> {
    let entry = |bytes: &[u8]| {
        let (worker, rest) = bytes.split_first_chunk()?;
        let (connections, rest) = rest.split_first_chunk()?;
        Some(Entry {
            worker: u32::from_be_bytes(*worker),
            connections: u32::from_be_bytes(*connections),
            at_ms: u64::from_be_bytes(rest.try_into().ok()?),
        })
    };
    bytes.chunks_exact(ENTRY_BYTES).filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use bifrost_testkit::host::FakeHost;

    use super::*;

    fn worker(max: u32) -> Connections {
        let connections = Connections::new("connections".to_owned());
        connections.set_max(Some(max));
        connections
    }

    #[test]
    fn workers_count_together() {
        let mut host = FakeHost::default();
        let (a, b) = (worker(3), worker(3));
        assert_eq!((a.enter(&mut host), b.enter(&mut host), a.enter(&mut host)), (Ok(()), Ok(()), Ok(())));
        assert_eq!((a.enter(&mut host), b.enter(&mut host)), (Err(3), Err(3)));
        a.leave();
        assert_eq!(a.enter(&mut host), Ok(()), "who closes one may open one at once");
        a.leave();
        assert_eq!(b.enter(&mut host), Err(3), "the other worker has not been told");
        a.tick(&mut host);
        assert_eq!(b.enter(&mut host), Ok(()));
        assert_eq!(b.all(), Some(3));
    }

    #[test]
    fn a_dead_worker_is_forgotten_and_a_living_one_is_not() {
        let mut host = FakeHost::default();
        let (dead, alive, late) = (worker(2), worker(2), worker(2));
        assert_eq!((dead.enter(&mut host), alive.enter(&mut host)), (Ok(()), Ok(())));
        for now_ms in (0..DEAD_MS).step_by(500) {
            host.now_ms = now_ms;
            alive.tick(&mut host);
            assert_eq!(late.enter(&mut host), Err(2), "at {now_ms}");
        }
        host.now_ms = DEAD_MS;
        assert_eq!(late.enter(&mut host), Ok(()));
        assert_eq!(late.enter(&mut host), Err(2));
    }

    #[test]
    fn without_a_limit_they_are_counted_for_free_and_a_new_limit_closes_none() {
        let mut host = FakeHost::default();
        let connections = Connections::new("connections".to_owned());
        for _ in 0..5 {
            assert_eq!(connections.enter(&mut host), Ok(()));
        }
        connections.tick(&mut host);
        assert_eq!(host.calls, 0);
        connections.set_max(Some(2));
        connections.tick(&mut host);
        assert_eq!((connections.all(), connections.enter(&mut host)), (Some(5), Err(2)));
    }

    #[test]
    fn nothing_is_written_while_nothing_happens() {
        let mut host = FakeHost::default();
        let connections = worker(2);
        connections.tick(&mut host);
        assert_eq!(host.calls, 0);
        connections.enter(&mut host).unwrap();
        let calls = host.calls;
        connections.tick(&mut host);
        assert_eq!(host.calls, calls + 1, "a look at the clock");
    }
}
