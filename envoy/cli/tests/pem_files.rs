//! Certificates and keys that documents name, as `validate`, `run` and `render` judge them.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a failed expectation is a failed test, in helpers too"
)]

use std::fs;
use std::path::PathBuf;

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

/// Line of each field in the document of [`Folder`].
const FIELDS: [(&str, &str); 6] = [
    ("server.crt", "gateway.yaml:9: spec.listener.tls.certificateFile: "),
    ("server.key", "gateway.yaml:10: spec.listener.tls.keyFile: "),
    ("clients.crt", "gateway.yaml:12: spec.listener.tls.clientCaFile: "),
    ("brokers.crt", "gateway.yaml:16: spec.targetCluster.tls.caFile: "),
    ("gateway.crt", "gateway.yaml:17: spec.targetCluster.tls.certificateFile: "),
    ("gateway.key", "gateway.yaml:18: spec.targetCluster.tls.keyFile: "),
];

/// A folder with a document that names every file that a document can name, and those files.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.document("port: 9093\n    advertisedHost: kafka.example.com");
        folder.pair("server", &["kafka.example.com"], |_| {});
        folder.pair("gateway", &[], |_| {});
        for ca in ["clients", "brokers"] {
            folder.pair(ca, &[], |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
        }
        folder
    }

    /// Two lines say where clients connect.
    fn document(&self, addresses: &str) {
        let text = format!(
            "apiVersion: gateway.corp/v1alpha1
kind: KafkaVirtualCluster
metadata: {{ name: orders }}
spec:
  listener:
    {addresses}
    tls:
      certificateFile: server.crt
      keyFile: server.key
      clientAuthentication: required
      clientCaFile: clients.crt
  targetCluster:
    bootstrapServers: broker:9092
    tls:
      caFile: brokers.crt
      certificateFile: gateway.crt
      keyFile: gateway.key
"
        );
        fs::write(self.path("gateway.yaml"), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `NAME.crt` and `NAME.key`, changed by `change`.
    fn pair(&self, name: &str, names: &[&str], change: impl FnOnce(&mut CertificateParams)) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        fs::write(self.path(&format!("{name}.crt")), params.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    fn bifrost(&self, arguments: &[&str]) -> Assert {
        Command::new(assert_cmd::cargo::cargo_bin!("bifrost"))
            .current_dir(self.0.path())
            .env_remove("BIFROST_ENVOY")
            .env_remove("BIFROST_MODULE")
            .args(arguments)
            .assert()
    }

    fn validate(&self) -> Assert {
        self.bifrost(&["validate", "-f", "gateway.yaml"])
    }
}

#[test]
fn good_files_are_no_problem() {
    Folder::new().validate().success().stderr("");
}

#[test]
fn every_file_is_opened_and_its_field_named() {
    for (name, place) in FIELDS {
        let folder = Folder::new();
        fs::remove_file(folder.path(name)).unwrap();
        folder
            .validate()
            .code(1)
            .stdout("")
            .stderr(contains(format!("{place}{name}: cannot be read: No such file")))
            .stderr(contains("error: 1 problem in the documents"));
    }
}

#[test]
fn every_certificate_must_be_in_date() {
    for (name, place) in FIELDS.iter().filter(|(name, _)| name.ends_with(".crt")) {
        let pair = name.strip_suffix(".crt").unwrap();
        let now = OffsetDateTime::now_utc();
        let folder = Folder::new();
        folder.pair(pair, &["kafka.example.com"], |params| params.not_after = now - Duration::HOUR);
        folder.validate().code(1).stderr(contains(format!("{place}{name}: certificate (CN={pair}) has expired on ")));
        folder.pair(pair, &["kafka.example.com"], |params| params.not_before = now + Duration::HOUR);
        folder
            .validate()
            .code(1)
            .stderr(contains(format!("{place}{name}: certificate (CN={pair}) is not valid before")));
    }
}

#[test]
fn a_key_must_match_its_certificate() {
    for (name, place) in FIELDS.iter().filter(|(name, _)| name.ends_with(".key")) {
        let folder = Folder::new();
        fs::write(folder.path(name), KeyPair::generate().unwrap().serialize_pem()).unwrap();
        folder.validate().code(1).stderr(contains(format!("{place}{name}: the private key does not match")));
    }
}

#[test]
fn the_listener_needs_the_name_that_clients_connect_to() {
    let folder = Folder::new();
    folder.pair("server", &["kafka.internal"], |_| {});
    let (name, place) = FIELDS[0];
    folder.validate().code(1).stderr(contains(format!(
        "{place}{name}: the certificate lacks the name kafka.example.com; it has kafka.internal"
    )));
}

#[test]
fn host_names_of_nodes_need_a_wildcard_or_to_be_listed() {
    let folder = Folder::new();
    folder.document(
        "port: 9093\n    sni: { bootstrapHost: b.kafka.example.com, nodeHost: n-$(nodeId).kafka.example.com }",
    );
    folder.pair("server", &["b.kafka.example.com"], |_| {});
    folder.validate().code(1).stderr(contains("lacks the name *.kafka.example.com; it has b.kafka.example.com"));
    folder.pair("server", &["n-0.kafka.example.com"], |_| {});
    folder.validate().code(1).stderr(contains("lacks the name b.kafka.example.com; it has n-0.kafka.example.com"));
    for names in [&["*.kafka.example.com"][..], &["b.kafka.example.com", "N-0.kafka.example.com"]] {
        folder.pair("server", names, |_| {});
        folder.validate().success();
    }
}

#[test]
fn run_starts_nothing_and_render_warns() {
    let folder = Folder::new();
    fs::remove_file(folder.path("server.key")).unwrap();
    let told = || contains("spec.listener.tls.keyFile: server.key: cannot be read");
    folder.bifrost(&["run", "-f", "gateway.yaml"]).code(1).stderr(told().and(contains("error: 1 problem")));
    folder
        .bifrost(&["render", "-f", "gateway.yaml", "--module", "/m.wasm"])
        .success()
        .stdout(contains("listeners"))
        .stderr(told().and(contains("WARN")));
}
