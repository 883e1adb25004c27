//! A frame that is looked at while its bytes stream past.
//!
//! Only the fields around the record bytes are read. Behind the last records lies the *trailer* (tag section, node
//! endpoints): it is small, it is collected, and edits there may make it shorter, because the difference is filled up with an
//! unknown tag: the frame's size has long been passed on.

use core::ops::Range;

use crate::edits::{self, Edits};
use crate::fault::Fault;
use crate::filter::{Message, Plan};
use crate::limits::Limits;
use crate::reader::Input;
use crate::walker::{Event, Walker};
use crate::window::View;

/// How many bytes are looked at for a start. A field that is longer doubles it.
const LOOK_BYTES: usize = 64;

/// Receives the events of a frame.
pub(crate) type OnEvent<'a> = dyn FnMut(&Message, &Event<'_>, &mut Edits) -> Result<(), Fault> + 'a;

/// What a run over the visible bytes came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The frame ended at this offset of the view.
    Done(usize),
    /// All that had to be seen has been seen: from `at` on `left` bytes of the frame may pass.
    Seen { at: usize, left: usize },
    /// All visible bytes are used, but for those from this offset on, which must be seen together with the next ones.
    More(Option<usize>),
}

/// One such frame.
#[derive(Debug)]
pub(crate) struct Stream {
    walker: Walker,
    message: Message,
    /// Offset in the view of the frame's first byte; negative when the frame began in an earlier callback.
    start: i64,
    frame_bytes: usize,
    plan: Plan,
    /// Acks of a Produce request, once seen.
    acks: Option<i16>,
    trailer_at: Option<usize>,
}

const LOST: Fault = Fault::Internal("stream lost its place");

impl Stream {
    pub(crate) fn new(
        walker: Walker,
        message: Message,
        at: usize,
        frame_bytes: usize,
        plan: Plan,
    ) -> Result<Self, Fault> {
        let start = i64::try_from(at).map_err(|_| LOST)?;
        Ok(Stream { walker, message, start, frame_bytes, plan, acks: None, trailer_at: None })
    }

    /// Acks of a Produce request; told once.
    pub(crate) fn acks(&mut self) -> Option<i16> {
        self.acks.take()
    }

    /// The view's first `passed` bytes have gone.
    pub(crate) fn advance(&mut self, passed: usize) -> Result<(), Fault> {
        self.start = self.start.checked_sub(i64::try_from(passed).map_err(|_| LOST)?).ok_or(LOST)?;
        Ok(())
    }

    /// Walks as far as the view's bytes go.
    pub(crate) fn run(
        &mut self,
        view: &mut View<'_>,
        limits: &Limits,
        edits: &mut Edits,
        on_event: &mut OnEvent<'_>,
    ) -> Result<Progress, Fault> {
        edits.clear();
        let mut look = LOOK_BYTES;
        loop {
            let frame_at = self.walker.at();
            let at = self.place(frame_at)?;
            // Behind record bytes, tags and numbers that were passed over, the walker is ahead of what is visible.
            if at > view.len() || (at == view.len() && frame_at < self.frame_bytes) {
                return Ok(Progress::More(None));
            }
            if self.trailer_at.is_none() && self.plan == Plan::Head && self.walker.in_trailer() {
                limits.check_held(self.frame_bytes.saturating_sub(frame_at))?;
                if self.place(self.frame_bytes)? > view.len() {
                    return Ok(Progress::More(Some(at)));
                }
                self.trailer_at = Some(frame_at);
            }
            // The trailer is seen in one piece, anything else as far as it happens to be at hand.
            let end = match self.trailer_at {
                Some(_) => self.place(self.frame_bytes)?,
                None => at.saturating_add(look).min(view.len()),
            };
            let bytes = view.slice(at..end)?;
            let visible = at.saturating_add(bytes.len());
            match self.events(Input { bytes, base: frame_at }, edits, on_event)? {
                Pause::End => {
                    self.write_trailer(view, edits)?;
                    let end = self.place(self.frame_bytes)?;
                    if end > view.len() {
                        // Tags or bytes that nobody knows end the frame: they need not be seen.
                        let at = self.place(self.walker.at())?.min(view.len());
                        return Ok(Progress::Seen { at, left: end.saturating_sub(at) });
                    }
                    return Ok(Progress::Done(end));
                }
                Pause::Seen => {
                    let frame_at = self.walker.at();
                    let left = self.frame_bytes.saturating_sub(frame_at);
                    return Ok(Progress::Seen { at: self.place(frame_at)?, left });
                }
                Pause::Turn => {
                    self.write_in_place(view, edits)?;
                    look = LOOK_BYTES;
                }
                Pause::Short if self.trailer_at.is_some() => return Err(LOST),
                Pause::Short => {
                    self.write_in_place(view, edits)?;
                    let at = self.place(self.walker.at())?;
                    if visible >= view.len() {
                        limits.check_held(view.len().saturating_sub(at))?;
                        return Ok(Progress::More((at < view.len()).then_some(at)));
                    }
                    look = visible.saturating_sub(at).max(look).saturating_mul(2);
                }
            }
        }
    }

