//! Answers that list more than was asked for, page by page or at once.

use bifrost_core::fault::Fault;
use bifrost_core::host::Counter;
use bifrost_core::protocol::ApiKey;
use bifrost_tenancy::{Access, Config, SharedTopic};
use serde_json::{Value, json};

use crate::{Talk, acme};

const DESCRIBE: ApiKey = ApiKey::DESCRIBE_TOPIC_PARTITIONS;

fn cursor(name: &str) -> Value {
    json!({"TopicName": name, "PartitionIndex": 3})
}

fn topics(names: &[&str]) -> Value {
    json!(names.iter().map(|name| json!({"Name": name})).collect::<Vec<_>>())
}

fn names(body: &Value) -> Vec<&str> {
    body["Topics"].as_array().unwrap().iter().map(|topic| topic["Name"].as_str().unwrap()).collect()
}

#[test]
fn all_topics_begin_with_the_own_ones() {
    let got = Talk::new(acme()).sent(DESCRIBE, 0, json!({"ResponsePartitionLimit": 7}));
    assert_eq!(got["Cursor"], json!({"TopicName": "acme.", "PartitionIndex": 0}));
    assert_eq!(got["ResponsePartitionLimit"], 7);
}

#[test]
fn a_page_goes_on_where_the_last_one_ended() {
    let got = Talk::new(acme()).sent(DESCRIBE, 0, json!({"Cursor": cursor("orders")}));
    assert_eq!(got["Cursor"], cursor("acme.orders"));
}

#[test]
fn named_topics_begin_nowhere() {
    let got = Talk::new(acme()).sent(DESCRIBE, 0, json!({"Topics": topics(&["a", "b"])}));
    assert_eq!((got["Cursor"].clone(), names(&got)), (Value::Null, vec!["acme.a", "acme.b"]));
}

#[test]
fn pages_end_where_others_topics_begin() {
    for (listed, next, shown) in [
        (&["acme.a", "acme.b"][..], json!(cursor("acme.c")), cursor("c")),
        (&["acme.a"], cursor("globex.a"), Value::Null),
        (&["acme.a", "globex.a"], cursor("globex.a"), Value::Null),
        (&["globex.a"], cursor("globex.b"), Value::Null),
        (&["acme.a"], Value::Null, Value::Null),
    ] {
        let mut talk = Talk::new(acme());
        talk.sent(DESCRIBE, 0, json!({}));
        let heard = talk.heard(DESCRIBE, 0, json!({"Topics": topics(listed), "NextCursor": next}));
        assert_eq!(heard["NextCursor"], shown, "{listed:?} {next}");
        assert!(names(&heard).iter().all(|name| !name.contains('.')), "{heard}");
    }
}

#[test]
fn a_page_of_shared_topics_goes_on_by_their_virtual_names() {
    let shared = SharedTopic {
        topic: "reference.countries".to_owned(),
        shown_as: Some("countries".to_owned()),
        access: Access::ReadOnly,
    };
    let mut talk = Talk::new(Config { shared_topics: vec![shared], ..acme() });
    let got = talk.sent(DESCRIBE, 0, json!({"Topics": topics(&["a", "countries"])}));
    assert_eq!(names(&got), ["acme.a", "reference.countries"]);
    let page =
        json!({"Topics": topics(&["acme.a", "reference.countries"]), "NextCursor": cursor("reference.countries")});
    let heard = talk.heard(DESCRIBE, 0, page);
    assert_eq!(heard["NextCursor"], cursor("countries"));
    let got = talk.sent(DESCRIBE, 0, json!({"Topics": topics(&["a", "countries"]), "Cursor": cursor("countries")}));
    assert_eq!(got["Cursor"], cursor("reference.countries"));
}

