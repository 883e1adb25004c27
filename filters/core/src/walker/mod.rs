//! Interprets the protocol tables over the live bytes of a frame and reports what it meets, with ranges.
//!
//! The walker is resumable at every field: [`Walker::next`] gives `None` when the next field is not wholly visible and
//! goes on there when it is called with more bytes. Record bytes are reported by range and passed over unseen, so a
//! frame of any size is walked in constant memory.
//!
//! A count or length is compared with the bytes that are left before it is believed. Nothing is reserved.

mod event;
mod layout;
mod skip;

use core::ops::Range;
use std::rc::Rc;

use crate::fault::Fault;
use crate::protocol::{Field, Kind};
use crate::reader::{Input, Reader, Stop, Width};

pub use event::{Array, Event, TagSection, TagSize, Value};
pub use layout::{Layout, Listeners, Wanted};

use layout::{Place, is_walked};

/// Bytes of a frame's size field.
pub const SIZE_BYTES: usize = 4;
/// Bytes of size, API key, version and correlation id: where a request's ClientId begins.
pub const REQUEST_HEAD_BYTES: usize = 12;
/// Bytes of size and correlation id: where the rest of a response begins.
pub const RESPONSE_HEAD_BYTES: usize = 8;

/// Levels of structs, arrays and tags in the deepest message that is common.
const LEVELS: usize = 8;

/// Tagged fields of a message that needs no more memory than usual.
const TAG_SIZES: usize = 64;

#[derive(Debug)]
enum Level {
    /// The fields of a struct, from `next` on.
    Fields { of: usize, next: usize },
    /// The elements of an array, from `index` on. `open`: a struct element began at this offset.
    Elements { place: usize, array: Array, index: u32, open: Option<usize> },
    /// A tag section.
    Tags { of: usize, left: u32, last: Option<u32> },
    /// A known tagged field, which must end at `self.end`; around it the end is `outer_end`.
    Tagged { place: Option<usize>, outer_end: usize },
}

/// A walk through one frame.
#[derive(Debug)]
pub struct Walker {
    layout: Rc<Layout>,
    walk: Walk,
}

/// Where a walk is.
#[derive(Debug)]
struct Walk {
    at: usize,
    end: usize,
    levels: Vec<Level>,
    tag_sizes: Vec<TagSize>,
    body_tags: Option<TagSection>,
}

impl Walker {
    /// A walk through a frame of `frame_bytes` bytes (size field included), from behind its correlation id.
    #[must_use]
    pub fn new(layout: Rc<Layout>, frame_bytes: usize) -> Self {
        let start = if layout.is_request { REQUEST_HEAD_BYTES } else { RESPONSE_HEAD_BYTES };
        Self::within(layout, start..frame_bytes)
    }

    /// A walk through a part of some bytes, for what is embedded.
    #[must_use]
    pub fn within(layout: Rc<Layout>, range: Range<usize>) -> Self {
        let walk = Walk {
            at: range.start,
            end: range.end,
            levels: Vec::with_capacity(LEVELS),
            tag_sizes: Vec::new(),
            body_tags: None,
        };
        let mut walker = Walker { layout, walk };
        walker.enter_message();
        walker
    }

    /// Begins a walk through another frame, with the memory of this one.
    pub(crate) fn restart(&mut self, layout: Rc<Layout>, frame_bytes: usize) {
        self.walk.at = if layout.is_request { REQUEST_HEAD_BYTES } else { RESPONSE_HEAD_BYTES };
        self.walk.end = frame_bytes;
        self.walk.levels.clear();
        self.walk.body_tags = None;
        self.layout = layout;
        self.enter_message();
    }

    /// Forgets what was met, and gives back what memory the frame needed beyond the usual.
    pub(crate) fn forget(&mut self) {
        self.walk.tag_sizes.clear();
        if self.walk.tag_sizes.capacity() > TAG_SIZES {
            self.walk.tag_sizes = Vec::new();
        }
    }

    fn enter_message(&mut self) {
        self.walk.enter(&self.layout, self.layout.body);
        if let Some(header) = self.layout.header {
            self.walk.enter(&self.layout, header);
        }
    }

    /// Offset of the next byte to be walked.
    #[must_use]
    pub fn at(&self) -> usize {
        self.walk.at
    }

    /// Who hears of the end.
    pub(crate) fn end_listeners(&self) -> Listeners {
        self.layout.listeners
    }

    /// Size fields of the known tagged fields met so far, in wire order.
    #[must_use]
    pub fn tag_sizes(&self) -> &[TagSize] {
        &self.walk.tag_sizes
    }

    /// The tag section that ends the body, once met.
    #[must_use]
    pub fn body_tags(&self) -> Option<&TagSection> {
        self.walk.body_tags.as_ref()
    }

    /// True inside a tagged field, whose size an edit changes, and inside an element, which may be left out as a whole.
    pub(crate) fn is_enclosed(&self) -> bool {
        let encloses = |level: &Level| matches!(level, Level::Tagged { .. } | Level::Elements { open: Some(_), .. });
        self.walk.levels.iter().any(encloses)
    }

