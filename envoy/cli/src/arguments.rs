//! What can be written on the command line.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing::level_filters::LevelFilter;

use crate::certs::arguments::Certs;

/// Kafka gateway: virtual clusters on stock Envoy.
#[derive(Debug, Parser)]
#[command(
    name = "bifrost",
    version,
    after_help = "\
Examples:
  bifrost validate -f gateway.yaml           Check documents, report every problem at once
  bifrost run -f gateway.yaml                Start the gateway in the foreground, stop it with Ctrl-C
  bifrost run -f virtual-clusters/           The same with every *.yaml and *.yml file of a directory
  bifrost status                             What a running gateway serves, and whether its documents are in force
  bifrost render -f gateway.yaml -o e.json   Write Envoy's configuration
  bifrost certs generate -f gateway.yaml     Make a CA and a certificate for the gateway's names
  bifrost certs fetch broker:9093            Show the certificates of a server

Exit status: 0 success, 1 a problem was reported, 2 wrong usage."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check documents and say what they configure
    Validate(Validate),
    /// Print the Envoy configuration of the documents as JSON
    Render(Render),
    /// Run the gateway in the foreground, and follow changes of its documents
    Run(Run),
    /// Show what a gateway on this machine serves, and whether its documents are in force
    Status(Status),
    /// Make certificates, or look at those of a server
    Certs {
        #[command(subcommand)]
        command: Certs,
    },
    /// Become Envoy, and die with the process that asked for it
    #[command(hide = true)]
    ExecEnvoy(ExecEnvoy),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Documents {
    /// KafkaVirtualCluster and KafkaTargetCluster documents: a YAML file, or a directory of *.yaml and *.yml files. May be repeated.
    /// ${VAR} and ${VAR:default} in values come from the environment
    #[arg(short = 'f', long = "file", value_name = "FILE|DIR", required = true, num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,

    /// Port of Envoy's admin interface, on 127.0.0.1; with `run`, 0 takes any free port
    #[arg(long, value_name = "PORT", default_value_t = 9901)]
    pub(crate) admin_port: u16,
}

impl Documents {
    pub(crate) fn admin(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.admin_port))
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Module {
    /// The gateway's wasm module [default: bifrost_adapter.wasm beside this program, then in
    /// target/wasm32-wasip1/wasm]
    #[arg(long, value_name = "PATH", env = "BIFROST_MODULE")]
    pub(crate) module: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    #[command(flatten)]
    pub(crate) documents: Documents,
}

#[derive(Debug, Args)]
pub(crate) struct Render {
    #[command(flatten)]
    pub(crate) documents: Documents,

    #[command(flatten)]
    pub(crate) module: Module,

    /// Write to FILE, by rename, instead of standard output; what it names beside it goes to the folder `secrets` there
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) documents: Documents,

    #[command(flatten)]
    pub(crate) module: Module,

    /// The Envoy binary [default: .tools/envoy-1.40.0/envoy, then `envoy` in PATH]
    #[arg(long, value_name = "PATH", env = "BIFROST_ENVOY")]
    pub(crate) envoy: Option<PathBuf>,

    /// Worker threads of Envoy [default: one per CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) concurrency: Option<u32>,

    /// Lowest level of log lines to show
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = LogLevel::Info)]
    pub(crate) log_level: LogLevel,

    /// Show Envoy's own log lines below warning too
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// How long Envoy may take to become ready
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) start_timeout: u64,

    /// Folder for what the gateway writes while it runs: status.json and metrics.prom, among others. It is made if it is not
    /// there [default: a private one below TMPDIR, removed at the end]
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,

    /// How long connections may go on when their virtual cluster was removed, or its ports or its TLS changed
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) drain_time: u64,

    /// How long Envoy may take to stop before it is killed
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) stop_timeout: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Envoy's admin interface
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9901", conflicts_with = "directory")]
    pub(crate) admin: String,

    /// The folder that was given to `bifrost run`
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,

    /// How to print it
    #[arg(short = 'o', long = "output", value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct ExecEnvoy {
    /// Process id of the supervisor
    #[arg(long)]
    pub(crate) parent: i32,

    /// Envoy and its arguments
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub(crate) fn filter(self) -> LevelFilter {
        match self {
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Trace => LevelFilter::TRACE,
        }
    }

    /// Envoy's name for the level.
    pub(crate) fn envoy(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warning",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
