//! Passes over what nobody wants to hear of: checked like everything else, but without events, which is several times as fast.

use crate::reader::{Reader, Stop, Width};

use super::layout::{Layout, Place, is_walked};

/// Number of elements, `None` for null, and how many bytes they take at least, which are there.
pub(super) fn array_head(reader: &mut Reader<'_>, place: &Place, flexible: bool) -> Result<(Option<u32>, usize), Stop> {
    let name = place.field.name;
    let length = reader.length(if flexible { Width::Compact } else { Width::Int32 }, name)?;
    let count = length.unwrap_or(0);
    // Every element takes at least one byte, so this also bounds the loop over the elements.
    let bytes_least = count.checked_mul(place.size.unwrap_or(1));
    let bytes_least = bytes_least.filter(|bytes| *bytes <= reader.left()).ok_or_else(|| reader.malformed(name))?;
    if length.is_none() && !place.nullable {
        return Err(reader.malformed(name));
    }
    let count = u32::try_from(count).map_err(|_| reader.malformed(name))?;
    Ok((length.map(|_| count), bytes_least))
}

/// Passes the elements of an array, once its head has been read.
pub(super) fn elements(reader: &mut Reader<'_>, layout: &Layout, place: &Place, count: u32) -> Result<(), Stop> {
    let name = place.field.name;
    if let Some(size) = place.size {
        // Checked when the count was read.
        return reader.skip((count as usize).saturating_mul(size), name);
    }
    for _ in 0..count {
        if is_struct(place) {
            fields(reader, layout, place.inner)?;
        } else {
            let length = reader.length(place.width, name)?;
            reader.skip(length.ok_or_else(|| reader.malformed(name))?, name)?;
        }
    }
    Ok(())
}

fn fields(reader: &mut Reader<'_>, layout: &Layout, index: usize) -> Result<(), Stop> {
    let Some(of) = layout.fields(index) else { return Ok(()) };
    let mut next = of.fields.start;
    while let Some(place) = layout.place(next).filter(|_| next < of.fields.end) {
        let (places, bytes) = place.run;
        if places > 0 {
            reader.skip(bytes, place.field.name)?;
        } else {
            field(reader, layout, place)?;
        }
        next = next.saturating_add(places.max(1));
    }
    if !layout.flexible {
        return Ok(());
    }
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
    Ok(())
}

fn field(reader: &mut Reader<'_>, layout: &Layout, place: &Place) -> Result<(), Stop> {
    let name = place.field.name;
    if place.field.array {
        let (count, bytes_least) = array_head(reader, place, layout.flexible)?;
        return match count {
            None => Ok(()),
            Some(_) if !is_walked(place.field.kind) => reader.skip(bytes_least, name),
            Some(count) => elements(reader, layout, place, count),
        };
    }
    if is_struct(place) {
        let marker = if place.nullable { reader.int8(name)? } else { 1 };
        return match marker {
            -1 => Ok(()),
            1 => fields(reader, layout, place.inner),
            _ => Err(reader.malformed(name)),
        };
    }
    match place.size {
        Some(size) => reader.skip(size, name),
        None => match reader.length(place.width, name)? {
            Some(length) => reader.skip(length, name),
            None if place.nullable => Ok(()),
            None => Err(reader.malformed(name)),
        },
    }
}

fn is_struct(place: &Place) -> bool {
    place.field.kind == crate::protocol::Kind::Struct
}
