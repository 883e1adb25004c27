//! `spec.virtualization` of one document: what can be judged without the other documents.

use bifrost_tenancy::{SharedTopic, TopicCreation};

use crate::document::Virtualization;
use crate::yaml::Finding;

/// Kafka's bound on topic names, in characters.
const TOPIC_NAME_MAX: usize = 249;

/// Leaves clients at least 49 characters of a topic name. Characters.
const TOPIC_PREFIX_MAX: usize = 200;

/// Kafka does not bound these; a name has to stay readable in logs and metrics. Bytes.
const PREFIX_BYTES_MAX: usize = 200;

/// Bytes. Kafka's own ids have 22.
const CLUSTER_ID_BYTES_MAX: usize = 255;

/// Topics in which Kafka keeps what belongs to all tenants.
const KAFKA_TOPICS: &[&str] = &[
    "__consumer_offsets",
    "__transaction_state",
    "__share_group_state",
    "__cluster_metadata",
    "__remote_log_metadata",
];

/// What is wrong, with paths below `spec.virtualization`.
pub(crate) fn findings(virtualization: &Virtualization) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    findings.topic_prefix(&virtualization.topic_prefix);
    for (path, prefix) in [
        ("groupPrefix", &virtualization.group_prefix),
        ("transactionIdPrefix", &virtualization.transaction_id_prefix),
        ("clientIdPrefix", &virtualization.client_id_prefix),
    ] {
        findings.free_text(path, prefix, PREFIX_BYTES_MAX);
    }
    if let Some(id) = &virtualization.cluster_id {
        findings.cluster_id(id, "leave it out to show clients the real one");
    }
    findings.shared_topics(&virtualization.topic_prefix, &virtualization.shared_topics);
    findings.topic_creation(&virtualization.topic_creation);
    findings.0
}

/// What is wrong with a cluster id, real or virtual; `instead` is what to do when there is none.
pub(crate) fn cluster_id_findings(id: &str, instead: &str) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    findings.cluster_id(id, instead);
    findings.0
}

struct Findings(Vec<Finding>);

impl Findings {
    fn cluster_id(&mut self, id: &str, instead: &str) {
        const PATH: &str = "clusterId";
        if id.is_empty() {
            self.add(PATH, format!("is empty; {instead}"));
        }
        self.free_text(PATH, id, CLUSTER_ID_BYTES_MAX);
    }

    fn add(&mut self, path: &str, message: impl Into<String>) {
        self.0.push((path.to_owned(), message.into()));
    }

    fn topic_prefix(&mut self, prefix: &str) {
        const PATH: &str = "topicPrefix";
        if prefix == "." || prefix == ".." {
            self.add(PATH, format!("'{prefix}' is not a prefix; add letters or digits"));
        } else if !prefix.chars().all(is_topic_char) {
            self.add(
                PATH,
                format!("'{}' cannot begin a topic name; use letters, digits, '.', '_' and '-'", prefix.escape_debug()),
            );
        } else if prefix.len() > TOPIC_PREFIX_MAX {
            self.add(PATH, too_long(prefix.len(), "characters", TOPIC_PREFIX_MAX));
        } else if let Some(topic) = KAFKA_TOPICS.iter().find(|topic| !prefix.is_empty() && topic.starts_with(prefix)) {
            self.add(PATH, format!("'{prefix}' begins Kafka's own topic {topic}; choose another prefix"));
        }
    }

    /// Names that Kafka leaves free, within reason: they end up in logs and metrics.
    fn free_text(&mut self, path: &str, text: &str, bytes_max: usize) {
        if let Some(c) = text.chars().find(|c| is_invisible(*c)) {
            self.add(
                path,
                format!("has the character U+{:04X}, which cannot be seen by itself; remove it", u32::from(c)),
            );
        }
        if text.len() > bytes_max {
            self.add(path, too_long(text.len(), "bytes", bytes_max));
        }
    }

    fn shared_topics(&mut self, prefix: &str, topics: &[SharedTopic]) {
        if prefix.is_empty() && !topics.is_empty() {
            self.add(
                "sharedTopics",
                "without a topicPrefix every topic is visible already; set topicPrefix or remove this",
            );
            return;
        }
        for (index, topic) in topics.iter().enumerate() {
            let path = format!("sharedTopics[{index}]");
            let earlier = topics.get(..index).unwrap_or_default();
            if let Err(reason) = check_shared_topic(prefix, &topic.topic, earlier) {
                self.add(&format!("{path}.topic"), reason);
            } else if let Err(reason) = check_virtual_name(prefix, topic.virtual_name(), earlier) {
                let field = if topic.shown_as.is_some() { "as" } else { "topic" };
                self.add(&format!("{path}.{field}"), reason);
            }
        }
    }

