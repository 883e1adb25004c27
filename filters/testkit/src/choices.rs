//! Where generated values come from: bytes that a fuzzer or proptest can shrink, or a seed.

/// A stream of choices. Its end gives zeros, the simplest choice everywhere.
#[derive(Clone, Debug)]
pub struct Choices<'a> {
    source: Source<'a>,
}

#[derive(Clone, Debug)]
enum Source<'a> {
    Bytes(&'a [u8]),
    Random(u64),
}

impl<'a> Choices<'a> {
    /// Choices made by these bytes.
    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        Choices { source: Source::Bytes(bytes) }
    }

    /// Endless choices, always the same for the same seed.
    pub fn from_seed(seed: u64) -> Self {
        Choices { source: Source::Random(seed) }
    }

    /// Any byte.
    pub fn byte(&mut self) -> u8 {
        match &mut self.source {
            Source::Bytes(bytes) => {
                let Some((first, rest)) = bytes.split_first() else { return 0 };
                *bytes = rest;
                *first
            }
            Source::Random(state) => {
                // splitmix64
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = *state;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                (z ^ (z >> 31)) as u8
            }
        }
    }

    /// `N` bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        core::array::from_fn(|_| self.byte())
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        let wide = if end <= 256 { usize::from(self.byte()) } else { u32::from_be_bytes(self.array()) as usize };
        wide % end
    }

    /// True once in `n` times; false at the end.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    /// One of `options`; the first at the end.
    pub fn of<T: Copy>(&mut self, options: &[T]) -> T {
        options[self.below(options.len())]
    }

    /// True when nothing is left to choose by.
    pub fn is_empty(&self) -> bool {
        matches!(self.source, Source::Bytes([]))
    }

    /// Up to `max` of the bytes that are left, as they are.
    pub fn rest(&mut self, max: usize) -> Vec<u8> {
        match &mut self.source {
            Source::Bytes(bytes) => {
                let (first, rest) = bytes.split_at(bytes.len().min(max));
                *bytes = rest;
                first.to_vec()
            }
            Source::Random(_) => (0..max).map(|_| self.byte()).collect(),
        }
    }
}
