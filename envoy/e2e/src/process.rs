//! Child processes that never outlive us: not after a panic, not after SIGKILL.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// A child in a process group of its own. Dropping it sends its death signal, and soon kills the group.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    death_signal: Signal,
    log: PathBuf,
}

impl Process {
    /// Starts `command`. The kernel sends it `death_signal` when we die. Output is appended to `log`.
    pub fn spawn(name: &str, command: &Command, death_signal: Signal, log: &Path) -> Result<Process> {
        let mut wrapped = dying_with_us(command, death_signal);
        let output = File::options().create(true).append(true).open(log)?;
        wrapped.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = spawn(wrapped).with_context(|| format!("{name} cannot be started"))?;
        Ok(Process { name: name.to_owned(), child, death_signal, log: log.to_owned() })
    }

    pub fn pid(&self) -> i32 {
        pid(&self.child)
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    /// An error, with the end of its log, when it has ended.
    pub fn check_running(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                bail!("{} ended ({status}); its log {} ends with\n{}", self.name, self.log.display(), tail(&self.log))
            }
        }
    }

    /// Asks it to end and waits; kills it when it takes longer than `patience`.
    pub fn stop(mut self, patience: Duration) -> Result<()> {
        signal_group(&mut self.child, Signal::SIGTERM);
        if wait(&mut self.child, patience)?.is_none() {
            end(&mut self.child);
            bail!("{} did not stop within {patience:?} and was killed", self.name);
        }
        Ok(())
    }

    /// Ends it at once, as a crash would.
    pub fn kill(mut self) {
        end(&mut self.child);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        const PATIENCE: Duration = Duration::from_secs(5);
        signal_group(&mut self.child, self.death_signal);
        let _ = wait(&mut self.child, PATIENCE);
        end(&mut self.child);
    }
}

/// Kills the child's whole group and reaps the child.
pub(crate) fn end(child: &mut Child) {
    signal_group(child, Signal::SIGKILL);
    let _ = child.wait();
}

/// `command` in a group of its own, and with a parent death signal.
pub(crate) fn dying_with_us(command: &Command, death_signal: Signal) -> Command {
    // setpriv belongs to util-linux. It replaces itself by the command, so the process id is the command's.
    let mut wrapped = Command::new("setpriv");
    wrapped.args(["--pdeathsig", death_signal.as_str(), "--"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped.process_group(0);
    wrapped
}

/// Starts `command` on a thread that lives as long as this process: the death signal follows the thread
/// that started the child, and the thread of a test ends with its test.
pub(crate) fn spawn(mut command: Command) -> io::Result<Child> {
    type Job = Box<dyn FnOnce() + Send>;
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        std::thread::spawn(move || jobs.iter().for_each(|job| job()));
        sender
    });
    let (sender, result) = mpsc::channel();
    let job = Box::new(move || {
        let _ = sender.send(command.spawn());
    });
    spawner.send(job).map_err(|_| io::Error::other("the spawning thread has ended"))?;
    result.recv().map_err(io::Error::other)?
}

/// Waits for the end, at most `patience`.
pub(crate) fn wait(child: &mut Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The last lines of a file.
pub fn tail(file: &Path) -> String {
    const LINES: usize = 30;
    let text = std::fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// Nothing when the child is reaped: its number may be somebody else's by now.
fn signal_group(child: &mut Child, signal: Signal) {
    if matches!(child.try_wait(), Ok(None)) {
        let _ = killpg(Pid::from_raw(pid(child)), signal);
    }
}

fn pid(child: &Child) -> i32 {
    i32::try_from(child.id()).expect("Linux process ids fit 22 bits")
}
