//! Empty group ids and transactional ids: behind a prefix they would be possible, so they are refused.

use bifrost_core::filter::FilterConfig;
use bifrost_core::protocol::{APIS, Api, ApiKey, Entity, Field};
use bifrost_tenancy::{Access, Config, SharedTopic, Tenancy};
use serde_json::{Value, json};

use crate::model::{breaks, broker_refuses};
use crate::{PREFIX, Talk, acme, id, prefixed};

fn code_of(field: &Field) -> Option<i64> {
    match field.entity {
        Entity::GroupId => Some(24),
        Entity::TransactionalId => Some(42),
        _ => None,
    }
}

/// Bodies with one empty id each and its code; other ids are not empty.
fn bodies(api: &Api, version: i16) -> Vec<(Value, i64)> {
    let mut base = json!({});
    let fields = || api.request.iter().filter(|field| field.versions.contains(version));
    for field in fields().filter(|field| !field.array && code_of(field).is_some()) {
        base[field.name] = json!("x");
    }
    if api.key == ApiKey::SYNC_GROUP && version >= 5 {
        base["ProtocolType"] = json!("consumer");
    }
    if api.key == ApiKey::PRODUCE {
        base["Acks"] = json!(1);
    }
    let mut bodies = Vec::new();
    for field in fields() {
        let mut body = base.clone();
        let inner = field.fields.iter().find(|inner| inner.versions.contains(version) && code_of(inner).is_some());
        if let Some(code) = code_of(field) {
            body[field.name] = if field.array { json!(["x", ""]) } else { json!("") };
            bodies.push((body, code));
        } else if let Some(inner) = inner {
            body[field.name] = json!([{inner.name: "x"}, {inner.name: ""}]);
            bodies.push((body, code_of(inner).unwrap()));
        }
    }
    bodies
}

#[test]
fn no_request_reaches_the_broker_with_an_empty_id_behind_the_prefix() {
    let tenancy = Tenancy::new(acme());
    let (mut answered, mut sent) = (0, 0);
    for api in APIS {
        let offered = (api.versions.min..=api.versions.max)
            .filter(|version| tenancy.supported(api.key).is_some_and(|versions| versions.contains(*version)));
        for version in offered {
            for (body, code) in bodies(api, version) {
                let mut talk = Talk::new(acme());
                if broker_refuses(api.key, version) {
                    let got = talk.sent(api.key, version, body).to_string();
                    assert!(!got.contains(&format!("\"{PREFIX}\"")), "{} v{version}: {got}", api.name);
                    assert!(got.contains(&format!("\":{code}:0:\"")), "{} v{version}: {got}", api.name);
                    sent += 1;
                } else {
                    let heard = talk.refused(api.key, version, body);
                    assert_eq!(heard["ErrorCode"], code, "{} v{version}", api.name);
                    answered += 1;
                }
            }
        }
    }
    assert!(answered > 70 && sent > 55, "{answered} {sent}");
}

#[test]
fn no_id_is_no_empty_id() {
    for version in 0..=6 {
        let got = Talk::new(acme()).sent(ApiKey::INIT_PRODUCER_ID, version, json!({"TransactionalId": null}));
        assert_eq!(got["TransactionalId"], Value::Null, "v{version}");
    }
    for version in 3..=12 {
        let body = json!({"Acks": 1, "TransactionalId": null, "TopicData": [{"Name": "orders"}]});
        let got = Talk::new(acme()).sent(ApiKey::PRODUCE, version, body);
        assert_eq!((&got["TransactionalId"], &got["TopicData"][0]["Name"]), (&Value::Null, &json!("acme.orders")));
    }
    for (key, version) in [(ApiKey::SHARE_FETCH, 1), (ApiKey::SHARE_ACKNOWLEDGE, 1)] {
        assert_eq!(Talk::new(acme()).sent(key, version, json!({"GroupId": null}))["GroupId"], Value::Null);
    }
}

/// A request that uses topics with an id, and its answer.
struct Using {
    key: ApiKey,
    versions: core::ops::RangeInclusive<i16>,
    /// From this version on topics have ids.
    ids_from: i16,
    /// The empty one, the others, its code.
    id: &'static str,
    others: &'static [&'static str],
    code: i64,
    /// Topics and partitions of the request, and of the answer with its code.
    request: (&'static str, &'static str),
    answer: (&'static str, &'static str, &'static str),
}

