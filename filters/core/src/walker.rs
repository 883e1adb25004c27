//! Interprets the protocol tables over the live bytes of a frame and reports what it meets, with ranges.
//!
//! The walker is resumable at every field: [`Walker::next`] gives `None` when the next field is not wholly visible and
//! goes on there when it is called with more bytes. Record bytes are reported by range and passed over unseen, so a
//! frame of any size is walked in constant memory.
//!
//! A count or length is compared with the bytes that are left before it is believed. Nothing is reserved.

use core::ops::Range;
use std::rc::Rc;

use crate::fault::Fault;
use crate::protocol::{Api, ApiKey, Entity, Field, Kind, VersionRange};
use crate::reader::{Input, Reader, Stop, Width};

/// Bytes of a frame's size field.
pub const SIZE_BYTES: usize = 4;
/// Bytes of size, API key, version and correlation id: where a request's ClientId begins.
pub const REQUEST_HEAD_BYTES: usize = 12;
/// Bytes of size and correlation id: where the rest of a response begins.
pub const RESPONSE_HEAD_BYTES: usize = 8;

/// Levels of structs, arrays and tags in the deepest message that is common.
const LEVELS: usize = 8;

/// What a request header holds behind the correlation id (versions 1 and 2; 2 adds a tag section).
/// Source: RequestHeader.json. The ClientId keeps its int16 length in flexible versions.
static REQUEST_HEADER: &[Field] = &[Field {
    name: "ClientId",
    kind: Kind::String,
    array: false,
    versions: VersionRange::new(0, i16::MAX),
    nullable: VersionRange::new(0, i16::MAX),
    tagged: VersionRange::NONE,
    tag: 0,
    entity: Entity::None,
    fields: &[],
}];

/// Fields of one message that nobody wants to hear of; nothing in them is wanted either.
#[derive(Clone, Debug, Default)]
pub struct Silence(Rc<[usize]>);

impl Silence {
    /// The fields of a body that are not `wanted`, which is asked with the list that the field is in. Record bytes and `Acks` are
    /// always told, a session needs them.
    #[must_use]
    pub fn of(body: &'static [Field], wanted: &dyn Fn(&'static [Field], &'static Field) -> bool) -> Self {
        fn loud(
            siblings: &'static [Field],
            field: &'static Field,
            wanted: &dyn Fn(&'static [Field], &'static Field) -> bool,
            silent: &mut Vec<usize>,
        ) -> bool {
            let mut is_loud = wanted(siblings, field) || field.kind == Kind::Records || field.name == "Acks";
            for inner in field.fields {
                is_loud |= loud(field.fields, inner, wanted, silent);
            }
            if !is_loud {
                silent.push(core::ptr::from_ref(field).addr());
            }
            is_loud
        }
        let mut silent = Vec::new();
        for field in body {
            loud(body, field, wanted, &mut silent);
        }
        silent.sort_unstable();
        silent.dedup();
        Silence(silent.into())
    }

    fn holds(&self, field: &'static Field) -> bool {
        self.0.binary_search(&core::ptr::from_ref(field).addr()).is_ok()
    }
}

