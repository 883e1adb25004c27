//! Changing a string field without copying what stays of it.

use core::ops::Range;

use bifrost_core::edits::{Edits, Replacement};
use bifrost_core::fault::Fault;
use bifrost_core::reader::{Width, put_length, put_padded_length, string_bytes};
use bifrost_core::walker::Value;

use crate::names::{Change, Names};

/// Where a string lies.
#[derive(Clone, Debug)]
pub(crate) struct StringField {
    name: &'static str,
    range: Range<usize>,
    width: Width,
    /// Without the length before it.
    bytes: usize,
}

impl StringField {
    /// `None` when the value is null.
    pub(crate) fn of(value: &Value<'_>) -> Option<StringField> {
        let bytes = value.bytes?.len();
        Some(StringField { name: value.field.name, range: value.range.clone(), width: value.width, bytes })
    }

    /// Where a string could be and none is.
    pub(crate) fn of_null(value: &Value<'_>) -> StringField {
        StringField { name: value.field.name, range: value.range.clone(), width: value.width, bytes: 0 }
    }

    /// The edit that makes the change; its length is written as short as it can be.
    pub(crate) fn changed(&self, change: &Change<'_>) -> Result<(Range<usize>, Replacement), Fault> {
        self.edit(change, |out, length| put_length(out, self.width, length))
    }

    fn edit(
        &self,
        change: &Change<'_>,
        put_length: impl Fn(&mut Replacement, usize) -> Result<(), Fault>,
    ) -> Result<(Range<usize>, Replacement), Fault> {
        if !Names::fits(self.bytes, change) {
            return Err(Fault::Malformed { field: self.name, at: self.range.start });
        }
        let length = self.bytes.saturating_sub(change.cut).saturating_add(change.put.len());
        let mut bytes = Replacement::with_capacity(change.put.len().saturating_add(5));
        put_length(&mut bytes, length)?;
        bytes.extend_from_slice(change.put.as_bytes());
        let stays = self.range.end.saturating_sub(self.bytes.saturating_sub(change.cut));
        Ok((self.range.start..stays, bytes))
    }

    /// Makes the change unless it is none.
    pub(crate) fn change(&self, change: &Change<'_>, edits: &mut Edits) -> Result<(), Fault> {
        if *change != Change::NONE {
            let (range, bytes) = self.changed(change)?;
            edits.replace(range, bytes);
        }
        Ok(())
    }

    /// Makes the change in a message that streams: a compact length takes `more_length_bytes` more than now, so that every name
    /// grows by the same number of bytes.
    pub(crate) fn change_in_stream(
        &self,
        change: &Change<'_>,
        more_length_bytes: usize,
        edits: &mut Edits,
    ) -> Result<(), Fault> {
        if *change == Change::NONE {
            return Ok(());
        }
        let length_bytes = self.range.len().saturating_sub(self.bytes).saturating_add(more_length_bytes);
        let (range, bytes) = self.edit(change, |out, length| match self.width {
            Width::Compact => put_padded_length(out, length_bytes, length),
            width => put_length(out, width, length),
        })?;
        edits.replace(range, bytes);
        Ok(())
    }

    /// Puts this text, or null, in its place.
    pub(crate) fn set(&self, text: Option<&str>, edits: &mut Edits) -> Result<(), Fault> {
        let bytes = match (text, self.width) {
            (Some(text), width) => string_bytes(width, text)?,
            (None, Width::Compact) => vec![0],
            (None, Width::Int16) => vec![0xff; 2],
            (None, Width::Int32) => vec![0xff; 4],
        };
        edits.replace(self.range.clone(), bytes);
        Ok(())
    }

    /// Puts this text in its place, cut or filled up with spaces to the length that is there.
    pub(crate) fn overwrite(&self, text: &str, edits: &mut Edits) {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(self.bytes, b' ');
        edits.replace(self.range.end.saturating_sub(self.bytes)..self.range.end, bytes);
    }

    pub(crate) fn range(&self) -> &Range<usize> {
        &self.range
    }
}