    /// True when nothing but tag sections follows that nobody wants to hear of: every open array is at its last element, every
    /// open struct behind its last field.
    pub(crate) fn is_at_last_field(&self) -> bool {
        self.walk.levels.iter().all(|level| match level {
            Level::Fields { of, next } => {
                self.layout.fields(*of).is_some_and(|of| *next >= of.fields.end && of.quiet_tags)
            }
            Level::Elements { array, index, open, .. } => {
                open.is_some() && array.count.is_some_and(|count| index.saturating_add(1) >= count)
            }
            Level::Tags { .. } | Level::Tagged { .. } => false,
        })
    }

    /// True between two fields of the body when no record bytes can follow.
    #[must_use]
    pub fn in_trailer(&self) -> bool {
        match self.walk.levels.as_slice() {
            [Level::Fields { of, next }] => self.layout.fields(*of).is_some_and(|of| *next >= of.trailer),
            _ => false,
        }
    }

    /// The next event and who wants to hear of it, or `None` when more bytes must become visible first. Behind [`Event::End`] it
    /// stays there.
    ///
    /// # Errors
    /// `Malformed` when the bytes contradict the tables.
    pub fn next<'a>(&mut self, input: Input<'a>) -> Result<Option<(Listeners, Event<'a>)>, Fault> {
        match self.walk.step(&self.layout, input) {
            Ok(told) => Ok(Some(told)),
            Err(Stop::NeedMore) => Ok(None),
            Err(Stop::Fault(fault)) => Err(fault),
        }
    }
}

