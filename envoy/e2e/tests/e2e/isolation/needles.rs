//! What must not be found: in what the attacker receives, and in what a broker receives from it.

use bifrost_core::filter::Direction;
use bifrost_core::protocol::{ApiKey, Entity, api};
use bifrost_testkit::json::{self, from_hex};
use memchr::memmem;
use serde_json::Value;

use crate::isolation::blobs;
use crate::isolation::caller::all;

/// In every name, record and text of the victim that the attacker does not know.
pub(crate) const SECRET: &str = "x9q7";
pub(crate) const VICTIM: &str = "tenantA-";
pub(crate) const ATTACKER: &str = "tenantB-";

/// What may stand before a word that the attacker chose: its prefix, also as the beginning of a pattern, or with `:` in it,
/// which no topic of any broker has.
const BEFORE_OWN_WORDS: [&str; 4] = ["tenantB-", "tenantB-(?:", r"tenantB\-(?:", ":enantB-"];

/// No tenant's request of these APIs may reach a broker: the whole cluster is what they are about.
const NEVER_FORWARDED: &[i16] = &[
    4, 5, 6, 7, 27, 29, 30, 31, 34, 38, 39, 40, 41, 43, 45, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 62, 63, 64,
    67, 70, 71, 72, 73, 80, 81, 82, 83, 84, 85, 86, 87, 94,
];

const TOPIC: i64 = 2;
const GROUP: i64 = 32;

/// Everything that is searched for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Needles {
    /// Bytes that the attacker may only see where it said them itself, and what they are.
    pub(crate) hidden: Vec<(String, Vec<u8>)>,
    /// What the attacker says that begins with the victim's prefix.
    pub(crate) guessed: Vec<String>,
    /// Ids of topics that are not the attacker's.
    pub(crate) foreign_ids: Vec<[u8; 16]>,
    /// Ids of the victim's fetch sessions.
    pub(crate) foreign_sessions: Vec<i64>,
}

impl Needles {
    /// What an answer holds that the attacker may not see. `request` is what it answers.
    pub(crate) fn in_answer(&self, request: &[u8], answer: &[u8]) -> Vec<String> {
        let mut found: Vec<String> = self
            .hidden
            .iter()
            .filter(|(_, needle)| memmem::find(request, needle).is_none())
            .flat_map(|(what, needle)| memmem::find_iter(answer, needle).map(move |at| around(what, answer, at)))
            .collect();
        // What the attacker has said may have become a name of its own, so it may come up anywhere. A list that holds what is
        // really the victim's holds the secret too.
        let said = |at: usize| self.guessed.iter().any(|word| answer[at..].starts_with(word.as_bytes()));
        let unsaid = memmem::find_iter(answer, VICTIM).filter(|at| !said(*at));
        found.extend(unsaid.map(|at| around("the victim's prefix", answer, at)));
        found
    }

    /// What is wrong with a request that reached a broker.
    pub(crate) fn in_forwarded(&self, request: &[u8]) -> Vec<String> {
        let number = |at: usize| i16::from_be_bytes([request[at], request[at + 1]]);
        let (key, version) = (ApiKey(number(0)), number(2));
        let mut found = Vec::new();
        if NEVER_FORWARDED.contains(&key.0) {
            found.push("an API that is no tenant's".to_owned());
        }
        for at in memmem::find_iter(request, SECRET) {
            found.push(around("the secret", request, at));
        }
        for at in memmem::find_iter(request, VICTIM) {
            let before = &request[..at];
            if !BEFORE_OWN_WORDS.iter().any(|word| before.ends_with(word.as_bytes())) && !is_mark(before) {
                found.push(around("the victim's prefix", request, at));
            }
        }
        match json::read(key, version, Direction::Request, request) {
            Err(error) => found.push(format!("it cannot be read: {error}")),
            Ok(message) => {
                if message.client_id.as_deref() == Some("__admin_client") {
                    found.push("the ClientId that may write to internal topics".to_owned());
                }
                for (entity, name, value) in &message.entities {
                    found.extend(self.wrong_entity(key, *entity, name, value.as_str().unwrap_or_default()));
                }
                found.extend(self.wrong_meaning(key, version, &message.body));
            }
        }
        found.iter().map(|what| format!("{} v{version} reached a broker with {what}", name_of(key))).collect()
    }

