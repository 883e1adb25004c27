//! `bifrost run`: check everything, start Envoy, stay until it ends or is to end.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bifrost_config::{Gateway, RenderOptions, Rendered};
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};

use crate::admin;
use crate::arguments::Run;
use crate::child::Envoy;
use crate::documents::{PemFiles, counted, describe, gateway};
use crate::envoy;
use crate::output::print;
use crate::sockets;
use crate::system_ca;

pub(crate) fn run(arguments: &Run) -> Result<ExitCode> {
    let Some(gateway) = gateway(&arguments.documents, PemFiles::Here) else { return Ok(ExitCode::FAILURE) };
    let found = envoy::find(arguments.envoy.as_deref())?;
    let admin = arguments.documents.admin();
    let module = envoy::module(&arguments.module)?;
    let system_ca = system_ca::needed(&gateway)?;
    let unavailable = sockets::unavailable(&gateway, admin);
    if !unavailable.is_empty() {
        for sentence in unavailable {
            eprintln!("error: {sentence}");
        }
        return Ok(ExitCode::FAILURE);
    }
    // Readable for this user only, and removed when this function returns.
    let directory = tempfile::Builder::new()
        .prefix("bifrost-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir()
        .context("no temporary directory")?;
    let folder = directory.path().to_str().context("the path of the temporary directory is not UTF-8")?.to_owned();
    let options = RenderOptions { module, admin, folder, system_ca, ..RenderOptions::default() };
    let Rendered { bootstrap, files } = bifrost_config::render(&gateway, &options)?;
    for (name, text) in files {
        write_private(&directory.path().join(name), &text)?;
    }
    write_private(&envoy::configuration_file(directory.path()), &bootstrap)?;
    // One thread, the main one: see `Envoy::start`.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(supervise(&gateway, &found, directory.path(), arguments))
}

async fn supervise(gateway: &Gateway, found: &envoy::Envoy, directory: &Path, arguments: &Run) -> Result<ExitCode> {
    let mut stop = Stop::new()?;
    let started = Instant::now();
    let start_timeout = Duration::from_secs(arguments.start_timeout);
    let count = counted(gateway.virtual_clusters.len(), "virtual cluster");
    tracing::info!("starting Envoy {} with {count}", found.version);
    let mut child = Envoy::start(envoy::command(found, directory, arguments), arguments.verbose)?;

    let ready = tokio::select! {
        address = timeout(start_timeout, wait_until_ready(envoy::admin_file(directory), started)) => address,
        status = child.ended() => return died(child, status?).await,
        () = stop.asked() => return stop_envoy(child, stop, arguments).await,
    };
    let Ok(address) = ready else {
        eprintln!("error: Envoy is not ready after {} s (--start-timeout); it is stopped", arguments.start_timeout);
        stop_envoy(child, stop, arguments).await?;
        return Ok(ExitCode::FAILURE);
    };
    print(&screen(gateway, found, &child, &address, started.elapsed()))?;

    tokio::select! {
        status = child.ended() => died(child, status?).await,
        () = stop.asked() => stop_envoy(child, stop, arguments).await,
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
    let clusters: String = gateway.virtual_clusters.iter().map(|cluster| describe(cluster) + "\n").collect();
    format!(
        "\nThe gateway is ready (Envoy {}, process {}, {:.1} s).\n\n{clusters}  admin  http://{admin}\n  stop   Ctrl-C, or kill {}\n\n",
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

/// The signals that ask this program to end.
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Stop {
    fn new() -> Result<Stop> {
        Ok(Stop {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// A signal a second or more after the first: `timeout` and terminals send the same one twice at once.
    async fn asked_again(&mut self) {
        let first = Instant::now();
        self.asked().await;
        while first.elapsed() < Duration::from_secs(1) {
            self.asked().await;
        }
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

fn write_private(file: &Path, text: &str) -> Result<()> {
    if let Some(folder) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(file)?;
    Ok(file.write_all(text.as_bytes())?)
}
