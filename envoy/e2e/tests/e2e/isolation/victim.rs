//! Tenant A: something of everything a tenant can have, and whether it is all still there.

use std::cell::{Cell, RefCell};
use std::net::Ipv4Addr;

use bifrost_core::protocol::ApiKey;
use bifrost_testkit::json::{from_hex, hex};
use bytes::BytesMut;
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};
use serde_json::{Map, Value, json};

use crate::isolation::blobs;
use crate::isolation::caller::{Caller, errors, texts};
use crate::isolation::needles::{ATTACKER, VICTIM};

const SECRET_TOPIC: &str = "x9q7-secret";
const SECRET_GROUP: &str = "x9q7-group";
const SECRET_TRANSACTION: &str = "x9q7-ledger";

/// A member id that the client chooses itself (KIP-848 and KIP-932).
const MEMBER: &str = "AAAAAAAAAAAAAAAAAAAAAQ";

const TOPIC: i8 = 2;
const GROUP: i8 = 32;

/// What the victim has and what the attacker has guessed of it.
#[derive(Debug)]
pub(crate) struct Victim {
    /// The topic `orders`, whose name and id the attacker knows.
    pub(crate) orders_id: [u8; 16],
    /// A topic of which the attacker knows nothing.
    pub(crate) secret_id: [u8; 16],
    pub(crate) offsets_id: [u8; 16],
    /// The producer with an open transaction.
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i64,
    /// Member of the classic group `crew`.
    pub(crate) crew_member: String,
    /// Of the member of the KIP-848 group `fleet`.
    fleet_epoch: i64,
    /// Of names (version 12) and of topic ids (version 16), on the secret topic.
    pub(crate) named_session: i64,
    pub(crate) id_session: i64,
    /// Its connection: the gateway may know sessions of a connection only.
    caller: RefCell<Caller>,
    direct: (Ipv4Addr, u16),
    /// The next epoch of both sessions.
    session_epoch: Cell<i64>,
    before: Option<Value>,
}

impl Victim {
    /// Through the gateway `via`; `direct` leads to the broker.
    pub(crate) fn settle(via: (Ipv4Addr, u16), direct: (Ipv4Addr, u16)) -> Victim {
        let mut a = Caller::new(via, "x9q7-client");
        // ClientIds are part of the member ids that brokers make up, and the attacker shall know this one.
        let mut crew = Caller::new(via, "crew");
        let named = |name: &str| {
            json!({"Name": name, "NumPartitions": 1, "ReplicationFactor": 1,
            "Configs": [{"Name": "retention.ms", "Value": "9876543210"}]})
        };
        let create = json!({"Topics": [named("orders"), named(SECRET_TOPIC)], "timeoutMs": 5000});
        let created = a.ask(ApiKey::CREATE_TOPICS, 7, &create);
        assert_eq!(errors(&created), [0, 0], "{created}");
        for topic in ["orders", SECRET_TOPIC] {
            let secrets = ["x9q7 first", "x9q7 second", "x9q7 third"];
            a.ask_until(ApiKey::PRODUCE, 9, &produce(topic, &records(&secrets, -1, -1, -1)), succeeded);
        }
        for key_type in [0, 1] {
            // Brokers make the topics of coordinators when somebody looks for one.
            let find = json!({"KeyType": key_type, "CoordinatorKeys": ["billing"]});
            a.ask_until(ApiKey::FIND_COORDINATOR, 4, &find, succeeded);
        }
        for (group, topic) in [("billing", "orders"), (SECRET_GROUP, SECRET_TOPIC)] {
            let commit = json!({"GroupId": group, "Topics": [{"Name": topic, "Partitions": [
                {"PartitionIndex": 0, "CommittedOffset": 2, "CommittedMetadata": "x9q7 note"}]}]});
            a.ask_until(ApiKey::OFFSET_COMMIT, 8, &commit, succeeded);
        }
        let crew_member = join_crew(&mut crew);
        let (producer_id, producer_epoch) = begin_transaction(&mut a);
        let fleet = json!({"GroupId": "fleet", "MemberId": MEMBER, "MemberEpoch": 0, "RebalanceTimeoutMs": 60000,
            "SubscribedTopicNames": ["orders"], "TopicPartitions": []});
        let joined = a.ask_until(ApiKey::CONSUMER_GROUP_HEARTBEAT, 1, &fleet, succeeded);
        let pool = json!({"GroupId": "pool", "MemberId": MEMBER, "MemberEpoch": 0, "SubscribedTopicNames": ["orders"]});
        a.ask_until(ApiKey::SHARE_GROUP_HEARTBEAT, 1, &pool, succeeded);
        let setting = |name: &str, value: &str| json!([{"Name": name, "ConfigOperation": 0, "Value": value}]);
        let configure = json!({"Resources": [
            {"ResourceType": GROUP, "ResourceName": "fleet", "Configs": setting("consumer.heartbeat.interval.ms", "6789")},
            {"ResourceType": GROUP, "ResourceName": "pool", "Configs": setting("share.auto.offset.reset", "earliest")}]});
        let configured = a.ask(ApiKey::INCREMENTAL_ALTER_CONFIGS, 1, &configure);
        assert_eq!(errors(&configured), [0, 0], "{configured}");

        let mut operator = Caller::new(direct, "operator");
        // Internal topics come with the first use of what they are for; the last is that of share groups.
        let everything = json!({"Topics": null});
        let metadata = operator.ask_until(ApiKey::METADATA, 12, &everything, |answer| {
            texts(answer, "Name").iter().any(|name| name == "__share_group_state")
        });
        let topics = metadata["Topics"].as_array().expect("topics");
        let id = |name: &str| {
            let topic = topics.iter().find(|topic| topic["Name"] == name).unwrap_or_else(|| panic!("no topic {name}"));
            <[u8; 16]>::try_from(from_hex(topic["TopicId"].as_str().expect("an id"))).expect("16 bytes")
        };
        let pool = json!({"Groups": [{"GroupId": physical("pool"), "Topics": null}]});
        operator
            .ask_until(ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS, 0, &pool, |answer| !texts(answer, "TopicName").is_empty());
        let secret_id = id(&physical(SECRET_TOPIC));
        let session = |a: &mut Caller, version| {
            let answer = a.ask(ApiKey::FETCH, version, &fetch(SECRET_TOPIC, &secret_id, 0, 0));
            answer["SessionId"].as_i64().filter(|id| *id != 0).expect("a session")
        };
        let (named_session, id_session) = (session(&mut a, 12), session(&mut a, 16));
        let mut victim = Victim {
            orders_id: id(&physical("orders")),
            secret_id,
            offsets_id: id("__consumer_offsets"),
            producer_id,
            producer_epoch,
            crew_member,
            fleet_epoch: joined["MemberEpoch"].as_i64().expect("an epoch"),
            named_session,
            id_session,
            caller: RefCell::new(a),
            direct,
            session_epoch: Cell::new(1),
            before: None,
        };
        victim.before = Some(victim.state());
        victim
    }