#[test]
fn foreign_elements_are_left_out_and_counted() {
    for version in 0..=13 {
        let mut talk = Talk::new(acme());
        talk.sent(ApiKey::METADATA, version, json!({"Topics": if version == 0 { json!([]) } else { Value::Null }}));
        let all = topics(&["globex.a", "acme.a", "__consumer_offsets", "acme.b", "ac", "globex.z"]);
        let heard = talk.heard(ApiKey::METADATA, version, json!({"Topics": all}));
        assert_eq!(names(&heard), ["a", "b"], "v{version}");
        assert_eq!(talk.driver.host.counted(Counter::ForeignElements), 4);
    }
}

#[test]
fn a_foreign_name_where_nothing_is_listed_closes() {
    let mut talk = Talk::new(acme());
    talk.sent(ApiKey::LIST_OFFSETS, 7, json!({"Topics": [{"Name": "a"}]}));
    let heard = talk.answer(ApiKey::LIST_OFFSETS, 7, json!({"Topics": [{"Name": "globex.a"}]}));
    assert_eq!(heard, Err(Fault::Foreign { field: "Name" }));
}

#[test]
fn a_transaction_may_hold_internal_topics_and_no_foreign_ones() {
    let describe = |topic: &str| {
        let mut talk = Talk::new(acme());
        talk.sent(ApiKey::DESCRIBE_TRANSACTIONS, 0, json!({"TransactionalIds": ["t"]}));
        let topics = json!([{"Topic": "acme.a"}, {"Topic": topic}]);
        let answer = json!({"TransactionStates": [{"TransactionalId": "acme.t", "Topics": topics}]});
        talk.answer(ApiKey::DESCRIBE_TRANSACTIONS, 0, answer)?;
        Ok(talk.got_back(ApiKey::DESCRIBE_TRANSACTIONS, 0)["TransactionStates"][0].clone())
    };
    let state = describe("__consumer_offsets").unwrap();
    assert_eq!(state["TransactionalId"], "t");
    assert_eq!(
        (&state["Topics"][0]["Topic"], &state["Topics"][1]["Topic"]),
        (&json!("a"), &json!("__consumer_offsets"))
    );
    assert_eq!(describe("globex.a"), Err(Fault::Foreign { field: "Topic" }));
}

#[test]
fn transactions_are_listed_by_a_wrapped_pattern() {
    let list = |pattern: Value| json!({"TransactionalIdPattern": pattern});
    for (pattern, wrapped) in
        [("pay.*", json!(r"acme\.(?:pay.*)")), ("", json!("")), ("^a|b$", json!(r"acme\.(?:a|b$)"))]
    {
        let got = Talk::new(acme()).sent(ApiKey::LIST_TRANSACTIONS, 2, list(json!(pattern)));
        assert_eq!(got["TransactionalIdPattern"], wrapped);
    }
    let got = Talk::new(acme()).sent(ApiKey::LIST_TRANSACTIONS, 2, list(Value::Null));
    assert_eq!(got["TransactionalIdPattern"], Value::Null);
    for pattern in ["x)|(?:.*", "a^", "(", r"\Q"] {
        assert_eq!(Talk::new(acme()).refused(ApiKey::LIST_TRANSACTIONS, 2, list(json!(pattern)))["ErrorCode"], 128);
    }
}

/// A dropped element inside a dropped element.
#[test]
fn a_foreign_group_with_a_foreign_topic_is_left_out_whole() {
    for sizes in [&[][..], &[1], &[64, 7]] {
        let mut talk = Talk::new(acme());
        talk.sent(ApiKey::OFFSET_FETCH, 8, json!({"Groups": [{"GroupId": "g"}]}));
        let topics = json!([{"Name": "acme.a"}, {"Name": "globex.b", "Partitions": [{"PartitionIndex": 1}]}]);
        let answer = json!({"Groups": [{"GroupId": "globex.g", "Topics": topics}]});
        let frame = bifrost_testkit::json::response(ApiKey::OFFSET_FETCH, 8, talk.correlation_id, &answer);
        talk.driver.to_client.clear();
        talk.driver.broker_in(sizes, &frame).unwrap_or_else(|fault| panic!("{sizes:?}: {fault}"));
        assert_eq!(talk.got_back(ApiKey::OFFSET_FETCH, 8)["Groups"], json!([]), "{sizes:?}");
    }
}