const USING: &[Using] = &[
    Using {
        key: ApiKey::PRODUCE,
        versions: 3..=13,
        ids_from: 13,
        id: "TransactionalId",
        others: &[],
        code: 42,
        request: ("TopicData", "PartitionData"),
        answer: ("Responses", "PartitionResponses", "ErrorCode"),
    },
    Using {
        key: ApiKey::OFFSET_COMMIT,
        versions: 0..=10,
        ids_from: 10,
        id: "GroupId",
        others: &[],
        code: 24,
        request: ("Topics", "Partitions"),
        answer: ("Topics", "Partitions", "ErrorCode"),
    },
    Using {
        key: ApiKey::TXN_OFFSET_COMMIT,
        versions: 0..=6,
        ids_from: 6,
        id: "GroupId",
        others: &["TransactionalId"],
        code: 24,
        request: ("Topics", "Partitions"),
        answer: ("Topics", "Partitions", "ErrorCode"),
    },
    Using {
        key: ApiKey::TXN_OFFSET_COMMIT,
        versions: 0..=6,
        ids_from: 6,
        id: "TransactionalId",
        others: &["GroupId"],
        code: 42,
        request: ("Topics", "Partitions"),
        answer: ("Topics", "Partitions", "ErrorCode"),
    },
    Using {
        key: ApiKey::OFFSET_FETCH,
        versions: 0..=1,
        ids_from: i16::MAX,
        id: "GroupId",
        others: &[],
        code: 24,
        request: ("Topics", ""),
        answer: ("Topics", "Partitions", "ErrorCode"),
    },
    Using {
        key: ApiKey::ADD_PARTITIONS_TO_TXN,
        versions: 0..=3,
        ids_from: i16::MAX,
        id: "V3AndBelowTransactionalId",
        others: &[],
        code: 42,
        request: ("V3AndBelowTopics", ""),
        answer: ("ResultsByTopicV3AndBelow", "ResultsByPartition", "PartitionErrorCode"),
    },
];

impl Using {
    fn body(&self, version: i16, empty: &str, topics: &[&str]) -> Value {
        let topic = |(n, name): (usize, &&str)| {
            let mut topic = json!({});
            if version >= self.ids_from {
                topic["TopicId"] = json!(id(7 + n as u128));
            } else {
                topic["Name"] = json!(name);
            }
            if !self.request.1.is_empty() {
                topic[self.request.1] = json!([{}]);
            }
            topic
        };
        let topics: Vec<Value> = topics.iter().enumerate().map(topic).collect();
        let mut body = json!({self.id: empty, self.request.0: topics});
        self.others.iter().for_each(|other| body[*other] = json!("x"));
        if self.key == ApiKey::PRODUCE {
            body["Acks"] = json!(1);
        }
        body
    }

    /// What the broker says, topic by topic.
    fn told(&self, version: i16, got: &Value, code: i16) -> Value {
        let topics = got[self.request.0].as_array().unwrap().iter().map(|topic| {
            let name = if version >= self.ids_from { "TopicId" } else { "Name" };
            json!({name: topic[name], self.answer.1: [{self.answer.2: code}, {self.answer.2: 0}]})
        });
        json!({self.answer.0: topics.collect::<Vec<_>>()})
    }
}

const TOPICS: [&str; 4] = ["orders", "", "..", "acme.x"];

