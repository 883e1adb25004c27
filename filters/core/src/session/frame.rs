//! A frame as such: its size, the walk through a complete one, and frames of our own.

use crate::edits::Edits;
use crate::fault::{Fault, Protocol};
use crate::filter::{Context, Filter, Message, Wishes};
use crate::host::Host;
use crate::limits::Limits;
use crate::principal::Principal;
use crate::protocol::{Api, ApiKey};
use crate::reader::{Input, Width, string_bytes};
use crate::walker::{Event, Listeners, SIZE_BYTES, Walker};
use crate::window::View;

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
pub(crate) fn walk_whole(
    walker: &mut Walker,
    message: &Message,
    frame: &[u8],
    edits: &mut Edits,
    mut on_event: impl FnMut(&Message, Listeners, &Event<'_>, &mut Edits) -> Result<(), Fault>,
) -> Result<Option<Vec<u8>>, Fault> {
    loop {
        let told = walker.next(Input { bytes: frame, base: 0 })?;
        let (listeners, event) = told.ok_or(Fault::Internal("walker wants more than the whole frame"))?;
        on_event(message, listeners, &event, edits)?;
        if matches!(event, Event::End) {
            break;
        }
    }
    if edits.is_empty() {
        return Ok(None);
    }
    let mut frame = edits.apply(frame, 0, walker.tag_sizes())?;
    edits.clear();
    write_size(&mut frame)?;
    Ok(Some(frame))
}

/// Everybody who looks at a message, and what they may use.
pub(super) struct Audience<'a> {
    pub(super) filters: &'a mut [Box<dyn Filter>],
    pub(super) host: &'a mut dyn Host,
    pub(super) principal: &'a Principal,
    pub(super) wishes: &'a mut Wishes,
    /// What each filter remembers of the request.
    pub(super) memos: &'a mut Vec<u64>,
}

impl Audience<'_> {
    /// Hands an event to those filters that want it, in order.
    pub(super) fn on_event(
        &mut self,
        message: &Message,
        listeners: Listeners,
        event: &Event<'_>,
        edits: &mut Edits,
    ) -> Result<(), Fault> {
        for (index, filter) in self.filters.iter_mut().enumerate() {
            if listeners.any_of(Listeners::filter(index)) {
                let context = &mut Context {
                    edits,
                    host: self.host,
                    principal: self.principal,
                    wishes: self.wishes,
                    memos: self.memos,
                    filter: index,
                };
                filter.on_event(message, event, context)?;
            }
        }
        Ok(())
    }
}

/// A request of the gateway's own: header, then `body`.
pub(super) fn own_request(api: &Api, version: i16, correlation_id: i32, body: &[u8]) -> Result<Vec<u8>, Fault> {
    const CLIENT_ID: &str = "bifrost";
    let mut rest = string_bytes(Width::Int16, CLIENT_ID)?;
    if api.flexible.contains(version) {
        rest.push(0);
    }
    let mut frame = Vec::with_capacity(body.len().saturating_add(32));
    frame.extend_from_slice(&[0; SIZE_BYTES]);
    frame.extend_from_slice(&api.key.0.to_be_bytes());
    frame.extend_from_slice(&version.to_be_bytes());
    frame.extend_from_slice(&correlation_id.to_be_bytes());
    frame.extend_from_slice(&rest);
    frame.extend_from_slice(body);
    write_size(&mut frame)?;
    Ok(frame)
}

/// An answer of the gateway's own: header, then `body`.
pub(super) fn own_answer(api: &Api, version: i16, correlation_id: i32, body: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut frame = Vec::with_capacity(body.len().saturating_add(16));
    frame.extend_from_slice(&[0; SIZE_BYTES]);
    frame.extend_from_slice(&correlation_id.to_be_bytes());
    if api.flexible.contains(version) && api.key != ApiKey::API_VERSIONS {
        frame.push(0);
    }
    frame.extend_from_slice(body);
    write_size(&mut frame)?;
    Ok(frame)
}

pub(super) fn write_size(frame: &mut [u8]) -> Result<(), Fault> {
    let size = frame.len().checked_sub(SIZE_BYTES).and_then(|size| i32::try_from(size).ok());
    let size = size.ok_or(Fault::Internal("frame too large to write"))?;
    let field = frame.get_mut(..SIZE_BYTES).ok_or(Fault::Internal("frame without a size"))?;
    field.copy_from_slice(&size.to_be_bytes());
    Ok(())
}
