//! A process with all that descend from it: who they are, and their memory.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The process and its descendants, itself first: a peer may be a script that starts others.
pub(crate) fn tree(pid: u32) -> Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").context("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // It may have ended since.
        if let Some(parent) = fs::read_to_string(format!("/proc/{pid}/stat")).ok().and_then(|stat| parent(&stat)) {
            parents.push((pid, parent));
        }
    }
    let mut tree = vec![pid];
    let mut at = 0;
    while let Some(ancestor) = tree.get(at).copied() {
        tree.extend(parents.iter().filter(|(_, parent)| *parent == ancestor).map(|(pid, _)| pid));
        at += 1;
    }
    Ok(tree)
}

/// The fourth field of `/proc/PID/stat`; the second is a name in brackets that may hold anything, see proc(5).
fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Memory of a process and its descendants. What they share is counted once for each.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) resident_kib: u64,
    /// The most that was resident since the start, or since `reset_peak`.
    pub(crate) peak_kib: u64,
}

impl Memory {
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let mut sum = Self::default();
        for pid in tree(pid)? {
            let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { continue };
            // A process that has ended and is not waited for has no memory any more.
            sum.resident_kib += kib(&status, "VmRSS:").unwrap_or_default();
            sum.peak_kib += kib(&status, "VmHWM:").unwrap_or_default();
        }
        anyhow::ensure!(sum.resident_kib > 0, "process {pid} has ended");
        Ok(sum)
    }

    pub(crate) fn resident_mib(self) -> f64 {
        self.resident_kib as f64 / 1024.0
    }

    pub(crate) fn peak_mib(self) -> f64 {
        self.peak_kib as f64 / 1024.0
    }
}

fn kib(status: &str, field: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(field)?.split_whitespace().next()?.parse().ok())
}

/// From now on the peak is counted anew: 5 in `clear_refs`, see proc(5).
pub(crate) fn reset_peak(pid: u32) -> Result<()> {
    for pid in tree(pid)? {
        let path = format!("/proc/{pid}/clear_refs");
        fs::write(&path, "5").with_context(|| format!("cannot write {path}"))?;
    }
    Ok(())
}

/// Sockets and other files that the process and its descendants have open.
pub(crate) fn open_files(pid: u32) -> Result<usize> {
    Ok(tree(pid)?.into_iter().filter_map(|pid| fs::read_dir(format!("/proc/{pid}/fd")).ok()).map(Iterator::count).sum())
}

/// How many files one process may open. This process, and those that it starts, get all that they are allowed.
pub(crate) fn allow_open_files() -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Without it the limit is as it was, and the first connection too many says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX)
}

/// The same command, which the kernel kills when this program has ended, however it did. Its process id is the command's:
/// setpriv replaces itself.
pub(crate) fn dying_with_us(command: &Command) -> Command {
    let mut wrapped = Command::new("setpriv");
    wrapped.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        wrapped.current_dir(directory);
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_process_is_known_with_its_children() {
        let mut shell = Command::new("sh").args(["-c", "sleep 60 & sleep 60"]).stdin(Stdio::null()).spawn().unwrap();
        let found = (0..200).find_map(|_| {
            thread::sleep(Duration::from_millis(10));
            tree(shell.id()).ok().filter(|tree| tree.len() == 3)
        });
        let tree = found.expect("a shell and two children");
        assert_eq!(tree[0], shell.id());
        let (alone, all) = (Memory::of(tree[1]).unwrap(), Memory::of(shell.id()).unwrap());
        assert!(alone.resident_kib > 0 && all.resident_kib > alone.resident_kib, "{alone:?} {all:?}");
        for pid in tree {
            Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
        }
        shell.wait().unwrap();
    }

    #[test]
    fn a_name_in_brackets_may_hold_brackets() {
        assert_eq!(parent("7 (a) b (c)) S 42 7 7"), Some(42));
        assert_eq!(parent("7 (a"), None);
    }

    #[test]
    fn the_peak_is_at_least_what_is_resident() {
        reset_peak(std::process::id()).unwrap();
        let Memory { resident_kib, peak_kib } = Memory::of(std::process::id()).unwrap();
        assert!(resident_kib > 100 && peak_kib >= resident_kib, "{resident_kib} {peak_kib}");
    }
}
