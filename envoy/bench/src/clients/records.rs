//! The records of real clients: what is in them, and whether each of them arrived once.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Size of a record's value. It has no key and no headers.
pub(super) const RECORD_BYTES: usize = 1024;

/// Time since the first call, the same for all threads.
pub(super) fn clock() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// Value of a record: its number within the partition, the time at which it was due in nanoseconds of `clock`, both
/// UINT64, then filler.
pub(super) struct Value([u8; RECORD_BYTES]);

impl Value {
    pub(super) fn new() -> Self {
        Self([b'v'; RECORD_BYTES])
    }

    pub(super) fn write(&mut self, number: u64, due: Duration) -> &[u8] {
        let due = u64::try_from(due.as_nanos()).unwrap_or(u64::MAX);
        self.0[..8].copy_from_slice(&number.to_be_bytes());
        self.0[8..16].copy_from_slice(&due.to_be_bytes());
        &self.0
    }

    /// Number and due time.
    fn read(value: &[u8]) -> Result<(u64, Duration)> {
        ensure!(value.len() == RECORD_BYTES, "a record of {} bytes instead of {RECORD_BYTES}", value.len());
        let number_at = |at: usize| value[at..].first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        let (number, due) = number_at(0).zip(number_at(8)).context("short record")?;
        Ok((number, Duration::from_nanos(due)))
    }
}

/// What was acknowledged or received of a topic that had no records before. An idempotent producer keeps the order within
/// a partition, so the record at each offset has that number.
#[derive(Debug)]
pub(super) struct Arrivals(Vec<Partition>);

#[derive(Clone, Debug, Default)]
struct Partition {
    arrived: u64,
    /// The next in order.
    number: u64,
    offset: i64,
    lost: u64,
    again: u64,
    /// Offsets that are not one more than the one before.
    offset_jumps: u64,
}

impl Arrivals {
    pub(super) fn new(partitions: usize) -> Self {
        Self(vec![Partition::default(); partitions])
    }

    /// Gives the time at which the record was due.
    pub(super) fn add(&mut self, partition: i32, offset: i64, value: Option<&[u8]>) -> Result<Duration> {
        let (number, due) = Value::read(value.context("a record without a value")?)?;
        let known = usize::try_from(partition).ok().and_then(|index| self.0.get_mut(index));
        known.with_context(|| format!("a record of partition {partition}"))?.add(offset, number);
        Ok(due)
    }

    /// Of all partitions.
    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|partition| partition.arrived).sum()
    }

    pub(super) fn counts(&self) -> Vec<u64> {
        self.0.iter().map(|partition| partition.arrived).collect()
    }

    /// That all of these arrived, once each.
    pub(super) fn verify(&self, expected: &[u64]) -> Result<()> {
        self.verify_so_far()?;
        let missing: u64 = self.0.iter().zip(expected).map(|(got, sent)| sent.saturating_sub(got.arrived)).sum();
        ensure!(
            self.counts() == expected,
            "{missing} records are missing: {:?} by partition instead of {expected:?}",
            self.counts()
        );
        Ok(())
    }

    /// That up to here none was lost, none came twice or out of order.
    pub(super) fn verify_so_far(&self) -> Result<()> {
        for (index, partition) in self.0.iter().enumerate() {
            let Partition { arrived, lost, again, offset_jumps, .. } = partition;
            ensure!(
                (*lost, *again, *offset_jumps) == (0, 0, 0),
                "partition {index}: of {arrived} records {again} came again or out of order, {lost} were lost between \
                 others, and the offsets jump {offset_jumps} times"
            );
        }
        Ok(())
    }
}

impl Partition {
    fn add(&mut self, offset: i64, number: u64) {
        self.arrived += 1;
        self.offset_jumps += u64::from(offset != self.offset);
        self.offset = offset.saturating_add(1);
        match number.checked_sub(self.number) {
            None => self.again += 1,
            Some(skipped) => {
                self.lost = self.lost.saturating_add(skipped);
                self.number = number.saturating_add(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Offset and number of each record of one partition.
    fn arrived(records: &[(i64, u64)]) -> Arrivals {
        let mut arrivals = Arrivals::new(1);
        for (offset, number) in records {
            arrivals.add(0, *offset, Some(Value::new().write(*number, Duration::ZERO))).unwrap();
        }
        arrivals
    }

    fn failure(arrivals: &Arrivals, expected: &[u64]) -> String {
        arrivals.verify(expected).unwrap_err().to_string()
    }

    #[test]
    fn each_record_once_is_right() {
        arrived(&[(0, 0), (1, 1), (2, 2)]).verify(&[3]).unwrap();
        arrived(&[]).verify(&[0]).unwrap();
    }

    #[test]
    fn a_lost_record_is_noticed() {
        assert!(failure(&arrived(&[(0, 0), (1, 2)]), &[3]).contains("1 were lost"));
    }

    #[test]
    fn a_lost_end_is_noticed() {
        assert!(failure(&arrived(&[(0, 0), (1, 1)]), &[4]).starts_with("2 records are missing"));
    }

    #[test]
    fn a_record_that_came_twice_is_noticed() {
        assert!(failure(&arrived(&[(0, 0), (1, 1), (2, 1)]), &[3]).contains("1 came again"));
    }

    #[test]
    fn more_than_was_sent_is_noticed() {
        assert!(arrived(&[(0, 0), (1, 1)]).verify(&[1]).is_err());
    }

    #[test]
    fn a_jump_of_offsets_is_noticed() {
        assert!(failure(&arrived(&[(0, 0), (2, 1)]), &[2]).contains("jump 1 times"));
    }

    #[test]
    fn foreign_records_are_refused() {
        let mut arrivals = Arrivals::new(1);
        assert!(arrivals.add(0, 0, None).is_err());
        assert!(arrivals.add(0, 0, Some(&[0; 15])).is_err());
        assert!(arrivals.add(1, 0, Some(Value::new().write(0, Duration::ZERO))).is_err());
        assert!(arrivals.add(-1, 0, Some(Value::new().write(0, Duration::ZERO))).is_err());
    }

    #[test]
    fn due_time_travels() {
        let due = Duration::from_nanos(1_234_567_890_123);
        assert_eq!(Arrivals::new(1).add(0, 0, Some(Value::new().write(0, due))).unwrap(), due);
    }
}
