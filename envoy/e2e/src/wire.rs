//! A client of bare frames, for what no client library does.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::{BufMut as _, Bytes, BytesMut};
use kafka_protocol::messages::{ApiVersionsRequest, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

const PATIENCE: Duration = Duration::from_secs(20);

/// One connection.
#[derive(Debug)]
pub struct RawClient {
    stream: TcpStream,
}

impl RawClient {
    pub fn connect(address: impl ToSocketAddrs) -> Result<RawClient> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(RawClient { stream })
    }

    /// The same connection, for another thread.
    pub fn try_clone(&self) -> Result<RawClient> {
        Ok(RawClient { stream: self.stream.try_clone()? })
    }

    pub fn local_address(&self) -> Result<SocketAddr> {
        Ok(self.stream.local_addr()?)
    }

    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// The next frame, without its size.
    pub fn receive(&mut self) -> Result<Bytes> {
        let mut size = [0; 4];
        self.stream.read_exact(&mut size).context("no frame arrived")?;
        let size = usize::try_from(i32::from_be_bytes(size))?;
        let mut frame = vec![0; size];
        self.stream.read_exact(&mut frame).context("a frame was cut short")?;
        Ok(frame.into())
    }

    /// Sends a request and reads its answer.
    pub fn call<R: Request>(&mut self, version: i16, correlation_id: i32, request: &R) -> Result<R::Response> {
        self.send(&frame(version, correlation_id, request)?)?;
        let (answered, response) = decode::<R>(version, self.receive()?)?;
        ensure!(answered == correlation_id, "answer {answered} to request {correlation_id}");
        Ok(response)
    }

    /// Waits for the other side to close; gives what it sent before that.
    pub fn read_until_closed(&mut self, patience: Duration) -> Result<Vec<u8>> {
        self.stream.set_read_timeout(Some(patience))?;
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(rest),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error).context("the connection stays open"),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(rest),
        }
    }
}

/// An ApiVersions request that brokers accept: since version 3 it must name the client's software.
pub fn api_versions() -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("bifrost-e2e"))
        .with_client_software_version(StrBytes::from_static_str("1"))
}

/// A request as bytes on the wire, its size included.
pub fn frame<R: Request>(version: i16, correlation_id: i32, request: &R) -> Result<Bytes> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str("raw")));
    let mut body = BytesMut::new();
    header.encode(&mut body, R::header_version(version))?;
    request.encode(&mut body, version)?;
    Ok(sized(&body))
}

/// Puts the size before a frame.
pub fn sized(frame: &[u8]) -> Bytes {
    let mut sized = BytesMut::with_capacity(4 + frame.len());
    sized.put_i32(i32::try_from(frame.len()).expect("test frames are small"));
    sized.put_slice(frame);
    sized.freeze()
}

/// Correlation id and body of an answer.
pub fn decode<R: Request>(version: i16, mut frame: Bytes) -> Result<(i32, R::Response)> {
    let header = ResponseHeader::decode(&mut frame, R::Response::header_version(version))?;
    let response = R::Response::decode(&mut frame, version)?;
    ensure!(frame.is_empty(), "{} bytes after the answer", frame.len());
    Ok((header.correlation_id, response))
}
