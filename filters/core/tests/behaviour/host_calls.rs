//! Calls to the host are what the gateway costs: their number is part of what it does.

use bifrost_core::filter::Plan;
use bifrost_core::limits::Limits;
use bifrost_core::session::Session;
use bifrost_testkit::buffer::Calls;
use bifrost_testkit::driver::Driver;
use bifrost_testkit::filters::Observer;
use bifrost_testkit::frames;
use kafka_protocol::messages::fetch_response::{FetchResponse, FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::messages::{FetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::{answer, connection, head, plain};

fn produce(bytes: usize) -> Vec<u8> {
    produce_to(1, bytes)
}

/// `bytes` of records for each of so many topics.
fn produce_to(topics: usize, bytes: usize) -> Vec<u8> {
    let partition = PartitionProduceData::default().with_records(Some(vec![7; bytes].into()));
    let topic = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_static_str("orders")))
        .with_partition_data(vec![partition]);
    frames::request(9, 1, &ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic; topics]))
}

fn fetched(version: i16, bytes: usize) -> Vec<u8> {
    fetched_from(1, version, bytes)
}

fn fetched_from(topics: usize, version: i16, bytes: usize) -> Vec<u8> {
    let partition = PartitionData::default().with_records(Some(vec![7; bytes].into()));
    let topic = FetchableTopicResponse::default().with_partitions(vec![partition]);
    frames::response::<FetchRequest>(version, 1, &FetchResponse::default().with_responses(vec![topic; topics]))
}

/// A connection on which so many Fetch requests wait for their answers.
fn fetching(mut driver: Driver<Session>, version: i16, requests: usize) -> Driver<Session> {
    driver.client(&frames::request(version, 1, &FetchRequest::default()).repeat(requests)).unwrap();
    driver
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
fn frames_that_pass_cost_one_peek_each() {
    const FRAMES: usize = 8;
    for bytes in [2_000, 20_000, 300_000] {
        let (requests, answers) = (produce(bytes).repeat(FRAMES), fetched(12, bytes).repeat(FRAMES));
        let (mut producer, mut consumer) = (plain(), fetching(plain(), 12, FRAMES));
        producer.client(&requests).unwrap();
        consumer.broker(&answers).unwrap();
        for (calls, buffer) in [(producer.client_calls, requests), (consumer.broker_calls, answers)] {
            assert!(calls.peeks <= FRAMES && calls.splices == 0, "{bytes} bytes of records: {calls:?}");
            assert!(calls.bytes_peeked <= buffer.len(), "{bytes} bytes of records: {calls:?}");
            assert!(bytes < 20_000 || calls.bytes_peeked <= FRAMES * 1_024, "{bytes} bytes of records: {calls:?}");
        }
    }
}

#[test]
fn a_callback_costs_a_peek_for_each_frame_that_begins_in_it() {
    const PIECE: usize = 64 << 10;
    let (request, answer) = (produce(100_000), fetched(12, 100_000));
    let begin =
        |frame_bytes: usize, callback: usize| (callback * PIECE).next_multiple_of(frame_bytes)..(callback + 1) * PIECE;
    let begun = |frame: &[u8], callback| begin(frame.len(), callback).step_by(frame.len()).count();
    let (mut producer, mut consumer) = (plain(), fetching(plain(), 12, 16));
    for (callback, piece) in request.repeat(16).chunks_exact(PIECE).enumerate() {
        producer.client(piece).unwrap();
        let Calls { peeks, splices, bytes_peeked, .. } = producer.client_calls;
        assert_eq!((peeks, splices), (begun(&request, callback), 0), "callback {callback}");
        assert!(bytes_peeked <= peeks * 1_024, "callback {callback}: {bytes_peeked}");
    }
    for (callback, piece) in answer.repeat(16).chunks_exact(PIECE).enumerate() {
        consumer.broker(piece).unwrap();
        let Calls { peeks, splices, bytes_peeked, .. } = consumer.broker_calls;
        assert_eq!((peeks, splices), (begun(&answer, callback), 0), "callback {callback}");
        assert!(bytes_peeked <= peeks * 1_024, "callback {callback}: {bytes_peeked}");
    }
}

#[test]
fn looks_at_many_topics_are_one_for_each_and_copy_no_byte_twice() {
    let observed = || connection(vec![Box::new(Observer(Plan::Head))], Limits::default());
    for (topics, bytes) in [(1, 1_000), (10, 1_000), (100, 1_000), (1, 16_384), (10, 16_384), (100, 16_384)] {
        let (request, answer) = (produce_to(topics, bytes), fetched_from(topics, 17, bytes));
        let (mut producer, mut consumer) = (observed(), fetching(observed(), 17, 1));
        producer.client(&request).unwrap();
        consumer.broker(&answer).unwrap();
        // What is behind the last records of an answer is a look of its own.
        for (calls, frame, most) in
            [(producer.client_calls, request, topics), (consumer.broker_calls, answer, topics + 1)]
        {
            assert!(calls.peeks <= most && calls.splices == 0, "{topics} topics of {bytes}: {calls:?}");
            let far = most * 1_024 + topics * 64;
            let copied = if bytes > 1_024 { far } else { frame.len() };
            assert!(calls.bytes_peeked <= copied, "{topics} topics of {bytes}: {calls:?} of {}", frame.len());
        }
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
