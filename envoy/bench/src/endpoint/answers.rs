//! The answers of one connection. Those that depend on the request alone are built once and sent many times.

use anyhow::{Context, Result, ensure};
use bytes::{Buf, Bytes};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse, RequestHeader};
use kafka_protocol::protocol::{Decodable, Encodable};

use super::{Cluster, groups, metadata, records};
use crate::frames::{Frame, HEAD_BYTES_MAX};
use crate::kafka::{LOAD, RESPONSE_CORRELATION_ID_AT, response_frame, set_correlation_id};

/// What the endpoint speaks.
const SUPPORTED: &[(ApiKey, i16, i16)] = &[
    // Offered from 0 on, as by brokers, because older versions of librdkafka look for that (KAFKA-18659). Not spoken below 3.
    (ApiKey::Produce, 0, 13),
    (ApiKey::Fetch, 4, 17),
    (ApiKey::ListOffsets, 1, 10),
    (ApiKey::Metadata, 0, 12),
    (ApiKey::OffsetCommit, 2, 9),
    (ApiKey::OffsetFetch, 1, 9),
    (ApiKey::FindCoordinator, 0, 6),
    (ApiKey::JoinGroup, 0, 9),
    (ApiKey::Heartbeat, 0, 4),
    (ApiKey::LeaveGroup, 0, 5),
    (ApiKey::SyncGroup, 0, 5),
    (ApiKey::ApiVersions, 0, 4),
    (ApiKey::InitProducerId, 0, 5),
];
const UNSUPPORTED_VERSION: i16 = 35;

/// Answers that a connection keeps: the load repeats one request, real clients have no use for it.
const KEPT_MAX: usize = 8;

/// Where key and version of a request end, and where what follows its correlation id begins.
const VERSION_END: usize = 4;
const CORRELATION_ID_END: usize = 8;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Counted, because the load says what it has sent.
    Load,
    /// Whose topic has this id?
    LookUp,
    Other,
}

#[derive(Clone, Copy)]
pub(super) struct Answer<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) purpose: Purpose,
}

/// An answer with correlation id 0.
pub(super) struct Built {
    pub(super) bytes: Vec<u8>,
    /// The same request is answered with the same bytes.
    pub(super) is_prepared: bool,
    purpose: Purpose,
}

/// A request as far as it is compared.
struct Seen {
    size: usize,
    head: Vec<u8>,
}

pub(super) struct Answers<'a> {
    cluster: &'a Cluster,
    kept: Vec<(Seen, Built)>,
    /// To the last request whose answer was not kept.
    last: Option<Built>,
}

impl<'a> Answers<'a> {
    pub(super) fn new(cluster: &'a Cluster) -> Self {
        Self { cluster, kept: Vec::new(), last: None }
    }

    /// Where the answer to this request is, if it has come before; for `prepared`.
    pub(super) fn find(&mut self, request: &Frame<'_>) -> Result<Option<usize>> {
        let correlation_id = request.head.get(VERSION_END..).and_then(|rest| rest.first_chunk());
        let correlation_id = correlation_id.with_context(|| format!("request of {} bytes", request.size))?;
        let found = self.kept.iter().position(|(seen, _)| seen.is(request));
        if let Some((_, built)) = found.and_then(|found| self.kept.get_mut(found)) {
            set_correlation_id(&mut built.bytes, RESPONSE_CORRELATION_ID_AT, i32::from_be_bytes(*correlation_id));
        }
        Ok(found)
    }

