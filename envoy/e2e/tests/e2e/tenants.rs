//! Two tenants that use the same names at the same time, with every client library and every version of the brokers.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bifrost_e2e::clients::{Clients, Family};
use bifrost_e2e::gateway::{GATEWAY_IP, Gateway, VirtualCluster};
use bifrost_e2e::kafka::Kafka;
use bifrost_e2e::run_dir::RunDir;
use bifrost_e2e::tools::Tools;
use bifrost_e2e::wire::{self, RawClient};
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{InitProducerIdRequest, MetadataRequest, ProduceRequest};
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};

use crate::fixture::shared;

/// Longer than a producer goes on trying.
const PATIENCE: Duration = Duration::from_secs(150);

const TENANTS: [&str; 2] = ["tenantA-", "tenantB-"];

#[test]
fn tenants_with_the_same_names_get_their_own_records() {
    let fixture = shared();

    assert_tenants_do_not_meet(&fixture.tools, &fixture.run, &fixture.kafka);

    fixture.assert_brokers_are_hidden();
}

/// A gateway that has just started knows no topic ids. A producer that gives one, and sends its next request behind it, must not see
/// the second accepted and the first refused: it would be out of order for ever.
#[test]
fn requests_in_flight_keep_their_order_when_the_gateway_forgets_their_topic() {
    let fixture = shared();
    let virtual_cluster = VirtualCluster::new("ordered", &fixture.kafka.bootstrap_servers())
        .more("  virtualization: { topicPrefix: ordered-, groupPrefix: ordered-, transactionIdPrefix: ordered- }\n");
    let gateway = Gateway::start(&fixture.tools, &fixture.run, "ordered", &[virtual_cluster]).unwrap();
    let clients = Clients::new(&fixture.tools, &fixture.run, gateway.bootstrap(0)).unwrap();
    clients
        .run(Family::Java, "create-topic", &[("topic", "orders"), ("partitions", "1"), ("replication", "1")])
        .unwrap();
    let mut client = RawClient::connect(gateway.bootstrap(0)).unwrap();
    let metadata = client.call(12, 1, &MetadataRequest::default().with_topics(None)).unwrap();
    let [topic] = &metadata.topics[..] else { panic!("one topic: {metadata:?}") };
    let leader = metadata.brokers.iter().find(|broker| broker.node_id == topic.partitions[0].leader_id).unwrap();
    let producer = client.call(4, 2, &InitProducerIdRequest::default()).unwrap();

    let gateway = gateway.restart(&fixture.tools).unwrap();
    let mut client = RawClient::connect((&*leader.host, u16::try_from(leader.port).unwrap())).unwrap();
    client.call(3, 1, &wire::api_versions()).unwrap();
    let requests = [0, 1, 2].map(|sequence| {
        let data = PartitionProduceData::default().with_records(Some(idempotent(producer.producer_id.0, sequence)));
        let data = TopicProduceData::default().with_topic_id(topic.topic_id).with_partition_data(vec![data]);
        let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(30_000).with_topic_data(vec![data]);
        wire::frame(13, 10 + sequence, &request).unwrap()
    });
    client.send(&requests.concat()).unwrap();

    for sequence in [0, 1, 2] {
        let (id, answer) = wire::decode::<ProduceRequest>(13, client.receive().unwrap()).unwrap();
        let partition = &answer.responses[0].partition_responses[0];
        assert_eq!((id, partition.error_code, partition.base_offset), (10 + sequence, 0, i64::from(sequence)));
    }
    gateway.stop().unwrap();
}

/// A batch of one record of an idempotent producer.
fn idempotent(producer_id: i64, sequence: i32) -> Bytes {
    let record = Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id,
        producer_epoch: 0,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence,
        timestamp: 1_790_000_000_000,
        key: None,
        value: Some("value".into()),
        headers: Default::default(),
    };
    let mut batch = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut batch, [&record], &options).unwrap();
    batch.freeze()
}

