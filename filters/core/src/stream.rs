//! A frame that is looked at while its bytes stream past.
//!
//! Only the fields around the record bytes are read. The *head* lies before the array that holds the records; the frame's size is
//! passed on with it, so filters have to say there by how much they will change each element. Behind the last records lies the *trailer* (tag section, node
//! endpoints): it is small, it is collected, and edits there may make it shorter, because the difference is filled up with an
//! unknown tag: the frame's size has long been passed on.

use core::ops::Range;
use std::rc::Rc;

use crate::edits::{self, Edits};
use crate::fault::Fault;
use crate::filter::{Direction, Message, Plan};
use crate::limits::Limits;
use crate::protocol::Field;
use crate::reader::Input;
use crate::walker::{Event, Layout, Listeners, SIZE_BYTES, Walker};
use crate::window::View;

/// How many bytes are looked at for a start. A field that is longer doubles it.
const LOOK_BYTES: usize = 64;

/// Receives the events of a frame.
pub(crate) type OnEvent<'a> = dyn FnMut(&Message, Listeners, &Event<'_>, &mut Edits) -> Result<(), Fault> + 'a;

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
    /// How many changes the view had before it.
    changes_before: usize,
    plan: Plan,
    /// Acks of a Produce request, once seen.
    acks: Option<i16>,
    part: Part,
    edits: Edits,
    /// The array that holds the records, once met.
    array: Option<&'static Field>,
    /// By how much each of its elements will grow.
    promised: i64,
    elements: i64,
    /// By how much they have grown.
    grown: i64,
}

/// Where in the frame the stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Before the array that holds the records. Nothing of the frame has been passed on, because its size depends on what
    /// is here.
    Head,
    /// Around the record bytes.
    Body,
    /// Behind the last records, from this offset of the frame on.
    Trailer(usize),
}

impl Part {
    fn of(plan: Plan) -> Self {
        if plan == Plan::Head { Part::Head } else { Part::Body }
    }
}

const LOST: Fault = Fault::Internal("stream lost its place");

impl Stream {
    /// The frame of `frame_bytes` bytes that begins at `at` of the view.
    pub(crate) fn new(
        layout: Rc<Layout>,
        message: Message,
        at: usize,
        frame_bytes: usize,
        plan: Plan,
    ) -> Result<Self, Fault> {
        Ok(Stream {
            walker: Walker::new(layout, frame_bytes),
            message,
            start: i64::try_from(at).map_err(|_| LOST)?,
            frame_bytes,
            changes_before: 0,
            plan,
            acks: None,
            part: Part::of(plan),
            edits: Edits::default(),
            array: None,
            promised: 0,
            elements: 0,
            grown: 0,
        })
    }

    /// Another frame, with the memory of this one.
    pub(crate) fn restart(
        &mut self,
        layout: Rc<Layout>,
        message: Message,
        at: usize,
        frame_bytes: usize,
        plan: Plan,
    ) -> Result<(), Fault> {
        self.walker.restart(layout, frame_bytes);
        self.message = message;
        self.start = i64::try_from(at).map_err(|_| LOST)?;
        self.frame_bytes = frame_bytes;
        self.plan = plan;
        self.acks = None;
        self.part = Part::of(plan);
        self.array = None;
        (self.promised, self.elements, self.grown) = (0, 0, 0);
        Ok(())
    }

    /// The frame begins in this view.
    pub(crate) fn begin(&mut self, view: &View<'_>) {
        self.changes_before = view.changes();
    }

    /// Bytes of the frame, size field included.
    pub(crate) fn frame_bytes(&self) -> usize {
        self.frame_bytes
    }

    /// Takes back what was changed in a frame that begins in this view. Gives where that is.
    pub(crate) fn take_back(&self, view: &mut View<'_>) -> Result<usize, Fault> {
        view.take_back(self.changes_before);
        self.place(0)
    }

    /// See [`Message::holdable`].
    pub(crate) fn is_holdable(&self) -> bool {
        self.message.holdable
    }

    /// Gives back what memory the frame needed beyond the usual.
    pub(crate) fn forget(&mut self) {
        self.walker.forget();
        self.edits.clear();
    }

    /// Acks of a Produce request, once seen.
    pub(crate) fn acks(&self) -> Option<i16> {
        self.acks
    }

