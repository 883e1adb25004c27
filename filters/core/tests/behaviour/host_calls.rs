//! Calls to the host are what the gateway costs: their number is part of what it does.

use bifrost_core::filter::Plan;
use bifrost_core::limits::Limits;
use bifrost_testkit::buffer::Calls;
use bifrost_testkit::filters::Observer;
use bifrost_testkit::frames;
use kafka_protocol::messages::fetch_response::{FetchResponse, FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::messages::{FetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::{answer, connection, head, plain};

fn produce(bytes: usize) -> Vec<u8> {
    let partition = PartitionProduceData::default().with_records(Some(vec![7; bytes].into()));
    let topic = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_static_str("orders")))
        .with_partition_data(vec![partition]);
    frames::request(9, 1, &ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic]))
}

fn fetched(version: i16, bytes: usize) -> Vec<u8> {
    let partition = PartitionData::default().with_records(Some(vec![7; bytes].into()));
    let topic = FetchableTopicResponse::default().with_partitions(vec![partition]);
    frames::response::<FetchRequest>(version, 1, &FetchResponse::default().with_responses(vec![topic]))
}

#[test]
fn a_produce_request_that_nobody_looks_at_is_peeked_at_once_for_its_acks() {
    for bytes in [100, 1_000, 100_000] {
        let mut driver = plain();
        driver.client(&produce(bytes)).unwrap();
        let Calls { peeks, splices, bytes_peeked, .. } = driver.client_calls;
        assert_eq!((peeks, splices), (1, 0), "{bytes} bytes of records");
        assert!(bytes_peeked <= 1_024, "{bytes_peeked}");
    }
}

#[test]
fn the_rest_of_a_produce_request_is_not_looked_at() {
    let frame = produce(1 << 20);
    let mut driver = plain();
    driver.client(&frame[..64 << 10]).unwrap();
    for piece in frame[64 << 10..].chunks(64 << 10) {
        driver.client(piece).unwrap();
        assert_eq!(driver.client_calls, Calls::default());
    }
}

#[test]
fn an_answer_that_passes_is_peeked_at_once_in_all() {
    let frame = fetched(12, 1 << 20);
    let mut driver = plain();
    driver.client(&frames::request(12, 1, &FetchRequest::default())).unwrap();
    let mut peeks = 0;
    for piece in frame.chunks(64 << 10) {
        driver.broker(piece).unwrap();
        peeks += driver.broker_calls.peeks;
        assert_eq!(driver.broker_calls.splices, 0);
    }
    assert_eq!(peeks, 1);
}

#[test]
fn record_bytes_are_not_looked_at_as_they_stream_past() {
    let frame = fetched(17, 1 << 20);
    let pieces: Vec<&[u8]> = frame.chunks(64 << 10).collect();
    let mut driver = connection(vec![Box::new(Observer(Plan::Head))], Limits::default());
    driver.client(&frames::request(17, 1, &FetchRequest::default())).unwrap();
    for (at, piece) in pieces.iter().enumerate() {
        driver.broker(piece).unwrap();
        let Calls { peeks, splices, bytes_peeked, .. } = driver.broker_calls;
        let holds_fields = at == 0 || at == pieces.len() - 1;
        assert_eq!((peeks, splices), (usize::from(holds_fields), 0), "callback {at}");
        assert!(bytes_peeked <= 1_024, "callback {at}: {bytes_peeked}");
    }
}

#[test]
fn many_small_frames_share_a_peek() {
    let requests: Vec<u8> = (0..64).flat_map(|id| head(12, 0, id)).collect();
    let answers: Vec<u8> = (0..64).flat_map(|id| answer(id, &[0; 10])).collect();
    let mut driver = plain();
    driver.client(&requests).unwrap();
    assert!(driver.client_calls.peeks <= 2, "{:?} for {} bytes", driver.client_calls, requests.len());
    driver.broker(&answers).unwrap();
    assert!(driver.broker_calls.peeks <= 4, "{:?} for {} bytes", driver.broker_calls, answers.len());
    assert_eq!(driver.client_calls.splices + driver.broker_calls.splices, 0);
}

#[test]
fn looks_reach_further_while_frames_are_small() {
    let request = produce(1_000);
    let mut driver = plain();
    driver.client(&request.repeat(64)).unwrap();
    assert!(driver.client_calls.peeks <= 8, "{:?}", driver.client_calls);
}

#[test]
fn a_frame_that_is_collected_costs_one_splice_a_callback() {
    let request = {
        let mut frame = head(12, 0, 1);
        frame[..4].copy_from_slice(&10_019i32.to_be_bytes());
        frame.extend(10_000i16.to_be_bytes());
        frame.extend([b'g'; 10_000]);
        frame.extend([0, 0, 0, 1, 0, 1, b'm']);
        frame
    };
    let mut driver = connection(vec![Box::new(Observer(Plan::Whole))], Limits::default());
    for piece in request.chunks(1_000) {
        driver.client(piece).unwrap();
        let Calls { peeks, splices, bytes_peeked, .. } = driver.client_calls;
        assert!(peeks <= 2 && splices <= 1 && bytes_peeked <= 1_100, "{:?}", driver.client_calls);
    }
    assert_eq!(driver.to_broker, request);
}
