//! What the gateway costs: workloads through real Envoy with the module, against bare Envoy and a direct
//! connection, in alternating rounds on one machine. See BENCHMARKS.md.
#![forbid(unsafe_code)]

#[cfg(feature = "real-kafka")]
mod clients;
mod commands;
mod compare;
mod connections;
mod cpu;
mod endpoint;
mod figure;
mod frames;
mod kafka;
#[cfg(feature = "real-kafka")]
mod kafka_cluster;
mod load;
mod machine;
mod measure;
mod plan;
mod processes;
mod record;
mod report;
mod run;
mod target;

use anyhow::Result;
use clap::Parser;

#[derive(Parser)]
#[command(about = "Measures what the gateway costs")]
struct Arguments {
    #[command(subcommand)]
    command: commands::Command,
}

fn main() -> Result<()> {
    Arguments::parse().command.run()
}