    /// Physical names that the attacker says.
    pub(crate) fn guessed(&self) -> Vec<String> {
        ["orders", "billing", "crew", "fleet", "pool", "ledger", "zzz", ".*"].map(physical).into()
    }

    pub(crate) fn foreign_ids(&self) -> Vec<[u8; 16]> {
        vec![self.orders_id, self.secret_id, self.offsets_id]
    }

    pub(crate) fn sessions(&self) -> Vec<i64> {
        vec![self.named_session, self.id_session]
    }

    /// Asked at the broker, everything is as it was before the first attack.
    pub(crate) fn assert_whole(&self) {
        let (before, now) = (self.before.as_ref().expect("it is settled"), self.state());
        for (part, was) in before.as_object().expect("an object") {
            assert_eq!(was, &now[part], "{part} of the victim has changed");
        }
        self.assert_goes_on();
    }

    /// Sessions and memberships of the victim are still good.
    fn assert_goes_on(&self) {
        let mut a = self.caller.borrow_mut();
        let epoch = self.session_epoch.replace(self.session_epoch.get() + 1);
        for (version, session) in [(12, self.named_session), (16, self.id_session)] {
            let next = json!({"MaxBytes": 1 << 20, "SessionId": session, "SessionEpoch": epoch});
            let answer = a.ask(ApiKey::FETCH, version, &next);
            assert_eq!(
                (&answer["ErrorCode"], &answer["SessionId"]),
                (&json!(0), &json!(session)),
                "the victim's session"
            );
        }
        let member = json!({"GroupId": "crew", "GenerationId": 1, "MemberId": self.crew_member});
        assert_eq!(errors(&a.ask(ApiKey::HEARTBEAT, 3, &member)), [0], "the victim's classic member");
        let member = json!({"GroupId": "fleet", "MemberId": MEMBER, "MemberEpoch": self.fleet_epoch,
            "RebalanceTimeoutMs": -1, "SubscribedTopicNames": null, "TopicPartitions": null});
        assert_eq!(errors(&a.ask(ApiKey::CONSUMER_GROUP_HEARTBEAT, 1, &member)), [0], "the victim's member");
    }

