//! Quotas: real clients are held to them, nobody is closed, nothing is lost, and others do not notice.

mod creations;
mod rates;
mod reload;
mod stubborn;
mod subjects;

use std::thread;
use std::time::Duration;

use bifrost_e2e::gateway::{Gateway, VirtualCluster};

use crate::fixture::Fixture;

/// A gateway of its own whose virtual clusters have these quotas; without any when the text is empty. Each is a tenant.
fn gateway(fixture: &Fixture, name: &str, quotas: &[(&str, &str)]) -> Gateway {
    let servers = fixture.kafka.bootstrap_servers();
    let virtual_clusters: Vec<VirtualCluster> = quotas
        .iter()
        .map(|(tenant, config)| {
            let prefix = format!("{name}-{tenant}-");
            let names = format!("topicPrefix: {prefix}, groupPrefix: {prefix}, transactionIdPrefix: {prefix}");
            let filter = if config.is_empty() {
                String::new()
            } else {
                format!("  filters:\n  - name: Quota\n    config: {config}\n")
            };
            VirtualCluster::new(tenant, &servers).more(&format!("  virtualization: {{ {names} }}\n{filter}"))
        })
        .collect();
    Gateway::start(&fixture.tools, &fixture.run, name, &virtual_clusters).unwrap()
}

/// The gateway has closed no connection for a reason of its own, but for those that made a client connect again to its node.
fn assert_nobody_was_closed(gateway: &Gateway) {
    let closed: Vec<(String, u64)> = gateway
        .stats(".closed.")
        .unwrap()
        .into_iter()
        .filter(|(name, count)| *count > 0 && !name.ends_with("node_learned"))
        .collect();
    assert_eq!(closed, []);
}

/// The value of a metric of quotas; they are told twice a second.
fn metric(gateway: &Gateway, tenant: &str, name: &str) -> u64 {
    thread::sleep(Duration::from_millis(1_000));
    let name = format!("wasmcustom.bifrost.{tenant}.quota.{name}");
    let found = gateway.stats(&name).unwrap().into_iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("no metric {name}")).1
}
