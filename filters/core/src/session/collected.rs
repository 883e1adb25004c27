//! A response that must be seen whole but comes in pieces. It is walked as it comes, and elements that a filter leaves out are
//! not kept: memory goes with what the client gets, not with what the broker sends.

use core::ops::Range;

use crate::edits::Edits;
use crate::fault::Fault;
use crate::filter::Message;
use crate::limits::Limits;
use crate::reader::Input;
use crate::stream::OnEvent;
use crate::walker::{Event, Walker};

use super::frame::write_size;

/// One such response. Offsets count from the frame's size field as the broker sent it.
#[derive(Debug)]
pub(super) struct Collected {
    walker: Walker,
    message: Message,
    frame_bytes: usize,
    /// What has come, without what was left out.
    kept: Vec<u8>,
    /// Where the next piece begins.
    seen: usize,
    edits: Edits,
    /// What is not in `kept`; ascending, not touching.
    cuts: Vec<Cut>,
    cut_bytes: usize,
}

#[derive(Debug)]
struct Cut {
    /// Where it ends.
    end: usize,
    /// How many bytes are cut up to there.
    total: usize,
}

impl Collected {
    pub(super) fn new(walker: Walker, message: Message, frame_bytes: usize) -> Self {
        Collected {
            walker,
            message,
            frame_bytes,
            kept: Vec::new(),
            seen: 0,
            edits: Edits::default(),
            cuts: Vec::new(),
            cut_bytes: 0,
        }
    }

    /// Bytes that have not come yet.
    pub(super) fn missing(&self) -> usize {
        self.frame_bytes.saturating_sub(self.seen)
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.kept.len()
    }

    /// Takes the next piece.
    pub(super) fn push(&mut self, piece: &[u8], limits: &Limits, on_event: &mut OnEvent<'_>) -> Result<(), Fault> {
        self.kept.extend_from_slice(piece);
        self.seen = self.seen.saturating_add(piece.len());
        let mut cuts = Vec::new();
        // Behind numbers that it passed over, the walker may be ahead.
        while self.walker.at() <= self.seen {
            let base = self.walker.at();
            let at = base.saturating_sub(self.cut_bytes);
            let bytes = self.kept.get(at..).unwrap_or_default();
            let Some((listeners, event)) = self.walker.next(Input { bytes, base })? else { break };
            let element = match &event {
                Event::ElementEnd(_, range) => Some(range.clone()),
                _ => None,
            };
            let is_end = matches!(event, Event::End);
            on_event(&self.message, listeners, &event, &mut self.edits)?;
            if is_end {
                break;
            }
            // The sizes of tagged fields are patched by what edits change inside them, and an element around this one may go.
            if let Some(range) = element.filter(|_| !self.walker.is_enclosed())
                && range.end <= self.seen
                && self.edits.take_removal(&range)
            {
                cuts.push(range);
            }
        }
        self.cut(cuts);
        limits.check_held(self.kept.len())
    }

    /// Forgets these bytes, which lie behind all that were forgotten before.
    fn cut(&mut self, cuts: Vec<Range<usize>>) {
        let Some(first) = cuts.first() else { return };
        let start = first.start.saturating_sub(self.cut_bytes);
        let rest = self.kept.split_off(start.min(self.kept.len()));
        let mut at = first.start;
        let base = first.start;
        let part = |range: Range<usize>| rest.get(range.start.saturating_sub(base)..range.end.saturating_sub(base));
        for cut in cuts {
            self.kept.extend_from_slice(part(at..cut.start).unwrap_or_default());
            at = cut.end;
            self.cut_bytes = self.cut_bytes.saturating_add(cut.len());
            let (end, total) = (cut.end, self.cut_bytes);
            match self.cuts.last_mut().filter(|last| last.end == cut.start) {
                Some(last) => *last = Cut { end, total },
                None => self.cuts.push(Cut { end, total }),
            }
        }
        self.kept.extend_from_slice(rest.get(at.saturating_sub(base)..).unwrap_or_default());
    }

    /// The frame for the client, once nothing is missing.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, Fault> {
        if self.edits.is_empty() && self.cuts.is_empty() {
            return Ok(self.kept);
        }
        let mut tag_sizes = self.walker.tag_sizes().to_vec();
        for size in &mut tag_sizes {
            size.end = size.end.saturating_sub(self.cut_before(size.end));
            let cut = self.cut_before(size.range.start);
            size.range = size.range.start.saturating_sub(cut)..size.range.end.saturating_sub(cut);
        }
        let mut edits = core::mem::take(&mut self.edits);
        edits.move_back(|at| self.cut_before(at));
        let mut frame = edits.apply(&self.kept, 0, &tag_sizes)?;
        write_size(&mut frame)?;
        Ok(frame)
    }

    /// How many bytes before `at` were forgotten.
    fn cut_before(&self, at: usize) -> usize {
        let behind = self.cuts.partition_point(|cut| cut.end <= at);
        behind.checked_sub(1).and_then(|last| self.cuts.get(last)).map_or(0, |cut| cut.total)
    }
}
