//! Changes to a frame as (range, replacement) pairs, applied in one pass that also patches the lengths around them.

use core::ops::Range;

use smallvec::SmallVec;

use crate::fault::Fault;
use crate::reader::{Width, put_length, put_unsigned_varint};
use crate::walker::{Array, TagSection, TagSize};

/// Lowest number of the tag that fills a frame up to a size which has already been sent. Kafka's definitions use lower
/// ones, and decoders skip tags they do not know (KIP-482).
const FILLER_TAG: u32 = 127;

/// What comes in place of a range. Most replacements are a name or a number and need no memory of their own.
pub type Replacement = SmallVec<[u8; 32]>;

/// A range, and what comes in its place.
pub(crate) type Edit = (Range<usize>, Replacement);

/// So many edits are kept without memory of their own.
pub(crate) type EditList = SmallVec<[Edit; 4]>;

/// Edits of a frame that needs no more memory than usual.
const EDITS: usize = 64;

/// Replacements to be made in one frame. Offsets count from the frame's size field.
#[derive(Debug, Default)]
pub struct Edits {
    list: EditList,
    promised: i64,
}

impl Edits {
    /// Replaces `range` by `bytes`. Ranges of one frame may come in any order but must not overlap.
    pub fn replace(&mut self, range: Range<usize>, bytes: impl Into<Replacement>) {
        self.list.push((range, bytes.into()));
    }

    /// States that only `count` elements of `array` are left; their bytes are removed by [`Edits::replace`].
    ///
    /// # Errors
    /// `Internal` when the count does not fit.
    pub fn recount(&mut self, array: &Array, count: u32) -> Result<(), Fault> {
        let mut bytes = Replacement::new();
        let width = if array.width == Width::Compact { Width::Compact } else { Width::Int32 };
        put_length(&mut bytes, width, count as usize)?;
        self.replace(array.count_range.clone(), bytes);
        Ok(())
    }

    /// States, when the array that holds the records begins in a message that is streaming, that edits will make each of
    /// its elements longer by `bytes` (shorter, negative): the frame's size is passed on before they have been seen.
    /// Breaking the promise ends the connection.
    pub fn promise(&mut self, bytes: i64) {
        self.promised = self.promised.saturating_add(bytes);
    }

    pub(crate) fn take_promised(&mut self) -> i64 {
        core::mem::take(&mut self.promised)
    }