    /// The view's first `passed` bytes have gone.
    pub(crate) fn advance(&mut self, passed: usize) -> Result<(), Fault> {
        self.start = self.start.checked_sub(i64::try_from(passed).map_err(|_| LOST)?).ok_or(LOST)?;
        self.changes_before = 0;
        Ok(())
    }

    /// Walks as far as the view's bytes go. `has_room`: the frame may be kept.
    pub(crate) fn run(
        &mut self,
        view: &mut View<'_>,
        limits: &Limits,
        has_room: bool,
        on_event: &mut OnEvent<'_>,
    ) -> Result<Progress, Fault> {
        self.message.holdable = has_room && self.start >= 0 && self.message.direction == Direction::Request;
        let mut look = LOOK_BYTES;
        loop {
            let frame_at = self.walker.at();
            let at = self.place(frame_at)?;
            // Behind record bytes, tags and numbers that were passed over, the walker is ahead of what is visible.
            if at > view.len() || (at == view.len() && frame_at < self.frame_bytes) {
                return self.more(view, limits, view.len());
            }
            let is_trailer = matches!(self.part, Part::Trailer(_));
            if !is_trailer && self.plan == Plan::Head && self.walker.in_trailer() {
                limits.check_held(self.frame_bytes.saturating_sub(frame_at))?;
                self.end_head(view, 0)?;
                if self.place(self.frame_bytes)? > view.len() {
                    return Ok(Progress::More(Some(at)));
                }
                self.part = Part::Trailer(frame_at);
            }
            // The trailer is seen in one piece, anything else as far as it happens to be at hand.
            let end = match self.part {
                Part::Trailer(_) => self.place(self.frame_bytes)?,
                Part::Head | Part::Body => at.saturating_add(look).min(view.len()),
            };
            let bytes = view.slice(at..end)?;
            let visible = at.saturating_add(bytes.len());
            match self.events(Input { bytes, base: frame_at }, on_event)? {
                Pause::End => {
                    self.write_trailer(view)?;
                    let end = self.place(self.frame_bytes)?;
                    // Tags or bytes that nobody knows may end the frame: they need not be seen.
                    return if end > view.len() { self.seen(view) } else { Ok(Progress::Done(end)) };
                }
                Pause::Seen => {
                    self.write_body(view)?;
                    return self.seen(view);
                }
                Pause::Array(count) => self.end_head(view, count)?,
                Pause::Turn => {
                    self.write_body(view)?;
                    look = LOOK_BYTES;
                }
                Pause::Short if matches!(self.part, Part::Trailer(_)) => return Err(LOST),
                Pause::Short => {
                    self.write_body(view)?;
                    let at = self.place(self.walker.at())?;
                    if visible >= view.len() {
                        return self.more(view, limits, at);
                    }
                    look = visible.saturating_sub(at).max(look).saturating_mul(2);
                }
            }
        }
    }

    /// What follows may pass, whether it is there or not.
    fn seen(&self, view: &View<'_>) -> Result<Progress, Fault> {
        let at = self.place(self.walker.at())?.min(view.len());
        Ok(Progress::Seen { at, left: self.place(self.frame_bytes)?.saturating_sub(at) })
    }

    /// No more is visible: what lies from `at` on has to be seen again, and in the head everything.
    fn more(&self, view: &View<'_>, limits: &Limits, at: usize) -> Result<Progress, Fault> {
        let at = if self.part == Part::Head { self.place(0)? } else { at };
        limits.check_held(view.len().saturating_sub(at))?;
        Ok(Progress::More((at < view.len()).then_some(at)))
    }

    /// Hands out events until there is a reason to pause.
    fn events(&mut self, input: Input<'_>, on_event: &mut OnEvent<'_>) -> Result<Pause, Fault> {
        loop {
            let Some((listeners, event)) = self.walker.next(input)? else { return Ok(Pause::Short) };
            if let Some(acks) = acks(&event) {
                self.acks = Some(acks);
                if self.plan == Plan::Pass {
                    return Ok(Pause::Seen);
                }
            }
            if self.plan == Plan::Head {
                on_event(&self.message, listeners, &event, &mut self.edits)?;
            }
            match event {
                Event::End => return Ok(Pause::End),
                // Only tag sections are left, which nobody changes: they need not be copied to be seen.
                Event::Records(..) if self.walker.is_at_last_field() => {
                    self.check_promise()?;
                    on_event(&self.message, self.walker.end_listeners(), &Event::End, &mut self.edits)?;
                    return Ok(Pause::Seen);
                }
                Event::Records(..) => return Ok(Pause::Turn),
                Event::Array(array) if self.part == Part::Head && array.holds_records => {
                    self.array = Some(array.field);
                    return Ok(Pause::Array(array.count.unwrap_or(0)));
                }
                Event::ElementEnd(field, _) if self.array.is_some_and(|array| core::ptr::eq(array, field)) => {
                    self.check_promise()?;
                }
                _ => {}
            }
            if !matches!(self.part, Part::Trailer(_)) && self.walker.in_trailer() {
                return Ok(Pause::Turn);
            }
        }
    }

