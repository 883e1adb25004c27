//! What a walk meets.

use core::ops::Range;

use crate::protocol::Field;
use crate::reader::Width;

use super::layout::is_walked;

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
    /// Record bytes lie in its elements.
    pub holds_records: bool,
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
