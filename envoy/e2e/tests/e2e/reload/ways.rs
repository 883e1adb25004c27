//! The ways in which documents change.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use bifrost_e2e::gateway::{GATEWAY_IP, Gateway};
use bifrost_e2e::ports::PortBlock;

use super::Held;
use crate::fixture::shared;

/// A document with a bootstrap port and one node port.
pub(super) fn document(name: &str, servers: &str, port: u16, options: &str) -> String {
    let names = format!("topicPrefix: {name}., groupPrefix: {name}., transactionIdPrefix: {name}.");
    format!(
        "apiVersion: gateway.corp/v1alpha1
kind: KafkaVirtualCluster
metadata: {{ name: {name} }}
spec:
  listener: {{ bind: {GATEWAY_IP}, port: {port}, advertisedHost: {GATEWAY_IP}, maxNodeId: 0 }}
  targetCluster: {{ bootstrapServers: \"{servers}\" }}
  virtualization: {{ {names}{options} }}
"
    )
}

/// Puts a new version of a mounted ConfigMap in place, as the kubelet does.
fn mount(folder: &Path, version: &str, files: &[(&str, String)]) {
    let versioned = folder.join(version);
    fs::create_dir(&versioned).unwrap();
    for (name, text) in files {
        fs::write(versioned.join(name), text).unwrap();
        let link = folder.join(name);
        if !link.is_symlink() {
            symlink(Path::new("..data").join(name), link).unwrap();
        }
    }
    let data = folder.join("..data");
    let old = fs::read_link(&data).ok();
    symlink(version, folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), data).unwrap();
    if let Some(old) = old {
        fs::remove_dir_all(folder.join(old)).unwrap();
    }
}

#[test]
fn documents_in_a_config_map_are_followed() {
    let fixture = shared();
    let servers = fixture.kafka.bootstrap_servers();
    let ports = PortBlock::claim().unwrap();
    let folder = fixture.run.folder("config-map").unwrap();
    let a = document("a", &servers, ports.port(0), "");
    mount(&folder, "..1", &[("a.yaml", a.clone())]);
    let gateway = Gateway::start_with(&fixture.tools, &fixture.run, "reload-config-map", &folder).unwrap();
    let mut held = Held::open(ports.port(0), 3);

    mount(&folder, "..2", &[("a.yaml", a.clone()), ("b.yaml", document("b", &servers, ports.port(10), ""))]);
    let status = gateway.after_changes(1).unwrap();

    assert_eq!(status["generation"]["number"], 2);
    Held::open(ports.port(10), 1);
    held.assert_all_answer();

    // Written over in place.
    fs::write(folder.join("..2/b.yaml"), document("b", &servers, ports.port(20), "")).unwrap();
    let status = gateway.after_changes(2).unwrap();
    assert_eq!(status["generation"]["number"], 3);
    Held::open(ports.port(20), 1);
    held.assert_all_answer();
}

#[test]
fn another_target_cluster_has_other_nodes() {
    let fixture = shared();
    let servers: Vec<String> = fixture.kafka.bootstrap_servers().split(',').map(str::to_owned).collect();
    let ports = PortBlock::claim().unwrap();
    let folder = fixture.run.folder("another-target").unwrap();
    let file = folder.join("a.yaml");
    fs::write(&file, document("a", &servers[0], ports.port(0), "")).unwrap();
    let gateway = Gateway::start_with(&fixture.tools, &fixture.run, "reload-target", &folder).unwrap();
    let mut held = Held::open(ports.port(0), 3);

    fs::write(&file, document("a", &servers[1], ports.port(0), "")).unwrap();
    gateway.after_changes(1).unwrap();

    Held::open(ports.port(0), 1);
    let status = gateway.status().unwrap();
    let bootstrap = &status["runtime"][0]["brokers"][0];
    assert_eq!((&bootstrap["role"], bootstrap["address"].as_str()), (&"bootstrap".into(), Some(&*servers[1])));
    // The old target cluster is not gone, so what goes there may go on.
    held.assert_all_answer();
}

#[test]
fn ports_move_from_one_virtual_cluster_to_another() {
    let fixture = shared();
    let servers = fixture.kafka.bootstrap_servers();
    let ports = PortBlock::claim().unwrap();
    let folder = fixture.run.folder("moving-ports").unwrap();
    let file = folder.join("all.yaml");
    let write = |virtual_clusters: &[(&str, u16)]| {
        let of = |(name, at): &(&str, u16)| format!("---\n{}", document(name, &servers, ports.port(*at), ""));
        fs::write(&file, virtual_clusters.iter().map(of).collect::<String>()).unwrap();
    };
    write(&[("a", 0), ("b", 10), ("untouched", 20)]);
    let gateway = Gateway::start_with(&fixture.tools, &fixture.run, "reload-ports", &folder).unwrap();
    let mut untouched = Held::open(ports.port(20), 3);
    // Whose connection it is when one comes to a port.
    let owner = |at: u16| {
        let totals = || {
            ["a", "b", "renamed"].map(|name| {
                let stats = gateway.stats(&format!("listener.{name}.downstream_cx_total")).unwrap();
                stats.into_iter().map(|(_, value)| value).sum::<u64>()
            })
        };
        let before = totals();
        Held::open(ports.port(at), 1);
        let after = totals();
        let grown: Vec<&str> = (0..3).filter(|n| after[*n] > before[*n]).map(|n| ["a", "b", "renamed"][n]).collect();
        assert_eq!(grown.len(), 1, "{before:?} {after:?}");
        grown[0]
    };
    assert_eq!((owner(0), owner(10)), ("a", "b"));

    let changes = [
        // They swap.
        [("a", 10), ("b", 0)],
        // The node port of one becomes the bootstrap port of another, which leaves its own.
        [("a", 1), ("b", 30)],
        // The same port under another name.
        [("a", 1), ("renamed", 30)],
        // One goes and another takes its port at once.
        [("renamed", 1), ("b", 40)],
    ];
    for (number, virtual_clusters) in (1..).zip(changes) {
        let [one, other] = virtual_clusters;
        write(&[one, other, ("untouched", 20)]);
        let status = gateway.after_changes(number).unwrap();
        assert_eq!(status["refused"], serde_json::Value::Null, "change {number}: {status}");
        assert_eq!(status["generation"]["number"], number + 1);
        for (name, at) in virtual_clusters {
            assert_eq!(owner(at), name, "change {number}");
        }
    }
    untouched.assert_all_answer();
    let destroyed = gateway.stats("listener.untouched.downstream_cx_destroy").unwrap();
    assert!(destroyed.iter().all(|(_, value)| *value == 0), "{destroyed:?}");
}
