//! What the attacker fills the fields of generated requests with.

use bifrost_core::protocol::{Entity, Field, Kind};
use bifrost_testkit::choices::Choices;
use bifrost_testkit::generate::Content;
use bifrost_testkit::json::from_hex;

use crate::isolation::blobs;
use crate::isolation::needles::ATTACKER;
use crate::isolation::victim::{Victim, physical, records};

/// Patterns that try to match what is not the attacker's.
pub(crate) const ESCAPES: &[&str] = &[
    "x)|(?:.*",
    ".*",
    "tenantA-.*",
    "^tenantA-.*$",
    "|.*",
    ")|(.*",
    r"\Etenant.*",
    r"x\",
    "(?i)TENANTA-.*",
    r"x|\QtenantA-",
];

/// Names and ids, of the victim and of the attacker.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    /// Names of everything; the same name may stand for a topic and for a group.
    names: Vec<String>,
    topic_ids: Vec<Vec<u8>>,
    sessions: Vec<i64>,
    members: Vec<String>,
    producer_id: i64,
    records: Vec<u8>,
}

impl Words {
    /// The victim's virtual names, which are the attacker's too.
    pub(crate) fn shared(victim: &Victim, own_id: &str) -> Words {
        let names = ["orders", "billing", "crew", "fleet", "pool", "ledger", "own"].map(ToOwned::to_owned).into();
        let foreign = [victim.orders_id, victim.offsets_id].map(|id| id.to_vec());
        Words {
            names,
            topic_ids: foreign.into_iter().chain([from_hex(own_id), vec![0; 16], vec![0xff; 16]]).collect(),
            sessions: [victim.sessions(), vec![0]].concat(),
            members: vec![String::new(), victim.crew_member.clone(), "AAAAAAAAAAAAAAAAAAAAAQ".to_owned()],
            producer_id: victim.producer_id,
            records: from_hex(&records(&["of the attacker"], -1, -1, -1)),
        }
    }

    /// The names as the broker knows them, and names that come close.
    pub(crate) fn physical(victim: &Victim, own_id: &str) -> Words {
        let close =
            ["tenantA-zzz", "__consumer_offsets", "__transaction_state", "", ".", "..", "*", "\u{0}", "a/b", ":31:2:x"];
        let close = close.map(ToOwned::to_owned);
        let names = victim.guessed().into_iter().chain(close).chain(["y".repeat(249), physical("orders:") + own_id]);
        Words { names: names.collect(), ..Words::shared(victim, own_id) }
    }
}

impl Content for Words {
    fn content(&mut self, field: &'static Field, choices: &mut Choices<'_>) -> Option<Vec<u8>> {
        let mut text = |options: &[&str]| Some(choices.of(options).as_bytes().to_vec());
        if field.kind == Kind::String {
            return match (field.entity, field.name) {
                (Entity::ResourceName, "EntityType") => text(&["user", "client-id", "ip"]),
                (Entity::ResourceName, "SubscribedTopicRegex" | "TransactionalIdPattern" | "SourceTopicRegex") => {
                    text(ESCAPES)
                }
                (Entity::TopicName | Entity::GroupId | Entity::TransactionalId | Entity::ResourceName, _) => {
                    let at = choices.below(self.names.len());
                    Some(self.names[at].clone().into_bytes())
                }
                (_, "MemberId") => {
                    let at = choices.below(self.members.len());
                    Some(self.members[at].clone().into_bytes())
                }
                (_, "ProtocolType") => text(&["consumer"]),
                (_, "ProtocolName") => text(&["range"]),
                (_, "Name") => text(&["range", "retention.ms", "consumer.session.timeout.ms"]),
                (Entity::Opaque, "Value") => text(&["47000", "4711"]),
                (_, "ConfigurationKeys") => text(&["retention.ms", "cleanup.policy"]),
                (_, "StatesFilter") => text(&["Stable", "Empty"]),
                (_, "TypesFilter") => text(&["classic", "consumer", "share"]),
                (_, "StateFilters") => text(&["Ongoing", "Empty"]),
                (_, "ClientSoftwareName" | "ClientSoftwareVersion") => text(&["isolation"]),
                _ => None,
            };
        }
        match (field.entity, field.kind) {
            (Entity::TopicId, _) => {
                let at = choices.below(self.topic_ids.len());
                Some(self.topic_ids[at].clone())
            }
            (Entity::Records, _) => Some(self.records.clone()),
            (Entity::MemberMetadata, _) if field.name == "Metadata" || field.name == "Assignment" => {
                let topics: Vec<&str> = (0..choices.below(3)).map(|at| &*self.names[at]).collect();
                let blob = if field.name == "Metadata" { blobs::subscription } else { blobs::assignment };
                Some(from_hex(&blob(&topics)))
            }
            _ => self.number(field, choices),
        }
    }

