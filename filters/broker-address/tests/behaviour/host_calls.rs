//! What the address filter costs the host.

use bifrost_core::protocol::ApiKey;
use bifrost_testkit::buffer::Calls;
use bifrost_testkit::frames;
use kafka_protocol::messages::fetch_response::{FetchResponse, FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::metadata_response::{MetadataResponse, MetadataResponseBroker, MetadataResponseTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{FetchRequest, MetadataRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::{gateway, known, request};

fn fetched(version: i16, bytes: usize) -> Vec<u8> {
    fetched_from(1, version, bytes)
}

/// `bytes` of records of each of so many topics.
fn fetched_from(topics: usize, version: i16, bytes: usize) -> Vec<u8> {
    let partition = PartitionData::default().with_records(Some(vec![7; bytes].into()));
    let topic = FetchableTopicResponse::default().with_partitions(vec![partition]);
    frames::response::<FetchRequest>(version, 1, &FetchResponse::default().with_responses(vec![topic; topics]))
}

fn produce(topics: usize, version: i16, bytes: usize) -> Vec<u8> {
    let partition = PartitionProduceData::default().with_records(Some(vec![7; bytes].into()));
    let topic = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_static_str("orders")))
        .with_partition_data(vec![partition]);
    let body = ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic; topics]);
    frames::request(version, 1, &body)
}

#[test]
fn a_produce_request_costs_one_peek() {
    for version in [3, 8, 9, 12, 13] {
        for (topics, bytes) in [(1, 10), (1, 16_384), (1, 1 << 20), (10, 1_024), (100, 1_024)] {
            let (mut driver, _) = gateway("gw");
            driver.client(&produce(topics, version, bytes)).unwrap();
            let Calls { peeks, splices, bytes_peeked, bytes_written } = driver.client_calls;
            let name = format!("v{version}, {topics} topics of {bytes}");
            assert_eq!((peeks, splices, bytes_written), (1, 0, 0), "{name}");
            assert!(bytes_peeked <= 1_024, "{name}: {bytes_peeked}");
        }
    }
}

#[test]
fn produce_requests_behind_each_other_cost_one_peek_each() {
    let request = produce(1, 12, 256 << 10);
    let (mut driver, _) = gateway("gw");
    driver.client(&request.repeat(4)).unwrap();
    let Calls { peeks, splices, bytes_peeked, bytes_written } = driver.client_calls;
    assert_eq!((peeks, splices, bytes_written), (4, 0, 0));
    assert!(bytes_peeked <= 4 * 1_024, "{bytes_peeked}");
}

#[test]
fn a_produce_answer_without_addresses_is_copied_once_and_not_written() {
    let topic = TopicProduceResponse::default().with_partition_responses(vec![PartitionProduceResponse::default()]);
    let answer = frames::response::<ProduceRequest>(12, 1, &ProduceResponse::default().with_responses(vec![topic]));
    let (mut driver, _) = gateway("gw");
    driver.client(&produce(1, 12, 10)).unwrap();
    driver.broker(&answer).unwrap();
    let copied = Calls { peeks: 1, bytes_peeked: answer.len(), ..Calls::default() };
    assert_eq!(driver.broker_calls, copied);
}

#[test]
fn a_fetch_answer_without_addresses_costs_one_peek_in_all() {
    let (mut driver, _) = gateway("gw");
    driver.client(&request(known(ApiKey::FETCH), 12)).unwrap();
    let mut total = (0, 0);
    for piece in fetched(12, 1 << 20).chunks(64 << 10) {
        driver.broker(piece).unwrap();
        total = (total.0 + driver.broker_calls.peeks, total.1 + driver.broker_calls.splices);
    }
    assert_eq!(total, (1, 0));
}

#[test]
fn a_fetch_answer_that_may_hold_addresses_is_peeked_at_around_its_records_only() {
    let frame = fetched(17, 1 << 20);
    let pieces: Vec<&[u8]> = frame.chunks(64 << 10).collect();
    let (mut driver, _) = gateway("gw");
    driver.client(&request(known(ApiKey::FETCH), 17)).unwrap();
    for (at, piece) in pieces.iter().enumerate() {
        driver.broker(piece).unwrap();
        let Calls { peeks, splices, bytes_peeked, .. } = driver.broker_calls;
        let most = usize::from(at == 0 || at == pieces.len() - 1);
        assert!(peeks <= most && splices == 0 && bytes_peeked <= 1_024, "callback {at}: {:?}", driver.broker_calls);
    }
}

#[test]
fn a_fetch_answer_that_may_hold_addresses_costs_a_look_for_each_topic_and_one_behind_them() {
    for (topics, bytes) in [(1, 10), (1, 1_024), (1, 16_384), (10, 1_024), (10, 16_384), (100, 1_024), (100, 16_384)] {
        let answer = fetched_from(topics, 17, bytes);
        let (mut driver, _) = gateway("gw");
        driver.client(&request(known(ApiKey::FETCH), 17)).unwrap();
        driver.broker(&answer).unwrap();
        let Calls { peeks, splices, bytes_peeked, bytes_written } = driver.broker_calls;
        let name = format!("{topics} topics of {bytes}");
        assert!(peeks <= topics + 1, "{name}: {peeks}");
        assert_eq!((splices, bytes_written), (0, 0), "{name}");
        let copied = if bytes > 1_024 { topics * 1_100 } else { answer.len() };
        assert!(bytes_peeked <= copied, "{name}: {bytes_peeked} of {}", answer.len());
    }
}

#[test]
fn fetch_answers_behind_each_other_cost_two_looks_each() {
    let answer = fetched(17, 256 << 10);
    let (mut driver, _) = gateway("gw");
    driver.client(&request(known(ApiKey::FETCH), 17).repeat(4)).unwrap();
    driver.broker(&answer.repeat(4)).unwrap();
    let Calls { peeks, splices, bytes_peeked, bytes_written } = driver.broker_calls;
    assert!(peeks <= 2 * 4, "{peeks}");
    assert_eq!((splices, bytes_written), (0, 0));
    // The end of an answer and the beginning of the next are looked at together.
    assert!(bytes_peeked <= 4 * 1_100 + 1_024, "{bytes_peeked}");
}

#[test]
fn a_metadata_answer_is_copied_out_once_and_in_once() {
    for topics in [1, 10, 1_000] {
        let broker = MetadataResponseBroker::default().with_node_id(1.into()).with_port(9_001);
        let broker = broker.with_host(StrBytes::from_static_str("real-1.internal"));
        let name = TopicName(StrBytes::from_static_str("orders"));
        let topic = MetadataResponseTopic::default().with_name(Some(name));
        let body = MetadataResponse::default().with_brokers(vec![broker]).with_topics(vec![topic; topics]);
        let answer = frames::response::<MetadataRequest>(12, 1, &body);
        let (mut driver, _) = gateway("gw");
        driver.client(&frames::request(12, 1, &MetadataRequest::default())).unwrap();
        driver.broker(&answer).unwrap();
        let Calls { peeks, splices, bytes_peeked, bytes_written } = driver.broker_calls;
        assert!(peeks <= 2 && splices == 1, "{topics} topics: {:?}", driver.broker_calls);
        assert_eq!((bytes_peeked, bytes_written), (answer.len(), driver.to_client.len()), "{topics} topics");
    }
}