    fn wrong_entity(&self, key: ApiKey, entity: Entity, name: &str, value: &str) -> Option<String> {
        let foreign = match entity {
            // Brokers refuse topic names with `:`.
            Entity::TopicName if value.starts_with(':') => false,
            // Stands for an empty id, which is refused; that it makes no group is checked afterwards.
            Entity::GroupId | Entity::TransactionalId if matches!(value, ":24:0:" | ":42:0:") => false,
            // A page of all topics begins at the prefix itself; no name is the prefix itself.
            Entity::TopicName if key == ApiKey::DESCRIBE_TOPIC_PARTITIONS => !value.starts_with(ATTACKER),
            Entity::TopicName | Entity::GroupId | Entity::TransactionalId => {
                !value.starts_with(ATTACKER) || value.len() == ATTACKER.len()
            }
            // The gateway itself asks whose an id is.
            Entity::TopicId if key == ApiKey::METADATA => false,
            Entity::TopicId => self.foreign_ids.iter().any(|id| from_hex(value) == id),
            _ => false,
        };
        foreign.then(|| format!("{name} {value:?}"))
    }

    /// What the types of fields do not tell.
    fn wrong_meaning(&self, key: ApiKey, version: i16, body: &Value) -> Vec<String> {
        let own = |value: &Value| value.as_str().is_some_and(|text| text.starts_with(ATTACKER));
        let wrapped = |value: &Value| {
            value.as_str().is_none_or(|text| text.is_empty() || BEFORE_OWN_WORDS.iter().any(|it| text.starts_with(it)))
        };
        let complain = |wrong: bool, what: String| wrong.then_some(what);
        let unless_own = |name: &'static str| {
            all(body, name).into_iter().filter(move |it| !own(it)).map(move |it| format!("{name} {it}"))
        };
        let mut found = Vec::new();
        // Behind a tag (version 15 and later) or not.
        let replicas = all(body, "ReplicaId").into_iter();
        found.extend(replicas.filter(|id| **id != -1).map(|id| format!("ReplicaId {id}: a follower's request")));
        for name in ["SubscribedTopicRegex", "TransactionalIdPattern"] {
            let open = all(body, name).into_iter().find(|pattern| !wrapped(pattern));
            found.extend(open.map(|pattern| format!("{name} {pattern}")));
        }
        match key {
            ApiKey::FETCH => {
                let session = body["SessionId"].as_i64().unwrap_or(0);
                found.extend(complain(
                    self.foreign_sessions.contains(&session),
                    format!("the foreign session {session}"),
                ));
            }
            ApiKey::FIND_COORDINATOR => {
                found.extend(complain(body["KeyType"] == 2, "key type 2".to_owned()));
                found.extend(unless_own("Key"));
                let keys = body["CoordinatorKeys"].as_array().cloned().unwrap_or_default();
                found.extend(keys.iter().filter(|it| !own(it)).map(|it| format!("CoordinatorKeys {it}")));
            }
            ApiKey::ADD_PARTITIONS_TO_TXN => {
                found.extend(complain(version > 3, "a version for brokers".to_owned()));
            }
            ApiKey::DESCRIBE_CONFIGS | ApiKey::ALTER_CONFIGS | ApiKey::INCREMENTAL_ALTER_CONFIGS => {
                let resources = body["Resources"].as_array().into_iter().flatten();
                let impossible = |it: &Value| {
                    it["ResourceType"] == TOPIC && it["ResourceName"].as_str().is_some_and(|it| it.starts_with(':'))
                };
                let foreign = resources.filter(|it| !own(&it["ResourceName"]) && !impossible(it));
                found.extend(foreign.map(|it| format!("ResourceName {}", it["ResourceName"])));
                let types = all(body, "ResourceType");
                let other = types.into_iter().find(|it| **it != TOPIC && **it != GROUP);
                found.extend(other.map(|it| format!("ResourceType {it}")));
            }
            ApiKey::DESCRIBE_CLUSTER => {
                found.extend(complain(body["EndpointType"] == 2, "the controllers' endpoints".to_owned()));
            }
            ApiKey::JOIN_GROUP | ApiKey::SYNC_GROUP => {
                let field = if key == ApiKey::JOIN_GROUP { "Metadata" } else { "Assignment" };
                let topics = all(body, field).into_iter().filter_map(Value::as_str).flat_map(blobs::topics);
                found.extend(topics.filter(|it| !it.starts_with(ATTACKER)).map(|it| format!("{it:?} inside {field}")));
            }
            _ => {}
        }
        found
    }
}

