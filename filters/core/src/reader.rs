//! Bounds-checked reading of Kafka's primitive types from a part of a frame.

use crate::fault::Fault;

/// Why a read gave nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The frame goes on, but its bytes are not visible yet.
    NeedMore,
    /// The bytes are wrong.
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Fault(fault)
    }
}

/// The visible part of a frame. Offsets count from the frame's size field.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Visible bytes.
    pub bytes: &'a [u8],
    /// Offset in the frame of the first visible byte.
    pub base: usize,
}

/// A cursor over [`Input`] that may not pass `end`.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    input: Input<'a>,
    at: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(input: Input<'a>, at: usize, end: usize) -> Self {
        Reader { input, at, end }
    }

    /// Offset of the next byte.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Bytes up to the end, visible or not.
    pub(crate) fn left(&self) -> usize {
        self.end.saturating_sub(self.at)
    }

    pub(crate) fn malformed(&self, field: &'static str) -> Stop {
        Stop::Fault(Fault::Malformed { field, at: self.at })
    }

    /// The next `n` bytes.
    pub(crate) fn take(&mut self, n: usize, field: &'static str) -> Result<&'a [u8], Stop> {
        if n > self.left() {
            return Err(self.malformed(field));
        }
        let start = self.at.checked_sub(self.input.base).ok_or(Fault::Internal("reader before its input"))?;
        let stop = start.saturating_add(n);
        let bytes = self.input.bytes.get(start..stop).ok_or(Stop::NeedMore)?;
        self.at = self.at.saturating_add(n);
        Ok(bytes)
    }

    /// Passes `n` bytes without looking at them; they need not be visible.
    pub(crate) fn skip(&mut self, n: usize, field: &'static str) -> Result<(), Stop> {
        if n > self.left() {
            return Err(self.malformed(field));
        }
        self.at = self.at.saturating_add(n);
        Ok(())
    }

    pub(crate) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Stop> {
        let bytes = self.take(N, field)?;
        <[u8; N]>::try_from(bytes).map_err(|_| Fault::Internal("take gave another length").into())
    }

    pub(crate) fn int8(&mut self, field: &'static str) -> Result<i8, Stop> {
        Ok(i8::from_be_bytes(self.array(field)?))
    }

    pub(crate) fn int16(&mut self, field: &'static str) -> Result<i16, Stop> {
        Ok(i16::from_be_bytes(self.array(field)?))
    }

    pub(crate) fn int32(&mut self, field: &'static str) -> Result<i32, Stop> {
        Ok(i32::from_be_bytes(self.array(field)?))
    }

    /// UNSIGNED_VARINT: seven bits a byte, low bits first, at most five bytes (KIP-482). Forms longer than
    /// needed are legal, as in Kafka's own decoder.
    pub(crate) fn unsigned_varint(&mut self, field: &'static str) -> Result<u32, Stop> {
        // Most are one byte.
        let first = self.at.checked_sub(self.input.base).and_then(|at| self.input.bytes.get(at));
        if let Some(byte) = first.filter(|byte| **byte < 0x80 && self.at < self.end) {
            self.at = self.at.saturating_add(1);
            return Ok(u32::from(*byte));
        }
        let mut value = 0u32;
        for shift in [0u32, 7, 14, 21, 28] {
            let [byte] = self.array(field)?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0x0f {
                return Err(self.malformed(field));
            }
            value |= bits.wrapping_shl(shift);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.malformed(field))
    }

    /// Length of a string (int16) or of bytes, records and arrays (int32); compact: varint of length + 1.
    /// `None` is null.
    pub(crate) fn length(&mut self, width: Width, field: &'static str) -> Result<Option<usize>, Stop> {
        let length = match width {
            Width::Compact => return Ok(self.unsigned_varint(field)?.checked_sub(1).map(|n| n as usize)),
            Width::Int16 => i32::from(self.int16(field)?),
            Width::Int32 => self.int32(field)?,
        };
        match length {
            -1 => Ok(None),
            n => usize::try_from(n).map(Some).map_err(|_| self.malformed(field)),
        }
    }
}

/// How a length is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Unsigned varint of length + 1; 0 is null.
    Compact,
    /// int16; -1 is null.
    Int16,
    /// int32; -1 is null.
    Int32,
}

/// Appends `value` as UNSIGNED_VARINT in the shortest form.
pub fn put_unsigned_varint(out: &mut impl Extend<u8>, mut value: u32) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return out.extend([low & 0x7f]);
        }
        out.extend([low | 0x80]);
    }
}

