//! What live topics hold: the batches that were produced, in memory, the newest of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

use anyhow::{Context, Result, ensure};
use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::LIVE_TOPICS;
use super::topics::{Family, Topic};
use crate::kafka::{BATCH_LENGTH_AT, TENANT_PREFIX};

/// What a partition keeps; older batches are dropped, and whoever asks for them is told that they are gone.
const KEPT_BYTES: usize = 32 * 1024 * 1024;

/// Fields of a record batch by their offsets (RecordBatch, magic 2).
const MAGIC_AT: usize = 16;
const LAST_OFFSET_DELTA_AT: usize = 23;
const HEAD_BYTES: usize = 61;

const OFFSET_OUT_OF_RANGE: i16 = 1;

/// All live partitions.
pub(super) struct Logs(BTreeMap<(Topic, i32), Mutex<Partition>>);

#[derive(Default)]
struct Partition {
    batches: VecDeque<Batch>,
    bytes: usize,
    /// Offset of the next record.
    end: i64,
    /// Threads that want to know when it grows.
    waiting: Vec<Thread>,
}

struct Batch {
    offset: i64,
    records: i64,
    /// As it came.
    bytes: Bytes,
}

/// What was found from an offset on.
pub(super) struct Found {
    pub(super) error_code: i16,
    /// Offset of the first record that is kept, and of the next that will come.
    pub(super) start: i64,
    pub(super) end: i64,
    /// Whole batches.
    pub(super) records: Bytes,
}

impl Logs {
    pub(super) fn new() -> Self {
        let topics = (0..LIVE_TOPICS).map(|index| Topic::new(Family::Live, index));
        let topics = topics.flat_map(|topic| [topic, topic.behind(TENANT_PREFIX)]);
        let partitions = topics.flat_map(|topic| (0..topic.family.partitions()).map(move |index| (topic, index)));
        Self(partitions.map(|(topic, index)| ((topic, index as i32), Mutex::default())).collect())
    }

    /// Appends the batches of a RECORDS field; the offset of the first record.
    pub(super) fn append(&self, topic: Topic, partition: i32, mut records: Bytes) -> Result<i64> {
        let mut partition = self.partition(topic, partition)?;
        let base = partition.end;
        ensure!(!records.is_empty(), "no records");
        while !records.is_empty() {
            let (bytes, count) = split_batch(&mut records)?;
            let offset = partition.end;
            partition.end += count;
            partition.bytes += bytes.len();
            partition.batches.push_back(Batch { offset, records: count, bytes });
        }
        while partition.bytes > KEPT_BYTES
            && let Some(oldest) = partition.batches.pop_front()
        {
            partition.bytes -= oldest.bytes.len();
        }
        for thread in partition.waiting.drain(..) {
            thread.unpark();
        }
        Ok(base)
    }

    /// Batches from the one with this offset on, up to `bytes_max`, but one at least. When there is none, the calling thread is
    /// unparked as soon as there is.
    pub(super) fn read(&self, topic: Topic, partition: i32, offset: i64, bytes_max: usize) -> Result<Found> {
        let mut partition = self.partition(topic, partition)?;
        let (start, end) = (partition.start(), partition.end);
        let mut found = Found { error_code: 0, start, end, records: Bytes::new() };
        if !(start..=end).contains(&offset) {
            found.error_code = OFFSET_OUT_OF_RANGE;
            return Ok(found);
        }
        let first = partition.batches.partition_point(|batch| batch.offset + batch.records <= offset);
        let mut records = BytesMut::new();
        for batch in partition.batches.range(first..) {
            if !records.is_empty() && records.len() + batch.bytes.len() > bytes_max {
                break;
            }
            // Not covered by the batch's checksum, so that brokers can set it.
            records.put_i64(batch.offset);
            records.extend_from_slice(&batch.bytes[BATCH_LENGTH_AT..]);
        }
        let this = thread::current();
        if records.is_empty() && partition.waiting.iter().all(|waiting| waiting.id() != this.id()) {
            partition.waiting.push(this);
        }
        found.records = records.freeze();
        Ok(found)
    }

    /// Offsets of the first record that is kept, and of the next that will come.
    pub(super) fn range(&self, topic: Topic, partition: i32) -> Result<(i64, i64)> {
        let partition = self.partition(topic, partition)?;
        Ok((partition.start(), partition.end))
    }

