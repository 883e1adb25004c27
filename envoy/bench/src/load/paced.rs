//! Load at a fixed rate. Each record is a Produce request of its own with a time at which it is due, whatever became of those
//! before it (open loop): none is left out, and its latency counts from when it was due, not from when it was sent. So a
//! target that stops for a moment is charged with all that should have happened in it (no coordinated omission).
//!
//! One thread does it all. Each producer has a connection and a live partition; consumers, one for each node as in one Kafka
//! client, fetch what arrives there.

use std::num::NonZeroU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Buf;
use hdrhistogram::Histogram;
use kafka_protocol::messages::{ApiKey, FetchResponse, ProduceResponse, TopicName};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::set_current_timer_slack;
use uuid::Uuid;

use super::channel::Channel;
use super::client::Client;
use super::requests::{Requests, padding};
use super::sender::{LATENCY_MAX_NS, Progress, Totals, nanoseconds};
use super::workload::Request;
use crate::endpoint::{Endpoint, Family, PARTITIONS, Topic};
use crate::kafka::{BATCH_LENGTH_AT, REQUEST_CORRELATION_ID_AT, decode_response, set_correlation_id};

/// Where the records go.
const TOPIC: Topic = Topic::new(Family::Live, 0);
/// One for each partition of the topic.
const PRODUCERS: usize = PARTITIONS;
/// What a consumer takes of each partition at once.
const FETCHED_BYTES_MAX: usize = 1024 * 1024;
/// When nothing at all has come for so long, what is missing is lost. A target that is merely slow is given the time it needs.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// What is due when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pace {
    /// Records per second, over all connections.
    pub(crate) rate: u32,
    /// As in `Batch`.
    pub(crate) record_bytes: usize,
    pub(crate) produce_version: i16,
    pub(crate) fetch_version: i16,
}

/// The part of the schedule that is counted. Before it everything warms up, and behind it the load goes on for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    pub(crate) after: Duration,
    pub(crate) during: Duration,
    pub(crate) before: Duration,
}

/// What became of it.
pub(crate) struct Outcome {
    /// Its round trips are the times from due to answered.
    pub(crate) totals: Totals,
    /// From due to arrived at the consumer.
    pub(crate) end_to_end: Histogram<u64>,
    /// How late requests were sent although their socket was free: the load's own fault.
    pub(crate) late: Histogram<u64>,
}

/// Which record is due when.
#[derive(Clone, Copy)]
struct Schedule {
    start: Instant,
    rate: u64,
    /// Records, a multiple of `PRODUCERS`.
    count: u64,
    counted: (u64, u64),
}

impl Schedule {
    fn new(start: Instant, rate: u32, counted: Counted) -> Self {
        let rate = u64::from(rate);
        let records = |time: Duration| nanoseconds(time) / 1_000 * rate / 1_000_000;
        let count = records(counted.after + counted.during + counted.before).next_multiple_of(PRODUCERS as u64);
        Self { start, rate, count, counted: (records(counted.after), records(counted.after + counted.during)) }
    }

    fn due(&self, record: u64) -> Instant {
        self.start + Duration::from_nanos(record * 1_000_000_000 / self.rate)
    }

    fn is_counted(&self, record: u64) -> bool {
        (self.counted.0..self.counted.1).contains(&record)
    }

    fn per_producer(&self) -> u64 {
        self.count / PRODUCERS as u64
    }
}

/// Sends every record whose turn is its own: of all records the `index`th and then each `PRODUCERS`th.
struct Producer {
    channel: Channel,
    frame: Vec<u8>,
    index: u64,
    /// Offset of its first record.
    base: i64,
    queued: u64,
    answered: u64,
    /// Of those that will be sent next: the first of them, when there are any.
    unsent: Option<u64>,
    /// Of its records, how many the consumer has.
    arrived: u64,
}

impl Producer {
    fn record(&self, nth: u64) -> u64 {
        nth * PRODUCERS as u64 + self.index
    }
}

struct Consumer {
    channel: Channel,
    partitions: Vec<usize>,
    /// What the endpoint receives of each of its requests.
    request_bytes: u64,
    requests: u64,
    /// Whether one is under way.
    is_waiting: bool,
}

pub(crate) struct Paced {
    pace: Pace,
    /// The topic, as this client calls it.
    name: String,
    ids: Vec<Uuid>,
    counted: Counted,
    producers: Vec<Producer>,
    /// What the endpoint receives of each Produce request.
    request_bytes: u64,
    consumers: Vec<Consumer>,
    end_to_end: Histogram<u64>,
    published: Histogram<u64>,
    late: Histogram<u64>,
}

