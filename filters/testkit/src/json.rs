//! Messages as JSON: any API and version of the tables, written from and read into `serde_json::Value`.
//!
//! Fields have Kafka's names. UUIDs, bytes and records are hexadecimal text. What a request leaves out is written as the
//! simplest value: null where that is allowed and the field is no array, else empty, 0, or -1 for the numbers of
//! [`MINUS_ONE`]. Tagged fields are written only when they are given. A field that a version does not have is ignored, one
//! that no version has panics, so one body serves many versions and a typing mistake is seen.

use bifrost_core::filter::Direction;
use bifrost_core::protocol::{Api, ApiKey, Entity, Field, Kind, api};
use bifrost_core::reader::put_unsigned_varint;
use serde_json::{Map, Value};

/// Numbers whose "none" is -1.
const MINUS_ONE: &[&str] = &[
    "CommittedLeaderEpoch",
    "CurrentLeaderEpoch",
    "GenerationId",
    "GenerationIdOrMemberEpoch",
    "LastFetchedEpoch",
    "LogStartOffset",
    "MemberEpoch",
    "NodeId",
    "ProducerEpoch",
    "ProducerId",
    "ReplicaId",
    "RetentionTimeMs",
    "SessionEpoch",
];

/// A request frame, size included.
///
/// # Panics
/// When the tables do not know `key`, or `body` does not fit it.
#[must_use]
pub fn request(key: ApiKey, version: i16, correlation_id: i32, client_id: &str, body: &Value) -> Vec<u8> {
    let api = api(key).expect("an API of the tables");
    let mut writer = Writer { api, version, flexible: api.flexible.contains(version), out: vec![0; 4] };
    writer.out.extend(key.0.to_be_bytes());
    writer.out.extend(version.to_be_bytes());
    writer.out.extend(correlation_id.to_be_bytes());
    writer.out.extend(i16::try_from(client_id.len()).expect("a short client id").to_be_bytes());
    writer.out.extend(client_id.as_bytes());
    if writer.flexible {
        writer.out.push(0);
    }
    writer.fields(api.request, body);
    let size = u32::try_from(writer.out.len() - 4).expect("requests are small");
    writer.out[..4].copy_from_slice(&size.to_be_bytes());
    writer.out
}

/// A response frame, size included; what `body` leaves out is written as in [`request`].
///
/// # Panics
/// When the tables do not know `key`, or `body` does not fit it.
#[must_use]
pub fn response(key: ApiKey, version: i16, correlation_id: i32, body: &Value) -> Vec<u8> {
    let api = api(key).expect("an API of the tables");
    let mut writer = Writer { api, version, flexible: api.flexible.contains(version), out: vec![0; 4] };
    writer.out.extend(correlation_id.to_be_bytes());
    // ApiVersions answers have header version 0 in every version (KIP-511).
    if writer.flexible && key != ApiKey::API_VERSIONS {
        writer.out.push(0);
    }
    writer.fields(api.response, body);
    let size = u32::try_from(writer.out.len() - 4).expect("answers are small");
    writer.out[..4].copy_from_slice(&size.to_be_bytes());
    writer.out
}

struct Writer {
    api: &'static Api,
    version: i16,
    flexible: bool,
    out: Vec<u8>,
}

impl Writer {
    fn fields(&mut self, fields: &'static [Field], body: &Value) {
        let empty = Map::new();
        let object = match body {
            Value::Null => &empty,
            Value::Object(object) => object,
            other => panic!("{}: {other} is no object", self.api.name),
        };
        for name in object.keys() {
            assert!(fields.iter().any(|field| field.name == name), "{} has no field {name}", self.api.name);
        }
        for field in fields {
            if field.versions.contains(self.version) && !field.tagged.contains(self.version) {
                self.value(field, object.get(field.name));
            }
        }
        if !self.flexible {
            return;
        }
        let mut tagged: Vec<&'static Field> = fields
            .iter()
            .filter(|field| field.tagged.contains(self.version) && object.contains_key(field.name))
            .collect();
        tagged.sort_by_key(|field| field.tag);
        put_unsigned_varint(&mut self.out, tagged.len() as u32);
        for field in tagged {
            put_unsigned_varint(&mut self.out, field.tag);
            let before = core::mem::take(&mut self.out);
            self.value(field, object.get(field.name));
            let value = core::mem::replace(&mut self.out, before);
            put_unsigned_varint(&mut self.out, value.len() as u32);
            self.out.extend(value);
        }
    }