    /// What the broker knows of the victim, and of everything else that is not the attacker's.
    fn state(&self) -> Value {
        let mut operator = Caller::new(self.direct, "operator");
        let mut state = Map::new();
        let mut ask = |part: &str, key: ApiKey, version: i16, body: Value| {
            let mut answer = operator.ask(key, version, &body);
            remove(&mut answer, &["ThrottleTimeMs", "FinalizedFeaturesEpoch"]);
            without_attacker(&mut answer);
            state.insert(part.to_owned(), answer);
        };
        let topics = ["orders", SECRET_TOPIC].map(physical);
        ask("metadata", ApiKey::METADATA, 12, json!({"Topics": null}));
        for topic in &topics {
            let fetch = json!({"MaxBytes": 1 << 20, "Topics": [{"Topic": topic, "Partitions":
                [{"Partition": 0, "PartitionMaxBytes": 1 << 20}]}]});
            ask(&format!("records of {topic}"), ApiKey::FETCH, 12, fetch);
            let producers = json!({"Topics": [{"Name": topic, "PartitionIndexes": [0]}]});
            ask(&format!("producers of {topic}"), ApiKey::DESCRIBE_PRODUCERS, 0, producers);
        }
        for timestamp in [-1, -2] {
            let topics: Vec<Value> = topics
                .iter()
                .map(|topic| {
                    json!({"Name": topic, "Partitions":
                [{"PartitionIndex": 0, "Timestamp": timestamp}]})
                })
                .collect();
            ask(&format!("offsets at {timestamp}"), ApiKey::LIST_OFFSETS, 7, json!({"Topics": topics}));
        }
        ask("groups", ApiKey::LIST_GROUPS, 5, json!({}));
        let classic = ["crew", "billing", SECRET_GROUP].map(physical);
        ask("classic groups", ApiKey::DESCRIBE_GROUPS, 5, json!({"Groups": classic}));
        let fetched: Vec<Value> = ["crew", "billing", SECRET_GROUP, "fleet"]
            .iter()
            .map(|group| json!({"GroupId": physical(group), "Topics": null}))
            .collect();
        ask("committed offsets", ApiKey::OFFSET_FETCH, 8, json!({"Groups": fetched}));
        ask("consumer group", ApiKey::CONSUMER_GROUP_DESCRIBE, 1, json!({"GroupIds": [physical("fleet")]}));
        ask("share group", ApiKey::SHARE_GROUP_DESCRIBE, 1, json!({"GroupIds": [physical("pool")]}));
        let pool = json!({"Groups": [{"GroupId": physical("pool"), "Topics": null}]});
        ask("share offsets", ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS, 0, pool);
        ask("transactions", ApiKey::LIST_TRANSACTIONS, 1, json!({"DurationFilter": -1}));
        let ids = ["ledger", SECRET_TRANSACTION].map(physical);
        ask("transaction", ApiKey::DESCRIBE_TRANSACTIONS, 0, json!({"TransactionalIds": ids}));
        let resource =
            |kind: i8, name: &str| json!({"ResourceType": kind, "ResourceName": name, "ConfigurationKeys": null});
        let mut resources: Vec<Value> = topics.iter().map(|topic| resource(TOPIC, topic)).collect();
        resources.extend(["fleet", "pool"].map(|group| resource(GROUP, &physical(group))));
        resources.push(resource(4, "1"));
        ask("configs", ApiKey::DESCRIBE_CONFIGS, 4, json!({"Resources": resources}));
        ask("config resources", ApiKey::LIST_CONFIG_RESOURCES, 1, json!({}));
        ask("quotas", ApiKey::DESCRIBE_CLIENT_QUOTAS, 1, json!({}));
        ask("users", ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS, 0, json!({"Users": null}));
        ask("reassignments", ApiKey::LIST_PARTITION_REASSIGNMENTS, 0, json!({"TimeoutMs": 5000, "Topics": null}));
        let hello = json!({"ClientSoftwareName": "isolation", "ClientSoftwareVersion": "1"});
        ask("features", ApiKey::API_VERSIONS, 4, hello);
        Value::Object(state)
    }
}

/// A member of a classic group that owns `orders`.
fn join_crew(crew: &mut Caller) -> String {
    let join = json!({"GroupId": "crew", "SessionTimeoutMs": 600_000, "RebalanceTimeoutMs": 600_000,
        "ProtocolType": "consumer",
        "Protocols": [{"Name": "range", "Metadata": blobs::subscription(&["orders", SECRET_TOPIC])}]});
    let joined = crew.ask_until(ApiKey::JOIN_GROUP, 3, &join, succeeded);
    let (member, generation) = (joined["MemberId"].as_str().expect("a member id").to_owned(), &joined["GenerationId"]);
    let sync = json!({"GroupId": "crew", "GenerationId": generation, "MemberId": member, "ProtocolType": "consumer",
        "ProtocolName": "range",
        "Assignments": [{"MemberId": member, "Assignment": blobs::assignment(&["orders"])}]});
    crew.ask_until(ApiKey::SYNC_GROUP, 5, &sync, succeeded);
    member
}

