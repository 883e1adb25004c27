//! A TLS client that says which server it means, and looks at what it is shown.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bifrost_e2e::certificates::Authority;
use bifrost_e2e::gateway::GATEWAY_IP;
use bifrost_e2e::wire;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// One connection, behind its handshake.
pub(super) struct TlsClient(StreamOwned<ClientConnection, TcpStream>);

impl TlsClient {
    /// Connects to the gateway's `port` and asks there for `name`. An IP address is not sent.
    pub(super) fn connect(port: u16, name: &str, trusted: &Authority) -> Result<TlsClient> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(trusted.pem().as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut connection = ClientConnection::new(Arc::new(config), ServerName::try_from(name.to_owned())?)?;
        let mut stream = TcpStream::connect((GATEWAY_IP, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        Ok(TlsClient(StreamOwned::new(connection, stream)))
    }

    /// What the server has shown of itself.
    pub(super) fn certificate(&self) -> Vec<u8> {
        let shown = self.0.conn.peer_certificates().and_then(|chain| chain.first());
        shown.map(|certificate| certificate.to_vec()).unwrap_or_default()
    }

    /// Asks for the versions of APIs; an answer shows that a broker is reached.
    pub(super) fn ask(&mut self) -> Result<()> {
        self.0.write_all(&wire::frame(3, 7, &wire::api_versions())?)?;
        let mut start = [0; 8];
        self.0.read_exact(&mut start).context("no answer")?;
        anyhow::ensure!(start[4..] == 7i32.to_be_bytes(), "an answer to something else");
        let mut rest = vec![0; usize::try_from(i32::from_be_bytes([start[0], start[1], start[2], start[3]]))? - 4];
        Ok(self.0.read_exact(&mut rest)?)
    }
}
