//! Groups of the newer kinds: consumers that the broker assigns (KIP-848), share groups (KIP-932), streams groups (KIP-1071).

use bifrost_core::fault::Fault;
use bifrost_core::protocol::ApiKey;
use serde_json::{Value, json};

use crate::{OTHER, Talk, acme, id, prefixed, same_body};

const HEARTBEAT: ApiKey = ApiKey::CONSUMER_GROUP_HEARTBEAT;
const DESCRIBE: ApiKey = ApiKey::CONSUMER_GROUP_DESCRIBE;

fn heartbeat(regex: Value) -> Value {
    json!({"GroupId": "g", "SubscribedTopicNames": ["orders", "acme.x"], "SubscribedTopicRegex": regex})
}

#[test]
fn subscriptions_of_a_heartbeat_are_renamed() {
    for version in [0, 1] {
        let got = Talk::new(acme()).sent(HEARTBEAT, version, heartbeat(Value::Null));
        assert_eq!(got["GroupId"], "acme.g");
        assert_eq!(got["SubscribedTopicNames"], json!(["acme.orders", "acme.acme.x"]), "v{version}");
        let unchanged = json!({"GroupId": "g", "SubscribedTopicNames": null});
        assert_eq!(Talk::new(acme()).sent(HEARTBEAT, version, unchanged)["SubscribedTopicNames"], Value::Null);
    }
}

#[test]
fn patterns_of_a_heartbeat_are_wrapped() {
    for (regex, wrapped) in [
        (json!("orders.*"), json!(r"acme\.(?:orders.*)")),
        (json!("a|b"), json!(r"acme\.(?:a|b)")),
        (json!("^a|^b$"), json!(r"acme\.(?:a|b$)")),
        (json!("(?i)A"), json!(r"acme\.(?:(?i)A)")),
        // Unchanged, and none any more.
        (Value::Null, Value::Null),
        (json!(""), json!("")),
    ] {
        let got = Talk::new(acme()).sent(HEARTBEAT, 1, heartbeat(regex));
        assert_eq!(got["SubscribedTopicRegex"], wrapped);
    }
    let got = Talk::new(prefixed("")).sent(HEARTBEAT, 1, heartbeat(json!("x)|(?:.*")));
    assert_eq!(got["SubscribedTopicRegex"], "x)|(?:.*", "without a prefix it is the broker's to judge");
}

#[test]
fn patterns_that_could_leave_the_prefix_are_refused() {
    for regex in ["x)|(?:.*", "(", "a^", "$a", r"\Qa", r"\Ba", "[a&&b]", "(?P<n>a", "a{1001}", r"\pL"] {
        let heard = Talk::new(acme()).refused(HEARTBEAT, 1, heartbeat(json!(regex)));
        assert_eq!(heard["ErrorCode"], 128, "{regex}");
    }
}

/// An answer names topics by ids that the group has subscribed to: all its own.
#[test]
fn ids_in_an_assignment_pass() {
    let mut talk = Talk::new(acme());
    talk.sent(HEARTBEAT, 1, heartbeat(Value::Null));
    let assignment = json!({"TopicPartitions": [{"TopicId": id(8), "Partitions": [1]}]});
    let heard = talk.heard(HEARTBEAT, 1, json!({"Assignment": assignment}));
    assert_eq!(heard["Assignment"], assignment);
}

fn described(regex: Value, names: &[&str]) -> Value {
    let partitions: Vec<Value> =
        names.iter().map(|name| json!({"TopicId": id(7), "TopicName": name, "Partitions": [0, 1]})).collect();
    let assigned = json!({"TopicPartitions": partitions});
    let member = json!({"MemberId": "m", "SubscribedTopicNames": names, "SubscribedTopicRegex": regex,
        "Assignment": assigned, "TargetAssignment": assigned});
    json!({"GroupId": "acme.g", "Members": [member]})
}