    /// How many edits there are; with [`Edits::truncate`] a way to take edits back.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// True when nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Takes back all edits but the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.list.truncate(len);
    }

    /// Takes the newest edit back when it removes exactly `range`.
    pub(crate) fn take_removal(&mut self, range: &Range<usize>) -> bool {
        let is_removal = self.list.last().is_some_and(|(removed, bytes)| removed == range && bytes.is_empty());
        is_removal && self.list.pop().is_some()
    }

    /// Moves every edit towards the front, by what `by` says for its first byte.
    pub(crate) fn move_back(&mut self, by: impl Fn(usize) -> usize) {
        for (range, _) in &mut self.list {
            let by = by(range.start);
            *range = range.start.saturating_sub(by)..range.end.saturating_sub(by);
        }
    }

    /// Takes over all edits of `others`.
    pub(crate) fn append(&mut self, others: &mut Edits) {
        self.list.append(&mut others.list);
    }

    /// By how many bytes the edits from the `from`th on make the frame longer (or shorter, negative).
    #[must_use]
    pub fn growth(&self, from: usize) -> i64 {
        self.list.iter().skip(from).map(|(range, bytes)| growth(range, bytes)).fold(0, i64::saturating_add)
    }

    /// Where the byte at `at` comes to lie when the edits before it have been made.
    pub(crate) fn moved(&self, at: usize) -> usize {
        let before = self.list.iter().filter(|(range, _)| range.start < at);
        let growth = before.map(|(range, bytes)| growth(range, bytes)).fold(0, i64::saturating_add);
        let moved = i64::try_from(at).unwrap_or(i64::MAX).saturating_add(growth);
        usize::try_from(moved).unwrap_or(0)
    }

    /// Forgets all edits, and gives back what memory they needed beyond the usual.
    pub(crate) fn clear(&mut self) {
        self.list.clear();
        if self.list.capacity() > EDITS {
            self.list = EditList::new();
        }
        self.promised = 0;
    }

    /// Takes the edits out in wire order.
    pub(crate) fn drain_sorted(&mut self) -> impl Iterator<Item = Edit> + '_ {
        self.sort();
        self.list.drain(..)
    }

    /// They mostly come in order.
    fn sort(&mut self) {
        if !self.list.is_sorted_by_key(|(range, _)| range.start) {
            self.list.sort_by_key(|(range, _)| range.start);
        }
    }

    /// Applies the edits to `part`, whose first byte has the offset `base` in the frame, and patches the sizes of the
    /// tagged fields around them. The frame's own size field is the caller's.
    ///
    /// # Errors
    /// `Internal` when ranges overlap or lie outside `part`.
    pub(crate) fn apply(&mut self, part: &[u8], base: usize, tag_sizes: &[TagSize]) -> Result<Vec<u8>, Fault> {
        const OUTSIDE: Fault = Fault::Internal("edit outside its frame");
        self.patch_tag_sizes(tag_sizes)?;
        let growth: usize = self.list.iter().map(|(_, bytes)| bytes.len()).sum();
        let mut out = Vec::with_capacity(part.len().saturating_add(growth));
        let mut at = base;
        for (range, bytes) in self.drain_sorted() {
            let gap = relative(at..range.start, base).ok_or(OUTSIDE)?;
            out.extend_from_slice(part.get(gap).ok_or(OUTSIDE)?);
            out.extend_from_slice(&bytes);
            at = range.end;
        }
        let rest = at.checked_sub(base).and_then(|at| part.get(at..)).ok_or(OUTSIDE)?;
        out.extend_from_slice(rest);
        Ok(out)
    }

    /// Adds an edit for every tagged field's size whose content changes length, innermost first: a size that needs
    /// another byte makes the tagged field around it longer too.
    fn patch_tag_sizes(&mut self, tag_sizes: &[TagSize]) -> Result<(), Fault> {
        if self.list.is_empty() {
            return Ok(());
        }
        self.sort();
        // Patches come out in falling order of offset, so those inside a field are the newest ones.
        let mut patches: Vec<Edit> = Vec::new();
        for size in tag_sizes.iter().rev() {
            let inside = self.list.partition_point(|(range, _)| range.start < size.range.end);
            let edits = self.list.iter().skip(inside).take_while(|(range, _)| range.start < size.end);
            let inner = patches.iter().rev().take_while(|(range, _)| range.start < size.end);
            let growth = edits.chain(inner).map(|(range, bytes)| growth(range, bytes)).fold(0, i64::saturating_add);
            if growth == 0 {
                continue;
            }
            let old = size.end.saturating_sub(size.range.end);
            let new = i64::try_from(old).ok().and_then(|old| old.checked_add(growth));
            let new = new.and_then(|new| u32::try_from(new).ok()).ok_or(Fault::Internal("tag size out of range"))?;
            let mut bytes = Replacement::new();
            put_unsigned_varint(&mut bytes, new);
            patches.push((size.range.clone(), bytes));
        }
        self.list.extend(patches);
        Ok(())
    }
}

fn growth(range: &Range<usize>, bytes: &[u8]) -> i64 {
    let old = i64::try_from(range.len()).unwrap_or(i64::MAX);
    i64::try_from(bytes.len()).unwrap_or(i64::MAX).saturating_sub(old)
}

fn relative(range: Range<usize>, base: usize) -> Option<Range<usize>> {
    Some(range.start.checked_sub(base)?..range.end.checked_sub(base)?)
}

