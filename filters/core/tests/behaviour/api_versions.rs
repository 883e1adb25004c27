//! ApiVersions answers: the intersection of what the broker, the tables and the filters understand.

use std::rc::Rc;

use bifrost_core::filter::{Chain, FilterConfig};
use bifrost_core::limits::Limits;
use bifrost_core::protocol::{ApiKey, VersionRange, api};
use bifrost_core::session::Session;
use bifrost_testkit::driver::Driver;
use bifrost_testkit::filters::Only;
use bifrost_testkit::frames;
use kafka_protocol::messages::ApiVersionsRequest;
use kafka_protocol::messages::api_versions_response::{
    ApiVersion, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};
use kafka_protocol::protocol::StrBytes;

use crate::{connection, head};

fn offers(key: i16, min: i16, max: i16) -> ApiVersion {
    ApiVersion::default().with_api_key(key).with_min_version(min).with_max_version(max)
}

/// A broker of the future: more versions than the tables know, and APIs that they do not know.
fn broker() -> ApiVersionsResponse {
    ApiVersionsResponse::default().with_throttle_time_ms(3).with_api_keys(vec![
        offers(0, 0, 99),
        offers(1, 4, 99),
        offers(3, 0, 13),
        offers(4, 0, 7),
        offers(17, 0, 1),
        offers(18, 0, 9),
        offers(999, 0, 5),
    ])
}

fn ranges(response: &ApiVersionsResponse) -> Vec<(i16, i16, i16)> {
    response.api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version)).collect()
}

/// What a client sees that asks in `version` through `filters` and gets `answer`, one byte at a time.
fn seen(filters: Vec<Box<dyn FilterConfig>>, version: i16, answer: &[u8]) -> Vec<u8> {
    let mut driver = connection(filters, Limits::default());
    driver.client(&head(18, version, 1)).unwrap();
    driver.broker_in(&[1], answer).unwrap();
    driver.to_client
}

fn max(key: ApiKey) -> i16 {
    api(key).expect("known").versions.max
}

#[test]
fn what_the_tables_do_not_know_is_hidden() {
    for version in 0..=4 {
        let seen = seen(Vec::new(), version, &frames::response::<ApiVersionsRequest>(version, 1, &broker()));
        let (id, response) = frames::read_response::<ApiVersionsRequest>(version, &seen);
        let expected = [
            (0, 0, max(ApiKey::PRODUCE)),
            (1, 4, max(ApiKey::FETCH)),
            (3, 0, 13),
            (17, 1, 1),
            (18, 0, max(ApiKey::API_VERSIONS)),
        ];
        assert_eq!((id, ranges(&response).as_slice()), (1, &expected[..]), "v{version}");
        assert_eq!(response.throttle_time_ms, if version == 0 { 0 } else { 3 }, "v{version}");
    }
}

#[test]
fn version_5_is_narrowed_as_version_4() {
    // Same body; kafka-protocol does not know it yet.
    let answer = frames::response::<ApiVersionsRequest>(4, 1, &broker());
    assert_eq!(seen(Vec::new(), 5, &answer), seen(Vec::new(), 4, &answer));
}

#[test]
fn what_one_filter_does_not_understand_is_hidden_but_produce_keeps_its_lowest_version() {
    let filter = Only(vec![
        (ApiKey::PRODUCE, VersionRange::new(5, 9)),
        (ApiKey::METADATA, VersionRange::new(4, 20)),
        (ApiKey::API_VERSIONS, VersionRange::new(0, 3)),
    ]);
    let seen = seen(vec![Box::new(filter)], 3, &frames::response::<ApiVersionsRequest>(3, 1, &broker()));
    let (_, response) = frames::read_response::<ApiVersionsRequest>(3, &seen);
    assert_eq!(ranges(&response), [(0, 0, 9), (3, 4, 13), (18, 0, 3)], "KAFKA-18659");
}

