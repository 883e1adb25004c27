//! Brokers' error texts: what of them a tenant may read.
//!
//! A text is passed on with the tenant's prefixes taken off its names, and only with error codes whose texts quote nothing but
//! what the request said. Any other text is left out; the error code stays.

use crate::names::{Names, Refusal, Space};

/// INVALID_TOPIC_EXCEPTION. A name that collides with another one is refused with that name in the text, whoever owns it.
const INVALID_TOPIC: i16 = 17;

/// Codes whose texts quote only the request.
const QUOTING_THE_REQUEST: &[i16] = &[
    0,   // a remark
    2,   // CORRUPT_MESSAGE
    3,   // UNKNOWN_TOPIC_OR_PARTITION
    10,  // MESSAGE_TOO_LARGE
    24,  // INVALID_GROUP_ID
    25,  // UNKNOWN_MEMBER_ID
    33,  // UNSUPPORTED_SASL_MECHANISM
    34,  // ILLEGAL_SASL_STATE
    36,  // TOPIC_ALREADY_EXISTS
    37,  // INVALID_PARTITIONS
    38,  // INVALID_REPLICATION_FACTOR
    39,  // INVALID_REPLICA_ASSIGNMENT
    40,  // INVALID_CONFIG
    42,  // INVALID_REQUEST
    44,  // POLICY_VIOLATION
    58,  // SASL_AUTHENTICATION_FAILED
    68,  // NON_EMPTY_GROUP
    69,  // GROUP_ID_NOT_FOUND
    82,  // FENCED_INSTANCE_ID
    87,  // INVALID_RECORD
    100, // UNKNOWN_TOPIC_ID
    110, // FENCED_MEMBER_EPOCH
    111, // UNRELEASED_INSTANCE_ID
    112, // UNSUPPORTED_ASSIGNOR
    113, // STALE_MEMBER_EPOCH
    121, // INVALID_RECORD_STATE
    130, // STREAMS_INVALID_TOPOLOGY
    131, // STREAMS_INVALID_TOPOLOGY_EPOCH
    132, // STREAMS_TOPOLOGY_FENCED
];

/// What stands in place of a broker's text; `None` for nothing.
pub(crate) fn shown(names: &Names, code: i16, refusal: Option<Refusal>, text: &str) -> Option<String> {
    if let Some(refusal) = refusal {
        return Some(refusal.text().to_owned());
    }
    if code == INVALID_TOPIC {
        return Some(format!(
            "This name is not possible: a topic's name has 1 to {} characters out of a-z, A-Z, 0-9, '.', '_' and '-', is not \
             '.' or '..', and differs from other names in more than '.' and '_'.",
            names.topic_name_max()
        ));
    }
    if !QUOTING_THE_REQUEST.contains(&code) {
        return None;
    }
    stripped(names, text)
}

/// The text without the tenant's prefixes, or `None` when they cannot be told from other words.
pub(crate) fn stripped(names: &Names, text: &str) -> Option<String> {
    let prefixes = [&names.topics, &names.groups, &names.transactions].map(Space::prefix);
    let used = || prefixes.into_iter().filter(|prefix| !prefix.is_empty());
    // A prefix like `t` begins words, too.
    if used().any(|prefix| text.contains(prefix) && prefix.ends_with(char::is_alphanumeric)) {
        return None;
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_name = false;
    while let Some(next) = rest.chars().next() {
        let shared = names.shared_topics().find(|(physical, _)| !in_name && begins_with_name(rest, physical));
        let longest = used().filter(|prefix| !in_name && rest.starts_with(prefix)).max_by_key(|prefix| prefix.len());
        if let Some((physical, name)) = shared {
            shown.push_str(name);
            rest = rest.get(physical.len()..)?;
            in_name = true;
        } else if let Some(prefix) = longest {
            rest = rest.get(prefix.len()..)?;
            in_name = true;
        } else {
            shown.push(next);
            rest = rest.get(next.len_utf8()..)?;
            in_name = next.is_alphanumeric() || matches!(next, '.' | '_' | '-');
        }
    }
    Some(shown)
}

/// Whether the text begins with this name of a topic, alone or with a partition (`name-0`).
fn begins_with_name(text: &str, name: &str) -> bool {
    let rest = text.strip_prefix(name);
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '_')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn names(prefix: &str) -> Names {
        let prefix = || prefix.to_owned();
        Names::new(&Config {
            topic_prefix: prefix(),
            group_prefix: prefix(),
            transaction_id_prefix: prefix(),
            ..Config::default()
        })
    }

    #[test]
    fn own_names_are_shown_as_the_tenant_knows_them() {
        let shown = shown(&names("acme."), 36, None, "Topic 'acme.orders' already exists.");
        assert_eq!(shown.as_deref(), Some("Topic 'orders' already exists."));
    }

    #[test]
    fn a_prefix_inside_a_name_is_part_of_it() {
        let shown = stripped(&names("t1-"), "t1-about-t1-x and (t1-y)");
        assert_eq!(shown.as_deref(), Some("about-t1-x and (y)"));
    }

    #[test]
    fn a_collision_never_quotes_the_other_topic() {
        let text = "Topic 'acme.a.b' collides with existing topics: globex_a.b";
        assert!(!shown(&names("acme."), 17, None, text).unwrap().contains("globex"));
    }

    #[test]
    fn texts_of_other_codes_and_with_ambiguous_prefixes_are_left_out() {
        assert_eq!(shown(&names("acme."), -1, None, "java.lang.Exception: globex.x"), None);
        assert_eq!(shown(&names("t"), 36, None, "Topic 'torders' already exists."), None);
    }
}