    fn topic_creation(&mut self, creation: &TopicCreation) {
        for (field, bound) in [
            ("partitionsMax", creation.partitions_max),
            ("replicationFactorMax", creation.replication_factor_max.map(u32::from)),
        ] {
            if bound == Some(0) {
                self.add(&format!("topicCreation.{field}"), "must be at least 1; leave it out for no bound");
            }
        }
        for (index, config) in creation.configs.iter().flatten().enumerate() {
            if config.is_empty() || config.chars().any(|c| c.is_whitespace() || is_invisible(c)) {
                let message =
                    format!("'{}' is not the name of a topic config; correct or remove it", config.escape_debug());
                self.add(&format!("topicCreation.configs[{index}]"), message);
            }
        }
    }
}

fn too_long(length: usize, unit: &str, max: usize) -> String {
    format!("has {length} {unit}; at most {max} are allowed")
}

pub(crate) fn is_topic_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

/// Control and format characters, spaces other than the ordinary one, combining marks, unassigned code points: what Rust
/// escapes when it shows a text.
pub(crate) fn is_invisible(c: char) -> bool {
    !matches!(c, '\\' | '\'' | '"') && c.escape_debug().next() == Some('\\')
}

/// The physical name of a shared topic behind the `earlier` ones.
fn check_shared_topic(prefix: &str, topic: &str, earlier: &[SharedTopic]) -> Result<(), String> {
    check_topic_name(topic)?;
    if topic.starts_with(prefix) {
        Err(format!("'{topic}' begins with this virtual cluster's own topicPrefix and is visible already; remove it"))
    } else if KAFKA_TOPICS.contains(&topic) {
        Err(format!("{topic} holds what belongs to all tenants and cannot be shared; remove it"))
    } else if let Some(other) = earlier.iter().position(|other| other.topic == topic) {
        // An answer of a broker holds the physical name, and must become one virtual name.
        Err(format!("'{topic}' is sharedTopics[{other}] already; remove one of them"))
    } else {
        Ok(())
    }
}

/// The name by which clients know a shared topic. It could be that of an own topic too, so it has to fit behind the prefix.
fn check_virtual_name(prefix: &str, name: &str, earlier: &[SharedTopic]) -> Result<(), String> {
    check_topic_name(name)?;
    let length = prefix.len().saturating_add(name.len());
    if length > TOPIC_NAME_MAX {
        let reason = too_long(length, "characters behind the topicPrefix", TOPIC_NAME_MAX);
        Err(format!("'{name}' {reason}; set 'as' to a shorter name"))
    } else if let Some(other) = earlier.iter().position(|other| other.virtual_name() == name) {
        Err(format!("clients know sharedTopics[{other}] as '{name}' already; set 'as' to another name"))
    } else {
        Ok(())
    }
}

/// Kafka's rule, `Topic.validate` in its sources.
fn check_topic_name(name: &str) -> Result<(), String> {
    if name.len() > TOPIC_NAME_MAX {
        Err(too_long(name.len(), "bytes", TOPIC_NAME_MAX))
    } else if matches!(name, "" | "." | "..") || !name.chars().all(is_topic_char) {
        Err(format!(
            "'{}' is not a topic name; use letters, digits, '.', '_' and '-', not '.' or '..' alone",
            name.escape_debug()
        ))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(topic_prefix: &str) -> Virtualization {
        Virtualization { topic_prefix: topic_prefix.to_owned(), ..Virtualization::default() }
    }

    fn paths(virtualization: &Virtualization) -> Vec<String> {
        findings(virtualization).into_iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn no_names_at_all_are_right() {
        assert_eq!(findings(&Virtualization::default()), []);
    }

    #[test]
    fn a_topic_prefix_has_the_characters_of_a_topic_name() {
        for good in ["", "t1-", "a.b_C-9.", "_x", &"a".repeat(200)] {
            assert_eq!(findings(&tenant(good)), [], "{good}");
        }
        for bad in [".", "..", "a b", "a/", "ä", "a\n", "_", "__", "__consumer_offsets", &"a".repeat(201)] {
            assert_eq!(paths(&tenant(bad)), ["topicPrefix"], "{bad}");
        }
    }

    #[test]
    fn other_prefixes_are_any_text_that_can_be_seen() {
        for (text, good) in [
            ("", true),
            ("a b:/'\"\\ä漢", true),
            ("a\0", false),
            ("a\n", false),
            ("a\u{200b}", false),
            ("a\u{a0}", false),
            (&"a".repeat(200), true),
            (&"ä".repeat(101), false),
        ] {
            let virtualization = Virtualization { group_prefix: text.to_owned(), ..Virtualization::default() };
            assert_eq!(findings(&virtualization).is_empty(), good, "{text:?}");
        }
    }

    #[test]
    fn the_length_of_a_virtual_name_counts_with_the_prefix() {
        let shared = |length| SharedTopic {
            topic: "public".to_owned(),
            shown_as: Some("x".repeat(length)),
            access: Default::default(),
        };
        let virtualization = |length| Virtualization { shared_topics: vec![shared(length)], ..tenant("t1-") };
        assert_eq!(findings(&virtualization(246)), []);
        assert_eq!(paths(&virtualization(247)), ["sharedTopics[0].as"]);
    }
}
