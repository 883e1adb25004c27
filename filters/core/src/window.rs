//! The core's view of the host's buffer: look at what a decision needs, change what an edit changes, leave the rest.
//!
//! The host's buffer can be changed at its front and appended to at its end, nowhere else; a change further in costs
//! reading and writing back what lies before it. [`View`] gathers the changes of one callback and writes them once.

use core::ops::Range;

use crate::edits::{EditList, Replacement};
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

/// From this size on, what is read to be written back is a piece of its own: joining it to others would cost a third copy.
const PIECE_BYTES_MIN: usize = 64 << 10;

/// Room behind such a piece for the change that follows it; read along, since the host decides the capacity.
const PIECE_ROOM_BYTES: usize = 256;

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
    edits: EditList,
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
            edits: EditList::new(),
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
    pub(crate) fn replace(&mut self, range: Range<usize>, bytes: impl Into<Replacement>) {
        self.edits.push((range, bytes.into()));
    }

    /// How many changes there are; with [`View::take_back`] a way to take changes back.
    pub(crate) fn changes(&self) -> usize {
        self.edits.len()
    }

    /// Takes back all changes but the first `len`.
    pub(crate) fn take_back(&mut self, len: usize) {
        self.edits.truncate(len);
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
        let written = kept.min(changed).max(last);
        let mut pieces = Pieces { expected: written, ..Pieces::default() };
        let mut at = 0;
        for (range, bytes) in edits {
            self.copy(at..range.start, written, &mut pieces)?;
            if bytes.len() < PIECE_BYTES_MIN {
                pieces.extend(&bytes)
            } else {
                pieces.add(bytes.into_vec())
            }
            at = range.end;
        }
        self.copy(at..written, written, &mut pieces)?;
        let held = if kept < len { self.take_from(kept)? } else { Vec::new() };
        pieces.write(changed.saturating_sub(self.base), self.window)?;
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
        let (chunk_at, end) = (self.chunk_at, self.len());
        if let Some(bytes) = at.checked_sub(chunk_at).and_then(|at| self.chunk.get(at..end.checked_sub(chunk_at)?)) {
            return Ok(bytes.to_vec());
        }
        self.peek(at..end)
    }

    /// Adds the bytes of `range` to `pieces`. More will be wanted up to `until`, so small ranges are read together.
    fn copy(&mut self, range: Range<usize>, until: usize, pieces: &mut Pieces) -> Result<(), Fault> {
        if range.start > range.end {
            return Err(Fault::Internal("edits overlap"));
        }
        let mut at = range.start;
        while at < range.end {
            let wanted = range.end.saturating_sub(at);
            if wanted >= PIECE_BYTES_MIN && at >= self.base {
                let mut piece = self.peek(at..range.end.saturating_add(PIECE_ROOM_BYTES).min(self.len()))?;
                self.chunk = piece.get(wanted..).unwrap_or_default().to_vec();
                self.chunk_at = range.end;
                piece.truncate(wanted);
                pieces.add(piece);
                return Ok(());
            }
            let (copy, copy_at) = if at < self.front.len() { (&self.front, 0) } else { (&self.chunk, self.chunk_at) };
            let place = |at: usize| at.checked_sub(copy_at).map(|at| at.min(copy.len()));
            let known = place(at).zip(place(range.end)).and_then(|(start, end)| copy.get(start..end));
            if let Some(known) = known.filter(|known| !known.is_empty()) {
                pieces.extend(known);
                at = at.saturating_add(known.len());
            } else {
                let end = at.saturating_add(PIECE_BYTES_MIN).min(until).max(range.end);
                self.chunk = self.peek(at..end)?;
                self.chunk_at = at;
            }
        }
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

/// What takes the place of the buffer's front, in pieces: megabytes are written as they were read, never joined.
#[derive(Default)]
struct Pieces {
    /// Bytes of all pieces, roughly.
    expected: usize,
    done: Vec<Vec<u8>>,
    last: Vec<u8>,
}

impl Pieces {
    fn extend(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        if self.last.is_empty() {
            self.last.reserve(self.expected.saturating_add(PIECE_ROOM_BYTES).min(2 * PIECE_BYTES_MIN));
        }
        self.last.extend_from_slice(bytes);
    }

    /// Adds a large piece without a copy.
    fn add(&mut self, bytes: Vec<u8>) {
        self.close_last();
        self.last = bytes;
    }

    /// A large piece does not move to grow.
    fn make_room(&mut self, bytes: usize) {
        let room = self.last.capacity().saturating_sub(self.last.len());
        if self.last.len() >= PIECE_BYTES_MIN && room < bytes {
            self.close_last();
        }
    }

    fn close_last(&mut self) {
        if !self.last.is_empty() {
            self.done.push(core::mem::take(&mut self.last));
        }
    }

    /// Puts them in place of the first `replaced` bytes, the last piece first, since the buffer grows at its front.
    fn write(mut self, mut replaced: usize, window: &mut dyn Window) -> Result<(), Fault> {
        self.close_last();
        if self.done.is_empty() && replaced > 0 {
            return window.replace_front(replaced, &[]);
        }
        for piece in self.done.iter().rev() {
            window.replace_front(replaced, piece)?;
            replaced = 0;
        }
        Ok(())
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
        view.replace(0..4, b"xy".as_slice());
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
        view.replace(1..3, b"-".as_slice());
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
        view.replace(3..3, b"own".as_slice());
        view.finish(None).unwrap();
        assert_eq!((buffer.bytes.as_slice(), buffer.peeks), (&b"abcown"[..], 0));
    }

    #[test]
    fn what_lies_before_a_deep_edit_is_copied_out_once_and_in_once() {
        let all: Vec<u8> = (0..u8::MAX).cycle().take(400_000).collect();
        for carry in [0, 7, 50_000] {
            let mut buffer = Buffer::new(&all[carry..]);
            let mut view = View::new(all[..carry].to_vec(), &mut buffer);
            let mut expected = all.clone();
            for at in [100_000, 200_000, 200_100, 350_000] {
                view.slice(at..at + 4).unwrap();
                view.replace(at..at + 2, b"more".as_slice());
            }
            for at in [350_000, 200_100, 200_000, 100_000] {
                expected.splice(at..at + 2, *b"more");
            }
            view.finish(None).unwrap();
            assert!(buffer.bytes == expected, "carry {carry}");
            // Small ranges are read together, and with them a little of what is read again as a piece.
            assert!(buffer.bytes_peeked + carry < 356_000 + PIECE_BYTES_MIN, "{} bytes peeked", buffer.bytes_peeked);
            assert!(buffer.bytes_written < 350_100, "{} bytes written", buffer.bytes_written);
        }
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
