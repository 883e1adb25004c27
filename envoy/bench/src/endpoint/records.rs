//! Produce, Fetch and ListOffsets: prepared answers, and those that come from the log of a live partition.

use std::time::{Duration, Instant};
use std::{collections::HashMap, thread};

use anyhow::{Result, ensure};
use bytes::Bytes;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    BrokerId, FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse, ProduceRequest, ProduceResponse,
    TopicName,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::log::{Found, Logs};
use super::topics::{Family, Topic};
use crate::kafka::record_batch;

/// From this version on requests and answers give a topic's id, up to it they name the topic.
const PRODUCE_BY_ID: i16 = 13;
const FETCH_BY_ID: i16 = 13;

/// Timestamps that stand for offsets in ListOffsets.
const LATEST: i64 = -1;
const EARLIEST: [i64; 2] = [-2, -4];

pub(super) struct Answer<Body> {
    pub(super) body: Body,
    /// No live partition was in the request.
    pub(super) is_prepared: bool,
}

/// Partition of a prepared topic: one batch with one record, whatever is produced.
const PREPARED: (i64, i64) = (0, 1);

pub(super) fn produce(version: i16, request: &ProduceRequest, logs: &Logs) -> Result<Answer<ProduceResponse>> {
    ensure!(request.acks != 0, "acks=0 is not answered, and nothing here asks for that");
    let mut is_prepared = true;
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for asked in &request.topic_data {
        let topic = topic(version >= PRODUCE_BY_ID, &asked.name, asked.topic_id)?;
        let mut partitions = Vec::with_capacity(asked.partition_data.len());
        for asked in &asked.partition_data {
            check_partition(topic, asked.index)?;
            let (mut base, mut start) = (PREPARED.0, PREPARED.0);
            if topic.family == Family::Live {
                is_prepared = false;
                base = logs.append(topic, asked.index, asked.records.clone().unwrap_or_default())?;
                start = logs.range(topic, asked.index)?.0;
            }
            let partition = PartitionProduceResponse::default()
                .with_index(asked.index)
                .with_base_offset(base)
                .with_log_start_offset(start);
            partitions.push(partition);
        }
        let answer = TopicProduceResponse::default().with_partition_responses(partitions);
        responses.push(if version < PRODUCE_BY_ID {
            answer.with_name(name(topic))
        } else {
            answer.with_topic_id(topic.id())
        });
    }
    Ok(Answer { body: ProduceResponse::default().with_responses(responses), is_prepared })
}

/// Prepared partitions are answered with as many record bytes as they may have, live ones with what there is; when there is
/// nothing at all, only after `max_wait_ms`.
pub(super) fn fetch(version: i16, request: &FetchRequest, logs: &Logs) -> Result<Answer<FetchResponse>> {
    let max_wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let until = Instant::now() + max_wait;
    loop {
        let mut found = Fetched::default();
        let body = found.topics(version, request, logs)?;
        let left = until.saturating_duration_since(Instant::now());
        let is_enough = found.bytes >= usize::try_from(request.min_bytes).unwrap_or(0) || found.has_error;
        if !found.is_live || is_enough || left.is_zero() {
            return Ok(Answer { body: FetchResponse::default().with_responses(body), is_prepared: !found.is_live });
        }
        // Whoever appends to one of them after it was looked at has unparked this thread, or will.
        thread::park_timeout(left);
    }
}

#[derive(Default)]
struct Fetched {
    is_live: bool,
    has_error: bool,
    bytes: usize,
    batches: HashMap<i32, Bytes>,
}

impl Fetched {
    fn topics(&mut self, version: i16, request: &FetchRequest, logs: &Logs) -> Result<Vec<FetchableTopicResponse>> {
        let mut responses = Vec::with_capacity(request.topics.len());
        for asked in &request.topics {
            let topic = topic(version >= FETCH_BY_ID, &asked.topic, asked.topic_id)?;
            let mut partitions = Vec::with_capacity(asked.partitions.len());
            for asked in &asked.partitions {
                check_partition(topic, asked.partition)?;
                let found = if topic.family == Family::Live {
                    self.is_live = true;
                    let bytes_max = usize::try_from(asked.partition_max_bytes)?;
                    logs.read(topic, asked.partition, asked.fetch_offset, bytes_max)?
                } else {
                    let (start, end) = PREPARED;
                    Found { error_code: 0, start, end, records: self.batch(asked.partition_max_bytes)? }
                };
                self.has_error |= found.error_code != 0;
                self.bytes += found.records.len();
                let partition = PartitionData::default()
                    .with_partition_index(asked.partition)
                    .with_error_code(found.error_code)
                    .with_high_watermark(found.end)
                    .with_last_stable_offset(found.end)
                    .with_log_start_offset(found.start)
                    .with_aborted_transactions(None)
                    .with_preferred_read_replica(BrokerId(-1))
                    .with_records(Some(found.records));
                partitions.push(partition);
            }
            let answer = FetchableTopicResponse::default().with_partitions(partitions);
            responses.push(if version < FETCH_BY_ID {
                answer.with_topic(name(topic))
            } else {
                answer.with_topic_id(topic.id())
            });
        }
        Ok(responses)
    }

    fn batch(&mut self, bytes: i32) -> Result<Bytes> {
        if let Some(batch) = self.batches.get(&bytes) {
            return Ok(batch.clone());
        }
        let batch = record_batch(usize::try_from(bytes)?)?;
        self.batches.insert(bytes, batch.clone());
        Ok(batch)
    }
}