impl Paced {
    pub(crate) fn open(client: &Client, pace: Pace, endpoint: &Endpoint, counted: Counted) -> Result<Self> {
        let ids = client.ids_of(&[TOPIC])?;
        let nodes = endpoint.nodes.len();
        let prefix = client.prefix();
        let requests = |prefix| Requests { prefix, ids: &ids, connection: 0, nodes };
        let produce = |prefix, partition| {
            requests(prefix).produce(pace.produce_version, &[(TOPIC, vec![partition])], pace.record_bytes)
        };
        let connect = |partition, key, version| {
            let ready = client.connect(partition)?;
            ensure!(ready.version(key, version)? == version, "{key:?} v{version} is not offered");
            anyhow::Ok(Channel::new(ready.connection))
        };
        let mut producers = Vec::new();
        for (partition, index) in (0..PRODUCERS).zip(0..) {
            let channel = connect(partition, ApiKey::Produce, pace.produce_version)?;
            let (frame, base) = (produce("", index)?, endpoint.end_of(TOPIC.behind(prefix), partition)?);
            let index = u64::try_from(index)?;
            producers.push(Producer { channel, frame, index, base, queued: 0, answered: 0, unsent: None, arrived: 0 });
        }
        let request = Request::produce(pace.produce_version, pace.record_bytes);
        let request_bytes = (produce(prefix, 0)?.len() + padding(request, prefix)) as u64;
        let mut consumers = Vec::new();
        for node in 0..nodes.min(PRODUCERS) {
            let channel = connect(node, ApiKey::Fetch, pace.fetch_version)?;
            let partitions: Vec<_> = (node..PRODUCERS).step_by(nodes).collect();
            let asked = partitions.iter().map(|_| (0, 0)).collect();
            let physical = requests(prefix).fetch(pace.fetch_version, &[(TOPIC, asked)], FETCHED_BYTES_MAX)?;
            let request_bytes = physical.len() as u64;
            consumers.push(Consumer { channel, partitions, request_bytes, requests: 0, is_waiting: false });
        }
        let times = || Histogram::new_with_bounds(1, LATENCY_MAX_NS, 3);
        let (end_to_end, published, late) = (times()?, times()?, times()?);
        let name = TOPIC.name();
        Ok(Self { pace, name, ids, counted, producers, request_bytes, consumers, end_to_end, published, late })
    }

    /// Goes through the schedule, then waits for what is still under way. An error means that something broke, was lost, came
    /// twice or out of order.
    pub(crate) fn run(mut self, progress: &Progress) -> Result<Outcome> {
        // Or the kernel wakes us 50 us later than asked.
        set_current_timer_slack(NonZeroU64::new(1))?;
        let schedule = Schedule::new(Instant::now(), self.pace.rate, self.counted);
        let (mut next, mut heard) = (0, Instant::now());
        for consumer in 0..self.consumers.len() {
            self.ask(consumer, &schedule)?;
        }
        loop {
            self.send_due(&schedule, &mut next)?;
            if self.is_done(&schedule) {
                return Ok(self.outcome());
            }
            let until = if next < schedule.count { schedule.due(next) } else { heard + SILENCE_MAX };
            let ready = self.wait(until)?;
            if !ready.is_empty() {
                heard = Instant::now();
            }
            ensure!(heard.elapsed() < SILENCE_MAX, "{}", self.missing(&schedule));
            for channel in ready {
                match channel.checked_sub(PRODUCERS) {
                    None => self.answered(channel, &schedule, progress)?,
                    Some(consumer) => self.arrived(consumer, &schedule)?,
                }
                // What is due does not wait for what else has come.
                self.send_due(&schedule, &mut next)?;
            }
        }
    }

    fn send_due(&mut self, schedule: &Schedule, next: &mut u64) -> Result<()> {
        let now = Instant::now();
        while *next < schedule.count && schedule.due(*next) <= now {
            let index = usize::try_from(*next % PRODUCERS as u64)?;
            let producer = self.producers.get_mut(index).context("producer")?;
            let id = correlation_id(producer.queued);
            set_correlation_id(&mut producer.frame, REQUEST_CORRELATION_ID_AT, id);
            if !producer.channel.is_blocked() {
                producer.unsent = Some(producer.queued);
            }
            producer.channel.queue(&producer.frame);
            producer.queued += 1;
            *next += 1;
        }
        for producer in &mut self.producers {
            if !producer.channel.is_blocked() {
                continue;
            }
            if let Some(first) = producer.unsent.take() {
                let now = Instant::now();
                for nth in first..producer.queued {
                    let record = producer.record(nth);
                    if schedule.is_counted(record) {
                        let late = now.saturating_duration_since(schedule.due(record));
                        self.late.saturating_record(nanoseconds(late).max(1));
                    }
                }
            }
            producer.channel.flush().context("sending")?;
        }
        Ok(())
    }

