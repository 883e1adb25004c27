//! Who was busy between two moments, and so who set the pace.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::cpu::{ENDPOINT_THREAD, LOAD_THREAD, Process, Threads};
use crate::figure::Figure;
use crate::load::Progress;
use crate::record::{Bottleneck, Measured};

/// All accounts at one time.
pub(crate) struct Moment {
    at: Instant,
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    proxy: Option<Process>,
    own: Threads,
}

impl Moment {
    pub(crate) fn now(progress: &Progress, pid: Option<u32>) -> Result<Self> {
        Ok(Self {
            own: Threads::now()?,
            proxy: pid.map(Process::now).transpose()?,
            at: Instant::now(),
            requests: progress.answers.load(Relaxed),
            bytes: progress.bytes.load(Relaxed),
        })
    }

    pub(crate) fn seconds_since(&self, before: &Self) -> f64 {
        self.at.duration_since(before.at).as_secs_f64()
    }

    /// All threads of the proxy's process; absent without a proxy.
    pub(crate) fn proxy_cpu_since(&self, before: &Self) -> Option<f64> {
        self.proxy_since(before, |process| process.cpu)
    }

    fn proxy_since(&self, before: &Self, figure: fn(Process) -> Duration) -> Option<f64> {
        let (after, before) = self.proxy.zip(before.proxy)?;
        Some(figure(after).saturating_sub(figure(before)).as_secs_f64())
    }
}

/// Shares of one core.
#[derive(Clone, Debug, Default)]
pub(crate) struct Busy {
    pub(crate) proxy: f64,
    /// Share of the time in which other processes had the proxy's core: what remains of a shared machine's noise.
    pub(crate) proxy_kept_waiting: f64,
    /// All threads of the load, and its busiest.
    pub(crate) load: [f64; 2],
    /// All threads of the endpoint, and its busiest.
    pub(crate) endpoint: [f64; 2],
}

impl Busy {
    pub(crate) fn between(before: &Moment, after: &Moment) -> Self {
        let seconds = after.seconds_since(before);
        let share = |spent: Option<f64>| spent.unwrap_or_default() / seconds;
        let own = |name| {
            let (sum, busiest) = after.own.since(&before.own, name);
            [sum.as_secs_f64() / seconds, busiest.as_secs_f64() / seconds]
        };
        Self {
            proxy: share(after.proxy_cpu_since(before)),
            proxy_kept_waiting: share(after.proxy_since(before, |process| process.kept_waiting)),
            load: own(LOAD_THREAD),
            endpoint: own(ENDPOINT_THREAD),
        }
    }

    /// Adds the shares and the bottleneck.
    pub(crate) fn measured(&self, measured: Measured) -> Measured {
        Measured { bottleneck: Some(Bottleneck::of(self.proxy, self.load, self.endpoint)), ..measured }
            .with(Figure::ProxyBusy, self.proxy)
            .with(Figure::LoadBusy, self.load[0])
            .with(Figure::EndpointBusy, self.endpoint[0])
            .with(Figure::ProxyKeptWaiting, self.proxy_kept_waiting)
    }
}
