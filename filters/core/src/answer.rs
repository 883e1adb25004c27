//! Answers to requests that the gateway refuses, written from the protocol tables in any version.
//!
//! They hold what a broker's own error answers hold (`getErrorResponse` of every request class in `kafka-clients`): the error,
//! nothing that could be listed, and in the other fields the defaults of Kafka's definitions. What differs is legal and read
//! by no client: `Status` of StreamsGroupHeartbeat is null instead of empty, CreateDelegationToken names no principal, and an
//! expiry time is -1 in every answer about tokens, not in some of them 0.

use crate::fault::Fault;
use crate::protocol::{Api, ApiKey, Entity, Field, Kind};
use crate::reader::{Width, put_length, put_unsigned_varint};

/// Why a request is refused.
#[derive(Clone, Copy, Debug)]
pub struct Refusal<'a> {
    /// Kafka's number of the error.
    pub code: i16,
    /// A text for answers that have room for one; clients have their own for every code.
    pub message: Option<&'a str>,
    /// How many elements the request has (CreateAcls `Creations`, DeleteAcls `Filters`): their answers have no error code of
    /// their own but one for each element. Of no effect in other answers.
    pub elements: u32,
    /// What the request names (FindCoordinator from version 4 on, `CoordinatorKeys`; CreateTopics and CreatePartitions,
    /// topics): the answer has an element for each. Of no effect in other answers.
    pub names: &'a [String],
    /// How long the client shall wait, milliseconds.
    pub throttle_time_ms: i32,
}

impl Refusal<'_> {
    /// No text, no elements.
    #[must_use]
    pub const fn code(code: i16) -> Self {
        Refusal { code, message: None, elements: 0, names: &[], throttle_time_ms: 0 }
    }
}

/// True when the answer has an error code of its own. Without one only CreateAcls, DeleteAcls, FindCoordinator, CreateTopics and
/// CreatePartitions can be refused by [`refusal`]: what other answers list has to name what the request named.
#[must_use]
pub fn has_top_level_error(api: &Api, version: i16) -> bool {
    api.response.iter().any(|field| field.entity == Entity::ErrorCode && field.versions.contains(version))
}

/// The response body that refuses a request, without its header. As long as `refusal.elements` makes it: a caller passes the
/// count of a request that it has seen whole.
///
/// # Errors
/// `Internal` when the message is too long for its field.
pub fn refusal(api: &'static Api, version: i16, refusal: &Refusal<'_>) -> Result<Vec<u8>, Fault> {
    let elements = match api.key {
        ApiKey::CREATE_ACLS | ApiKey::DELETE_ACLS => refusal.elements,
        ApiKey::FIND_COORDINATOR | ApiKey::CREATE_TOPICS | ApiKey::CREATE_PARTITIONS => {
            u32::try_from(refusal.names.len()).unwrap_or(u32::MAX)
        }
        _ => 0,
    };
    let mut writer = Writer { version, flexible: api.flexible.contains(version), refusal, name: "", out: Vec::new() };
    writer.fields(api.response, elements)?;
    Ok(writer.out)
}

struct Writer<'r> {
    version: i16,
    flexible: bool,
    refusal: &'r Refusal<'r>,
    /// What the element is about.
    name: &'r str,
    out: Vec<u8>,
}

impl Writer<'_> {
    /// A struct without tagged fields, `elements` in each of its arrays of structs.
    fn fields(&mut self, fields: &'static [Field], elements: u32) -> Result<(), Fault> {
        for field in fields {
            if field.versions.contains(self.version) && !field.tagged.contains(self.version) {
                self.field(field, elements)?;
            }
        }
        if self.flexible {
            put_unsigned_varint(&mut self.out, 0);
        }
        Ok(())
    }

    fn field(&mut self, field: &'static Field, elements: u32) -> Result<(), Fault> {
        let is_null = field.nullable.contains(self.version);
        if field.array {
            let elements = if field.kind == Kind::Struct { elements } else { 0 };
            self.length(Width::Int32, (!is_null || elements > 0).then_some(elements as usize))?;
            return (0..elements as usize).try_for_each(|at| {
                self.name = self.refusal.names.get(at).map_or("", String::as_str);
                self.fields(field.fields, 0)
            });
        }
        match field.kind {
            // KIP-893: -1 is a null struct.
            Kind::Struct if is_null => self.out.extend_from_slice(&(-1i8).to_be_bytes()),
            Kind::Struct => self.fields(field.fields, 0)?,
            Kind::String => {
                let message = self.refusal.message.filter(|_| field.entity == Entity::ErrorMessage);
                let is_name = matches!(field.entity, Entity::ResourceName | Entity::TopicName);
                let name = if is_name { self.name } else { "" };
                let text = message.or((!is_null).then_some(name));
                self.length(Width::Int16, text.map(str::len))?;
                self.out.extend_from_slice(text.unwrap_or_default().as_bytes());
            }
            Kind::Bytes | Kind::Records => self.length(Width::Int32, (!is_null).then_some(0))?,
            Kind::Bool | Kind::Int8 => self.number::<1>(field),
            Kind::Int16 | Kind::Uint16 => self.number::<2>(field),
            Kind::Int32 | Kind::Uint32 => self.number::<4>(field),
            Kind::Int64 | Kind::Float64 => self.number::<8>(field),
            Kind::Uuid => self.out.extend_from_slice(&[0; 16]),
        }
        Ok(())
    }

    /// Writes a length; `wide` is its width in versions that are not flexible.
    fn length(&mut self, wide: Width, length: Option<usize>) -> Result<(), Fault> {
        match length {
            Some(length) => put_length(&mut self.out, if self.flexible { Width::Compact } else { wide }, length)?,
            None if self.flexible => put_unsigned_varint(&mut self.out, 0),
            None if wide == Width::Int16 => self.out.extend_from_slice(&(-1i16).to_be_bytes()),
            None => self.out.extend_from_slice(&(-1i32).to_be_bytes()),
        }
        Ok(())
    }

    /// Writes the low `N` bytes of a field's number.
    fn number<const N: usize>(&mut self, field: &Field) {
        let number = match field.entity {
            Entity::ErrorCode => i64::from(self.refusal.code),
            Entity::ThrottleTimeMs => i64::from(self.refusal.throttle_time_ms),
            _ => default(field),
        };
        let bytes = number.to_be_bytes();
        self.out.extend_from_slice(bytes.last_chunk::<N>().unwrap_or(&[0; N]));
    }
}

/// The number that stands for "none" in a field.
fn default(field: &Field) -> i64 {
    match (field.entity, field.name) {
        // No node, no producer, no generation, no offset, no time; 0 would be one.
        (Entity::BrokerId | Entity::BrokerPort | Entity::ProducerId | Entity::Offset, _)
        | (
            _,
            "NumPartitions"
            | "ReplicationFactor"
            | "GenerationId"
            | "ProducerEpoch"
            | "OngoingTxnProducerEpoch"
            | "AcceptableRecoveryLag",
        )
        | (_, "IssueTimestampMs" | "ExpiryTimestampMs" | "MaxTimestampMs") => -1,
        (Entity::AuthorizedOps, _) => i64::from(i32::MIN),
        // Brokers, not controllers.
        (_, "EndpointType") => 1,
        (_, "AllowReplicationFactorChange") => 1,
        _ => 0,
    }
}