    /// Hands out events until there is a reason to pause.
    fn events(&mut self, input: Input<'_>, edits: &mut Edits, on_event: &mut OnEvent<'_>) -> Result<Pause, Fault> {
        loop {
            let Some(event) = self.walker.next(input)? else { return Ok(Pause::Short) };
            if let Some(acks) = acks(&event) {
                self.acks = Some(acks);
                if self.plan == Plan::Pass {
                    return Ok(Pause::Seen);
                }
            }
            if self.plan == Plan::Head {
                on_event(&self.message, &event, edits)?;
            }
            match event {
                Event::End => return Ok(Pause::End),
                Event::Records(..) => return Ok(Pause::Turn),
                _ if self.trailer_at.is_none() && self.walker.in_trailer() => return Ok(Pause::Turn),
                _ => {}
            }
        }
    }

    /// Where an offset of the frame lies in the view.
    fn place(&self, frame_at: usize) -> Result<usize, Fault> {
        let at = i64::try_from(frame_at).ok().and_then(|at| self.start.checked_add(at));
        at.and_then(|at| usize::try_from(at).ok()).ok_or(LOST)
    }

    /// Edits before the trailer: the frame's size has been passed on, so nothing may change its length.
    fn write_in_place(&self, view: &mut View<'_>, edits: &mut Edits) -> Result<(), Fault> {
        if edits.is_empty() || self.trailer_at.is_some() {
            return Ok(());
        }
        for (range, bytes) in edits.drain_sorted() {
            if range.len() != bytes.len() {
                return Err(Fault::Internal("edit changes the size of a frame that is streaming"));
            }
            let range = self.place_range(range)?;
            view.replace(range, bytes);
        }
        Ok(())
    }

    fn write_trailer(&self, view: &mut View<'_>, edits: &mut Edits) -> Result<(), Fault> {
        if edits.is_empty() {
            return Ok(());
        }
        let trailer_at = self.trailer_at.ok_or(LOST)?;
        let range = self.place_range(trailer_at..self.frame_bytes)?;
        let tags = self.walker.body_tags().ok_or(Fault::Internal("streamed frame without a tag section"))?;
        let count_at = edits.moved(tags.count_range.start).checked_sub(trailer_at).ok_or(LOST)?;
        let trailer = view.slice(range.clone())?.get(..range.len()).ok_or(LOST)?;
        let mut trailer = edits.apply(trailer, trailer_at, self.walker.tag_sizes())?;
        edits::fill(&mut trailer, count_at, tags, range.len())?;
        view.replace(range, trailer);
        Ok(())
    }

    fn place_range(&self, range: Range<usize>) -> Result<Range<usize>, Fault> {
        Ok(self.place(range.start)?..self.place(range.end)?)
    }
}

/// Acks of a Produce request, when this is it. With 0 there is no answer.
pub(crate) fn acks(event: &Event<'_>) -> Option<i16> {
    match event {
        Event::Value(value) if value.field.name == "Acks" => i16::try_from(value.number()?).ok(),
        _ => None,
    }
}

/// Why no more events are handed out for now.
enum Pause {
    /// The frame is complete.
    End,
    /// Nothing more has to be seen.
    Seen,
    /// Record bytes were passed over or the trailer begins: look elsewhere.
    Turn,
    /// The next field is not wholly visible.
    Short,
}
