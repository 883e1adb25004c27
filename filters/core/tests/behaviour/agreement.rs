//! The tables against `kafka-protocol`, which others generate from Kafka's definitions.
//!
//! What the tables write, it reads to the last byte; what it writes from that, the walker reads with the same events.

use std::collections::BTreeMap;

use bifrost_core::filter::Direction;
use bifrost_core::protocol::{APIS, Api, ApiKey, Entity};
use bifrost_testkit::choices::Choices;
use bifrost_testkit::generate::generate;
use bifrost_testkit::notes::{Note, notes};
use bifrost_testkit::{every_message, frames};
use kafka_protocol::messages::fetch_response::{FetchResponse, NodeEndpoint};
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::metadata_response::{MetadataResponseBroker, MetadataResponseTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::messages::{
    BrokerId, FetchRequest, FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest, MetadataResponse,
    TopicName,
};
use kafka_protocol::protocol::StrBytes;

/// What the tables know and `kafka-protocol` 0.18 does not, so that nothing is left out in silence.
const UNCHECKED: &str = include_str!("unchecked-versions.txt");

fn unchecked() -> String {
    let mut versions: BTreeMap<i16, Vec<i16>> = BTreeMap::new();
    for api in APIS {
        for version in api.versions.min..=api.versions.max {
            if frames::supported(api.key, version).is_none() {
                versions.entry(api.key.0).or_default().push(version);
            }
        }
    }
    let line = |(key, versions): (i16, Vec<i16>)| {
        let name = APIS.iter().find(|api| api.key.0 == key).expect("from there").name;
        let versions: Vec<String> = versions.iter().map(i16::to_string).collect();
        format!("{name} {}\n", versions.join(" "))
    };
    versions.into_iter().map(line).collect()
}

#[test]
fn every_version_that_cannot_be_checked_is_listed() {
    assert_eq!(unchecked(), UNCHECKED);
}

/// Without the ClientId, which the other side does not keep.
fn body(notes: Vec<Note>) -> Vec<Note> {
    notes.into_iter().filter(|note| !matches!(note, Note::Value("ClientId", ..))).collect()
}

/// Requests that `kafka-protocol` 0.18 claims to know and cannot read.
const UNREADABLE: [(ApiKey, i16); 3] =
    [(ApiKey::OFFSET_COMMIT, 10), (ApiKey::OFFSET_FETCH, 10), (ApiKey::INIT_PRODUCER_ID, 6)];

fn check(api: &'static Api, version: i16, direction: Direction, seed: u64) -> Result<(), String> {
    let Some(key) = frames::supported(api.key, version) else { return Ok(()) };
    let frame = generate(api, version, direction, 9, &mut Choices::from_seed(seed));
    let read = match direction {
        Direction::Request => frames::read_request_kind(key, version, &frame.bytes),
        Direction::Response => frames::read_response_kind(key, version, &frame.bytes),
    };
    if direction == Direction::Request && UNREADABLE.contains(&(api.key, version)) {
        return if read.is_err() { Ok(()) } else { Err("can be read now: check it".to_owned()) };
    }
    let message = read.map_err(|error| format!("is not read: {error}"))?;
    let written = frames::write_kind(key, version, 9, &message).map_err(|error| format!("is not written: {error}"))?;
    let met = notes(api, version, direction, &written).map_err(|fault| format!("is not walked: {fault}"))?;
    let (met, expected) = (plain(body(met)), plain(body(frame.notes)));
    if met == expected { Ok(()) } else { Err(format!("differs: {met:?} instead of {expected:?}")) }
}

/// Default values of tagged fields may be left out when a message is written, so arrays and values that may be
/// such defaults do not count.
fn plain(notes: Vec<Note>) -> Vec<Note> {
    let entity = |note: &Note| match note {
        Note::Value(_, entity, Some(bytes)) => *entity != Entity::None && bytes.iter().any(|byte| *byte != 0),
        Note::Records(..) | Note::End => true,
        _ => false,
    };
    notes.into_iter().filter(entity).collect()
}

#[test]
fn both_agree_on_every_version_that_both_know() {
    let mut failures = Vec::new();
    for (api, version, direction) in every_message() {
        let checked = (0..4).try_for_each(|seed| check(api, version, direction, seed * 77 + version as u64));
        failures.extend(checked.err().map(|error| format!("{} v{version} {direction:?} {error:.300}", api.name)));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Texts and numbers of one entity, as the walker reports them.
fn met(api: &'static Api, version: i16, direction: Direction, frame: &[u8], wanted: Entity) -> Vec<Vec<u8>> {
    let notes = notes(api, version, direction, frame).expect("a well-formed frame");
    let value = |note: &Note| match note {
        Note::Value(_, entity, Some(bytes)) if *entity == wanted => Some(bytes.clone()),
        _ => None,
    };
    notes.iter().filter_map(value).collect()
}

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

#[test]
fn metadata_reports_brokers_and_topics_as_they_were_encoded() {
    let api = crate::known(ApiKey::METADATA);
    let broker = |id, host, port| {
        MetadataResponseBroker::default().with_node_id(BrokerId(id)).with_host(text(host)).with_port(port)
    };
    let topic = |name| MetadataResponseTopic::default().with_name(Some(TopicName(text(name))));
    let response = MetadataResponse::default()
        .with_brokers(vec![broker(5, "five", 9095), broker(6, "six.internal", 9096)])
        .with_controller_id(BrokerId(6))
        .with_topics(vec![topic("orders"), topic("payments")]);
    for version in 0..=13 {
        let frame = frames::response::<MetadataRequest>(version, 1, &response);
        let met = |entity| met(api, version, Direction::Response, &frame, entity);
        assert_eq!(met(Entity::BrokerHost), [b"five".to_vec(), b"six.internal".to_vec()], "v{version}");
        assert_eq!(met(Entity::BrokerPort), [9095i32.to_be_bytes(), 9096i32.to_be_bytes()], "v{version}");
        assert_eq!(met(Entity::BrokerId)[..2], [5i32.to_be_bytes(), 6i32.to_be_bytes()], "v{version}");
        assert_eq!(met(Entity::TopicName), [b"orders".to_vec(), b"payments".to_vec()], "v{version}");
    }
}

#[test]
fn find_coordinator_reports_the_coordinator_as_it_was_encoded() {
    let api = crate::known(ApiKey::FIND_COORDINATOR);
    for version in 0..=6 {
        let response = if version < 4 {
            FindCoordinatorResponse::default().with_node_id(BrokerId(3)).with_host(text("three")).with_port(93)
        } else {
            let one = Coordinator::default()
                .with_key(text("g"))
                .with_node_id(BrokerId(3))
                .with_host(text("three"))
                .with_port(93);
            FindCoordinatorResponse::default().with_coordinators(vec![one])
        };
        let frame = frames::response::<FindCoordinatorRequest>(version, 1, &response);
        let met = |entity| met(api, version, Direction::Response, &frame, entity);
        assert_eq!(met(Entity::BrokerHost), [b"three".to_vec()], "v{version}");
        assert_eq!(met(Entity::BrokerPort), [93i32.to_be_bytes()], "v{version}");
        assert_eq!(met(Entity::BrokerId), [3i32.to_be_bytes()], "v{version}");
    }
}

#[test]
fn fetch_reports_node_endpoints_as_they_were_encoded() {
    let api = crate::known(ApiKey::FETCH);
    let node = NodeEndpoint::default().with_node_id(BrokerId(4)).with_host(text("four")).with_port(94);
    let response = FetchResponse::default().with_node_endpoints(vec![node]);
    for version in 16..=18 {
        let frame = frames::response::<FetchRequest>(version, 1, &response);
        let met = |entity| met(api, version, Direction::Response, &frame, entity);
        assert_eq!(met(Entity::BrokerHost), [b"four".to_vec()], "v{version}");
        assert_eq!(met(Entity::BrokerPort), [94i32.to_be_bytes()], "v{version}");
        assert_eq!(met(Entity::BrokerId), [4i32.to_be_bytes()], "v{version}");
    }
}

#[test]
fn produce_reports_topics_and_records_as_they_were_encoded() {
    let api = crate::known(ApiKey::PRODUCE);
    let partition = PartitionProduceData::default().with_records(Some(vec![6; 70].into()));
    for version in 3..=12 {
        let topic = TopicProduceData::default()
            .with_name(TopicName(text("orders")))
            .with_partition_data(vec![partition.clone()]);
        let frame = frames::request(version, 1, &ProduceRequest::default().with_topic_data(vec![topic]));
        let met = notes(api, version, Direction::Request, &frame).expect("a well-formed frame");
        assert!(met.contains(&Note::Value("Name", Entity::TopicName, Some(b"orders".to_vec()))), "v{version}");
        assert!(met.contains(&Note::Records("Records", vec![6; 70])), "v{version}");
    }
}
