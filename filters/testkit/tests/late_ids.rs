//! A topic id that is hidden in a request and known when the answer comes: it was learned meanwhile.

use std::rc::Rc;

use bifrost_core::fault::Fault;
use bifrost_core::filter::{Chain, Direction};
use bifrost_core::limits::Limits;
use bifrost_core::protocol::ApiKey;
use bifrost_core::session::Session;
use bifrost_tenancy::{Config, Tenancy};
use bifrost_testkit::driver::Driver;
use bifrost_testkit::{frames, json};
use serde_json::{Value, json};

/// An own topic's id.
const ID: &str = "00000000000000000000000000000007";

/// Asks for metadata and for `body`; the first answer tells whose topic the id is, the second one is `answer` with the hidden
/// id in place of `null`. Gives what the client reads.
fn answered(key: ApiKey, version: i16, body: &Value, answer: impl Fn(&str) -> Value) -> Result<Value, Fault> {
    let config = Config { topic_prefix: "t1-".to_owned(), group_prefix: "t1-".to_owned(), ..Config::default() };
    let chain = Rc::new(Chain::new(vec![Box::new(Tenancy::new(config))], Limits::default()));
    let mut driver = Driver::new(Session::new(chain));
    driver.client(&json::request(ApiKey::METADATA, 12, 1, "client", &json!({"Topics": null})))?;
    driver.client(&json::request(key, version, 2, "client", body))?;
    let request = frames::split(&driver.to_broker)[1].to_vec();
    let request = json::read(key, version, Direction::Request, &request[4..]).unwrap().body;
    let topics = request.get("TopicData").or(request.get("Topics")).unwrap();
    let hidden = topics[0]["TopicId"].as_str().unwrap().to_owned();
    assert_ne!(hidden, ID, "nobody knows the id yet");
    let learned = json!({"Topics": [{"Name": "t1-orders", "TopicId": ID}]});
    driver.broker(&json::response(ApiKey::METADATA, 12, 1, &learned))?;
    driver.broker(&json::response(key, version, 2, &answer(&hidden)))?;
    let answer = frames::split(&driver.to_client)[1].to_vec();
    Ok(json::read(key, version, Direction::Response, &answer[4..]).unwrap().body)
}

#[test]
fn producing_to_it_is_tried_again() {
    let body = json!({"Acks": -1, "TopicData": [{"TopicId": ID, "PartitionData": [{"Index": 0, "Records": "00"}]}]});
    let answer = |id: &str| {
        let partition = json!({"Index": 0, "ErrorCode": 100});
        json!({"Responses": [{"TopicId": id, "PartitionResponses": [partition]}]})
    };
    let body = answered(ApiKey::PRODUCE, 13, &body, answer).unwrap();
    assert_eq!(body["Responses"][0]["TopicId"], ID);
    assert_eq!(body["Responses"][0]["PartitionResponses"][0]["ErrorCode"], 100);
}

#[test]
fn fetching_from_it_for_a_share_group_does_not_end_the_connection() {
    let body =
        json!({"GroupId": "g", "MemberId": "m", "Topics": [{"TopicId": ID, "Partitions": [{"PartitionIndex": 0}]}]});
    let answer = |id: &str| {
        let partition = json!({"PartitionIndex": 0, "ErrorCode": 100, "AcknowledgeErrorCode": 100,
            "AcknowledgeErrorMessage": "'t1-orders' is not there"});
        json!({"Responses": [{"TopicId": id, "Partitions": [partition]}]})
    };
    let body = answered(ApiKey::SHARE_FETCH, 1, &body, answer).unwrap();
    assert_eq!(body["Responses"][0]["Partitions"][0]["AcknowledgeErrorCode"], 100);
}
