//! The core's view of the host's buffer: look at what a decision needs, change what an edit changes, leave the rest.
//!
//! The host's buffer can be changed at its front and appended to at its end, nowhere else; a change further in costs
//! reading and writing back what lies before it. [`View`] gathers the changes of one callback and writes them once.

use core::ops::Range;

use crate::fault::Fault;

/// The host's buffer of one direction, during one callback.
pub trait Window {
    /// Bytes in the buffer.
    fn len(&self) -> usize;

    /// True when the buffer holds nothing.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of `range`, which lies inside the buffer.
    ///
    /// # Errors
    /// `Host` with the host's status.
    fn peek(&mut self, range: Range<usize>) -> Result<Vec<u8>, Fault>;

    /// Replaces the first `len` bytes by `bytes`.
    ///
    /// # Errors
    /// `Host` with the host's status.
    fn replace_front(&mut self, len: usize, bytes: &[u8]) -> Result<(), Fault>;

    /// Adds `bytes` behind the last byte.
    ///
    /// # Errors
    /// `Host` with the host's status.
    fn append(&mut self, bytes: &[u8]) -> Result<(), Fault>;
}

/// How far ahead a look goes at first. Copying this much costs little beside the host call itself.
const PEEK_AHEAD_BYTES: usize = 1 << 10;

/// How far ahead looks go when they follow each other closely: one host call then serves many small frames.
const PEEK_AHEAD_BYTES_MAX: usize = 16 << 10;

/// The bytes of one direction that have not been passed on: what was taken out of the buffer earlier, then the buffer.
///
/// ```text
///            carry            |            host's buffer
///  0 ............. base ...... front.len() .......... chunk ............. len
///  |  taken out    |  copy of the buffer's front |      | a later copy |
/// ```
pub(crate) struct View<'w> {
    window: &'w mut dyn Window,
    /// How many bytes are no longer in the host's buffer.
    base: usize,
    /// The bytes from 0 on: the carry and whatever was looked at next to it.
    front: Vec<u8>,
    chunk: Vec<u8>,
    chunk_at: usize,
    /// How far the next look goes ahead.
    ahead: usize,
    /// Ascending, not overlapping.
    edits: Vec<(Range<usize>, Vec<u8>)>,
}

const OUTSIDE: Fault = Fault::Internal("look outside the buffer");

