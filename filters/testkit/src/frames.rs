//! Frames built and read by `kafka-protocol`, which is generated from Kafka's definitions by others.

use bifrost_core::protocol::ApiKey;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader, RequestKind, ResponseHeader, ResponseKind};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message, Request, StrBytes};

/// A request frame from the ClientId `client`.
pub fn request<R: Request>(version: i16, correlation_id: i32, body: &R) -> Vec<u8> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str("client")));
    let mut out = BytesMut::new();
    header.encode(&mut out, R::header_version(version)).expect("a header can be written");
    body.encode(&mut out, version).expect("a body that fits its version");
    sized(&out)
}

/// A response frame to a request of type `R`.
pub fn response<R: Request>(version: i16, correlation_id: i32, body: &R::Response) -> Vec<u8> {
    let header = ResponseHeader::default().with_correlation_id(correlation_id);
    let mut out = BytesMut::new();
    header.encode(&mut out, R::Response::header_version(version)).expect("a header can be written");
    body.encode(&mut out, version).expect("a body that fits its version");
    sized(&out)
}

/// Correlation id and body of the one response frame in `frame`.
pub fn read_response<R: Request>(version: i16, frame: &[u8]) -> (i32, R::Response) {
    let mut bytes = Bytes::copy_from_slice(&frame[4..]);
    let header = ResponseHeader::decode(&mut bytes, R::Response::header_version(version)).expect("a response header");
    let body = R::Response::decode(&mut bytes, version).expect("a response body");
    assert!(bytes.is_empty(), "{} bytes behind the answer", bytes.len());
    (header.correlation_id, body)
}

/// `frame` with its size in front.
pub fn sized(frame: &[u8]) -> Vec<u8> {
    let size = i32::try_from(frame.len()).expect("test frames are small");
    [&size.to_be_bytes(), frame].concat()
}

/// Cuts a stream into its frames; the stream ends with the last one.
pub fn split(mut stream: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while let Some(size) = stream.first_chunk::<4>() {
        let (frame, rest) = stream.split_at(4 + i32::from_be_bytes(*size) as usize);
        frames.push(frame);
        stream = rest;
    }
    assert!(stream.is_empty(), "the stream ends inside a frame");
    frames
}

/// A message of any API, as the independent decoder sees it.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Of a client.
    Request(Box<RequestKind>),
    /// Of a broker.
    Response(Box<ResponseKind>),
}

/// The key as `kafka-protocol` knows it, if it supports that version.
pub fn supported(key: ApiKey, version: i16) -> Option<kafka_protocol::messages::ApiKey> {
    let key = kafka_protocol::messages::ApiKey::try_from(key.0).ok()?;
    let versions = key.valid_versions();
    (versions.min <= version && version <= versions.max).then_some(key)
}

/// Reads a request frame, header included.
///
/// # Errors
/// What the decoder did not like.
pub fn read_request_kind(key: kafka_protocol::messages::ApiKey, version: i16, frame: &[u8]) -> Result<Body, String> {
    let mut bytes = Bytes::copy_from_slice(&frame[4..]);
    RequestHeader::decode(&mut bytes, key.request_header_version(version)).map_err(|error| format!("{error:#}"))?;
    let body = RequestKind::decode(key, &mut bytes, version).map_err(|error| format!("{error:#}"))?;
    if bytes.is_empty() { Ok(Body::Request(Box::new(body))) } else { Err(format!("{} bytes left", bytes.len())) }
}

/// Reads a response frame, header included.
///
/// # Errors
/// What the decoder did not like.
pub fn read_response_kind(key: kafka_protocol::messages::ApiKey, version: i16, frame: &[u8]) -> Result<Body, String> {
    let mut bytes = Bytes::copy_from_slice(&frame[4..]);
    ResponseHeader::decode(&mut bytes, key.response_header_version(version)).map_err(|error| format!("{error:#}"))?;
    let body = ResponseKind::decode(key, &mut bytes, version).map_err(|error| format!("{error:#}"))?;
    if bytes.is_empty() { Ok(Body::Response(Box::new(body))) } else { Err(format!("{} bytes left", bytes.len())) }
}

/// Writes a message back into a frame.
///
/// # Errors
/// What the encoder did not like.
pub fn write_kind(
    key: kafka_protocol::messages::ApiKey,
    version: i16,
    correlation_id: i32,
    body: &Body,
) -> Result<Vec<u8>, String> {
    let mut out = BytesMut::new();
    match body {
        Body::Request(body) => {
            let header = RequestHeader::default()
                .with_request_api_key(key as i16)
                .with_request_api_version(version)
                .with_correlation_id(correlation_id)
                .with_client_id(None);
            header.encode(&mut out, key.request_header_version(version)).map_err(|error| format!("{error:#}"))?;
            body.encode(&mut out, version).map_err(|error| format!("{error:#}"))?;
        }
        Body::Response(body) => {
            let header = ResponseHeader::default().with_correlation_id(correlation_id);
            header.encode(&mut out, key.response_header_version(version)).map_err(|error| format!("{error:#}"))?;
            body.encode(&mut out, version).map_err(|error| format!("{error:#}"))?;
        }
    }
    Ok(sized(&out))
}

/// The newest version of `M` that `kafka-protocol` knows.
pub const fn newest<M: Message>() -> i16 {
    M::VERSIONS.max
}