    pub(super) fn prepared(&self, found: usize) -> Answer<'_> {
        self.kept[found].1.answer()
    }

    /// The answer to a request that has not come before, given without its length field.
    pub(super) fn new_to(&mut self, request: Vec<u8>) -> Result<Answer<'_>> {
        let request = Bytes::from(request);
        let mut built = self.build(request.clone())?;
        set_correlation_id(&mut built.bytes, RESPONSE_CORRELATION_ID_AT, (&request[VERSION_END..]).get_i32());
        if built.is_prepared && built.purpose == Purpose::Load && self.kept.len() < KEPT_MAX {
            let head = request[..request.len().min(HEAD_BYTES_MAX)].to_vec();
            self.kept.push((Seen { size: request.len(), head }, built));
            return Ok(self.prepared(self.kept.len() - 1));
        }
        Ok(self.last.insert(built).answer())
    }

    pub(super) fn build(&self, request: Bytes) -> Result<Built> {
        ensure!(request.len() >= CORRELATION_ID_END, "request of {} bytes", request.len());
        let (api_key, version) = ((&request[..]).get_i16(), (&request[2..]).get_i16());
        self.build_for(api_key, version, request).with_context(|| format!("API key {api_key} v{version}"))
    }

    fn build_for(&self, api_key: i16, version: i16, mut request: Bytes) -> Result<Built> {
        let supported = SUPPORTED.iter().find(|(key, ..)| *key as i16 == api_key);
        let (key, min, max) = *supported.context("not spoken here")?;
        if key == ApiKey::ApiVersions && version > max {
            // So that the client tries again (KIP-511).
            let refusal = api_versions().with_error_code(UNSUPPORTED_VERSION);
            return Ok(Built {
                bytes: response_frame(key, 0, 0, &refusal)?,
                is_prepared: true,
                purpose: Purpose::Other,
            });
        }
        ensure!((min..=max).contains(&version), "not spoken here");
        let header = RequestHeader::decode(&mut request, key.request_header_version(version))?;
        let is_load = header.client_id.is_some_and(|client_id| client_id.as_str() == LOAD);
        let mut purpose = if is_load { Purpose::Load } else { Purpose::Other };
        let mut is_prepared = true;
        let body = Body { key, version, bytes: request };
        let bytes = match key {
            ApiKey::Produce => {
                let answer = records::produce(version, &body.decode()?, &self.cluster.logs)?;
                is_prepared = answer.is_prepared;
                body.answer(&answer.body)
            }
            ApiKey::Fetch => {
                let answer = records::fetch(version, &body.decode()?, &self.cluster.logs)?;
                is_prepared = answer.is_prepared;
                body.answer(&answer.body)
            }
            ApiKey::ListOffsets => body.answer(&records::list_offsets(&body.decode()?, &self.cluster.logs)?),
            ApiKey::Metadata => {
                let request = body.decode()?;
                if metadata::is_look_up(&request) {
                    purpose = Purpose::LookUp;
                }
                body.answer(&metadata::metadata(&request, self.cluster)?)
            }
            ApiKey::FindCoordinator => {
                body.answer(&groups::find_coordinator(version, &body.decode()?, &self.cluster.nodes)?)
            }
            ApiKey::JoinGroup => body.answer(&groups::join(&body.decode()?)?),
            ApiKey::SyncGroup => body.answer(&groups::sync(&body.decode()?)?),
            ApiKey::Heartbeat => body.answer(&groups::heartbeat(&body.decode()?)?),
            ApiKey::LeaveGroup => body.answer(&groups::leave(&body.decode()?)?),
            ApiKey::OffsetFetch => body.answer(&groups::offset_fetch(version, &body.decode()?)?),
            ApiKey::OffsetCommit => body.answer(&groups::offset_commit(&body.decode()?)?),
            ApiKey::InitProducerId => body.answer(&groups::init_producer_id()),
            _ => body.answer(&api_versions()),
        };
        Ok(Built { bytes: bytes?, is_prepared, purpose })
    }
}

impl Built {
    fn answer(&self) -> Answer<'_> {
        Answer { bytes: &self.bytes, purpose: self.purpose }
    }
}

impl Seen {
    fn is(&self, request: &Frame<'_>) -> bool {
        // Both have a correlation id, which is not compared.
        self.size == request.size
            && self.head[..VERSION_END] == request.head[..VERSION_END]
            && self.head[CORRELATION_ID_END..] == request.head[CORRELATION_ID_END..]
    }
}

/// A request's body, and what is needed to answer it.
struct Body {
    key: ApiKey,
    version: i16,
    bytes: Bytes,
}

impl Body {
    fn decode<T: Decodable>(&self) -> Result<T> {
        T::decode(&mut self.bytes.clone(), self.version)
    }

    fn answer(&self, answer: &impl Encodable) -> Result<Vec<u8>> {
        response_frame(self.key, self.version, 0, answer)
    }
}