impl<'w> View<'w> {
    pub(crate) fn new(carry: Vec<u8>, window: &'w mut dyn Window) -> Self {
        View {
            window,
            base: carry.len(),
            front: carry,
            chunk: Vec::new(),
            chunk_at: 0,
            ahead: PEEK_AHEAD_BYTES,
            edits: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.base.saturating_add(self.window.len())
    }

    /// At least the bytes of `range`, in one piece; more when more was at hand. `range` lies inside the view.
    pub(crate) fn slice(&mut self, range: Range<usize>) -> Result<&[u8], Fault> {
        let (start, end) = (range.start, range.end);
        if end > self.len() || start > end {
            return Err(OUTSIDE);
        }
        if self.front.is_empty() && start == 0 || start < self.front.len() {
            if end > self.front.len() {
                let more = self.peek(self.front.len()..self.look_ahead(start, end))?;
                append(&mut self.front, more);
            }
            return self.front.get(start..).ok_or(OUTSIDE);
        }
        let chunk_end = self.chunk_at.saturating_add(self.chunk.len());
        if end > chunk_end {
            let is_close = start <= chunk_end.max(self.front.len()).saturating_add(self.ahead);
            let closer = self.ahead.saturating_mul(4).min(PEEK_AHEAD_BYTES_MAX);
            self.ahead = if is_close { closer } else { PEEK_AHEAD_BYTES };
        }
        let ahead = self.look_ahead(start, end);
        if start < self.chunk_at || start >= chunk_end {
            self.chunk = self.peek(start..ahead)?;
            self.chunk_at = start;
        } else if end > chunk_end {
            let more = self.peek(chunk_end..ahead)?;
            self.chunk.drain(..start.saturating_sub(self.chunk_at));
            self.chunk_at = start;
            append(&mut self.chunk, more);
        }
        self.chunk.get(start.saturating_sub(self.chunk_at)..).ok_or(OUTSIDE)
    }

    /// Where a look at `start..end` ends.
    fn look_ahead(&self, start: usize, end: usize) -> usize {
        start.saturating_add(self.ahead).max(end).min(self.len())
    }

    /// Replaces `range` by `bytes`; calls come in ascending order.
    pub(crate) fn replace(&mut self, range: Range<usize>, bytes: Vec<u8>) {
        self.edits.push((range, bytes));
    }

    /// Writes the changes to the host's buffer. The bytes from `hold` on are taken out of it and returned: they are the
    /// carry of the next callback.
    pub(crate) fn finish(mut self, hold: Option<usize>) -> Result<Vec<u8>, Fault> {
        let len = self.len();
        let kept = hold.unwrap_or(len);
        let edits = core::mem::take(&mut self.edits);
        // An append at the very end needs nothing but the host's append.
        if let ([(range, bytes)], true) = (edits.as_slice(), kept == len && self.base == 0)
            && range.start == len
        {
            self.window.append(bytes)?;
            return Ok(Vec::new());
        }
        let last = edits.last().map_or(0, |(range, _)| range.end);
        let changed = if kept < len { len } else { last.max(self.base) };
        if changed == 0 && edits.is_empty() {
            return Ok(Vec::new());
        }
        let mut out = Vec::new();
        let mut at = 0;
        for (range, bytes) in edits {
            self.copy(at..range.start, &mut out)?;
            append(&mut out, bytes);
            at = range.end;
        }
        self.copy(at..kept.min(changed).max(at), &mut out)?;
        let held = if kept < len { self.take_from(kept)? } else { Vec::new() };
        let replaced = changed.saturating_sub(self.base);
        if replaced > 0 || !out.is_empty() {
            self.window.replace_front(replaced, &out)?;
        }
        Ok(held)
    }

    /// The bytes from `at` to the end, reusing what has been copied already.
    fn take_from(&mut self, at: usize) -> Result<Vec<u8>, Fault> {
        if at < self.front.len() {
            let mut held = core::mem::take(&mut self.front);
            let missing = held.len()..self.len();
            held.drain(..at);
            let more = self.peek(missing)?;
            append(&mut held, more);
            return Ok(held);
        }
        let mut held = Vec::new();
        self.copy(at..self.len(), &mut held)?;
        Ok(held)
    }

    /// Appends the bytes of `range` to `out`.
    fn copy(&mut self, range: Range<usize>, out: &mut Vec<u8>) -> Result<(), Fault> {
        if range.start > range.end {
            return Err(Fault::Internal("edits overlap"));
        }
        let mut at = range.start;
        if let Some(bytes) = self.front.get(at..range.end.min(self.front.len())) {
            out.extend_from_slice(bytes);
            at = at.saturating_add(bytes.len());
        }
        let chunk_end = self.chunk_at.saturating_add(self.chunk.len());
        if self.chunk_at <= at && range.end <= chunk_end {
            let in_chunk = at.saturating_sub(self.chunk_at)..range.end.saturating_sub(self.chunk_at);
            out.extend_from_slice(self.chunk.get(in_chunk).ok_or(OUTSIDE)?);
            return Ok(());
        }
        let bytes = self.peek(at..range.end)?;
        append(out, bytes);
        Ok(())
    }

    /// A copy of bytes that are still in the host's buffer.
    fn peek(&mut self, range: Range<usize>) -> Result<Vec<u8>, Fault> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let start = range.start.checked_sub(self.base).ok_or(OUTSIDE)?;
        let bytes = self.window.peek(start..start.saturating_add(range.len()))?;
        if bytes.len() == range.len() { Ok(bytes) } else { Err(OUTSIDE) }
    }
}

