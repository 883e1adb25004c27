//! Writes frames from the protocol tables: any API, version and direction, with arbitrary valid content.
//!
//! It shares the tables with the walker and nothing else. [`crate::frames`] is the check on the tables themselves.

use bifrost_core::filter::Direction;
use bifrost_core::protocol::{Api, ApiKey, Entity, Field, Kind};
use bifrost_core::reader::put_unsigned_varint;

use crate::choices::Choices;
use crate::notes::Note;

/// Tag numbers that no definition uses.
const UNKNOWN_TAGS: [u32; 4] = [40, 100, 126, 5_000];

/// Decides the content of fields; see [`generate_with`].
pub trait Content {
    /// The content of a scalar, string, byte or records field without length prefix, or `None` for anything valid.
    fn content(&mut self, field: &'static Field, choices: &mut Choices<'_>) -> Option<Vec<u8>>;

    /// The content of a number in an array, or `None` for any.
    fn element(&mut self, _: &'static Field, _: &mut Choices<'_>) -> Option<Vec<u8>> {
        None
    }

    /// Whether a string, or bytes, that may be null are null, whatever [`Content::content`] says.
    fn null(&mut self, _: &'static Field, _: &mut Choices<'_>) -> bool {
        false
    }

    /// Whether tags that no definition has may be written.
    fn unknown_tags(&self) -> bool {
        true
    }
}

/// Anything valid.
pub struct Anything;

impl Content for Anything {
    fn content(&mut self, _: &'static Field, _: &mut Choices<'_>) -> Option<Vec<u8>> {
        None
    }
}

/// A frame and what the walker has to tell about it.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The frame, size field included.
    pub bytes: Vec<u8>,
    /// What it holds, in wire order, [`Note::End`] last.
    pub notes: Vec<Note>,
}

/// A frame with arbitrary content.
pub fn generate(
    api: &'static Api,
    version: i16,
    direction: Direction,
    correlation_id: i32,
    choices: &mut Choices<'_>,
) -> Frame {
    generate_with(api, version, direction, correlation_id, choices, &mut Anything)
}

/// A frame whose content `content` may decide.
pub fn generate_with(
    api: &'static Api,
    version: i16,
    direction: Direction,
    correlation_id: i32,
    choices: &mut Choices<'_>,
    content: &mut dyn Content,
) -> Frame {
    let flexible = api.flexible.contains(version);
    let mut writer = Writer { version, flexible, choices, content, out: vec![0; 4], notes: Vec::new() };
    match direction {
        Direction::Request => {
            writer.out.extend(api.key.0.to_be_bytes());
            writer.out.extend(version.to_be_bytes());
            writer.out.extend(correlation_id.to_be_bytes());
            writer.client_id();
            if flexible {
                writer.tags(&[]);
            }
            writer.fields(api.request);
        }
        Direction::Response => {
            writer.out.extend(correlation_id.to_be_bytes());
            // ApiVersions answers have header version 0 in every version (KIP-511).
            if flexible && api.key != ApiKey::API_VERSIONS {
                writer.tags(&[]);
            }
            writer.fields(api.response);
        }
    }
    let (mut bytes, mut notes) = (writer.out, writer.notes);
    let size = i32::try_from(bytes.len() - 4).expect("generated frames are small");
    bytes[..4].copy_from_slice(&size.to_be_bytes());
    notes.push(Note::End);
    Frame { bytes, notes }
}

struct Writer<'w, 'c> {
    version: i16,
    flexible: bool,
    choices: &'w mut Choices<'c>,
    content: &'w mut dyn Content,
    out: Vec<u8>,
    notes: Vec<Note>,
}

impl Writer<'_, '_> {
    /// Its length is int16 in every version.
    fn client_id(&mut self) {
        let id = (!self.choices.one_in(4)).then(|| b"client".to_vec());
        match &id {
            Some(id) => {
                self.out.extend((id.len() as i16).to_be_bytes());
                self.out.extend(id);
            }
            None => self.out.extend((-1i16).to_be_bytes()),
        }
        self.notes.push(Note::Value("ClientId", Entity::None, id));
    }

    fn fields(&mut self, fields: &'static [Field]) {
        for field in fields {
            if field.versions.contains(self.version) && !field.tagged.contains(self.version) {
                self.value(field);
            }
        }
        if self.flexible {
            self.tags(fields);
        }
    }

