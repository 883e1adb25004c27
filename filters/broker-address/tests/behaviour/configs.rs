//! DescribeConfigs of brokers.

use bifrost_core::protocol::ApiKey;
use bifrost_testkit::frames;
use kafka_protocol::messages::DescribeConfigsRequest;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult,
};
use kafka_protocol::protocol::StrBytes;

use crate::{gateway, holds, known, request};

const BROKER: i8 = 4;
const TOPIC: i8 = 2;

/// Name and value of the settings that a client sees.
fn seen(version: i16, resource_type: i8, name: &'static str) -> Vec<(String, Option<String>)> {
    let settings = [
        ("advertised.listeners", Some("PLAINTEXT://real-1.internal:9092,SSL://real-1.internal:9093")),
        ("controller.quorum.voters", Some("1@real-1.internal:9093,77@real-77.internal:9093")),
        ("controller.quorum.bootstrap.servers", Some("real-1.internal:9093")),
        ("log.retention.ms", Some("3600000")),
        ("ssl.keystore.password", None),
    ];
    let text = StrBytes::from_static_str;
    let configs = settings.map(|(name, value)| {
        DescribeConfigsResourceResult::default().with_name(text(name)).with_value(value.map(text))
    });
    let result = DescribeConfigsResult::default()
        .with_resource_type(resource_type)
        .with_resource_name(text(name))
        .with_configs(configs.to_vec());
    let response = DescribeConfigsResponse::default().with_results(vec![result]);
    let (mut driver, _) = gateway("gw");
    driver.client(&request(known(ApiKey::DESCRIBE_CONFIGS), version)).unwrap();
    driver.broker_in(&[50], &frames::response::<DescribeConfigsRequest>(version, 1, &response)).unwrap();
    assert_eq!(holds(&driver.to_client, "real-"), resource_type != BROKER);
    let (_, response) = frames::read_response::<DescribeConfigsRequest>(version, &driver.to_client);
    let string = |text: &StrBytes| text.as_str().to_owned();
    response.results[0].configs.iter().map(|one| (string(&one.name), one.value.as_ref().map(string))).collect()
}

#[test]
fn listeners_and_quorum_of_a_broker_are_shown_at_the_gateway() {
    for version in 1..=4 {
        let seen = seen(version, BROKER, "1");
        let values: Vec<Option<&str>> = seen.iter().map(|(_, value)| value.as_deref()).collect();
        let expected =
            [Some("PLAINTEXT://gw:19095,SSL://gw:19095"), Some("1@gw:19095"), Some(""), Some("3600000"), None];
        assert_eq!(values, expected, "v{version}");
    }
}

#[test]
fn a_broker_without_a_port_shows_no_listeners() {
    assert_eq!(seen(4, BROKER, "77")[0].1.as_deref(), Some(""));
}

#[test]
fn settings_of_topics_stay_as_they_are() {
    assert_eq!(seen(4, TOPIC, "1")[2].1.as_deref(), Some("real-1.internal:9093"));
}
