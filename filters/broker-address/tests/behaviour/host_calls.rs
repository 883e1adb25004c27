//! What the address filter costs the host.

use bifrost_core::protocol::ApiKey;
use bifrost_testkit::buffer::Calls;
use bifrost_testkit::frames;
use kafka_protocol::messages::fetch_response::{FetchResponse, FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::messages::{FetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::{gateway, known, request};

fn fetched(version: i16, bytes: usize) -> Vec<u8> {
    let partition = PartitionData::default().with_records(Some(vec![7; bytes].into()));
    let topic = FetchableTopicResponse::default().with_partitions(vec![partition]);
    frames::response::<FetchRequest>(version, 1, &FetchResponse::default().with_responses(vec![topic]))
}

#[test]
fn a_produce_request_costs_one_peek() {
    let partition = PartitionProduceData::default().with_records(Some(vec![7; 16_384].into()));
    let topic = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_static_str("orders")))
        .with_partition_data(vec![partition]);
    let body = ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic]);
    for version in [3, 8, 9, 12] {
        let (mut driver, _) = gateway("gw");
        driver.client(&frames::request(version, 1, &body)).unwrap();
        let Calls { peeks, splices, .. } = driver.client_calls;
        assert_eq!((peeks, splices), (1, 0), "v{version}");
    }
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
