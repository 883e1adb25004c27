//! Virtual clusters that come, change and go while others are in use.

use std::time::Duration;

use bifrost_e2e::clients::{Clients, Family, Running};
use bifrost_e2e::gateway::{GATEWAY_IP, Gateway};
use bifrost_e2e::wait;
use serde_json::Value;

use super::{Held, at, tenant, tenant_with};
use crate::fixture::{Fixture, shared};

const PATIENCE: Duration = Duration::from_secs(120);
const RECORDS: &str = "12000";

/// A writer and a reader at work on one virtual cluster.
struct Load {
    writer: Running,
    reader: Running,
}

impl Load {
    fn start(clients: &Clients, writer: Family, reader: Family) -> Load {
        clients
            .run(Family::Java, "create-topic", &[("topic", "t"), ("partitions", "4"), ("replication", "3")])
            .unwrap();
        // A minute, longer than what happens meanwhile.
        let produce = [("topic", "t"), ("count", RECORDS), ("size", "100"), ("pause_ms", "5"), ("acks", "all")];
        let consume = [("topic", "t"), ("group", "g"), ("count", RECORDS), ("timeout_ms", "150000")];
        Load {
            writer: clients.start(writer, "produce", &produce).unwrap(),
            reader: clients.start(reader, "consume", &consume).unwrap(),
        }
    }

    fn assert_at_work(&mut self) {
        assert!(self.writer.is_running().unwrap(), "the writer was done before all changes were made");
        assert!(self.reader.is_running().unwrap(), "the reader was done before all changes were made");
    }

    fn assert_nothing_is_lost(mut self) {
        let [sent, received] = [&mut self.writer, &mut self.reader].map(|running| running.finish(PATIENCE).unwrap());
        assert_eq!(sent["count"].as_u64().unwrap().to_string(), RECORDS);
        assert_eq!(received["count"], sent["count"]);
        assert_eq!(received["checksum"], sent["checksum"]);
    }
}

/// Connections of a virtual cluster that have ended, whoever ended them.
fn ended(gateway: &Gateway, name: &str) -> u64 {
    let stats = gateway.stats(&format!("listener.{name}.downstream_cx_destroy")).unwrap();
    stats.into_iter().find(|(stat, _)| stat.ends_with("downstream_cx_destroy")).unwrap().1
}

/// Waits until clients have opened what they open at their start, and closed what they need no more.
fn settle(gateway: &Gateway) {
    let mut last = Vec::new();
    wait::until("no connection comes or goes for three seconds", Duration::from_secs(25), || {
        let now = gateway.stats(".downstream_cx_").map(|mut stats| {
            stats.retain(|(name, _)| name.ends_with("downstream_cx_total") || name.ends_with("downstream_cx_destroy"));
            stats.retain(|(name, _)| name.starts_with("listener.policy.") || name.starts_with("listener.untouched."));
            stats
        })?;
        let is_calm = now == last;
        last = now;
        std::thread::sleep(Duration::from_secs(3));
        Ok(is_calm.then_some(()))
    })
    .unwrap();
}

fn create_topic(clients: &Clients, topic: &str) -> anyhow::Result<Value> {
    clients.run(Family::Librdkafka, "create-topic", &[("topic", topic), ("partitions", "3"), ("replication", "3")])
}

fn clients_of(fixture: &Fixture, gateway: &Gateway, position: usize) -> Clients {
    Clients::new(&fixture.tools, &fixture.run, format!("{GATEWAY_IP}:{}", gateway.port(position))).unwrap()
}

