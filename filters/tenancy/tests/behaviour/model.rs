//! Messages full of names, and an independent model of what has to become of them: on notes, not on bytes.

use bifrost_core::protocol::{Api, ApiKey, Entity, Field, Kind};
use bifrost_testkit::choices::Choices;
use bifrost_testkit::generate::Content;
use bifrost_testkit::notes::Note;

use crate::{OTHER, PREFIX};

/// What the client writes: virtual names, some of them nasty.
pub(crate) const NAMES: &[&str] =
    &["orders", "acme.orders", "globex.orders", "a", "__consumer_offsets", "x:y", ".", "..", "\u{fc}"];

/// The id of an own topic that is known.
pub(crate) const OWN_ID: u128 = 7;

/// A consumer's bytes with these topic names, user data that names one, and something newer behind.
pub(crate) fn subscription(names: &[String]) -> Vec<u8> {
    let mut out = vec![0, 1];
    let text = |out: &mut Vec<u8>, text: &str| {
        out.extend((text.len() as i16).to_be_bytes());
        out.extend(text.as_bytes());
    };
    out.extend((names.len() as i32).to_be_bytes());
    names.iter().for_each(|name| text(&mut out, name));
    out.extend(11i32.to_be_bytes());
    out.extend(b"orders user");
    out.extend((names.len() as i32).to_be_bytes());
    for name in names {
        text(&mut out, name);
        out.extend([0, 0, 0, 1, 0, 0, 0, 5]);
    }
    out
}

pub(crate) fn assignment(names: &[String]) -> Vec<u8> {
    let mut out = vec![0, 0];
    out.extend((names.len() as i32).to_be_bytes());
    for name in names {
        out.extend((name.len() as i16).to_be_bytes());
        out.extend(name.as_bytes());
        out.extend([0, 0, 0, 1, 0, 0, 0, 5]);
    }
    out.extend((-1i32).to_be_bytes());
    out
}

fn blob(field: &str, names: &[String]) -> Vec<u8> {
    if field.ends_with("Assignment") { assignment(names) } else { subscription(names) }
}

/// The sets of names that members' bytes have.
fn blob_names(at: usize) -> Vec<String> {
    [&["orders"][..], &[], &["acme.a", "b"]][at].iter().map(|name| (*name).to_owned()).collect()
}

fn behind(names: Vec<String>) -> Vec<String> {
    names.into_iter().map(|name| format!("{PREFIX}{name}")).collect()
}

/// Content of requests.
pub(crate) struct Requests;

impl Content for Requests {
    fn content(&mut self, field: &'static Field, choices: &mut Choices<'_>) -> Option<Vec<u8>> {
        let text = |text: &str| Some(text.as_bytes().to_vec());
        match (field.entity, field.name) {
            (Entity::TopicName, _) if choices.one_in(6) => None,
            (Entity::TopicName, _) => text(choices.of(NAMES)),
            (Entity::GroupId | Entity::TransactionalId, _) => {
                text(choices.of(&["pay", "acme.pay", "\u{fc}", "pay", "", ":24:0:"]))
            }
            (Entity::TopicId, _) => Some(choices.of(&[OWN_ID, 0, 9, 11]).to_be_bytes().to_vec()),
            (Entity::ResourceName, "ResourceType") => Some(vec![choices.of(&[2, 32, 4, 8, 16])]),
            (Entity::ResourceName, _) if field.kind == Kind::String => text(choices.of(&["pay", "a.*", "b"])),
            (Entity::MemberMetadata, name) => {
                Some(if choices.one_in(4) { b"\0\x01junk".to_vec() } else { blob(name, &blob_names(choices.below(3))) })
            }
            (Entity::BrokerId, "ReplicaId") => Some(choices.of(&[-1i32, 0, 5]).to_be_bytes().to_vec()),
            (_, "EndpointType") => Some(vec![choices.of(&[1, 1, 2])]),
            (_, "KeyType") => Some(vec![choices.below(3) as u8]),
            (_, "ProtocolType") => text(choices.of(&["consumer", "connect"])),
            (_, "SessionId") => Some(choices.of(&[0i32, 0, 5]).to_be_bytes().to_vec()),
            (_, "SessionEpoch") => Some(choices.of(&[0i32, -1, 3]).to_be_bytes().to_vec()),
            (_, "Acks") => Some(choices.of(&[-1i16, 1]).to_be_bytes().to_vec()),
            _ => None,
        }
    }

