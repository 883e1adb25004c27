//! The `bifrost` command: checks virtual clusters, renders them for Envoy, and runs them.
#![forbid(unsafe_code)]

mod admin;
mod arguments;
mod certs;
mod child;
mod description;
mod documents;
mod envoy;
mod envoy_log;
mod output;
mod run;
mod sockets;
mod state;
mod status;
mod system_ca;

use std::process::ExitCode;

use clap::Parser;
use tracing::level_filters::LevelFilter;

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_target(false)
        // After SIGHUP of a terminal that went away there is nobody to tell.
        .log_internal_errors(false)
        .with_max_level(match &arguments.command {
            Command::Run(run) => run.log_level.filter(),
            _ => LevelFilter::INFO,
        })
        .init();
    let done = match arguments.command {
        Command::Validate(validate) => output::validate(&validate),
        Command::Render(render) => output::render(&render),
        Command::Run(run) => run::run(run),
        Command::Status(status) => status::status(&status),
        Command::Certs { command } => certs::certs(&command),
        Command::ExecEnvoy(exec) => child::exec(&exec),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