    fn element(&mut self, field: &'static Field, choices: &mut Choices<'_>) -> Option<Vec<u8>> {
        self.number(field, choices)
    }
}

impl Words {
    /// Numbers for which a broker does something: partition 0, offset 0, this generation, a short time.
    fn number(&self, field: &'static Field, choices: &mut Choices<'_>) -> Option<Vec<u8>> {
        let options: &[i64] = match (field.entity, field.name) {
            (Entity::ResourceName, "PatternTypeFilter" | "PatternType" | "ResourcePatternType") => &[3, 4, 1, 2],
            (Entity::ResourceName, _) => &[2, 32, 2, 32, 4, 8, 16, 1, 3],
            (Entity::BrokerId, _) => &[-1, 1, 0, 2],
            (Entity::Offset, _) => &[0, 1, 3],
            (Entity::ProducerId, _) => &[self.producer_id, -1],
            (_, "Index" | "PartitionIndex" | "PartitionIndexes" | "Partition" | "Partitions") => &[0, 0, 0, 1],
            (_, "KeyType") => &[0, 1, 2],
            (_, "Acks") => &[-1, 1],
            (_, "TimeoutMs" | "timeoutMs" | "MaxWaitMs") => &[10],
            // With less the member has gone before the broker answers it, and then it does not.
            (_, "SessionTimeoutMs") => &[300],
            (_, "RebalanceTimeoutMs") => &[50],
            (_, "TransactionTimeoutMs") => &[5_000],
            (_, "MinBytes") => &[0, 1],
            (_, "MaxBytes" | "PartitionMaxBytes") => &[1 << 20],
            (_, "MaxRecords" | "BatchSize") => &[10],
            (_, "IsolationLevel") => &[0, 1],
            (_, "SessionId") => &[self.sessions[choices.below(self.sessions.len())]],
            (_, "SessionEpoch" | "ShareSessionEpoch" | "MemberEpoch" | "GenerationId" | "ProducerEpoch") => &[0, 1, -1],
            (_, "GenerationIdOrMemberEpoch" | "CurrentLeaderEpoch" | "LastFetchedEpoch" | "LeaderEpoch") => &[-1, 0],
            (_, "CommittedLeaderEpoch" | "DurationFilter" | "RetentionTimeMs") => &[-1],
            (_, "Timestamp") => &[-1, -2, 0],
            (_, "NumPartitions" | "Count" | "ReplicationFactor") => &[1, -1, 2],
            (_, "ConfigOperation") => &[0, 1, 2, 3],
            (_, "ResponsePartitionLimit") => &[2_000, 1],
            (_, "EndpointType") => &[1, 2],
            (_, "MatchType") => &[0, 1, 2],
            _ => return None,
        };
        let number = choices.of(options);
        let width = match field.kind {
            Kind::Int8 => 1,
            Kind::Int16 | Kind::Uint16 => 2,
            Kind::Int32 | Kind::Uint32 => 4,
            Kind::Int64 => 8,
            _ => return None,
        };
        Some(number.to_be_bytes()[8 - width..].to_vec())
    }
}

/// The attacker never says its own prefix, so that hearing it is a finding.
#[test]
fn no_word_holds_the_attackers_prefix() {
    assert!(ESCAPES.iter().all(|pattern| !pattern.contains(ATTACKER)));
}