/// Appends without a copy when there is nothing before.
fn append(to: &mut Vec<u8>, bytes: Vec<u8>) {
    if to.is_empty() {
        *to = bytes;
    } else {
        to.extend_from_slice(&bytes);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A host buffer that counts what is done to it.
    #[derive(Default)]
    pub(crate) struct Buffer {
        pub(crate) bytes: Vec<u8>,
        pub(crate) peeks: usize,
        pub(crate) bytes_peeked: usize,
        pub(crate) splices: usize,
        pub(crate) bytes_written: usize,
    }

    impl Buffer {
        pub(crate) fn new(bytes: &[u8]) -> Self {
            Buffer { bytes: bytes.to_vec(), ..Buffer::default() }
        }
    }

    impl Window for Buffer {
        fn len(&self) -> usize {
            self.bytes.len()
        }

        fn peek(&mut self, range: Range<usize>) -> Result<Vec<u8>, Fault> {
            self.peeks += 1;
            self.bytes_peeked += range.len();
            Ok(self.bytes[range].to_vec())
        }

        fn replace_front(&mut self, len: usize, bytes: &[u8]) -> Result<(), Fault> {
            self.splices += 1;
            self.bytes_written += bytes.len();
            self.bytes.splice(..len, bytes.iter().copied());
            Ok(())
        }

        fn append(&mut self, bytes: &[u8]) -> Result<(), Fault> {
            self.splices += 1;
            self.bytes_written += bytes.len();
            self.bytes.extend_from_slice(bytes);
            Ok(())
        }
    }

    #[test]
    fn an_untouched_buffer_is_neither_read_nor_written() {
        let mut buffer = Buffer::new(b"abcdef");
        let held = View::new(Vec::new(), &mut buffer).finish(None).unwrap();
        assert_eq!((held.as_slice(), buffer.peeks, buffer.splices), (&b""[..], 0, 0));
    }

    #[test]
    fn an_edit_at_the_front_reads_nothing_behind_it() {
        let mut buffer = Buffer::new(&[7; 100_000]);
        let mut view = View::new(Vec::new(), &mut buffer);
        view.replace(0..4, b"xy".to_vec());
        view.finish(None).unwrap();
        assert_eq!((buffer.bytes.len(), buffer.peeks, buffer.bytes_written), (99_998, 0, 2));
    }

    #[test]
    fn a_held_tail_comes_back_in_front_of_the_next_bytes() {
        let mut buffer = Buffer::new(b"abcdef");
        let held = View::new(Vec::new(), &mut buffer).finish(Some(4)).unwrap();
        assert_eq!((buffer.bytes.as_slice(), held.as_slice()), (&b"abcd"[..], &b"ef"[..]));

        let mut next = Buffer::new(b"gh");
        let mut view = View::new(held, &mut next);
        assert_eq!(view.slice(0..4).unwrap(), b"efgh");
        view.replace(1..3, b"-".to_vec());
        view.finish(None).unwrap();
        assert_eq!(next.bytes, b"e-h");
    }

    #[test]
    fn holding_everything_twice_keeps_all_bytes() {
        let mut first = Buffer::new(b"abc");
        let held = View::new(Vec::new(), &mut first).finish(Some(0)).unwrap();
        let mut second = Buffer::new(b"def");
        let held = View::new(held, &mut second).finish(Some(0)).unwrap();
        assert_eq!((first.bytes.len(), second.bytes.len(), held.as_slice()), (0, 0, &b"abcdef"[..]));
    }

    #[test]
    fn bytes_added_at_the_end_cost_one_append() {
        let mut buffer = Buffer::new(b"abc");
        let mut view = View::new(Vec::new(), &mut buffer);
        view.replace(3..3, b"own".to_vec());
        view.finish(None).unwrap();
        assert_eq!((buffer.bytes.as_slice(), buffer.peeks), (&b"abcown"[..], 0));
    }

    #[test]
    fn every_edit_and_hold_of_a_small_buffer_gives_what_a_plain_splice_gives() {
        let all: Vec<u8> = (0..12).collect();
        for carry in 0..=4 {
            for start in 0..=12 {
                for end in start..=12 {
                    for hold in end..=13 {
                        let hold = (hold <= 12).then_some(hold);
                        let mut buffer = Buffer::new(&all[carry..]);
                        let mut view = View::new(all[..carry].to_vec(), &mut buffer);
                        view.slice(start..end).unwrap();
                        view.replace(start..end, vec![99, 98]);
                        let held = view.finish(hold).unwrap();
                        let mut expected = all.clone();
                        let expected_held = expected.split_off(hold.unwrap_or(12));
                        expected.splice(start..end, [99, 98]);
                        assert_eq!(
                            (&buffer.bytes, &held),
                            (&expected, &expected_held),
                            "{carry} {start}..{end} {hold:?}"
                        );
                    }
                }
            }
        }
    }
}
