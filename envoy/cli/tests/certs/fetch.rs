//! `bifrost certs fetch`, against servers on loopback.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bifrost_config::certificates::{certificates, private_key};
use predicates::str::contains;
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::crypto::ring::{default_provider, sign::any_supported_type};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion, version,
};

use super::Folder;

/// `localhost:PORT` of a server that does `serve` with each connection.
fn server(serve: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("localhost:{}", listener.local_addr().unwrap().port());
    thread::spawn(move || listener.incoming().for_each(|stream| serve(stream.unwrap())));
    address
}

/// Each version of TLS alone.
const VERSIONS: [&[&SupportedProtocolVersion]; 2] = [&[&version::TLS13], &[&version::TLS12]];

/// What a TLS server shows and asks for.
struct Tls {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    clients: Option<RootCertStore>,
    versions: &'static [&'static SupportedProtocolVersion],
}

impl Tls {
    /// Shows what `bifrost certs generate` wrote to `certs`.
    fn generated(folder: &Folder) -> Tls {
        let chain = certificates(&folder.path("certs/server.crt")).unwrap();
        Tls {
            chain: chain.into_iter().map(|certificate| certificate.der).collect(),
            key: private_key(&folder.path("certs/server.key")).unwrap(),
            clients: None,
            versions: rustls::DEFAULT_VERSIONS,
        }
    }

    /// Shows a certificate of its own making.
    fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> Tls {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        change(&mut params);
        let chain = vec![params.self_signed(&key).unwrap().der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        Tls { chain, key, clients: None, versions: rustls::DEFAULT_VERSIONS }
    }

    fn serve(self) -> String {
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(self.versions).unwrap();
        let builder = match self.clients {
            None => builder.with_no_client_auth(),
            Some(roots) => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap(),
            ),
        };
        // Unlike a rustls server of its own accord, this one shows anything.
        let shown = CertifiedKey::new(self.chain, any_supported_type(&self.key).unwrap());
        let config = Arc::new(builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(shown))));
        server(move |mut stream| {
            let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            if connection.complete_io(&mut stream).is_ok() && !connection.is_handshaking() {
                // A client that is no `fetch` waits for a word.
                let _ = connection.writer().write_all(b"hello");
                let _ = connection.complete_io(&mut stream);
            }
        })
    }
}

fn ca_of(folder: &Folder) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(certificates(&folder.path("certs/ca.crt")).unwrap().remove(0).der).unwrap();
    roots
}

fn generated() -> Folder {
    let folder = Folder::new();
    folder.write("system.pem", "");
    folder.certs(&["generate", "--name", "localhost", "--name", "*.orders.example.com", "--client", "alice"]).success();
    folder
}

#[test]
fn what_was_generated_is_fetched_and_trusted() {
    let folder = generated();
    for versions in VERSIONS {
        let address = Tls { versions, ..Tls::generated(&folder) }.serve();
        let fingerprint = certificates(&folder.path("certs/server.crt")).unwrap()[0].fingerprint();
        folder
            .certs(&["fetch", &address, "--ca", "certs/ca.crt", "--output", "fetched.pem"])
            .success()
            .stdout(contains(format!("{address}: TLS 1.")))
            .stdout(contains("1 certificate, saved to fetched.pem"))
            .stdout(contains("  subject  CN=localhost\n  issuer   CN=Bifrost CA "))
            .stdout(contains("  names    localhost, *.orders.example.com\n"))
            .stdout(contains(" days left\n"))
            .stdout(contains(fingerprint))
            .stdout(contains(
                "Chain: TRUSTED by certs/ca.crt\nName:  'localhost' MATCHES\nKey:   the server has the private key",
            ));
        assert_eq!(folder.read("fetched.pem"), folder.read("certs/server.crt"));
    }
}

#[test]
fn a_renewed_certificate_is_trusted_by_the_same_ca() {
    let folder = generated();
    let ca = folder.read("certs/ca.crt");
    folder.certs(&["generate", "--name", "localhost", "--force"]).success();
    folder.write("ca-of-the-clients.crt", ca);
    let address = Tls::generated(&folder).serve();
    folder.certs(&["fetch", &address, "--ca", "ca-of-the-clients.crt"]).success();
}

