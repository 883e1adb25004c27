//! `make demo`: two tenants with the same names on the same brokers, used by real clients, and what must hold.

use std::fmt::Display;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bifrost_e2e::clients::{Clients, Family, Tally};
use bifrost_e2e::connections::Watch;
use bifrost_e2e::gateway::{GATEWAY_IP, Gateway, VirtualCluster};
use bifrost_e2e::kafka::{BROKER_IP, Kafka, Version};
use bifrost_e2e::run_dir::RunDir;
use bifrost_e2e::tap::Tap;
use bifrost_e2e::tools::Tools;
use clap::Parser;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

/// Clients connect to a tap here, which relays to the gateway and searches every byte on the way back.
const TAP_IP: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const NODES: u16 = 3;
const RECORDS: u64 = 100_000;
const PARTITIONS: usize = 24;
const TENANTS: [&str; 2] = ["tenant-a", "tenant-b"];
/// What every tenant calls its things: a topic for each client library, one group, one transactional id.
const TOPICS: [(Family, &str); 2] = [(Family::Java, "orders"), (Family::Librdkafka, "payments")];
const GROUP: &str = "billing";
const TRANSACTIONAL_ID: &str = "ledger";
const TRANSACTED: &str = "transfers";
const TRANSACTED_RECORDS: &str = "1000";

/// Three brokers, one Envoy, two tenants that use the same names, two client libraries.
#[derive(Parser)]
struct Arguments {
    /// Leave everything running until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    run(&Arguments::parse()).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    let (stop, stopped) = channel();
    let keep = arguments.keep;
    ctrlc::set_handler(move || {
        // Children die with us; when there is something to wait for, whoever waits is told.
        if !keep || stop.send(()).is_err() {
            std::process::exit(130);
        }
    })?;

    let demo = Demo::start()?;
    let checks = demo.run()?;
    print_table(&checks);
    let passed = checks.iter().all(|check| check.passed);
    println!("\n{}\n", if passed { "Everything holds." } else { "NOT everything holds." });

