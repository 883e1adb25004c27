//! The arithmetic of a token bucket that may be overdrawn. No clock, no state of its own.
//!
//! Tokens come at a steady rate until the bucket is full. Whatever is used is taken out, even what is not there: the level falls
//! below zero, and the time until it is back at zero is what clients have to wait. So any amount can be used at once, and the
//! rate holds over time.

/// How far the clocks of workers may lie apart. What is older was written before the clock was set back. Milliseconds.
const SKEW_MS: u64 = 1_000;

/// Most tokens that are counted at once, and the highest rate: 2^40. Keeps every product within 64 bits.
const TOKENS_MAX: u64 = 1 << 40;

/// Bytes of a level as workers share it.
pub(crate) const LEVEL_BYTES: usize = 16;

/// Size and rate. A token is `period_ms` *units*, so that every millisecond brings as many units as a period brings tokens, and
/// nothing is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    period_ms: i64,
    /// Units in a millisecond, at least 1.
    rate: i64,
    /// Units that the full bucket holds.
    capacity: i64,
}

/// What is in a bucket at a time. Units; below zero is debt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) units: i64,
    pub(crate) at_ms: u64,
}

impl Shape {
    /// `tokens` come every `period_ms`; what comes in `burst_ms` is kept.
    pub(crate) fn new(tokens: u64, period_ms: u32, burst_ms: u32) -> Self {
        let rate = i64::try_from(tokens.clamp(1, TOKENS_MAX)).unwrap_or(i64::MAX);
        Shape { period_ms: i64::from(period_ms), rate, capacity: rate.saturating_mul(i64::from(burst_ms)) }
    }

    /// The units of so many tokens.
    pub(crate) fn units(&self, tokens: u64) -> i64 {
        i64::try_from(tokens.min(TOKENS_MAX)).unwrap_or(i64::MAX).saturating_mul(self.period_ms)
    }

    /// The units that come in a time.
    pub(crate) fn units_in(&self, ms: i64) -> i64 {
        self.rate.saturating_mul(ms)
    }

    /// A bucket that nobody has used.
    pub(crate) fn full(&self, now_ms: u64) -> Level {
        Level { units: self.capacity, at_ms: now_ms }
    }

    /// What has become of `level` at `now_ms`.
    pub(crate) fn refill(&self, level: Level, now_ms: u64) -> Level {
        let at_ms = if now_ms.saturating_add(SKEW_MS) < level.at_ms { now_ms } else { now_ms.max(level.at_ms) };
        let elapsed_ms = i64::try_from(at_ms.saturating_sub(level.at_ms)).unwrap_or(i64::MAX);
        let units = level.units.saturating_add(self.rate.saturating_mul(elapsed_ms)).min(self.capacity);
        Level { units, at_ms }
    }

    /// How long it takes until a debt is paid, rounded up. 0: there is none.
    pub(crate) fn wait_ms(&self, units: i64) -> u64 {
        let debt = units.saturating_neg().max(0).unsigned_abs();
        debt.div_ceil(self.rate.unsigned_abs().max(1))
    }
}