/// An open transaction with a record and an offset, and a transactional id that is only known.
fn begin_transaction(a: &mut Caller) -> (i64, i64) {
    let init = |id: &str| json!({"TransactionalId": id, "TransactionTimeoutMs": 900_000});
    a.ask_until(ApiKey::INIT_PRODUCER_ID, 4, &init(SECRET_TRANSACTION), succeeded);
    let producer = a.ask_until(ApiKey::INIT_PRODUCER_ID, 4, &init("ledger"), succeeded);
    let (id, epoch) = (&producer["ProducerId"], &producer["ProducerEpoch"]);
    let add = json!({"V3AndBelowTransactionalId": "ledger", "V3AndBelowProducerId": id, "V3AndBelowProducerEpoch": epoch,
        "V3AndBelowTopics": [{"Name": "orders", "Partitions": [0]}]});
    a.ask_until(ApiKey::ADD_PARTITIONS_TO_TXN, 3, &add, succeeded);
    let (id, epoch) = (id.as_i64().expect("an id"), epoch.as_i64().expect("an epoch"));
    let mut record = produce("orders", &records(&["x9q7 not yet committed"], id, epoch as i16, 0));
    record["TransactionalId"] = json!("ledger");
    a.ask_until(ApiKey::PRODUCE, 9, &record, succeeded);
    let with_group =
        json!({"TransactionalId": "ledger", "ProducerId": id, "ProducerEpoch": epoch, "GroupId": "billing"});
    a.ask_until(ApiKey::ADD_OFFSETS_TO_TXN, 3, &with_group, succeeded);
    let mut commit = with_group;
    commit["Topics"] = json!([{"Name": "orders", "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 1}]}]);
    a.ask_until(ApiKey::TXN_OFFSET_COMMIT, 3, &commit, succeeded);
    (id, epoch)
}

fn succeeded(answer: &Value) -> bool {
    let errors = errors(answer);
    !errors.is_empty() && errors.iter().all(|code| *code == 0)
}

pub(crate) fn physical(name: &str) -> String {
    format!("{VICTIM}{name}")
}

fn produce(topic: &str, records: &str) -> Value {
    json!({"Acks": -1, "TimeoutMs": 5000, "TopicData": [{"Name": topic, "PartitionData":
        [{"Index": 0, "Records": records}]}]})
}

/// A Fetch request of partition 0, in any version.
pub(crate) fn fetch(topic: &str, id: &[u8; 16], session_id: i64, session_epoch: i64) -> Value {
    json!({"MaxBytes": 1 << 20, "SessionId": session_id, "SessionEpoch": session_epoch,
        "Topics": [{"Topic": topic, "TopicId": hex(id), "Partitions": [{"Partition": 0, "PartitionMaxBytes": 1 << 20}]}]})
}

/// A record batch in hexadecimal.
pub(crate) fn records(values: &[&str], producer_id: i64, producer_epoch: i16, sequence: i32) -> String {
    let records: Vec<Record> = values
        .iter()
        .enumerate()
        .map(|(offset, value)| Record {
            transactional: producer_id >= 0,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id,
            producer_epoch,
            timestamp_type: TimestampType::Creation,
            offset: offset as i64,
            sequence: sequence + offset as i32,
            timestamp: 1_790_000_000_000,
            key: None,
            value: Some((*value).to_owned().into()),
            headers: Default::default(),
        })
        .collect();
    let mut batch = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut batch, &records, &options).expect("records can be written");
    hex(&batch)
}

/// Takes fields away, wherever they are.
fn remove(value: &mut Value, names: &[&str]) {
    match value {
        Value::Object(object) => {
            object.retain(|name, _| !names.contains(&name.as_str()));
            object.values_mut().for_each(|inner| remove(inner, names));
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| remove(element, names)),
        _ => {}
    }
}

/// Takes elements away that name something of the attacker.
fn without_attacker(value: &mut Value) {
    let names_attacker = |element: &Value| {
        let Value::Object(object) = element else { return false };
        object.values().any(|value| value.as_str().is_some_and(|text| text.starts_with(ATTACKER)))
    };
    match value {
        Value::Object(object) => object.values_mut().for_each(without_attacker),
        Value::Array(elements) => {
            elements.retain(|element| !names_attacker(element));
            elements.iter_mut().for_each(without_attacker);
            elements.sort_by_key(Value::to_string);
        }
        _ => {}
    }
}
