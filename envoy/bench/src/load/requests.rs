//! The requests of the load, in a client's names and in those that the endpoint receives.

use anyhow::{Context, Result, ensure};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiKey, BrokerId, FetchRequest, GroupId, HeartbeatRequest, MetadataRequest, MetadataResponse, ProduceRequest,
    TopicName,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::workload::{Batch, Request};
use crate::endpoint::{Endpoint, Topic, listed_own};
use crate::frames::HEAD_BYTES_MAX;
use crate::kafka::{
    GENERATION, GROUP, MEMBER, RESPONSE_CORRELATION_ID_AT, decode_response, record_batch, request_frame, response_frame,
};

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
    /// What has to stand in it from an offset on (length field included), as far as it is known and looked at.
    known_at: usize,
    known: Vec<u8>,
}

impl Exchange {
    /// `ids` are those of the request's topics; `connection` says which partitions; `prefix` stands before all names at the
    /// endpoint.
    pub(super) fn of(
        request: Request,
        ids: &[Uuid],
        connection: usize,
        prefix: &str,
        endpoint: &Endpoint,
    ) -> Result<Self> {
        let nodes = endpoint.nodes.len();
        let requests = |prefix| Requests { prefix, ids, connection, nodes };
        let frame = requests("").frame(request)?;
        let physical = requests(prefix).frame(request)?;
        let mut answer;
        let mut known_at = RESPONSE_CORRELATION_ID_AT + 4;
        if request.api().0 == ApiKey::Metadata {
            // Ids and lists are those of the physical topics.
            (known_at, answer) = own_topics(request, prefix, &endpoint.answer_to(&physical)?)?;
        } else {
            answer = endpoint.answer_to(&frame)?;
        }
        let size = answer.len() - 4;
        answer.truncate(4 + HEAD_BYTES_MAX);
        let known = answer.get(known_at..).unwrap_or_default().to_vec();
        let upstream_bytes = physical.len() + padding(request, prefix);
        Ok(Self { frame, upstream_bytes, answer: Expected { size, known_at, known } })
    }
}

/// A Produce frame's size is passed on before its names have come, so all names have to grow alike: the length of each takes
/// one byte more than it needs.
pub(super) fn padding(request: Request, prefix: &str) -> usize {
    match request {
        Request::Produce { version, batch } if version <= NAMES_UP_TO && !prefix.is_empty() => batch.topics,
        _ => 0,
    }
}

impl Expected {
    /// `head` is what has been read of an answer of `size` bytes, after the length field.
    pub(super) fn check(&self, size: usize, head: &[u8]) -> Result<()> {
        ensure!(size == self.size, "answer of {size} bytes instead of {}", self.size);
        let is_known = head.get(self.known_at - 4..).is_some_and(|rest| rest.starts_with(&self.known));
        ensure!(is_known || self.known.is_empty(), "another answer than the endpoint's");
        Ok(())
    }
}

/// A Metadata answer with what is left for a client whose names stand behind this prefix, and where in it the nodes end: their
/// addresses are others behind a gateway.
fn own_topics(request: Request, prefix: &str, answer: &[u8]) -> Result<(usize, Vec<u8>)> {
    let (key, version) = request.api();
    let mut answer: MetadataResponse = decode_response(key, version, &answer[4..])?;
    let mut own = Vec::new();
    for mut topic in answer.topics {
        let name = topic.name.take().context("topic without a name")?;
        if let Some(name) = name.strip_prefix(prefix) {
            own.push(topic.with_name(Some(TopicName(StrBytes::from_string(name.to_owned())))));
        }
    }
    match request {
        Request::ListTopics { of } => {
            ensure!(prefix.is_empty() || own.len() == listed_own(of), "{} own topics", own.len());
        }
        _ => ensure!(own.len() == request.topics().len(), "{} own topics", own.len()),
    }
    answer.topics = own;
    let whole = response_frame(key, version, 0, &answer)?;
    let with_nodes = response_frame(key, version, 0, &answer.clone().with_brokers(Vec::new()))?;
    // Throttle time and the count of nodes come before them.
    let nodes_at = RESPONSE_CORRELATION_ID_AT + 4 + 1 + 4 + 1;
    Ok((nodes_at + whole.len() - with_nodes.len(), whole))
}

/// Builds requests of one connection.
pub(super) struct Requests<'a> {
    /// Before all names.
    pub(super) prefix: &'a str,
    /// Of the request's topics.
    pub(super) ids: &'a [Uuid],
    pub(super) connection: usize,
    pub(super) nodes: usize,
}

