//! The answers of one connection, each built once and sent many times.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use bytes::{Buf, Bytes};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::metadata_response::{MetadataResponseBroker, MetadataResponsePartition};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, BrokerId, FetchRequest, FetchResponse, HeartbeatRequest, HeartbeatResponse,
    MetadataRequest, MetadataResponse, ProduceResponse, RequestHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, StrBytes};
use uuid::Uuid;

use super::topics::{self, Topic};
use super::{LISTED_PARTITIONS, PARTITIONS};
use crate::frames::Frame;
use crate::kafka::{
    GROUP, RESPONSE_CORRELATION_ID_AT, TENANT_PREFIX, record_batch, response_frame, set_correlation_id,
};

/// What the endpoint speaks.
const SUPPORTED: &[(ApiKey, i16, i16)] = &[
    (ApiKey::Produce, 9, 13),
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

/// From this version on requests and answers give a topic's id, up to it they name the topic.
const PRODUCE_BY_ID: i16 = 13;
const FETCH_BY_ID: i16 = 13;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Load,
    /// Whose topic has this id?
    LookUp,
    SetUp,
}

pub(super) struct Answer<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) purpose: Purpose,
}

pub(super) struct Answers {
    nodes: Vec<SocketAddr>,
    /// The load's.
    built: Vec<(Shape, Vec<u8>)>,
    /// To the last request that was not the load's.
    other: Vec<u8>,
}

impl Answers {
    pub(super) fn new(nodes: Vec<SocketAddr>) -> Self {
        Self { nodes, built: Vec::new(), other: Vec::new() }
    }

