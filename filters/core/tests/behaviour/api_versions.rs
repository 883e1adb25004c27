//! ApiVersions answers: the intersection of what the broker, the tables and the filters understand.

use bifrost_core::filter::FilterConfig;
use bifrost_core::limits::Limits;
use bifrost_core::protocol::{ApiKey, VersionRange, api};
use bifrost_testkit::filters::Only;
use bifrost_testkit::frames;
use kafka_protocol::messages::ApiVersionsRequest;
use kafka_protocol::messages::api_versions_response::{ApiVersion, ApiVersionsResponse, SupportedFeatureKey};
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

#[test]
fn a_broker_that_does_not_know_the_version_answers_in_version_0() {
    let refusal = ApiVersionsResponse::default().with_error_code(35).with_api_keys(vec![offers(18, 0, 3)]);
    let answer = frames::response::<ApiVersionsRequest>(0, 1, &refusal);
    for version in 3..=max(ApiKey::API_VERSIONS) {
        assert_eq!(seen(Vec::new(), version, &answer), answer, "v{version}");
    }
}
