//! The examples of the repository, run as they are; variables say what is different on this machine.

use std::collections::BTreeSet;
use std::path::Path;

use bifrost_e2e::gateway::{GATEWAY_IP, Gateway};
use bifrost_e2e::kafka::{Kafka, Secure, Version};
use bifrost_e2e::ports::PortBlock;
use bifrost_e2e::run_dir::RunDir;

use super::{Setting, setting};
use crate::fixture::beside_others;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");

/// Each example has a test here.
const TESTED: [&str; 6] =
    ["hosted-kafka", "mtls-to-tls", "plaintext", "sni-single-port", "tls-to-tls", "two-target-clusters"];

/// Starts an example; `variables` beside where it listens.
fn start(setting: &Setting, example: &str, variables: &[(&str, String)]) -> (Gateway, PortBlock) {
    let ports = PortBlock::claim().unwrap();
    let mut all = vec![
        ("BIND", GATEWAY_IP.to_string()),
        ("PORT", ports.port(0).to_string()),
        ("ADVERTISED_HOST", GATEWAY_IP.to_string()),
        ("BROKERS", "*.kafka.test".to_owned()),
        ("BROKERS_ADDRESS", "127.0.0.2".to_owned()),
    ];
    all.extend(variables.iter().cloned());
    let document = Path::new(EXAMPLES).join(format!("{example}.yaml"));
    let gateway = Gateway::start_in(&setting.tools, &setting.run, example, &document, &all).unwrap();
    (gateway, ports)
}

fn at(ports: &PortBlock) -> String {
    format!("{GATEWAY_IP}:{}", ports.port(0))
}

/// Certificates of this name, made for the setting.
fn folder(setting: &Setting, name: &str) -> String {
    setting.run.folder("certificates").unwrap().join(name).display().to_string()
}

fn brokers_ca(setting: &Setting) -> String {
    format!("{}/ca.crt", folder(setting, "gateway"))
}

#[test]
fn every_example_has_a_test() {
    let files = std::fs::read_dir(EXAMPLES).unwrap().map(|entry| entry.unwrap().path());
    let names: BTreeSet<String> = files.map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(names, TESTED.map(str::to_owned).into());
}

#[test]
fn plaintext_example() {
    let _turn = beside_others();
    let setting = setting();
    let (gateway, ports) = start(setting, "plaintext", &[("BOOTSTRAP_SERVERS", setting.kafka.bootstrap_servers())]);
    setting.every_client_with(&at(&ports), |_| Vec::new());
    gateway.stop().unwrap();
}

#[test]
fn tls_to_tls_example() {
    let _turn = beside_others();
    let setting = setting();
    let variables = [
        ("BOOTSTRAP_SERVERS", setting.kafka.secure_servers(Secure::Server, true)),
        ("CERTIFICATES", folder(setting, "ip")),
        ("BROKERS_CA", brokers_ca(setting)),
    ];
    let (gateway, ports) = start(setting, "tls-to-tls", &variables);
    setting.every_client_reads_what_it_wrote(&at(&ports), false);
    gateway.stop().unwrap();
}

#[test]
fn mtls_to_tls_example() {
    let _turn = beside_others();
    let setting = setting();
    let variables = [
        ("BOOTSTRAP_SERVERS", setting.kafka.secure_servers(Secure::Mutual, false)),
        ("CERTIFICATES", folder(setting, "ip")),
        ("TO_BROKERS", folder(setting, "gateway")),
    ];
    let (gateway, ports) = start(setting, "mtls-to-tls", &variables);
    setting.every_client_reads_what_it_wrote(&at(&ports), true);
    gateway.stop().unwrap();
}

#[test]
fn sni_single_port_example() {
    let _turn = beside_others();
    let setting = setting();
    let variables = [
        ("BOOTSTRAP_SERVERS", setting.kafka.bootstrap_servers()),
        ("ORDERS", "orders.test".to_owned()),
        ("PAYMENTS", "payments.test".to_owned()),
        ("ORDERS_CERTIFICATES", folder(setting, "orders")),
        ("PAYMENTS_CERTIFICATES", folder(setting, "payments")),
    ];
    let (gateway, ports) = start(setting, "sni-single-port", &variables);
    for domain in ["orders.test", "payments.test"] {
        setting.every_client_reads_what_it_wrote(&format!("bootstrap.{domain}:{}", ports.port(0)), false);
    }
    gateway.stop().unwrap();
}

#[test]
fn two_target_clusters_example() {
    let _turn = beside_others();
    let setting = setting();
    let second_run = RunDir::create(&setting.tools, "second-target").unwrap();
    let second = Kafka::start(&setting.tools, &second_run, Version::V4_4, 2).unwrap();
    let billing = PortBlock::claim().unwrap();
    let logs = PortBlock::claim().unwrap();
    let variables = [
        ("LOGS_PORT", logs.port(0).to_string()),
        ("LOGS_SERVERS", setting.kafka.bootstrap_servers()),
        ("BILLING_PORT", billing.port(0).to_string()),
        ("BILLING_SERVERS", second.bootstrap_servers()),
    ];
    let (gateway, _ports) = start(setting, "two-target-clusters", &variables);
    for ports in [&logs, &billing] {
        setting.every_client_with(&at(ports), |_| Vec::new());
    }
    gateway.stop().unwrap();
}

#[test]
fn hosted_kafka_example() {
    let _turn = beside_others();
    let setting = setting();
    let variables = [
        ("BOOTSTRAP_SERVERS", setting.kafka.secure_servers(Secure::Server, true)),
        ("CERTIFICATES", folder(setting, "ip")),
        ("CA_FILE", brokers_ca(setting)),
        ("DOMAIN", "kafka.test".to_owned()),
        ("PRIVATE_ENDPOINT", "127.0.0.2".to_owned()),
    ];
    let (gateway, ports) = start(setting, "hosted-kafka", &variables);
    setting.every_client_reads_what_it_wrote(&at(&ports), false);
    gateway.stop().unwrap();
}