#[test]
fn what_happens_to_one_virtual_cluster_is_not_felt_in_another() {
    let fixture = shared();
    let servers = fixture.kafka.bootstrap_servers();
    let bounded = |partitions: u32| {
        tenant_with("policy", &servers, &format!(", topicCreation: {{ partitionsMax: {partitions} }}"))
    };
    let untouched = tenant("untouched", &servers);
    let started = [untouched.clone(), bounded(20)];
    let mut gateway = Gateway::start(&fixture.tools, &fixture.run, "reload-under-load", &started).unwrap();
    let (untouched_clients, policy_clients) = (clients_of(&fixture, &gateway, 0), clients_of(&fixture, &gateway, 1));
    let mut loads = [
        Load::start(&untouched_clients, Family::Librdkafka, Family::Java),
        Load::start(&policy_clients, Family::Java, Family::Librdkafka),
    ];
    let mut held = [Held::open(gateway.port(0), 10), Held::open(gateway.port(1), 10)];
    settle(&gateway);
    // A client that comes and goes ends so many connections itself.
    let before_short_lived = ended(&gateway, "policy");
    create_topic(&policy_clients, "allowed").unwrap();
    let short_lived = ended(&gateway, "policy") - before_short_lived;
    let before = ["untouched", "policy"].map(|name| ended(&gateway, name));
    let listeners_before = gateway.admin("/stats?filter=listener_(modified|in_place_updated)").unwrap();

    // One more.
    gateway.change(&[untouched.clone(), bounded(20), tenant("added", &servers)]).unwrap();
    assert_eq!(gateway.after_changes(1).unwrap()["generation"]["number"], 2);
    let added_clients = clients_of(&fixture, &gateway, 2);
    create_topic(&added_clients, "mine").unwrap();
    let added_port = gateway.port(2);
    let mut of_added = Held::open(added_port, 3);

    // Another policy: for new connections at once, the old ones go on as they began.
    gateway.change(&[untouched.clone(), bounded(2), tenant("added", &servers)]).unwrap();
    assert_eq!(gateway.after_changes(2).unwrap()["generation"]["number"], 3);
    let refusal = create_topic(&policy_clients, "not-allowed").unwrap_err().to_string();
    assert!(refusal.contains("PolicyViolation"), "{refusal}");
    of_added.assert_all_answer();

    // One less: its connections end within the time that is given to them, here 5 seconds.
    gateway.change(&[untouched, bounded(2)]).unwrap();
    let status = gateway.after_changes(3).unwrap();
    assert_eq!(status["generation"]["number"], 4);
    assert!(std::net::TcpStream::connect(at(added_port)).is_err(), "its ports are closed");
    for client in &mut of_added.0 {
        client.read_until_closed(Duration::from_secs(20)).unwrap();
    }

    held.iter_mut().for_each(Held::assert_all_answer);
    let after = ["untouched", "policy"].map(|name| ended(&gateway, name));
    loads.iter_mut().for_each(Load::assert_at_work);
    assert_eq!(after[0], before[0], "connections of the untouched virtual cluster have ended");
    let of_policy = after[1] - before[1];
    assert!(of_policy <= short_lived, "{of_policy} connections under another policy have ended, not {short_lived}");
    let listeners_after = gateway.admin("/stats?filter=listener_(modified|in_place_updated)").unwrap();
    assert_eq!(listeners_after, listeners_before, "a listener was replaced");
    loads.into_iter().for_each(Load::assert_nothing_is_lost);
    fixture.assert_brokers_are_hidden();
}

#[test]
fn host_names_on_one_port_come_and_go_alone() {
    let fixture = shared();
    let servers = fixture.kafka.bootstrap_servers();
    let folder = fixture.run.folder("reload-hosts-certificates").unwrap();
    let authority = bifrost_e2e::certificates::Authority::new("Clients' CA").unwrap();
    authority.issue(&folder, "gateway", &["*.a.test", "*.b.test", "*.c.test"]).unwrap();
    let of = |name: &str, more: &str| {
        let tls = format!("{{ directory: {} }}", folder.display());
        tenant_with(name, &servers, more).domain(&format!("{name}.test")).listener_tls(&tls)
    };
    let mut gateway =
        Gateway::start(&fixture.tools, &fixture.run, "reload-hosts", &[of("a", ""), of("b", "")]).unwrap();
    let port = gateway.port(0);
    let connect = |name: &str| crate::tls::TlsClient::connect(port, name, &authority);
    let mut a = connect("bootstrap.a.test").unwrap();
    let mut b = connect("bootstrap.b.test").unwrap();
    a.ask().unwrap();
    b.ask().unwrap();
    assert!(connect("bootstrap.c.test").is_err(), "nobody's name");

    gateway.change(&[of("a", ""), of("b", ", clusterId: other"), of("c", "")]).unwrap();
    gateway.after_changes(1).unwrap();
    let mut c = connect("bootstrap.c.test").unwrap();
    c.ask().unwrap();
    gateway.change(&[of("a", ""), of("c", "")]).unwrap();
    gateway.after_changes(2).unwrap();
    assert!(connect("bootstrap.b.test").is_err(), "removed");
    std::thread::sleep(Duration::from_secs(7));

    a.ask().unwrap();
    c.ask().unwrap();
    assert!(b.ask().is_err(), "a connection of a removed virtual cluster has ended");
}