impl Level {
    pub(crate) fn to_bytes(self) -> [u8; LEVEL_BYTES] {
        let (mut bytes, units, at_ms) = ([0; LEVEL_BYTES], self.units.to_be_bytes(), self.at_ms.to_be_bytes());
        for (to, from) in bytes.iter_mut().zip(units.iter().chain(&at_ms)) {
            *to = *from;
        }
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (units, at_ms) = bytes.split_first_chunk()?;
        let at_ms = at_ms.try_into().ok()?;
        Some(Level { units: i64::from_be_bytes(*units), at_ms: u64::from_be_bytes(at_ms) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn take(shape: &Shape, level: Level, tokens: u64, now_ms: u64) -> (Level, u64) {
        let level = shape.refill(level, now_ms);
        let level = Level { units: level.units - shape.units(tokens), ..level };
        (level, shape.wait_ms(level.units))
    }

    #[test]
    fn a_burst_is_free_and_what_goes_beyond_waits() {
        let shape = Shape::new(100, 1_000, 2_000);
        let (level, wait_ms) = take(&shape, shape.full(0), 200, 0);
        assert_eq!(wait_ms, 0);
        let (level, wait_ms) = take(&shape, level, 1, 0);
        assert_eq!(wait_ms, 10);
        let (_, wait_ms) = take(&shape, level, 0, 10);
        assert_eq!(wait_ms, 0, "the debt is paid");
    }

    #[test]
    fn nothing_is_lost_by_rounding() {
        // One token in 60 s, looked at every millisecond.
        let shape = Shape::new(1, 60_000, 60_000);
        let (mut level, wait_ms) = take(&shape, shape.full(0), 2, 0);
        assert_eq!(wait_ms, 60_000);
        for now_ms in 1..60_000 {
            level = shape.refill(level, now_ms);
            assert_eq!(shape.wait_ms(level.units), 60_000 - now_ms);
        }
    }

    #[test]
    fn a_clock_that_is_set_back_stops_the_bucket_only_once() {
        let shape = Shape::new(1_000, 1_000, 1_000);
        let empty = Level { units: 0, at_ms: 3_600_000 };
        let level = shape.refill(empty, 5);
        assert_eq!(level, Level { units: 0, at_ms: 5 });
        assert_eq!(shape.refill(level, 105).units, shape.units(100));
    }

    #[test]
    fn clocks_of_workers_that_differ_a_little_bring_nothing_twice() {
        let shape = Shape::new(1_000, 1_000, 10_000);
        let mut level = Level { units: 0, at_ms: 0 };
        for now_ms in 0..1_000 {
            level = shape.refill(level, now_ms);
            level = shape.refill(level, now_ms.saturating_sub(7));
        }
        assert_eq!(level.units, shape.units(999));
    }

    #[test]
    fn the_largest_numbers_stay_numbers() {
        let shape = Shape::new(u64::MAX, 60_000, u32::MAX);
        let (level, wait_ms) = take(&shape, shape.full(u64::MAX), u64::MAX, u64::MAX);
        assert_eq!((level.units > 0, wait_ms), (true, 0));
        let slow = Shape::new(0, 60_000, 0);
        assert_eq!(slow.wait_ms(i64::MIN), i64::MAX.unsigned_abs());
        let broke = slow.refill(Level { units: i64::MIN, at_ms: 0 }, u64::MAX);
        assert_eq!(broke.units, -1);
    }

    #[test]
    fn what_another_version_wrote_is_no_level() {
        let level = Level { units: -7, at_ms: 9 };
        assert_eq!(Level::from_bytes(&level.to_bytes()), Some(level));
        for bytes in [&[][..], &[0; 8], &[0; 15], &[0; 17]] {
            assert_eq!(Level::from_bytes(bytes), None);
        }
    }

    proptest! {
        /// Whoever waits as told never gets more than burst, rate and one overdraft.
        #[test]
        fn the_rate_holds_over_time(
            rate in 1u64..10_000_000, burst_ms in 0u32..10_000,
            uses in proptest::collection::vec((0u64..2_000_000, 0u64..200), 1..200),
        ) {
            let shape = Shape::new(rate, 1_000, burst_ms);
            let (mut now_ms, mut level, mut used) = (0, shape.full(0), 0u128);
            for (tokens, idle_ms) in uses {
                let (after, wait_ms) = take(&shape, level, tokens, now_ms);
                level = after;
                used += u128::from(tokens);
                let earned = u128::from(rate) * (u128::from(now_ms) + u128::from(burst_ms)) / 1_000;
                prop_assert!(used <= earned + u128::from(tokens) + 1, "{used} used, {earned} earned at {now_ms}");
                now_ms += wait_ms + idle_ms;
            }
        }

        /// Whoever never goes beyond the rate never waits.
        #[test]
        fn who_keeps_to_the_rate_never_waits(rate in 1u64..1_000_000, steps in 1u64..500) {
            let shape = Shape::new(rate, 1_000, 1_000);
            let mut level = Level { units: 0, at_ms: 0 };
            for step in 1..=steps {
                let (after, wait_ms) = take(&shape, level, rate, step * 1_000);
                level = after;
                prop_assert_eq!(wait_ms, 0);
            }
        }
    }
}