    fn null(&mut self, field: &'static Field, choices: &mut Choices<'_>) -> bool {
        matches!(field.entity, Entity::TopicName | Entity::GroupId | Entity::TransactionalId) && choices.one_in(5)
    }
}

/// Requests whose empty group or transactional id is refused by the broker, because the answer has no error code of its own.
pub(crate) fn broker_refuses(key: ApiKey, version: i16) -> bool {
    breaks(key, version)
        || key == ApiKey::OFFSET_FETCH && version >= 8
        || [
            ApiKey::DESCRIBE_GROUPS,
            ApiKey::DELETE_GROUPS,
            ApiKey::CONSUMER_GROUP_DESCRIBE,
            ApiKey::SHARE_GROUP_DESCRIBE,
            ApiKey::STREAMS_GROUP_DESCRIBE,
            ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS,
            ApiKey::DESCRIBE_TRANSACTIONS,
        ]
        .contains(&key)
}

/// Of those, requests that use topics with that id: none of them may have an effect.
pub(crate) fn breaks(key: ApiKey, version: i16) -> bool {
    [ApiKey::PRODUCE, ApiKey::OFFSET_COMMIT, ApiKey::TXN_OFFSET_COMMIT].contains(&key)
        || key == ApiKey::OFFSET_FETCH && version < 2
        || key == ApiKey::ADD_PARTITIONS_TO_TXN && version < 4
}

/// Whether the gateway asks for all topics before the request goes on.
pub(crate) fn asks_for_all(api: &Api, version: i16, notes: &[Note]) -> bool {
    api.key == ApiKey::OFFSET_FETCH && version >= 10 && notes.contains(&Note::Array("Topics", None))
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The broker gets this. Values of `hidden` are ids that no topic has.
    Forwarded(Vec<Note>),
    /// The client gets this error.
    Answered(i16),
}

/// Stands for any id that is none of those that the client wrote.
pub(crate) const HIDDEN: &[u8] = b"hidden";

