//! A TLS client that says which server it means, and looks at what it is shown.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bifrost_e2e::certificates::{Authority, Issued};
use bifrost_e2e::gateway::GATEWAY_IP;
use bifrost_e2e::wire;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// One connection, behind its handshake.
pub(crate) struct TlsClient(StreamOwned<ClientConnection, TcpStream>);

impl TlsClient {
    /// Connects to the gateway's `port` and asks there for `name`. An IP address is not sent.
    pub(crate) fn connect(port: u16, name: &str, trusted: &Authority) -> Result<TlsClient> {
        TlsClient::connect_as(None, port, name, trusted)
    }

    /// The same, and shows a certificate if it has one.
    pub(crate) fn connect_as(who: Option<&Issued>, port: u16, name: &str, trusted: &Authority) -> Result<TlsClient> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(trusted.pem().as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let config = match who {
            None => config.with_no_client_auth(),
            Some(who) => {
                let certificate = CertificateDer::from_pem_file(who.certificate())?;
                config.with_client_auth_cert(vec![certificate], PrivateKeyDer::from_pem_file(who.key())?)?
            }
        };
        let mut connection = ClientConnection::new(Arc::new(config), ServerName::try_from(name.to_owned())?)?;
        let mut stream = TcpStream::connect((GATEWAY_IP, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        Ok(TlsClient(StreamOwned::new(connection, stream)))
    }

    /// The client's end, as the gateway logs it.
    pub(super) fn local_address(&self) -> SocketAddr {
        self.0.sock.local_addr().unwrap()
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.0.write_all(bytes)?)
    }

    /// All that comes until the gateway closes, however it does so.
    pub(super) fn read_until_closed(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let end = self.0.read_to_end(&mut rest);
        assert!(!end.is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "the connection stays open");
        rest
    }

    /// What the server has shown of itself.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        let shown = self.0.conn.peer_certificates().and_then(|chain| chain.first());
        shown.map(|certificate| certificate.to_vec()).unwrap_or_default()
    }

    /// Asks for the versions of APIs; an answer shows that a broker is reached.
    pub(crate) fn ask(&mut self) -> Result<()> {
        self.send(&wire::frame(3, 7, &wire::api_versions())?)?;
        let mut start = [0; 8];
        self.0.read_exact(&mut start).context("no answer")?;
        anyhow::ensure!(start[4..] == 7i32.to_be_bytes(), "an answer to something else");
        let mut rest = vec![0; usize::try_from(i32::from_be_bytes([start[0], start[1], start[2], start[3]]))? - 4];
        Ok(self.0.read_exact(&mut rest)?)
    }
}
