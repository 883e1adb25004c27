//! Changes that are refused: what was in force stays, and everybody can see it.

use std::net::TcpListener;

use bifrost_e2e::gateway::{GATEWAY_IP, Gateway};
use bifrost_e2e::tools::Tools;
use serde_json::Value;

use super::{Held, tenant};
use crate::fixture::shared;

fn reasons(status: &Value) -> String {
    let reasons = status["refused"]["reasons"].as_array().unwrap_or_else(|| panic!("nothing was refused: {status}"));
    reasons.iter().map(|reason| format!("{}\n", reason.as_str().unwrap())).collect()
}

#[test]
fn a_document_that_is_wrong_changes_nothing_and_is_named() {
    let fixture = shared();
    let servers = fixture.kafka.bootstrap_servers();
    let good = [tenant("good", &servers)];
    let mut gateway = Gateway::start(&fixture.tools, &fixture.run, "reload-wrong", &good).unwrap();
    let mut held = Held::open(gateway.port(0), 3);
    let text = std::fs::read_to_string(gateway.document()).unwrap();

    gateway.write(&text.replace("topicPrefix", "topicPrefx")).unwrap();
    let status = gateway.after_changes(1).unwrap();
    assert!(reasons(&status).contains("spec.virtualization.topicPrefx"), "{status}");
    assert!(reasons(&status).contains("gateway.yaml:8"), "{status}");
    assert_eq!(status["generation"]["number"], 1);
    assert!(gateway.log().unwrap().contains("the change is refused, generation 1 stays in force"));
    assert!(metrics(&gateway).contains("bifrost_change_refused 1\n"));
    held.assert_all_answer();
    Held::open(gateway.port(0), 1);

    // A port that is somebody else's.
    let taken = TcpListener::bind((GATEWAY_IP, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let second = format!(
        "---
apiVersion: gateway.corp/v1alpha1
kind: KafkaVirtualCluster
metadata: {{ name: second }}
spec:
  listener: {{ bind: {GATEWAY_IP}, port: {port}, advertisedHost: {GATEWAY_IP}, maxNodeId: 0 }}
  targetCluster: {{ bootstrapServers: \"{servers}\" }}
  virtualization: {{ topicPrefix: second., groupPrefix: second., transactionIdPrefix: second. }}
"
    );
    gateway.write(&format!("{text}{second}")).unwrap();
    let status = gateway.after_changes(2).unwrap();
    assert!(reasons(&status).contains(&format!("virtual cluster 'second': port {port} is already in use")), "{status}");

    // What was wrong is put right.
    gateway.change(&[good[0].clone(), tenant("third", &servers)]).unwrap();
    let status = gateway.after_changes(3).unwrap();
    assert_eq!((&status["generation"]["number"], status.get("refused")), (&2.into(), None));
    assert!(metrics(&gateway).contains("bifrost_change_refused 0\n"));
    held.assert_all_answer();
    Held::open(gateway.port(1), 1);
}

/// The file is beside Envoy's bootstrap.
fn metrics(gateway: &Gateway) -> String {
    let info: Value = serde_json::from_str(&gateway.admin("/server_info").unwrap()).unwrap();
    let bootstrap = info["command_line_options"]["config_path"].as_str().unwrap();
    std::fs::read_to_string(std::path::Path::new(bootstrap).with_file_name("metrics.prom")).unwrap()
}

#[test]
fn a_module_that_refuses_its_configuration_does_not_come_into_force() {
    let fixture = shared();
    let servers = fixture.kafka.bootstrap_servers();
    let module = fixture.run.folder("reload-module").unwrap().join("module.wasm");
    std::fs::copy(&fixture.tools.module, &module).unwrap();
    let tools = Tools { module: module.clone(), ..fixture.tools.clone() };
    let first = [tenant("first", &servers)];
    let mut gateway = Gateway::start(&tools, &fixture.run, "reload-module", &first).unwrap();
    let mut held = Held::open(gateway.port(0), 3);

    // A module that knows another configuration, and one that is none.
    std::fs::write(&module, refusing_module()).unwrap();
    gateway.change(&[first[0].clone(), tenant("second", &servers)]).unwrap();
    let status = gateway.after_changes(1).unwrap();
    assert!(reasons(&status).contains("Envoy refuses the policies of virtual cluster"), "{status}");
    assert_eq!(status["generation"]["number"], 1);
    assert!(std::net::TcpStream::connect((GATEWAY_IP, gateway.port(1))).is_err(), "the port is not left open");
    held.assert_all_answer();
    Held::open(gateway.port(0), 1);

    std::fs::write(&module, "no module").unwrap();
    gateway.reload().unwrap();
    let status = gateway.after_changes(2).unwrap();
    assert!(reasons(&status).contains("Envoy refuses the policies of virtual cluster"), "{status}");
    held.assert_all_answer();

    std::fs::copy(&fixture.tools.module, &module).unwrap();
    gateway.reload().unwrap();
    let status = gateway.after_changes(3).unwrap();
    assert_eq!((&status["generation"]["number"], status.get("refused")), (&2.into(), None));
    held.assert_all_answer();
    Held::open(gateway.port(1), 1);
}

/// The smallest module that Envoy loads and that says no: what the host calls is there, and `proxy_on_configure` gives 0.
fn refusing_module() -> Vec<u8> {
    const TYPES: &[u8] = &[1, 17, 3, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 2, 0x7f, 0x7f, 1, 0x7f, 0x60, 2, 0x7f, 0x7f, 0];
    // malloc; vm_start and configure; context_create.
    const FUNCTIONS: &[u8] = &[3, 5, 4, 0, 1, 1, 2];
    const MEMORY: &[u8] = &[5, 3, 1, 0, 2];
    const BODIES: &[u8] =
        &[10, 20, 4, 5, 0, 0x41, 0x80, 0x08, 0x0b, 4, 0, 0x41, 1, 0x0b, 4, 0, 0x41, 0, 0x0b, 2, 0, 0x0b];
    let mut exports = vec![6u8];
    for (name, kind, index) in [
        ("memory", 2, 0),
        ("malloc", 0, 0),
        ("proxy_on_vm_start", 0, 1),
        ("proxy_on_configure", 0, 2),
        ("proxy_on_context_create", 0, 3),
        ("proxy_abi_version_0_2_1", 0, 3),
    ] {
        exports.push(u8::try_from(name.len()).unwrap());
        exports.extend(name.bytes());
        exports.extend([kind, index]);
    }
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    module.extend_from_slice(TYPES);
    module.extend_from_slice(FUNCTIONS);
    module.extend_from_slice(MEMORY);
    module.extend([7, u8::try_from(exports.len()).unwrap()]);
    module.extend(exports);
    module.extend_from_slice(BODIES);
    module
}