pub(super) fn list_offsets(request: &ListOffsetsRequest, logs: &Logs) -> Result<ListOffsetsResponse> {
    let mut topics = Vec::new();
    for asked in &request.topics {
        let topic = Topic::by_name(&asked.name)?;
        let mut partitions = Vec::new();
        for asked in &asked.partitions {
            check_partition(topic, asked.partition_index)?;
            let (start, end) = match topic.family {
                Family::Live => logs.range(topic, asked.partition_index)?,
                _ => PREPARED,
            };
            let offset = match asked.timestamp {
                LATEST => end,
                timestamp if EARLIEST.contains(&timestamp) => start,
                // Nothing is known about times.
                _ => -1,
            };
            let partition =
                ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index).with_offset(offset);
            partitions.push(partition);
        }
        topics.push(ListOffsetsTopicResponse::default().with_name(name(topic)).with_partitions(partitions));
    }
    Ok(ListOffsetsResponse::default().with_topics(topics))
}

fn topic(is_by_id: bool, name: &TopicName, id: Uuid) -> Result<Topic> {
    if is_by_id { Topic::by_id(id) } else { Topic::by_name(name) }
}

fn check_partition(topic: Topic, index: i32) -> Result<()> {
    let exists = usize::try_from(index).is_ok_and(|index| index < topic.family.partitions());
    ensure!(exists, "no partition {index} in '{}'", topic.name());
    Ok(())
}

fn name(topic: Topic) -> TopicName {
    TopicName(StrBytes::from_string(topic.name()))
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
    use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
    use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};

    use super::*;

    const LIVE: Topic = Topic::new(Family::Live, 0);

    fn produced(topic: Topic, index: i32) -> ProduceRequest {
        let partition =
            PartitionProduceData::default().with_index(index).with_records(Some(record_batch(100).unwrap()));
        let topic = TopicProduceData::default().with_name(name(topic)).with_partition_data(vec![partition]);
        ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic])
    }

    fn fetched(topic: Topic, offset: i64, max_wait_ms: i32) -> FetchRequest {
        let partition = FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(100);
        let topic = FetchTopic::default().with_topic(name(topic)).with_partitions(vec![partition]);
        FetchRequest::default().with_max_wait_ms(max_wait_ms).with_min_bytes(1).with_topics(vec![topic])
    }

    fn only(answer: &Answer<FetchResponse>) -> &PartitionData {
        &answer.body.responses[0].partitions[0]
    }

    #[test]
    fn live_partitions_give_out_what_was_produced_and_others_what_is_prepared() {
        let logs = Logs::new();
        for base in 0..2 {
            let answer = produce(12, &produced(LIVE, 0), &logs).unwrap();
            assert_eq!(answer.body.responses[0].partition_responses[0].base_offset, base);
            assert!(!answer.is_prepared);
            let answer = produce(12, &produced(Topic::new(Family::Bench, 7), 0), &logs).unwrap();
            assert_eq!(answer.body.responses[0].partition_responses[0].base_offset, 0);
            assert!(answer.is_prepared);
        }
        let answer = fetch(12, &fetched(LIVE, 1, 0), &logs).unwrap();
        let records = only(&answer).records.as_ref().unwrap();
        assert_eq!((records.len(), &records[..8], only(&answer).high_watermark), (100, &1i64.to_be_bytes()[..], 2));
        assert!(!answer.is_prepared);
        assert!(fetch(12, &fetched(Topic::new(Family::Bench, 7), 0, 0), &logs).unwrap().is_prepared);
        assert!(produce(12, &produced(Topic::new(Family::Bench, 7), 4), &logs).is_err());
        assert!(produce(12, &produced(LIVE, -1), &logs).is_err());
        assert!(produce(12, &produced(LIVE, 0).with_acks(0), &logs).is_err());
    }

    #[test]
    fn a_fetch_at_the_end_waits_for_records_or_for_its_time() {
        let logs = Logs::new();
        let asked = Instant::now();
        let answer = fetch(12, &fetched(LIVE, 0, 30), &logs).unwrap();
        assert!(only(&answer).records.as_ref().unwrap().is_empty() && asked.elapsed() >= Duration::from_millis(30));
        // Nothing to wait for.
        let answer = fetch(12, &fetched(LIVE, 1, 20_000), &logs).unwrap();
        assert_eq!(only(&answer).error_code, 1);
        thread::scope(|scope| {
            let fetched = scope.spawn(|| fetch(12, &fetched(LIVE, 0, 20_000), &logs).unwrap());
            thread::sleep(Duration::from_millis(20));
            produce(12, &produced(LIVE, 0), &logs).unwrap();
            assert_eq!(only(&fetched.join().unwrap()).records.as_ref().unwrap().len(), 100);
        });
        assert!(asked.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn offsets_are_told_by_the_timestamps_that_stand_for_them() {
        let logs = Logs::new();
        produce(12, &produced(LIVE, 0), &logs).unwrap();
        let offset = |timestamp| {
            let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
            let topic = ListOffsetsTopic::default().with_name(name(LIVE)).with_partitions(vec![partition]);
            let answer = list_offsets(&ListOffsetsRequest::default().with_topics(vec![topic]), &logs).unwrap();
            answer.topics[0].partitions[0].offset
        };
        assert_eq!([-1, -2, -4, 1_700_000_000_000].map(offset), [1, 0, 0, -1]);
    }
}