    fn tags(&mut self, fields: &'static [Field]) {
        let mut tags: Vec<(u32, Option<&'static Field>)> = Vec::new();
        for field in fields.iter().filter(|field| field.tagged.contains(self.version)) {
            if self.choices.below(3) > 0 {
                tags.push((field.tag, Some(field)));
            }
        }
        if self.content.unknown_tags() && self.choices.one_in(4) {
            let first = self.choices.below(UNKNOWN_TAGS.len());
            tags.extend(UNKNOWN_TAGS[first..].iter().take(1 + self.choices.below(2)).map(|tag| (*tag, None)));
        }
        tags.sort_by_key(|(tag, _)| *tag);
        put_unsigned_varint(&mut self.out, tags.len() as u32);
        for (tag, field) in tags {
            put_unsigned_varint(&mut self.out, tag);
            let before = core::mem::take(&mut self.out);
            match field {
                Some(field) => self.value(field),
                None => {
                    let size = self.choices.of(&[0, 1, 5, 200]);
                    self.out = vec![0xee; size];
                }
            }
            let value = core::mem::replace(&mut self.out, before);
            put_unsigned_varint(&mut self.out, value.len() as u32);
            self.out.extend(value);
        }
    }

    fn value(&mut self, field: &'static Field) {
        let nullable = field.nullable.contains(self.version);
        if field.array {
            return self.array(field, nullable);
        }
        match field.kind {
            Kind::Struct => {
                if nullable {
                    let null = self.choices.one_in(3);
                    self.out.push(if null { 0xff } else { 1 });
                    if null {
                        return self.notes.push(Note::NullStruct(field.name));
                    }
                }
                self.fields(field.fields);
            }
            _ => self.scalar(field, nullable),
        }
    }

    fn array(&mut self, field: &'static Field, nullable: bool) {
        if nullable && self.choices.one_in(4) {
            self.length(None, true);
            return self.notes.push(Note::Array(field.name, None));
        }
        let count = self.choices.below(4);
        self.length(Some(count), true);
        self.notes.push(Note::Array(field.name, Some(count as u32)));
        let seen = matches!(field.kind, Kind::Struct | Kind::String | Kind::Bytes | Kind::Uuid);
        for _ in 0..count {
            if field.kind == Kind::Struct {
                self.notes.push(Note::Element(field.name));
                self.fields(field.fields);
                self.notes.push(Note::ElementEnd(field.name));
            } else if seen {
                self.scalar(field, false);
            } else {
                let chosen = self.content.element(field, self.choices);
                let bytes = chosen.unwrap_or_else(|| self.arbitrary(field));
                self.out.extend(bytes);
            }
        }
        if seen {
            self.notes.push(Note::ArrayEnd(field.name));
        }
    }

    fn scalar(&mut self, field: &'static Field, nullable: bool) {
        let sized = matches!(field.kind, Kind::String | Kind::Bytes | Kind::Records);
        let null = sized && nullable && self.content.null(field, self.choices);
        let chosen = if null { None } else { self.content.content(field, self.choices) };
        let value = match chosen {
            None if null => None,
            Some(bytes) => Some(bytes),
            None if sized && nullable && self.choices.one_in(4) => None,
            None => Some(self.arbitrary(field)),
        };
        if sized {
            self.length(value.as_ref().map(Vec::len), field.kind != Kind::String);
        }
        self.out.extend(value.iter().flatten());
        match (field.kind, value) {
            (Kind::Records, None) => {}
            (Kind::Records, Some(bytes)) => self.notes.push(Note::Records(field.name, bytes)),
            (_, value) => self.notes.push(Note::Value(field.name, field.entity, value)),
        }
    }

    fn length(&mut self, length: Option<usize>, wide: bool) {
        if self.flexible {
            put_unsigned_varint(&mut self.out, length.map_or(0, |length| length as u32 + 1));
        } else if wide {
            self.out.extend(length.map_or(-1, |length| length as i32).to_be_bytes());
        } else {
            self.out.extend(length.map_or(-1, |length| length as i16).to_be_bytes());
        }
    }

    fn arbitrary(&mut self, field: &'static Field) -> Vec<u8> {
        match field.kind {
            Kind::Bool => vec![self.choices.byte() & 1],
            Kind::Int8 => self.choices.array::<1>().to_vec(),
            Kind::Int16 | Kind::Uint16 => self.choices.array::<2>().to_vec(),
            Kind::Int32 | Kind::Uint32 => self.choices.array::<4>().to_vec(),
            Kind::Int64 => self.choices.array::<8>().to_vec(),
            Kind::Float64 => f64::from(self.choices.byte()).to_be_bytes().to_vec(),
            Kind::Uuid => self.choices.array::<16>().to_vec(),
            Kind::String => self.text(field).into_bytes(),
            Kind::Bytes => self.bytes(&[3, 0, 1, 130]),
            Kind::Records => self.bytes(&[61, 0, 1, 300, 2_000]),
            Kind::Struct => unreachable!("structs are written field by field"),
        }
    }

    fn bytes(&mut self, sizes: &[usize]) -> Vec<u8> {
        let size = self.choices.of(sizes);
        let first = self.choices.byte();
        (0..size).map(|index| first.wrapping_add(index as u8)).collect()
    }

    /// Text that tells what it stands for, sometimes empty, long or not ASCII.
    fn text(&mut self, field: &'static Field) -> String {
        let stem = match field.entity {
            Entity::TopicName => "topic",
            Entity::BrokerHost => "host",
            _ => "text",
        };
        match self.choices.below(8) {
            6 => String::new(),
            7 => format!("{stem}-{}-\u{fc}", "long".repeat(40)),
            n => format!("{stem}-{n}"),
        }
    }
}
