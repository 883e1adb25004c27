//! `bifrost certs generate`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use bifrost_config::certificates::{Certificate, certificates, check_pair};
use predicates::prelude::*;
use predicates::str::contains;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use time::{Duration, OffsetDateTime};

use super::Folder;

const DOCUMENT: &str = "\
apiVersion: gateway.corp/v1alpha1
kind: KafkaVirtualCluster
metadata: { name: orders }
spec:
  listener: { port: 9093, advertisedHost: Orders.Kafka.Example.com }
  targetCluster: { bootstrapServers: \"broker:9092\" }
";

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// The first certificate of a file below the folder.
fn certificate(folder: &Folder, name: &str) -> Certificate {
    certificates(&folder.path(name)).unwrap().remove(0)
}

/// A CA of somebody else, `corp.crt` and `corp.key`, changed by `change`.
fn corp(folder: &Folder, change: impl FnOnce(&mut CertificateParams)) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Corp CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut params);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    folder.write("corp.crt", ca.pem());
    folder.write("corp.key", ca.key().serialize_pem());
    ca
}

#[test]
fn a_gateway_and_its_clients_get_what_they_need() {
    let folder = Folder::new();
    folder.write("gateway.yaml", DOCUMENT);
    let generate =
        ["generate", "-f", "gateway.yaml", "--name", "*.orders.example.com", "--name", "127.0.0.1", "--name"];
    let clients =
        ["orders.kafka.example.com", "--client", "alice", "--client", "Bob B,bob@example.com", "--days", "30"];
    let fingerprint = |name: &str| contains(certificate(&folder, name).fingerprint());
    let printed = folder.certs(&[&generate[..], &clients[..]].concat()).success();
    let printed = printed
        .stdout(contains("CA: certs/ca.crt, certs/ca.key"))
        .stdout(contains("Server: certs/server.crt, certs/server.key"))
        .stdout(contains("  names    orders.kafka.example.com, *.orders.example.com, 127.0.0.1\n"))
        .stdout(contains("Client: certs/Bob B.crt, certs/Bob B.key"));
    printed
        .stdout(fingerprint("certs/ca.crt"))
        .stdout(fingerprint("certs/server.crt"))
        .stdout(contains(", 3650 days left"));

    let pairs = ["Bob B", "alice", "ca", "server"];
    let wanted: Vec<String> = pairs.iter().flat_map(|name| [format!("{name}.crt"), format!("{name}.key")]).collect();
    assert_eq!(folder.list("certs"), wanted);
    let ca = certificate(&folder, "certs/ca.crt");
    assert!(ca.is_ca && ca.subject.starts_with("CN=Bifrost CA "), "{}", ca.subject);
    let now = OffsetDateTime::now_utc();
    for name in pairs {
        let (file, key) = (folder.path(format!("certs/{name}.crt")), folder.path(format!("certs/{name}.key")));
        let names = if name == "server" { strings(&["orders.kafka.example.com", "127.0.0.1"]) } else { Vec::new() };
        assert_eq!(check_pair(&file, &key, &names, now), []);
        assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
        let made = certificate(&folder, &format!("certs/{name}.crt"));
        assert!(made.names_as_issuer(&ca));
        if name != "ca" {
            let left = made.not_after - now;
            assert!(left > Duration::days(30) - Duration::MINUTE && left <= Duration::days(30), "{left}");
        }
    }
    assert_eq!(certificate(&folder, "certs/Bob B.crt").subject, "CN=Bob B");
    assert_eq!(certificate(&folder, "certs/Bob B.crt").names, ["email:bob@example.com"]);
}