    if arguments.keep {
        demo.print_addresses();
        stopped.recv().context("nobody can ask to stop any more")?;
    } else {
        println!("To try it by hand: make demo KEEP=1");
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Demo {
    // The gateway goes before the brokers.
    gateway: Gateway,
    taps: Vec<Tap>,
    watch: Watch,
    kafka: Arc<Kafka>,
    clients: Clients,
}

/// One line of the table.
struct Check {
    what: String,
    found: String,
    passed: bool,
}

impl Demo {
    fn start() -> Result<Demo> {
        let tools = Tools::from_environment()?;
        let run = RunDir::create(&tools, "demo")?;
        println!("\nData and logs are in {}\n", run.path().display());
        let kafka = step(format!("start {NODES} Kafka nodes, brokers and controllers, on {BROKER_IP}"), || {
            Kafka::start(&tools, &run, Version::V4_4, NODES).map(Arc::new)
        })?;
        let virtual_clusters = TENANTS.map(|name| {
            let prefix = prefix(name);
            let names = format!("topicPrefix: {prefix}, groupPrefix: {prefix}, transactionIdPrefix: {prefix}");
            VirtualCluster::new(name, &kafka.bootstrap_servers())
                .advertised(TAP_IP)
                .more(&format!("  virtualization: {{ {names} }}\n"))
        });
        let gateway = step("bifrost run: one Envoy, a virtual cluster for each tenant".to_owned(), || {
            Gateway::start(&tools, &run, "gateway", &virtual_clusters)
        })?;
        let taps = step("put a tap between clients and gateway".to_owned(), || {
            let forbidden = [BROKER_IP.to_string(), prefix(TENANTS[0]), prefix(TENANTS[1])];
            (0..TENANTS.len())
                .map(|index| Tap::start(TAP_IP, GATEWAY_IP, gateway.all_ports(index), &forbidden))
                .collect::<Result<Vec<_>>>()
        })?;
        let (brokers, envoy) = (Arc::clone(&kafka), gateway.envoy_pid());
        let watch = Watch::start(&kafka.addresses(), move || [brokers.pids(), vec![envoy]].concat());
        let clients = Clients::new(&tools, &run, "")?;
        Ok(Demo { gateway, taps, watch, kafka, clients })
    }

    fn run(&self) -> Result<Vec<Check>> {
        let mut checks = Vec::new();
        for (index, name) in TENANTS.into_iter().enumerate() {
            println!("\n{name}");
            let clients = self.clients.at(self.bootstrap(index));
            // Every tenant writes something else.
            let first = u64::try_from(index)? * RECORDS;
            for (family, topic) in TOPICS {
                checks.extend(records(&clients, name, family, topic, first)?);
            }
            checks.push(transactions(&clients, name, index)?);
            checks.push(self.own_topics(index, name)?);
        }
        checks.push(self.connections());
        checks.extend(self.taps.iter().zip(TENANTS).map(|(tap, name)| hidden(tap, name)));
        println!("\nthe brokers themselves");
        checks.push(self.physical_topics()?);
        Ok(checks)
    }

    /// What a tenant sees when it asks for everything.
    fn own_topics(&self, index: usize, name: &str) -> Result<Check> {
        let seen = step("list all topics".to_owned(), || topics(&self.bootstrap(index)))?;
        let expected = virtual_topics();
        Ok(check(format!("{name}: sees its own topics and no others"), seen.join(", "), seen == expected))
    }

    /// What the brokers hold. Asked directly, so not before it has been checked who connected to brokers.
    fn physical_topics(&self) -> Result<Check> {
        let held = step("list all topics".to_owned(), || topics(&self.kafka.bootstrap_servers()))?;
        held.iter().for_each(|topic| println!("             {topic}"));
        let of_tenants: Vec<&String> = held.iter().filter(|topic| !topic.starts_with("__")).collect();
        let physical = |name| virtual_topics().into_iter().map(move |topic| prefix(name) + &topic);
        let expected: Vec<String> = TENANTS.into_iter().flat_map(physical).collect();
        Ok(check(
            "the brokers hold every tenant's topics under its prefix",
            format!("{} topics", of_tenants.len()),
            of_tenants == expected.iter().collect::<Vec<_>>(),
        ))
    }

    fn connections(&self) -> Check {
        let seen = self.watch.seen();
        let strangers: Vec<String> = seen.strangers.iter().map(ToString::to_string).collect();
        check(
            "only the gateway connected to brokers (and they to each other)",
            if strangers.is_empty() { format!("{} connections", seen.allowed) } else { strangers.join(", ") },
            strangers.is_empty() && seen.allowed > 0,
        )
    }

    fn bootstrap(&self, index: usize) -> String {
        format!("{TAP_IP}:{}", self.gateway.port(index))
    }

    fn print_addresses(&self) {
        println!("Still running. bootstrap.servers to try:");
        for (index, name) in TENANTS.into_iter().enumerate() {
            println!("  {name}    {}", self.bootstrap(index));
        }
        println!("  brokers     {} (behind the gateway)", self.kafka.bootstrap_servers());
        println!("  Envoy admin {}", self.gateway.admin_url());
        println!("\nCtrl-C ends it.");
    }
}

/// Creates a topic, fills it, reads it in a group, compares.
fn records(clients: &Clients, name: &str, family: Family, topic: &str, first: u64) -> Result<Vec<Check>> {
    let (records, first, partitions) = (RECORDS.to_string(), first.to_string(), PARTITIONS.to_string());
    step(format!("{family}: create topic {topic} with {partitions} partitions"), || {
        clients.run(family, "create-topic", &[("topic", topic), ("partitions", &partitions), ("replication", "3")])
    })?;
    let produce = [
        ("topic", topic),
        ("count", &*records),
        ("first", &*first),
        ("size", "100"),
        ("acks", "all"),
        ("config.linger.ms", "20"),
    ];
    let sent =
        step(format!("{family}: produce {records} records, acks=all"), || clients.tally(family, "produce", &produce))?;
    let consume = [("topic", topic), ("group", GROUP), ("count", &*records), ("timeout_ms", "60000")];
    let received =
        step(format!("{family}: consume them in group {GROUP}"), || clients.tally(family, "consume", &consume))?;
    let used = |tally: &Tally| tally.partitions.as_object().map_or(0, serde_json::Map::len);
    Ok(vec![
        check(
            format!("{name}, {family}: every record was acknowledged"),
            format!("{} on {} partitions", sent.count, used(&sent)),
            sent.count == RECORDS && used(&sent) == PARTITIONS,
        ),
        check(
            format!("{name}, {family}: the same records came back"),
            format!("{}, checksum {}", received.count, if received == sent { "equal" } else { "DIFFERENT" }),
            received == sent,
        ),
    ])
}

/// Aborts a transaction and commits one under an id that the other tenant uses, too, and reads what is committed.
fn transactions(clients: &Clients, name: &str, index: usize) -> Result<Check> {
    let family = Family::Java;
    // Every tenant writes something else.
    let size = (100 + index).to_string();
    step(format!("{family}: create topic {TRANSACTED}"), || {
        clients.run(family, "create-topic", &[("topic", TRANSACTED), ("partitions", "3"), ("replication", "3")])
    })?;
    let transact = [
        ("topic", TRANSACTED),
        ("transactional_id", TRANSACTIONAL_ID),
        ("count", TRANSACTED_RECORDS),
        ("size", &*size),
    ];
    let sent = step(format!("{family}: abort and commit with the transactional id {TRANSACTIONAL_ID}"), || {
        clients.tally(family, "transact", &transact)
    })?;
    let consume = [
        ("topic", TRANSACTED),
        ("group", "audit"),
        ("count", TRANSACTED_RECORDS),
        ("timeout_ms", "60000"),
        ("config.isolation.level", "read_committed"),
    ];
    let received = step(format!("{family}: consume what is committed"), || clients.tally(family, "consume", &consume))?;
    Ok(check(
        format!("{name}, {family}: committed records came back"),
        format!("{}, checksum {}", received.count, if received == sent { "equal" } else { "DIFFERENT" }),
        received == sent && sent.count > 0,
    ))
}

/// What stands before a tenant's names on the brokers.
fn prefix(tenant: &str) -> String {
    format!("{tenant}.")
}

/// What every tenant has, sorted.
fn virtual_topics() -> Vec<String> {
    let mut topics: Vec<String> =
        TOPICS.iter().map(|(_, topic)| *topic).chain([TRANSACTED]).map(str::to_owned).collect();
    topics.sort();
    topics
}

/// All topics there, sorted.
fn topics(bootstrap: &str) -> Result<Vec<String>> {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    let metadata = consumer.fetch_metadata(None, Duration::from_secs(10))?;
    let mut topics: Vec<String> = metadata.topics().iter().map(|topic| topic.name().to_owned()).collect();
    topics.sort();
    Ok(topics)
}

fn hidden(tap: &Tap, name: &str) -> Check {
    let findings = tap.findings();
    let bytes = tap.bytes_to_clients();
    check(
        format!("{name}: no byte string sent to a client is a broker's address or has a prefix"),
        match findings.first() {
            None => format!("{} MB on {} connections", bytes / 1_000_000, tap.connections()),
            Some(first) => format!("{} times, first {first}", findings.len()),
        },
        findings.is_empty() && bytes > 0,
    )
}

fn check(what: impl Into<String>, found: String, passed: bool) -> Check {
    Check { what: what.into(), found, passed }
}

/// Says what is done and how long it took.
fn step<T>(what: String, action: impl FnOnce() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    let result = action();
    let outcome: &dyn Display = if result.is_ok() { &"" } else { &"  FAILED" };
    println!("  {:5.1} s  {what}{outcome}", started.elapsed().as_secs_f64());
    result.context(what)
}

fn print_table(checks: &[Check]) {
    let width = checks.iter().map(|check| check.what.len()).max().unwrap_or(0);
    println!("\nWhat was checked\n");
    for Check { what, found, passed } in checks {
        println!("  {}  {what:width$}  {found}", if *passed { "ok    " } else { "FAILED" });
    }
}
