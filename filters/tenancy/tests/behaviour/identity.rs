//! Who the client says that it is, and which cluster it is shown.

use bifrost_core::protocol::ApiKey;
use bifrost_tenancy::Config;
use serde_json::{Value, json};

use crate::{Talk, acme};

const METADATA: ApiKey = ApiKey::METADATA;

fn with_client_prefix() -> Config {
    Config { client_id_prefix: "acme/".to_owned(), ..acme() }
}

fn with_cluster_id() -> Config {
    Config { cluster_id: Some("virtual".to_owned()), ..acme() }
}

#[test]
fn client_ids_get_their_prefix_in_every_message() {
    for (key, version) in [
        (METADATA, 0),
        (METADATA, 12),
        (ApiKey::PRODUCE, 3),
        (ApiKey::PRODUCE, 9),
        (ApiKey::PRODUCE, 13),
        (ApiKey::SASL_HANDSHAKE, 1),
        (ApiKey::LIST_GROUPS, 0),
        (ApiKey::DESCRIBE_CLUSTER, 0),
    ] {
        let mut talk = Talk::new(with_client_prefix());
        talk.send(key, version, json!({})).unwrap();
        assert_eq!(talk.got_message(key, version).client_id.as_deref(), Some("acme/client"), "{key} v{version}");
    }
}

#[test]
fn client_ids_in_group_descriptions_lose_it() {
    let mut talk = Talk::new(with_client_prefix());
    talk.sent(ApiKey::DESCRIBE_GROUPS, 5, json!({"Groups": ["g"]}));
    let members = json!([{"ClientId": "acme/client"}, {"ClientId": "past-the-gateway"}]);
    let heard = talk.heard(ApiKey::DESCRIBE_GROUPS, 5, json!({"Groups": [{"GroupId": "acme.g", "Members": members}]}));
    let members = &heard["Groups"][0]["Members"];
    assert_eq!((&members[0]["ClientId"], &members[1]["ClientId"]), (&json!("client"), &json!("past-the-gateway")));
}

#[test]
fn the_brokers_own_client_id_does_not_get_through() {
    for (config, seen) in [(acme(), None), (with_client_prefix(), Some("acme/__admin_client"))] {
        for (key, version) in [(ApiKey::PRODUCE, 3), (ApiKey::PRODUCE, 9), (ApiKey::PRODUCE, 13), (METADATA, 9)] {
            let mut talk = Talk::new(config.clone());
            talk.client_id = "__admin_client";
            talk.send(key, version, json!({})).unwrap();
            assert_eq!(talk.got_message(key, version).client_id.as_deref(), seen, "{key} v{version}");
        }
    }
}

#[test]
fn the_cluster_has_the_id_that_the_operator_gave_it() {
    for (config, shown) in [(with_cluster_id(), "virtual"), (acme(), "real")] {
        for version in [2, 9, 13] {
            let mut talk = Talk::new(config.clone());
            talk.sent(METADATA, version, json!({"Topics": null}));
            assert_eq!(talk.heard(METADATA, version, json!({"ClusterId": "real"}))["ClusterId"], shown);
            talk.sent(METADATA, version, json!({"Topics": null}));
            assert_eq!(talk.heard(METADATA, version, json!({"ClusterId": null}))["ClusterId"], Value::Null);
        }
        let mut talk = Talk::new(config);
        talk.sent(ApiKey::DESCRIBE_CLUSTER, 2, json!({"EndpointType": 1}));
        assert_eq!(talk.heard(ApiKey::DESCRIBE_CLUSTER, 2, json!({"ClusterId": "real"}))["ClusterId"], shown);
    }
}

#[test]
fn a_client_that_states_the_id_that_it_was_shown_is_right() {
    let body = |cluster: &str| json!({"ClusterId": cluster, "NodeId": 1});
    let got = Talk::new(with_cluster_id()).sent(ApiKey::API_VERSIONS, 5, body("virtual"));
    assert_eq!((&got["ClusterId"], &got["NodeId"]), (&Value::Null, &json!(-1)), "both or neither");
    for other in ["other", "real"] {
        let heard = Talk::new(with_cluster_id()).refused(ApiKey::API_VERSIONS, 5, body(other));
        assert_eq!(heard["ErrorCode"], 129, "{other}");
    }
    let got = Talk::new(acme()).sent(ApiKey::API_VERSIONS, 5, body("real"));
    assert_eq!((&got["ClusterId"], &got["NodeId"]), (&json!("real"), &json!(1)));
}

#[test]
fn rights_are_not_told() {
    let mut talk = Talk::new(acme());
    talk.sent(METADATA, 8, json!({"Topics": null, "IncludeTopicAuthorizedOperations": true}));
    let topics = json!([{"Name": "acme.a", "TopicAuthorizedOperations": 0xff8}]);
    let heard = talk.heard(METADATA, 8, json!({"Topics": topics, "ClusterAuthorizedOperations": 0xfff}));
    assert_eq!(heard["Topics"][0]["TopicAuthorizedOperations"], i32::MIN);
    assert_eq!(heard["ClusterAuthorizedOperations"], i32::MIN);
}

#[test]
fn controllers_are_not_described() {
    for version in [1, 2] {
        for kind in [2, 0, -1] {
            let heard = Talk::new(acme()).refused(ApiKey::DESCRIBE_CLUSTER, version, json!({"EndpointType": kind}));
            assert_eq!(heard["ErrorCode"], 115, "v{version} type {kind}");
            assert_eq!(heard["Brokers"], json!([]));
        }
        Talk::new(acme()).sent(ApiKey::DESCRIBE_CLUSTER, version, json!({"EndpointType": 1}));
    }
    Talk::new(acme()).sent(ApiKey::DESCRIBE_CLUSTER, 0, json!({}));
}