/// One thing met on the way. Offsets count from the frame's size field.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A scalar, string or byte field, or one element of an array of those.
    Value(Value<'a>),
    /// An array begins.
    Array(Array),
    /// A struct element of the innermost array begins at this offset.
    Element(&'static Field, usize),
    /// A struct element of the innermost array lies in this range.
    ElementEnd(&'static Field, Range<usize>),
    /// All elements of an array have been walked; see [`Array::has_end`].
    ArrayEnd(Array),
    /// A struct that may be null is; its marker lies in this range.
    NullStruct(&'static Field, Range<usize>),
    /// Record bytes lie in this range, which may go on beyond what is visible. Null records have no event.
    Records(&'static Field, Range<usize>),
    /// The frame is complete and well formed. Bytes behind the last field of a request are left alone.
    End,
}

/// A field's value.
#[derive(Clone, Debug)]
pub struct Value<'a> {
    /// The field, or the array field whose element this is.
    pub field: &'static Field,
    /// Where it lies, length prefix included.
    pub range: Range<usize>,
    /// How its length is written; meaningless for fixed-size types.
    pub width: Width,
    /// Its bytes without the length prefix; `None` is null.
    pub bytes: Option<&'a [u8]>,
}

impl Value<'_> {
    /// The value as text, when it is not null and UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        core::str::from_utf8(self.bytes?).ok()
    }

    /// The value as a number, when it is an int8, int16, int32 or int64.
    #[must_use]
    pub fn number(&self) -> Option<i64> {
        match *self.bytes? {
            [a] => Some(i64::from(i8::from_be_bytes([a]))),
            [a, b] => Some(i64::from(i16::from_be_bytes([a, b]))),
            [a, b, c, d] => Some(i64::from(i32::from_be_bytes([a, b, c, d]))),
            [a, b, c, d, e, f, g, h] => Some(i64::from_be_bytes([a, b, c, d, e, f, g, h])),
            _ => None,
        }
    }
}

/// An array's head.
#[derive(Clone, Debug)]
pub struct Array {
    /// The array field.
    pub field: &'static Field,
    /// Where the count lies.
    pub count_range: Range<usize>,
    /// How the count is written.
    pub width: Width,
    /// Number of elements; `None` is null.
    pub count: Option<u32>,
}

impl Array {
    /// Whether [`Event::ArrayEnd`] follows: not for null arrays and arrays of plain numbers.
    #[must_use]
    pub fn has_end(&self) -> bool {
        self.count.is_some() && is_walked(self.field.kind)
    }
}

/// Size field of a known tagged field, which an edit inside must patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagSize {
    /// Where the size lies.
    pub range: Range<usize>,
    /// Where the tagged value ends; it begins at `range.end`.
    pub end: usize,
}

/// The tag section that ends the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagSection {
    /// Where its count lies.
    pub count_range: Range<usize>,
    /// Number of tagged fields.
    pub count: u32,
    /// Highest tag met so far.
    pub last: Option<u32>,
}

