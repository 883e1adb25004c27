//! Error texts: what a tenant itself wrote comes back, nothing else.

use bifrost_core::protocol::ApiKey;
use serde_json::json;

use crate::{Talk, acme, prefixed};

fn created(code: i16, text: &str, config: bifrost_tenancy::Config) -> serde_json::Value {
    let mut talk = Talk::new(config);
    talk.sent(ApiKey::CREATE_TOPICS, 7, json!({"Topics": [{"Name": "orders"}]}));
    let name = talk.got(ApiKey::CREATE_TOPICS, 7)["Topics"][0]["Name"].clone();
    let body = json!({"Topics": [{"Name": name, "ErrorCode": code, "ErrorMessage": text}]});
    talk.heard(ApiKey::CREATE_TOPICS, 7, body)["Topics"][0]["ErrorMessage"].clone()
}

#[test]
fn own_names_in_texts_lose_the_prefix() {
    assert_eq!(created(36, "Topic 'acme.orders' already exists.", acme()), "Topic 'orders' already exists.");
}

#[test]
fn a_collision_does_not_quote_the_other_topic() {
    let text = "Topic 'acme.a_b' collides with existing topics: globex.secret";
    let shown = created(17, text, acme());
    assert!(!shown.to_string().contains("globex") && !shown.to_string().contains("acme"), "{shown}");
}

#[test]
fn texts_of_other_codes_are_left_out() {
    for code in [-1, 1, 29, 31, 56, 200] {
        assert_eq!(created(code, "globex.secret", acme()), json!(null), "{code}");
    }
}

#[test]
fn texts_are_left_out_when_the_prefix_cannot_be_told_from_words() {
    assert_eq!(created(36, "Topic 'torders' already exists.", prefixed("t")), json!(null));
}

/// `acme.orders` is a good virtual name, too.
#[test]
fn a_virtual_name_that_begins_with_the_prefix_loses_it_once() {
    let text = "Topic 'acme.acme.orders' already exists.";
    assert_eq!(created(36, text, acme()), "Topic 'acme.orders' already exists.");
}

/// `TopicConfigErrorCode` is about the configs of the answer, not about the topic.
#[test]
fn the_topics_own_error_code_decides_about_its_text() {
    let mut talk = Talk::new(acme());
    talk.sent(ApiKey::CREATE_TOPICS, 7, json!({"Topics": [{"Name": "a.b"}]}));
    let body = json!({"Topics": [{"Name": "acme.a.b", "ErrorCode": 17, "TopicConfigErrorCode": 3,
        "ErrorMessage": "Topic 'acme.a.b' collides with existing topics: globex.secret"}]});
    let heard = talk.heard(ApiKey::CREATE_TOPICS, 7, body);
    assert!(!heard.to_string().contains("globex"), "{heard}");
}

#[test]
fn produce_errors_lose_the_prefix_at_both_levels() {
    for version in [8, 12] {
        let mut talk = Talk::new(acme());
        let topics = json!([{"Name": "orders", "PartitionData": [{"Index": 0}]}]);
        talk.send(ApiKey::PRODUCE, version, json!({"Acks": 1, "TopicData": topics})).unwrap();
        let text = "One or more records of acme.orders-0 have been rejected";
        let heard = talk.heard(
            ApiKey::PRODUCE,
            version,
            json!({"Responses": [{"Name": "acme.orders",
            "PartitionResponses": [{"ErrorCode": 87, "ErrorMessage": text, "RecordErrors": [
                {"BatchIndex": 0, "BatchIndexErrorMessage": text}]}]}]}),
        );
        let partition = &heard["Responses"][0]["PartitionResponses"][0];
        let shown = "One or more records of orders-0 have been rejected";
        assert_eq!(partition["ErrorMessage"], shown, "v{version}");
        assert_eq!(partition["RecordErrors"][0]["BatchIndexErrorMessage"], shown, "v{version}");
    }
}

#[test]
fn what_a_streams_group_lacks_is_told_in_its_own_words() {
    for (prefix, shown) in [("acme.", "Missing topics: orders, clicks"), ("t", "")] {
        let mut talk = Talk::new(prefixed(prefix));
        talk.sent(ApiKey::STREAMS_GROUP_HEARTBEAT, 0, json!({"GroupId": "g"}));
        let text = format!("Missing topics: {prefix}orders, {prefix}clicks");
        let status = json!({"Status": [{"StatusCode": 1, "StatusDetail": text}]});
        let heard = talk.heard(ApiKey::STREAMS_GROUP_HEARTBEAT, 0, status);
        assert_eq!(heard["Status"][0]["StatusDetail"], shown, "{prefix}");
    }
}

#[test]
fn texts_in_a_streaming_answer_keep_their_length() {
    let mut talk = Talk::new(acme());
    talk.sent(ApiKey::SHARE_FETCH, 1, json!({"GroupId": "g"}));
    let texts = [(36, "acme.orders exists", "orders exists     "), (-1, "globex.x", "        ")];
    for (code, text, shown) in texts {
        let body = json!({"ErrorCode": code, "ErrorMessage": text});
        assert_eq!(talk.heard(ApiKey::SHARE_FETCH, 1, body)["ErrorMessage"], shown);
        talk.sent(ApiKey::SHARE_FETCH, 1, json!({"GroupId": "g"}));
    }
}
