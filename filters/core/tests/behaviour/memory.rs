//! A frame of any size passes in constant memory.

use bifrost_core::filter::{FilterConfig, Plan};
use bifrost_core::limits::Limits;
use bifrost_core::session::Session;
use bifrost_testkit::driver::Driver;
use bifrost_testkit::filters::Observer;
use bifrost_testkit::frames;
use kafka_protocol::messages::fetch_response::{FetchResponse, FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::messages::{FetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::connection;

const KEPT_MAX: usize = 64 << 10;

fn through(plan: Plan) -> Driver<Session> {
    let filters: Vec<Box<dyn FilterConfig>> = vec![Box::new(Observer(plan))];
    connection(filters, Limits::default())
}

/// A Produce request with `bytes` of records in two partitions of two topics each.
fn produce(version: i16, bytes: usize) -> Vec<u8> {
    let partition = PartitionProduceData::default().with_records(Some(vec![7; bytes / 4].into()));
    let topic = |name| {
        TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_static_str(name)))
            .with_partition_data(vec![partition.clone(), partition.clone()])
    };
    frames::request(version, 1, &ProduceRequest::default().with_acks(1).with_topic_data(vec![topic("a"), topic("b")]))
}

fn fetched(version: i16, bytes: usize) -> Vec<u8> {
    let partition = PartitionData::default().with_records(Some(vec![7; bytes / 2].into()));
    let topic = FetchableTopicResponse::default().with_partitions(vec![partition.clone(), partition]);
    frames::response::<FetchRequest>(version, 1, &FetchResponse::default().with_responses(vec![topic]))
}

#[test]
fn a_large_produce_request_streams_through() {
    for (plan, version) in [(Plan::Pass, 8), (Plan::Head, 8), (Plan::Pass, 9), (Plan::Head, 12)] {
        let frame = produce(version, 20 << 20);
        let mut driver = through(plan);
        for piece in frame.chunks(300_007) {
            driver.client(piece).unwrap();
            driver.to_broker.clear();
        }
        assert!(driver.held_bytes_max < KEPT_MAX, "{plan:?} v{version}: {}", driver.held_bytes_max);
        assert!(driver.driven.held_bytes() == 0);
    }
}

#[test]
fn a_large_fetch_answer_streams_through() {
    for (plan, version, piece) in
        [(Plan::Pass, 12, 64 << 10), (Plan::Head, 12, 1 << 20), (Plan::Head, 17, 64 << 10), (Plan::Head, 4, 300_007)]
    {
        let frame = fetched(version, 50 << 20);
        let mut driver = through(plan);
        driver.client(&frames::request(version, 1, &FetchRequest::default())).unwrap();
        let mut passed = 0;
        for piece in frame.chunks(piece) {
            driver.broker(piece).unwrap();
            passed += driver.to_client.len();
            driver.to_client.clear();
        }
        assert_eq!(passed, frame.len(), "{plan:?} v{version}");
        assert!(driver.held_bytes_max < KEPT_MAX, "{plan:?} v{version}: {}", driver.held_bytes_max);
    }
}
