//! The answers of one connection, each built once and sent many times.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use bytes::{Buf, Bytes};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, BrokerId, FetchRequest, FetchResponse, HeartbeatResponse, MetadataResponse,
    ProduceResponse, RequestHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, StrBytes};

use super::PARTITIONS;
use crate::frames::Frame;
use crate::kafka::{RESPONSE_CORRELATION_ID_AT, TOPIC, TOPIC_ID, record_batch, response_frame, set_correlation_id};

/// What the endpoint speaks.
const SUPPORTED: &[(ApiKey, i16, i16)] = &[
    (ApiKey::Produce, 9, 12),
    (ApiKey::Fetch, 12, 17),
    (ApiKey::Metadata, 0, 12),
    (ApiKey::Heartbeat, 0, 4),
    (ApiKey::ApiVersions, 0, 4),
];

/// Two requests with this in common are, on one connection of the bench, the same request.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape {
    api_key: i16,
    version: i16,
    size: usize,
}

pub(super) struct Answer<'a> {
    pub(super) bytes: &'a [u8],
    /// Not part of connection set-up.
    pub(super) is_load: bool,
}

pub(super) struct Answers {
    nodes: Vec<SocketAddr>,
    built: Vec<(Shape, Vec<u8>)>,
}

impl Answers {
    pub(super) fn new(nodes: Vec<SocketAddr>) -> Self {
        Self { nodes, built: Vec::new() }
    }

    pub(super) fn to(&mut self, request: &Frame<'_>) -> Result<Answer<'_>> {
        let mut head = request.head;
        ensure!(head.len() >= 8, "request of {} bytes", request.size);
        let shape = Shape { api_key: head.get_i16(), version: head.get_i16(), size: request.size };
        let correlation_id = head.get_i32();
        let found = self.built.iter().position(|(built, _)| *built == shape);
        let at = match found {
            Some(at) => at,
            None => {
                let answer = self
                    .build(shape, request)
                    .with_context(|| format!("API key {} v{}", shape.api_key, shape.version))?;
                self.built.push((shape, answer));
                self.built.len() - 1
            }
        };
        let frame = &mut self.built[at].1;
        set_correlation_id(frame, RESPONSE_CORRELATION_ID_AT, correlation_id);
        let is_load =
            [ApiKey::Produce, ApiKey::Fetch, ApiKey::Heartbeat].iter().any(|key| *key as i16 == shape.api_key);
        Ok(Answer { bytes: frame, is_load })
    }

    fn build(&self, Shape { api_key, version, .. }: Shape, request: &Frame<'_>) -> Result<Vec<u8>> {
        let (key, ..) = *SUPPORTED
            .iter()
            .find(|(key, min, max)| *key as i16 == api_key && (*min..=*max).contains(&version))
            .context("not spoken here")?;
        let mut head = Bytes::copy_from_slice(request.head);
        RequestHeader::decode(&mut head, key.request_header_version(version))?;
        match key {
            ApiKey::Produce => response_frame(key, version, 0, &produce(produce_partition(head)?)),
            ApiKey::Fetch => {
                response_frame(key, version, 0, &fetch(version, &FetchRequest::decode(&mut head, version)?)?)
            }
            ApiKey::Metadata => response_frame(key, version, 0, &self.metadata()),
            ApiKey::Heartbeat => response_frame(key, version, 0, &HeartbeatResponse::default()),
            _ => response_frame(key, version, 0, &api_versions()),
        }
    }

    fn metadata(&self) -> MetadataResponse {
        let node = |index: usize| BrokerId(i32::try_from(index).unwrap_or(i32::MAX));
        let broker = |(index, address): (usize, &SocketAddr)| {
            MetadataResponseBroker::default()
                .with_node_id(node(index))
                .with_host(StrBytes::from_string(address.ip().to_string()))
                .with_port(address.port().into())
        };
        let partition = |index: usize| {
            let leader = node(index % self.nodes.len());
            MetadataResponsePartition::default()
                .with_partition_index(node(index).0)
                .with_leader_id(leader)
                .with_leader_epoch(1)
                .with_replica_nodes(vec![leader])
                .with_isr_nodes(vec![leader])
        };
        let topic = MetadataResponseTopic::default()
            .with_name(Some(TopicName(StrBytes::from_static_str(TOPIC))))
            .with_topic_id(TOPIC_ID)
            .with_partitions((0..PARTITIONS).map(partition).collect());
        MetadataResponse::default()
            .with_brokers(self.nodes.iter().enumerate().map(broker).collect())
            .with_cluster_id(Some(StrBytes::from_static_str("bifrost-bench")))
            .with_controller_id(BrokerId(0))
            .with_topics(vec![topic])
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

fn produce(partition: i32) -> ProduceResponse {
    let partition =
        PartitionProduceResponse::default().with_index(partition).with_base_offset(0).with_log_start_offset(0);
    let topic = TopicProduceResponse::default()
        .with_name(TopicName(StrBytes::from_static_str(TOPIC)))
        .with_partition_responses(vec![partition]);
    ProduceResponse::default().with_responses(vec![topic])
}

/// Answers with exactly as many record bytes as the partition may have.
fn fetch(version: i16, request: &FetchRequest) -> Result<FetchResponse> {
    let asked = request.topics.first().and_then(|topic| topic.partitions.first()).context("no partition")?;
    let partition = PartitionData::default()
        .with_partition_index(asked.partition)
        .with_high_watermark(1)
        .with_last_stable_offset(1)
        .with_log_start_offset(0)
        .with_aborted_transactions(None)
        .with_preferred_read_replica(BrokerId(-1))
        .with_records(Some(record_batch(usize::try_from(asked.partition_max_bytes)?)?));
    let topic = FetchableTopicResponse::default().with_partitions(vec![partition]);
    let topic = if version < 13 {
        topic.with_topic(TopicName(StrBytes::from_static_str(TOPIC)))
    } else {
        topic.with_topic_id(TOPIC_ID)
    };
    Ok(FetchResponse::default().with_responses(vec![topic]))
}

/// The partition of a flexible Produce request with one, read from its first bytes.
fn produce_partition(mut body: Bytes) -> Result<i32> {
    skip_compact_string(&mut body)?;
    body.try_get_i16()?;
    body.try_get_i32()?;
    ensure!(unsigned_varint(&mut body)? == 2, "not one topic");
    skip_compact_string(&mut body)?;
    ensure!(unsigned_varint(&mut body)? == 2, "not one partition");
    Ok(body.try_get_i32()?)
}

fn skip_compact_string(bytes: &mut Bytes) -> Result<()> {
    let length = unsigned_varint(bytes)?.saturating_sub(1);
    ensure!(bytes.len() >= length, "string runs past the head");
    bytes.advance(length);
    Ok(())
}

fn unsigned_varint(bytes: &mut Bytes) -> Result<usize> {
    let mut value = 0;
    for shift in [0, 7, 14, 21] {
        let byte = bytes.try_get_u8()?;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    anyhow::bail!("varint too long")
}
