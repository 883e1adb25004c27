//! Frames that a real broker and real clients sent.

use bifrost_core::fault::Fault;
use bifrost_core::filter::{Direction, Plan};
use bifrost_core::limits::Limits;
use bifrost_core::protocol::ApiKey;
use bifrost_testkit::filters::Observer;
use bifrost_testkit::golden::{Golden, load};
use bifrost_testkit::notes::{Note, advance, notes, notes_byte_by_byte, walker};

use crate::connection;

#[test]
fn every_frame_is_walked_to_its_end_all_at_once_and_byte_by_byte() {
    let all = load();
    assert!(all.len() > 100, "{} frames", all.len());
    for frame in all {
        let Golden { api, version, direction, ref bytes, .. } = frame;
        let met = notes(api, version, direction, bytes).unwrap_or_else(|fault| panic!("{}: {fault}", frame.name()));
        assert_eq!(met.last(), Some(&Note::End), "{}", frame.name());
        assert!(notes_byte_by_byte(api, version, direction, bytes) == Ok(met), "{}", frame.name());
    }
}

/// Bytes up to the end of the last field: librdkafka sends more.
fn fields_end(frame: &Golden) -> usize {
    let mut walker = walker(frame.api, frame.version, frame.direction, frame.bytes.len());
    advance(&mut walker, &frame.bytes, frame.bytes.len(), &mut Vec::new()).expect("well-formed");
    walker.at()
}

#[test]
fn every_truncation_is_a_fault() {
    for frame in load() {
        let head = if frame.direction == Direction::Request { 12 } else { 8 };
        let end = fields_end(&frame);
        let step = (end / 40).max(1);
        for cut in (head..end).step_by(step).chain([end - 1]) {
            let met = notes(frame.api, frame.version, frame.direction, &frame.bytes[..cut]);
            assert!(matches!(met, Err(Fault::Malformed { .. })), "{} cut to {cut}", frame.name());
        }
    }
}

#[test]
fn librdkafka_sends_bytes_behind_the_last_field_of_metadata_for_all_topics() {
    let longer: Vec<Golden> = load().into_iter().filter(|frame| fields_end(frame) < frame.bytes.len()).collect();
    let names: Vec<String> = longer.iter().map(Golden::name).collect();
    assert_eq!(names, ["Metadata v13 Request librdkafka"]);
}

/// A request and its answer.
fn pairs() -> Vec<(Golden, Golden)> {
    let all = load();
    let is_pair = |a: &Golden, b: &Golden| {
        (a.api.key, a.version, &a.case) == (b.api.key, b.version, &b.case) && a.direction != b.direction
    };
    let requests = all.iter().filter(|frame| frame.direction == Direction::Request);
    let answer = |request: &Golden| all.iter().find(|frame| is_pair(frame, request)).expect("its answer").clone();
    requests.map(|request| (request.clone(), answer(request))).collect()
}

#[test]
fn every_pair_passes_a_session_unchanged() {
    for (request, answer) in pairs() {
        for plan in [None, Some(Plan::Head), Some(Plan::Whole)] {
            for sizes in [&[][..], &[1], &[100, 7]] {
                let filters = plan.into_iter().map(|plan| Box::new(Observer(plan)) as _).collect();
                let mut driver = connection(filters, Limits::default());
                driver.client_in(sizes, &request.bytes).unwrap_or_else(|fault| panic!("{}: {fault}", request.name()));
                driver.broker_in(sizes, &answer.bytes).unwrap_or_else(|fault| panic!("{}: {fault}", answer.name()));
                assert!(driver.to_broker == request.bytes, "{}", request.name());
                // A broker of this release offers more than the tables hold for clients.
                if request.api.key != ApiKey::API_VERSIONS {
                    assert!(driver.to_client == answer.bytes, "{}", answer.name());
                }
            }
        }
    }
}

#[test]
fn the_apis_that_ordinary_clients_use_are_there() {
    let all = load();
    let missing: Vec<ApiKey> = [
        ApiKey::PRODUCE,
        ApiKey::FETCH,
        ApiKey::LIST_OFFSETS,
        ApiKey::METADATA,
        ApiKey::OFFSET_COMMIT,
        ApiKey::OFFSET_FETCH,
        ApiKey::FIND_COORDINATOR,
        ApiKey::JOIN_GROUP,
        ApiKey::HEARTBEAT,
        ApiKey::LEAVE_GROUP,
        ApiKey::SYNC_GROUP,
        ApiKey::API_VERSIONS,
        ApiKey::CREATE_TOPICS,
        ApiKey::INIT_PRODUCER_ID,
        ApiKey::ADD_PARTITIONS_TO_TXN,
        ApiKey::END_TXN,
        ApiKey::DESCRIBE_CONFIGS,
        ApiKey::DESCRIBE_CLUSTER,
        ApiKey::CONSUMER_GROUP_HEARTBEAT,
        ApiKey::SHARE_GROUP_HEARTBEAT,
        ApiKey::SHARE_FETCH,
    ]
    .into_iter()
    .filter(|key| all.iter().all(|frame| frame.api.key != *key))
    .collect();
    assert_eq!(missing, []);
}
