//! What an operator can set: how much of what a virtual cluster, its clients and its topics may use.

use serde::{Deserialize, Serialize};

/// Limits of one virtual cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Of all clients together.
    pub limits: Limits,
    /// Of clients by who they are. Of several entries that fit a client the closest one counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub principals: Vec<PrincipalLimits>,
    /// Of clients by their client id. Of several entries that fit a client the closest one counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<ClientLimits>,
    /// Of topics by their virtual names. Of several entries that fit a topic the closest one counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<TopicLimits>,
}

/// How much may be used. What is left out is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of Produce requests, as they come; for topics, bytes of their record batches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub produce_bytes_per_second: Option<u64>,
    /// Bytes of Fetch and ShareFetch answers, as they go; for topics, bytes of their record batches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetch_bytes_per_second: Option<u64>,
    /// Requests of any kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u64>,
    /// Topics created with CreateTopics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic_creations_per_minute: Option<u64>,
    /// Partitions created with CreateTopics and CreatePartitions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition_creations_per_minute: Option<u64>,
    /// Connections at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// How much may be saved up while less is used, in seconds at the limit; 1 when left out. For limits per minute a minute at
    /// least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst_seconds: Option<u32>,
}

/// Limits of the clients that are certain principals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrincipalLimits {
    /// A principal, or one with `*` for any text; `$anonymous` is who has shown no certificate.
    pub principal: String,
    /// The limits are those of each principal by itself, not of all that fit together.
    #[serde(default, skip_serializing_if = "is_false")]
    pub each: bool,
    /// How much.
    pub limits: Limits,
}

/// Limits of the clients with certain client ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientLimits {
    /// A client id, or one with `*` for any text.
    pub client_id: String,
    /// The limits are those of each client id by itself, not of all that fit together.
    #[serde(default, skip_serializing_if = "is_false")]
    pub each: bool,
    /// How much.
    pub limits: Limits,
}

/// Limits of certain topics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TopicLimits {
    /// A topic, or a name with `*` for any text.
    pub topic: String,
    /// The limits are those of each topic by itself, not of all that fit together.
    #[serde(default, skip_serializing_if = "is_false")]
    pub each: bool,
    /// How much; requests and connections are of no topic.
    pub limits: Limits,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Bytes of Produce requests.
    ProduceBytes,
    /// Bytes of Fetch answers.
    FetchBytes,
    /// Requests.
    Requests,
    /// Topics created.
    TopicCreations,
    /// Partitions created.
    PartitionCreations,
}

impl Resource {
    /// Every one, in the order of their numbers.
    pub const ALL: [Resource; 5] = [
        Resource::ProduceBytes,
        Resource::FetchBytes,
        Resource::Requests,
        Resource::TopicCreations,
        Resource::PartitionCreations,
    ];

    /// Its part of a metric's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Resource::ProduceBytes => "produce_bytes",
            Resource::FetchBytes => "fetch_bytes",
            Resource::Requests => "requests",
            Resource::TopicCreations => "topic_creations",
            Resource::PartitionCreations => "partition_creations",
        }
    }

    /// The time that its limit speaks of.
    pub(crate) const fn period_ms(self) -> u32 {
        match self {
            Resource::ProduceBytes | Resource::FetchBytes | Resource::Requests => 1_000,
            Resource::TopicCreations | Resource::PartitionCreations => 60_000,
        }
    }
}

impl Limits {
    /// How much of `resource` may be used in its period.
    #[must_use]
    pub const fn of(&self, resource: Resource) -> Option<u64> {
        match resource {
            Resource::ProduceBytes => self.produce_bytes_per_second,
            Resource::FetchBytes => self.fetch_bytes_per_second,
            Resource::Requests => self.requests_per_second,
            Resource::TopicCreations => self.topic_creations_per_minute,
            Resource::PartitionCreations => self.partition_creations_per_minute,
        }
    }

    pub(crate) fn burst_ms(&self, resource: Resource) -> u32 {
        let burst_ms = self.burst_seconds.unwrap_or(1).saturating_mul(1_000);
        // Nobody means a sixth of a topic by "ten a minute".
        if resource.period_ms() > 1_000 { burst_ms.max(resource.period_ms()) } else { burst_ms }
    }

    fn limits_creations(&self) -> bool {
        self.topic_creations_per_minute.is_some() || self.partition_creations_per_minute.is_some()
    }
}

impl Config {
    /// Whether creating topics or partitions is limited. Then topics are created with CreateTopics only.
    #[must_use]
    pub fn limits_creations(&self) -> bool {
        let principals = self.principals.iter().map(|entry| &entry.limits);
        let clients = self.clients.iter().map(|entry| &entry.limits);
        let topics = self.topics.iter().map(|entry| &entry.limits);
        core::iter::once(&self.limits).chain(principals).chain(clients).chain(topics).any(Limits::limits_creations)
    }

    /// Whether `resource` is limited for any topic.
    pub(crate) fn limits_topics(&self, resource: Resource) -> bool {
        self.topics.iter().any(|entry| entry.limits.of(resource).is_some())
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
const fn is_false(value: &bool) -> bool {
    !*value
}