/// Fills `trailer`, the end of a frame, up to `bytes` bytes by adding an unknown tag to `tags`, the body's tag section, which
/// is the last thing in it; its count lies at `count_at` of the trailer. Used when the frame's size has been passed on before
/// its end was known.
///
/// # Errors
/// `Internal` when the trailer is too long.
pub(crate) fn fill(trailer: &mut Vec<u8>, count_at: usize, tags: &TagSection, bytes: usize) -> Result<(), Fault> {
    const CANNOT: Fault = Fault::Internal("frame end cannot be filled up");
    let missing = bytes.checked_sub(trailer.len()).ok_or(CANNOT)?;
    if missing == 0 {
        return Ok(());
    }
    let count = u8::try_from(tags.count).ok().filter(|count| *count < 0x7f).ok_or(CANNOT)?;
    let count_byte = trailer.get_mut(count_at).filter(|_| tags.count_range.len() == 1).ok_or(CANNOT)?;
    // Tags ascend: another gateway may have filled the frame before.
    let number = tags.last.map_or(Some(0), |last| last.checked_add(1)).ok_or(CANNOT)?.max(FILLER_TAG);
    let mut tag = Vec::with_capacity(5);
    put_unsigned_varint(&mut tag, number);
    let Some(after_tag) = missing.checked_sub(tag.len()).filter(|left| *left > 0) else {
        // No room for a tag: the count is written longer than needed, in at most five bytes.
        if missing > 4 {
            return Err(CANNOT);
        }
        *count_byte = count | 0x80;
        let mut padding = vec![0x80; missing];
        if let Some(last) = padding.last_mut() {
            *last = 0;
        }
        let behind = count_at.saturating_add(1);
        trailer.splice(behind..behind, padding);
        return Ok(());
    };
    *count_byte = count.saturating_add(1);
    trailer.append(&mut tag);
    // The size takes one byte at least; a longer size takes its bytes from the zeros.
    let mut zeros = u32::try_from(after_tag).map_err(|_| CANNOT)?.saturating_sub(1);
    let mut size_bytes = 1u32;
    while zeros.checked_shr(size_bytes.saturating_mul(7)).unwrap_or(0) > 0 {
        zeros = zeros.saturating_sub(1);
        size_bytes = size_bytes.saturating_add(1);
    }
    for index in 1..=size_bytes {
        let bits = zeros.checked_shr(index.saturating_sub(1).saturating_mul(7)).unwrap_or(0).to_le_bytes();
        let more = if index < size_bytes { 0x80 } else { 0 };
        trailer.push((bits[0] & 0x7f) | more);
    }
    trailer.resize(bytes, 0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::{Input, Reader};

    #[test]
    fn edits_are_applied_in_wire_order_whatever_order_they_came_in() {
        let mut edits = Edits::default();
        edits.replace(14..16, b"XYZ".as_slice());
        edits.replace(11..12, Vec::new());
        assert_eq!(edits.apply(b"abcdefg", 10, &[]).unwrap(), b"acdXYZg");
    }

    #[test]
    fn memory_of_many_edits_is_given_back() {
        let mut edits = Edits::default();
        (0..1_000).for_each(|at| edits.replace(at..at, b"x".as_slice()));
        edits.clear();
        assert!(edits.is_empty() && edits.list.capacity() <= EDITS);
    }

    #[test]
    fn overlapping_edits_are_our_bug_and_no_panic() {
        let mut edits = Edits::default();
        edits.replace(0..4, Vec::new());
        edits.replace(2..5, Vec::new());
        assert!(edits.apply(b"abcdefg", 0, &[]).is_err());
    }

    #[test]
    fn a_tag_size_that_grows_a_byte_grows_the_tag_around_it() {
        // outer size 129 (2 bytes) around inner size 127 (1 byte) around 127 bytes of content
        let mut part = vec![0x81, 0x01, 9, 127];
        part.extend([7u8; 127]);
        let sizes = [TagSize { range: 0..2, end: 131 }, TagSize { range: 3..4, end: 131 }];
        let mut edits = Edits::default();
        edits.replace(4..4, vec![1]);
        let out = edits.apply(&part, 0, &sizes).unwrap();
        assert_eq!(out.get(..6).unwrap(), [0x83, 0x01, 9, 0x80, 0x01, 1]);
        assert_eq!(out.len(), 133);
    }

    fn section(count: u32, last: Option<u32>) -> TagSection {
        TagSection { count_range: 3..4, count, last }
    }

    #[test]
    fn a_frame_end_is_filled_to_any_size() {
        for last in [0, 126, 127, 5_000] {
            for missing in (0..600).chain([16_384, 16_387, 20_000]) {
                // trailer: three bytes of something, then a tag section with one tag of one byte
                let mut trailer = vec![9, 9, 9, 1];
                put_unsigned_varint(&mut trailer, last);
                trailer.extend([1, 5]);
                let bytes = trailer.len() + missing;
                fill(&mut trailer, 3, &section(1, Some(last)), bytes).unwrap();
                assert_eq!(trailer.len(), bytes);
                let input = Input { bytes: &trailer, base: 0 };
                let mut reader = Reader::new(input, 3, trailer.len());
                let mut before = None;
                for _ in 0..reader.unsigned_varint("count").unwrap() {
                    let tag = reader.unsigned_varint("tag").unwrap();
                    assert!(before < Some(tag), "tags ascend");
                    before = Some(tag);
                    let size = reader.unsigned_varint("size").unwrap();
                    reader.skip(size as usize, "value").unwrap();
                }
                assert_eq!(reader.left(), 0, "{missing} bytes");
            }
        }
    }

    #[test]
    fn a_trailer_longer_than_its_room_is_refused() {
        assert!(fill(&mut vec![0, 0, 0, 0], 3, &section(0, None), 3).is_err());
    }
}
