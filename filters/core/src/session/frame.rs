//! A frame as such: its size, and the walk through a complete one.

use crate::edits::Edits;
use crate::fault::{Fault, Protocol};
use crate::filter::{Filter, Message};
use crate::host::Host;
use crate::limits::Limits;
use crate::reader::Input;
use crate::walker::{Event, Walker};
use crate::window::View;

/// Bytes of a frame's size field.
pub(super) const SIZE_BYTES: usize = 4;

/// The size of the frame at `at`, its size field included, as soon as four bytes are there. It holds at least `least`
/// bytes. `first`: nothing has come before, so the bytes may be another protocol's.
pub(super) fn frame_bytes(
    limits: &Limits,
    view: &mut View<'_>,
    at: usize,
    first: bool,
    least: usize,
) -> Result<usize, Fault> {
    let head = view.slice(at..at.saturating_add(SIZE_BYTES))?;
    let &[a, b, c, d, ..] = head else { return Err(Fault::Internal("short size field")) };
    let size = i32::from_be_bytes([a, b, c, d]);
    let max = limits.frame_bytes_max;
    let Some(size) = u32::try_from(size).ok().filter(|size| *size <= max) else {
        return Err(match sniff([a, b, c, d]).filter(|_| first) {
            Some(protocol) => Fault::NotKafka(protocol),
            None if size < 0 => Fault::Malformed { field: "size", at: 0 },
            None => Fault::Limit { limit: "frameBytesMax", max: u64::from(max), got: u64::from(size.unsigned_abs()) },
        });
    };
    let frame_bytes = (size as usize).saturating_add(SIZE_BYTES);
    if frame_bytes < least { Err(Fault::Malformed { field: "size", at: 0 }) } else { Ok(frame_bytes) }
}

/// Other protocols, told by the bytes that would be the size of the first frame.
fn sniff(head: [u8; SIZE_BYTES]) -> Option<Protocol> {
    const METHODS: [&[u8; SIZE_BYTES]; 9] =
        [b"GET ", b"POST", b"PUT ", b"HEAD", b"OPTI", b"DELE", b"CONN", b"PATC", b"PRI "];
    if let [0x16, 0x03, ..] = head {
        return Some(Protocol::Tls);
    }
    METHODS.contains(&&head).then_some(Protocol::Http)
}

/// Walks a complete frame; gives the new frame when something changed.
pub(super) fn walk_whole(
    mut walker: Walker,
    message: &Message,
    frame: &[u8],
    edits: &mut Edits,
    mut on_event: impl FnMut(&Message, &Event<'_>, &mut Edits) -> Result<(), Fault>,
) -> Result<Option<Vec<u8>>, Fault> {
    edits.clear();
    loop {
        let event = walker.next(Input { bytes: frame, base: 0 })?;
        let event = event.ok_or(Fault::Internal("walker wants more than the whole frame"))?;
        on_event(message, &event, edits)?;
        if matches!(event, Event::End) {
            break;
        }
    }
    if edits.is_empty() {
        return Ok(None);
    }
    let mut frame = edits.apply(frame, 0, walker.tag_sizes())?;
    let size = frame.len().checked_sub(SIZE_BYTES).and_then(|size| i32::try_from(size).ok());
    let size = size.ok_or(Fault::Internal("frame too large to write"))?;
    let field = frame.get_mut(..SIZE_BYTES).ok_or(Fault::Internal("frame without a size"))?;
    field.copy_from_slice(&size.to_be_bytes());
    Ok(Some(frame))
}

/// Hands an event to all filters in order.
pub(super) fn dispatch(
    filters: &mut [Box<dyn Filter>],
    message: &Message,
    event: &Event<'_>,
    edits: &mut Edits,
    host: &mut dyn Host,
) -> Result<(), Fault> {
    filters.iter_mut().try_for_each(|filter| filter.on_event(message, event, edits, host))
}