#[test]
fn descriptions_lose_the_prefix_in_names_assignments_and_patterns() {
    for version in [0, 1] {
        for (regex, shown) in [
            (json!(r"acme\.(?:a.*)"), json!("a.*")),
            (json!(""), json!("")),
            (Value::Null, Value::Null),
            // Nobody has wrapped these.
            (json!("acme.*"), Value::Null),
            (json!(r"globex\.(?:a)"), Value::Null),
            (json!(r"acme\.(?:x)|(?:.*)"), Value::Null),
        ] {
            let mut talk = Talk::new(acme());
            let got = talk.sent(DESCRIBE, version, json!({"GroupIds": ["g"]}));
            assert_eq!(got["GroupIds"], json!(["acme.g"]));
            let group = described(regex, &["acme.orders", "acme.acme.x"]);
            let heard = talk.heard(DESCRIBE, version, json!({"Groups": [group]}));
            assert_eq!(heard["Groups"][0]["GroupId"], "g");
            let member = &heard["Groups"][0]["Members"][0];
            assert_eq!(member["SubscribedTopicRegex"], shown, "v{version}");
            assert_eq!(member["SubscribedTopicNames"], json!(["orders", "acme.x"]));
            for assignment in ["Assignment", "TargetAssignment"] {
                let topics = member[assignment]["TopicPartitions"].as_array().unwrap();
                let names: Vec<&Value> = topics.iter().map(|topic| &topic["TopicName"]).collect();
                assert_eq!(names, ["orders", "acme.x"], "v{version} {assignment}");
                assert_eq!(topics[0]["Partitions"], json!([0, 1]));
            }
        }
    }
}

#[test]
fn topics_of_others_in_a_description_are_left_out() {
    for (key, versions) in [(DESCRIBE, [0, 1]), (ApiKey::SHARE_GROUP_DESCRIBE, [0, 1])] {
        for version in versions {
            let mut talk = Talk::new(acme());
            talk.sent(key, version, json!({"GroupIds": ["g"]}));
            let mut group = described(Value::Null, &["globex.a", "acme.orders", "globex.b"]);
            if key != DESCRIBE {
                let member = group["Members"][0].as_object_mut().unwrap();
                member.remove("TargetAssignment");
                member.remove("SubscribedTopicRegex");
            }
            let heard = talk.heard(key, version, json!({"Groups": [group]}));
            let member = &heard["Groups"][0]["Members"][0];
            assert_eq!(member["SubscribedTopicNames"], json!(["orders"]), "{key} v{version}");
            let assigned = &member["Assignment"]["TopicPartitions"];
            assert_eq!((assigned.as_array().unwrap().len(), &assigned[0]["TopicName"]), (1, &json!("orders")));
            assert!(!heard.to_string().contains(OTHER));
        }
    }
}

#[test]
fn share_groups_are_renamed() {
    for version in [0, 1] {
        let got = Talk::new(acme()).sent(
            ApiKey::SHARE_GROUP_HEARTBEAT,
            version,
            json!({"GroupId": "g", "SubscribedTopicNames": ["orders"]}),
        );
        assert_eq!((&got["GroupId"], &got["SubscribedTopicNames"]), (&json!("acme.g"), &json!(["acme.orders"])));

        let mut talk = Talk::new(acme());
        let topics = json!([{"TopicName": "orders"}]);
        let groups = json!([{"GroupId": "g", "Topics": topics}, {"GroupId": "h", "Topics": null}]);
        let got = talk.sent(ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS, version, json!({"Groups": groups}));
        assert_eq!(got["Groups"][0]["Topics"][0]["TopicName"], "acme.orders");
        assert_eq!((&got["Groups"][1]["GroupId"], &got["Groups"][1]["Topics"]), (&json!("acme.h"), &Value::Null));
        let all = json!([{"TopicName": "acme.orders", "TopicId": id(7)}, {"TopicName": "globex.x", "TopicId": id(8)}]);
        let answer = json!({"Groups": [{"GroupId": "acme.h", "Topics": all}]});
        let heard = talk.heard(ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS, version, answer);
        let topics = heard["Groups"][0]["Topics"].as_array().unwrap();
        assert_eq!((topics.len(), &topics[0]["TopicName"]), (1, &json!("orders")));
    }
    let mut talk = Talk::new(acme());
    for key in [ApiKey::ALTER_SHARE_GROUP_OFFSETS, ApiKey::DELETE_SHARE_GROUP_OFFSETS] {
        let got = talk.sent(key, 0, json!({"GroupId": "g", "Topics": [{"TopicName": "orders"}]}));
        assert_eq!((&got["GroupId"], &got["Topics"][0]["TopicName"]), (&json!("acme.g"), &json!("acme.orders")));
        let answer = |topic: &str| json!({"Responses": [{"TopicName": topic, "TopicId": id(7)}]});
        assert_eq!(talk.heard(key, 0, answer("acme.orders"))["Responses"][0]["TopicName"], "orders");
        talk.sent(key, 0, json!({"GroupId": "g"}));
        assert_eq!(talk.answer(key, 0, answer("globex.x")), Err(Fault::Foreign { field: "TopicName" }), "{key}");
        talk = Talk::new(acme());
    }
}

