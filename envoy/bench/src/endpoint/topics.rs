//! The topics that the endpoint has.

use anyhow::{Context, Result};
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::kafka::TENANT_PREFIX;

/// What a Metadata request that names no topic is answered with ...
pub(crate) const LISTED: u128 = 1_000;
/// ... of which this many are the tenant's.
pub(crate) const LISTED_OWN: u128 = 200;

const ID: u128 = 0x0b1f_2057_be4c_4000_8000_0000_0000_0000;

/// A topic that requests may name.
pub(crate) struct Topic {
    pub(crate) name: &'static str,
    pub(crate) id: Uuid,
}

/// In nobody's Metadata: whoever wants to know whose it is has to ask for its id.
pub(crate) const UNSEEN: &Topic = &Topic { name: "t1-unseen", id: Uuid::from_u128(ID + 3) };

const TOPICS: &[&Topic] = &[
    &Topic { name: "bench", id: Uuid::from_u128(ID + 1) },
    &Topic { name: "t1-bench", id: Uuid::from_u128(ID + 2) },
    UNSEEN,
];

pub(super) fn by_name(name: &str) -> Result<&'static Topic> {
    TOPICS.iter().find(|topic| topic.name == name).copied().with_context(|| format!("no topic '{name}'"))
}

pub(super) fn by_id(id: Uuid) -> Result<&'static Topic> {
    TOPICS.iter().find(|topic| topic.id == id).copied().with_context(|| format!("no topic with id {id}"))
}

impl Topic {
    pub(super) fn metadata(&self) -> MetadataResponseTopic {
        metadata(StrBytes::from_static_str(self.name), self.id)
    }
}

/// As from a broker, which knows no tenants: theirs lie in between.
pub(super) fn listed() -> impl Iterator<Item = MetadataResponseTopic> {
    (0..LISTED).map(|index| {
        let prefix = if index % (LISTED / LISTED_OWN) == 0 { TENANT_PREFIX } else { "t2-" };
        metadata(
            StrBytes::from_string(format!("{prefix}team-{index:04}-events")),
            Uuid::from_u128(ID + (1 << 32) + index),
        )
    })
}

fn metadata(name: StrBytes, id: Uuid) -> MetadataResponseTopic {
    MetadataResponseTopic::default().with_name(Some(TopicName(name))).with_topic_id(id)
}
