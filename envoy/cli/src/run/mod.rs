//! `bifrost run`: check everything, start Envoy, follow the documents, stay until it ends or is to end.

mod directory;
mod discovery;
mod generation;
mod reload;
mod server;
mod signals;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bifrost_config::{Gateway, RenderOptions, discovery_bootstrap};
use nix::sys::signal::Signal;
use tokio::time::{sleep, timeout};

use self::directory::RunDirectory;
use self::discovery::{Discovery, Refusal};
use self::generation::Generation;
use self::reload::{Reloads, in_force};
use self::signals::Stop;
use self::watch::Watch;
use crate::arguments::Run;
use crate::child::Envoy;
use crate::description::Description;
use crate::documents::{PemFiles, counted, gateway};
use crate::output::print;
use crate::state::{self, Changes, EnvoyProcess, State};
use crate::{admin, envoy, sockets};

pub(crate) fn run(mut arguments: Run) -> Result<ExitCode> {
    let watch = Watch::new(&arguments.documents.files);
    let Some(gateway) = gateway(&arguments.documents, PemFiles::Here) else { return Ok(ExitCode::FAILURE) };
    let found = envoy::find(arguments.envoy.as_deref())?;
    arguments.module.module = Some(envoy::module(&arguments.module)?.into());
    let directory = RunDirectory::new(arguments.directory.as_deref())?;
    let admin = arguments.documents.admin();
    let first = match (Generation::new(gateway, &arguments, &directory, None), sockets::admin_unavailable(admin)) {
        (Ok(first), None) => first,
        (first, admin_unavailable) => {
            for sentence in first.err().into_iter().flatten().chain(admin_unavailable) {
                eprintln!("error: {sentence}");
            }
            return Ok(ExitCode::FAILURE);
        }
    };
    let options = RenderOptions { admin, ..RenderOptions::default() };
    directory.write_bootstrap(&discovery_bootstrap(&options, &directory.socket()))?;
    // One thread, the main one: see `Envoy::start`.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(supervise(first, &found, &directory, &arguments, watch))
}

