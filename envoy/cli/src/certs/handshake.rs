//! A TLS handshake that takes any certificate, to look at it.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use bifrost_config::HostPort;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, DigitallySignedStruct, Error, InvalidMessage, ProtocolVersion,
    SignatureScheme,
};

/// What the server sent that is shown of an answer that is no TLS.
const ANSWER_SHOWN: usize = 24;

/// What a server showed.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// In the order of the server, never empty.
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) version: Option<ProtocolVersion>,
    /// Whether the server proved that it holds the key; the error says why not.
    pub(super) proof: Option<Result<(), Error>>,
    /// Whether it asked for a certificate of the client.
    pub(super) asks_client: bool,
    /// Why the handshake ended after the certificates.
    pub(super) ended: Option<String>,
}

/// Connects and takes the server's certificates. Errors say what the server did instead of showing some.
pub(super) fn shake_hands(server: &HostPort, name: ServerName<'static>, timeout: Duration) -> Result<Shown> {
    let deadline = Instant::now().checked_add(timeout).context("the timeout is too long")?;
    let mut socket = Socket { stream: connect(server, deadline, timeout)?, deadline, start: Vec::new() };

    let provider = Arc::new(ring::default_provider());
    let record = Arc::new(Record { shown: Mutex::default(), provider: Arc::clone(&provider) });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&record) as _)
        .with_client_cert_resolver(Arc::clone(&record) as _);
    let mut connection = ClientConnection::new(Arc::new(config), name)?;
    let mut ended = None;
    while connection.is_handshaking() {
        if let Err(error) = connection.complete_io(&mut socket) {
            ended = Some(error);
            break;
        }
    }
    connection.send_close_notify();
    // Politeness only: the certificates are here, or the connection is broken.
    let _ = connection.write_tls(&mut socket);

    let mut shown = std::mem::take(&mut *record.shown());
    shown.version = connection.protocol_version();
    match ended {
        None => {}
        Some(error) if shown.chain.is_empty() => bail!("{server} {}", reason(&error, &socket.start, timeout)),
        Some(error) => shown.ended = Some(reason(&error, &socket.start, timeout)),
    }
    if shown.chain.is_empty() {
        bail!("{server} speaks TLS and sent no certificate");
    }
    Ok(shown)
}

fn connect(server: &HostPort, deadline: Instant, timeout: Duration) -> Result<TcpStream> {
    let addresses = (server.host.as_str(), server.port)
        .to_socket_addrs()
        .with_context(|| format!("the address of '{}' cannot be found", server.host))?;
    let mut failed = anyhow!("'{}' has no address", server.host);
    for address in addresses {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            bail!("{server} took no connection within {} s", timeout.as_secs());
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = anyhow!("{server} cannot be reached: {error}"),
        }
    }
    Err(failed)
}

/// What the server did, to go behind its name.
fn reason(error: &io::Error, start: &[u8], timeout: Duration) -> String {
    // A TLS record: alert or handshake, version 3.x.
    let is_tls = matches!(start, [0x15 | 0x16, 0x03, ..]);
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    if start.is_empty() {
        return match error.kind() {
            ErrorKind::TimedOut => {
                format!("did not answer within {} s: it does not speak TLS, or is too slow", timeout.as_secs())
            }
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                "does not speak TLS: it closed the connection without an answer, as a Kafka listener without TLS does"
                    .to_owned()
            }
            _ => format!("cannot be talked to: {error}"),
        };
    }
    if !is_tls {
        let end = start.len().min(ANSWER_SHOWN);
        return format!("does not speak TLS: it sent '{}'", start.get(..end).unwrap_or_default().escape_ascii());
    }
    match inner {
        Some(Error::AlertReceived(alert)) => {
            let why = match alert {
                AlertDescription::ProtocolVersion => "; it knows only TLS before 1.2",
                AlertDescription::UnrecognisedName => "; ask for another name with --server-name",
                _ => "",
            };
            format!("refused the TLS connection ({alert:?}{why})")
        }
        Some(Error::PeerIncompatible(what)) => format!("speaks TLS, but not as of 1.2 or 1.3 ({what:?})"),
        Some(Error::InvalidMessage(
            InvalidMessage::CertificatePayloadTooLarge | InvalidMessage::HandshakePayloadTooLarge,
        )) => "sent a message too large for a chain of certificates (more than 64 KiB)".to_owned(),
        Some(other) => format!("began to speak TLS and then did not keep to it ({other:?})"),
        None => match error.kind() {
            ErrorKind::TimedOut => format!("did not finish the TLS handshake within {} s", timeout.as_secs()),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                "closed the connection in the middle of the TLS handshake".to_owned()
            }
            _ => format!("broke off the TLS handshake: {error}"),
        },
    }
}

/// A connection with an end in time for all of it, lest a server send a byte a second for ever.
struct Socket {
    stream: TcpStream,
    deadline: Instant,
    /// The first bytes from the server.
    start: Vec<u8>,
}

impl Socket {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

/// A socket with a timeout says that it would block.
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock { ErrorKind::TimedOut.into() } else { error }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        let count = self.stream.read(buffer).map_err(timed_out)?;
        let room = ANSWER_SHOWN.saturating_sub(self.start.len());
        self.start.extend(buffer.iter().take(count.min(room)));
        Ok(count)
    }
}

impl Write for Socket {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(buffer).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Takes note of everything and objects to nothing.
struct Record {
    shown: Mutex<Shown>,
    provider: Arc<CryptoProvider>,
}

impl Record {
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn prove(&self, proof: Result<HandshakeSignatureValid, Error>) -> Result<HandshakeSignatureValid, Error> {
        self.shown().proof = Some(proof.map(|_| ()));
        Ok(HandshakeSignatureValid::assertion())
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Record {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(end_entity).chain(intermediates);
        self.shown().chain = chain.map(|certificate| certificate.clone().into_owned()).collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.prove(verify_tls12_signature(message, certificate, signature, algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.prove(verify_tls13_signature(message, certificate, signature, algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ResolvesClientCert for Record {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.shown().asks_client = true;
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}
