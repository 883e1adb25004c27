//! CPU time of processes and of our own threads, from the scheduler's nanosecond accounts.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::processes::tree;

pub(crate) const ENDPOINT_THREAD: &str = "endpoint";
pub(crate) const LOAD_THREAD: &str = "load";

/// All threads of a process and of those that it has started. What a thread took that has ended since is not known.
#[derive(Clone, Copy)]
pub(crate) struct Process {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// Time in which a thread could have run, but its core was taken.
    pub(crate) kept_waiting: Duration,
}

impl Process {
    pub(crate) fn now(pid: u32) -> Result<Self> {
        let mut sum = Self { cpu: Duration::ZERO, kept_waiting: Duration::ZERO };
        for process in tree(pid)? {
            let threads = match threads(process) {
                Ok(threads) => threads,
                // A child may end at any time.
                Err(_) if process != pid => continue,
                Err(error) => return Err(error),
            };
            sum.cpu += threads.values().map(|thread| thread.cpu).sum::<Duration>();
            sum.kept_waiting += threads.values().map(|thread| thread.kept_waiting).sum::<Duration>();
        }
        Ok(sum)
    }
}

/// CPU time of a process's threads by thread id.
pub(crate) struct Threads(HashMap<u32, Thread>);

struct Thread {
    name: String,
    cpu: Duration,
    kept_waiting: Duration,
}

impl Threads {
    /// Our own.
    pub(crate) fn now() -> Result<Self> {
        Self::of(std::process::id())
    }

    pub(crate) fn of(pid: u32) -> Result<Self> {
        Ok(Self(threads(pid)?))
    }

    /// CPU time since `before` of the threads with a name: of all of them, and of the busiest one.
    pub(crate) fn since(&self, before: &Self, name: &str) -> (Duration, Duration) {
        self.spent_since(before, |thread| thread.name == name)
    }

    /// The same of all threads.
    #[cfg(feature = "real-kafka")]
    pub(crate) fn all_since(&self, before: &Self) -> (Duration, Duration) {
        self.spent_since(before, |_| true)
    }

    fn spent_since(&self, before: &Self, is_counted: impl Fn(&Thread) -> bool) -> (Duration, Duration) {
        let spent = self.0.iter().filter(|(_, thread)| is_counted(thread)).map(|(id, thread)| {
            let earlier = before.0.get(id).map_or(Duration::ZERO, |thread| thread.cpu);
            thread.cpu.saturating_sub(earlier)
        });
        spent.fold((Duration::ZERO, Duration::ZERO), |(sum, busiest), cpu| (sum + cpu, busiest.max(cpu)))
    }
}

fn threads(pid: u32) -> Result<HashMap<u32, Thread>> {
    let tasks = format!("/proc/{pid}/task");
    let mut found = HashMap::new();
    for task in fs::read_dir(&tasks).with_context(|| tasks.clone())? {
        let path = task?.path();
        let id =
            path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok()).context("thread id")?;
        // A thread may end between the listing and the reading.
        if let Ok(thread) = thread(&path) {
            found.insert(id, thread);
        }
    }
    Ok(found)
}

/// The first two numbers of schedstat are nanoseconds (Linux, Documentation/scheduler/sched-stats.rst).
fn thread(path: &Path) -> Result<Thread> {
    let name = fs::read_to_string(path.join("comm"))?.trim().to_owned();
    let schedstat = fs::read_to_string(path.join("schedstat"))?;
    let mut numbers = schedstat.split_whitespace();
    let mut next = || anyhow::Ok(Duration::from_nanos(numbers.next().context("short schedstat")?.parse()?));
    Ok(Thread { name, cpu: next()?, kept_waiting: next()? })
}

/// The core that the proxy has to itself: where the scheduler puts its worker otherwise decides more than the filter
/// does (one round trip took 18 us of CPU beside the load and 29 us across cores).
#[derive(Clone, Copy)]
pub(crate) enum Side {
    Proxy,
    LoadAndEndpoint,
    /// A proxy of several workers shares all cores with the rest.
    All,
}

/// Binds the calling thread, and the threads and processes that it starts, to the cores of one side.
pub(crate) fn bind(all: &CpuSet, side: Side) -> Result<()> {
    let proxy = (0..CpuSet::MAX_CPU).rev().find(|core| all.is_set(*core)).context("no core")?;
    let mut cores = CpuSet::new();
    match side {
        Side::Proxy => cores.set(proxy),
        Side::All => cores = *all,
        Side::LoadAndEndpoint => {
            cores = *all;
            if all.count() > 1 {
                cores.unset(proxy);
            }
        }
    }
    Ok(sched_setaffinity(None, &cores)?)
}

/// The cores of this process before anything was bound.
pub(crate) fn cores() -> Result<CpuSet> {
    Ok(sched_getaffinity(None)?)
}