/// What has to become of a request of the tenant with [`PREFIX`] that owns the topic [`OWN_ID`] and has no Fetch session.
pub(crate) fn request(api: &Api, version: i16, notes: &[Note]) -> Fate {
    if [ApiKey::DESCRIBE_ACLS, ApiKey::CREATE_ACLS, ApiKey::DELETE_ACLS].contains(&api.key) {
        return Fate::Answered(54);
    }
    let value = |wanted: &str| {
        notes.iter().find_map(|note| match note {
            Note::Value(name, _, bytes) if *name == wanted => Some(bytes.clone()),
            _ => None,
        })
    };
    let consumer = value("ProtocolType").flatten().map(|bytes| bytes == b"consumer");
    let key_type = value("KeyType").flatten().map_or(0, |bytes| bytes[0]);
    let number = |wanted: &str| value(wanted).flatten().map(|b| i32::from_be_bytes(b.try_into().unwrap()));
    let hides = notes.iter().any(|note| {
        matches!(note, Note::Value(_, Entity::TopicId, Some(id)) if *id != OWN_ID.to_be_bytes() && *id != [0; 16])
    });
    let no_topics = notes.iter().any(|note| matches!(note, Note::Array("Topics", Some(0))));
    let mut out: Vec<Note> = Vec::new();
    let (mut topic_at, mut type_at, mut refused) = (None, None, false);
    // What the client is told at once; and that nothing of the request may have an effect.
    let (mut code, mut broken) = (None, false);
    for note in notes {
        let mut note = note.clone();
        match &mut note {
            Note::Value(name, entity, Some(bytes)) => {
                let behind = |bytes: &mut Vec<u8>| *bytes = [PREFIX.as_bytes(), bytes].concat();
                match (*entity, *name) {
                    (Entity::TopicName, _) => {
                        topic_at = Some(out.len());
                        if broken || matches!(&**bytes, b"" | b"." | b"..") {
                            *bytes = [b":cme.", &**bytes].concat();
                        } else {
                            behind(bytes);
                        }
                    }
                    (Entity::GroupId | Entity::TransactionalId, _) if bytes.is_empty() => {
                        let empty = if *entity == Entity::GroupId { 24 } else { 42 };
                        if !broker_refuses(api.key, version) {
                            code.get_or_insert(empty);
                        }
                        broken |= breaks(api.key, version);
                        *bytes = format!(":{empty}:0:").into_bytes();
                    }
                    (Entity::GroupId | Entity::TransactionalId, _) => behind(bytes),
                    (_, "EndpointType") if **bytes != [1] => {
                        code.get_or_insert(115);
                    }
                    (Entity::TopicId, _) if broken && **bytes != [0; 16] => *bytes = HIDDEN.to_vec(),
                    (Entity::TopicId, _) if **bytes != OWN_ID.to_be_bytes() && **bytes != [0; 16] => {
                        *bytes = HIDDEN.to_vec();
                    }
                    (Entity::ResourceName, "ResourceType") => type_at = Some(out.len()),
                    (Entity::ResourceName, "ResourceName") => {
                        let Note::Value(_, _, Some(kind)) = &mut out[type_at.unwrap()] else { panic!("a type") };
                        if matches!(kind[0], 2 | 32) {
                            behind(bytes);
                        } else {
                            *bytes = [format!(":31:{}:", kind[0]).as_bytes(), bytes].concat();
                            kind[0] = 2;
                        }
                    }
                    (Entity::ResourceName, "Key" | "CoordinatorKeys") => behind(bytes),
                    (Entity::ResourceName, "SubscribedTopicRegex" | "TransactionalIdPattern") if !bytes.is_empty() => {
                        *bytes = [br"acme\.(?:", &**bytes, b")"].concat();
                    }
                    (Entity::ResourceName, "SourceTopicRegex") => {
                        code.get_or_insert(42);
                    }
                    (Entity::MemberMetadata, field) if consumer == Some(true) => {
                        let known = (0..3).map(blob_names).find(|names| blob(field, names) == *bytes);
                        if let Some(names) = known {
                            *bytes = blob(field, &self::behind(names));
                        }
                    }
                    (Entity::BrokerId, "ReplicaId") => *bytes = vec![0xff; 4],
                    (Entity::ClusterId, _) if api.key == ApiKey::FETCH => {
                        note = Note::Value("ClusterId", Entity::ClusterId, None)
                    }
                    _ => {}
                }
            }
            Note::Array("Assignments", Some(1..))
                if [ApiKey::CREATE_TOPICS, ApiKey::CREATE_PARTITIONS].contains(&api.key) =>
            {
                refused = true;
            }
            Note::ElementEnd("Topics") if core::mem::take(&mut refused) => {
                let Note::Value(_, _, Some(name)) = &mut out[topic_at.unwrap()] else { panic!("a name") };
                let virtual_name = name.strip_prefix(PREFIX.as_bytes()).or(name.strip_prefix(b":cme.")).unwrap();
                *name = [b":44:2:", virtual_name].concat();
            }
            Note::NullStruct("Cursor") if no_topics => {
                out.push(Note::Value("TopicName", Entity::TopicName, Some(PREFIX.as_bytes().to_vec())));
                note = Note::Value("PartitionIndex", Entity::None, Some(vec![0; 4]));
            }
            _ => {}
        }
        out.push(note);
    }
    if api.key == ApiKey::SYNC_GROUP && consumer.is_none() {
        code.get_or_insert(27);
    }
    if api.key == ApiKey::FIND_COORDINATOR && key_type > 1 {
        code.get_or_insert(42);
    }
    if let Some(code) = code {
        return Fate::Answered(code);
    }
    if api.key == ApiKey::FETCH
        && let (Some(session), Some(epoch)) = (number("SessionId"), number("SessionEpoch"))
    {
        if epoch > 0 && (session != 0 || hides) {
            return Fate::Answered(70);
        }
        for note in &mut out {
            match note {
                Note::Value("SessionId", _, Some(bytes)) => *bytes = vec![0; 4],
                Note::Value("SessionEpoch", _, Some(bytes)) if hides && epoch == 0 => *bytes = vec![0xff; 4],
                _ => {}
            }
        }
    }
    Fate::Forwarded(out)
}

