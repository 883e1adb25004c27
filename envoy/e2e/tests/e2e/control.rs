//! Without a gateway: when these fail, the machinery is broken and not the gateway.

use bifrost_e2e::clients::{Clients, Family};
use bifrost_e2e::kafka::{Kafka, Version};
use bifrost_e2e::run_dir::RunDir;

use crate::fixture::{tools, unique};

#[test]
fn every_client_reads_from_a_broker_what_it_wrote() {
    let tools = tools();
    let run = RunDir::create(&tools, "control").unwrap();
    let kafka = Kafka::start(&tools, &run, Version::V4_4, 1).unwrap();
    let clients = Clients::new(&tools, &run, kafka.bootstrap_servers()).unwrap();
    for family in Family::ALL {
        let (topic, group) = (unique("control"), unique("control"));
        clients.run(family, "create-topic", &[("topic", &topic), ("partitions", "3"), ("replication", "1")]).unwrap();

        let sent = clients.tally(family, "produce", &[("topic", &topic), ("count", "300"), ("size", "100")]).unwrap();
        let arguments = [("topic", &*topic), ("group", &group), ("count", "300"), ("timeout_ms", "60000")];
        let received = clients.tally(family, "consume", &arguments).unwrap();

        assert_eq!((sent.count, received), (300, sent), "{family}");
    }
}