    fn check_promise(&mut self) -> Result<(), Fault> {
        self.elements = self.elements.saturating_add(1);
        let grown = self.grown.saturating_add(self.edits.growth(0));
        if grown != self.promised.saturating_mul(self.elements) {
            return Err(Fault::Internal("edits of a streaming message are not as long as promised"));
        }
        Ok(())
    }

    /// The head is complete, so the frame's new size is known and the head may go.
    fn end_head(&mut self, view: &mut View<'_>, count: u32) -> Result<(), Fault> {
        if self.part != Part::Head {
            return Ok(());
        }
        self.part = Part::Body;
        self.promised = self.edits.take_promised();
        let growth = self.edits.growth(0).saturating_add(self.promised.saturating_mul(i64::from(count)));
        if growth != 0 {
            let size = i64::try_from(self.frame_bytes.saturating_sub(SIZE_BYTES)).unwrap_or(i64::MAX);
            let size = i32::try_from(size.saturating_add(growth)).ok().filter(|size| *size >= 0);
            let size = size.ok_or(Fault::Internal("frame too large to write"))?;
            self.edits.replace(0..SIZE_BYTES, size.to_be_bytes().as_slice());
        }
        self.write(view)
    }

    /// Hands the edits to the view.
    fn write(&mut self, view: &mut View<'_>) -> Result<(), Fault> {
        let start = self.start;
        for (range, bytes) in self.edits.drain_sorted() {
            view.replace(place(start, range.start)?..place(start, range.end)?, bytes);
        }
        Ok(())
    }

    /// Where an offset of the frame lies in the view.
    fn place(&self, frame_at: usize) -> Result<usize, Fault> {
        place(self.start, frame_at)
    }

    /// Edits between head and trailer.
    fn write_body(&mut self, view: &mut View<'_>) -> Result<(), Fault> {
        if self.edits.is_empty() || self.part != Part::Body {
            return Ok(());
        }
        self.grown = self.grown.saturating_add(self.edits.growth(0));
        self.write(view)
    }

    fn write_trailer(&mut self, view: &mut View<'_>) -> Result<(), Fault> {
        if self.edits.is_empty() {
            return Ok(());
        }
        let Part::Trailer(trailer_at) = self.part else { return Err(LOST) };
        let range = self.place_range(trailer_at..self.frame_bytes)?;
        let tags = self.walker.body_tags().ok_or(Fault::Internal("streamed frame without a tag section"))?;
        let count_at = self.edits.moved(tags.count_range.start).checked_sub(trailer_at).ok_or(LOST)?;
        let trailer = view.slice(range.clone())?.get(..range.len()).ok_or(LOST)?;
        let mut trailer = self.edits.apply(trailer, trailer_at, self.walker.tag_sizes())?;
        edits::fill(&mut trailer, count_at, tags, range.len())?;
        view.replace(range, trailer);
        Ok(())
    }

    fn place_range(&self, range: Range<usize>) -> Result<Range<usize>, Fault> {
        Ok(self.place(range.start)?..self.place(range.end)?)
    }
}

/// Where an offset of a frame that begins at `start` lies in the view.
fn place(start: i64, frame_at: usize) -> Result<usize, Fault> {
    let at = i64::try_from(frame_at).ok().and_then(|at| start.checked_add(at));
    at.and_then(|at| usize::try_from(at).ok()).ok_or(LOST)
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
    /// The array that holds the records begins, with so many elements.
    Array(u32),
    /// Record bytes were passed over or the trailer begins: look elsewhere.
    Turn,
    /// The next field is not wholly visible.
    Short,
}
