//! Documents that change while the gateway runs.

mod many;
mod refused;
mod under_load;
mod ways;

use std::net::Ipv4Addr;

use bifrost_e2e::gateway::{GATEWAY_IP, VirtualCluster};
use bifrost_e2e::wire::{self, RawClient};

/// A virtual cluster whose names begin with its own.
fn tenant(name: &str, servers: &str) -> VirtualCluster {
    tenant_with(name, servers, "")
}

/// The same with more options of `spec.virtualization`.
fn tenant_with(name: &str, servers: &str, options: &str) -> VirtualCluster {
    let names = format!("topicPrefix: {name}., groupPrefix: {name}., transactionIdPrefix: {name}.");
    VirtualCluster::new(name, servers).more(&format!("  virtualization: {{ {names}{options} }}\n"))
}

fn at(port: u16) -> (Ipv4Addr, u16) {
    (GATEWAY_IP, port)
}

/// Connections that are used now and then, so that their end would be noticed.
struct Held(Vec<RawClient>);

impl Held {
    fn open(port: u16, count: usize) -> Held {
        let mut held = Held((0..count).map(|_| RawClient::connect(at(port)).unwrap()).collect());
        held.assert_all_answer();
        held
    }

    fn assert_all_answer(&mut self) {
        for client in &mut self.0 {
            client.call(3, 7, &wire::api_versions()).unwrap();
        }
    }
}