    fn partition(&self, topic: Topic, index: i32) -> Result<MutexGuard<'_, Partition>> {
        let partition = self.0.get(&(topic, index));
        let partition = partition.with_context(|| format!("no partition {index} in '{}'", topic.name()))?;
        // Whoever panicked has taken its own connection with it; the log is whole after each statement that matters.
        Ok(partition.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Partition {
    fn start(&self) -> i64 {
        self.batches.front().map_or(self.end, |batch| batch.offset)
    }
}

/// Takes the first batch off, and says how many offsets it has.
fn split_batch(records: &mut Bytes) -> Result<(Bytes, i64)> {
    ensure!(records.len() >= HEAD_BYTES, "record batch of {} bytes", records.len());
    ensure!(records[MAGIC_AT] == 2, "record batch of magic {}", records[MAGIC_AT]);
    let bytes = usize::try_from((&records[BATCH_LENGTH_AT..]).get_i32())?.saturating_add(BATCH_LENGTH_AT + 4);
    ensure!((HEAD_BYTES..=records.len()).contains(&bytes), "record batch of {bytes} bytes in {}", records.len());
    let last = (&records[LAST_OFFSET_DELTA_AT..]).get_i32();
    ensure!(last >= 0, "record batch whose last offset is {last}");
    Ok((records.split_to(bytes), i64::from(last) + 1))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::kafka::record_batch;

    const TOPIC: Topic = Topic::new(Family::Live, 0);

    #[test]
    fn batches_come_back_with_the_offsets_they_were_given() {
        let (logs, batch) = (Logs::new(), record_batch(200).unwrap());
        for offset in 0..3 {
            assert_eq!(logs.append(TOPIC, 1, batch.clone()).unwrap(), offset);
        }
        let mut found = logs.read(TOPIC, 1, 1, 400).unwrap();
        assert_eq!((found.error_code, found.start, found.end, found.records.len()), (0, 0, 3, 400));
        for offset in [1, 2] {
            let (one, records) = split_batch(&mut found.records).unwrap();
            assert_eq!(((&one[..]).get_i64(), records), (offset, 1));
            assert_eq!(one[BATCH_LENGTH_AT..], batch[BATCH_LENGTH_AT..]);
        }
        // A batch that is larger than asked for comes alone.
        assert_eq!(logs.read(TOPIC, 1, 0, 1).unwrap().records.len(), 200);
        // Others have nothing of it.
        assert_eq!(logs.range(TOPIC, 0).unwrap(), (0, 0));
        assert_eq!(logs.range(TOPIC.behind(TENANT_PREFIX), 1).unwrap(), (0, 0));
    }

    #[test]
    fn what_was_dropped_or_is_yet_to_come_is_out_of_range() {
        let (logs, batch) = (Logs::new(), record_batch(1024 * 1024).unwrap());
        for _ in 0..40 {
            logs.append(TOPIC, 0, batch.clone()).unwrap();
        }
        assert_eq!(logs.range(TOPIC, 0).unwrap(), (8, 40));
        let code = |offset| logs.read(TOPIC, 0, offset, 1).unwrap().error_code;
        assert_eq!([-1, 7, 8, 40, 41].map(code), [1, 1, 0, 0, 1]);
        assert!(logs.read(TOPIC, 4, 0, 1).is_err());
    }

    #[test]
    fn a_reader_without_records_is_woken_by_them() {
        let logs = Logs::new();
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let asked = Instant::now();
                while logs.read(TOPIC, 0, 0, 1).unwrap().records.is_empty() {
                    thread::park_timeout(Duration::from_secs(20));
                }
                asked.elapsed()
            });
            thread::sleep(Duration::from_millis(20));
            logs.append(TOPIC, 0, record_batch(100).unwrap()).unwrap();
            assert!(reader.join().unwrap() < Duration::from_secs(10));
        });
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        let batch = record_batch(100).unwrap();
        let with = |at: usize, value: &[u8]| {
            let mut bytes = batch.to_vec();
            bytes[at..at + value.len()].copy_from_slice(value);
            bytes
        };
        let logs = Logs::new();
        let broken = [
            Vec::new(),
            batch[..60].to_vec(),
            batch[..99].to_vec(),
            with(BATCH_LENGTH_AT, &[0, 0, 0, 1]),
            with(BATCH_LENGTH_AT, &[0xff; 4]),
            with(MAGIC_AT, &[1]),
            with(LAST_OFFSET_DELTA_AT, &[0xff; 4]),
        ];
        for broken in broken {
            assert!(logs.append(TOPIC, 0, broken.clone().into()).is_err(), "{broken:?}");
        }
    }
}
