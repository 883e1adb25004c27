//! What the gateway costs: workloads through real Envoy with the module, against bare Envoy and a direct
//! connection, in alternating rounds on one machine. See BENCHMARKS.md.
#![forbid(unsafe_code)]

mod buffers;
mod cpu;
mod endpoint;
mod envoy;
mod frames;
mod kafka;
mod load;
mod measure;
mod report;
mod smoke;
mod statistics;
mod target;
mod workload;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Measures what the gateway costs")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Two to three minutes: the large effects, and that nothing is lost.
    Smoke(smoke::Options),
    /// What other limits of Envoy's buffers would cost or save a tenant.
    Buffers(buffers::Options),
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Smoke(options) => smoke::run(&options),
        Command::Buffers(options) => buffers::run(&options),
    }
}