#[test]
fn the_name_may_be_another_than_the_host() {
    let folder = generated();
    let address = Tls::generated(&folder).serve();
    let fetch = |name: &str| folder.certs(&["fetch", &address, "--ca", "certs/ca.crt", "--server-name", name]);
    fetch("broker-7.orders.example.com").success().stdout(contains("Name:  'broker-7.orders.example.com' MATCHES"));
    for name in ["a.b.orders.example.com", "127.0.0.1", "orders.example.com"] {
        fetch(name).code(1).stdout(contains("Chain: TRUSTED")).stdout(contains(format!(
            "Name:  '{name}' DOES NOT MATCH; the certificate is for localhost, *.orders.example.com"
        )));
    }
    fetch("a b").code(1).stdout("").stderr(contains("'a b' is not a DNS name or an IP address"));
}

#[test]
fn a_stranger_is_shown_and_not_trusted() {
    let folder = generated();
    let address = Tls::self_signed(|params| params.distinguished_name.push(DnType::CommonName, "\x1b[2Jowned")).serve();
    let reason = "the certificate is signed by itself and is not among those trusted";
    folder
        .certs(&["fetch", &address, "--output", "stranger.pem"])
        .success()
        .stdout(contains("  subject  CN=\\u{1b}[2Jowned\n  issuer   itself"))
        .stdout(contains(format!("Chain: NOT TRUSTED by this system (0 CA certificates): {reason}")));
    folder
        .certs(&["fetch", &address, "--ca", "certs/ca.crt"])
        .code(1)
        .stdout(contains(format!("Chain: NOT TRUSTED by certs/ca.crt: {reason}")));
    folder.certs(&["fetch", &address, "--ca", "stranger.pem"]).success().stdout(contains("Chain: TRUSTED"));
    let address = Tls::generated(&folder).serve();
    folder
        .certs(&["fetch", &address, "--ca", "stranger.pem"])
        .code(1)
        .stdout(contains("Chain: NOT TRUSTED by stranger.pem: the CA CN=Bifrost CA "));
}

#[test]
fn the_cas_of_the_system_are_asked_without_an_option() {
    let folder = generated();
    folder.write("system.pem", folder.read("certs/ca.crt"));
    let address = Tls::generated(&folder).serve();
    folder.certs(&["fetch", &address]).success().stdout(contains("Chain: TRUSTED by this system (1 CA certificate)"));
}

#[test]
fn a_certificate_out_of_date_is_shown_as_such() {
    let folder = generated();
    let now = time::OffsetDateTime::now_utc();
    for (from, to, shown) in [(-100, -75, "EXPIRED 3 days ago"), (100, 200, "NOT YET VALID for 4 days")] {
        let tls = Tls::self_signed(|params| {
            params.not_before = now + time::Duration::hours(from);
            params.not_after = now + time::Duration::hours(to);
        });
        folder.certs(&["fetch", &tls.serve()]).success().stdout(contains(shown)).stdout(contains("Chain: NOT TRUSTED"));
    }
}

#[test]
fn clients_with_generated_certificates_are_let_in_and_fetch_says_that_one_is_wanted() {
    let folder = generated();
    for versions in VERSIONS {
        let address = Tls { clients: Some(ca_of(&folder)), versions, ..Tls::generated(&folder) }.serve();
        let told = folder.certs(&["fetch", &address, "--ca", "certs/ca.crt"]).success();
        told.stdout(contains("Chain: TRUSTED")).stdout(contains("The server asks for a client certificate."));

        let certificate = certificates(&folder.path("certs/alice.crt")).unwrap().remove(0).der;
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(ca_of(&folder))
            .with_client_auth_cert(vec![certificate], private_key(&folder.path("certs/alice.key")).unwrap())
            .unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = TcpStream::connect(&address).unwrap();
        let mut word = [0; 5];
        rustls::Stream::new(&mut connection, &mut stream).read_exact(&mut word).unwrap();
        assert_eq!(&word, b"hello");
    }
}

