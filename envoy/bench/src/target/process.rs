//! A proxy's process: started, waited for, measured, ended.

use std::cell::{Cell, OnceCell};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::Files;
use crate::cpu::{self, Process, Side};
use crate::processes::{self, Memory};

/// A process is at rest when it takes less than this much of this much time ...
const REST_CPU_MAX: Duration = Duration::from_millis(2);
const REST: Duration = Duration::from_millis(50);
/// ... and is measured anyway when it never is.
const REST_WAIT_MAX: Duration = Duration::from_secs(3);

/// What is started, and when it is given up.
pub(super) struct Launch {
    pub(super) command: Command,
    pub(super) output: PathBuf,
    /// Standard error, which is shown when the process does not serve.
    pub(super) log: PathBuf,
    pub(super) workers: usize,
    pub(super) ready_within: Duration,
}

/// A running proxy; it and its children end with this value.
pub(crate) struct Proxy {
    child: Child,
    pub(crate) started: Started,
    at_rest: OnceCell<Memory>,
    held: Cell<Option<Held>>,
}

/// Memory with connections that did nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) connections: usize,
    pub(crate) memory: Memory,
}

/// How it started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Started {
    /// From the start of the process to the first answer through it.
    pub(crate) after: Duration,
    /// User and system time until then.
    pub(crate) cpu: Duration,
}

impl Launch {
    /// Starts the process and waits until `ready` says so.
    pub(super) fn start(self, files: &Files, ready: impl Fn() -> bool) -> Result<Proxy> {
        let mut command = processes::dying_with_us(&self.command);
        command.stdout(create(&self.output)?).stderr(create(&self.log)?);
        cpu::bind(&files.cores, if self.workers == 1 { Side::Proxy } else { Side::All })?;
        let started = Instant::now();
        let child = command.spawn();
        cpu::bind(&files.cores, Side::LoadAndEndpoint)?;
        let child = child.context("cannot start setpriv, which belongs to util-linux")?;
        let mut proxy = Proxy { child, started: Started::default(), at_rest: OnceCell::new(), held: Cell::new(None) };
        while !ready() {
            let ended = proxy.child.try_wait()?;
            if ended.is_some() || started.elapsed() > self.ready_within {
                let what = match ended {
                    Some(status) => format!("ended with {status}"),
                    None => format!("does not serve after {:?}", self.ready_within),
                };
                let program = self.command.get_program().display();
                bail!("{program} {what}, see {}:\n{}", self.log.display(), last_lines(&self.log));
            }
            thread::sleep(Duration::from_millis(5));
        }
        let after = started.elapsed();
        proxy.started = Started { after, cpu: Process::now(proxy.pid())?.cpu };
        Ok(proxy)
    }
}

impl Proxy {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        Memory::of(self.pid())
    }

    /// Its memory before it had anything to do: asked for the first time before any load.
    pub(crate) fn memory_at_rest(&self) -> Result<Memory> {
        if let Some(memory) = self.at_rest.get() {
            return Ok(*memory);
        }
        self.rest()?;
        let memory = self.memory()?;
        Ok(*self.at_rest.get_or_init(|| memory))
    }

    /// The most connections that it was seen with so far.
    pub(crate) fn held(&self) -> Option<Held> {
        self.held.get()
    }

    pub(crate) fn remember(&self, held: Held) {
        self.held.set(Some(held));
    }

    /// Waits until it has nothing to do.
    pub(crate) fn rest(&self) -> Result<()> {
        let began = Instant::now();
        let mut before = Process::now(self.pid())?.cpu;
        while began.elapsed() < REST_WAIT_MAX {
            thread::sleep(REST);
            let now = Process::now(self.pid())?.cpu;
            if now.saturating_sub(before) < REST_CPU_MAX {
                break;
            }
            before = now;
        }
        Ok(())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Nothing to do about processes that are gone already.
        let descendants = processes::tree(self.pid()).unwrap_or_default();
        for pid in descendants.into_iter().skip(1) {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn create(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("cannot write {}", path.display()))
}

fn last_lines(log: &Path) -> String {
    let mut text = String::new();
    // The log is a courtesy; without it the first line of the error has to do.
    let _ = File::open(log).and_then(|mut file| file.read_to_string(&mut text));
    let lines: Vec<_> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(20)).copied().collect::<Vec<_>>().join("\n")
}
