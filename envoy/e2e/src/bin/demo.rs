//! `make demo`: a gateway at work, in front of real brokers, used by real clients, and what it must hold.

use std::fmt::Display;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Instant;

use anyhow::{Context as _, Result};
use bifrost_e2e::clients::{Clients, Family, Tally};
use bifrost_e2e::connections::Watch;
use bifrost_e2e::gateway::{GATEWAY_IP, Gateway, VirtualCluster};
use bifrost_e2e::kafka::{BROKER_IP, Kafka, Version};
use bifrost_e2e::run_dir::RunDir;
use bifrost_e2e::tap::Tap;
use bifrost_e2e::tools::Tools;
use clap::Parser;

/// Clients connect to a tap here, which relays to the gateway and searches every byte on the way back.
const TAP_IP: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const NODES: u16 = 3;
const RECORDS: u64 = 100_000;
const PARTITIONS: usize = 24;
const VIRTUAL_CLUSTERS: [&str; 2] = ["tenant-a", "tenant-b"];
const FAMILIES: [Family; 2] = [Family::Java, Family::Librdkafka];

/// Three brokers, one Envoy, two virtual clusters, two client libraries.
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
        let virtual_clusters =
            VIRTUAL_CLUSTERS.map(|name| VirtualCluster::new(name, &kafka.bootstrap_servers()).advertised(TAP_IP));
        let gateway = step("bifrost run: one Envoy, two virtual clusters".to_owned(), || {
            Gateway::start(&tools, &run, "gateway", &virtual_clusters)
        })?;
        let taps = step("put a tap between clients and gateway".to_owned(), || {
            let forbidden = [BROKER_IP.to_string()];
            (0..VIRTUAL_CLUSTERS.len())
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
        for (index, name) in VIRTUAL_CLUSTERS.into_iter().enumerate() {
            let clients = self.clients.at(self.bootstrap(index));
            for family in FAMILIES {
                println!("\n{name}, {family}");
                checks.extend(records(&clients, name, family)?);
            }
        }
        println!("\n{}, java admin client", VIRTUAL_CLUSTERS[0]);
        checks.push(self.configuration()?);
        checks.push(self.connections());
        checks.extend(self.taps.iter().zip(VIRTUAL_CLUSTERS).map(|(tap, name)| addresses(tap, name)));
        Ok(checks)
    }

    /// What the brokers tell of themselves.
    fn configuration(&self) -> Result<Check> {
        let report = step("describe cluster, quorum and configuration of the brokers".to_owned(), || {
            self.clients.at(self.bootstrap(0)).run(Family::Java, "describe", &[])
        })?;
        let leaks = report.to_string().matches(&BROKER_IP.to_string()).count();
        Ok(check(
            "cluster, quorum and broker configuration name no broker address",
            format!("{leaks} found"),
            leaks == 0,
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
        for (index, name) in VIRTUAL_CLUSTERS.into_iter().enumerate() {
            println!("  {name}    {}", self.bootstrap(index));
        }
        println!("  brokers     {} (behind the gateway)", self.kafka.bootstrap_servers());
        println!("  Envoy admin {}", self.gateway.admin_url());
        println!("\nCtrl-C ends it.");
    }
}

/// Creates a topic, fills it, reads it in a group, compares.
fn records(clients: &Clients, name: &str, family: Family) -> Result<Vec<Check>> {
    let (topic, group) = (format!("demo-{name}-{family}"), format!("demo-{name}-{family}"));
    let (records, partitions) = (RECORDS.to_string(), PARTITIONS.to_string());
    step(format!("create topic {topic} with {partitions} partitions"), || {
        clients.run(family, "create-topic", &[("topic", &topic), ("partitions", &partitions), ("replication", "3")])
    })?;
    let produce =
        [("topic", &*topic), ("count", &*records), ("size", "100"), ("acks", "all"), ("config.linger.ms", "20")];
    let sent = step(format!("produce {records} records, acks=all"), || clients.tally(family, "produce", &produce))?;
    let consume = [("topic", &*topic), ("group", &*group), ("count", &*records), ("timeout_ms", "60000")];
    let received = step(format!("consume them in group {group}"), || clients.tally(family, "consume", &consume))?;
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

fn addresses(tap: &Tap, name: &str) -> Check {
    let findings = tap.findings();
    let bytes = tap.bytes_to_clients();
    check(
        format!("{name}: no byte string sent to a client is a broker's address"),
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
