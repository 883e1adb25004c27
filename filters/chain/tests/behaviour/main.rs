//! A virtual cluster as the adapter drives it.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics fails, and that is all"
)]

mod configuration;
mod identity;
mod nodes;

use bifrost_chain::{Arrival, Config, Connection, ServerNames, Upstream, VirtualCluster};
use bifrost_core::limits::Limits;
use bifrost_testkit::addresses;
use bifrost_testkit::driver::Driver;

/// Bootstrap on port 19093, nodes 0 to 9 from 19094 on.
fn cluster() -> VirtualCluster {
    VirtualCluster::new(config())
}

fn config() -> Config {
    Config {
        virtual_cluster: "tenant-a".into(),
        upstream: Upstream {
            bootstrap_cluster: "bootstrap".into(),
            node_cluster: "nodes".into(),
            ask_cluster: "ask".into(),
            server_names: ServerNames::None,
            resolve: Vec::new(),
        },
        limits: Limits::default(),
        client_principal: None,
        cluster_identity: None,
        quota: None,
        tenancy: None,
        broker_address: addresses::config("gw.corp.net"),
    }
}

fn connect(cluster: &VirtualCluster, port: u16) -> Driver<Connection> {
    Driver::new(cluster.connect(&Arrival { port, ..Arrival::default() }).expect("a port of the cluster"))
}
