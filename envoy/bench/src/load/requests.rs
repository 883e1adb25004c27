//! The requests of the load, in a client's names and in those that the endpoint receives.

use anyhow::{Context, Result, ensure};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiKey, BrokerId, FetchRequest, GroupId, HeartbeatRequest, MetadataRequest, MetadataResponse, ProduceRequest,
    TopicName,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::endpoint::{Endpoint, LISTED_OWN};
use crate::frames::HEAD_BYTES_MAX;
use crate::kafka::{
    GROUP, RESPONSE_CORRELATION_ID_AT, TOPIC, decode_response, record_batch, request_frame, response_frame,
};
use crate::workload::Request;

/// The last versions of Produce and Fetch that name topics.
const NAMES_UP_TO: i16 = 12;

/// A request as it leaves the client, and what has to become of it.
pub(super) struct Exchange {
    pub(super) frame: Vec<u8>,
    /// What the endpoint receives.
    pub(super) upstream_bytes: usize,
    pub(super) answer: Expected,
}

/// The answer that has to come.
pub(super) struct Expected {
    /// Without the length field.
    size: usize,
    /// What follows the correlation id, as far as it is known and looked at.
    head: Vec<u8>,
}

impl Exchange {
    /// `prefix` stands before all names at the endpoint.
    pub(super) fn of(
        request: Request,
        topic_id: Uuid,
        partition: usize,
        prefix: &str,
        endpoint: &Endpoint,
    ) -> Result<Self> {
        let (key, version) = request.api();
        let frame = Names { prefix: "", topic_id }.frame(request, partition)?;
        let mut upstream_bytes = Names { prefix, topic_id }.frame(request, partition)?.len();
        if key == ApiKey::Produce && version <= NAMES_UP_TO && !prefix.is_empty() {
            // The frame's size is passed on before its names have come, so all names have to grow alike: the length of
            // each takes one byte more than it needs.
            upstream_bytes += 1;
        }
        let mut answer = endpoint.answer_to(&frame)?;
        let mut compared = answer.len().min(HEAD_BYTES_MAX);
        if request == Request::ListTopics {
            answer = own_topics(version, prefix, &answer)?;
            // Other addresses and, through bare Envoy, other topics.
            compared = 0;
        }
        let head = answer[..compared].get(RESPONSE_CORRELATION_ID_AT + 4..).unwrap_or_default().to_vec();
        Ok(Self { frame, upstream_bytes, answer: Expected { size: answer.len() - 4, head } })
    }
}

impl Expected {
    /// `head` is what has been read of an answer of `size` bytes, after the length field.
    pub(super) fn check(&self, size: usize, head: &[u8]) -> Result<()> {
        ensure!(size == self.size, "answer of {size} bytes instead of {}", self.size);
        ensure!(head[4..].starts_with(&self.head), "another answer than the endpoint's");
        Ok(())
    }
}

/// What is left for a client whose names stand behind this prefix.
fn own_topics(version: i16, prefix: &str, answer: &[u8]) -> Result<Vec<u8>> {
    let mut answer: MetadataResponse = decode_response(ApiKey::Metadata, version, &answer[4..])?;
    let mut own = Vec::new();
    for mut topic in answer.topics {
        let name = topic.name.take().context("topic without a name")?;
        if let Some(name) = name.strip_prefix(prefix) {
            own.push(topic.with_name(Some(TopicName(StrBytes::from_string(name.to_owned())))));
        }
    }
    ensure!(prefix.is_empty() || own.len() as u128 == LISTED_OWN, "{} own topics", own.len());
    answer.topics = own;
    response_frame(ApiKey::Metadata, version, 0, &answer)
}

struct Names<'a> {
    prefix: &'a str,
    topic_id: Uuid,
}