    /// Until something has come, or a socket takes more, or it is time; the channels to look at, producers first.
    fn wait(&self, until: Instant) -> Result<Vec<usize>> {
        let channels = self.producers.iter().map(|producer| &producer.channel);
        let channels = channels.chain(self.consumers.iter().map(|consumer| &consumer.channel));
        let mut polled: Vec<_> = channels
            .map(|channel| {
                let out = if channel.is_blocked() { PollFlags::OUT } else { PollFlags::empty() };
                PollFd::new(channel, PollFlags::IN | out)
            })
            .collect();
        let timeout = until.saturating_duration_since(Instant::now());
        poll(&mut polled, Some(&Timespec::try_from(timeout)?))?;
        // A socket that takes more is served by `send_due`.
        let readable = |flags: PollFlags| flags.intersects(!PollFlags::OUT);
        Ok(polled.iter().enumerate().filter(|(_, one)| readable(one.revents())).map(|(index, _)| index).collect())
    }

    fn answered(&mut self, producer: usize, schedule: &Schedule, progress: &Progress) -> Result<()> {
        let version = self.pace.produce_version;
        let producer = self.producers.get_mut(producer).context("producer")?;
        producer.channel.receive().context("producer's connection")?;
        let now = Instant::now();
        while let Some(frame) = producer.channel.next()? {
            check_correlation_id(frame, producer.answered)?;
            let answer: ProduceResponse = decode_response(ApiKey::Produce, version, frame)?;
            let topic = answer.responses.first().context("Produce answer without a topic")?;
            check_topic(&self.name, &self.ids, &topic.name, topic.topic_id)?;
            let partition = topic.partition_responses.first().context("Produce answer without a partition")?;
            ensure!(u64::try_from(partition.index)? == producer.index, "answer for partition {}", partition.index);
            ensure!(partition.error_code == 0, "Produce error {}", partition.error_code);
            let expected = producer.base + i64::try_from(producer.answered)?;
            ensure!(partition.base_offset == expected, "offset {} instead of {expected}", partition.base_offset);
            let record = producer.index + producer.answered * PRODUCERS as u64;
            if schedule.is_counted(record) {
                let latency = now.saturating_duration_since(schedule.due(record));
                self.published.saturating_record(nanoseconds(latency));
            }
            producer.answered += 1;
            progress.answers.fetch_add(1, Relaxed);
            progress.bytes.fetch_add(self.pace.record_bytes as u64, Relaxed);
        }
        Ok(())
    }

    /// Fetches what its partitions have beyond what has arrived, while there is more to come.
    fn ask(&mut self, consumer: usize, schedule: &Schedule) -> Result<()> {
        let consumer = self.consumers.get_mut(consumer).context("consumer")?;
        let mut asked = Vec::with_capacity(consumer.partitions.len());
        let mut is_complete = true;
        for partition in &consumer.partitions {
            let producer = self.producers.get(*partition).context("partition")?;
            asked.push((i32::try_from(*partition)?, producer.base + i64::try_from(producer.arrived)?));
            is_complete &= producer.arrived == schedule.per_producer();
        }
        consumer.is_waiting = !is_complete;
        if is_complete {
            return Ok(());
        }
        let requests = Requests { prefix: "", ids: &self.ids, connection: 0, nodes: 1 };
        let mut frame = requests.fetch(self.pace.fetch_version, &[(TOPIC, asked)], FETCHED_BYTES_MAX)?;
        set_correlation_id(&mut frame, REQUEST_CORRELATION_ID_AT, correlation_id(consumer.requests));
        consumer.requests += 1;
        consumer.channel.queue(&frame);
        // It is small and alone: the socket has room.
        consumer.channel.flush().context("consumer's connection")
    }

    fn arrived(&mut self, index: usize, schedule: &Schedule) -> Result<()> {
        let version = self.pace.fetch_version;
        let consumer = self.consumers.get_mut(index).context("consumer")?;
        // Or one that has fallen behind would never catch up with the producers.
        while consumer.channel.receive().context("consumer's connection")? && !consumer.channel.has_frame() {}
        let now = Instant::now();
        let Some(frame) = consumer.channel.next()? else { return Ok(()) };
        ensure!(consumer.is_waiting, "records that nobody asked for");
        check_correlation_id(frame, consumer.requests - 1)?;
        let answer: FetchResponse = decode_response(ApiKey::Fetch, version, frame)?;
        ensure!(answer.error_code == 0, "Fetch error {}", answer.error_code);
        for topic in &answer.responses {
            check_topic(&self.name, &self.ids, &topic.topic, topic.topic_id)?;
        }
        for partition in answer.responses.into_iter().flat_map(|topic| topic.partitions) {
            ensure!(partition.error_code == 0, "Fetch error {}", partition.error_code);
            let index = usize::try_from(partition.partition_index)?;
            ensure!(consumer.partitions.contains(&index), "partition {index} was not asked for");
            let producer = self.producers.get_mut(index).context("partition")?;
            let mut records = partition.records.unwrap_or_default();
            while !records.is_empty() {
                let batch = records.split_to(batch_bytes(&records)?);
                ensure!(batch.len() == self.pace.record_bytes, "batch of {} bytes", batch.len());
                let (offset, expected) = ((&batch[..]).get_i64(), producer.base + i64::try_from(producer.arrived)?);
                ensure!(offset == expected, "record {offset} of partition {index} arrived instead of {expected}");
                let record = producer.record(producer.arrived);
                if schedule.is_counted(record) {
                    let latency = now.saturating_duration_since(schedule.due(record));
                    self.end_to_end.saturating_record(nanoseconds(latency));
                }
                producer.arrived += 1;
            }
        }
        self.ask(index, schedule)
    }

