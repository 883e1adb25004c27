//! What a tenant may ask for when it creates topics or sets configs (`topicCreation` in the document).

use bifrost_core::protocol::ApiKey;
use bifrost_core::walker::{Array, Value};

use crate::config::TopicCreation;

/// Group config whose value is the name of a topic. Brokers want that name to begin with a prefix of their own (KIP-1191), so it
/// cannot have the tenant's.
pub(crate) const DEAD_LETTER_TOPIC: &str = "errors.deadletterqueue.topic.name";

/// Whether a number of partitions or replicas, of a topic or of an internal topic of a streams group, goes too far.
pub(crate) fn exceeds(policy: &TopicCreation, value: &Value<'_>) -> bool {
    let max = match value.field.name {
        "ReplicationFactor" => policy.replication_factor_max.map(u32::from),
        "NumPartitions" | "Count" | "Partitions" => policy.partitions_max,
        _ => None,
    };
    max.is_some_and(|max| value.number().unwrap_or(0) > i64::from(max))
}

/// Whether a config of a topic (or of a group) may not be set.
pub(crate) fn denies_config(policy: &TopicCreation, name: &str, of_group: bool) -> bool {
    if of_group {
        return name == DEAD_LETTER_TOPIC;
    }
    policy.configs.as_ref().is_some_and(|allowed| !allowed.iter().any(|known| known == name))
}

/// Whether replicas are assigned by hand: which node holds what is the operator's.
pub(crate) fn assigns_replicas(key: ApiKey, array: &Array) -> bool {
    let creates = matches!(key, ApiKey::CREATE_TOPICS | ApiKey::CREATE_PARTITIONS);
    creates && array.field.name == "Assignments" && array.count.unwrap_or(0) > 0
}

/// Whether requests of this API set configs.
pub(crate) fn sets_configs(key: ApiKey) -> bool {
    matches!(key, ApiKey::CREATE_TOPICS | ApiKey::ALTER_CONFIGS | ApiKey::INCREMENTAL_ALTER_CONFIGS)
}