impl Names<'_> {
    fn frame(&self, request: Request, partition: usize) -> Result<Vec<u8>> {
        let (key, version) = request.api();
        let partition = i32::try_from(partition)?;
        match request {
            Request::Produce { record_bytes, .. } => {
                request_frame(key, version, 0, &self.produce(version, partition, record_bytes)?)
            }
            Request::Fetch { record_bytes, .. } => {
                request_frame(key, version, 0, &self.fetch(version, partition, i32::try_from(record_bytes)?))
            }
            Request::Heartbeat => request_frame(key, version, 0, &self.heartbeat()),
            Request::ListTopics => request_frame(key, version, 0, &MetadataRequest::default().with_topics(None)),
        }
    }

    fn physical(&self, name: &str) -> StrBytes {
        StrBytes::from_string(format!("{}{name}", self.prefix))
    }

    fn produce(&self, version: i16, partition: i32, record_bytes: usize) -> Result<ProduceRequest> {
        let partition =
            PartitionProduceData::default().with_index(partition).with_records(Some(record_batch(record_bytes)?));
        let topic = TopicProduceData::default().with_partition_data(vec![partition]);
        let topic = if version <= NAMES_UP_TO {
            topic.with_name(TopicName(self.physical(TOPIC)))
        } else {
            topic.with_topic_id(self.topic_id)
        };
        Ok(ProduceRequest::default().with_acks(-1).with_timeout_ms(30_000).with_topic_data(vec![topic]))
    }

    fn fetch(&self, version: i16, partition: i32, bytes_max: i32) -> FetchRequest {
        let partition = FetchPartition::default()
            .with_partition(partition)
            .with_current_leader_epoch(1)
            .with_fetch_offset(0)
            .with_partition_max_bytes(bytes_max);
        let topic = FetchTopic::default().with_partitions(vec![partition]);
        let topic = if version <= NAMES_UP_TO {
            topic.with_topic(TopicName(self.physical(TOPIC)))
        } else {
            topic.with_topic_id(self.topic_id)
        };
        FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(500)
            .with_min_bytes(1)
            .with_max_bytes(bytes_max)
            .with_session_epoch(-1)
            .with_topics(vec![topic])
    }

    fn heartbeat(&self) -> HeartbeatRequest {
        HeartbeatRequest::default()
            .with_group_id(GroupId(self.physical(GROUP)))
            .with_generation_id(1)
            .with_member_id(StrBytes::from_static_str("bench-1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::TENANT_PREFIX;

    const ID: Uuid = Uuid::from_u128(0x0b1f_2057_be4c_4000_8000_0000_0000_0002);

    fn exchange(request: Request, prefix: &str) -> Exchange {
        Exchange::of(request, ID, 0, prefix, &Endpoint::start(2).unwrap()).unwrap()
    }

    #[test]
    fn names_grow_on_their_way_and_ids_do_not() {
        let produce = |version| Request::Produce { version, record_bytes: 1024 };
        let fetch = |version| Request::Fetch { version, record_bytes: 1024 };
        for (request, growth) in
            [(produce(12), 4), (produce(13), 0), (fetch(12), 3), (fetch(17), 0), (Request::Heartbeat, 3)]
        {
            let exchange = exchange(request, TENANT_PREFIX);
            assert_eq!(exchange.upstream_bytes, exchange.frame.len() + growth, "{request:?}");
        }
    }

    #[test]
    fn a_name_that_keeps_its_prefix_on_the_way_back_is_noticed() {
        let request = Request::Fetch { version: 12, record_bytes: 1024 };
        let endpoint = Endpoint::start(1).unwrap();
        let renamed = Names { prefix: TENANT_PREFIX, topic_id: ID }.frame(request, 0).unwrap();
        let (kept, expected) = (endpoint.answer_to(&renamed).unwrap(), exchange(request, TENANT_PREFIX).answer);
        assert!(expected.check(kept.len() - 4, &kept[4..]).is_err());
        assert!(expected.check(expected.size, &kept[4..]).is_err());
    }

    #[test]
    fn a_tenant_sees_its_topics_only() {
        let (all, own) =
            (exchange(Request::ListTopics, "").answer, exchange(Request::ListTopics, TENANT_PREFIX).answer);
        assert!(own.size < all.size / 4, "{} of {}", own.size, all.size);
    }
}