/// A gateway that has just started knows no topic ids. These clients ask for metadata when they come back, so what becomes of a
/// request that comes before that is tested above.
#[test]
fn idempotent_producers_lose_nothing_when_the_gateway_forgets_their_topics() {
    let fixture = shared();
    let names = "topicPrefix: forgotten-, groupPrefix: forgotten-, transactionIdPrefix: forgotten-";
    let virtual_cluster = VirtualCluster::new("forgetful", &fixture.kafka.bootstrap_servers())
        .more(&format!("  virtualization: {{ {names} }}\n"));
    let gateway = Gateway::start(&fixture.tools, &fixture.run, "forgetful", &[virtual_cluster]).unwrap();
    let clients = Clients::new(&fixture.tools, &fixture.run, gateway.bootstrap(0)).unwrap();
    let create = [("topic", "orders"), ("partitions", "3"), ("replication", "3")];
    clients.run(Family::Java, "create-topic", &create).unwrap();
    // Small batches, so that many requests are under way to one node.
    let write = |family, first, batch: (&str, &str)| {
        let records = [("topic", "orders"), ("count", "3000"), ("size", "100"), ("pause_ms", "3"), ("first", first)];
        let arguments: Vec<_> = records.into_iter().chain([("acks", "all"), batch]).collect();
        clients.start(family, "produce", &arguments).unwrap()
    };
    let mut java = write(Family::Java, "0", ("config.batch.size", "200"));
    let mut librdkafka = write(Family::Librdkafka, "100000", ("config.batch.num.messages", "1"));
    thread::sleep(Duration::from_secs(3));

    let gateway = gateway.restart(&fixture.tools).unwrap();
    thread::sleep(Duration::from_secs(2));
    let gateway = gateway.restart(&fixture.tools).unwrap();
    let sent = [java.finish(PATIENCE).unwrap(), librdkafka.finish(PATIENCE).unwrap()];

    let checksums = sent.iter().map(|sent| sent["checksum"].as_str().unwrap().parse::<u64>().unwrap());
    let expected = checksums.fold(0, u64::wrapping_add);
    let consume = [("topic", "orders"), ("group", "all"), ("count", "6000"), ("timeout_ms", "60000")];
    let received = clients.tally(Family::Java, "consume", &consume).unwrap();
    assert_eq!((received.count, received.checksum), (6000, expected.to_string()));
    gateway.stop().unwrap();
}

/// Both tenants create the same topic, write different records with and without transactions of the same transactional id, and
/// read them in a group of the same name.
pub(crate) fn assert_tenants_do_not_meet(tools: &Tools, run: &RunDir, kafka: &Arc<Kafka>) {
    let virtual_clusters = TENANTS.map(|prefix| {
        let names = format!("topicPrefix: {prefix}, groupPrefix: {prefix}, transactionIdPrefix: {prefix}");
        VirtualCluster::new(&prefix.to_lowercase().replace('-', ""), &kafka.bootstrap_servers())
            .more(&format!("  virtualization: {{ {names} }}\n"))
    });
    let gateway = Gateway::start(tools, run, "tenants", &virtual_clusters).unwrap();
    let replication = kafka.ids().len().to_string();
    thread::scope(|scope| {
        for tenant in 0..TENANTS.len() {
            let clients = Clients::new(tools, run, format!("{GATEWAY_IP}:{}", gateway.port(tenant))).unwrap();
            let replication = &replication;
            scope.spawn(move || {
                Family::ALL.into_iter().for_each(|family| own_records(&clients, family, tenant, replication))
            });
        }
    });
}

fn own_records(clients: &Clients, family: Family, tenant: usize, replication: &str) {
    let (topic, group, transactional_id) = (format!("orders-{family}"), format!("billing-{family}"), "ledger");
    let create = [("topic", &*topic), ("partitions", "3"), ("replication", replication)];
    clients.run(family, "create-topic", &create).unwrap();

    // Every tenant writes other records, and another number of them.
    let (count, first, size) = (1_000 + 100 * tenant, 10_000 * tenant, 100 + tenant);
    let [count, first, size, all] = [count, first, size, count + 300].map(|number| number.to_string());
    let produce = [("topic", &*topic), ("count", &*count), ("first", &*first), ("size", &*size), ("acks", "all")];
    let sent = clients.tally(family, "produce", &produce).unwrap();
    let transact = [("topic", &*topic), ("transactional_id", transactional_id), ("count", "300"), ("size", &*size)];
    let committed = clients.tally(family, "transact", &transact).unwrap();
    let consume = [
        ("topic", &*topic),
        ("group", &*group),
        ("count", &*all),
        ("timeout_ms", "60000"),
        ("config.isolation.level", "read_committed"),
    ];
    let received = clients.tally(family, "consume", &consume).unwrap();

    assert_eq!(received.count.to_string(), all, "{family}, tenant {tenant}");
    let [sent, committed, received] = [sent, committed, received].map(|tally| tally.checksum.parse::<u64>().unwrap());
    assert_eq!(received, sent.wrapping_add(committed), "{family}, tenant {tenant}");
}
