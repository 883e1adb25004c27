//! Names: from virtual to physical and back.
//!
//! A physical name is the prefix and the virtual name. Two kinds of names have another first part, chosen so that a broker
//! refuses the name by itself, because `:` is not allowed in topic names:
//!
//! - *Impossible* names (`""`, `.`, `..`) would become possible behind a prefix. They get the prefix with `:` for its first
//!   character, which has the same length, so they stream like any other name.
//! - *Refused* names get `:<code>:<resource type>:`, empty group and transactional ids included: nobody has a group or a
//!   transaction of that name, because all others have a prefix. The broker answers for them like for the others, in its own
//!   order; the answer's error code is then replaced by the one in the name. So nothing has to be remembered of an element,
//!   and none has to be cut out and put back.
//!
//! Everything else that Kafka refuses (characters, length) it refuses behind the prefix too.

use std::collections::HashMap;

use crate::config::{Access, Config};
use crate::topic_ids::Standing;

/// Longest string of Kafka's protocol, bytes.
const STRING_BYTES_MAX: usize = 32_767;

/// Longest name of a topic.
const TOPIC_NAME_MAX: usize = 249;

/// Error codes of Kafka that refuse one element of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// INVALID_GROUP_ID: it is empty.
    EmptyGroup = 24,
    /// TOPIC_AUTHORIZATION_FAILED: the topic is shared and this is not allowed with it.
    Shared = 29,
    /// CLUSTER_AUTHORIZATION_FAILED: the resource is the operator's.
    Cluster = 31,
    /// TOPIC_ALREADY_EXISTS: as a shared topic.
    Exists = 36,
    /// INVALID_REQUEST: the name is empty.
    EmptyName = 42,
    /// POLICY_VIOLATION: beyond `topicCreation`.
    Policy = 44,
}

impl Refusal {
    /// What is wrong, for a person.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Refusal::EmptyGroup => "A group id must not be empty.",
            Refusal::EmptyName => "This name must not be empty.",
            Refusal::Shared => {
                "This topic is shared with this virtual cluster; it can be read, or written if it is shared so, but not changed."
            }
            Refusal::Cluster => "This resource belongs to the operator of the cluster, not to a virtual cluster.",
            Refusal::Exists => "A shared topic of this virtual cluster has this name.",
            Refusal::Policy => "The topic policy of this virtual cluster does not allow this.",
        }
    }

    pub(crate) fn from_code(code: u64) -> Option<Refusal> {
        use Refusal::{Cluster, EmptyGroup, EmptyName, Exists, Policy, Shared};
        [EmptyGroup, Shared, Cluster, Exists, EmptyName, Policy].into_iter().find(|r| *r as u64 == code)
    }
}

/// How a name changes on its way: so many bytes off its front, then this in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change<'a> {
    pub(crate) cut: usize,
    pub(crate) put: &'a str,
}

impl Change<'_> {
    pub(crate) const NONE: Change<'static> = Change { cut: 0, put: "" };
}

/// What a physical name is to the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin<'a> {
    /// Its own, or a shared topic: this change makes the virtual name.
    Own(Change<'a>),
    /// A name that was refused on its way to the broker.
    Refused {
        /// Bytes before the virtual name.
        cut: usize,
        /// Why.
        refusal: Refusal,
        /// The resource type that the request had.
        resource_type: i8,
    },
    /// Somebody else's.
    Foreign,
}

/// What a request does to the topics it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Sees or consumes.
    Read,
    /// Produces.
    Write,
    /// Creates.
    Create,
    /// Deletes or configures.
    Manage,
}

/// One kind of names: topics, groups, transactional ids or client ids.
#[derive(Clone, Debug)]
pub(crate) struct Space {
    prefix: String,
}

impl Space {
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether names change at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.prefix.is_empty()
    }

    pub(crate) fn physical(&self) -> Change<'_> {
        Change { cut: 0, put: &self.prefix }
    }

    pub(crate) fn origin(&self, physical: &str) -> Origin<'static> {
        if physical.starts_with(&self.prefix) {
            Origin::Own(Change { cut: self.prefix.len(), put: "" })
        } else {
            refused(physical).unwrap_or(Origin::Foreign)
        }
    }
}

