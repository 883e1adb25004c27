//! Bodies of refusals: every version of every answer that can tell an error.

use bifrost_core::answer::{Refusal, has_top_level_error, refusal};
use bifrost_core::fault::Fault;
use bifrost_core::filter::Direction;
use bifrost_core::protocol::{APIS, Api, ApiKey, Entity, VersionRange};
use bifrost_testkit::frames::{self, Body};
use bifrost_testkit::notes::{Note, notes};
use kafka_protocol::messages::ResponseKind;

use crate::known;

const DENIED: i16 = 31;

fn every_version() -> impl Iterator<Item = (&'static Api, i16)> {
    APIS.iter().flat_map(|api| (api.versions.min..=api.versions.max).map(move |version| (api, version)))
}

/// Those that [`refusal`] can refuse.
fn is_refusable((api, version): &(&'static Api, i16)) -> bool {
    has_top_level_error(api, *version) || is_per_element(api)
}

fn is_per_element(api: &Api) -> bool {
    matches!(api.key, ApiKey::CREATE_ACLS | ApiKey::DELETE_ACLS)
}

/// The body as the broker's frame.
fn frame(api: &Api, version: i16, body: &[u8]) -> Vec<u8> {
    let has_tags = api.flexible.contains(version) && api.key != ApiKey::API_VERSIONS;
    let tags: &[u8] = if has_tags { &[0] } else { &[] };
    frames::sized(&[&7i32.to_be_bytes()[..], tags, body].concat())
}

fn refused(api: &'static Api, version: i16, refused: &Refusal<'_>) -> Vec<u8> {
    frame(api, version, &refusal(api, version, refused).unwrap())
}

/// What the walker meets of one entity.
fn met(api: &'static Api, version: i16, frame: &[u8], wanted: Entity) -> Vec<Option<Vec<u8>>> {
    let notes = notes(api, version, Direction::Response, frame).unwrap_or_else(|fault| {
        panic!("{} v{version}: {fault:?}", api.name);
    });
    assert_eq!(notes.last(), Some(&Note::End), "{} v{version}", api.name);
    let value = |note| match note {
        Note::Value(_, entity, value) if entity == wanted => Some(value),
        _ => None,
    };
    notes.into_iter().filter_map(value).collect()
}

/// The answer as `kafka-protocol` reads it, when it knows the version.
fn read(api: &Api, version: i16, frame: &[u8]) -> Option<ResponseKind> {
    let key = frames::supported(api.key, version)?;
    match frames::read_response_kind(key, version, frame) {
        Ok(Body::Response(body)) => Some(*body),
        other => panic!("{} v{version}: {other:?}", api.name),
    }
}

#[test]
fn every_version_of_every_answer_with_an_error_code_tells_it() {
    let (mut walked, mut decoded) = (0, 0);
    for (api, version) in every_version().filter(|(api, version)| has_top_level_error(api, *version)) {
        let frame = refused(api, version, &Refusal { message: Some("no"), elements: 9, ..Refusal::code(DENIED) });
        let codes = met(api, version, &frame, Entity::ErrorCode);
        assert_eq!(codes, [Some(DENIED.to_be_bytes().to_vec())], "{} v{version}", api.name);
        let texts = met(api, version, &frame, Entity::ErrorMessage);
        assert!(texts.iter().all(|text| text.as_deref() == Some(b"no")), "{} v{version}", api.name);
        walked += 1;
        let Some(body) = read(api, version, &frame) else { continue };
        // All its messages have an `error_code`; their types have nothing in common but `Debug`.
        let body = format!("{body:?}");
        assert_eq!(body.matches("error_code: 31").count(), 1, "{} v{version}: {body}", api.name);
        assert!(texts.is_empty() || body.contains("\"no\""), "{} v{version}: {body}", api.name);
        decoded += 1;
    }
    assert!(walked >= 150 && decoded >= 130, "{walked} walked, {decoded} decoded");
}

#[test]
fn without_a_text_there_is_a_null_or_an_empty_one() {
    for (api, version) in every_version().filter(is_refusable) {
        let frame = refused(api, version, &Refusal { elements: 1, ..Refusal::code(DENIED) });
        let texts = met(api, version, &frame, Entity::ErrorMessage);
        assert!(texts.iter().flatten().all(Vec::is_empty), "{} v{version}", api.name);
        read(api, version, &frame);
    }
}

#[test]
fn any_other_answer_can_be_read_too() {
    for (api, version) in every_version().filter(|of| !is_refusable(of)) {
        let frame = refused(api, version, &Refusal { elements: 9, ..Refusal::code(DENIED) });
        assert!(met(api, version, &frame, Entity::TopicName).is_empty(), "{} v{version}", api.name);
        read(api, version, &frame);
    }
}

#[test]
fn acl_changes_are_refused_one_by_one() {
    for (api, version) in every_version().filter(|(api, _)| is_per_element(api)) {
        for elements in [0, 1, 3, 200] {
            let frame = refused(api, version, &Refusal { message: Some("off"), elements, ..Refusal::code(54) });
            let codes = met(api, version, &frame, Entity::ErrorCode);
            assert_eq!(codes, vec![Some(54i16.to_be_bytes().to_vec()); elements as usize], "{} v{version}", api.name);
            let texts = match read(api, version, &frame) {
                Some(ResponseKind::CreateAcls(body)) => {
                    body.results.into_iter().map(|result| (result.error_code, result.error_message)).collect()
                }
                Some(ResponseKind::DeleteAcls(body)) => {
                    assert!(body.filter_results.iter().all(|result| result.matching_acls.is_empty()));
                    body.filter_results.into_iter().map(|result| (result.error_code, result.error_message)).collect()
                }
                Some(other) => panic!("{other:?}"),
                None => {
                    assert!(version == 0, "the only one that kafka-protocol does not know");
                    continue;
                }
            };
            let texts: Vec<(i16, Option<_>)> = texts;
            assert_eq!(texts.len(), elements as usize);
            assert!(texts.iter().all(|(code, text)| *code == 54 && text.as_deref() == Some("off")));
        }
    }
}

#[test]
fn nothing_else_is_told() {
    let ResponseKind::Metadata(metadata) = told(ApiKey::METADATA, 13) else { panic!("another answer") };
    assert_eq!((metadata.controller_id.0, metadata.cluster_id), (-1, None));
    let ResponseKind::DescribeCluster(cluster) = told(ApiKey::DESCRIBE_CLUSTER, 2) else { panic!("another answer") };
    assert_eq!((cluster.controller_id.0, cluster.cluster_authorized_operations), (-1, i32::MIN));
    assert_eq!(cluster.endpoint_type, 1);
    let ResponseKind::FindCoordinator(coordinator) = told(ApiKey::FIND_COORDINATOR, 3) else {
        panic!("another answer")
    };
    assert_eq!((coordinator.node_id.0, &*coordinator.host, coordinator.port), (-1, "", -1));
    let ResponseKind::InitProducerId(producer) = told(ApiKey::INIT_PRODUCER_ID, 5) else { panic!("another answer") };
    assert_eq!((producer.producer_id.0, producer.producer_epoch), (-1, -1));
    let ResponseKind::JoinGroup(group) = told(ApiKey::JOIN_GROUP, 9) else { panic!("another answer") };
    assert_eq!((group.generation_id, group.protocol_name, &*group.leader), (-1, None, ""));
    let ResponseKind::ConsumerGroupHeartbeat(beat) = told(ApiKey::CONSUMER_GROUP_HEARTBEAT, 1) else {
        panic!("another answer")
    };
    assert!(beat.member_id.is_none() && beat.assignment.is_none());
    let ResponseKind::DescribeClientQuotas(quotas) = told(ApiKey::DESCRIBE_CLIENT_QUOTAS, 1) else {
        panic!("another answer")
    };
    assert_eq!(quotas.entries, None);
}

fn told(key: ApiKey, version: i16) -> ResponseKind {
    let api = known(key);
    read(api, version, &refused(api, version, &Refusal::code(DENIED))).expect("kafka-protocol knows it")
}

#[test]
fn versions_with_an_error_code_are_known() {
    let with_error = |key| {
        let api = known(key);
        let mut versions = (api.versions.min..=api.versions.max).filter(|version| has_top_level_error(api, *version));
        Some(VersionRange::new(versions.next()?, versions.next_back()?))
    };
    assert_eq!(with_error(ApiKey::FETCH), Some(VersionRange::new(7, 18)));
    assert_eq!(with_error(ApiKey::METADATA), None, "only the newest version");
    assert!(has_top_level_error(known(ApiKey::METADATA), 13));
    assert_eq!(with_error(ApiKey::OFFSET_FETCH), Some(VersionRange::new(2, 7)));
    assert_eq!(with_error(ApiKey::FIND_COORDINATOR), Some(VersionRange::new(0, 3)));
    assert_eq!(with_error(ApiKey::DESCRIBE_LOG_DIRS), Some(VersionRange::new(3, 5)));
    assert_eq!(with_error(ApiKey::CREATE_ACLS), None);
    assert_eq!(with_error(ApiKey::PRODUCE), None);
}

#[test]
fn a_text_too_long_for_its_field_is_our_fault() {
    let text = "x".repeat(40_000);
    let long = Refusal { message: Some(&text), ..Refusal::code(DENIED) };
    assert!(matches!(refusal(known(ApiKey::DESCRIBE_ACLS), 1, &long), Err(Fault::Internal(_))));
}

#[test]
fn a_refused_search_for_coordinators_names_every_key() {
    let api = bifrost_core::protocol::api(ApiKey::FIND_COORDINATOR).unwrap();
    let names = ["one".to_owned(), String::new(), "group:id:3".to_owned()];
    for version in 4..=api.versions.max {
        let frame = refused(api, version, &Refusal { names: &names, ..Refusal::code(42) });
        let met = notes(api, version, Direction::Response, &frame).unwrap();
        let keys: Vec<&Note> = met.iter().filter(|note| matches!(note, Note::Value("Key", ..))).collect();
        let expected = names.clone().map(|name| Note::Value("Key", Entity::ResourceName, Some(name.into_bytes())));
        assert_eq!(keys, expected.iter().collect::<Vec<_>>(), "v{version}");
        let codes =
            met.iter().filter(|note| matches!(note, Note::Value("ErrorCode", _, Some(code)) if *code == [0, 42]));
        assert_eq!(codes.count(), names.len(), "v{version}");
    }
}

#[test]
fn a_refused_creation_names_every_topic_and_says_how_long_to_wait() {
    let names = ["one".to_owned(), "two".to_owned()];
    for key in [ApiKey::CREATE_TOPICS, ApiKey::CREATE_PARTITIONS] {
        let api = known(key);
        for version in api.versions.min..=api.versions.max {
            let refusal = Refusal { names: &names, throttle_time_ms: 1_234, ..Refusal::code(89) };
            let frame = refused(api, version, &refusal);
            let topics = names.clone().map(|name| Some(name.into_bytes()));
            assert_eq!(met(api, version, &frame, Entity::TopicName), topics, "{key} v{version}");
            let codes = met(api, version, &frame, Entity::ErrorCode);
            assert_eq!(codes, vec![Some(vec![0, 89]); 2], "{key} v{version}");
            let waits = met(api, version, &frame, Entity::ThrottleTimeMs);
            assert!(waits.iter().all(|wait| *wait == Some(1_234i32.to_be_bytes().to_vec())), "{key} v{version}");
            read(api, version, &frame);
        }
    }
}