impl Requests<'_> {
    pub(super) fn frame(&self, request: Request) -> Result<Vec<u8>> {
        let (key, version) = request.api();
        match request {
            Request::Produce { batch, .. } => {
                self.produce(version, &self.partitions_of(request, batch)?, batch.record_bytes)
            }
            Request::Fetch { batch, .. } => {
                let from_start = |partitions: Vec<_>| partitions.into_iter().map(|partition| (partition, 0)).collect();
                let topics = self.partitions_of(request, batch)?.into_iter();
                let topics: Vec<_> = topics.map(|(topic, partitions)| (topic, from_start(partitions))).collect();
                self.fetch(version, &topics, batch.record_bytes)
            }
            Request::Heartbeat => request_frame(key, version, &self.heartbeat()),
            Request::Metadata { .. } => request_frame(key, version, &self.metadata(request)),
            Request::ListTopics { .. } => request_frame(key, version, &MetadataRequest::default().with_topics(None)),
        }
    }

    fn physical(&self, name: &str) -> StrBytes {
        StrBytes::from_string(format!("{}{name}", self.prefix))
    }

    fn topic_name(&self, topic: Topic) -> TopicName {
        TopicName(self.physical(&topic.name()))
    }

    fn id(&self, index: usize) -> Result<Uuid> {
        self.ids.get(index).copied().context("topic without an id")
    }

    fn partitions_of(&self, request: Request, batch: Batch) -> Result<Vec<(Topic, Vec<i32>)>> {
        let topics = request.topics().into_iter();
        topics.map(|topic| Ok((topic, self.partitions(topic, batch.partitions)?))).collect()
    }

    /// Partitions that are led by the node to which this connection goes.
    fn partitions(&self, topic: Topic, count: usize) -> Result<Vec<i32>> {
        let all = topic.family.partitions();
        ensure!(count * self.nodes <= all || count == 1, "no {count} partitions of one leader in '{}'", topic.name());
        (0..count).map(|index| Ok(i32::try_from((self.connection + index * self.nodes) % all)?)).collect()
    }

    /// A batch for each of these partitions.
    pub(super) fn produce(&self, version: i16, topics: &[(Topic, Vec<i32>)], record_bytes: usize) -> Result<Vec<u8>> {
        let records = record_batch(record_bytes)?;
        let mut data = Vec::new();
        for (index, (topic, partitions)) in topics.iter().enumerate() {
            let partitions = partitions.iter().map(|partition| {
                PartitionProduceData::default().with_index(*partition).with_records(Some(records.clone()))
            });
            let topic_data = TopicProduceData::default().with_partition_data(partitions.collect());
            data.push(if version <= NAMES_UP_TO {
                topic_data.with_name(self.topic_name(*topic))
            } else {
                topic_data.with_topic_id(self.id(index)?)
            });
        }
        let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(30_000).with_topic_data(data);
        request_frame(ApiKey::Produce, version, &request)
    }

    /// What these partitions have from their offsets on, as a consumer without a session asks for it.
    pub(super) fn fetch(
        &self,
        version: i16,
        topics: &[(Topic, Vec<(i32, i64)>)],
        partition_bytes_max: usize,
    ) -> Result<Vec<u8>> {
        let bytes_max = i32::try_from(partition_bytes_max)?;
        let mut data = Vec::new();
        for (index, (topic, partitions)) in topics.iter().enumerate() {
            let partitions = partitions.iter().map(|(partition, offset)| {
                FetchPartition::default()
                    .with_partition(*partition)
                    .with_current_leader_epoch(1)
                    .with_fetch_offset(*offset)
                    .with_partition_max_bytes(bytes_max)
            });
            let topic_data = FetchTopic::default().with_partitions(partitions.collect());
            data.push(if version <= NAMES_UP_TO {
                topic_data.with_topic(self.topic_name(*topic))
            } else {
                topic_data.with_topic_id(self.id(index)?)
            });
        }
        let request = FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(500)
            .with_min_bytes(1)
            .with_max_bytes(50 * 1024 * 1024)
            .with_session_epoch(-1)
            .with_topics(data);
        request_frame(ApiKey::Fetch, version, &request)
    }

    fn heartbeat(&self) -> HeartbeatRequest {
        HeartbeatRequest::default()
            .with_group_id(GroupId(self.physical(GROUP)))
            .with_generation_id(GENERATION)
            .with_member_id(StrBytes::from_static_str(MEMBER))
    }

    fn metadata(&self, request: Request) -> MetadataRequest {
        let topics = request.topics().into_iter();
        let topics = topics.map(|topic| MetadataRequestTopic::default().with_name(Some(self.topic_name(topic))));
        MetadataRequest::default().with_topics(Some(topics.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Family;
    use crate::kafka::TENANT_PREFIX;

    fn exchange(request: Request, prefix: &str) -> Exchange {
        let endpoint = Endpoint::start(2).unwrap();
        if let Request::ListTopics { of } = request {
            endpoint.list(of);
        }
        let ids: Vec<_> = request.topics().into_iter().map(|topic| topic.behind(prefix).id()).collect();
        Exchange::of(request, &ids, 0, prefix, &endpoint).unwrap()
    }

    #[test]
    fn names_grow_on_their_way_and_ids_do_not() {
        let (produce, fetch) = (|version| Request::produce(version, 1024), |version| Request::fetch(version, 1024));
        let cases = [
            (produce(12), 4),
            (produce(13), 0),
            (produce(12).over(100, 2), 400),
            (produce(12).over(1, 1_000), 4),
            (produce(13).over(100, 1), 0),
            (fetch(12), 3),
            (fetch(12).over(100, 1), 300),
            (fetch(17).over(100, 1), 0),
            (Request::Heartbeat, 3),
            (Request::Metadata { topics: 1_000 }, 3_000),
            (Request::ListTopics { of: 10 }, 0),
        ];
        for (request, growth) in cases {
            let exchange = exchange(request, TENANT_PREFIX);
            assert_eq!(exchange.upstream_bytes, exchange.frame.len() + growth, "{request:?}");
        }
    }

    #[test]
    fn every_partition_of_a_request_has_a_batch() {
        let batch = 3 * 20 * 1024;
        for version in [12, 13] {
            let one = exchange(Request::produce(version, batch), "").frame.len();
            let frame = exchange(Request::produce(version, batch).over(10, 2), "").frame;
            assert!((20 * batch..20 * one).contains(&frame.len()), "{} bytes", frame.len());
            let answer = exchange(Request::fetch(version, batch).over(10, 2), "").answer;
            assert!(answer.size > 20 * batch && answer.size < 20 * one, "{} bytes", answer.size);
        }
    }

    #[test]
    fn partitions_are_those_of_one_leader() {
        let requests = Requests { prefix: "", ids: &[], connection: 1, nodes: 2 };
        let (bench, wide) = (Topic::new(Family::Bench, 0), Topic::new(Family::Wide, 0));
        assert_eq!(requests.partitions(bench, 2).unwrap(), [1, 3]);
        assert!(requests.partitions(bench, 3).is_err());
        let many = requests.partitions(wide, 1_000).unwrap();
        assert!(many.iter().all(|partition| partition % 2 == 1) && many.is_sorted() && many.len() == 1_000);
        assert_eq!(Requests { connection: 1_001, ..requests }.partitions(bench, 1).unwrap(), [1]);
    }

    #[test]
    fn a_name_that_keeps_its_prefix_on_the_way_back_is_noticed() {
        let endpoint = Endpoint::start(2).unwrap();
        for request in [Request::fetch(12, 1024), Request::fetch(12, 100).over(10, 2), Request::Metadata { topics: 10 }]
        {
            let requests = Requests { prefix: TENANT_PREFIX, ids: &[], connection: 0, nodes: 2 };
            let kept = endpoint.answer_to(&requests.frame(request).unwrap()).unwrap();
            let expected = exchange(request, TENANT_PREFIX).answer;
            assert!(expected.check(kept.len() - 4, &kept[4..]).is_err(), "{request:?}");
            assert!(expected.check(expected.size, &kept[4..]).is_err(), "{request:?}");
        }
    }

    #[test]
    fn topics_of_a_metadata_answer_are_checked_and_addresses_are_not() {
        let request = Request::Metadata { topics: 1 };
        let endpoint = Endpoint::start(2).unwrap();
        let Exchange { frame, answer: expected, .. } = Exchange::of(request, &[], 0, "", &endpoint).unwrap();
        let mut answer = endpoint.answer_to(&frame).unwrap();
        let port = endpoint.nodes[1].port().to_be_bytes();
        let at = answer.windows(2).position(|bytes| bytes == port).unwrap();
        answer[at] ^= 1;
        expected.check(answer.len() - 4, &answer[4..]).unwrap();
        let last = answer.len() - 1;
        answer[last] ^= 1;
        assert!(expected.check(answer.len() - 4, &answer[4..]).is_err());
    }

    #[test]
    fn a_tenant_sees_its_topics_only() {
        let list = Request::ListTopics { of: 1_000 };
        let (all, own) = (exchange(list, "").answer, exchange(list, TENANT_PREFIX).answer);
        assert!(own.size < all.size / 4, "{} of {}", own.size, all.size);
    }
}
