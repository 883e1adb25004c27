//! The topics that the endpoint has.

use anyhow::{Context, Result};
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::{LIVE_TOPICS, PARTITIONS};
use crate::kafka::TENANT_PREFIX;

/// Of the topics in the list of all, the tenant has one in so many.
const TENANT_HAS_ONE_IN: usize = 5;

const ID: u128 = 0x0b1f_2057_be4c_4000_8000_0000_0000_0000;
/// Ids of listed topics lie behind those of all others.
const LISTED_ID: u128 = ID + (1 << 32);

/// What a topic is good for. Every one exists twice: as it is called here, and with the tenant's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    /// Answers are prepared: Produce is answered with offset 0, Fetch with one batch at offset 0 that is as long as the request
    /// lets it be.
    Bench,
    /// The same, with as many partitions as one request may ask for.
    Wide,
    /// Keeps what was produced and gives it out again; what real clients can work with.
    Live,
    /// As `Bench`, but in no client's Metadata: whoever wants to know whose it is has to ask for its id.
    Unseen,
}

const FAMILIES: [Family; 4] = [Family::Bench, Family::Wide, Family::Live, Family::Unseen];

impl Family {
    fn name(self) -> &'static str {
        match self {
            Self::Bench => "bench",
            Self::Wide => "wide",
            Self::Live => "live",
            Self::Unseen => "unseen",
        }
    }

    fn topics(self) -> usize {
        match self {
            Self::Bench => 1_000,
            Self::Live => LIVE_TOPICS,
            Self::Wide | Self::Unseen => 1,
        }
    }

    pub(crate) fn partitions(self) -> usize {
        match self {
            Self::Wide => 2_000,
            Self::Bench | Self::Live | Self::Unseen => PARTITIONS,
        }
    }
}

/// A topic that requests may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Topic {
    pub(crate) family: Family,
    index: usize,
    /// Its name has the tenant's prefix.
    tenants: bool,
}

/// A topic of the tenant that no Metadata answer has shown.
pub(crate) const UNSEEN: Topic = Topic { family: Family::Unseen, index: 0, tenants: true };

impl Topic {
    /// As clients call it, or as the endpoint does when there is no tenant.
    pub(crate) const fn new(family: Family, index: usize) -> Self {
        Self { family, index, tenants: false }
    }

    /// The one behind this prefix.
    pub(crate) fn behind(self, prefix: &str) -> Self {
        Self { tenants: prefix == TENANT_PREFIX, ..self }
    }

    pub(crate) fn name(self) -> String {
        format!("{}{}-{}", if self.tenants { TENANT_PREFIX } else { "" }, self.family.name(), self.index)
    }

    pub(crate) fn id(self) -> Uuid {
        let index = (self.index as u128) << 1 | u128::from(self.tenants);
        Uuid::from_u128(ID + ((self.family as u128 + 1) << 24) + index)
    }

    pub(super) fn by_name(name: &str) -> Result<Self> {
        let virtual_name = name.strip_prefix(TENANT_PREFIX);
        let parts = virtual_name.unwrap_or(name).split_once('-');
        let topic = parts.and_then(|(family, index)| {
            let family = FAMILIES.into_iter().find(|known| known.name() == family)?;
            Some(Self { family, index: index.parse().ok()?, tenants: virtual_name.is_some() })
        });
        let topic = topic.filter(|topic| topic.exists() && topic.name() == name);
        topic.with_context(|| format!("no topic '{name}'"))
    }

    pub(super) fn by_id(id: Uuid) -> Result<Self> {
        let index = usize::try_from(id.as_u128() >> 1 & 0x7f_ffff)?;
        let tenants = id.as_u128() & 1 == 1;
        let topics = FAMILIES.into_iter().map(|family| Self { family, index, tenants });
        let mut topics = topics.filter(|topic| topic.exists() && topic.id() == id);
        topics.next().with_context(|| format!("no topic with id {id}"))
    }

    fn exists(self) -> bool {
        self.index < self.family.topics()
    }

    /// Without its partitions.
    pub(super) fn metadata(self) -> MetadataResponseTopic {
        metadata(StrBytes::from_string(self.name()), self.id())
    }
}

/// All of a cluster with so many topics. As from a broker, which knows no tenants: theirs lie in between.
pub(super) fn listed(of: usize) -> impl Iterator<Item = MetadataResponseTopic> {
    (0..of).map(|index| {
        let prefix = if index.is_multiple_of(TENANT_HAS_ONE_IN) { TENANT_PREFIX } else { "t2-" };
        let name = StrBytes::from_string(format!("{prefix}team-{index:04}-events"));
        metadata(name, Uuid::from_u128(LISTED_ID + index as u128))
    })
}

/// How many of them are the tenant's.
pub(crate) fn listed_own(of: usize) -> usize {
    of.div_ceil(TENANT_HAS_ONE_IN)
}

fn metadata(name: StrBytes, id: Uuid) -> MetadataResponseTopic {
    MetadataResponseTopic::default().with_name(Some(TopicName(name))).with_topic_id(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_found_by_the_names_and_ids_they_have() {
        for family in FAMILIES {
            for prefix in ["", TENANT_PREFIX] {
                let last = Topic::new(family, family.topics() - 1).behind(prefix);
                assert_eq!(Topic::by_name(&last.name()).unwrap(), last);
                assert_eq!(Topic::by_id(last.id()).unwrap(), last);
                let beyond = Topic { index: family.topics(), ..last };
                assert!(Topic::by_name(&beyond.name()).is_err() && Topic::by_id(beyond.id()).is_err(), "{beyond:?}");
            }
        }
        for name in ["bench", "bench-01", "bench-+1", "t2-bench-1", "t1-t1-bench-1", "", "-", "bench-1000"] {
            assert!(Topic::by_name(name).is_err(), "{name}");
        }
        for id in [Uuid::nil(), Uuid::from_u128(7), Uuid::from_u128(LISTED_ID), Uuid::max()] {
            assert!(Topic::by_id(id).is_err(), "{id}");
        }
    }

    #[test]
    fn a_list_of_topics_holds_those_of_all_tenants() {
        for of in [10, 100, 1_000, 5_000, 10_000] {
            let own =
                |topic: &MetadataResponseTopic| topic.name.as_ref().is_some_and(|name| name.starts_with(TENANT_PREFIX));
            assert_eq!(listed(of).count(), of);
            assert_eq!(listed(of).filter(own).count(), listed_own(of));
        }
    }
}