    fn is_done(&self, schedule: &Schedule) -> bool {
        let count = schedule.per_producer();
        self.producers.iter().all(|producer| (producer.answered, producer.arrived) == (count, count))
    }

    fn missing(&self, schedule: &Schedule) -> String {
        let sum = |of: fn(&Producer) -> u64| self.producers.iter().map(of).sum::<u64>();
        let (answered, arrived) = (sum(|producer| producer.answered), sum(|producer| producer.arrived));
        format!(
            "lost: of {} records {answered} were answered and {arrived} arrived, then nothing for {SILENCE_MAX:?}",
            schedule.count
        )
    }

    fn outcome(self) -> Outcome {
        let produced: u64 = self.producers.iter().map(|producer| producer.queued).sum();
        let fetched: u64 = self.consumers.iter().map(|consumer| consumer.requests).sum();
        let fetched_bytes: u64 = self.consumers.iter().map(|consumer| consumer.requests * consumer.request_bytes).sum();
        let totals = Totals {
            requests: produced + fetched,
            request_bytes: produced * self.request_bytes + fetched_bytes,
            round_trips: self.published,
        };
        Outcome { totals, end_to_end: self.end_to_end, late: self.late }
    }
}

/// Of a connection's `nth` request; these are counted, so that an answer says which request it belongs to.
fn correlation_id(nth: u64) -> i32 {
    (nth & 0x7fff_ffff) as i32
}

fn check_correlation_id(answer: &[u8], nth: u64) -> Result<()> {
    let (id, expected) = (answer.first_chunk().map(|bytes| i32::from_be_bytes(*bytes)), correlation_id(nth));
    ensure!(id == Some(expected), "correlation id {id:?} instead of {expected}");
    Ok(())
}

/// An answer names its topic or gives its id, by its version.
fn check_topic(name: &str, ids: &[Uuid], answered: &TopicName, id: Uuid) -> Result<()> {
    let is_it = if id.is_nil() { answered.as_str() == name } else { ids.contains(&id) };
    ensure!(is_it, "answer for topic '{}', {id}", answered.as_str());
    Ok(())
}

/// Length of the first batch of a RECORDS field.
fn batch_bytes(records: &[u8]) -> Result<usize> {
    let length = records.get(BATCH_LENGTH_AT..).and_then(|rest| rest.first_chunk());
    let length = usize::try_from(i32::from_be_bytes(*length.context("record batch cut off")?))?;
    let bytes = BATCH_LENGTH_AT + 4 + length;
    ensure!(bytes <= records.len(), "record batch of {bytes} bytes in {}", records.len());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use kafka_protocol::protocol::StrBytes;

    use super::*;

    #[test]
    fn an_answer_for_another_topic_is_noticed() {
        let ids = [TOPIC.id()];
        let check = |name: &'static str, id| {
            check_topic("live-0", &ids, &TopicName(StrBytes::from_static_str(name)), id).is_ok()
        };
        assert!(check("live-0", Uuid::nil()) && check("", ids[0]));
        assert!(!check("t1-live-0", Uuid::nil()) && !check("", TOPIC.behind("t1-").id()));
    }

    #[test]
    fn every_record_is_due_at_a_fixed_time() {
        let millis = Duration::from_millis;
        let counted = Counted { after: millis(100), during: millis(200), before: millis(50) };
        let schedule = Schedule::new(Instant::now(), 5_000, counted);
        assert_eq!((schedule.count, schedule.counted), (1_752, (500, 1_500)));
        for (record, due) in [(0, 0), (1, 200), (5_000, 1_000_000), (1_751, 350_200)] {
            assert_eq!(schedule.due(record) - schedule.start, Duration::from_micros(due));
        }
        let of_producers = (0..PRODUCERS as u64)
            .flat_map(|index| (0..schedule.per_producer()).map(move |nth| nth * PRODUCERS as u64 + index));
        let mut of_producers: Vec<_> = of_producers.collect();
        of_producers.sort_unstable();
        assert!(of_producers.into_iter().eq(0..schedule.count));
    }
}
