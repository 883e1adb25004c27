//! Whole Kafka frames, built outside the hot path by `kafka-protocol`.

use anyhow::{Context, Result};
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Record, RecordBatchEncoder,
    RecordEncodeOptions, TimestampType,
};

/// The group of the load, as its clients call it.
pub(crate) const GROUP: &str = "bench";
/// The group's only member, in its only generation.
pub(crate) const MEMBER: &str = "bench-1";
pub(crate) const GENERATION: i32 = 1;
/// What stands before a tenant's names at the endpoint.
pub(crate) const TENANT_PREFIX: &str = "t1-";

/// Where the length of a record batch stands in it; what comes before it and the length itself are not counted.
pub(crate) const BATCH_LENGTH_AT: usize = 8;

/// The client id of requests that the endpoint counts ...
pub(crate) const LOAD: &str = "bifrost-bench";
/// ... and of those that only prepare them.
pub(crate) const SET_UP: &str = "bifrost-bench-set-up";

/// Where a correlation id stands in a request frame, its length field included.
pub(crate) const REQUEST_CORRELATION_ID_AT: usize = 8;
/// The same for a response frame.
pub(crate) const RESPONSE_CORRELATION_ID_AT: usize = 4;

/// A request of the load; its correlation id is 0.
pub(crate) fn request_frame(key: ApiKey, version: i16, body: &impl Encodable) -> Result<Vec<u8>> {
    request_frame_of(LOAD, key, version, body)
}

pub(crate) fn request_frame_of(
    client_id: &'static str,
    key: ApiKey,
    version: i16,
    body: &impl Encodable,
) -> Result<Vec<u8>> {
    let header = RequestHeader::default()
        .with_request_api_key(key as i16)
        .with_request_api_version(version)
        .with_client_id(Some(StrBytes::from_static_str(client_id)));
    frame(&header, key.request_header_version(version), body, version)
}

pub(crate) fn response_frame(key: ApiKey, version: i16, correlation_id: i32, body: &impl Encodable) -> Result<Vec<u8>> {
    let header = ResponseHeader::default().with_correlation_id(correlation_id);
    frame(&header, key.response_header_version(version), body, version)
}

fn frame(header: &impl Encodable, header_version: i16, body: &impl Encodable, version: i16) -> Result<Vec<u8>> {
    let mut out = BytesMut::new();
    out.put_i32(0);
    header.encode(&mut out, header_version)?;
    body.encode(&mut out, version)?;
    let size = i32::try_from(out.len() - 4)?;
    out[..4].copy_from_slice(&size.to_be_bytes());
    Ok(out.into())
}

/// Decodes a response that was read whole.
pub(crate) fn decode_response<T: Decodable>(key: ApiKey, version: i16, frame: &[u8]) -> Result<T> {
    let mut bytes = Bytes::copy_from_slice(frame);
    ResponseHeader::decode(&mut bytes, key.response_header_version(version))?;
    T::decode(&mut bytes, version).with_context(|| format!("{key:?} v{version} answer"))
}

pub(crate) fn set_correlation_id(frame: &mut [u8], at: usize, id: i32) {
    frame[at..at + 4].copy_from_slice(&id.to_be_bytes());
}

/// One valid record batch with one record, exactly `bytes` long.
pub(crate) fn record_batch(bytes: usize) -> Result<Bytes> {
    let mut value_bytes = bytes.saturating_sub(96);
    // The record's varints grow with its value, so the overhead is found by trying.
    for _ in 0..4 {
        let batch = encode_batch(value_bytes)?;
        if batch.len() == bytes {
            return Ok(batch);
        }
        value_bytes = (value_bytes + bytes).checked_sub(batch.len()).context("record batch too small")?;
    }
    anyhow::bail!("no record batch of {bytes} bytes")
}

fn encode_batch(value_bytes: usize) -> Result<Bytes> {
    let record = Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence: NO_SEQUENCE,
        timestamp: 1_700_000_000_000,
        key: None,
        value: Some(vec![b'v'; value_bytes].into()),
        headers: Default::default(),
    };
    let mut out = BytesMut::new();
    RecordBatchEncoder::encode(
        &mut out,
        [&record],
        &RecordEncodeOptions { version: 2, compression: Compression::None },
    )?;
    Ok(out.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_batch_has_the_size_asked_for() {
        for bytes in [100, 1024, 16 * 1024, 256 * 1024, 1024 * 1024] {
            assert_eq!(record_batch(bytes).unwrap().len(), bytes);
        }
    }
}