/// True for a name of another tenant.
pub(crate) fn is_foreign(bytes: &[u8]) -> bool {
    bytes.starts_with(OTHER.as_bytes())
}

/// Content of answers: physical names of this tenant, and of others when `foreign`.
pub(crate) struct Answers {
    pub(crate) foreign: bool,
    code: i16,
    tags: bool,
}

impl Answers {
    /// What follows the cursor of DescribeTopicPartitions is one byte.
    pub(crate) fn new(key: ApiKey, foreign: bool) -> Self {
        Answers { foreign, code: 0, tags: key != ApiKey::DESCRIBE_TOPIC_PARTITIONS }
    }

    fn name(&self, own: &[&str], choices: &mut Choices<'_>) -> Option<Vec<u8>> {
        if self.foreign && choices.one_in(4) {
            return Some(format!("{OTHER}secret").into_bytes());
        }
        Some(choices.of(own).as_bytes().to_vec())
    }
}

/// A text that quotes what the request said, and what is shown of it.
const OWN_TEXT: (&str, &str) = ("'acme.orders' of acme.pay: no (acme.x)", "'orders' of pay: no (x)");

impl Content for Answers {
    fn content(&mut self, field: &'static Field, choices: &mut Choices<'_>) -> Option<Vec<u8>> {
        let text = |text: &str| Some(text.as_bytes().to_vec());
        match (field.entity, field.name) {
            (Entity::TopicName, _) => {
                self.name(&["acme.orders", "acme.acme.a", "acme.", ":cme...", "acme.\u{fc}"], choices)
            }
            (Entity::GroupId, _) => self.name(&["acme.pay", "acme.acme.pay", "acme.", ":24:0:"], choices),
            (Entity::TransactionalId, _) => self.name(&["acme.pay", "acme.acme.pay", ":42:0:"], choices),
            (Entity::TopicId, _) => Some(choices.of(&[OWN_ID, 0, 9, OWN_ID]).to_be_bytes().to_vec()),
            (Entity::ErrorCode, "TopicConfigErrorCode") => Some(self.code.to_be_bytes().to_vec()),
            (Entity::ErrorCode, _) => {
                self.code = choices.of(&[0i16, 36, 3, -1, 17, 29]);
                Some(self.code.to_be_bytes().to_vec())
            }
            (Entity::ErrorMessage, "StatusDetail") => text(OWN_TEXT.0),
            (Entity::ErrorMessage, _) if choices.one_in(5) => text(""),
            (Entity::ErrorMessage, _) => {
                text(if shows(self.code) { OWN_TEXT.0 } else { "globex.secret is in the way" })
            }
            (Entity::ResourceName, "ResourceType") => Some(vec![choices.of(&[2, 32, 2, 16])]),
            (Entity::ResourceName, "ResourceName") => self.name(&["acme.pay", "acme.b"], choices),
            (Entity::ResourceName, "Key") => self.name(&["acme.pay"], choices),
            (Entity::ResourceName, _) => {
                text(choices.of(&[r"acme\.(?:a.*)", "", ".*", r"globex\.(?:a)", r"acme\.(?:x)|(?:.*)"]))
            }
            (Entity::MemberMetadata, name) => Some(if choices.one_in(4) {
                b"\0\x01junk".to_vec()
            } else {
                blob(name, &behind(blob_names(choices.below(3))))
            }),
            (Entity::BrokerHost, _) => Some(Vec::new()),
            (_, "ProtocolType") => text(choices.of(&["consumer", "connect"])),
            _ => None,
        }
    }

    fn unknown_tags(&self) -> bool {
        self.tags
    }

    fn null(&mut self, field: &'static Field, choices: &mut Choices<'_>) -> bool {
        matches!(field.entity, Entity::TopicName | Entity::ErrorMessage) && choices.one_in(5)
    }
}

fn shows(code: i16) -> bool {
    [0, 36, 3].contains(&code)
}

