//! Envoy as a child that cannot outlive this program.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;
use tracing::Level;

use crate::arguments::ExecEnvoy;
use crate::envoy_log::Line;

/// How many of Envoy's last lines are kept for the case that it dies.
const LAST_LINES: usize = 15;

/// How many warnings and errors are kept for the case that it refuses something.
const COMPLAINTS_MAX: usize = 20;

/// What Envoy has said of late at warning or above, connections left aside.
#[derive(Clone, Default)]
pub(crate) struct Complaints(Arc<Mutex<Vec<String>>>);

impl Complaints {
    /// Gives them away.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn hear(&self, line: &Line<'_>) {
        let is_of_configuration = line.virtual_cluster.is_none() || line.message.contains("configuration refused");
        let mut complaints = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // More severe is less.
        if is_of_configuration && line.level <= Level::WARN && complaints.len() < COMPLAINTS_MAX {
            complaints.push(line.message.to_owned());
        }
    }
}

/// A running Envoy.
pub(crate) struct Envoy {
    child: Child,
    pid: Pid,
    complaints: Complaints,
    log: JoinHandle<VecDeque<String>>,
}

impl Envoy {
    /// Starts `command` through [`exec`]. Call it on the main thread: the kernel ties the child's life to the
    /// thread that made it.
    pub(crate) fn start(command: Vec<OsString>, verbose: bool) -> Result<Envoy> {
        raise_open_files();
        let mut child = Command::new(std::env::current_exe()?)
            .args(["exec-envoy", "--parent", &std::process::id().to_string(), "--"])
            .args(command)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C in a terminal goes to the whole foreground group; it is ours to pass on.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("Envoy cannot be started")?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).context("Envoy has no process id")?;
        let stderr = child.stderr.take().context("Envoy has no standard error")?;
        let complaints = Complaints::default();
        let log = tokio::spawn(show(stderr, verbose, complaints.clone()));
        Ok(Envoy { child, pid: Pid::from_raw(pid), complaints, log })
    }

    pub(crate) fn complaints(&self) -> &Complaints {
        &self.complaints
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits until Envoy has ended. Cancel safe.
    pub(crate) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // It may have ended already.
        let _ = kill(self.pid, signal);
    }

    /// The last lines of its log, once it has ended.
    pub(crate) async fn last_lines(self) -> Vec<String> {
        match tokio::time::timeout(Duration::from_secs(1), self.log).await {
            Ok(Ok(lines)) => lines.into(),
            _ => Vec::new(),
        }
    }
}

async fn show(stderr: ChildStderr, verbose: bool, complaints: Complaints) -> VecDeque<String> {
    let mut last = VecDeque::with_capacity(LAST_LINES);
    let mut lines = BufReader::new(stderr).split(b'\n');
    while let Ok(Some(bytes)) = lines.next_segment().await {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let line = Line::parse(&text);
        line.show(verbose);
        complaints.hear(&line);
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(text);
    }
    last
}

/// A socket for every port and worker, and two for every client: the soft limit is often 1024.
fn raise_open_files() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // With the old limit the gateway still starts and serves fewer clients.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Becomes Envoy. The kernel kills it when the supervisor dies, however that happens.
pub(crate) fn exec(arguments: &ExecEnvoy) -> Result<ExitCode> {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).context("the parent death signal cannot be set")?;
    if Pid::parent().as_raw() != arguments.parent {
        bail!("the supervisor is gone");
    }
    let (program, rest) = arguments.command.split_first().context("no command")?;
    let error = std::process::Command::new(program).args(rest).exec();
    Err(error).with_context(|| format!("{} cannot be run", program.display()))
}