    fn value(&mut self, field: &'static Field, value: Option<&Value>) {
        let nullable = field.nullable.contains(self.version);
        assert!(nullable || value != Some(&Value::Null), "{}.{} cannot be null", self.api.name, field.name);
        if field.array {
            let Some(elements) = value.map_or(Some(&Vec::new()), Value::as_array).cloned() else {
                assert!(value == Some(&Value::Null), "{}.{} is an array", self.api.name, field.name);
                return self.length(None, true);
            };
            self.length(Some(elements.len()), true);
            for element in &elements {
                match field.kind {
                    Kind::Struct => self.fields(field.fields, element),
                    _ => self.scalar(field, Some(element), false),
                }
            }
        } else if field.kind == Kind::Struct {
            let given = value.filter(|value| !value.is_null());
            if nullable {
                self.out.push(if given.is_some() { 1 } else { 0xff });
                if given.is_none() {
                    return;
                }
            }
            self.fields(field.fields, given.unwrap_or(&Value::Null));
        } else {
            self.scalar(field, value, nullable);
        }
    }

    fn scalar(&mut self, field: &'static Field, value: Option<&Value>, nullable: bool) {
        let fits = || panic!("{}.{}: {} does not fit", self.api.name, field.name, value.unwrap_or(&Value::Null));
        let number = || match value {
            None if MINUS_ONE.contains(&field.name) => -1,
            None => 0,
            Some(value) => value.as_i64().unwrap_or_else(fits),
        };
        let bytes = match field.kind {
            Kind::Bool => vec![u8::from(value.is_some_and(|value| value.as_bool() == Some(true)))],
            Kind::Int8 => (number() as i8).to_be_bytes().to_vec(),
            Kind::Int16 | Kind::Uint16 => (number() as i16).to_be_bytes().to_vec(),
            Kind::Int32 | Kind::Uint32 => (number() as i32).to_be_bytes().to_vec(),
            Kind::Int64 => number().to_be_bytes().to_vec(),
            Kind::Float64 => value.map_or(0.0, |value| value.as_f64().expect("a number")).to_be_bytes().to_vec(),
            Kind::Uuid => value.map_or(vec![0; 16], |value| from_hex(value.as_str().expect("hexadecimal text"))),
            Kind::String | Kind::Bytes | Kind::Records => {
                let wide = field.kind != Kind::String;
                let content = match value {
                    None if nullable => None,
                    None => Some(Vec::new()),
                    Some(Value::Null) => None,
                    Some(Value::String(text)) if wide => Some(from_hex(text)),
                    Some(Value::String(text)) => Some(text.clone().into_bytes()),
                    Some(other) => panic!("{}.{}: {other} is no text", self.api.name, field.name),
                };
                self.length(content.as_ref().map(Vec::len), wide);
                content.unwrap_or_default()
            }
            Kind::Struct => unreachable!("structs are written field by field"),
        };
        self.out.extend(bytes);
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
}

/// A message that was read.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its correlation id.
    pub correlation_id: i32,
    /// The ClientId of a request's header.
    pub client_id: Option<String>,
    /// Its fields.
    pub body: Value,
    /// Every text and every UUID that stands for something, in wire order.
    pub entities: Vec<(Entity, &'static str, Value)>,
}

/// Reads a frame without its size.
///
/// # Errors
/// What does not fit the tables, in words.
pub fn read(key: ApiKey, version: i16, direction: Direction, frame: &[u8]) -> Result<Message, String> {
    let api = api(key).ok_or_else(|| format!("the tables do not know {key}"))?;
    let mut reader =
        Reader { version, flexible: api.flexible.contains(version), left: frame, entities: Vec::new(), path: api.name };
    let mut client_id = None;
    let (correlation_id, fields, tags) = match direction {
        Direction::Request => {
            reader.take(4)?;
            let correlation_id = reader.number(4)? as i32;
            let length = reader.number(2)?;
            if length >= 0 {
                client_id = Some(text(reader.take(length as usize)?));
            }
            (correlation_id, api.request, reader.flexible)
        }
        Direction::Response => (reader.number(4)? as i32, api.response, reader.flexible && key != ApiKey::API_VERSIONS),
    };
    if tags {
        reader.tags(&[], &mut Map::new())?;
    }
    let body = reader.fields(fields)?;
    if !reader.left.is_empty() {
        return Err(format!("{} v{version}: {} bytes left", api.name, reader.left.len()));
    }
    Ok(Message { correlation_id, client_id, body, entities: reader.entities })
}

struct Reader<'f> {
    version: i16,
    flexible: bool,
    left: &'f [u8],
    entities: Vec<(Entity, &'static str, Value)>,
    path: &'static str,
}

impl<'f> Reader<'f> {
    fn take(&mut self, count: usize) -> Result<&'f [u8], String> {
        let (taken, left) =
            self.left.split_at_checked(count).ok_or_else(|| format!("{}: {count} bytes are not left", self.path))?;
        self.left = left;
        Ok(taken)
    }