/// Topics in all places of a topology, each named by `name`.
fn topology(name: impl Fn(&str) -> String, regex: bool) -> Value {
    let internal = |topic: &str| {
        json!({"Name": name(topic), "Partitions": 3, "ReplicationFactor": 1,
            "TopicConfigs": [{"Key": "retention.ms", "Value": "orders"}]})
    };
    let mut sub = json!({"SubtopologyId": "orders", "SourceTopics": [name("orders"), name("clicks")],
        "StateChangelogTopics": [internal("log1"), internal("log2")], "RepartitionSinkTopics": [name("sink")],
        "RepartitionSourceTopics": [internal("source")]});
    if regex {
        sub["SourceTopicRegex"] = json!([]);
        sub["CopartitionGroups"] = json!([{"SourceTopics": [0, 1], "RepartitionSourceTopics": [0]}]);
    }
    json!({"Epoch": 4, "Subtopologies": [sub, sub]})
}

/// The same for the description of a topology, where nodes name topics, too.
fn description(name: impl Fn(&str) -> String) -> Value {
    let node = |n: &str, sink: Value| {
        json!({"Name": "orders", "NodeType": 1, "SourceTopics": [name(n), name("more")], "SinkTopic": sink,
            "Stores": ["orders"], "Successors": ["orders"]})
    };
    let nodes = json!([node("a", json!(name("out"))), node("b", Value::Null)]);
    let global = json!({"Source": node("global", Value::Null), "Processor": node("p", json!(name("out2")))});
    json!({"Subtopologies": [{"SubtopologyId": "orders", "Nodes": nodes}], "GlobalStores": [global, global]})
}

fn physical(name: &str) -> String {
    format!("acme.{name}")
}

#[test]
fn every_topic_of_a_streams_topology_is_renamed() {
    for version in [0, 1] {
        let body = json!({"GroupId": "g", "Topology": topology(str::to_owned, true),
            "UserEndpoint": {"Host": "acme.host", "Port": 1}, "ClientTags": [{"Key": "orders", "Value": "orders"}]});
        let got = Talk::new(acme()).sent(ApiKey::STREAMS_GROUP_HEARTBEAT, version, body);
        assert_eq!(got["GroupId"], "acme.g");
        assert_eq!(got["UserEndpoint"]["Host"], "acme.host", "the application's own");
        assert_eq!(got["ClientTags"][0], json!({"Key": "orders", "Value": "orders"}));
        let mut expected = topology(physical, true);
        for at in [0, 1] {
            expected["Subtopologies"][at]["CopartitionGroups"][0]["SourceTopicRegex"] = json!([]);
        }
        same_body("Topology", &got["Topology"], &expected);
        let got = Talk::new(acme()).sent(ApiKey::STREAMS_GROUP_HEARTBEAT, version, json!({"GroupId": "g"}));
        assert_eq!(got["Topology"], Value::Null, "unchanged");
    }
}