const LISTS: &[ApiKey] = &[
    ApiKey::METADATA,
    ApiKey::DESCRIBE_TOPIC_PARTITIONS,
    ApiKey::LIST_GROUPS,
    ApiKey::LIST_TRANSACTIONS,
    ApiKey::OFFSET_FETCH,
    ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS,
    ApiKey::CONSUMER_GROUP_DESCRIBE,
    ApiKey::SHARE_GROUP_DESCRIBE,
    ApiKey::STREAMS_GROUP_DESCRIBE,
    ApiKey::LIST_CONFIG_RESOURCES,
];

/// Stands for a text of the gateway's own.
pub(crate) const OWN_WORDS: &[u8] = b"This name is not possible";

/// What else those begin with.
pub(crate) const REFUSALS: [&[u8]; 2] = [b"A group id must not", b"A transactional id must not"];

struct Open {
    array: usize,
    element: usize,
    foreign: bool,
    /// The code of a name that was refused on its way to the broker.
    refused: Option<i16>,
    /// Where in it the codes and texts are that go with it.
    told: Vec<usize>,
}

/// What the client gets of an answer; `None` when the connection closes. `consumer`: the group's members are consumers.
pub(crate) fn answer(api: &Api, notes: &[Note], consumer: bool) -> Option<Vec<Note>> {
    let lists = LISTS.contains(&api.key);
    let streams = api.key == ApiKey::SHARE_FETCH;
    let mut consumer = consumer;
    let mut out: Vec<Note> = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    // Code of the text that comes next; the tables have them side by side, but for configs.
    let mut past = false;
    let mut kind = None;
    for (at, note) in notes.iter().enumerate() {
        let mut note = note.clone();
        match &mut note {
            Note::Array(name, Some(_)) => {
                let walked = notes[at..].contains(&Note::ArrayEnd(name));
                if walked && has_end(notes, at) {
                    open.push(Open { array: out.len(), element: 0, foreign: false, refused: None, told: Vec::new() });
                }
            }
            Note::Element(_) => {
                let end = out.len();
                open.last_mut().unwrap().element = end;
            }
            Note::ElementEnd(_) => {
                let last = open.last_mut().unwrap();
                if core::mem::take(&mut last.foreign) {
                    past = true;
                    let (element, array) = (last.element, last.array);
                    out.truncate(element);
                    drop_one(&mut out[array]);
                    (last.refused, last.told) = (None, Vec::new());
                    continue;
                }
                let told = core::mem::take(&mut last.told);
                if let Some(code) = last.refused.take() {
                    told.iter().for_each(|at| tell(&mut out[*at], code));
                } else if let [.., outer, _] = &mut open[..] {
                    outer.told.extend(told);
                }
            }
            Note::ArrayEnd(_) => drop(open.pop()),
            Note::Value(name, entity, Some(bytes)) => {
                let strip = |bytes: &mut Vec<u8>| {
                    *bytes = bytes
                        .strip_prefix(PREFIX.as_bytes())
                        .or(bytes.strip_prefix(b":cme."))
                        .unwrap_or(bytes)
                        .to_vec();
                };
                let named = matches!(entity, Entity::TopicName | Entity::GroupId | Entity::TransactionalId)
                    || matches!(*name, "Key" | "ResourceName") && *entity == Entity::ResourceName;
                let unlisted = *name == "ResourceName"
                    && api.key == ApiKey::LIST_CONFIG_RESOURCES
                    && !matches!(notes.get(at + 1), Some(Note::Value("ResourceType", _, Some(kind))) if matches!(kind[0], 2 | 32));
                if open.is_empty() && *entity == Entity::TopicName && api.key == ApiKey::DESCRIBE_TOPIC_PARTITIONS {
                    if is_foreign(bytes) || past {
                        out.push(Note::NullStruct("NextCursor"));
                        out.push(Note::End);
                        return Some(out);
                    }
                    *bytes = bytes[PREFIX.len()..].to_vec();
                } else if named && (is_foreign(bytes) || unlisted) {
                    if !lists {
                        return None;
                    }
                    let last = open.last_mut()?;
                    past = true;
                    if matches!(&out[last.array], Note::Array(array, _) if array == name) {
                        let array = last.array;
                        drop_one(&mut out[array]);
                        continue;
                    }
                    last.foreign = true;
                } else if named && bytes.starts_with(b":") && bytes.ends_with(b":0:") {
                    open.last_mut()?.refused = Some(if bytes.starts_with(b":24") { 24 } else { 42 });
                    bytes.clear();
                } else if named {
                    strip(bytes);
                } else if *entity == Entity::TopicId
                    && api.key == ApiKey::OFFSET_FETCH
                    && **bytes != OWN_ID.to_be_bytes()
                    && **bytes != [0; 16]
                {
                    open.last_mut()?.foreign = true;
                } else {
                    let has_text = *entity == Entity::ErrorMessage && !bytes.is_empty();
                    if *entity == Entity::ErrorCode && *name != "TopicConfigErrorCode" || has_text {
                        let at = out.len();
                        open.iter_mut().last().into_iter().for_each(|open| open.told.push(at));
                    }
                    match (*entity, *name) {
                        (Entity::ResourceName, "ResourceType") => kind = Some(bytes[0]),
                        (Entity::ResourceName, "SubscribedTopicRegex") => {
                            let inner = match &**bytes {
                                b"" => Some(Vec::new()),
                                br"acme\.(?:a.*)" => Some(b"a.*".to_vec()),
                                _ => None,
                            };
                            note = Note::Value("SubscribedTopicRegex", Entity::ResourceName, inner);
                        }
                        (Entity::ErrorMessage, _) if !bytes.is_empty() => {
                            let text = String::from_utf8(bytes.clone()).unwrap();
                            let code = code_of(notes, at);
                            let shown = match code {
                                _ if text == OWN_TEXT.0 => Some(OWN_TEXT.1.to_owned()),
                                Some(17) if !streams => Some(String::from_utf8(OWN_WORDS.to_vec()).unwrap()),
                                _ => None,
                            };
                            let shown = match (shown, streams) {
                                (shown, true) => Some(format!("{:1$}", shown.unwrap_or_default(), text.len())),
                                (None, _) if api.key == ApiKey::STREAMS_GROUP_HEARTBEAT => Some(String::new()),
                                (shown, _) => shown,
                            };
                            note = Note::Value(name, Entity::ErrorMessage, shown.map(String::into_bytes));
                        }
                        (Entity::AuthorizedOps, _) => *bytes = i32::MIN.to_be_bytes().to_vec(),
                        (_, "ProtocolType") if api.key == ApiKey::DESCRIBE_GROUPS => consumer = bytes == b"consumer",
                        (Entity::MemberMetadata, field) if consumer => {
                            let known =
                                (0..3).map(blob_names).find(|names| blob(field, &behind(names.clone())) == *bytes);
                            if let Some(names) = known {
                                *bytes = blob(field, &names);
                            }
                        }
                        _ => {}
                    }
                }
            }
            // What is refused gets a text even where the broker gave none.
            Note::Value("ErrorMessage", Entity::ErrorMessage, None) if !streams => {
                let at = out.len();
                open.iter_mut().last().into_iter().for_each(|open| open.told.push(at));
            }
            _ => {}
        }
        out.push(note);
    }
    let _ = kind;
    Some(out)
}

/// Says why a name was refused, in place of what the broker says of it.
fn tell(note: &mut Note, refused: i16) {
    match note {
        Note::Value(_, Entity::ErrorCode, Some(code)) => *code = refused.to_be_bytes().to_vec(),
        Note::Value(_, _, text) => *text = Some(OWN_WORDS.to_vec()),
        _ => {}
    }
}

/// Arrays of plain numbers have no end.
fn has_end(notes: &[Note], at: usize) -> bool {
    let Note::Array(name, count) = &notes[at] else { return false };
    match notes.get(at + 1) {
        Some(Note::Element(element)) => element == name,
        Some(Note::ArrayEnd(end)) => end == name && *count == Some(0),
        Some(Note::Value(value, ..)) => value == name,
        _ => false,
    }
}

fn drop_one(array: &mut Note) {
    let Note::Array(_, Some(count)) = array else { panic!("an array") };
    *count -= 1;
}

/// The code beside the text at `at`: the last one in front of it.
fn code_of(notes: &[Note], at: usize) -> Option<i16> {
    notes[..at].iter().rev().find_map(|note| match note {
        Note::Value(_, Entity::ErrorCode, Some(code)) => Some(i16::from_be_bytes([code[0], code[1]])),
        _ => None,
    })
}