/// All names of one tenant.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) topics: Space,
    pub(crate) groups: Space,
    pub(crate) transactions: Space,
    pub(crate) clients: Space,
    /// What stands before impossible topic names; as long as the prefix.
    impossible: String,
    /// By virtual name.
    shared: HashMap<String, (String, Access)>,
    /// Physical name to virtual name.
    shared_back: HashMap<String, String>,
}

impl Names {
    pub(crate) fn new(config: &Config) -> Self {
        let space = |prefix: &String| Space { prefix: prefix.clone() };
        let mut rest = config.topic_prefix.chars();
        let impossible = if rest.next().is_some() { format!(":{}", rest.as_str()) } else { String::new() };
        let shared = config.shared_topics.iter();
        Names {
            topics: space(&config.topic_prefix),
            groups: space(&config.group_prefix),
            transactions: space(&config.transaction_id_prefix),
            clients: space(&config.client_id_prefix),
            impossible,
            shared: shared.clone().map(|s| (s.virtual_name().to_owned(), (s.topic.clone(), s.access))).collect(),
            shared_back: shared.map(|s| (s.topic.clone(), s.virtual_name().to_owned())).collect(),
        }
    }

    /// Whether all topic names change by the same number of bytes, so that they can be changed in a message that streams.
    pub(crate) fn topics_grow_alike(&self) -> bool {
        self.shared.is_empty()
    }

    /// What makes a virtual topic name physical, or why it must not reach a topic.
    pub(crate) fn physical_topic(&self, name: &str, deed: Deed) -> Result<Change<'_>, Refusal> {
        if let Some((topic, access)) = self.shared.get(name) {
            return match (deed, access) {
                (Deed::Read, _) | (Deed::Write, Access::ReadWrite) => Ok(Change { cut: name.len(), put: topic }),
                (Deed::Create, _) => Err(Refusal::Exists),
                (Deed::Write, Access::ReadOnly) | (Deed::Manage, _) => Err(Refusal::Shared),
            };
        }
        let put = if matches!(name, "" | "." | "..") { &self.impossible } else { &self.topics.prefix };
        Ok(Change { cut: 0, put })
    }

    /// Whether clients see a shared topic under this name.
    pub(crate) fn is_shared(&self, name: &str) -> bool {
        self.shared.contains_key(name)
    }

    /// Physical and virtual names of the shared topics.
    pub(crate) fn shared_topics(&self) -> impl Iterator<Item = (&str, &str)> {
        self.shared_back.iter().map(|(physical, name)| (&**physical, &**name))
    }

    /// What makes any topic name one that no topic has.
    pub(crate) fn impossible_topic(&self) -> Change<'_> {
        Change { cut: 0, put: if self.impossible.is_empty() { ":" } else { &self.impossible } }
    }

    /// What a physical topic name is to the tenant.
    pub(crate) fn topic_origin(&self, physical: &str) -> Origin<'_> {
        if let Some(name) = self.shared_back.get(physical) {
            return Origin::Own(Change { cut: physical.len(), put: name });
        }
        if let Some("" | "." | "..") = physical.strip_prefix(&*self.impossible) {
            return Origin::Own(Change { cut: self.impossible.len(), put: "" });
        }
        // Behind a prefix nothing begins like a refused name; without one only names that are impossible anyway.
        refused(physical).unwrap_or_else(|| self.topics.origin(physical))
    }

    /// What the tenant may do with the topic of this physical name; `None` when it is somebody else's.
    pub(crate) fn standing(&self, physical: &str) -> Option<Standing> {
        match self.shared_back.get(physical).and_then(|name| self.shared.get(name)) {
            Some((_, access)) => Some(Standing::Shared(*access)),
            None => physical.starts_with(self.topics.prefix()).then_some(Standing::Owned),
        }
    }

    /// What a client may call a topic at most, characters.
    pub(crate) fn topic_name_max(&self) -> usize {
        TOPIC_NAME_MAX.saturating_sub(self.topics.prefix.len())
    }

    /// Whether the changed name still fits Kafka's strings.
    pub(crate) fn fits(name_bytes: usize, change: &Change<'_>) -> bool {
        name_bytes.saturating_sub(change.cut).saturating_add(change.put.len()) <= STRING_BYTES_MAX
    }
}

