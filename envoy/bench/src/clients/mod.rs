//! Real clients at work: librdkafka in this process, Kafka's own perf tools in theirs. Every step has a topic of its own
//! or reads one that is never written again, and ends with the proof that each record arrived once.

mod accounts;
mod consumer;
mod java;
mod paced;
mod producer;
mod records;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use self::accounts::Moment;
use self::consumer::Consumer;
use self::producer::{Batching, Producer};
use self::records::clock;
use crate::cpu::LOAD_THREAD;
use crate::kafka_cluster::{KafkaCluster, Topic};
use crate::record::Measured;
use crate::target::Running;

const PARTITIONS: usize = 4;
const WARM_UP: Duration = Duration::from_millis(300);
/// As an application sets it that wants throughput.
const BULK: Batching = Batching { linger_ms: 5, batch_bytes: 512 * 1024 };

/// What the clients of one step do. All records have values of 1 KiB.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// As much as goes: linger 5 ms, batches of at most 512 KiB, acks=all, idempotent, not compressed.
    Produce { duration: Duration },
    /// As much as goes for so long, or until so many have been read.
    Consume { records: u64, duration: Duration },
    /// Records at a fixed rate, to one partition, linger 1 ms; a consumer in the same process receives them.
    Paced { records_per_second: u32, duration: Duration },
    /// `ProducerPerformance`, with the batches of `Produce`.
    JavaProduce { records: u64 },
    /// `ConsumerPerformance`, in a group of its own.
    JavaConsume { records: u64 },
}

/// What consumers read.
pub(crate) struct Corpus {
    topic: Topic,
    /// By partition.
    counts: Vec<u64>,
}

impl Work {
    pub(crate) fn step(&self, running: &Running, kafka: &KafkaCluster) -> Result<Measured> {
        match self {
            Self::Produce { duration } => produce(running, kafka, *duration),
            Self::Consume { records, duration } => consume(running, kafka, *records, *duration),
            Self::Paced { records_per_second, duration } => paced::step(running, kafka, *records_per_second, *duration),
            Self::JavaProduce { records } => java::produce(running, kafka, *records),
            Self::JavaConsume { records } => java::consume(running, kafka, *records),
        }
    }
}

fn produce(running: &Running, kafka: &KafkaCluster, duration: Duration) -> Result<Measured> {
    let topic = kafka.new_topic(PARTITIONS)?;
    let mut producer = Producer::open(running.bootstrap, topic.seen_through(running), PARTITIONS, BULK)?;
    let (end, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
    let (before, after) = thread::scope(|scope| {
        let producer = &mut producer;
        let sender = thread::Builder::new().name(LOAD_THREAD.into()).spawn_scoped(scope, || {
            while !end.load(Relaxed) {
                producer.send(clock())?;
                acknowledged.store(producer.acknowledged(), Relaxed);
            }
            anyhow::Ok(())
        })?;
        let moments = (|| {
            thread::sleep(WARM_UP);
            let before = Moment::now(running, kafka, acknowledged.load(Relaxed))?;
            thread::sleep(duration);
            anyhow::Ok((before, Moment::now(running, kafka, acknowledged.load(Relaxed))?))
        })();
        end.store(true, Relaxed);
        sender.join().map_err(|_| anyhow!("the sending thread panicked"))??;
        moments
    })?;
    let counts = producer.finish()?;
    drop(producer);
    verify_log(kafka, &topic, &counts)?;
    kafka.delete(&topic)?;
    after.figures_since(&before)
}

/// Reads the topic's log past all proxies.
fn verify_log(kafka: &KafkaCluster, topic: &Topic, counts: &[u64]) -> Result<()> {
    let mut log = Consumer::open(kafka.bootstrap(), &topic.physical, topic.partitions)?;
    log.read_to(counts).with_context(|| format!("the broker's log of {}", topic.physical))
}

fn consume(running: &Running, kafka: &KafkaCluster, all: u64, duration: Duration) -> Result<Measured> {
    let corpus = kafka.corpus(all)?;
    let Corpus { topic, counts } = &*corpus;
    let mut consumer = Consumer::open(running.bootstrap, topic.seen_through(running), topic.partitions)?;
    while consumer.poll()?.is_none() {}
    let before = Moment::now(running, kafka, consumer.arrivals.count())?;
    let end = clock() + duration;
    while consumer.arrivals.count() < all && clock() < end {
        consumer.poll()?;
    }
    let after = Moment::now(running, kafka, consumer.arrivals.count())?;
    consumer.check()?;
    consumer.arrivals.verify_so_far()?;
    if consumer.arrivals.count() >= all {
        consumer.read_to(counts)?;
    }
    after.figures_since(&before)
}

/// Writes what consumers will read, straight to the broker, whose code is compiled meanwhile.
pub(crate) fn write_corpus(kafka: &KafkaCluster, records: u64) -> Result<Corpus> {
    let topic = kafka.new_topic(PARTITIONS)?;
    let mut producer = Producer::open(kafka.bootstrap(), &topic.physical, PARTITIONS, BULK)?;
    for _ in 0..records {
        producer.send(clock())?;
    }
    let counts = producer.finish()?;
    drop(producer);
    verify_log(kafka, &topic, &counts)?;
    Ok(Corpus { topic, counts })
}