#[derive(Debug)]
enum Level {
    /// The fields of a struct, from `next` on.
    Fields { fields: &'static [Field], next: usize },
    /// The elements of an array, from `index` on. `open`: a struct element began at this offset. `silent`: nobody is told.
    Elements { array: Array, index: u32, open: Option<usize>, silent: bool },
    /// A tag section.
    Tags { fields: &'static [Field], left: u32, last: Option<u32> },
    /// A known tagged field, which must end at `self.end`; around it the end is `outer_end`.
    Tagged { value: Option<&'static Field>, outer_end: usize },
}

/// A walk through one frame.
#[derive(Debug)]
pub struct Walker {
    version: i16,
    flexible: bool,
    /// Brokers pay no heed to what lies behind the last field of a request, and librdkafka (2.16, Metadata for all topics)
    /// sends three such bytes.
    is_request: bool,
    /// In the request header, whose string is never compact.
    in_header: bool,
    at: usize,
    end: usize,
    levels: Vec<Level>,
    tag_sizes: Vec<TagSize>,
    body_tags: Option<TagSection>,
    silence: Silence,
}

impl Walker {
    /// A walk through a request frame of `frame_bytes` bytes (size field included), from its ClientId on.
    #[must_use]
    pub fn request(api: &'static Api, version: i16, frame_bytes: usize) -> Self {
        let flexible = api.flexible.contains(version);
        let mut walker = Self::new(version, flexible, REQUEST_HEAD_BYTES..frame_bytes, api.request);
        walker.is_request = true;
        walker.in_header = true;
        walker.levels.push(Level::Fields { fields: REQUEST_HEADER, next: 0 });
        walker
    }

    /// A walk through a response frame of `frame_bytes` bytes (size field included), from behind its correlation id.
    #[must_use]
    pub fn response(api: &'static Api, version: i16, frame_bytes: usize) -> Self {
        let flexible = api.flexible.contains(version);
        let mut walker = Self::new(version, flexible, RESPONSE_HEAD_BYTES..frame_bytes, api.response);
        // ApiVersions answers have header version 0 in every version (KIP-511).
        if walker.flexible && api.key != ApiKey::API_VERSIONS {
            walker.levels.push(Level::Fields { fields: &[], next: 0 });
        }
        walker
    }

    /// A walk through a struct that lies inside a bytes field, as in the consumer protocol; never flexible. What follows its
    /// last field is left alone, because newer versions add fields at the end.
    #[must_use]
    pub fn embedded(fields: &'static [Field], version: i16, range: Range<usize>) -> Self {
        let mut walker = Self::new(version, false, range, fields);
        walker.is_request = true;
        walker
    }

    fn new(version: i16, flexible: bool, range: Range<usize>, body: &'static [Field]) -> Self {
        // Room for the deepest message, so that it need not grow on the way.
        let mut levels = Vec::with_capacity(LEVELS);
        levels.push(Level::Fields { fields: body, next: 0 });
        Walker {
            version,
            flexible,
            is_request: false,
            in_header: false,
            at: range.start,
            end: range.end,
            levels,
            tag_sizes: Vec::new(),
            body_tags: None,
            silence: Silence::default(),
        }
    }

    /// The same walk, which checks but does not tell of these fields.
    #[must_use]
    pub fn silenced(mut self, silence: Silence) -> Self {
        self.silence = silence;
        self
    }

    /// Offset of the next byte to be walked.
    #[must_use]
    pub fn at(&self) -> usize {
        self.at
    }

    /// Size fields of the known tagged fields met so far, in wire order.
    #[must_use]
    pub fn tag_sizes(&self) -> &[TagSize] {
        &self.tag_sizes
    }

    /// The tag section that ends the body, once met.
    #[must_use]
    pub fn body_tags(&self) -> Option<&TagSection> {
        self.body_tags.as_ref()
    }

    /// True inside a tagged field, whose size an edit changes, and inside an element, which may be left out as a whole.
    pub(crate) fn is_enclosed(&self) -> bool {
        self.levels.iter().any(|level| matches!(level, Level::Tagged { .. } | Level::Elements { open: Some(_), .. }))
    }

    /// True when nothing but tag sections follows that nobody wants to hear of: every open array is at its last element, every
    /// open struct behind its last field.
    pub(crate) fn is_at_last_field(&self) -> bool {
        let here = |field: &Field| field.versions.contains(self.version);
        let is_tagged = |field: &Field| field.tagged.contains(self.version);
        self.levels.iter().all(|level| match level {
            Level::Fields { fields, next } => {
                !fields.iter().skip(*next).any(|field| here(field) && !is_tagged(field))
                    && !fields.iter().any(|field| here(field) && is_tagged(field) && !self.silence.holds(field))
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
        match self.levels.as_slice() {
            [Level::Fields { fields, next }] => {
                !fields.iter().skip(*next).any(|field| holds(field, self.version, &|f| f.kind == Kind::Records))
            }
            _ => false,
        }
    }

    /// The next event, or `None` when more bytes must become visible first. Behind [`Event::End`] it stays there.
    ///
    /// # Errors
    /// `Malformed` when the bytes contradict the tables.
    pub fn next<'a>(&mut self, input: Input<'a>) -> Result<Option<Event<'a>>, Fault> {
        match self.step(input) {
            Ok(event) => Ok(Some(event)),
            Err(Stop::NeedMore) => Ok(None),
            Err(Stop::Fault(fault)) => Err(fault),
        }
    }

    /// Every arm reads first and changes the state only when the read has succeeded.
    fn step<'a>(&mut self, input: Input<'a>) -> Result<Event<'a>, Stop> {
        loop {
            let mut reader = Reader::new(input, self.at, self.end);
            let is_outermost = self.levels.len() == 1;
            let Some(level) = self.levels.last_mut() else {
                if reader.left() > 0 && !self.is_request {
                    return Err(reader.malformed("bytes behind the last field"));
                }
                return Ok(Event::End);
            };
            match level {
                Level::Fields { fields, next } => {
                    let fields: &'static [Field] = fields;
                    let Some(field) = fields.get(*next) else {
                        self.end_of_fields(&mut reader, fields)?;
                        continue;
                    };
                    if !field.versions.contains(self.version) || field.tagged.contains(self.version) {
                        *next = next.saturating_add(1);
                        continue;
                    }
                    let at = self.levels.len().saturating_sub(1);
                    let event = self.value(&mut reader, field)?;
                    if let Some(Level::Fields { next, .. }) = self.levels.get_mut(at) {
                        *next = next.saturating_add(1);
                    }
                    if let Some(event) = event {
                        return Ok(event);
                    }
                }
                Level::Elements { array, index, open, silent } => {
                    let (field, silent) = (array.field, *silent);
                    let event = if let Some(start) = open.take() {
                        *index = index.saturating_add(1);
                        Event::ElementEnd(field, start..self.at)
                    } else if array.count == Some(*index) {
                        let array = array.clone();
                        self.levels.pop();
                        Event::ArrayEnd(array)
                    } else if field.kind == Kind::Struct {
                        *open = Some(self.at);
                        self.levels.push(Level::Fields { fields: field.fields, next: 0 });
                        Event::Element(field, self.at)
                    } else {
                        let width = string_width(field, self.flexible);
                        let value = scalar(&mut reader, field, width, false)?;
                        *index = index.saturating_add(1);
                        self.at = reader.at();
                        Event::Value(value)
                    };
                    if !silent {
                        return Ok(event);
                    }
                }
                Level::Tags { left: 0, .. } => {
                    self.levels.pop();
                }
                Level::Tags { fields, left, last } => {
                    let tag = reader.unsigned_varint("tag")?;
                    let size_at = reader.at();
                    let size = reader.unsigned_varint("tag size")? as usize;
                    let value_at = reader.at();
                    reader.skip(size, "tagged field")?;
                    if last.is_some_and(|last| tag <= last) {
                        return Err(reader.malformed("tags must ascend"));
                    }
                    let known = fields.iter().find(|f| f.tag == tag && f.tagged.contains(self.version));
                    *left = left.saturating_sub(1);
                    *last = Some(tag);
                    if let (true, Some(tags)) = (is_outermost, &mut self.body_tags) {
                        tags.last = Some(tag);
                    }
                    let Some(field) = known else {
                        self.at = reader.at();
                        continue;
                    };
                    self.at = value_at;
                    self.tag_sizes.push(TagSize { range: size_at..value_at, end: reader.at() });
                    self.levels.push(Level::Tagged { value: Some(field), outer_end: self.end });
                    self.end = reader.at();
                }
                Level::Tagged { value, outer_end } => {
                    let Some(field) = *value else {
                        if reader.left() > 0 {
                            return Err(reader.malformed("tagged field shorter than its size"));
                        }
                        self.end = *outer_end;
                        self.levels.pop();
                        continue;
                    };
                    let at = self.levels.len().saturating_sub(1);
                    let event = self.value(&mut reader, field)?;
                    if let Some(Level::Tagged { value, .. }) = self.levels.get_mut(at) {
                        *value = None;
                    }
                    if let Some(event) = event {
                        return Ok(event);
                    }
                }
            }
        }
    }

    /// Leaves a struct; in flexible versions its tag section comes next.
    fn end_of_fields(&mut self, reader: &mut Reader<'_>, fields: &'static [Field]) -> Result<(), Stop> {
        let is_body = self.levels.len() == 1;
        if self.flexible {
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
                self.levels.push(Level::Tags { fields, left: count, last: None });
            }
        } else {
            self.levels.pop();
        }
        self.in_header = false;
        Ok(())
    }

    /// Enters or passes a field's value; what is worth telling is returned.
    fn value<'a>(&mut self, reader: &mut Reader<'a>, field: &'static Field) -> Result<Option<Event<'a>>, Stop> {
        let nullable = field.nullable.contains(self.version);
        let flexible = self.flexible && !self.in_header;
        let silent = self.silence.holds(field);
        if field.array {
            return self.array(reader, field, nullable, silent);
        }
        match field.kind {
            Kind::Struct => {
                if nullable {
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
                self.levels.push(Level::Fields { fields: field.fields, next: 0 });
                Ok(None)
            }
            Kind::Records => {
                let width = if flexible { Width::Compact } else { Width::Int32 };
                let length = reader.length(width, field.name)?;
                if length.is_none() && !nullable {
                    return Err(reader.malformed(field.name));
                }
                let start = reader.at();
                reader.skip(length.unwrap_or(0), field.name)?;
                self.at = reader.at();
                Ok(length.map(|_| Event::Records(field, start..self.at)))
            }
            _ => {
                let value = scalar(reader, field, string_width(field, flexible), nullable)?;
                self.at = reader.at();
                Ok((!silent).then_some(Event::Value(value)))
            }
        }
    }

    fn array<'a>(
        &mut self,
        reader: &mut Reader<'a>,
        field: &'static Field,
        nullable: bool,
        silent: bool,
    ) -> Result<Option<Event<'a>>, Stop> {
        let start = reader.at();
        let (length, bytes_least) = array_head(reader, field, self.flexible)?;
        if length.is_none() && !nullable {
            return Err(reader.malformed(field.name));
        }
        let width = if self.flexible { Width::Compact } else { Width::Int32 };
        let array = Array { field, count_range: start..reader.at(), width, count: length };
        if !is_walked(field.kind) {
            reader.skip(bytes_least, field.name)?;
        } else if let Some(count) = length {
            // All at once when it is there; otherwise element by element, so that memory stays bounded.
            let mut ahead = reader.clone();
            match if silent {
                skip_elements(&mut ahead, field, count, self.version, self.flexible)
            } else {
                Err(Stop::NeedMore)
            } {
                Ok(()) => *reader = ahead,
                Err(Stop::NeedMore) => {
                    self.levels.push(Level::Elements { array: array.clone(), index: 0, open: None, silent });
                }
                Err(fault) => return Err(fault),
            }
        }
        self.at = reader.at();
        Ok((!silent).then_some(Event::Array(array)))
    }
}

