//! A consumer of librdkafka that reads a topic from its beginning, without a group.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use super::records::{Arrivals, clock};
use crate::kafka_cluster::config;

/// The longest time between two records before something is wrong.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

pub(super) struct Consumer {
    librdkafka: BaseConsumer<Watch>,
    pub(super) arrivals: Arrivals,
    /// By `clock`.
    last_arrival: Duration,
}

/// Remembers that a connection broke; librdkafka would open it again and go on.
#[derive(Default)]
struct Watch(Mutex<Option<String>>);

impl Consumer {
    pub(super) fn open(bootstrap: SocketAddr, topic: &str, partitions: usize) -> Result<Self> {
        let librdkafka: BaseConsumer<Watch> = config(bootstrap)
            // librdkafka wants a name here; nothing is ever committed.
            .set("group.id", "bench")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("check.crcs", "true")
            .create_with_context(Watch::default())?;
        let mut all = TopicPartitionList::new();
        for partition in 0..partitions {
            all.add_partition_offset(topic, i32::try_from(partition)?, Offset::Beginning)?;
        }
        librdkafka.assign(&all)?;
        Ok(Self { librdkafka, arrivals: Arrivals::new(partitions), last_arrival: clock() })
    }

    /// The next record's due time; nothing when none came for a moment.
    pub(super) fn poll(&mut self) -> Result<Option<Duration>> {
        let Some(polled) = self.librdkafka.poll(POLL) else {
            self.check()?;
            if clock().saturating_sub(self.last_arrival) > PATIENCE {
                let by_partition = self.arrivals.counts();
                bail!("no record for {PATIENCE:?}, so far there were {by_partition:?} by partition");
            }
            return Ok(None);
        };
        let record = polled?;
        self.last_arrival = clock();
        self.arrivals.add(record.partition(), record.offset(), record.payload()).map(Some)
    }

    /// Reads on until there are this many; more are an error, too.
    pub(super) fn read_to(&mut self, expected: &[u64]) -> Result<()> {
        let all: u64 = expected.iter().sum();
        while self.arrivals.count() < all {
            self.poll()?;
        }
        // Whatever came twice came before its successors, except at the end.
        self.poll()?;
        self.verify(expected)
    }

    pub(super) fn verify(&self, expected: &[u64]) -> Result<()> {
        self.check()?;
        self.arrivals.verify(expected)
    }

    pub(super) fn check(&self) -> Result<()> {
        match &*self.librdkafka.context().0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(failure) => bail!("the consumer says: {failure}"),
            None => Ok(()),
        }
    }
}

impl ClientContext for Watch {
    fn error(&self, error: KafkaError, reason: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| format!("{error}: {reason}"));
    }
}

impl ConsumerContext for Watch {}
