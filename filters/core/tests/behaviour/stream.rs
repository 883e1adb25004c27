//! Frames that are looked at while they stream past.

use bifrost_core::filter::{Direction, Plan};
use bifrost_core::limits::Limits;
use bifrost_core::protocol::{ApiKey, Field};
use bifrost_testkit::choices::Choices;
use bifrost_testkit::driver::Driver;
use bifrost_testkit::filters::{Deaf, Observer};
use bifrost_testkit::frames;
use bifrost_testkit::generate::{Content, generate, generate_with};
use kafka_protocol::messages::fetch_response::{FetchResponse, FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{FetchRequest, ListConfigResourcesRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::{connection, known};

/// A connection on which one Fetch request waits for its answer.
fn fetching(version: i16) -> Driver<bifrost_core::session::Session> {
    let mut driver = connection(vec![Box::new(Observer(Plan::Head))], Limits::default());
    let request = frames::request(version, 1, &FetchRequest::default());
    driver.client(&request).expect("a request");
    driver
}

fn fetched(version: i16, partition: PartitionData) -> Vec<u8> {
    let topic = TopicName(StrBytes::from_static_str("orders"));
    let topic = FetchableTopicResponse::default().with_topic(topic).with_partitions(vec![partition]);
    let response = FetchResponse::default().with_responses(vec![topic]);
    frames::response::<FetchRequest>(version, 1, &response)
}

#[test]
fn records_that_end_a_frame_arrive_in_any_pieces() {
    let records = vec![7; 300].into();
    let answer = fetched(4, PartitionData::default().with_records(Some(records)));
    for size in [1, 5, 60, 100, 299] {
        let mut driver = fetching(4);
        driver.broker_in(&[size], &answer).unwrap_or_else(|fault| panic!("pieces of {size}: {fault}"));
        assert_eq!(driver.to_client, answer, "pieces of {size}");
    }
}

#[test]
fn a_filter_that_wants_nothing_hears_nothing_while_another_listens() {
    for plan in [Plan::Head, Plan::Whole] {
        let mut driver = connection(vec![Box::new(Deaf), Box::new(Observer(plan)), Box::new(Deaf)], Limits::default());
        let request = frames::request(4, 1, &FetchRequest::default());
        driver.client(&request).expect("a request");
        let answer = fetched(4, PartitionData::default().with_records(Some(vec![7; 300].into())));
        driver.broker(&answer).expect("its answer");
        assert_eq!(driver.to_client, answer);
    }
}

#[test]
fn records_cut_off_by_the_buffer_leave_the_next_frame_in_place() {
    let answer = fetched(4, PartitionData::default().with_records(Some(vec![7; 300].into())));
    let mut driver = fetching(4);
    driver.broker(&answer[..200]).unwrap();
    driver.broker(&answer[200..]).unwrap();
    let next = frames::request(4, 1, &FetchRequest::default());
    driver.client(&next).unwrap();
    driver.broker(&answer).unwrap();
    assert_eq!(driver.to_client, [answer.clone(), answer].concat());
}

#[test]
fn an_unknown_tag_arrives_in_any_pieces() {
    let mut partition = PartitionData::default().with_records(Some(vec![7; 30].into()));
    partition.unknown_tagged_fields.insert(90, vec![8; 300].into());
    let answer = fetched(17, partition);
    for size in 1..answer.len() {
        let mut driver = fetching(17);
        driver.broker_in(&[size], &answer).unwrap_or_else(|fault| panic!("pieces of {size}: {fault}"));
        assert_eq!(driver.to_client, answer, "pieces of {size}");
    }
}

#[test]
fn an_unknown_tag_that_is_all_a_body_holds_arrives_in_any_pieces() {
    // Found by fuzzing. ListConfigResources v0 has no field.
    let mut request = ListConfigResourcesRequest::default();
    request.unknown_tagged_fields.insert(5_000, vec![8; 200].into());
    let request = frames::request(0, 1, &request);
    let requests = [request.clone(), request.clone()].concat();
    for size in 1..requests.len() {
        let mut driver = connection(vec![Box::new(Observer(Plan::Head))], Limits::default());
        driver.client_in(&[size], &requests).unwrap_or_else(|fault| panic!("pieces of {size}: {fault}"));
        assert_eq!(driver.to_broker, requests, "pieces of {size}");
    }
}

/// Records of the same size everywhere, and nothing else out of the ordinary.
struct Records(usize);

impl Content for Records {
    fn content(&mut self, field: &'static Field, _: &mut Choices<'_>) -> Option<Vec<u8>> {
        (field.name == "Records").then(|| vec![5; self.0])
    }
}

#[test]
fn every_version_with_records_streams_in_any_pieces() {
    let cases = [
        (ApiKey::PRODUCE, Direction::Request),
        (ApiKey::FETCH, Direction::Response),
        (ApiKey::SHARE_FETCH, Direction::Response),
    ];
    for (key, direction) in cases {
        for version in known(key).versions.min..=known(key).versions.max {
            for (seed, records) in [(1, 0), (2, 1), (3, 90), (4, 300)] {
                let mut choices = Choices::from_seed(seed);
                let frame = generate_with(known(key), version, direction, 1, &mut choices, &mut Records(records)).bytes;
                for sizes in [&[1][..], &[7, 64, 3], &[120], &[]] {
                    let mut driver = connection(vec![Box::new(Observer(Plan::Head))], Limits::default());
                    let passed = if direction == Direction::Request {
                        driver.client_in(sizes, &frame).map(|()| driver.to_broker)
                    } else {
                        let request = generate(known(key), version, Direction::Request, 1, &mut choices);
                        driver.client(&request.bytes).expect("a request");
                        driver.broker_in(sizes, &frame).map(|()| driver.to_client)
                    };
                    let passed = passed.unwrap_or_else(|fault| panic!("{key} v{version} {records} {sizes:?}: {fault}"));
                    assert!(passed == frame, "{key} v{version} {records} bytes in pieces of {sizes:?}");
                }
            }
        }
    }
}