/// Number of elements, `None` for null, and how many bytes they take at least, which are there.
fn array_head(reader: &mut Reader<'_>, field: &'static Field, flexible: bool) -> Result<(Option<u32>, usize), Stop> {
    let length = reader.length(if flexible { Width::Compact } else { Width::Int32 }, field.name)?;
    let count = length.unwrap_or(0);
    // Every element takes at least one byte, so this also bounds the loop over the elements.
    let bytes_least = count.checked_mul(fixed_size(field.kind).unwrap_or(1));
    let bytes_least =
        bytes_least.filter(|bytes| *bytes <= reader.left()).ok_or_else(|| reader.malformed(field.name))?;
    let count = u32::try_from(count).map_err(|_| reader.malformed(field.name))?;
    Ok((length.map(|_| count), bytes_least))
}

/// Passes the elements of an array that nobody wants to hear of.
fn skip_elements(
    reader: &mut Reader<'_>,
    field: &'static Field,
    count: u32,
    version: i16,
    flexible: bool,
) -> Result<(), Stop> {
    if let Some(size) = fixed_size(field.kind) {
        // Checked when the count was read.
        return reader.skip((count as usize).saturating_mul(size), field.name);
    }
    for _ in 0..count {
        if field.kind == Kind::Struct {
            skip_fields(reader, field.fields, version, flexible)?;
        } else {
            let length = reader.length(string_width(field, flexible), field.name)?;
            reader.skip(length.ok_or_else(|| reader.malformed(field.name))?, field.name)?;
        }
    }
    Ok(())
}

