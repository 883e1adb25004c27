//! Every way in which a file can be wrong, on files made here.
#![allow(clippy::arithmetic_side_effects, reason = "a failed expectation is a failed test, in helpers too")]

use std::fs;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PKCS_ED25519, SanType};
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

use super::*;

/// A folder of PEM files.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// `server.crt` and `server.key` for `names`, valid from yesterday until tomorrow, changed by `change`.
    fn pair(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let mut params = params(names);
        change(&mut params);
        let certificate = params.self_signed(&key).unwrap();
        (self.write("server.crt", certificate.pem()), self.write("server.key", key.serialize_pem()))
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = now() - Duration::DAY;
    params.not_after = now() + Duration::DAY;
    params.distinguished_name.push(DnType::CommonName, "server");
    params
}

fn now() -> OffsetDateTime {
    time::macros::datetime!(2026-05-01 12:00 UTC)
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// The one problem of the pair, as `file name: reason`.
fn only_problem(pair: &(PathBuf, PathBuf), names: &[&str]) -> String {
    one(check_pair(&pair.0, &pair.1, &strings(names), now()))
}

fn one(problems: Vec<PemProblem>) -> String {
    assert_eq!(problems.len(), 1, "{problems:?}");
    let file = problems[0].file.file_name().unwrap().to_str().unwrap();
    assert!(problems[0].to_string().ends_with(&format!("{file}: {}", problems[0].reason)));
    format!("{file}: {}", problems[0].reason)
}

#[test]
fn a_good_pair_has_no_problem() {
    let folder = Folder::new();
    let (certificate, key) = folder.pair(&["localhost", "*.orders.example.com", "127.0.0.1", "::1"], |_| {});
    let names = ["localhost", "*.orders.example.com", "broker-1.orders.example.com", "127.0.0.1", "::1"];
    assert_eq!(check_pair(&certificate, &key, &strings(&names), now()), []);
    assert_eq!(check_trusted(&certificate, now()), []);
}

#[test]
fn certificate_and_key_may_share_a_file() {
    let folder = Folder::new();
    let (certificate, key) = folder.pair(&["localhost"], |_| {});
    let both = folder.write("both.pem", [fs::read(key).unwrap(), fs::read(certificate).unwrap()].concat());
    assert_eq!(check_pair(&both, &both, &[], now()), []);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = Folder::new();
    let (certificate, key) = folder.pair(&["localhost"], |_| {});
    let nowhere = folder.0.path().join("nowhere");
    assert!(only_problem(&(nowhere.clone(), key.clone()), &[]).starts_with("nowhere: cannot be read: No such file"));
    assert!(only_problem(&(certificate.clone(), nowhere.clone()), &[]).starts_with("nowhere: cannot be read: No such"));
    assert!(one(check_trusted(&nowhere, now())).starts_with("nowhere: cannot be read"));
    assert_eq!(check_pair(&nowhere, &nowhere, &[], now()).len(), 2);
    let directory = folder.0.path().to_owned();
    assert!(one(check_pair(&directory, &key, &[], now())).ends_with(": is not a file"));
    let huge = folder.write("huge", vec![b'-'; (4 << 20) + 1]);
    assert_eq!(only_problem(&(huge, key), &[]), "huge: is larger than 4 MiB, too large for a PEM file");
}

#[test]
fn what_is_not_pem_is_told_by_its_look() {
    let folder = Folder::new();
    let (certificate, key) = folder.pair(&["localhost"], |_| {});
    let der = certificates(&certificate).unwrap().remove(0).der;
    for (bytes, wanted) in [
        (&b""[..], "wrong: is empty"),
        (b"hello\n", "wrong: is not PEM (no '-----BEGIN' line)"),
        (&der, "wrong: is not PEM; it looks like DER or PKCS #12, convert it with 'openssl x509' or 'openssl pkcs12'"),
        (b"\xfe\xed\xfe\xed\0\0\0\x02", "wrong: is not PEM; it looks like a Java key store, convert it with 'keytool'"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n", "wrong: is damaged PEM: a section has no '-----END' line"),
        (
            b"-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----\n",
            "wrong: is damaged PEM: a section is not base64",
        ),
        (b"-----BEGIN \x1b[31m\n", "wrong: is damaged PEM: the line '-----BEGIN \\u{1b}[31m' begins no section"),
    ] {
        let wrong = folder.write("wrong", bytes);
        assert_eq!(only_problem(&(wrong.clone(), key.clone()), &[]), wanted);
        if !wanted.contains("damaged") {
            assert_eq!(only_problem(&(certificate.clone(), wrong), &[]), wanted);
        }
    }
}

#[test]
fn a_file_with_something_else_in_it_is_refused() {
    let folder = Folder::new();
    let (certificate, key) = folder.pair(&["localhost"], |_| {});
    assert_eq!(
        only_problem(&(key.clone(), key.clone()), &[]),
        "server.key: holds no certificate (no 'BEGIN CERTIFICATE' line)"
    );
    assert_eq!(
        only_problem(&(certificate.clone(), certificate.clone()), &[]),
        "server.crt: holds no private key (no 'BEGIN PRIVATE KEY' line)"
    );
    let section = |kind: &str| format!("-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n");
    let garbage = folder.write("garbage", section("CERTIFICATE"));
    assert!(only_problem(&(garbage, key), &[]).starts_with("garbage: certificate 1 of the file is not an X.509"));
    let garbage = folder.write("garbage", section("PRIVATE KEY"));
    assert!(only_problem(&(certificate.clone(), garbage), &[]).starts_with("garbage: holds a private key that cannot"));
    for text in [
        section("ENCRYPTED PRIVATE KEY"),
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: x\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"
            .to_owned(),
    ] {
        let encrypted = folder.write("encrypted", text);
        assert!(only_problem(&(certificate.clone(), encrypted), &[]).contains("the private key is encrypted"));
    }
}

#[test]
fn bytes_behind_a_certificate_are_refused() {
    let folder = Folder::new();
    let (certificate, _) = folder.pair(&["localhost"], |_| {});
    let mut der = certificates(&certificate).unwrap().remove(0).der.to_vec();
    der.push(0);
    let error = Certificate::parse(CertificateDer::from(der)).unwrap_err();
    assert_eq!(error, "not an X.509 certificate: 1 bytes follow it");
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let folder = Folder::new();
    let (certificate, _) = folder.pair(&["localhost"], |_| {});
    for other in [KeyPair::generate().unwrap(), KeyPair::generate_for(&PKCS_ED25519).unwrap()] {
        let key = folder.write("other.key", other.serialize_pem());
        let wanted = format!("other.key: the private key does not match the certificate {}", certificate.display());
        assert_eq!(only_problem(&(certificate.clone(), key), &[]), wanted);
    }
}

#[test]
fn a_chain_in_the_wrong_order_is_told() {
    let folder = Folder::new();
    let mut ca = params(&[]);
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = params(&["localhost"]).signed_by(&key, &ca).unwrap();
    let key = folder.write("server.key", key.serialize_pem());
    let right = folder.write("right.crt", leaf.pem() + &ca.pem());
    assert_eq!(check_pair(&right, &key, &strings(&["localhost"]), now()), []);
    let wrong = folder.write("wrong.crt", ca.pem() + &leaf.pem());
    let text = only_problem(&(wrong, key), &[]);
    assert!(text.ends_with("is of a later certificate of the file; put that one first"), "{text}");
}

#[test]
fn a_certificate_out_of_date_is_refused() {
    let folder = Folder::new();
    let pair = folder.pair(&["localhost"], |params| params.not_after = now() - Duration::SECOND);
    let wanted = "server.crt: certificate (CN=server) has expired on 2026-05-01 11:59:59 UTC";
    assert_eq!(only_problem(&pair, &["localhost"]), wanted);
    assert_eq!(one(check_trusted(&pair.0, now())), wanted);
    let pair = folder.pair(&["localhost"], |params| params.not_before = now() + Duration::SECOND);
    let wanted = "server.crt: certificate (CN=server) is not valid before 2026-05-01 12:00:01 UTC";
    assert_eq!(only_problem(&pair, &["localhost"]), wanted);
    assert_eq!(one(check_trusted(&pair.0, now())), wanted);
    let pair = folder.pair(&["localhost"], |params| params.not_after = now());
    assert_eq!(check_pair(&pair.0, &pair.1, &[], now()), []);
}

#[test]
fn every_certificate_of_a_chain_must_be_in_date_but_only_one_of_a_bundle() {
    let folder = Folder::new();
    let old = fs::read(folder.pair(&[], |params| params.not_after = now() - Duration::DAY).0).unwrap();
    let (certificate, key) = folder.pair(&["localhost"], |_| {});
    let chain = folder.write("chain.crt", [fs::read(certificate).unwrap(), old].concat());
    assert!(only_problem(&(chain.clone(), key), &[]).starts_with("chain.crt: certificate 2 (CN=server) has expired"));
    assert_eq!(check_trusted(&chain, now()), []);
}

#[test]
fn missing_names_are_listed() {
    let folder = Folder::new();
    let pair = folder.pair(&["*.orders.example.com", "127.0.0.1"], |_| {});
    assert_eq!(check_pair(&pair.0, &pair.1, &strings(&["b1.orders.example.com", "B1.ORDERS.example.com"]), now()), []);
    assert_eq!(
        only_problem(&pair, &["localhost"]),
        "server.crt: the certificate lacks the name localhost; it has *.orders.example.com, 127.0.0.1"
    );
    // One label, a whole one, the first one (RFC 6125).
    let lacking = ["orders.example.com", "a.b.orders.example.com", "*.example.com", "*.b.orders.example.com", "::1"];
    assert_eq!(
        only_problem(&pair, &lacking),
        format!(
            "server.crt: the certificate lacks the names {}; it has *.orders.example.com, 127.0.0.1",
            lacking.join(", ")
        )
    );
    let many: Vec<String> = (0..8).map(|node| format!("b{node}.example.com")).collect();
    let text = one(check_pair(&pair.0, &pair.1, &many, now()));
    assert!(text.contains("b3.example.com, b4.example.com and 3 more; it has"), "{text}");
}

#[test]
fn single_names_do_not_make_a_wildcard_and_the_common_name_no_name() {
    let folder = Folder::new();
    let pair = folder.pair(&["b1.example.com", "b2.example.com"], |_| {});
    assert!(only_problem(&pair, &["*.example.com"]).contains("lacks the name *.example.com"));
    let pair = folder.pair(&[], |params| params.distinguished_name.push(DnType::CommonName, "localhost"));
    assert_eq!(
        only_problem(&pair, &["localhost"]),
        "server.crt: the certificate lacks the name localhost; it has no subject alternative names, and clients do not \
         look at the common name"
    );
    // A part of a label is no wildcard.
    let pair = folder.pair(&["b*.example.com"], |_| {});
    assert!(only_problem(&pair, &["b1.example.com"]).contains("lacks the name b1.example.com"));
}

#[test]
fn what_a_certificate_says_cannot_hurt_a_terminal() {
    let key = KeyPair::generate().unwrap();
    let mut params = params(&["localhost"]);
    params.distinguished_name.push(DnType::CommonName, "\x1b[2J\u{202e}\r\nCN=root");
    params.distinguished_name.push(DnType::OrganizationName, "x".repeat(10_000));
    params.subject_alt_names.push(SanType::DnsName("a\x1b]0;b\x07".to_owned().try_into().unwrap()));
    params.subject_alt_names.push(SanType::URI("spiffe://orders/alice".to_owned().try_into().unwrap()));
    params.subject_alt_names.push(SanType::Rfc822Name("alice@example.com".to_owned().try_into().unwrap()));
    let certificate = Certificate::parse(params.self_signed(&key).unwrap().der().clone()).unwrap();
    assert!(certificate.subject.contains("\\u{1b}[2J\\u{202e}\\r\\nCN=root"), "{}", certificate.subject);
    assert!(certificate.subject.len() < 500);
    assert_eq!(
        certificate.names,
        ["localhost", "a\\u{1b}]0;b\\u{7}", "URI:spiffe://orders/alice", "email:alice@example.com"]
    );
}

/// Made by `openssl req -x509`.
const BY_OPENSSL: &str = "\
-----BEGIN CERTIFICATE-----
MIICNjCCAdugAwIBAgIUcFUY7Eub1aB2QHwAYhhIZDxkNa0wCgYIKoZIzj0EAwIw
VDETMBEGCgmSJomT8ixkARkWA2NvbTEXMBUGCgmSJomT8ixkARkWB2V4YW1wbGUx
FDASBgNVBAoMC09yZGVycywgSW5jMQ4wDAYDVQQDDAVrYWZrYTAeFw0yNjExMjEx
NjIwMzVaFw0zNjExMTgxNjIwMzVaMFQxEzARBgoJkiaJk/IsZAEZFgNjb20xFzAV
BgoJkiaJk/IsZAEZFgdleGFtcGxlMRQwEgYDVQQKDAtPcmRlcnMsIEluYzEOMAwG
A1UEAwwFa2Fma2EwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARCQ3p4+rRkfNzr
XXowavAo0fs8m6CFfLmF8UKJdrFlCWecr//Bd/d7P5s/571025L6adzNL+UK9WI3
TiQShTGno4GKMIGHMB0GA1UdDgQWBBRSj7IRFWFGHDhGuowRhtAM125TATAfBgNV
HSMEGDAWgBRSj7IRFWFGHDhGuowRhtAM125TATAPBgNVHRMBAf8EBTADAQH/MDQG
A1UdEQQtMCuCEWthZmthLmV4YW1wbGUuY29thwQKAAABhxAgAQ24AAAAAAAAAAAA
AAABMAoGCCqGSM49BAMCA0kAMEYCIQDLLf/+j6RPxt5yndZrNZqecZ/fVIYgIyy7
MjxgLQjm/wIhAKNd2smcMtRsWBGpFSCoVXAomZbTHpUcw+anVEeG0zEx
-----END CERTIFICATE-----
";

#[test]
fn a_certificate_is_read_as_openssl_reads_it() {
    let file = Folder::new();
    let certificate = certificates(&file.write("ca.crt", BY_OPENSSL)).unwrap().remove(0);
    assert_eq!(
        certificate.fingerprint(),
        "67:4E:F2:53:66:D3:8E:67:CB:3F:40:0B:B5:53:0A:42:1F:02:D4:44:A9:38:80:75:BA:37:93:91:C5:D0:CC:28"
    );
    assert_eq!(certificate.subject, "DC=com, DC=example, O=Orders, Inc, CN=kafka");
    assert_eq!(certificate.issuer, certificate.subject);
    assert_eq!(certificate.names, ["kafka.example.com", "10.0.0.1", "2001:db8::1"]);
    assert_eq!(time_text(certificate.not_before), "2026-11-21 16:20:35 UTC");
    assert_eq!(time_text(certificate.not_after), "2036-11-18 16:20:35 UTC");
    assert!(certificate.is_self_issued() && certificate.is_ca);
}