    pub(super) fn to(&mut self, request: &Frame<'_>) -> Result<Answer<'_>> {
        let mut head = request.head;
        ensure!(head.len() >= 8, "request of {} bytes", request.size);
        let shape = Shape { api_key: head.get_i16(), version: head.get_i16(), size: request.size };
        let correlation_id = head.get_i32();
        let mut purpose = Purpose::Load;
        let mut found = self.built.iter().position(|(built, _)| *built == shape);
        if found.is_none() {
            let answer;
            (purpose, answer) =
                self.build(shape, request).with_context(|| format!("API key {} v{}", shape.api_key, shape.version))?;
            if purpose == Purpose::Load {
                found = Some(self.built.len());
                self.built.push((shape, answer));
            } else {
                self.other = answer;
            }
        }
        let bytes = found.map_or(&mut self.other, |at| &mut self.built[at].1);
        set_correlation_id(bytes, RESPONSE_CORRELATION_ID_AT, correlation_id);
        Ok(Answer { bytes, purpose })
    }

    fn build(&self, Shape { api_key, version, .. }: Shape, request: &Frame<'_>) -> Result<(Purpose, Vec<u8>)> {
        let (key, ..) = *SUPPORTED
            .iter()
            .find(|(key, min, max)| *key as i16 == api_key && (*min..=*max).contains(&version))
            .context("not spoken here")?;
        let mut head = Bytes::copy_from_slice(request.head);
        RequestHeader::decode(&mut head, key.request_header_version(version))?;
        Ok(match key {
            ApiKey::Produce => {
                (Purpose::Load, response_frame(key, version, 0, &produce(version, &produced(version, head)?))?)
            }
            ApiKey::Fetch => {
                let request = FetchRequest::decode(&mut head, version)?;
                (Purpose::Load, response_frame(key, version, 0, &fetch(version, &request)?)?)
            }
            ApiKey::Metadata => {
                let (purpose, answer) = self.metadata(&MetadataRequest::decode(&mut head, version)?)?;
                (purpose, response_frame(key, version, 0, &answer)?)
            }
            ApiKey::Heartbeat => {
                let group = HeartbeatRequest::decode(&mut head, version)?.group_id;
                ensure!(group.strip_prefix(TENANT_PREFIX).unwrap_or(&group) == GROUP, "no group '{}'", group.as_str());
                (Purpose::Load, response_frame(key, version, 0, &HeartbeatResponse::default())?)
            }
            _ => (Purpose::SetUp, response_frame(key, version, 0, &api_versions())?),
        })
    }

    fn metadata(&self, request: &MetadataRequest) -> Result<(Purpose, MetadataResponse)> {
        let broker = |(index, address): (usize, &SocketAddr)| {
            MetadataResponseBroker::default()
                .with_node_id(node(index))
                .with_host(StrBytes::from_string(address.ip().to_string()))
                .with_port(address.port().into())
        };
        let mut purpose = Purpose::SetUp;
        let topics = match &request.topics {
            None => {
                purpose = Purpose::Load;
                topics::listed().map(|topic| topic.with_partitions(self.partitions(LISTED_PARTITIONS))).collect()
            }
            Some(asked) => {
                let mut topics = Vec::new();
                for asked in asked {
                    let topic = match &asked.name {
                        Some(name) => topics::by_name(name)?,
                        None => {
                            purpose = Purpose::LookUp;
                            topics::by_id(asked.topic_id)?
                        }
                    };
                    topics.push(topic.metadata().with_partitions(self.partitions(PARTITIONS)));
                }
                topics
            }
        };
        let answer = MetadataResponse::default()
            .with_brokers(self.nodes.iter().enumerate().map(broker).collect())
            .with_cluster_id(Some(StrBytes::from_static_str("bifrost-bench")))
            .with_controller_id(BrokerId(0))
            .with_topics(topics);
        Ok((purpose, answer))
    }

    fn partitions(&self, count: usize) -> Vec<MetadataResponsePartition> {
        let partition = |index: usize| {
            let leader = node(index % self.nodes.len());
            MetadataResponsePartition::default()
                .with_partition_index(node(index).0)
                .with_leader_id(leader)
                .with_leader_epoch(1)
                .with_replica_nodes(vec![leader])
                .with_isr_nodes(vec![leader])
        };
        (0..count).map(partition).collect()
    }
}

fn node(index: usize) -> BrokerId {
    BrokerId(i32::try_from(index).unwrap_or(i32::MAX))
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

/// The topic and the partition of a request with one.
struct Produced {
    topic: &'static Topic,
    partition: i32,
}

fn produce(version: i16, produced: &Produced) -> ProduceResponse {
    let partition =
        PartitionProduceResponse::default().with_index(produced.partition).with_base_offset(0).with_log_start_offset(0);
    let topic = TopicProduceResponse::default().with_partition_responses(vec![partition]);
    let topic = if version < PRODUCE_BY_ID {
        topic.with_name(TopicName(StrBytes::from_static_str(produced.topic.name)))
    } else {
        topic.with_topic_id(produced.topic.id)
    };
    ProduceResponse::default().with_responses(vec![topic])
}

/// Answers with exactly as many record bytes as the partition may have.
fn fetch(version: i16, request: &FetchRequest) -> Result<FetchResponse> {
    let topic = request.topics.first().context("no topic")?;
    let asked = topic.partitions.first().context("no partition")?;
    let partition = PartitionData::default()
        .with_partition_index(asked.partition)
        .with_high_watermark(1)
        .with_last_stable_offset(1)
        .with_log_start_offset(0)
        .with_aborted_transactions(None)
        .with_preferred_read_replica(BrokerId(-1))
        .with_records(Some(record_batch(usize::try_from(asked.partition_max_bytes)?)?));
    let answer = FetchableTopicResponse::default().with_partitions(vec![partition]);
    let answer = if version < FETCH_BY_ID {
        answer.with_topic(TopicName(StrBytes::from_static_str(topics::by_name(&topic.topic)?.name)))
    } else {
        answer.with_topic_id(topics::by_id(topic.topic_id)?.id)
    };
    Ok(FetchResponse::default().with_responses(vec![answer]))
}

/// What a flexible Produce request is for, read from its first bytes.
fn produced(version: i16, mut body: Bytes) -> Result<Produced> {
    compact_string(&mut body)?;
    body.try_get_i16()?;
    body.try_get_i32()?;
    ensure!(unsigned_varint(&mut body)? == 2, "not one topic");
    let topic = if version < PRODUCE_BY_ID {
        topics::by_name(str::from_utf8(&compact_string(&mut body)?)?)?
    } else {
        topics::by_id(Uuid::from_u128(body.try_get_u128()?))?
    };
    ensure!(unsigned_varint(&mut body)? == 2, "not one partition");
    Ok(Produced { topic, partition: body.try_get_i32()? })
}

fn compact_string(bytes: &mut Bytes) -> Result<Bytes> {
    let length = unsigned_varint(bytes)?.saturating_sub(1);
    ensure!(bytes.len() >= length, "string runs past the head");
    Ok(bytes.split_to(length))
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

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::HeartbeatRequest;

    use super::*;
    use crate::kafka::request_frame;

    fn ask(answers: &mut Answers, key: ApiKey, version: i16, body: &impl kafka_protocol::protocol::Encodable) -> bool {
        answers.to(&Frame::of(&request_frame(key, version, 0, body).unwrap())).is_ok()
    }

    #[test]
    fn what_the_endpoint_does_not_have_is_no_answer() {
        let mut answers = Answers::new(vec!["127.0.0.1:1".parse().unwrap()]);
        for (group, known) in [("bench", true), ("t1-bench", true), ("t2-bench", false)] {
            let request = HeartbeatRequest::default().with_group_id(StrBytes::from_static_str(group).into());
            // Otherwise the size would tell.
            answers.built.clear();
            assert_eq!(ask(&mut answers, ApiKey::Heartbeat, 4, &request), known, "{group}");
        }
        assert!(topics::by_name("t1-bench").is_ok() && topics::by_name("t1-t1-bench").is_err());
        assert!(topics::by_id(Uuid::from_u128(7)).is_err());
    }

    #[test]
    fn a_list_of_topics_holds_those_of_all_tenants() {
        let own = |topic: &kafka_protocol::messages::metadata_response::MetadataResponseTopic| {
            topic.name.as_ref().is_some_and(|name| name.starts_with(TENANT_PREFIX))
        };
        assert_eq!(topics::listed().count() as u128, topics::LISTED);
        assert_eq!(topics::listed().filter(own).count() as u128, topics::LISTED_OWN);
    }
}
