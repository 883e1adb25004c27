//! What the client and the broker write: names, ids and texts of the tenant and of others.

use bifrost_core::protocol::{Api, ApiKey, Entity, Field, Kind};
use bifrost_tenancy::{Access, Config, SharedTopic, TopicCreation};

use crate::addresses::Realistic;
use crate::choices::Choices;
use crate::generate::Content;

/// What physical names of the tenant begin with.
pub(super) const PREFIX: &str = "t1-";

/// What the client id gets.
pub(super) const CLIENT_PREFIX: &str = "t1-by-";

/// What everything holds that no client of the tenant may read.
pub(super) const FOREIGN: &str = "SECRET";

/// The cluster id that clients are shown.
const CLUSTER_ID: &str = "shown";

/// Topics that a broker holds, by id: number and physical name.
const TOPICS: &[(u8, &str)] = &[
    (1, "t1-orders"),
    (2, "t1-t1-a"),
    (3, "all.countries"),
    (4, "all.events"),
    (5, "t2-SECRET"),
    (6, "t1"),
    (7, "SECRET.t1-orders"),
];

/// Stands for a name that no topic has.
const NO_TOPIC: u8 = 0;

/// A topic id that only brokers know.
pub(super) fn topic_id(number: u8) -> [u8; 16] {
    let mut id = [0x1d; 16];
    id[15] = number;
    id
}

/// The number of such an id.
pub(super) fn topic_number(id: &[u8]) -> Option<u8> {
    let (number, rest) = id.split_last()?;
    let known = rest == &topic_id(0)[..15] && (1..=TOPICS.len() as u8).contains(number);
    known.then_some(*number)
}

/// The physical name of the topic with this number.
pub(super) fn topic_name(number: u8) -> &'static str {
    TOPICS.iter().find(|(known, _)| *known == number).expect("a topic").1
}

/// Stands in an answer for the hidden id with this place in the request.
pub(super) const HIDDEN: [u8; 15] = [0xc5; 15];

/// The tenant, plain or with everything that can be configured.
pub(super) fn config(full: bool) -> Config {
    let prefixes = Config {
        topic_prefix: PREFIX.to_owned(),
        group_prefix: PREFIX.to_owned(),
        transaction_id_prefix: PREFIX.to_owned(),
        ..Config::default()
    };
    if !full {
        return prefixes;
    }
    let shared = |topic: &str, shown_as: Option<&str>, access| SharedTopic {
        topic: topic.to_owned(),
        shown_as: shown_as.map(str::to_owned),
        access,
    };
    Config {
        client_id_prefix: CLIENT_PREFIX.to_owned(),
        cluster_id: Some(CLUSTER_ID.to_owned()),
        shared_topics: vec![
            shared(READ_ONLY, Some("countries"), Access::ReadOnly),
            shared(READ_WRITE, None, Access::ReadWrite),
        ],
        topic_creation: TopicCreation {
            auto_create: false,
            partitions_max: Some(10),
            replication_factor_max: Some(3),
            configs: Some(vec!["retention.ms".to_owned()]),
        },
        ..prefixes
    }
}

/// Physical names of the shared topics.
pub(super) const READ_ONLY: &str = "all.countries";
pub(super) const READ_WRITE: &str = "all.events";

/// Names as clients write them.
const VIRTUAL: &[&str] = &["orders", "t1-a", "", ".", "..", ":29:2:x", ":", "countries", READ_ONLY, READ_WRITE, "t2-x"];

/// A name of which a length takes another byte when the prefix comes before it, and one that is too long for Kafka.
const LONG: &[usize] = &[124, 126, 127, 247, 16_381];

