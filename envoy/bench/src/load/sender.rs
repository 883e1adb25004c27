//! One connection under load.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ApiKey, BrokerId, FetchRequest, GroupId, HeartbeatRequest, ProduceRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::client::Client;
use crate::frames::Connection;
use crate::kafka::{REQUEST_CORRELATION_ID_AT, TOPIC, TOPIC_ID, record_batch, request_frame, set_correlation_id};
use crate::workload::{Request, Workload};

/// Longest round trip that is told apart: 10 s.
const LATENCY_MAX_NS: u64 = 10_000_000_000;

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
    pub(crate) request_bytes: u64,
    pub(crate) round_trips: Histogram<u64>,
}

pub(crate) struct Sender {
    connection: Connection,
    /// Reused for every request: only the correlation id changes.
    frame: Vec<u8>,
    in_flight_max: usize,
    /// Correlation id and, for round trips, the time of sending.
    in_flight: VecDeque<(i32, Option<Instant>)>,
    counts_answers: bool,
    next_id: i32,
    /// Size of the first answer: all later ones are the same.
    answer_bytes: Option<usize>,
    answer_bytes_min: usize,
    is_round_trip: bool,
    requests: u64,
    round_trips: Histogram<u64>,
}

impl Sender {
    pub(crate) fn open(client: &Client, workload: &Workload, partition: usize) -> Result<Self> {
        let ready = client.connect(partition)?;
        let index = i32::try_from(partition)?;
        let (frame, answer_bytes_min) = match workload.request {
            Request::Produce { record_bytes } => {
                let version = ready.version(ApiKey::Produce, 12)?;
                (request_frame(ApiKey::Produce, version, 0, &produce(index, record_bytes)?)?, 0)
            }
            Request::Fetch { record_bytes, version_max } => {
                let version = ready.version(ApiKey::Fetch, version_max)?;
                (
                    request_frame(ApiKey::Fetch, version, 0, &fetch(version, index, i32::try_from(record_bytes)?))?,
                    record_bytes,
                )
            }
            Request::Heartbeat => {
                let version = ready.version(ApiKey::Heartbeat, 4)?;
                (request_frame(ApiKey::Heartbeat, version, 0, &heartbeat())?, 0)
            }
        };
        Ok(Self {
            connection: ready.connection,
            frame,
            in_flight_max: workload.in_flight,
            in_flight: VecDeque::with_capacity(workload.in_flight),
            counts_answers: matches!(workload.request, Request::Fetch { .. }),
            next_id: 1,
            answer_bytes: None,
            answer_bytes_min,
            is_round_trip: workload.is_round_trip(),
            requests: 0,
            round_trips: Histogram::new_with_bounds(1, LATENCY_MAX_NS, 3)?,
        })
    }

    /// Keeps the pipe full until told to stop, then waits for what is still under way.
    pub(crate) fn run(mut self, progress: &Progress) -> Result<Totals> {
        loop {
            let stopping = progress.stop.load(Relaxed);
            if stopping && self.in_flight.is_empty() {
                break;
            }
            if !stopping && self.in_flight.len() < self.in_flight_max {
                self.send().with_context(|| format!("sending request {}", self.next_id))?;
            } else {
                self.receive(progress).with_context(|| {
                    format!("answer {} of {}", self.requests - self.in_flight.len() as u64, self.requests)
                })?;
            }
        }
        let request_bytes = self.requests * self.frame.len() as u64;
        Ok(Totals { requests: self.requests, request_bytes, round_trips: self.round_trips })
    }

    fn send(&mut self) -> Result<()> {
        set_correlation_id(&mut self.frame, REQUEST_CORRELATION_ID_AT, self.next_id);
        let sent_at = self.is_round_trip.then(Instant::now);
        self.connection.write_all(&self.frame)?;
        self.in_flight.push_back((self.next_id, sent_at));
        self.next_id = self.next_id.wrapping_add(1);
        self.requests += 1;
        Ok(())
    }

    fn receive(&mut self, progress: &Progress) -> Result<()> {
        let answer = self.connection.next()?.context("connection closed")?;
        let size = answer.size;
        let id = answer.head.first_chunk().map(|bytes| i32::from_be_bytes(*bytes));
        let (expected, sent_at) = self.in_flight.pop_front().context("answer to nothing")?;
        ensure!(id == Some(expected), "correlation id {id:?} instead of {expected}");
        ensure!(size >= self.answer_bytes_min, "answer of {size} bytes");
        let first = *self.answer_bytes.get_or_insert(size);
        ensure!(size == first, "answer of {size} bytes after one of {first}");
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

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn produce(partition: i32, record_bytes: usize) -> Result<ProduceRequest> {
    let partition =
        PartitionProduceData::default().with_index(partition).with_records(Some(record_batch(record_bytes)?));
    let topic = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_static_str(TOPIC)))
        .with_partition_data(vec![partition]);
    Ok(ProduceRequest::default().with_acks(-1).with_timeout_ms(30_000).with_topic_data(vec![topic]))
}

fn fetch(version: i16, partition: i32, bytes_max: i32) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_partition(partition)
        .with_current_leader_epoch(1)
        .with_fetch_offset(0)
        .with_partition_max_bytes(bytes_max);
    let topic = FetchTopic::default().with_partitions(vec![partition]);
    let topic = if version < 13 {
        topic.with_topic(TopicName(StrBytes::from_static_str(TOPIC)))
    } else {
        topic.with_topic_id(TOPIC_ID)
    };
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(bytes_max)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

fn heartbeat() -> HeartbeatRequest {
    HeartbeatRequest::default()
        .with_group_id(GroupId(StrBytes::from_static_str("bench")))
        .with_generation_id(1)
        .with_member_id(StrBytes::from_static_str("bench-1"))
}