/// Whether the bytes end with a mark like `:31:2:`, with which the gateway makes topic names that brokers refuse.
fn is_mark(bytes: &[u8]) -> bool {
    let mut parts = bytes.rsplitn(4, |byte| *byte == b':').take(3);
    let is_number = |part: Option<&[u8]>| part.is_some_and(|it| !it.is_empty() && it.iter().all(u8::is_ascii_digit));
    parts.next() == Some(b"") && is_number(parts.next()) && is_number(parts.next())
}

pub(crate) fn name_of(key: ApiKey) -> String {
    api(key).map_or_else(|| key.to_string(), |api| api.name.to_owned())
}

fn around(what: &str, bytes: &[u8], at: usize) -> String {
    const AROUND: usize = 40;
    format!("{what}: ..{}..", bytes[at.saturating_sub(AROUND)..(at + AROUND).min(bytes.len())].escape_ascii())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn needles() -> Needles {
        Needles {
            hidden: vec![("the broker's address".to_owned(), b"127.0.0.2".to_vec())],
            guessed: vec!["tenantA-orders".to_owned()],
            foreign_ids: vec![[7; 16]],
            foreign_sessions: vec![4711],
        }
    }

    fn forwarded(key: ApiKey, version: i16, body: &Value) -> Vec<String> {
        needles().in_forwarded(&json::request(key, version, 1, "client", body)[4..])
    }

    #[test]
    fn an_answer_may_repeat_what_was_said_and_nothing_else() {
        let needles = needles();

        assert_eq!(needles.in_answer(b"", b"\0\x0etenantA-orders\0"), Vec::<String>::new());
        assert_eq!(needles.in_answer(b"tenantA-orders", b"tenantA-x").len(), 1, "another name");
        assert_eq!(needles.in_answer(b"", b"at 127.0.0.2:9092").len(), 1);
        assert_eq!(needles.in_answer(b"127.0.0.2", b"at 127.0.0.2:9092"), Vec::<String>::new());
    }

    #[test]
    fn a_forwarded_request_holds_own_names_only() {
        let named = |name: &str| json!({"Topics": [{"Topic": name, "Partitions": [{"Partition": 0}]}]});

        assert_eq!(forwarded(ApiKey::FETCH, 12, &named("tenantB-tenantA-orders")), Vec::<String>::new());
        assert_eq!(forwarded(ApiKey::FETCH, 12, &named("orders")).len(), 1);
        assert_eq!(forwarded(ApiKey::FETCH, 12, &named("tenantA-orders")).len(), 2, "the bytes and the name");
        for allowed in [":17:2:tenantA-orders", ":enantB-"] {
            assert_eq!(forwarded(ApiKey::FETCH, 12, &named(allowed)), Vec::<String>::new());
        }
        let id = json!({"Topics": [{"TopicId": "07".repeat(16)}]});
        assert_eq!(forwarded(ApiKey::FETCH, 13, &id).len(), 1);
    }

    #[test]
    fn what_only_a_broker_may_ask_is_found() {
        assert_eq!(forwarded(ApiKey::FETCH, 11, &json!({"ReplicaId": 1})).len(), 1);
        assert_eq!(forwarded(ApiKey::FETCH, 15, &json!({"ReplicaState": {"ReplicaId": 1}})).len(), 1);
        assert_eq!(forwarded(ApiKey::FETCH, 15, &json!({"ReplicaState": {"ReplicaId": -1}})), Vec::<String>::new());
        assert_eq!(forwarded(ApiKey::FETCH, 12, &json!({"SessionId": 4711})).len(), 1);
        assert_eq!(forwarded(ApiKey::FIND_COORDINATOR, 3, &json!({"Key": "tenantB-x", "KeyType": 2})).len(), 1);
        assert_eq!(forwarded(ApiKey::DESCRIBE_ACLS, 3, &json!({})).len(), 1);
        assert_eq!(forwarded(ApiKey::ADD_PARTITIONS_TO_TXN, 4, &json!({})).len(), 1);
        let broker = json!({"Resources": [{"ResourceType": 4, "ResourceName": "1"}]});
        assert_eq!(forwarded(ApiKey::DESCRIBE_CONFIGS, 4, &broker).len(), 2, "type and name");
        let pattern = json!({"GroupId": "tenantB-g", "SubscribedTopicRegex": ".*"});
        assert_eq!(forwarded(ApiKey::CONSUMER_GROUP_HEARTBEAT, 1, &pattern).len(), 1);
    }
}