#[test]
fn what_is_there_is_replaced_only_when_asked_and_the_ca_never() {
    let folder = Folder::new();
    let server = ["generate", "--name", "localhost", "--output", "made/here"];
    folder.certs(&server).success();
    let ca = ["ca.crt", "ca.key"].map(|name| folder.read(&format!("made/here/{name}")));
    let before = folder.read("made/here/server.crt");
    folder.certs(&[&server[..], &["--client", "alice"]].concat()).code(1).stdout("").stderr(contains(
        "error: made/here/server.crt, made/here/server.key are already there; use --force to replace, or another --output directory",
    ));
    assert_eq!(folder.list("made/here"), ["ca.crt", "ca.key", "server.crt", "server.key"]);
    assert_eq!(folder.read("made/here/server.crt"), before);

    folder.certs(&[&server[..], &["--force"]].concat()).success().stdout(contains("CA, as it was: made/here/ca.crt"));
    assert_ne!(folder.read("made/here/server.crt"), before);
    assert_eq!(["ca.crt", "ca.key"].map(|name| folder.read(&format!("made/here/{name}"))), ca);
    let (file, key) = (folder.path("made/here/server.crt"), folder.path("made/here/server.key"));
    assert_eq!(check_pair(&file, &key, &strings(&["localhost"]), OffsetDateTime::now_utc()), []);

    folder.certs(&["generate", "--client", "alice", "-o", "made/here"]).success();
    let made = certificate(&folder, "made/here/alice.crt");
    assert!(made.names_as_issuer(&certificate(&folder, "made/here/ca.crt")));
}

#[test]
fn a_given_ca_signs_and_its_key_stays_where_it_is() {
    let folder = Folder::new();
    let given = ["generate", "--ca-cert", "corp.crt", "--ca-key", "corp.key", "--name", "localhost", "--days", "1000"];
    let end = (OffsetDateTime::now_utc() + Duration::days(5)).truncate_to_second();
    corp(&folder, |params| params.not_after = end);
    folder
        .certs(&given)
        .success()
        .stdout(contains("CA, as it was: corp.crt\n  subject  CN=Corp CA"))
        .stderr(contains("the CA expires in less than 1000 days, and the certificates with it"));
    assert_eq!(folder.list("certs"), ["ca.crt", "server.crt", "server.key"]);
    assert_eq!(certificate(&folder, "certs/ca.crt"), certificate(&folder, "corp.crt"));
    let made = certificate(&folder, "certs/server.crt");
    assert!(made.names_as_issuer(&certificate(&folder, "corp.crt")));
    assert_eq!(made.not_after, end);

    folder
        .certs(&["generate", "--client", "alice"])
        .code(1)
        .stderr(contains("certs/ca.crt is there without certs/ca.key"));
    folder.certs(&[&given[..], &["--force"]].concat()).success();
    folder.certs(&["generate", "--name", "localhost", "-o", "other"]).success();
    folder
        .certs(&[&given[..], &["-o", "other", "--force"]].concat())
        .code(1)
        .stderr(contains("other/ca.key is the key of another CA"));
}

#[test]
fn an_intermediate_ca_comes_along_and_the_root_does_not() {
    let folder = Folder::new();
    let root = corp(&folder, |_| {});
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Orders CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let key = KeyPair::generate().unwrap();
    let intermediate = params.signed_by(&key, &root).unwrap();
    folder.write("orders.crt", intermediate.pem() + &root.pem());
    folder.write("orders.key", key.serialize_pem());
    folder.certs(&["generate", "--ca-cert", "orders.crt", "--ca-key", "orders.key", "--name", "localhost"]).success();
    let subjects: Vec<String> = certificates(&folder.path("certs/server.crt"))
        .unwrap()
        .into_iter()
        .map(|certificate| certificate.subject)
        .collect();
    assert_eq!(subjects, ["CN=localhost", "CN=Orders CA"]);
    assert_eq!(certificates(&folder.path("certs/ca.crt")).unwrap().len(), 2);
}