impl Walk {
    /// Every arm reads first and changes the state only when the read has succeeded.
    fn step<'a>(&mut self, layout: &Layout, input: Input<'a>) -> Result<(Listeners, Event<'a>), Stop> {
        loop {
            let mut reader = Reader::new(input, self.at, self.end);
            let is_outermost = self.levels.len() == 1;
            let Some(level) = self.levels.last_mut() else {
                if reader.left() > 0 && !layout.is_request {
                    return Err(reader.malformed("bytes behind the last field"));
                }
                return Ok((layout.listeners, Event::End));
            };
            match level {
                Level::Fields { of, next } => {
                    let of = *of;
                    let here =
                        layout.place(*next).filter(|_| layout.fields(of).is_some_and(|of| *next < of.fields.end));
                    let Some(place) = here else {
                        self.end_of_fields(layout, &mut reader, of)?;
                        continue;
                    };
                    let (places, bytes) = place.run;
                    if places > 0 {
                        reader.skip(bytes, place.field.name)?;
                        *next = next.saturating_add(places);
                        self.at = reader.at();
                        continue;
                    }
                    let index = *next;
                    let at = self.levels.len().saturating_sub(1);
                    let event = self.value(layout, &mut reader, index, place)?;
                    if let Some(Level::Fields { next, .. }) = self.levels.get_mut(at) {
                        *next = next.saturating_add(1);
                    }
                    if let Some(event) = event {
                        return Ok((place.listeners, event));
                    }
                }
                Level::Elements { place: index_of, array, index, open } => {
                    let Some(place) = layout.place(*index_of) else { return Err(Fault::Internal("no place").into()) };
                    let event = if let Some(start) = open.take() {
                        *index = index.saturating_add(1);
                        Event::ElementEnd(place.field, start..self.at)
                    } else if array.count == Some(*index) {
                        let array = array.clone();
                        self.levels.pop();
                        Event::ArrayEnd(array)
                    } else if place.field.kind == Kind::Struct {
                        *open = Some(self.at);
                        self.enter(layout, place.inner);
                        Event::Element(place.field, self.at)
                    } else {
                        let value = scalar(&mut reader, place, false)?;
                        *index = index.saturating_add(1);
                        self.at = reader.at();
                        Event::Value(value)
                    };
                    if !place.listeners.is_none() {
                        return Ok((place.listeners, event));
                    }
                }
                Level::Tags { left: 0, .. } => {
                    self.levels.pop();
                }
                Level::Tags { of, left, last } => {
                    let tag = reader.unsigned_varint("tag")?;
                    let size_at = reader.at();
                    let size = reader.unsigned_varint("tag size")? as usize;
                    let value_at = reader.at();
                    reader.skip(size, "tagged field")?;
                    if last.is_some_and(|last| tag <= last) {
                        return Err(reader.malformed("tags must ascend"));
                    }
                    let known = layout.tagged(*of, tag);
                    *left = left.saturating_sub(1);
                    *last = Some(tag);
                    if let (true, Some(tags)) = (is_outermost, &mut self.body_tags) {
                        tags.last = Some(tag);
                    }
                    if known.is_none() {
                        self.at = reader.at();
                        continue;
                    }
                    self.at = value_at;
                    self.tag_sizes.push(TagSize { range: size_at..value_at, end: reader.at() });
                    self.levels.push(Level::Tagged { place: known, outer_end: self.end });
                    self.end = reader.at();
                }
                Level::Tagged { place, outer_end } => {
                    let Some((index, place)) = place.and_then(|index| Some((index, layout.place(index)?))) else {
                        if reader.left() > 0 {
                            return Err(reader.malformed("tagged field shorter than its size"));
                        }
                        self.end = *outer_end;
                        self.levels.pop();
                        continue;
                    };
                    let at = self.levels.len().saturating_sub(1);
                    let event = self.value(layout, &mut reader, index, place)?;
                    if let Some(Level::Tagged { place, .. }) = self.levels.get_mut(at) {
                        *place = None;
                    }
                    if let Some(event) = event {
                        return Ok((place.listeners, event));
                    }
                }
            }
        }
    }

    fn enter(&mut self, layout: &Layout, of: usize) {
        let next = layout.fields(of).map_or(0, |fields| fields.fields.start);
        self.levels.push(Level::Fields { of, next });
    }

    /// Leaves a struct; in flexible versions its tag section comes next.
    fn end_of_fields(&mut self, layout: &Layout, reader: &mut Reader<'_>, of: usize) -> Result<(), Stop> {
        let is_body = self.levels.len() == 1;
        if !layout.flexible {
            self.levels.pop();
            return Ok(());
        }
        let count_at = reader.at();
        let count = reader.unsigned_varint("tag count")?;
        if count as usize > reader.left() {
            return Err(reader.malformed("tag count"));
        }
        if is_body {
            self.body_tags = Some(TagSection { count_range: count_at..reader.at(), count, last: None });
        }
        self.at = reader.at();
        self.levels.pop();
        if count > 0 {
            self.levels.push(Level::Tags { of, left: count, last: None });
        }
        Ok(())
    }

    /// Enters or passes a field's value; what is worth telling is returned.
    fn value<'a>(
        &mut self,
        layout: &Layout,
        reader: &mut Reader<'a>,
        index: usize,
        place: &Place,
    ) -> Result<Option<Event<'a>>, Stop> {
        let field = place.field;
        let silent = place.listeners.is_none();
        if field.array {
            return self.array(layout, reader, index, place);
        }
        match field.kind {
            Kind::Struct => {
                if place.nullable {
                    // KIP-893: a nullable struct is led by -1 (null) or 1.
                    match reader.int8(field.name)? {
                        -1 => {
                            let start = core::mem::replace(&mut self.at, reader.at());
                            return Ok((!silent).then_some(Event::NullStruct(field, start..self.at)));
                        }
                        1 => {}
                        _ => return Err(reader.malformed(field.name)),
                    }
                }
                self.at = reader.at();
                self.enter(layout, place.inner);
                Ok(None)
            }
            Kind::Records => {
                let length = reader.length(place.width, field.name)?;
                if length.is_none() && !place.nullable {
                    return Err(reader.malformed(field.name));
                }
                let start = reader.at();
                reader.skip(length.unwrap_or(0), field.name)?;
                self.at = reader.at();
                Ok(length.map(|_| Event::Records(field, start..self.at)))
            }
            _ => {
                let value = scalar(reader, place, place.nullable)?;
                self.at = reader.at();
                Ok((!silent).then_some(Event::Value(value)))
            }
        }
    }

    fn array<'a>(
        &mut self,
        layout: &Layout,
        reader: &mut Reader<'a>,
        index: usize,
        place: &Place,
    ) -> Result<Option<Event<'a>>, Stop> {
        let silent = place.listeners.is_none();
        let start = reader.at();
        let (count, bytes_least) = skip::array_head(reader, place, layout.flexible)?;
        let width = if layout.flexible { Width::Compact } else { Width::Int32 };
        let (field, holds_records) = (place.field, place.holds_records);
        let array = Array { field, count_range: start..reader.at(), width, count, holds_records };
        if !is_walked(field.kind) {
            reader.skip(bytes_least, field.name)?;
        } else if let Some(count) = count {
            // All at once when it is there; otherwise element by element, so that memory stays bounded.
            let mut ahead = reader.clone();
            let skipped = if silent { skip::elements(&mut ahead, layout, place, count) } else { Err(Stop::NeedMore) };
            match skipped {
                Ok(()) => *reader = ahead,
                Err(Stop::NeedMore) => {
                    self.levels.push(Level::Elements { place: index, array: array.clone(), index: 0, open: None });
                }
                Err(fault) => return Err(fault),
            }
        }
        self.at = reader.at();
        Ok((!silent).then_some(Event::Array(array)))
    }
}

/// True when `field` or a field below it exists in `version` and satisfies `wanted`.
pub fn holds(field: &Field, version: i16, wanted: &dyn Fn(&Field) -> bool) -> bool {
    field.versions.contains(version)
        && (wanted(field) || field.fields.iter().any(|inner| holds(inner, version, wanted)))
}

fn scalar<'a>(reader: &mut Reader<'a>, place: &Place, nullable: bool) -> Result<Value<'a>, Stop> {
    let field = place.field;
    let start = reader.at();
    let bytes = match place.size {
        Some(size) => Some(reader.take(size, field.name)?),
        None => match reader.length(place.width, field.name)? {
            Some(length) => Some(reader.take(length, field.name)?),
            None if nullable => None,
            None => return Err(reader.malformed(field.name)),
        },
    };
    Ok(Value { field, range: start..reader.at(), width: place.width, bytes })
}