/// What stands before a refused name.
pub(crate) fn refused_prefix(refusal: Refusal, resource_type: i8) -> String {
    format!(":{}:{resource_type}:", refusal as i64)
}

fn refused(physical: &str) -> Option<Origin<'static>> {
    let (code, rest) = physical.strip_prefix(':')?.split_once(':')?;
    let (resource_type, name) = rest.split_once(':')?;
    let refusal = Refusal::from_code(code.parse().ok()?)?;
    let resource_type = resource_type.parse().ok()?;
    Some(Origin::Refused { cut: physical.len().saturating_sub(name.len()), refusal, resource_type })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SharedTopic;

    fn names(prefix: &str) -> Names {
        let shared = |topic: &str, shown_as: &str, access| SharedTopic {
            topic: topic.to_owned(),
            shown_as: Some(shown_as.to_owned()),
            access,
        };
        Names::new(&Config {
            topic_prefix: prefix.to_owned(),
            shared_topics: vec![
                shared("reference.countries", "countries", Access::ReadOnly),
                shared("public.events", "events", Access::ReadWrite),
            ],
            ..Config::default()
        })
    }

    fn apply(name: &str, change: &Change<'_>) -> String {
        format!("{}{}", change.put, name.get(change.cut..).unwrap())
    }

    fn back(names: &Names, physical: &str) -> Option<String> {
        match names.topic_origin(physical) {
            Origin::Own(change) => Some(apply(physical, &change)),
            Origin::Refused { cut, .. } => physical.get(cut..).map(str::to_owned),
            Origin::Foreign => None,
        }
    }

    #[test]
    fn every_name_comes_back_as_it_went() {
        for prefix in ["acme.", "t", "t1-", ""] {
            let names = names(prefix);
            for name in ["orders", "", ".", "..", "acme.orders", ":44:2:x", "a:b", "countries", "events", "é"] {
                if prefix.is_empty() && name.starts_with(':') {
                    continue;
                }
                let change = names.physical_topic(name, Deed::Read).unwrap();
                let physical = apply(name, &change);
                assert_eq!(back(&names, &physical).as_deref(), Some(name), "{prefix} {name} {physical}");
            }
        }
    }

    #[test]
    fn impossible_names_stay_impossible_and_grow_like_the_others() {
        let names = names("acme.");
        for name in ["", ".", ".."] {
            let change = names.physical_topic(name, Deed::Create).unwrap();
            assert!(change.put.contains(':') && change.put.len() == "acme.".len());
        }
    }

    #[test]
    fn names_of_others_are_foreign() {
        let names = names("acme.");
        for physical in ["orders", "acm", "acme", "", "ACME.x", "__consumer_offsets", "reference.other", "countries"] {
            assert_eq!(names.topic_origin(physical), Origin::Foreign, "{physical}");
        }
    }

    #[test]
    fn shared_topics_are_reached_only_as_they_are_shared() {
        let names = names("acme.");
        let physical = |name, deed| names.physical_topic(name, deed).map(|change| apply(name, &change));
        assert_eq!(physical("countries", Deed::Read).as_deref(), Ok("reference.countries"));
        assert_eq!(physical("countries", Deed::Write), Err(Refusal::Shared));
        assert_eq!(physical("events", Deed::Write).as_deref(), Ok("public.events"));
        assert_eq!(physical("events", Deed::Manage), Err(Refusal::Shared));
        assert_eq!(physical("events", Deed::Create), Err(Refusal::Exists));
    }

    #[test]
    fn a_refused_name_says_why() {
        let names = names("acme.");
        let physical = format!("{}1", refused_prefix(Refusal::Cluster, 4));
        assert_eq!(
            names.topic_origin(&physical),
            Origin::Refused { cut: 6, refusal: Refusal::Cluster, resource_type: 4 }
        );
    }
}
