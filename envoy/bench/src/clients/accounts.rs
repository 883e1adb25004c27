//! The accounts of all sides at one moment, and the figures between two.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::records::RECORD_BYTES;
use crate::cpu::{Process, Threads};
use crate::figure::Figure;
use crate::kafka_cluster::KafkaCluster;
use crate::measure::Busy;
use crate::record::Measured;
use crate::target::Running;

pub(super) struct Moment {
    at: Instant,
    records: u64,
    proxy: Option<Process>,
    clients: Threads,
    broker: Threads,
}

impl Moment {
    /// `records`: acknowledged or received so far.
    pub(super) fn now(running: &Running, kafka: &KafkaCluster, records: u64) -> Result<Self> {
        Ok(Self {
            at: Instant::now(),
            records,
            proxy: running.pid().map(Process::now).transpose()?,
            clients: Threads::now()?,
            broker: Threads::of(kafka.pid()?)?,
        })
    }

    /// Throughput, the proxy's CPU by gigabyte of record values, and how busy each side was. CPU of clients counts only
    /// where they are threads of ours.
    pub(super) fn figures_since(&self, before: &Self) -> Result<Measured> {
        let seconds = self.at.duration_since(before.at).as_secs_f64();
        let records = self.records.saturating_sub(before.records);
        ensure!(records > 0, "no record in {seconds:.1} s");
        let bytes = (records * RECORD_BYTES as u64) as f64;
        let proxy = |figure: fn(Process) -> Duration| {
            let (after, before) = self.proxy.zip(before.proxy)?;
            Some(figure(after).saturating_sub(figure(before)).as_secs_f64())
        };
        let shares = |after: &Threads, before: &Threads| {
            let (all, busiest) = after.all_since(before);
            [all.as_secs_f64() / seconds, busiest.as_secs_f64() / seconds]
        };
        let cpu = proxy(|process| process.cpu);
        let busy = Busy {
            proxy: cpu.unwrap_or_default() / seconds,
            proxy_kept_waiting: proxy(|process| process.kept_waiting).unwrap_or_default() / seconds,
            load: shares(&self.clients, &before.clients),
            endpoint: shares(&self.broker, &before.broker),
        };
        let measured = Measured::default()
            .with(Figure::RecordsPerSecond, records as f64 / seconds)
            .with(Figure::MegabytesPerSecond, bytes / 1e6 / seconds)
            .with_some(Figure::CpuSecondsPerGigabyte, cpu.map(|cpu| cpu / (bytes / 1e9)));
        Ok(busy.measured(measured))
    }
}