#[test]
fn features_of_the_cluster_stay() {
    let feature = SupportedFeatureKey::default()
        .with_name(StrBytes::from_static_str("metadata.version"))
        .with_min_version(7)
        .with_max_version(30);
    let answer = broker().with_supported_features(vec![feature]).with_finalized_features_epoch(42);
    for version in 3..=4 {
        let seen = seen(Vec::new(), version, &frames::response::<ApiVersionsRequest>(version, 1, &answer));
        let (_, response) = frames::read_response::<ApiVersionsRequest>(version, &seen);
        assert_eq!(response.supported_features, answer.supported_features);
        assert_eq!(response.finalized_features_epoch, 42);
    }
}

/// Name, lowest and highest level of a finalized feature.
type Level = (&'static str, i16, i16);

/// What a newest broker has finalized, and a feature that nobody knows yet.
const LEVELS: [Level; 6] = [
    ("metadata.version", 7, 30),
    ("transaction.version", 2, 2),
    ("group.version", 1, 1),
    ("share.version", 1, 1),
    ("streams.version", 1, 1),
    ("future.version", 3, 9),
];

fn finalized((name, min, max): Level) -> FinalizedFeatureKey {
    FinalizedFeatureKey::default()
        .with_name(StrBytes::from_static_str(name))
        .with_min_version_level(min)
        .with_max_version_level(max)
}

/// What the features rest on, and ApiVersions itself.
const NEEDED: [(i16, i16); 7] = [(0, 12), (18, 4), (26, 5), (28, 5), (68, 0), (76, 1), (88, 0)];

fn only(versions: &[(i16, i16)]) -> Vec<Box<dyn FilterConfig>> {
    let range = |(key, max): &(i16, i16)| (ApiKey(*key), VersionRange::new(0, *max));
    vec![Box::new(Only(versions.iter().map(range).collect()))]
}

/// The needed versions with one of them at most at `max`, or absent.
fn needed_but(key: i16, max: Option<i16>) -> Vec<(i16, i16)> {
    let others = NEEDED.iter().copied().filter(|(needed, _)| *needed != key);
    others.chain(max.map(|max| (key, max))).collect()
}

/// The finalized features that are left of `levels` when the broker states `stated` and the filters understand `understood`,
/// in every version that has features.
fn left(levels: &[Level], stated: &[(i16, i16)], understood: &[(i16, i16)]) -> Vec<(String, i16, i16)> {
    let supported = SupportedFeatureKey::default()
        .with_name(StrBytes::from_static_str("group.version"))
        .with_min_version(0)
        .with_max_version(1);
    let answer = ApiVersionsResponse::default()
        .with_api_keys(stated.iter().map(|(key, max)| offers(*key, 0, *max)).collect())
        .with_throttle_time_ms(3)
        .with_supported_features(vec![supported])
        .with_finalized_features_epoch(42)
        .with_finalized_features(levels.iter().copied().map(finalized).collect())
        .with_zk_migration_ready(true);
    let left = |version: i16, frame: &[u8]| {
        let (_, response) =
            frames::read_response::<ApiVersionsRequest>(version, &seen(only(understood), version, frame));
        assert_eq!(response.supported_features, answer.supported_features, "what a broker can do is no level");
        assert_eq!((response.finalized_features_epoch, response.zk_migration_ready), (42, true), "tags around them");
        let features = response.finalized_features.iter();
        features.map(|f| (f.name.to_string(), f.min_version_level, f.max_version_level)).collect::<Vec<_>>()
    };
    let [third, fourth] =
        [3, 4].map(|version| left(version, &frames::response::<ApiVersionsRequest>(version, 1, &answer)));
    assert_eq!(third, fourth);
    third
}

fn expected(levels: impl IntoIterator<Item = Level>) -> Vec<(String, i16, i16)> {
    levels.into_iter().map(|(name, min, max)| (name.to_owned(), min, max)).collect()
}

#[test]
fn finalized_features_stay_when_all_that_they_need_is_offered() {
    assert_eq!(left(&LEVELS, &NEEDED, &NEEDED), expected(LEVELS));
}

#[test]
fn transaction_version_is_lowered_when_one_version_that_it_needs_is_not_offered() {
    let lowered =
        LEVELS.map(|(name, min, max)| if name == "transaction.version" { (name, 1, 1) } else { (name, min, max) });
    for (key, least) in [(0, 12), (28, 5), (26, 5)] {
        for max in [Some(least - 1), None] {
            let fewer = needed_but(key, max);
            assert_eq!(left(&LEVELS, &NEEDED, &fewer), expected(lowered), "filters understand {key} to {max:?}");
            assert_eq!(left(&LEVELS, &fewer, &NEEDED), expected(lowered), "the broker states {key} to {max:?}");
        }
    }
}

#[test]
fn a_transaction_version_that_needs_nothing_stays() {
    for (min, max) in [(0, 0), (0, 1), (1, 1)] {
        let level = ("transaction.version", min, max);
        assert_eq!(left(&[level], &NEEDED, &needed_but(0, Some(11))), expected([level]));
    }
    assert_eq!(
        left(&[("transaction.version", 0, 2)], &NEEDED, &needed_but(0, Some(11))),
        expected([("transaction.version", 0, 1)])
    );
}

#[test]
fn a_group_protocol_is_left_out_when_its_heartbeat_is_not_offered() {
    for (key, name) in [(68, "group.version"), (76, "share.version"), (88, "streams.version")] {
        let without = LEVELS.into_iter().filter(|(other, ..)| *other != name);
        let fewer = needed_but(key, None);
        assert_eq!(left(&LEVELS, &NEEDED, &fewer), expected(without.clone()), "filters do not understand {key}");
        assert_eq!(left(&LEVELS, &fewer, &NEEDED), expected(without), "the broker does not state {key}");
    }
}

#[test]
fn all_finalized_features_may_go() {
    let groups = [("group.version", 1, 1), ("share.version", 1, 1), ("streams.version", 1, 1)];
    assert_eq!(left(&groups, &NEEDED, &[(18, 4)]), []);
    // So many that count and size of the tagged field need a byte less behind the change.
    let many: Vec<Level> = groups.into_iter().cycle().take(200).chain([("metadata.version", 7, 30)]).collect();
    assert_eq!(left(&many, &NEEDED, &[(18, 4)]), expected([("metadata.version", 7, 30)]));
}

#[test]
fn connections_of_one_worker_get_what_their_own_broker_offers() {
    let chain = Rc::new(Chain::new(only(&[(18, 4), (1, 9)]), Limits::default()));
    let brokers = [11, 13, 11, 8].map(|max| ApiVersionsResponse::default().with_api_keys(vec![offers(1, 4, max)]));
    // More than are remembered, so that some are forgotten and come again.
    let different = (20..40).map(|ms| brokers[0].clone().with_throttle_time_ms(ms));
    for (id, answer) in brokers.iter().cloned().chain(different).chain(brokers.clone()).enumerate() {
        for version in [2, 4] {
            let id = id as i32;
            let mut driver = Driver::new(Session::new(Rc::clone(&chain)));
            driver.client(&head(18, version, id)).unwrap();
            driver.broker(&frames::response::<ApiVersionsRequest>(version, id, &answer)).unwrap();
            let (got, seen) = frames::read_response::<ApiVersionsRequest>(version, &driver.to_client);
            let max = answer.api_keys[0].max_version.min(9);
            assert_eq!((got, ranges(&seen)), (id, vec![(1, 4, max)]), "v{version}");
            assert_eq!(seen.throttle_time_ms, answer.throttle_time_ms, "v{version}");
        }
    }
}

#[test]
fn a_broker_that_does_not_know_the_version_answers_in_version_0() {
    let refusal = ApiVersionsResponse::default().with_error_code(35).with_api_keys(vec![offers(18, 0, 3)]);
    let answer = frames::response::<ApiVersionsRequest>(0, 1, &refusal);
    for version in 3..=max(ApiKey::API_VERSIONS) {
        assert_eq!(seen(Vec::new(), version, &answer), answer, "v{version}");
    }
}
