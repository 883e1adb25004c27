//! The walker over every API, version and direction of the tables.

use bifrost_core::fault::Fault;
use bifrost_core::filter::Direction;
use bifrost_core::protocol::{Api, Entity, Field};
use bifrost_core::walker::Listeners;
use bifrost_testkit::choices::Choices;
use bifrost_testkit::every_message;
use bifrost_testkit::generate::{Content, Frame, generate, generate_with};
use bifrost_testkit::notes::{Note, advance, notes, notes_byte_by_byte, walker, walker_for};
use proptest::prelude::*;

/// Frames of every message, `seeds` of each.
fn for_every_frame(seeds: u64, check: impl Fn(&'static Api, i16, Direction, &Frame)) {
    for (api, version, direction) in every_message() {
        for seed in 0..seeds {
            let seed = seed * 1_000_003 + u64::from(api.key.0.unsigned_abs()) * 101 + version as u64;
            let frame = generate(api, version, direction, 7, &mut Choices::from_seed(seed));
            check(api, version, direction, &frame);
        }
    }
}

fn head_bytes(direction: Direction) -> usize {
    match direction {
        Direction::Request => 12,
        Direction::Response => 8,
    }
}

#[test]
fn every_message_is_walked_to_its_end_and_reported_as_it_was_written() {
    for_every_frame(6, |api, version, direction, frame| {
        let met = notes(api, version, direction, &frame.bytes);
        assert_eq!(met.as_ref(), Ok(&frame.notes), "{} v{version} {direction:?}", api.name);
    });
}

#[test]
fn one_byte_at_a_time_gives_the_same_events() {
    for_every_frame(2, |api, version, direction, frame| {
        let met = notes_byte_by_byte(api, version, direction, &frame.bytes);
        assert!(met.as_ref() == Ok(&frame.notes), "{} v{version} {direction:?}", api.name);
    });
}

/// The values and records among the notes that are about one of `entities`, or needed by every session.
fn values_about(notes: &[Note], entities: &[Entity]) -> Vec<Note> {
    let wanted = |note: &&Note| match note {
        Note::Value("Acks", ..) | Note::Records(..) | Note::End => true,
        Note::Value(_, entity, _) => entities.contains(entity),
        _ => false,
    };
    notes.iter().filter(wanted).cloned().collect()
}

#[test]
fn what_nobody_wants_is_checked_in_silence() {
    for entities in [&[][..], &[Entity::TopicName], &[Entity::BrokerHost, Entity::ErrorCode], &[Entity::TopicId]] {
        for_every_frame(3, |api, version, direction, frame| {
            let name = format!("{} v{version} {direction:?} {entities:?}", api.name);
            let wanted = |_: &'static [Field], field: &'static Field| {
                if entities.contains(&field.entity) { Listeners::ALL } else { Listeners::NONE }
            };
            let silenced = || walker_for(api, version, direction, frame.bytes.len(), &wanted);
            let expected = values_about(&frame.notes, entities);

            let mut whole = Vec::new();
            advance(&mut silenced(), &frame.bytes, frame.bytes.len(), &mut whole).unwrap();
            assert_eq!(values_about(&whole, entities), expected, "{name}");
            let told =
                whole.iter().filter(|note| matches!(note, Note::Value(..) | Note::Records(..) | Note::End)).count();
            assert_eq!(told, expected.len(), "{name}");

            let (mut walker, mut pieces) = (silenced(), Vec::new());
            for visible in 0..=frame.bytes.len() {
                advance(&mut walker, &frame.bytes, visible, &mut pieces).unwrap();
            }
            assert_eq!(values_about(&pieces, entities), expected, "{name} in pieces");
        });
    }
}

#[test]
fn a_frame_cut_short_is_refused_in_silence_too() {
    for_every_frame(1, |api, version, direction, frame| {
        for end in head_bytes(direction)..frame.bytes.len() {
            let bytes = &frame.bytes[..end];
            let loud = advance(&mut walker(api, version, direction, end), bytes, end, &mut Vec::new());
            let mut silenced = walker_for(api, version, direction, end, &|_, _| Listeners::NONE);
            let silent = advance(&mut silenced, bytes, end, &mut Vec::new());
            assert_eq!(silent.is_err(), loud.is_err(), "{} v{version} {direction:?} at {end}", api.name);
        }
    });
}

/// No tags that nobody knows: the walker passes over them unseen.
struct KnownTags;

impl Content for KnownTags {
    fn content(&mut self, _: &'static Field, _: &mut Choices<'_>) -> Option<Vec<u8>> {
        None
    }

    fn unknown_tags(&self) -> bool {
        false
    }
}

/// True when a frame ends with bytes that the walker passes over unseen: records or plain numbers.
fn ends_unseen(frame: &Frame) -> bool {
    let is_end = |note: &&Note| matches!(note, Note::ElementEnd(_) | Note::ArrayEnd(_) | Note::End);
    let last = frame.notes.iter().rev().find(|note| !is_end(note));
    matches!(last, Some(Note::Records(..) | Note::Array(..)))
}

#[test]
fn a_frame_that_is_not_all_there_never_ends_but_for_bytes_that_nobody_looks_at() {
    for (api, version, direction) in every_message() {
        let mut choices = Choices::from_seed(version as u64);
        let frame = &generate_with(api, version, direction, 7, &mut choices, &mut KnownTags);
        let mut walker = walker(api, version, direction, frame.bytes.len());
        let mut met = Vec::new();
        for visible in head_bytes(direction)..frame.bytes.len() {
            advance(&mut walker, &frame.bytes, visible, &mut met).expect("nothing is wrong with it");
            let ended = met.last() == Some(&Note::End);
            assert!(!ended || ends_unseen(frame), "{} v{version} {direction:?} at {visible}", api.name);
        }
    }
}

#[test]
fn a_frame_that_is_announced_too_short_is_a_fault() {
    for_every_frame(1, |api, version, direction, frame| {
        let len = frame.bytes.len();
        let step = (len / 60).max(1);
        for cut in (head_bytes(direction)..len).step_by(step).chain([len - 1]) {
            let met = notes(api, version, direction, &frame.bytes[..cut]);
            let fault = matches!(met, Err(Fault::Malformed { .. }));
            assert!(fault, "{} v{version} {direction:?} cut to {cut} of {len}", api.name);
        }
    });
}

#[test]
fn bytes_behind_the_last_field_are_a_fault_in_answers_and_none_of_our_business_in_requests() {
    for_every_frame(1, |api, version, direction, frame| {
        for garbage in [&[0][..], &[1, 0, 0], &[0xff; 9]] {
            let met = notes(api, version, direction, &[&frame.bytes, garbage].concat());
            match direction {
                Direction::Request => assert_eq!(met.as_ref(), Ok(&frame.notes), "{} v{version}", api.name),
                Direction::Response => assert!(matches!(met, Err(Fault::Malformed { .. })), "{} v{version}", api.name),
            }
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_content_is_walked_as_it_was_written(
        at in any::<prop::sample::Index>(),
        choices in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let all: Vec<_> = every_message().collect();
        let (api, version, direction) = *at.get(&all);
        let frame = generate(api, version, direction, -1, &mut Choices::from_bytes(&choices));
        let met = notes(api, version, direction, &frame.bytes);
        prop_assert_eq!(met.as_ref(), Ok(&frame.notes));
    }

    #[test]
    fn changed_bytes_give_a_fault_or_an_end_and_never_a_panic(
        at in any::<prop::sample::Index>(),
        choices in prop::collection::vec(any::<u8>(), 0..200),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let all: Vec<_> = every_message().collect();
        let (api, version, direction) = *at.get(&all);
        let mut frame = generate(api, version, direction, -1, &mut Choices::from_bytes(&choices)).bytes;
        for (at, byte) in changes {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        let met = notes(api, version, direction, &frame);
        prop_assert_eq!(&met, &notes_byte_by_byte(api, version, direction, &frame));
        if let Ok(met) = met {
            prop_assert_eq!(met.last(), Some(&Note::End));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        at in any::<prop::sample::Index>(),
        bytes in prop::collection::vec(any::<u8>(), 12..300),
    ) {
        let all: Vec<_> = every_message().collect();
        let (api, version, direction) = *at.get(&all);
        prop_assert_eq!(notes(api, version, direction, &bytes), notes_byte_by_byte(api, version, direction, &bytes));
    }
}
