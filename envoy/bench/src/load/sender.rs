//! One connection under load.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use uuid::Uuid;

use super::client::Client;
use super::requests::{Exchange, Expected};
use super::workload::Workload;
use crate::endpoint::{Endpoint, UNSEEN};
use crate::frames::Connection;
use crate::kafka::{REQUEST_CORRELATION_ID_AT, set_correlation_id};

/// Longest round trip that is told apart: 10 s.
pub(super) const LATENCY_MAX_NS: u64 = 10_000_000_000;

/// What all connections of one step share.
#[derive(Default)]
pub(crate) struct Progress {
    /// Requests answered, and the bytes of whichever side carries the records.
    pub(crate) answers: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// Latencies count only while this is set.
    pub(crate) measuring: AtomicBool,
    pub(crate) stop: AtomicBool,
}

/// What one connection did from its first request to its last answer.
pub(crate) struct Totals {
    pub(crate) requests: u64,
    /// What the endpoint has to have received.
    pub(crate) request_bytes: u64,
    pub(crate) round_trips: Histogram<u64>,
}

pub(crate) struct Sender {
    connection: Connection,
    /// Reused for every request: only the correlation id changes.
    frame: Vec<u8>,
    upstream_bytes: usize,
    answer: Expected,
    in_flight_max: usize,
    /// Correlation id and, for round trips, the time of sending.
    in_flight: VecDeque<(i32, Option<Instant>)>,
    counts_answers: bool,
    next_id: i32,
    is_round_trip: bool,
    requests: u64,
    round_trips: Histogram<u64>,
}

impl Sender {
    /// `ids` are those of the request's topics, see `Client::topic_ids`; `index` counts a workload's connections.
    pub(crate) fn open(
        client: &Client,
        workload: &Workload,
        ids: &[Uuid],
        index: usize,
        endpoint: &Endpoint,
    ) -> Result<Self> {
        let ready = client.connect(index)?;
        let (key, version) = workload.request.api();
        ensure!(ready.version(key, version)? == version, "{key:?} v{version} is not offered");
        let exchange = Exchange::of(workload.request, ids, index, client.prefix(), endpoint)?;
        Ok(Self {
            connection: ready.connection,
            frame: exchange.frame,
            upstream_bytes: exchange.upstream_bytes,
            answer: exchange.answer,
            in_flight_max: workload.in_flight,
            in_flight: VecDeque::with_capacity(workload.in_flight),
            counts_answers: workload.request.is_answer_larger(),
            next_id: 1,
            is_round_trip: workload.is_round_trip(),
            requests: 0,
            round_trips: Histogram::new_with_bounds(1, LATENCY_MAX_NS, 3)?,
        })
    }

    /// Its requests are for a topic that the client has never seen in Metadata, as after a restart of the gateway.
    pub(crate) fn for_unseen_topic(client: &Client, workload: &Workload, endpoint: &Endpoint) -> Result<Self> {
        Self::open(client, workload, &[UNSEEN.id()], 0, endpoint)
    }

    /// One request and its answer.
    pub(crate) fn once(mut self) -> Result<()> {
        self.send()?;
        self.receive(&Progress::default())
    }

    /// Keeps the pipe full until told to stop, then waits for what is still under way.
    pub(crate) fn run(mut self, progress: &Progress) -> Result<Totals> {
        loop {
            let stopping = progress.stop.load(Relaxed);
            if stopping && self.in_flight.is_empty() {
                return Ok(self.totals());
            }
            if !stopping && self.in_flight.len() < self.in_flight_max {
                self.send().with_context(|| format!("sending request {}", self.next_id))?;
            } else {
                self.receive(progress).with_context(|| {
                    format!("answer {} of {}", self.requests - self.in_flight.len() as u64, self.requests)
                })?;
            }
        }
    }

    /// What it has done, once all answers are there.
    pub(super) fn totals(self) -> Totals {
        let request_bytes = self.requests * self.upstream_bytes as u64;
        Totals { requests: self.requests, request_bytes, round_trips: self.round_trips }
    }

    pub(super) fn send(&mut self) -> Result<()> {
        set_correlation_id(&mut self.frame, REQUEST_CORRELATION_ID_AT, self.next_id);
        let sent_at = self.is_round_trip.then(Instant::now);
        self.connection.write_all(&self.frame)?;
        self.in_flight.push_back((self.next_id, sent_at));
        self.next_id = self.next_id.wrapping_add(1);
        self.requests += 1;
        Ok(())
    }

    pub(super) fn receive(&mut self, progress: &Progress) -> Result<()> {
        let answer = self.connection.next()?.context("connection closed")?;
        let size = answer.size;
        let id = answer.head.first_chunk().map(|bytes| i32::from_be_bytes(*bytes));
        let (expected, sent_at) = self.in_flight.pop_front().context("answer to nothing")?;
        ensure!(id == Some(expected), "correlation id {id:?} instead of {expected}");
        self.answer.check(size, answer.head)?;
        if let Some(sent_at) = sent_at
            && progress.measuring.load(Relaxed)
        {
            self.round_trips.saturating_record(nanoseconds(sent_at.elapsed()));
        }
        let counted = if self.counts_answers { size + 4 } else { self.frame.len() };
        progress.answers.fetch_add(1, Relaxed);
        progress.bytes.fetch_add(counted as u64, Relaxed);
        Ok(())
    }
}

impl AsFd for Sender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }
}

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