async fn supervise(
    first: Generation,
    found: &envoy::Envoy,
    directory: &RunDirectory,
    arguments: &Run,
    watch: Watch,
) -> Result<ExitCode> {
    let (mut stop, mut hangup) = (Stop::new()?, signals::hangup()?);
    let started = Instant::now();
    let count = counted(first.gateway.virtual_clusters.len(), "virtual cluster");
    let discovery = Arc::new(Discovery::new());
    discovery.publish(&first.resources);
    server::serve(&directory.socket(), &discovery).context("Envoy has nowhere to ask for its configuration")?;
    tracing::info!("starting Envoy {} with {count}", found.version);
    let mut child = Envoy::start(envoy::command(found, directory.path(), arguments), arguments.verbose)?;
    let complaints = child.complaints().clone();

    let patience = Duration::from_secs(arguments.start_timeout);
    let ready = async {
        let address = wait_until_ready(envoy::admin_file(directory.path()), started);
        let address = tokio::select! {
            address = timeout(patience, address) => address,
            // Envoy would get ready all the same, without what it has refused.
            refusal = refusal(&discovery) => return Err(reload::refused(&refusal, &complaints).await),
        };
        let late = format!("Envoy is not ready after {} s (--start-timeout)", arguments.start_timeout);
        let address = address.map_err(|_| vec![late])?;
        let left = patience.saturating_sub(started.elapsed());
        in_force(&discovery, &complaints, &address, left).await.map(|()| address)
    };
    let ready = tokio::select! {
        ready = ready => ready,
        status = child.ended() => return died(child, status?).await,
        () = stop.asked() => return stop_envoy(child, stop, arguments).await,
    };
    let address = match ready {
        Ok(address) => address,
        Err(reasons) => {
            for reason in reasons {
                eprintln!("error: {reason}");
            }
            eprintln!("error: Envoy is stopped");
            stop_envoy(child, stop, arguments).await?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let screen = screen(&first.gateway, found, &child, &address, started.elapsed());
    let state = state_of(&first, found, &child, address, arguments);
    directory.write_state(&state)?;
    print(&screen)?;

    let mut reloads = Reloads { run: arguments, directory, discovery: &discovery, complaints, in_force: first, state };
    tokio::select! {
        status = child.ended() => died(child, status?).await,
        () = stop.asked() => stop_envoy(child, stop, arguments).await,
        done = reloads.follow(watch, &mut hangup) => {
            let code = stop_envoy(child, stop, arguments).await;
            done.context("the state of the gateway cannot be written down")?;
            code
        }
    }
}

/// What Envoy refuses of its first configuration.
async fn refusal(discovery: &Discovery) -> Refusal {
    match discovery.settled().await {
        Err(refusal) => refusal,
        Ok(()) => std::future::pending().await,
    }
}

fn state_of(first: &Generation, found: &envoy::Envoy, child: &Envoy, admin: String, arguments: &Run) -> State {
    let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    State {
        process: std::process::id(),
        envoy: EnvoyProcess { version: found.version.clone(), process: child.pid().as_raw() },
        admin,
        documents: arguments.documents.files.iter().map(absolute).collect(),
        generation: state::Generation { number: 1, hash: first.hash(), since: state::now() },
        changes: Changes::default(),
        refused: None,
        virtual_clusters: first.gateway.virtual_clusters.iter().map(Description::of).collect(),
    }
}

/// Envoy's admin address, once it serves every port.
async fn wait_until_ready(address_file: PathBuf, started: Instant) -> String {
    const STEP: Duration = Duration::from_millis(50);
    const PROGRESS: Duration = Duration::from_secs(5);
    let mut told = started;
    loop {
        if let Some(address) = admin::ready(address_file.clone()).await {
            return address;
        }
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            tracing::info!("waiting for Envoy, {} s so far", started.elapsed().as_secs());
        }
        sleep(STEP).await;
    }
}

/// What an operator wants to know now, on one screen.
fn screen(gateway: &Gateway, found: &envoy::Envoy, child: &Envoy, admin: &str, took: Duration) -> String {
    let clusters: String =
        gateway.virtual_clusters.iter().map(|cluster| format!("{}\n", Description::of(cluster))).collect();
    format!(
        "\nThe gateway is ready (Envoy {}, process {}, {:.1} s).\n\n{clusters}  admin  http://{admin}\n  stop   Ctrl-C, or kill {}\n\n\
         Changes of the documents come into force by themselves; `bifrost status` tells.\n\n",
        found.version,
        child.pid(),
        took.as_secs_f64(),
        std::process::id()
    )
}

/// Envoy has ended and was not asked to. It is not started again: whoever supervises this program decides that.
async fn died(child: Envoy, status: std::process::ExitStatus) -> Result<ExitCode> {
    let lines = child.last_lines().await;
    eprintln!("error: Envoy ended by itself ({status}); its last lines:");
    for line in lines {
        eprintln!("  {line}");
    }
    Ok(ExitCode::FAILURE)
}

/// SIGTERM, patience, SIGKILL; a second signal to this program ends the patience.
async fn stop_envoy(mut child: Envoy, mut stop: Stop, arguments: &Run) -> Result<ExitCode> {
    tracing::info!("stopping Envoy");
    child.signal(Signal::SIGTERM);
    let patience = sleep(Duration::from_secs(arguments.stop_timeout));
    tokio::select! {
        _ = child.ended() => {
            tracing::info!("stopped");
            return Ok(ExitCode::SUCCESS);
        }
        () = patience => tracing::warn!("Envoy did not stop within {} s and is killed", arguments.stop_timeout),
        () = stop.asked_again() => tracing::warn!("asked again: Envoy is killed"),
    }
    child.signal(Signal::SIGKILL);
    child.ended().await?;
    Ok(ExitCode::SUCCESS)
}