/// Appends a length or count as `width` demands. Lengths that the width cannot hold are an error.
///
/// # Errors
/// `Internal` when the length does not fit.
pub fn put_length(out: &mut impl Extend<u8>, width: Width, length: usize) -> Result<(), Fault> {
    const TOO_LONG: Fault = Fault::Internal("length does not fit its field");
    match width {
        Width::Compact => {
            let length = u32::try_from(length).map_err(|_| TOO_LONG)?;
            put_unsigned_varint(out, length.checked_add(1).ok_or(TOO_LONG)?);
        }
        Width::Int16 => out.extend(i16::try_from(length).map_err(|_| TOO_LONG)?.to_be_bytes()),
        Width::Int32 => out.extend(i32::try_from(length).map_err(|_| TOO_LONG)?.to_be_bytes()),
    }
    Ok(())
}

/// `text` as a string field: length, then bytes.
///
/// # Errors
/// `Internal` when the text is too long for the width.
pub fn string_bytes(width: Width, text: &str) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::with_capacity(text.len().saturating_add(5));
    put_length(&mut out, width, text.len())?;
    out.extend_from_slice(text.as_bytes());
    Ok(out)
}

/// Appends the length of a compact string in exactly `length_bytes` bytes, more than needed if it must be (1 to 5; decoders take
/// that). For edits whose size has to be known before the string is.
///
/// # Errors
/// `Internal` when the length does not fit.
pub fn put_padded_length(out: &mut impl Extend<u8>, length_bytes: usize, length: usize) -> Result<(), Fault> {
    const TOO_LONG: Fault = Fault::Internal("length does not fit its field");
    let mut length = length.checked_add(1).and_then(|length| u32::try_from(length).ok()).ok_or(TOO_LONG)?;
    for left in (0..length_bytes).rev() {
        let [low, ..] = length.to_le_bytes();
        out.extend([if left > 0 { low | 0x80 } else { low & 0x7f }]);
        length >>= 7;
    }
    if length > 0 || length_bytes > 5 { Err(TOO_LONG) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bytes: &[u8], end: usize) -> Reader<'_> {
        Reader::new(Input { bytes, base: 0 }, 0, end)
    }

    #[test]
    fn bytes_past_the_visible_part_are_needed_and_past_the_end_are_malformed() {
        assert_eq!(reader(&[0], 4).int16("x"), Err(Stop::NeedMore));
        assert_eq!(reader(&[0], 1).int16("x"), Err(Stop::Fault(Fault::Malformed { field: "x", at: 0 })));
    }

    #[test]
    fn varint_round_trips_and_takes_padded_forms() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u32::MAX >> 4, u32::MAX] {
            let mut bytes = Vec::new();
            put_unsigned_varint(&mut bytes, value);
            assert_eq!(reader(&bytes, bytes.len()).unsigned_varint("x"), Ok(value));
        }
        assert_eq!(reader(&[0x81, 0x80, 0x00], 3).unsigned_varint("x"), Ok(1));
    }

    #[test]
    fn varint_beyond_32_bits_is_malformed() {
        let bytes = [0xff, 0xff, 0xff, 0xff, 0x1f];
        assert!(matches!(reader(&bytes, 5).unsigned_varint("x"), Err(Stop::Fault(_))));
        let bytes = [0xff; 6];
        assert!(matches!(reader(&bytes, 6).unsigned_varint("x"), Err(Stop::Fault(_))));
    }

    #[test]
    fn lengths_are_null_at_minus_one_and_malformed_below() {
        assert_eq!(reader(&[0xff, 0xff], 2).length(Width::Int16, "x"), Ok(None));
        assert_eq!(reader(&[0], 1).length(Width::Compact, "x"), Ok(None));
        assert!(matches!(reader(&[0xff, 0xfe], 2).length(Width::Int16, "x"), Err(Stop::Fault(_))));
    }

    #[test]
    fn a_padded_length_is_read_like_the_shortest_one() {
        for (length_bytes, text) in [(1, "ab"), (2, "ab"), (5, "ab"), (2, &*"x".repeat(500))] {
            let mut bytes = Vec::new();
            put_padded_length(&mut bytes, length_bytes, text.len()).unwrap();
            assert_eq!(bytes.len(), length_bytes);
            assert_eq!(reader(&bytes, bytes.len()).length(Width::Compact, "x"), Ok(Some(text.len())));
        }
        assert!(put_padded_length(&mut Vec::new(), 1, 127).is_err());
        assert!(put_padded_length(&mut Vec::new(), 6, 1).is_err());
    }

    #[test]
    fn a_string_too_long_for_int16_is_refused_not_wrapped() {
        let text = "x".repeat(40_000);
        assert!(string_bytes(Width::Int16, &text).is_err());
        assert!(string_bytes(Width::Compact, &text).is_ok());
    }
}