fn skip_fields(reader: &mut Reader<'_>, fields: &'static [Field], version: i16, flexible: bool) -> Result<(), Stop> {
    // Fields of fixed size that follow each other are passed together.
    let mut fixed = 0usize;
    for field in fields {
        if !field.versions.contains(version) || field.tagged.contains(version) {
            continue;
        }
        match fixed_size(field.kind).filter(|_| !field.array) {
            Some(size) => fixed = fixed.saturating_add(size),
            None => {
                reader.skip(core::mem::take(&mut fixed), field.name)?;
                skip_field(reader, field, version, flexible)?;
            }
        }
    }
    reader.skip(fixed, "fields of fixed size")?;
    if flexible {
        let mut last = None;
        for _ in 0..reader.unsigned_varint("tag count")? {
            let tag = reader.unsigned_varint("tag")?;
            let size = reader.unsigned_varint("tag size")? as usize;
            reader.skip(size, "tagged field")?;
            if last.is_some_and(|last| tag <= last) {
                return Err(reader.malformed("tags must ascend"));
            }
            last = Some(tag);
        }
    }
    Ok(())
}

fn skip_field(reader: &mut Reader<'_>, field: &'static Field, version: i16, flexible: bool) -> Result<(), Stop> {
    let nullable = field.nullable.contains(version);
    if field.array {
        let (count, bytes_least) = array_head(reader, field, flexible)?;
        return match count {
            None if !nullable => Err(reader.malformed(field.name)),
            None => Ok(()),
            Some(_) if !is_walked(field.kind) => reader.skip(bytes_least, field.name),
            Some(count) => skip_elements(reader, field, count, version, flexible),
        };
    }
    match field.kind {
        Kind::Struct => {
            let marker = if nullable { reader.int8(field.name)? } else { 1 };
            match marker {
                -1 => Ok(()),
                1 => skip_fields(reader, field.fields, version, flexible),
                _ => Err(reader.malformed(field.name)),
            }
        }
        _ => match fixed_size(field.kind) {
            Some(size) => reader.skip(size, field.name),
            None => match reader.length(string_width(field, flexible), field.name)? {
                Some(length) => reader.skip(length, field.name),
                None if nullable => Ok(()),
                None => Err(reader.malformed(field.name)),
            },
        },
    }
}