fn text(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

fn number(number: i32) -> Option<Vec<u8>> {
    Some(number.to_be_bytes().to_vec())
}

fn some_bytes(choices: &mut Choices<'_>, alphabet: &[u8], most: usize) -> Vec<u8> {
    (0..choices.below(most + 1)).map(|_| choices.of(alphabet)).collect()
}

/// A member's bytes, well formed or not.
fn member(field: &Field, names: &[&str], choices: &mut Choices<'_>) -> Vec<u8> {
    let topics = |out: &mut Vec<u8>, names: &[&str], with_partitions: bool| {
        out.extend((names.len() as i32).to_be_bytes());
        for name in names {
            out.extend((name.len() as i16).to_be_bytes());
            out.extend(name.as_bytes());
            if with_partitions {
                out.extend([0, 0, 0, 1, 0, 0, 0, 5]);
            }
        }
    };
    let is_assignment = field.name.ends_with("Assignment");
    let mut out = vec![0, choices.of(&[1, 0, 3, 9, 0xff])];
    let names: Vec<&str> = (0..choices.below(3)).map(|_| choices.of(names)).collect();
    topics(&mut out, &names, is_assignment);
    out.extend(3i32.to_be_bytes());
    out.extend(b"own");
    if !is_assignment {
        topics(&mut out, &names, true);
    }
    match choices.below(8) {
        6 => out.truncate(choices.below(out.len())),
        7 => {
            let at = choices.below(out.len());
            out[at] = choices.byte();
        }
        _ => {}
    }
    out
}

/// What clients write.
pub(super) struct Requests(pub(super) Realistic);

impl Content for Requests {
    fn content(&mut self, field: &'static Field, choices: &mut Choices<'_>) -> Option<Vec<u8>> {
        match (field.entity, field.name) {
            (Entity::TopicName | Entity::GroupId | Entity::TransactionalId, _) => match choices.below(20) {
                16 => Some(vec![0xff, 0xfe]),
                17 => Some(vec![b'l'; choices.of(LONG)]),
                18 => Some(some_bytes(choices, b"a.:-t1_", 8)),
                _ => text(choices.of(VIRTUAL)),
            },
            (Entity::TopicId, _) => Some(match choices.below(12) {
                number @ 1..=7 => topic_id(number as u8).to_vec(),
                8 => choices.array::<16>().to_vec(),
                9 => [&HIDDEN[..], &[0]].concat(),
                _ => vec![0; 16],
            }),
            (Entity::ResourceName, "ResourceType") => Some(vec![choices.of(&[2, 2, 32, 4, 8, 16, 0xff])]),
            (Entity::ResourceName, "SubscribedTopicRegex" | "TransactionalIdPattern") => match choices.below(4) {
                0 => text(choices.of(&["a.*", "x)|(?:.*", "^a$|b", "(?i)x{2,3}", "", "[^a]", "\\Qa"])),
                _ => Some(some_bytes(choices, b"ab.*+?()[]|\\{}^$:,-02<>iPQEzx&~", 12)),
            },
            (Entity::ResourceName, _) if field.kind == Kind::String => text(choices.of(VIRTUAL)),
            (Entity::MemberMetadata, _) => Some(member(field, VIRTUAL, choices)),
            (Entity::BrokerId, "ReplicaId") => number(choices.of(&[-1, 0, 5])),
            (Entity::ClusterId, _) => text(choices.of(&[CLUSTER_ID, "other"])),
            (_, "EndpointType") => Some(vec![choices.of(&[1, 1, 2])]),
            (_, "KeyType") => Some(vec![choices.of(&[0, 1, 0, 1, 2])]),
            (_, "ProtocolType") => text(choices.of(&["consumer", "consumer", "connect"])),
            (_, "SessionId") => number(choices.of(&[0, 0, 5])),
            (_, "SessionEpoch") => number(choices.of(&[0, -1, 3])),
            (_, "ReplicationFactor") => Some(choices.of(&[-1i16, 3, 4]).to_be_bytes().to_vec()),
            (_, "NumPartitions" | "Count") => number(choices.of(&[-1, 10, 11])),
            (_, "Name" | "Key") if field.kind == Kind::String => {
                text(choices.of(&["retention.ms", "cleanup.policy", DEAD_LETTER_TOPIC]))
            }
            _ => self.0.content(field, choices),
        }
    }

    fn null(&mut self, field: &'static Field, choices: &mut Choices<'_>) -> bool {
        self.0.null(field, choices)
    }
}

const DEAD_LETTER_TOPIC: &str = "errors.deadletterqueue.topic.name";

/// Error codes whose texts may quote anything, so they are not shown; and others.
const SECRET_CODES: &[i16] = &[29, 41, 55, -1, 31];
const CODES: &[i16] = &[0, 0, 3, 17, 24, 35, 100];

/// What brokers write.
pub(super) struct Answers {
    realistic: Realistic,
    key: ApiKey,
    /// There are shared topics.
    shared: bool,
    /// Others' names stand among the tenant's.
    foreign: bool,
    /// Texts quote others' names, with codes that say so.
    secret_texts: bool,
    /// Topic ids come before the names that they belong to.
    ids_first: bool,
    /// The topic whose name has been written and not its id, or the other way round.
    topic: Option<u8>,
    dead_letter_topic: bool,
    unknown_tags: bool,
}

impl Answers {
    pub(super) fn new(api: &Api, version: i16, shared: bool, foreign: bool, choices: &mut Choices<'_>) -> Self {
        Answers {
            realistic: Realistic::new(true),
            key: api.key,
            shared,
            foreign,
            // Fetch answers stream before their texts are known.
            secret_texts: choices.one_in(3),
            ids_first: ids_first(api.response, version),
            topic: None,
            dead_letter_topic: false,
            // The cursor's end is taken to be one byte.
            unknown_tags: api.key != ApiKey::DESCRIBE_TOPIC_PARTITIONS,
        }
    }

    /// Any topic, of others only when that may be.
    fn any_topic(&self, choices: &mut Choices<'_>) -> u8 {
        match (self.foreign && choices.one_in(3), self.shared) {
            (true, _) => choices.of(&[5, 6, 7]),
            (false, true) => choices.of(&[1, 2, 1, 3, 4]),
            (false, false) => choices.of(&[1, 2]),
        }
    }

    fn name(&self, own: &[&str], choices: &mut Choices<'_>) -> Option<Vec<u8>> {
        let foreign = self.foreign && choices.one_in(3);
        text(choices.of(if foreign { &["t2-SECRET", "SECRET", ":SECRET", "t1SECRET", ":99:0:SECRET"] } else { own }))
    }
}

impl Content for Answers {
    fn content(&mut self, field: &'static Field, choices: &mut Choices<'_>) -> Option<Vec<u8>> {
        match (field.entity, field.name) {
            (Entity::TopicName, _) if self.ids_first => {
                let number = self.topic.take().unwrap_or_else(|| self.any_topic(choices));
                text(topic_name(number))
            }
            (Entity::TopicName, _) => match choices.below(6) {
                4 => {
                    self.topic = Some(NO_TOPIC);
                    text(":1-..")
                }
                // What streams has a name that is as long as any.
                5 if self.key != ApiKey::FETCH => {
                    self.topic = Some(NO_TOPIC);
                    self.name(&[":29:2:x", ":44:2:", "t1-", "t1-\u{fc}"], choices)
                }
                _ => {
                    let number = self.any_topic(choices);
                    self.topic = Some(number);
                    text(topic_name(number))
                }
            },
            (Entity::TopicId, _) => Some(match choices.below(8) {
                5 if self.topic.is_none() => [&HIDDEN[..], &[0]].concat(),
                6 if self.topic.is_none() => [&HIDDEN[..], &[1]].concat(),
                7 => {
                    self.topic = None;
                    vec![0; 16]
                }
                _ => {
                    let number = self.topic.take().unwrap_or_else(|| self.any_topic(choices));
                    if self.ids_first {
                        self.topic = Some(number);
                    }
                    if number == NO_TOPIC { vec![0; 16] } else { topic_id(number).to_vec() }
                }
            }),
            (Entity::GroupId, _) => self.name(&["t1-pay", "t1-t1-pay", "t1-", ":24:0:"], choices),
            (Entity::TransactionalId, _) => self.name(&["t1-pay", "t1-t1-pay", ":42:0:"], choices),
            (Entity::ErrorCode, _) => {
                let codes = if self.secret_texts { SECRET_CODES } else { CODES };
                // From brokers that do not know the version, and then in version 0.
                let codes = if self.key == ApiKey::API_VERSIONS { &[0][..] } else { codes };
                Some(choices.of(codes).to_be_bytes().to_vec())
            }
            // It has no code: the words are the topology's own.
            (Entity::ErrorMessage, "StatusDetail") => text(choices.of(&["t1-orders is missing", "", "(t1-)"])),
            (Entity::ErrorMessage, _) if self.secret_texts => {
                text(choices.of(&["SECRET", "'t1-orders' is not t2-SECRET", ""]))
            }
            (Entity::ErrorMessage, _) => text(choices.of(&["'t1-orders' of t1-pay", "", "xt1-x t1-", "\u{fc}t1-"])),
            (Entity::ClusterId, _) => text(if self.foreign { FOREIGN } else { "real" }),
            (Entity::MemberMetadata, _) => {
                Some(member(field, &["t1-orders", "all.countries", ":1-..", "t2-x", "t1-"], choices))
            }
            (Entity::ResourceName, "ResourceType") => Some(vec![choices.of(&[2, 2, 32, 4, 8, 16])]),
            (Entity::ResourceName, "SubscribedTopicRegex") => {
                let own = ["t1-(?:a.*)", "", "t1-(?:a)|(?:b)"];
                let others = ["SECRET.*", "t1-(?:x)|(?:SECRET)", "SECRET-(?:t1-)"];
                let foreign = self.foreign && choices.one_in(2);
                text(choices.of(if foreign { &others } else { &own }))
            }
            (Entity::ResourceName, "Key") => self.name(&["t1-pay", "t1-"], choices),
            (Entity::ResourceName, _) if field.kind == Kind::String => {
                self.name(&["t1-orders", "t1-", ":31:4:x", ":29:2:countries"], choices)
            }
            (Entity::AuthorizedOps, _) => number(choices.of(&[i32::MIN, 3, 0])),
            (_, "SessionId") => number(choices.of(&[0, 5, 6])),
            (_, "ProtocolType") => text(choices.of(&["consumer", "connect"])),
            (_, "Name") if self.key == ApiKey::DESCRIBE_CONFIGS => {
                self.dead_letter_topic = choices.one_in(2);
                text(if self.dead_letter_topic { DEAD_LETTER_TOPIC } else { "retention.ms" })
            }
            (_, "Value") if self.dead_letter_topic => {
                self.dead_letter_topic = false;
                self.name(&["t1-dlq", "dlq", "all.events"], choices)
            }
            (_, "ApiKey") => Some(choices.of(&[3i16, 0, 1, 18, 999]).to_be_bytes().to_vec()),
            (_, "MaxVersion") => Some(choices.of(&[13i16, 12, 1]).to_be_bytes().to_vec()),
            (_, "MinVersion") => Some(vec![0; 2]),
            (Entity::BrokerId | Entity::BrokerHost | Entity::BrokerPort | Entity::Records, _) => {
                self.realistic.content(field, choices)
            }
            _ => None,
        }
    }

    fn null(&mut self, field: &'static Field, choices: &mut Choices<'_>) -> bool {
        // A topic without a name has an id all the same.
        field.entity == Entity::TopicName && self.topic.is_none() && choices.one_in(6)
    }

    fn unknown_tags(&self) -> bool {
        self.unknown_tags
    }
}

/// Whether a struct somewhere in `fields` has a topic's id before its name.
fn ids_first(fields: &[Field], version: i16) -> bool {
    let place = |entity| fields.iter().position(|f| f.entity == entity && f.versions.contains(version));
    let here = match (place(Entity::TopicId), place(Entity::TopicName)) {
        (Some(id), Some(name)) => id < name,
        _ => false,
    };
    here || fields.iter().any(|field| ids_first(field.fields, version))
}