#[test]
fn no_topic_is_reached_with_an_empty_id_and_every_code_says_why() {
    for prefix in ["acme.", "t", ""] {
        for using in USING {
            for version in using.versions.clone() {
                let name = format!("{} v{version} {prefix}", using.key);
                assert!(breaks(using.key, version), "{name}");
                let mut talk = Talk::new(prefixed(prefix));
                if version >= using.ids_from {
                    talk.learn(&format!("{prefix}orders"), &id(7));
                }
                let got = talk.sent(using.key, version, using.body(version, "", &TOPICS));
                assert_eq!(got[using.id], format!(":{}:0:", using.code), "{name}");
                for other in using.others {
                    assert_eq!(got[*other], format!("{prefix}x"), "{name}");
                }
                for (at, topic) in got[using.request.0].as_array().unwrap().iter().enumerate() {
                    if version >= using.ids_from {
                        assert_ne!(topic["TopicId"], id(7 + at as u128), "{name}: its own id, too, is hidden");
                    } else {
                        let (sent, wrote) = (topic["Name"].as_str().unwrap(), TOPICS[at]);
                        assert!(sent.starts_with(':') && sent.ends_with(wrote), "{name}: {sent}");
                        assert_eq!(sent.len(), prefix.len().max(1) + wrote.len(), "{name}: {sent}");
                    }
                }
                let heard = talk.heard(using.key, version, using.told(version, &got, 17));
                for (at, wrote) in TOPICS.into_iter().enumerate() {
                    let topic = &heard[using.answer.0][at];
                    if version >= using.ids_from {
                        assert_eq!(topic["TopicId"], id(7 + at as u128), "{name}");
                    } else {
                        assert_eq!(topic["Name"], wrote, "{name}");
                    }
                    for partition in [0, 1] {
                        assert_eq!(topic[using.answer.1][partition][using.answer.2], using.code, "{name}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_next_request_has_its_own_effect_and_codes() {
    for using in USING {
        for version in using.versions.clone().filter(|version| *version < using.ids_from) {
            let name = format!("{} v{version}", using.key);
            let mut talk = Talk::new(acme());
            let refused = talk.sent(using.key, version, using.body(version, "", &["orders"]));
            let got = talk.sent(using.key, version, using.body(version, "x", &["orders"]));
            assert_eq!(got[using.request.0][0]["Name"], "acme.orders", "{name}");
            talk.correlation_id -= 1;
            let code = |heard: &Value| heard[using.answer.0][0][using.answer.1][0][using.answer.2].clone();
            let heard = talk.heard(using.key, version, using.told(version, &refused, 17));
            assert_eq!(code(&heard), using.code, "{name}");
            talk.correlation_id += 1;
            let heard = talk.heard(using.key, version, using.told(version, &got, 3));
            assert_eq!(code(&heard), 3, "{name}");
            assert_eq!(heard[using.answer.0][0]["Name"], "orders", "{name}");
        }
    }
}

#[test]
fn shared_topics_are_not_reached_either_and_produce_says_why_in_words() {
    let shared = SharedTopic {
        topic: "public.events".to_owned(),
        shown_as: Some("events".to_owned()),
        access: Access::ReadWrite,
    };
    let config = Config { shared_topics: vec![shared], ..acme() };
    for version in [3, 8, 9, 12] {
        let using = &USING[0];
        let mut talk = Talk::new(config.clone());
        let got = talk.sent(using.key, version, using.body(version, "", &["events", "orders"]));
        assert_eq!(got["TopicData"][0]["Name"], ":cme.events", "v{version}");
        let mut told = using.told(version, &got, 17);
        if version >= 8 {
            told["Responses"][0]["PartitionResponses"][0]["ErrorMessage"] = json!("Invalid topic :cme.events");
        }
        let heard = talk.heard(using.key, version, told);
        assert_eq!(heard["Responses"][0]["Name"], "events", "v{version}");
        if version >= 8 {
            let text = heard["Responses"][0]["PartitionResponses"][0]["ErrorMessage"].as_str().unwrap();
            assert!(text.contains("must not be empty"), "v{version}: {text}");
        }
    }
}

#[test]
fn records_behind_an_empty_id_are_not_written_whether_or_not_an_answer_is_wanted() {
    for (acks, size) in [(0, 1_000), (1, 1), (-1, 7)] {
        for version in [3, 8, 9, 12] {
            let mut body = USING[0].body(version, "", &["orders", "a"]);
            body["Acks"] = json!(acks);
            body["TopicData"][0]["PartitionData"][0]["Records"] = json!("07".repeat(300));
            let mut talk = Talk::new(acme());
            let frame = bifrost_testkit::json::request(ApiKey::PRODUCE, version, 1, "client", &body);
            talk.driver.client_in(&[size], &frame).unwrap();
            let got = talk.got(ApiKey::PRODUCE, version);
            let names = [&got["TopicData"][0]["Name"], &got["TopicData"][1]["Name"]];
            assert_eq!(names, [":cme.orders", ":cme.a"], "v{version} acks {acks}");
        }
    }
}

#[test]
fn in_a_list_only_the_element_with_the_empty_id_is_refused() {
    let group = |id: &str| json!({"GroupId": id});
    for (key, versions, list, answers, field) in [
        (ApiKey::DESCRIBE_GROUPS, 0..=6, "Groups", "Groups", "GroupId"),
        (ApiKey::DELETE_GROUPS, 0..=3, "GroupsNames", "Results", "GroupId"),
        (ApiKey::OFFSET_FETCH, 8..=9, "Groups", "Groups", "GroupId"),
        (ApiKey::CONSUMER_GROUP_DESCRIBE, 0..=1, "GroupIds", "Groups", "GroupId"),
        (ApiKey::SHARE_GROUP_DESCRIBE, 0..=1, "GroupIds", "Groups", "GroupId"),
        (ApiKey::STREAMS_GROUP_DESCRIBE, 0..=1, "GroupIds", "Groups", "GroupId"),
        (ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS, 0..=1, "Groups", "Groups", "GroupId"),
        (ApiKey::DESCRIBE_TRANSACTIONS, 0..=0, "TransactionalIds", "TransactionStates", "TransactionalId"),
    ] {
        let structs = [ApiKey::OFFSET_FETCH, ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS].contains(&key);
        let code = if key == ApiKey::DESCRIBE_TRANSACTIONS { 42 } else { 24 };
        for version in versions {
            let name = format!("{key} v{version}");
            let ids = ["a", "", "b"];
            let asked = if structs { json!(ids.map(group)) } else { json!(ids) };
            let mut talk = Talk::new(acme());
            let got = talk.sent(key, version, json!({list: asked}));
            let sent: Vec<String> = got[list]
                .as_array()
                .unwrap()
                .iter()
                .map(|element| element.as_str().or_else(|| element["GroupId"].as_str()).unwrap().to_owned())
                .collect();
            assert_eq!(sent, ["acme.a".to_owned(), format!(":{code}:0:"), "acme.b".to_owned()], "{name}");
            let told: Vec<Value> = sent.iter().map(|id| json!({field: id, "ErrorCode": 69})).collect();
            let heard = talk.heard(key, version, json!({answers: told}));
            let heard = heard[answers].as_array().unwrap();
            let seen: Vec<(&Value, &Value)> = heard.iter().map(|group| (&group[field], &group["ErrorCode"])).collect();
            let expected = [(json!("a"), json!(69)), (json!(""), json!(code)), (json!("b"), json!(69))];
            assert!(seen.iter().zip(&expected).all(|(seen, (id, code))| *seen == (id, code)), "{name}: {seen:?}");
        }
    }
}

#[test]
fn partitions_of_a_group_without_id_say_why_and_those_of_other_groups_do_not() {
    for version in 8..=9 {
        let mut talk = Talk::new(acme());
        talk.sent(ApiKey::OFFSET_FETCH, version, json!({"Groups": [{"GroupId": ""}, {"GroupId": "g"}]}));
        let topics = json!([{"Name": "acme.a", "Partitions": [{"ErrorCode": 0}, {"ErrorCode": 3}]}]);
        let groups = json!([{"GroupId": ":24:0:", "Topics": topics}, {"GroupId": "acme.g", "Topics": topics}]);
        let heard = talk.heard(ApiKey::OFFSET_FETCH, version, json!({"Groups": groups}));
        let codes = |at: usize| {
            let partitions = &heard["Groups"][at]["Topics"][0]["Partitions"];
            [&partitions[0]["ErrorCode"], &partitions[1]["ErrorCode"], &heard["Groups"][at]["ErrorCode"]]
                .map(Value::clone)
        };
        assert_eq!(codes(0), [json!(24), json!(24), json!(24)], "v{version}");
        assert_eq!(codes(1), [json!(0), json!(3), json!(0)], "v{version}");
    }
}
