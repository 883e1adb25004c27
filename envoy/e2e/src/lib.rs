//! Machinery of the end-to-end tests and the demo: it starts real brokers, a real gateway and real clients,
//! and watches what goes over the wire.

pub mod certificates;
pub mod clients;
pub mod connections;
pub mod gateway;
pub mod kafka;
pub mod ports;
pub mod process;
pub mod recorder;
pub mod run_dir;
pub mod tap;
pub mod tools;
pub mod wait;
pub mod wire;