#[test]
fn answers_to_a_streams_heartbeat_name_virtual_topics() {
    for version in [0, 1] {
        let partitions = |names: &[&str]| -> Vec<Value> {
            names.iter().map(|name| json!({"Topic": name, "Partitions": [1]})).collect()
        };
        let answer = |active: &[&str], standby: &[&str]| {
            json!({"Status": [{"StatusCode": 1, "StatusDetail": "acme.orders and acme.clicks are missing"},
                    {"StatusCode": 0, "StatusDetail": ""}],
                "PartitionsByUserEndpoint": [{"UserEndpoint": {"Host": "acme.host", "Port": 9},
                    "ActivePartitions": partitions(active), "StandbyPartitions": partitions(standby)}]})
        };
        let mut talk = Talk::new(acme());
        talk.sent(ApiKey::STREAMS_GROUP_HEARTBEAT, version, json!({"GroupId": "g"}));
        let sent = answer(&["acme.a", "acme.acme.b"], &["acme.c"]);
        let heard = talk.heard(ApiKey::STREAMS_GROUP_HEARTBEAT, version, sent);
        let at = &heard["PartitionsByUserEndpoint"][0];
        assert_eq!(at["UserEndpoint"]["Host"], "acme.host");
        assert_eq!(at["ActivePartitions"], json!(partitions(&["a", "acme.b"])), "v{version}");
        assert_eq!(at["StandbyPartitions"], json!(partitions(&["c"])), "v{version}");
        assert_eq!(heard["Status"][0]["StatusDetail"], "orders and clicks are missing");
        assert_eq!(heard["Status"][1]["StatusDetail"], "");
        for (active, standby) in [(&["globex.x"][..], &[][..]), (&[], &["globex.x"])] {
            talk.sent(ApiKey::STREAMS_GROUP_HEARTBEAT, version, json!({"GroupId": "g"}));
            let heard = talk.answer(ApiKey::STREAMS_GROUP_HEARTBEAT, version, answer(active, standby));
            assert_eq!(heard, Err(Fault::Foreign { field: "Topic" }), "v{version}");
            talk = Talk::new(acme());
        }
    }
}

#[test]
fn descriptions_of_streams_groups_name_virtual_topics() {
    for version in [0, 1] {
        let group = |name: fn(&str) -> String| {
            let mut group = json!({"GroupId": name("g"), "Topology": topology(name, false)});
            if version == 1 {
                group["TopologyDescription"] = description(name);
            }
            group
        };
        let mut talk = Talk::new(acme());
        let got = talk.sent(ApiKey::STREAMS_GROUP_DESCRIBE, version, json!({"GroupIds": ["g", "h"]}));
        assert_eq!(got["GroupIds"], json!(["acme.g", "acme.h"]));
        let heard = talk.heard(ApiKey::STREAMS_GROUP_DESCRIBE, version, json!({"Groups": [group(physical)]}));
        let (heard, expected) = (&heard["Groups"][0], group(str::to_owned));
        assert_eq!(heard["GroupId"], "g");
        same_body("Topology", &heard["Topology"], &expected["Topology"]);
        if version == 1 {
            same_body("TopologyDescription", &heard["TopologyDescription"], &expected["TopologyDescription"]);
        }
    }
}

#[test]
fn every_topic_of_a_topology_description_is_renamed() {
    let update = ApiKey::STREAMS_GROUP_TOPOLOGY_DESCRIPTION_UPDATE;
    let body = json!({"GroupId": "g", "MemberId": "orders", "TopologyDescription": description(str::to_owned)});
    let got = Talk::new(acme()).sent(update, 0, body);
    assert_eq!((&got["GroupId"], &got["MemberId"]), (&json!("acme.g"), &json!("orders")));
    same_body("TopologyDescription", &got["TopologyDescription"], &description(physical));
    let empty = json!({"GroupId": "", "TopologyDescription": description(str::to_owned)});
    assert_eq!(Talk::new(acme()).refused(update, 0, empty)["ErrorCode"], 24);
}