/// Whether the elements of an array of this type are reported: plain numbers are not, nobody edits them one by one.
const fn is_walked(kind: Kind) -> bool {
    fixed_size(kind).is_none() || matches!(kind, Kind::Uuid)
}

/// True when `field` or a field below it exists in `version` and satisfies `wanted`.
pub fn holds(field: &Field, version: i16, wanted: &dyn Fn(&Field) -> bool) -> bool {
    field.versions.contains(version)
        && (wanted(field) || field.fields.iter().any(|inner| holds(inner, version, wanted)))
}

/// Bytes of a fixed-size type.
const fn fixed_size(kind: Kind) -> Option<usize> {
    match kind {
        Kind::Bool | Kind::Int8 => Some(1),
        Kind::Int16 | Kind::Uint16 => Some(2),
        Kind::Int32 | Kind::Uint32 => Some(4),
        Kind::Int64 | Kind::Float64 => Some(8),
        Kind::Uuid => Some(16),
        Kind::String | Kind::Bytes | Kind::Records | Kind::Struct => None,
    }
}

fn string_width(field: &Field, flexible: bool) -> Width {
    match field.kind {
        _ if flexible => Width::Compact,
        Kind::String => Width::Int16,
        _ => Width::Int32,
    }
}

fn scalar<'a>(reader: &mut Reader<'a>, field: &'static Field, width: Width, nullable: bool) -> Result<Value<'a>, Stop> {
    let start = reader.at();
    let bytes = match fixed_size(field.kind) {
        Some(size) => Some(reader.take(size, field.name)?),
        None => match reader.length(width, field.name)? {
            Some(length) => Some(reader.take(length, field.name)?),
            None if nullable => None,
            None => return Err(reader.malformed(field.name)),
        },
    };
    Ok(Value { field, range: start..reader.at(), width, bytes })
}