#[test]
fn a_server_without_tls_is_told_by_what_it_does() {
    let folder = generated();
    let fails = |address: &str, reason: &str| {
        let started = Instant::now();
        // Who answers at once is not to be overtaken by a timeout on a busy machine.
        let timeout = if reason.ends_with("within 1 s") { "1" } else { "60" };
        folder
            .certs(&["fetch", address, "--timeout", timeout, "-o", "nothing.pem"])
            .code(1)
            .stdout("")
            .stderr(contains(format!("error: {address} {reason}")));
        assert!(started.elapsed() < Duration::from_secs(30), "{reason}");
        assert!(!folder.path("nothing.pem").exists());
    };
    let say = |bytes: Vec<u8>| {
        server(move |mut stream| {
            let _ = stream.write_all(&bytes);
            // Until the client goes; closing with bytes unread would reset the connection.
            let _ = stream.read_to_end(&mut Vec::new());
        })
    };
    let closes = server(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
    });
    fails(
        &closes,
        "does not speak TLS: it closed the connection without an answer, as a Kafka listener without TLS does",
    );
    fails(&say(b"SSH-2.0-\x1b[31m\r\n".to_vec()), "does not speak TLS: it sent 'SSH-2.0-\\x1b[31m\\r\\n'");
    fails(&say(Vec::new()), "did not answer within 1 s");
    fails(&say(b"\x16\x03\x03\x00\x10\x02\x00".to_vec()), "did not finish the TLS handshake within 1 s");
    fails(
        &say(b"\x15\x03\x03\x00\x02\x02\x46".to_vec()),
        "refused the TLS connection (ProtocolVersion; it knows only TLS before 1.2)",
    );
    let large = [&b"\x16\x03\x03\x01\x00\x02\xff\xff\xff"[..], &[b'a'; 252]].concat();
    fails(&say(large), "sent a message too large for a chain of certificates");
    fails(&say(b"\x16\x03\x03\x00\x04\x02\x00\x00\x00".to_vec()), "began to speak TLS and then did not keep to it");
    // A byte now and then does not keep it waiting.
    let drips = server(|mut stream| {
        let _ = stream.write_all(b"\x16\x03\x03\x40\x00");
        while stream.write_all(b"\x02").is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    });
    fails(&drips, "did not finish the TLS handshake within 1 s");
}

#[test]
fn what_is_no_chain_of_certificates_is_refused() {
    let folder = generated();
    let refused = |chain: Vec<CertificateDer<'static>>, reason: &str| {
        let address = Tls { chain, ..Tls::generated(&folder) }.serve();
        folder.certs(&["fetch", &address, "-o", "nothing.pem"]).code(1).stdout("").stderr(contains(reason));
        assert!(!folder.path("nothing.pem").exists());
    };
    let own = Tls::generated(&folder).chain.remove(0);
    refused(vec![own.clone(); 21], "sent 21 certificates; more than 20 are no chain");
    refused(vec![own.clone(); 400], "sent a message too large for a chain of certificates");
    refused(vec![own, CertificateDer::from(vec![0x30; 64])], "is not an X.509 certificate");
    refused(vec![CertificateDer::from(b"garbage".to_vec())], "certificate 1 that localhost:");
}

#[test]
fn a_server_without_the_key_is_found_out() {
    let folder = generated();
    let address = Tls { key: Tls::self_signed(|_| {}).key, ..Tls::generated(&folder) }.serve();
    folder
        .certs(&["fetch", &address, "--ca", "certs/ca.crt"])
        .code(1)
        .stdout(contains("Chain: TRUSTED"))
        .stdout(contains("Key:   NOT PROVEN that the server has it"));
}

#[test]
fn wrong_input_needs_no_server() {
    let folder = generated();
    for (arguments, code, reason) in [
        (&["localhost"][..], 2, "'localhost' has no port; write host:port"),
        (&["localhost:1", "--timeout", "0"], 2, "0 is not in 1..=3600"),
        (&["localhost:1", "--ca", "nowhere.crt"], 1, "nowhere.crt: cannot be read"),
        (&["localhost:1", "--ca", "certs/ca.key"], 1, "certs/ca.key: holds no certificate"),
        (&["nowhere.invalid:1"], 1, "the address of 'nowhere.invalid' cannot be found"),
        (&["localhost:1"], 1, "localhost:1 cannot be reached"),
    ] {
        folder.certs(&[&["fetch"], arguments].concat()).code(code).stdout("").stderr(contains(reason));
    }
}
