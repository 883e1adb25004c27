//! Latency at a fixed rate. A record's due time is that of the schedule and travels in its value, so a record that had to
//! wait to be sent is as late as one that was held up on its way: no coordinated omission.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use hdrhistogram::Histogram;
use rustix::thread::set_current_timer_slack;

use super::accounts::Moment;
use super::consumer::Consumer;
use super::producer::{Batching, Producer, Queue};
use super::records::clock;
use crate::cpu::LOAD_THREAD;
use crate::figure::Figure;
use crate::kafka_cluster::KafkaCluster;
use crate::measure::{is_late, micros};
use crate::record::{Bottleneck, Measured};
use crate::target::Running;

/// A linger of 1 ms, which all targets have alike. With 0 each record is a request of its own, and what two cores then show is
/// that broker and clients fill them: 4 ms at the median instead of 1, and the load late by itself.
const SOON: Batching = Batching { linger_ms: 1, batch_bytes: 512 * 1024 };
/// How long records flow before anything is counted.
const WARM_UP: Duration = Duration::from_millis(300);
const STILL_SENDING: u64 = u64::MAX;

pub(super) fn step(
    running: &Running,
    kafka: &KafkaCluster,
    records_per_second: u32,
    duration: Duration,
) -> Result<Measured> {
    let topic = kafka.new_topic(1)?;
    let name = topic.seen_through(running);
    let mut consumer = Consumer::open(running.bootstrap, name, 1)?;
    let mut producer = Producer::open(running.bootstrap, name, 1, SOON)?;
    // Both are connected before anything is due.
    producer.send(clock())?;
    while consumer.poll()?.is_none() {}

    let start = clock();
    let counted_from = start + WARM_UP;
    let end = counted_from + duration;
    producer.count_latencies_from(counted_from);
    let (sent, received) = (AtomicU64::new(STILL_SENDING), AtomicU64::new(0));
    let (moments, end_to_end, late) = thread::scope(|scope| {
        let named = || thread::Builder::new().name(LOAD_THREAD.into());
        let receiver = named().spawn_scoped(scope, || receive(&mut consumer, &sent, &received, counted_from))?;
        let sender = named().spawn_scoped(scope, || {
            let result = send(&mut producer, records_per_second, start, end);
            // With the one from before; whatever became of them, the receiver must come to an end.
            sent.store(result.as_ref().map_or(0, |late| late.len()) + 1, Relaxed);
            result
        })?;
        let moments = (|| {
            thread::sleep(counted_from.saturating_sub(clock()));
            let before = Moment::now(running, kafka, received.load(Relaxed))?;
            thread::sleep(end.saturating_sub(clock()));
            anyhow::Ok((before, Moment::now(running, kafka, received.load(Relaxed))?))
        })();
        let late = sender.join().map_err(|_| anyhow!("the sending thread panicked"))??;
        let end_to_end = receiver.join().map_err(|_| anyhow!("the receiving thread panicked"))??;
        anyhow::Ok((moments?, end_to_end, late))
    })?;
    let counts = producer.finish()?;
    consumer.read_to(&counts)?;
    kafka.delete(&topic)?;

    let published = producer.latencies();
    ensure!(!published.is_empty() && !end_to_end.is_empty(), "no record was counted");
    let (before, after) = moments;
    let mut measured = after
        .figures_since(&before)?
        .with(Figure::P50Us, micros(&published, 0.5))
        .with(Figure::P99Us, micros(&published, 0.99))
        .with(Figure::P999Us, micros(&published, 0.999))
        .with(Figure::EndToEndP50Us, micros(&end_to_end, 0.5))
        .with(Figure::EndToEndP99Us, micros(&end_to_end, 0.99))
        .with(Figure::EndToEndP999Us, micros(&end_to_end, 0.999))
        .with(Figure::LateP99Us, micros(&late, 0.99));
    if is_late(&late, &published) {
        measured.bottleneck = Some(Bottleneck::Load);
    }
    Ok(measured)
}

/// Sends by the clock; gives for each record how late it was, in nanoseconds, although librdkafka would have taken it.
fn send(
    producer: &mut Producer<'_>,
    records_per_second: u32,
    start: Duration,
    end: Duration,
) -> Result<Histogram<u64>> {
    let mut late = Histogram::new(3)?;
    let mut taken_from = start;
    // Otherwise the kernel wakes this thread up to 50 us late to save wake-ups.
    set_current_timer_slack(std::num::NonZeroU64::new(1))?;
    for number in 0_u64.. {
        let due = start + due_after(number, records_per_second);
        if due >= end {
            break;
        }
        let early = due.saturating_sub(clock());
        if !early.is_zero() {
            thread::sleep(early);
        }
        late.record(u64::try_from(clock().saturating_sub(due.max(taken_from)).as_nanos())?)?;
        if producer.send(due)? == Queue::WasFull {
            taken_from = clock();
        }
    }
    Ok(late)
}

/// When a record of a schedule is due, from its start on.
fn due_after(number: u64, records_per_second: u32) -> Duration {
    let rate = u64::from(records_per_second);
    let (seconds, rest) = (number / rate, number % rate);
    Duration::from_secs(seconds) + Duration::from_nanos(rest * 1_000_000_000 / rate)
}

/// Receives until all that was sent is there; gives nanoseconds from due time to arrival.
fn receive(
    consumer: &mut Consumer,
    sent: &AtomicU64,
    received: &AtomicU64,
    counted_from: Duration,
) -> Result<Histogram<u64>> {
    let mut latencies = Histogram::new(3)?;
    while consumer.arrivals.count() < sent.load(Relaxed) {
        let Some(due) = consumer.poll()? else { continue };
        if due >= counted_from {
            latencies.record(u64::try_from(clock().saturating_sub(due).as_nanos())?)?;
        }
        received.store(consumer.arrivals.count(), Relaxed);
    }
    Ok(latencies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedule_is_even_and_does_not_drift() {
        assert_eq!(due_after(0, 5_000), Duration::ZERO);
        assert_eq!(due_after(1, 5_000), Duration::from_micros(200));
        assert_eq!(due_after(3, 3), Duration::from_secs(1));
        assert_eq!(due_after(3_000_001, 3), Duration::new(1_000_000, 333_333_333));
    }
}
