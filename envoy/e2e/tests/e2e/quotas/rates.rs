//! Every client library at once, each against a virtual cluster of its own with the same limits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bifrost_e2e::clients::{Clients, Family};
use bifrost_e2e::gateway::{GATEWAY_IP, Gateway};

use super::{assert_nobody_was_closed, gateway, metric};
use crate::fixture::alone;

/// Bytes in a second.
const PRODUCED: u64 = 600_000;
/// Answers come in pieces of a megabyte.
const FETCHED: u64 = 1_000_000;

/// What a client moves: 20 and 12 seconds' worth. Small records would keep kafka-python below the limit by itself.
const RECORDS: &str = "240";
const RECORD_BYTES: &str = "50000";

/// How far a rate may be off.
const TOLERANCE: f64 = 0.10;

#[test]
fn every_client_library_is_held_to_the_rate_both_ways() {
    let fixture = alone();
    let quota = format!("{{ limits: {{ produceBytesPerSecond: {PRODUCED}, fetchBytesPerSecond: {FETCHED} }} }}");
    let tenants = Family::ALL.map(|family| family.to_string());
    let quotas: Vec<(&str, &str)> = tenants.iter().map(|tenant| (tenant.as_str(), quota.as_str())).collect();
    let gateway = gateway(&fixture, "rates", &quotas);
    let clients: Vec<Clients> = (0..tenants.len())
        .map(|at| Clients::new(&fixture.tools, &fixture.run, format!("{GATEWAY_IP}:{}", gateway.port(at))).unwrap())
        .collect();
    let replication = fixture.kafka.ids().len().to_string();
    for (clients, family) in clients.iter().zip(Family::ALL) {
        let create = [("topic", "orders"), ("partitions", "3"), ("replication", &*replication)];
        clients.run(family, "create-topic", &create).unwrap();
    }

    let produce = [
        ("topic", "orders"),
        ("count", RECORDS),
        ("size", RECORD_BYTES),
        ("acks", "all"),
        // franz-go's default is another.
        ("config.compression.type", "none"),
    ];
    let (sent, produced) = measured(&gateway, "tx", || together(&clients, "produce", &produce));
    let consume = [("topic", "orders"), ("group", "g"), ("count", RECORDS), ("timeout_ms", "60000")];
    let (received, fetched) = measured(&gateway, "rx", || together(&clients, "consume", &consume));

    assert_eq!(received, sent, "what was acknowledged is there");
    for (at, tenant) in tenants.iter().enumerate() {
        eprintln!("{tenant}: produced {:.0}, fetched {:.0} bytes/s", produced[at], fetched[at]);
    }
    for (at, tenant) in tenants.iter().enumerate() {
        for (what, rate, limit) in [("produced", produced[at], PRODUCED), ("fetched", fetched[at], FETCHED)] {
            let off = (rate / limit as f64 - 1.0).abs();
            assert!(off <= TOLERANCE, "{tenant} {what} {rate:.0} bytes/s");
        }
        assert_eq!(metric(&gateway, tenant, "virtual_cluster.produce_bytes.limit"), PRODUCED);
        assert!(metric(&gateway, tenant, "virtual_cluster.produce_bytes.used") > 12_000_000, "{tenant}");
        for what in ["produce", "fetch"] {
            let throttled = metric(&gateway, tenant, &format!("virtual_cluster.{what}_bytes.throttled"));
            assert!(throttled > 0, "{tenant} {what}");
        }
    }
    assert_nobody_was_closed(&gateway);
}

fn together(clients: &[Clients], verb: &str, arguments: &[(&str, &str)]) -> Vec<String> {
    thread::scope(|scope| {
        let running: Vec<_> = clients
            .iter()
            .zip(Family::ALL)
            .map(|(clients, family)| scope.spawn(move || clients.tally(family, verb, arguments).unwrap().checksum))
            .collect();
        running.into_iter().map(|client| client.join().unwrap()).collect()
    })
}

/// What `act` gives, and at which rate each virtual cluster's upstream connections have sent ("tx") or received ("rx") meanwhile,
/// as Envoy counts it: the slope through the samples between a fifth and nine tenths of the bytes.
fn measured<T>(gateway: &Gateway, way: &str, act: impl FnOnce() -> T) -> (T, Vec<f64>) {
    let (start, done) = (Instant::now(), AtomicBool::new(false));
    let (given, samples) = thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut samples: Vec<Vec<(f64, f64)>> = vec![Vec::new(); Family::ALL.len()];
            while !done.load(Ordering::Relaxed) {
                let stats = gateway.stats(&format!("upstream_cx_{way}_bytes_total")).unwrap();
                let at = start.elapsed().as_secs_f64();
                for (family, samples) in Family::ALL.iter().zip(&mut samples) {
                    let own = format!("cluster.{family}/");
                    let bytes: u64 =
                        stats.iter().filter(|(name, _)| name.starts_with(&own)).map(|(_, bytes)| bytes).sum();
                    samples.push((at, bytes as f64));
                }
                thread::sleep(Duration::from_millis(100));
            }
            samples
        });
        let given = act();
        done.store(true, Ordering::Relaxed);
        (given, sampler.join().unwrap())
    });
    (given, samples.iter().map(|samples| slope(samples)).collect())
}

/// Least squares.
fn slope(samples: &[(f64, f64)]) -> f64 {
    let first = samples.first().unwrap().1;
    let all = samples.last().unwrap().1 - first;
    let inner: Vec<&(f64, f64)> =
        samples.iter().filter(|(_, bytes)| (0.2..0.9).contains(&((bytes - first) / all))).collect();
    let count = inner.len() as f64;
    assert!(count > 30.0, "{count} samples are too few");
    let mean = |of: fn(&(f64, f64)) -> f64| inner.iter().map(|sample| of(sample)).sum::<f64>() / count;
    let (x, y) = (mean(|sample| sample.0), mean(|sample| sample.1));
    let covariance: f64 = inner.iter().map(|(at, bytes)| (at - x) * (bytes - y)).sum();
    covariance / inner.iter().map(|(at, _)| (at - x).powi(2)).sum::<f64>()
}