    fn number(&mut self, width: usize) -> Result<i64, String> {
        let bytes = self.take(width)?;
        let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
        Ok(bytes.iter().fold(if negative { -1 } else { 0 }, |value: i64, byte| (value << 8) | i64::from(*byte)))
    }

    fn varint(&mut self) -> Result<usize, String> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let byte = usize::from(self.take(1)?[0]);
            value |= (byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(format!("{}: an endless varint", self.path))
    }

    fn length(&mut self, wide: bool) -> Result<Option<usize>, String> {
        let length = match (self.flexible, wide) {
            (true, _) => self.varint()? as i64 - 1,
            (false, true) => self.number(4)?,
            (false, false) => self.number(2)?,
        };
        Ok((length >= 0).then_some(length as usize))
    }

    fn fields(&mut self, fields: &'static [Field]) -> Result<Value, String> {
        let mut object = Map::new();
        for field in fields {
            if field.versions.contains(self.version) && !field.tagged.contains(self.version) {
                let value = self.value(field)?;
                object.insert(field.name.to_owned(), value);
            }
        }
        if self.flexible {
            self.tags(fields, &mut object)?;
        }
        Ok(Value::Object(object))
    }

    fn tags(&mut self, fields: &'static [Field], object: &mut Map<String, Value>) -> Result<(), String> {
        for _ in 0..self.varint()? {
            let tag = self.varint()?;
            let size = self.varint()?;
            let value = self.take(size)?;
            let known = |field: &&Field| field.tagged.contains(self.version) && field.tag as usize == tag;
            if let Some(field) = fields.iter().find(known) {
                let outside = core::mem::replace(&mut self.left, value);
                let value = self.value(field)?;
                object.insert(field.name.to_owned(), value);
                self.left = outside;
            }
        }
        Ok(())
    }

    fn value(&mut self, field: &'static Field) -> Result<Value, String> {
        self.path = field.name;
        if field.array {
            let Some(count) = self.length(true)? else { return Ok(Value::Null) };
            let mut elements = Vec::new();
            for _ in 0..count {
                elements.push(match field.kind {
                    Kind::Struct => self.fields(field.fields)?,
                    _ => self.scalar(field)?,
                });
            }
            return Ok(Value::Array(elements));
        }
        match field.kind {
            Kind::Struct if field.nullable.contains(self.version) && self.number(1)? < 0 => Ok(Value::Null),
            Kind::Struct => self.fields(field.fields),
            _ => self.scalar(field),
        }
    }

