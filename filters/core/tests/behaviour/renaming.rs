//! Names that change their length next to record bytes that stream past.

use bifrost_core::fault::Fault;
use bifrost_core::filter::FilterConfig;
use bifrost_core::limits::Limits;
use bifrost_core::session::Session;
use bifrost_testkit::driver::Driver;
use bifrost_testkit::filters::Prefix;
use bifrost_testkit::frames::{self, Body};
use kafka_protocol::messages::fetch_response::{FetchResponse, FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::messages::{FetchRequest, RequestKind, TopicName, TransactionalId};
use kafka_protocol::protocol::StrBytes;

use crate::connection;

const PREFIX: &str = "a-tenant-with-a-long-name.";

fn prefixing(kept: bool) -> Driver<Session> {
    let filters: Vec<Box<dyn FilterConfig>> = vec![Box::new(Prefix { prefix: PREFIX, kept })];
    connection(filters, Limits::default())
}

fn name(text: &str) -> TopicName {
    TopicName(StrBytes::from_string(text.to_owned()))
}

/// Names of several lengths around the one at which a varint needs a second byte.
fn names(prefix: &str, count: usize) -> Vec<TopicName> {
    let lengths = [1, 100, 101, 126, 127, 128, 200];
    (0..count).map(|n| name(&format!("{prefix}{}", "x".repeat(lengths[n % lengths.len()])))).collect()
}

fn produce(version: i16, acks: i16, names: Vec<TopicName>, record_bytes: usize) -> ProduceRequest {
    let partition = |index| {
        let records = vec![index as u8; record_bytes].into();
        PartitionProduceData::default().with_index(index).with_records(Some(records))
    };
    let topic = |name| TopicProduceData::default().with_name(name).with_partition_data((0..2).map(partition).collect());
    let id = (version >= 3).then(|| TransactionalId(StrBytes::from_static_str("pay")));
    let request = ProduceRequest::default().with_acks(acks).with_transactional_id(id);
    request.with_topic_data(names.into_iter().map(topic).collect())
}

/// Reads the one request in `frame`; padded lengths are legal.
fn read(version: i16, frame: &[u8]) -> ProduceRequest {
    let key = kafka_protocol::messages::ApiKey::Produce;
    match frames::read_request_kind(key, version, frame) {
        Ok(Body::Request(body)) => match *body {
            RequestKind::Produce(body) => body,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_produce_request_of_any_number_of_topics_is_renamed_in_any_pieces() {
    for version in [3, 8, 9, 12] {
        for count in [0, 1, 3, 7] {
            let frame = frames::request(version, 1, &produce(version, -1, names("", count), 300));
            for size in [1, 7, 64, 301, frame.len()] {
                let mut driver = prefixing(true);
                let next = frames::request(version, 2, &produce(version, -1, names("", 1), 5));
                driver.client_in(&[size], &[frame.clone(), next].concat()).unwrap();

                let sent = frames::split(&driver.to_broker);
                let expected = produce(version, -1, names(PREFIX, count), 300);
                assert_eq!(read(version, sent[0]), expected, "v{version}, {count} topics, pieces of {size}");
                assert_eq!(read(version, sent[1]), produce(version, -1, names(PREFIX, 1), 5));
            }
        }
    }
}

#[test]
fn a_renamed_produce_request_without_acks_waits_for_no_answer() {
    let mut driver = prefixing(true);
    driver.client_in(&[5], &frames::request(9, 1, &produce(9, 0, names("", 2), 100))).unwrap();
    assert_eq!(driver.broker(&crate::answer(1, &[0; 8])), Err(Fault::Unsolicited));
}

fn fetched(names: Vec<TopicName>, record_bytes: usize) -> FetchResponse {
    let partition = |index| {
        let records = vec![index as u8; record_bytes].into();
        PartitionData::default().with_partition_index(index).with_records(Some(records))
    };
    let topic =
        |name| FetchableTopicResponse::default().with_topic(name).with_partitions((0..3).map(partition).collect());
    FetchResponse::default().with_responses(names.into_iter().map(topic).collect())
}

#[test]
fn a_fetch_answer_of_any_number_of_topics_is_renamed_in_any_pieces() {
    for version in [4, 11, 12] {
        for count in [0, 1, 3, 7] {
            let answer = frames::response::<FetchRequest>(version, 1, &fetched(names(PREFIX, count), 300));
            for size in [1, 7, 64, 301, answer.len()] {
                let mut driver = prefixing(true);
                driver.client(&frames::request(version, 1, &FetchRequest::default())).unwrap();
                driver.broker_in(&[size], &answer).unwrap();

                let (_, read) = frames::read_response::<FetchRequest>(version, &driver.to_client);
                assert_eq!(read, fetched(names("", count), 300), "v{version}, {count} topics, pieces of {size}");
            }
        }
    }
}

#[test]
fn record_bytes_are_not_copied_when_one_topic_is_renamed() {
    let mut driver = prefixing(true);
    driver.client(&frames::request(9, 1, &produce(9, -1, names("", 1), 400_000))).unwrap();
    let calls = &driver.client_calls;
    assert!(calls.bytes_peeked < 10_000, "{calls:?}");
}

#[test]
fn a_broken_promise_closes_before_the_frame_ends() {
    for (version, topics) in [(3, 1), (3, 2), (9, 1), (9, 2)] {
        let mut driver = prefixing(false);
        let sent = driver.client(&frames::request(version, 1, &produce(version, -1, names("", topics), 100)));
        assert!(matches!(sent, Err(Fault::Internal(_))), "v{version}, {topics} topics: {sent:?}");
    }
}
