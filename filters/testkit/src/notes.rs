//! What the walker met, in a form that can be kept and compared.

use std::rc::Rc;

use bifrost_core::fault::Fault;
use bifrost_core::filter::Direction;
use bifrost_core::protocol::{Api, Entity};
use bifrost_core::reader::Input;
use bifrost_core::walker::{Event, Layout, Listeners, Walker, Wanted};

/// One event without its place in the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Field, what it means, and content.
    Value(&'static str, Entity, Option<Vec<u8>>),
    /// Array and number of elements.
    Array(&'static str, Option<u32>),
    /// A struct element begins.
    Element(&'static str),
    /// A struct element ends.
    ElementEnd(&'static str),
    /// An array ends.
    ArrayEnd(&'static str),
    /// A struct that may be null is.
    NullStruct(&'static str),
    /// Field and record bytes.
    Records(&'static str, Vec<u8>),
    /// The frame ends.
    End,
}

/// The walker for a frame of that kind, which tells everything.
pub fn walker(api: &'static Api, version: i16, direction: Direction, frame_bytes: usize) -> Walker {
    walker_for(api, version, direction, frame_bytes, &|_, _| Listeners::ALL)
}

/// The walker for a frame of that kind, which tells what is `wanted`.
pub fn walker_for(
    api: &'static Api,
    version: i16,
    direction: Direction,
    frame_bytes: usize,
    wanted: &Wanted<'_>,
) -> Walker {
    let layout = match direction {
        Direction::Request => Layout::request(api, version, wanted),
        Direction::Response => Layout::response(api, version, wanted),
    };
    Walker::new(Rc::new(layout), frame_bytes)
}

/// All notes of a frame that is visible from the start. Ends early when the walker wants more.
///
/// # Errors
/// The walker's fault.
pub fn notes(api: &'static Api, version: i16, direction: Direction, frame: &[u8]) -> Result<Vec<Note>, Fault> {
    let mut walker = walker(api, version, direction, frame.len());
    let mut notes = Vec::new();
    advance(&mut walker, frame, frame.len(), &mut notes)?;
    Ok(notes)
}

/// All notes of a frame that becomes visible one byte at a time, as a stream sees it: what has been walked is gone.
///
/// # Errors
/// The walker's fault.
pub fn notes_byte_by_byte(
    api: &'static Api,
    version: i16,
    direction: Direction,
    frame: &[u8],
) -> Result<Vec<Note>, Fault> {
    let mut walker = walker(api, version, direction, frame.len());
    let mut notes = Vec::new();
    for visible in 0..=frame.len() {
        advance(&mut walker, frame, visible, &mut notes)?;
    }
    Ok(notes)
}

/// Walks as far as the first `visible` bytes of `frame` allow. The walker may expect a longer frame.
///
/// # Errors
/// The walker's fault.
pub fn advance(walker: &mut Walker, frame: &[u8], visible: usize, notes: &mut Vec<Note>) -> Result<(), Fault> {
    while notes.last() != Some(&Note::End) {
        let base = walker.at().min(visible);
        let Some((_, event)) = walker.next(Input { bytes: &frame[base..visible], base })? else { break };
        notes.push(note(&event, frame));
    }
    Ok(())
}

/// The event as a note; record bytes are taken from `frame` as far as they are in it.
pub fn note(event: &Event<'_>, frame: &[u8]) -> Note {
    match event {
        Event::Value(value) => Note::Value(value.field.name, value.field.entity, value.bytes.map(<[u8]>::to_vec)),
        Event::Array(array) => Note::Array(array.field.name, array.count),
        Event::Element(field, _) => Note::Element(field.name),
        Event::ElementEnd(field, _) => Note::ElementEnd(field.name),
        Event::ArrayEnd(array) => Note::ArrayEnd(array.field.name),
        Event::NullStruct(field, _) => Note::NullStruct(field.name),
        Event::Records(field, range) => {
            let end = range.end.min(frame.len());
            Note::Records(field.name, frame[range.start.min(end)..end].to_vec())
        }
        Event::End => Note::End,
    }
}