    fn scalar(&mut self, field: &'static Field) -> Result<Value, String> {
        let value = match field.kind {
            Kind::Bool => Value::from(self.number(1)? != 0),
            Kind::Int8 => Value::from(self.number(1)?),
            Kind::Int16 => Value::from(self.number(2)?),
            Kind::Uint16 => Value::from(self.number(2)? as u16),
            Kind::Int32 => Value::from(self.number(4)?),
            Kind::Uint32 => Value::from(self.number(4)? as u32),
            Kind::Int64 => Value::from(self.number(8)?),
            Kind::Float64 => Value::from(f64::from_bits(self.number(8)? as u64)),
            Kind::Uuid => Value::from(hex(self.take(16)?)),
            Kind::String => match self.length(false)? {
                None => Value::Null,
                Some(length) => Value::from(text(self.take(length)?)),
            },
            Kind::Bytes | Kind::Records => match self.length(true)? {
                None => Value::Null,
                Some(length) => Value::from(hex(self.take(length)?)),
            },
            Kind::Struct => unreachable!("structs are read field by field"),
        };
        if field.entity != Entity::None && value.is_string() {
            self.entities.push((field.entity, field.name, value.clone()));
        }
        Ok(value)
    }
}

/// As Kafka reads it: what is no UTF-8 is replaced.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Bytes as hexadecimal text.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What [`hex`] wrote.
///
/// # Panics
/// When it did not.
#[must_use]
pub fn from_hex(text: &str) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).expect("a hexadecimal digit") as u8;
    text.as_bytes().chunks(2).map(|pair| (digit(&pair[0]) << 4) | digit(&pair[1])).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::choices::Choices;
    use crate::every_message;
    use crate::frames;
    use crate::generate::generate;

    #[test]
    fn a_request_is_what_kafka_protocol_writes() {
        use kafka_protocol::messages::MetadataRequest;
        use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
        use kafka_protocol::protocol::StrBytes;
        let body = MetadataRequest::default().with_topics(Some(vec![
            MetadataRequestTopic::default().with_name(Some(StrBytes::from_static_str("orders").into())),
        ]));

        let ours = request(
            ApiKey::METADATA,
            12,
            7,
            "client",
            &json!({"Topics": [{"Name": "orders"}], "AllowAutoTopicCreation": true}),
        );

        assert_eq!(ours, frames::request(12, 7, &body));
    }

    #[test]
    fn every_generated_message_is_read_to_its_end() {
        for (api, version, direction) in every_message() {
            for seed in 0..20 {
                let frame = generate(api, version, direction, 7, &mut Choices::from_seed(seed));

                let message = read(api.key, version, direction, &frame.bytes[4..]).unwrap();

                assert_eq!(message.correlation_id, 7, "{} v{version}", api.name);
            }
        }
    }

    #[test]
    fn a_request_that_was_written_is_read_back() {
        let body = json!({"SessionId": 5, "Topics": [{"Topic": "orders", "Partitions": [{"Partition": 3}]}]});

        let frame = request(ApiKey::FETCH, 12, 9, "client", &body);
        let read = read(ApiKey::FETCH, 12, Direction::Request, &frame[4..]).unwrap();

        assert_eq!((read.client_id.as_deref(), read.correlation_id), (Some("client"), 9));
        assert_eq!(read.body["SessionId"], 5);
        assert_eq!(read.body["ReplicaId"], -1, "the default of Kafka");
        assert_eq!(read.body["Topics"][0]["Partitions"][0]["Partition"], 3);
        assert_eq!(read.entities, [(Entity::TopicName, "Topic", json!("orders"))]);
    }
}
