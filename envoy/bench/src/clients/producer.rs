//! A producer of librdkafka, and what was acknowledged to it.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};

use super::records::{Arrivals, Value, clock};
use crate::kafka_cluster::config;

const PATIENCE: Duration = Duration::from_secs(30);

/// Sends to all partitions in turn: idempotent, acks=all, no compression.
pub(super) struct Producer<'a> {
    librdkafka: ThreadedProducer<Acknowledgements>,
    topic: &'a str,
    value: Value,
    /// By partition.
    sent: Vec<u64>,
    next_partition: usize,
}

/// Settings that differ between throughput and latency.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batching {
    pub(super) linger_ms: u32,
    pub(super) batch_bytes: u32,
}

/// Whether a record had to wait for room in librdkafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    TookIt,
    WasFull,
}

/// What the broker has confirmed.
pub(super) struct Acknowledgements(Mutex<Acknowledged>);

struct Acknowledged {
    arrivals: Arrivals,
    /// Nanoseconds from due time to acknowledgement, of records that were due from `counted_from` on.
    latencies: Histogram<u64>,
    counted_from: Duration,
    failure: Option<String>,
}

impl<'a> Producer<'a> {
    pub(super) fn open(bootstrap: SocketAddr, topic: &'a str, partitions: usize, batching: Batching) -> Result<Self> {
        let acknowledged = Acknowledged {
            arrivals: Arrivals::new(partitions),
            latencies: Histogram::new(3)?,
            counted_from: Duration::MAX,
            failure: None,
        };
        let librdkafka = config(bootstrap)
            .set("enable.idempotence", "true")
            .set("compression.type", "none")
            .set("linger.ms", batching.linger_ms.to_string())
            .set("batch.size", batching.batch_bytes.to_string())
            // Enough to keep it busy, and soon flushed.
            .set("queue.buffering.max.kbytes", "65536")
            .create_with_context(Acknowledgements(Mutex::new(acknowledged)))?;
        Ok(Self { librdkafka, topic, value: Value::new(), sent: vec![0; partitions], next_partition: 0 })
    }

    /// Hands one record to librdkafka; waits while its queue is full.
    pub(super) fn send(&mut self, due: Duration) -> Result<Queue> {
        let mut queue = Queue::TookIt;
        let partition = self.next_partition;
        let sent = self.sent.get_mut(partition).context("no such partition")?;
        let value = self.value.write(*sent, due);
        let mut record = BaseRecord::<(), [u8]>::to(self.topic).partition(i32::try_from(partition)?).payload(value);
        while let Err((error, back)) = self.librdkafka.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            queue = Queue::WasFull;
            thread::sleep(Duration::from_millis(1));
            record = back;
        }
        *sent += 1;
        self.next_partition = (partition + 1) % self.sent.len();
        Ok(queue)
    }

    /// Records that were acknowledged so far.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledgements().arrivals.count()
    }

    /// Latencies count from this due time on.
    pub(super) fn count_latencies_from(&self, due: Duration) {
        self.acknowledgements().counted_from = due;
    }

    /// Waits until all is acknowledged; gives the number of records by partition.
    pub(super) fn finish(&self) -> Result<Vec<u64>> {
        self.librdkafka.flush(PATIENCE).context("not all was acknowledged")?;
        // A flush is over when the last acknowledgement was taken, not when it was counted.
        let deadline = clock() + PATIENCE;
        while self.acknowledged() < self.sent.iter().sum() && clock() < deadline {
            self.check()?;
            thread::sleep(Duration::from_millis(1));
        }
        self.check()?;
        self.acknowledgements().arrivals.verify(&self.sent).context("acknowledged")?;
        Ok(self.sent.clone())
    }

    pub(super) fn latencies(&self) -> Histogram<u64> {
        self.acknowledgements().latencies.clone()
    }

    /// An error when a record or a connection was given up.
    fn check(&self) -> Result<()> {
        match &self.acknowledgements().failure {
            Some(failure) => bail!("the producer says: {failure}"),
            None => Ok(()),
        }
    }

    fn acknowledgements(&self) -> MutexGuard<'_, Acknowledged> {
        self.librdkafka.context().lock()
    }
}

impl Acknowledgements {
    fn lock(&self) -> MutexGuard<'_, Acknowledged> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Acknowledged {
    fn add(&mut self, result: &DeliveryResult<'_>) -> Result<()> {
        let record = match result {
            Ok(record) => record,
            Err((error, _)) => bail!("a record was not acknowledged: {error}"),
        };
        let due = self.arrivals.add(record.partition(), record.offset(), record.payload())?;
        if due >= self.counted_from {
            self.latencies.record(u64::try_from(clock().saturating_sub(due).as_nanos())?)?;
        }
        Ok(())
    }
}

impl ClientContext for Acknowledgements {
    /// Among others that a connection broke; librdkafka would open it again and go on.
    fn error(&self, error: KafkaError, reason: &str) {
        self.lock().failure.get_or_insert_with(|| format!("{error}: {reason}"));
    }
}

impl ProducerContext for Acknowledgements {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let mut acknowledged = self.lock();
        if let Err(error) = acknowledged.add(result) {
            acknowledged.failure.get_or_insert_with(|| format!("{error:#}"));
        }
    }
}
