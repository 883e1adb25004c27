//! What an operator can set: the names of one tenant and what it may do with topics.

use serde::{Deserialize, Serialize};

/// The names of one virtual cluster. A *virtual* name is what its clients use, a *physical* name what the brokers see:
/// the prefix, then the virtual name. An empty prefix changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Prefix of topic names: letters, digits, `.`, `_` and `-`, at most 200 characters.
    pub topic_prefix: String,
    /// Prefix of the ids of groups of every type.
    pub group_prefix: String,
    /// Prefix of transactional ids.
    pub transaction_id_prefix: String,
    /// Prefix of the client id in request headers, which brokers use for quotas and logs.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_id_prefix: String,
    /// The cluster id that clients are shown in place of the real one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// Topics outside the prefix that the tenant may use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shared_topics: Vec<SharedTopic>,
    /// What the tenant may ask for when it creates or changes topics.
    pub topic_creation: TopicCreation,
}

/// A topic that does not belong to the tenant but is visible to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SharedTopic {
    /// Its physical name.
    pub topic: String,
    /// Its virtual name; the physical one when left out.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub shown_as: Option<String>,
    /// What the tenant may do with it.
    #[serde(default)]
    pub access: Access,
}

impl SharedTopic {
    /// The name that clients use.
    #[must_use]
    pub fn virtual_name(&self) -> &str {
        self.shown_as.as_deref().unwrap_or(&self.topic)
    }
}

/// What a tenant may do with a shared topic. Its deletion and configuration are never the tenant's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Access {
    /// Consume.
    #[default]
    ReadOnly,
    /// Consume and produce.
    ReadWrite,
}

/// Bounds on the topics that a tenant creates, by itself, through Kafka's auto-creation or as internal topics of a streams
/// group. What goes beyond is refused with POLICY_VIOLATION.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TopicCreation {
    /// Whether a Metadata request may create the topics it names. Brokers give those their own defaults, whatever the other
    /// fields say.
    pub auto_create: bool,
    /// Most partitions of a topic. A request for the broker's default (-1) passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions_max: Option<u32>,
    /// Highest replication factor. A request for the broker's default (-1) passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replication_factor_max: Option<u16>,
    /// Topic configs that may be set; all when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configs: Option<Vec<String>>,
}

impl Default for TopicCreation {
    fn default() -> Self {
        TopicCreation { auto_create: true, partitions_max: None, replication_factor_max: None, configs: None }
    }
}
