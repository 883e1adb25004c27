//! Creating topics and partitions.

use std::time::{Duration, Instant};

use bifrost_e2e::clients::{Clients, Family};
use bifrost_e2e::gateway::GATEWAY_IP;
use bifrost_e2e::wire::{RawClient, decode, frame};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::{assert_nobody_was_closed, gateway, metric};
use crate::fixture::alone;

const THROTTLING_QUOTA_EXCEEDED: i16 = 89;

fn create(client: &mut RawClient, version: i16, topics: std::ops::Range<i32>) -> CreateTopicsResponse {
    let topic = |number: i32| {
        CreatableTopic::default()
            .with_name(TopicName(StrBytes::from_string(format!("topic-{version}-{number}"))))
            .with_num_partitions(2)
            .with_replication_factor(1)
    };
    let body = CreateTopicsRequest::default().with_topics(topics.map(topic).collect()).with_timeout_ms(10_000);
    client.send(&frame(version, 7, &body).unwrap()).unwrap();
    decode::<CreateTopicsRequest>(version, client.receive().unwrap()).unwrap().1
}

#[test]
fn creations_beyond_the_limit_are_refused_with_kafkas_error_and_clients_try_again() {
    let fixture = alone();
    let gateway = gateway(&fixture, "creations", &[("tenant", "{ limits: { topicCreationsPerMinute: 12 } }")]);
    let mut client = RawClient::connect(gateway.bootstrap(0)).unwrap();

    // More than there is, at once: it goes, and leaves a debt of five seconds.
    let created = create(&mut client, 7, 0..13);
    let start = Instant::now();
    assert!(created.topics.iter().all(|topic| topic.error_code == 0), "{created:?}");

    let mut second = RawClient::connect(gateway.bootstrap(0)).unwrap();
    let refused = create(&mut second, 7, 20..22);
    let codes: Vec<(String, i16)> =
        refused.topics.iter().map(|topic| (topic.name.to_string(), topic.error_code)).collect();
    let code = THROTTLING_QUOTA_EXCEEDED;
    assert_eq!(codes, [("topic-7-20".to_owned(), code), ("topic-7-21".to_owned(), code)]);
    assert!((2_000..=5_000).contains(&refused.throttle_time_ms), "{refused:?}");

    // Java waits for the time that it is told and tries again.
    let clients = Clients::new(&fixture.tools, &fixture.run, format!("{GATEWAY_IP}:{}", gateway.port(0))).unwrap();
    let topic = [("topic", "by-java"), ("partitions", "1"), ("replication", "1")];
    clients.run(Family::Java, "create-topic", &topic).unwrap();
    let took = start.elapsed();
    assert!(took > Duration::from_millis(4_500), "created after {took:?}");

    // Whoever does not know the error is made to wait behind its request.
    let mut old = RawClient::connect(gateway.bootstrap(0)).unwrap();
    let created = create(&mut old, 4, 30..32);
    assert!(created.topics.iter().all(|topic| topic.error_code == 0), "{created:?}");
    assert!(created.throttle_time_ms > 2_000, "{created:?}");
    assert_eq!(metric(&gateway, "tenant", "virtual_cluster.topic_creations.used"), 16);
    assert_nobody_was_closed(&gateway);
}
