//! Filters that only tests want.

use bifrost_core::fault::Fault;
use bifrost_core::filter::{Context, Direction, Filter, FilterConfig, Message, Plan, Question};
use bifrost_core::protocol::{Api, ApiKey, Entity, VersionRange, api};
use bifrost_core::reader::{Width, put_padded_length, string_bytes};
use bifrost_core::walker::{Event, Value};

/// Looks at every message as `0` says and changes nothing.
pub struct Observer(pub Plan);

impl FilterConfig for Observer {
    fn supported(&self, key: ApiKey) -> Option<VersionRange> {
        api(key).map(|api| api.versions)
    }

    fn plan(&self, _: &'static Api, _: i16, _: Direction) -> Plan {
        self.0
    }

    fn connect(&self) -> Box<dyn Filter> {
        Box::new(Idle)
    }
}

/// Understands only these versions of these APIs.
pub struct Only(pub Vec<(ApiKey, VersionRange)>);

impl FilterConfig for Only {
    fn supported(&self, key: ApiKey) -> Option<VersionRange> {
        self.0.iter().find(|(known, _)| *known == key).map(|(_, versions)| *versions)
    }

    fn plan(&self, _: &'static Api, _: i16, _: Direction) -> Plan {
        Plan::Pass
    }

    fn connect(&self) -> Box<dyn Filter> {
        Box::new(Idle)
    }
}

/// Wants to hear of nothing, and ends the connection if it does.
pub struct Deaf;

impl FilterConfig for Deaf {
    fn supported(&self, key: ApiKey) -> Option<VersionRange> {
        api(key).map(|api| api.versions)
    }

    fn plan(&self, _: &'static Api, _: i16, _: Direction) -> Plan {
        Plan::Pass
    }

    fn connect(&self) -> Box<dyn Filter> {
        Box::new(Deaf)
    }
}

impl Filter for Deaf {
    fn on_event(&mut self, _: &Message, _: &Event<'_>, _: &mut Context<'_>) -> Result<(), Fault> {
        Err(Fault::Internal("heard of something that it did not want"))
    }
}

struct Idle;

impl Filter for Idle {
    fn on_event(&mut self, _: &Message, _: &Event<'_>, _: &mut Context<'_>) -> Result<(), Fault> {
        Ok(())
    }
}

/// Puts a prefix before every topic name of a Produce request and takes it off every one of a Fetch answer, while both stream
/// past. `kept`: whether it makes names as long as it promised.
pub struct Prefix {
    /// What comes before the names.
    pub prefix: &'static str,
    /// Whether promises are kept.
    pub kept: bool,
}

impl FilterConfig for Prefix {
    fn supported(&self, key: ApiKey) -> Option<VersionRange> {
        api(key).map(|api| api.versions)
    }

    fn plan(&self, api: &'static Api, version: i16, direction: Direction) -> Plan {
        match (api.key, direction) {
            (ApiKey::PRODUCE, Direction::Request) | (ApiKey::FETCH, Direction::Response) if version <= 12 => Plan::Head,
            _ => Plan::Pass,
        }
    }

    fn connect(&self) -> Box<dyn Filter> {
        Box::new(Prefix { ..*self })
    }
}

impl Prefix {
    fn renamed(&self, message: &Message, value: &Value<'_>) -> Result<Vec<u8>, Fault> {
        let old = value.text().unwrap_or_default();
        let is_request = message.direction == Direction::Request;
        let new = match old.strip_prefix(self.prefix) {
            Some(stripped) if !is_request => stripped.to_owned(),
            _ => format!("{}{old}", self.prefix),
        };
        let length_bytes = value.range.len() - old.len() + usize::from(is_request);
        match value.width {
            Width::Compact => {
                let mut bytes = Vec::new();
                put_padded_length(&mut bytes, length_bytes, new.len())?;
                bytes.extend_from_slice(new.as_bytes());
                Ok(bytes)
            }
            width => string_bytes(width, &new),
        }
    }
}

impl Filter for Prefix {
    fn on_event(&mut self, message: &Message, event: &Event<'_>, context: &mut Context<'_>) -> Result<(), Fault> {
        match event {
            Event::Array(array) if matches!(array.field.name, "TopicData" | "Responses") => {
                let length = i64::try_from(self.prefix.len()).unwrap_or(i64::MAX);
                let padding = i64::from(array.width == Width::Compact) + i64::from(!self.kept);
                let is_request = message.direction == Direction::Request;
                context.edits.promise(if is_request { length + padding } else { -length - i64::from(!self.kept) });
            }
            Event::Value(value) if value.field.entity == Entity::TopicName => {
                context.edits.replace(value.range.clone(), self.renamed(message, value)?);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Asks for Metadata of version `0` before the client's first request, and minds one cluster id.
#[derive(Clone, Copy)]
pub struct AsksFirst(pub i16);

impl AsksFirst {
    /// The cluster id that ends the connection.
    pub const MINDS: &'static str = "the cluster that AsksFirst minds";
}

impl FilterConfig for AsksFirst {
    fn supported(&self, key: ApiKey) -> Option<VersionRange> {
        api(key).map(|api| api.versions)
    }

    fn plan(&self, _: &'static Api, _: i16, _: Direction) -> Plan {
        Plan::Pass
    }

    fn asks_first(&self) -> Option<Question> {
        // No topics: only the brokers are asked for.
        Some(Question { key: ApiKey::METADATA, version: self.0, body: vec![0; 4] })
    }

    fn connect(&self) -> Box<dyn Filter> {
        Box::new(*self)
    }
}

impl Filter for AsksFirst {
    fn on_event(&mut self, _: &Message, event: &Event<'_>, _: &mut Context<'_>) -> Result<(), Fault> {
        match event {
            Event::Value(value) if value.bytes == Some(AsksFirst::MINDS.as_bytes()) => {
                Err(Fault::Foreign { field: value.field.name })
            }
            _ => Ok(()),
        }
    }
}

/// What a filter of a test does with an event.
pub type OnEvent = fn(&Message, &Event<'_>, &mut Context<'_>) -> Result<(), Fault>;

/// Sees every message whole and does what the function says.
pub struct Does(pub OnEvent);

impl FilterConfig for Does {
    fn supported(&self, key: ApiKey) -> Option<VersionRange> {
        api(key).map(|api| api.versions)
    }

    fn plan(&self, _: &'static Api, _: i16, _: Direction) -> Plan {
        Plan::Whole
    }

    fn connect(&self) -> Box<dyn Filter> {
        Box::new(Does(self.0))
    }
}

impl Filter for Does {
    fn on_event(&mut self, message: &Message, event: &Event<'_>, context: &mut Context<'_>) -> Result<(), Fault> {
        (self.0)(message, event, context)
    }
}