#[test]
fn a_ca_that_cannot_sign_is_refused() {
    let folder = Folder::new();
    let refused = |certificate: &str, key: &str, reason: &str| {
        folder
            .certs(&["generate", "--name", "localhost", "--ca-cert", certificate, "--ca-key", key])
            .code(1)
            .stdout("")
            .stderr(contains(reason));
        assert!(!folder.path("certs").exists());
    };
    corp(&folder, |params| params.is_ca = IsCa::NoCa);
    refused("corp.crt", "corp.key", "corp.crt: CN=Corp CA is not a CA and cannot sign certificates");
    corp(&folder, |params| params.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign]);
    refused("corp.crt", "corp.key", "corp.crt: CN=Corp CA is not allowed to sign certificates (key usage)");
    corp(&folder, |params| params.not_after = OffsetDateTime::now_utc() - Duration::DAY);
    refused("corp.crt", "corp.key", "corp.crt: certificate (CN=Corp CA) has expired on");
    corp(&folder, |_| {});
    folder.write("other.key", KeyPair::generate().unwrap().serialize_pem());
    refused("corp.crt", "other.key", "other.key: the private key does not match the certificate corp.crt");
    refused("corp.crt", "nowhere.key", "nowhere.key: cannot be read");
    refused("corp.key", "corp.key", "corp.key: holds no certificate");
}

#[test]
fn a_ca_in_the_output_directory_that_cannot_be_used_is_not_replaced() {
    let folder = Folder::new();
    folder.certs(&["generate", "--name", "localhost"]).success();
    let key = folder.write("certs/ca.key", KeyPair::generate().unwrap().serialize_pem());
    let before = fs::read(&key).unwrap();
    folder
        .certs(&["generate", "--name", "localhost", "--force"])
        .code(1)
        .stderr(contains("the CA of the output directory cannot be used"))
        .stderr(contains("the private key does not match"));
    assert_eq!(fs::read(&key).unwrap(), before);
    fs::remove_file(folder.path("certs/ca.crt")).unwrap();
    folder
        .certs(&["generate", "--name", "localhost", "--force"])
        .code(1)
        .stderr(contains("certs/ca.key is there without certs/ca.crt"));
}

#[test]
fn wrong_input_is_told_before_anything_is_written() {
    let folder = Folder::new();
    folder.write("gateway.yaml", DOCUMENT);
    folder.write("bad.yaml", "kind: KafkaVirtualCluster\n");
    folder.write("odd.yaml", DOCUMENT.replace("Orders.Kafka.Example.com", "a b"));
    folder.write("comment.yaml", "# nothing\n");
    folder.write("file", "");
    fs::create_dir(folder.path("empty")).unwrap();
    for (arguments, code, reason) in [
        (&["--output", "certs"][..], 2, "--file <FILE|DIR>...|--name <NAME>|--client <CN[,SAN...]>"),
        (&["--name", "localhost:9093"], 2, "'localhost:9093' is not a name for a certificate"),
        (&["--name", "localhost", "--days", "0"], 2, "0 is not in 1..=36500"),
        (&["--client", "../alice"], 2, "'../alice' cannot be the name of a client and of its files"),
        (&["--client", "ca"], 2, "a client cannot be called 'ca'"),
        (&["--client", "alice,not a name"], 2, "'not a name' is not a name for a certificate"),
        (&["--client", "alice", "--client", "Alice"], 1, "--client 'Alice' is given twice"),
        (&["--name", "localhost", "--ca-cert", "x"], 2, "--ca-key <FILE>"),
        (&["-f", "bad.yaml"], 1, "bad.yaml:1: "),
        (&["-f", "bad.yaml"], 1, "error: 1 problem in the documents"),
        (&["-f", "odd.yaml"], 1, "virtual cluster 'orders': 'a b' is not a name for a certificate"),
        (&["-f", "empty"], 1, "empty: no *.yaml or *.yml file in this directory"),
        (&["-f", "comment.yaml"], 1, "no KafkaVirtualCluster document found"),
        (&["-f", "gateway.yaml", "-o", "file"], 1, "file cannot be made"),
    ] {
        let done = folder.certs(&[&["generate"], arguments].concat());
        done.code(code).stdout("").stderr(contains(reason));
        assert!(!folder.path("certs").exists(), "{arguments:?}");
    }
}

#[test]
fn a_wildcard_that_openssl_does_not_match_is_mentioned() {
    let folder = Folder::new();
    let mentions = contains("match a wildcard below a top-level domain with no name");
    folder.certs(&["generate", "--name", "*.localhost"]).success().stderr(mentions.clone());
    folder.certs(&["generate", "--name", "*.example.com", "--force"]).success().stderr(mentions.not());
}