fn api_versions() -> ApiVersionsResponse {
    let keys = SUPPORTED
        .iter()
        .map(|(key, min, max)| {
            ApiVersion::default().with_api_key(*key as i16).with_min_version(*min).with_max_version(*max)
        })
        .collect();
    ApiVersionsResponse::default().with_api_keys(keys)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use kafka_protocol::messages::{ApiVersionsRequest, HeartbeatRequest, MetadataRequest};
    use kafka_protocol::protocol::StrBytes;

    use super::*;
    use crate::endpoint::Endpoint;
    use crate::kafka::{SET_UP, decode_response, request_frame, request_frame_of};

    #[test]
    fn what_the_endpoint_does_not_have_is_no_answer() {
        let endpoint = Endpoint::start(1).unwrap();
        for (group, known) in [("bench", true), ("t1-bench", true), ("t2-bench", false)] {
            let request = HeartbeatRequest::default().with_group_id(StrBytes::from_static_str(group).into());
            let frame = request_frame(ApiKey::Heartbeat, 4, &request).unwrap();
            assert_eq!(endpoint.answer_to(&frame).is_ok(), known, "{group}");
        }
        // Hostile frames end the connection, nothing else.
        for frame in [&[0, 0, 0, 0][..], &[0; 11], &[0; 12], &[0xff; 40], &[0, 0, 0, 9, 0, 0, 0, 13, 0, 0, 0, 1, 9]] {
            assert!(endpoint.answer_to(frame).is_err(), "{frame:?}");
        }
    }

    #[test]
    fn only_a_request_that_came_before_is_answered_from_memory() {
        let endpoint = Endpoint::start(1).unwrap();
        let mut answers = Answers::new(&endpoint.cluster);
        let heartbeat = |member: &'static str, client_id| {
            let request = HeartbeatRequest::default()
                .with_group_id(StrBytes::from_static_str("bench").into())
                .with_member_id(StrBytes::from_static_str(member));
            request_frame_of(client_id, ApiKey::Heartbeat, 4, &request).unwrap()
        };
        assert_eq!(answers.new_to(heartbeat("a", LOAD)[4..].to_vec()).unwrap().purpose, Purpose::Load);
        let mut again = heartbeat("a", LOAD);
        again[8..12].copy_from_slice(&7i32.to_be_bytes());
        let found = answers.find(&Frame::of(&again)).unwrap().unwrap();
        assert_eq!(answers.prepared(found).bytes[4..8], 7i32.to_be_bytes());
        // The same size, another request.
        assert!(answers.find(&Frame::of(&heartbeat("b", LOAD))).unwrap().is_none());
        assert_eq!(answers.new_to(heartbeat("a", SET_UP)[4..].to_vec()).unwrap().purpose, Purpose::Other);
        assert!(answers.find(&Frame::of(&heartbeat("a", SET_UP))).unwrap().is_none());
    }

    #[test]
    fn the_list_of_topics_is_as_long_as_it_was_set() {
        let endpoint = Endpoint::start(1).unwrap();
        let request = request_frame(ApiKey::Metadata, 12, &MetadataRequest::default().with_topics(None)).unwrap();
        for topics in [10, 10_000] {
            endpoint.list(topics);
            assert_eq!(endpoint.cluster.listed.load(Relaxed), topics);
            let answer = endpoint.answer_to(&request).unwrap();
            let answer: kafka_protocol::messages::MetadataResponse =
                decode_response(ApiKey::Metadata, 12, &answer[4..]).unwrap();
            assert_eq!(answer.topics.len(), topics);
        }
    }

    #[test]
    fn an_unknown_version_of_api_versions_is_answered_with_version_0() {
        let endpoint = Endpoint::start(1).unwrap();
        let mut request = request_frame(ApiKey::ApiVersions, 4, &ApiVersionsRequest::default()).unwrap();
        request[7] = 5;
        let answer = endpoint.answer_to(&request).unwrap();
        let answer: ApiVersionsResponse = decode_response(ApiKey::ApiVersions, 0, &answer[4..]).unwrap();
        assert_eq!((answer.error_code, answer.api_keys.len()), (UNSUPPORTED_VERSION, SUPPORTED.len()));
    }
}
