//! The JSON that Envoy hands over.

use bifrost_chain::{Config, VirtualCluster};
use bifrost_testkit::addresses;
use serde_json::{Value, json};

fn good() -> Value {
    json!({
        "virtualCluster": "tenant-a",
        "upstream": { "bootstrapCluster": "bootstrap", "nodeCluster": "nodes", "askCluster": "ask" },
        "brokerAddress": {
            "portPerNode": {
                "advertisedHost": "gw.corp.net",
                "bootstrapPort": 9093,
                "nodePorts": [{ "firstId": 0, "lastId": 9, "firstPort": 9094 }]
            }
        }
    })
}

fn refused(change: impl FnOnce(&mut Value)) -> String {
    let mut config = good();
    change(&mut config);
    let refused = VirtualCluster::from_json(config.to_string().as_bytes());
    refused.err().expect("it must be refused").to_string()
}

#[test]
fn limits_are_optional_one_by_one() {
    let mut config = good();
    config["limits"] = json!({ "inFlightMax": 7 });
    let cluster = VirtualCluster::from_json(config.to_string().as_bytes()).unwrap();
    assert_eq!((cluster.limits().in_flight_max, cluster.limits().frame_bytes_max), (7, 100 << 20));
    assert_eq!(cluster.name(), "tenant-a");
}

#[test]
fn unknown_keys_are_refused_by_name_at_every_level() {
    for path in ["", "/upstream", "/brokerAddress/portPerNode", "/brokerAddress/portPerNode/nodePorts/0"] {
        let reason = refused(|config| config.pointer_mut(path).unwrap()["surprise"] = json!(1));
        assert!(reason.contains("surprise"), "{reason}");
    }
    let reason = refused(|config| config["limits"] = json!({ "surprise": 1 }));
    assert!(reason.contains("surprise"), "{reason}");
}

#[test]
fn nodes_are_told_apart_in_one_way_only() {
    refused(|config| config["brokerAddress"]["hostPerNode"] = json!({}));
    refused(|config| config["brokerAddress"] = json!({}));
    let hosts = json!({ "bootstrapHost": "b.x", "nodeHost": "n.x", "advertisedPort": 443 });
    let reason = refused(|config| config["brokerAddress"] = json!({ "hostPerNode": hosts }));
    assert!(reason.contains("$(nodeId)"), "{reason}");
    let node_host = json!({ "upstreamHost": "(b-[0-9]+)[.].*", "template": "$2.x" });
    let hosts = json!({ "bootstrapHost": "b.x", "nodeHost": node_host, "advertisedPort": 443 });
    let reason = refused(|config| config["brokerAddress"] = json!({ "hostPerNode": hosts }));
    assert!(reason.contains("'$2.x' has $2"), "{reason}");
}

#[test]
fn what_is_written_is_read_again() {
    for host in ["gw.corp.net", "b-$(nodeId).corp.net", "b-$1.corp.net"] {
        let written = Config { broker_address: addresses::config(host), ..crate::config() };
        let text = serde_json::to_string(&written).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), written, "{text}");
    }
}

#[test]
fn missing_keys_are_refused_by_name() {
    for key in ["virtualCluster", "upstream", "brokerAddress"] {
        let reason = refused(|config| drop(config.as_object_mut().unwrap().remove(key)));
        assert!(reason.contains(key), "{reason}");
    }
}

#[test]
fn ports_out_of_range_are_refused() {
    refused(|config| config["brokerAddress"]["portPerNode"]["bootstrapPort"] = json!(65_536));
    refused(|config| config["brokerAddress"]["portPerNode"]["bootstrapPort"] = json!(-1));
}
