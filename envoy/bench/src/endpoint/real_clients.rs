//! librdkafka against the endpoint.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::{Endpoint, Family, Topic};
use crate::kafka::GROUP;

const RECORDS: usize = 2_000;
const PATIENCE: Duration = Duration::from_secs(60);

fn client(endpoint: &Endpoint) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", endpoint.nodes[0].to_string());
    config
}

#[test]
fn an_idempotent_producer_and_a_group_consumer_lose_nothing() {
    let endpoint = Endpoint::start(2).unwrap();
    let topic = Topic::new(Family::Live, 1).name();
    let producer: BaseProducer =
        client(&endpoint).set("enable.idempotence", "true").set("linger.ms", "1").create().unwrap();
    for number in 0..RECORDS {
        let (key, value) = (format!("key-{}", number % 50), number.to_string());
        producer.send(BaseRecord::to(&topic).key(&key).payload(&value)).unwrap();
        producer.poll(Duration::ZERO);
    }
    producer.flush(PATIENCE).unwrap();

    let consumer: BaseConsumer =
        client(&endpoint).set("group.id", GROUP).set("auto.offset.reset", "earliest").create().unwrap();
    consumer.subscribe(&[&topic]).unwrap();
    let (asked, mut got, mut next) = (Instant::now(), Vec::new(), HashMap::new());
    while got.len() < RECORDS {
        assert!(asked.elapsed() < PATIENCE, "{} records", got.len());
        let Some(record) = consumer.poll(Duration::from_millis(100)) else { continue };
        let record = record.unwrap();
        let expected = next.entry(record.partition()).or_insert(0);
        assert_eq!(record.offset(), *expected);
        *expected += 1;
        got.push(String::from_utf8(record.payload().unwrap().to_vec()).unwrap().parse::<usize>().unwrap());
    }
    got.sort_unstable();
    assert!(got.into_iter().eq(0..RECORDS));
    assert!(next.len() > 1, "all in one partition");
    assert!(consumer.poll(Duration::from_millis(700)).is_none(), "a record more");
}
