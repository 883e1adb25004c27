//! What is not Kafka, or not Kafka that the gateway knows, is refused: in Kafka's words where there are some.

use std::time::Duration;

use anyhow::Result;
use bifrost_e2e::wait;
use bifrost_e2e::wire::{self, RawClient};
use bytes::{BufMut as _, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse};
use kafka_protocol::protocol::Decodable as _;

use crate::fixture::shared;

const PATIENCE: Duration = Duration::from_secs(5);
const UNSUPPORTED_VERSION: i16 = 35;

#[test]
fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let fixture = shared();
    let mut client = RawClient::connect(fixture.raw()).unwrap();

    client.send(&header_only(ApiKey::ApiVersions as i16, 99, 7)).unwrap();

    let mut answer = client.receive().unwrap();
    let correlation_id = i32::from_be_bytes(answer.split_to(4)[..].try_into().unwrap());
    let response = ApiVersionsResponse::decode(&mut answer, 0).unwrap();
    assert_eq!((correlation_id, response.error_code), (7, UNSUPPORTED_VERSION));
    assert!(response.api_keys.iter().any(|api| api.api_key == ApiKey::ApiVersions as i16), "it names a version to use");
    client.call(3, 8, &wire::api_versions()).expect("the connection is still good");
}

#[test]
fn an_unknown_api_key_closes_the_connection() {
    assert_closed("unknown API key", &header_only(9999, 0, 1));
}

#[test]
fn an_unknown_version_of_another_api_closes_the_connection() {
    assert_closed("Metadata 99", &header_only(ApiKey::Metadata as i16, 99, 1));
}

#[test]
fn a_frame_above_the_limit_closes_the_connection() {
    assert_closed("101 MiB", &(101_i32 << 20).to_be_bytes());
}

#[test]
fn a_negative_size_closes_the_connection() {
    assert_closed("size -1", &(-1_i32).to_be_bytes());
}

#[test]
fn a_frame_that_is_shorter_than_a_header_closes_the_connection() {
    assert_closed("2 bytes", &wire::sized(&[0, 3]));
}

#[test]
fn tls_closes_the_connection_and_the_log_says_so() {
    // The head of a ClientHello: handshake record, TLS 1.0, 512 bytes.
    assert_closed("TLS", &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]);
    assert_logged("TLS");
}

#[test]
fn http_closes_the_connection_and_the_log_says_so() {
    assert_closed("HTTP", b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n");
    assert_logged("HTTP");
}

fn assert_closed(what: &str, bytes: &[u8]) {
    let fixture = shared();
    let closed =
        || -> Result<u64> { Ok(fixture.gateway.stats("bifrost.untapped.closed.")?.iter().map(|(_, n)| n).sum()) };
    let closed_before = closed().unwrap();
    let mut client = RawClient::connect(fixture.raw()).unwrap();

    client.send(bytes).unwrap();

    let answer = client.read_until_closed(PATIENCE).unwrap_or_else(|error| panic!("{what}: {error:#}"));
    assert_eq!(answer, Vec::<u8>::new(), "{what} is not answered");
    wait::until("the gateway counts it", PATIENCE, || Ok((closed()? > closed_before).then_some(()))).unwrap();
}

fn assert_logged(word: &str) {
    let fixture = shared();
    let logged = || Ok(fixture.gateway.log()?.lines().any(|line| line.contains(word)).then_some(()));
    wait::until(&format!("the gateway logs a line with {word}"), PATIENCE, logged).unwrap();
}

/// A request with an old header and no body.
fn header_only(api_key: i16, version: i16, correlation_id: i32) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_i16(api_key);
    frame.put_i16(version);
    frame.put_i32(correlation_id);
    frame.put_i16(3);
    frame.put_slice(b"raw");
    wire::sized(&frame)
}
