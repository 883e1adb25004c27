//! Where and what a run was.

use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Machine {
    /// Start of the run.
    pub(crate) unix_time: u64,
    /// Commit of the working tree, with `-dirty` when it was changed; empty outside of a repository.
    pub(crate) commit: String,
    pub(crate) processor: String,
    /// Whether the processor says that a hypervisor is under it.
    #[serde(default)]
    pub(crate) is_virtual: bool,
    pub(crate) cores: usize,
    pub(crate) memory_mib: u64,
    pub(crate) kernel: String,
    /// Of TCP on this machine.
    pub(crate) congestion_control: String,
    /// Version and kind of build.
    pub(crate) envoy: String,
}

impl Machine {
    pub(crate) fn this(envoy: &std::path::Path) -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let processors = read("/proc/cpuinfo");
        let models = || processors.lines().filter_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let memory = read("/proc/meminfo");
        let memory_kib: u64 = memory
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok())
            .unwrap_or_default();
        Self {
            unix_time: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_secs()),
            commit: first_line(Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=10"])),
            processor: models().next().map(|(_, name)| name.trim().to_owned()).unwrap_or_default(),
            is_virtual: processors
                .lines()
                .find_map(|line| line.strip_prefix("flags")?.split_once(':'))
                .is_some_and(|(_, flags)| flags.split_whitespace().any(|flag| flag == "hypervisor")),
            cores: models().count(),
            memory_mib: memory_kib / 1024,
            kernel: read("/proc/sys/kernel/osrelease"),
            congestion_control: read("/proc/sys/net/ipv4/tcp_congestion_control"),
            envoy: envoy_version(&first_line(Command::new(envoy).arg("--version"))),
        }
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let started = SystemTime::UNIX_EPOCH + Duration::from_secs(self.unix_time);
        let kind = if self.is_virtual { "virtual machine" } else { "machine" };
        write!(
            out,
            "Started {}, commit {}, on a {kind} with {} cores ({}), {} GiB of memory, Linux {}, TCP with {}, Envoy {}.",
            humantime::format_rfc3339_seconds(started),
            self.commit,
            self.cores,
            self.processor,
            self.memory_mib.div_ceil(1024),
            self.kernel,
            self.congestion_control,
            self.envoy,
        )
    }
}

/// Of a line like `envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`; all of it when it is another.
fn envoy_version(line: &str) -> String {
    let mut words = line.rsplit_once(' ').map_or(line, |(_, version)| version).split('/').skip(1);
    match (words.next(), words.nth(1)) {
        (Some(version), Some(build)) => format!("{version} {build}"),
        _ => line.to_owned(),
    }
}

/// Empty when the command fails: a run without these words is still a run.
fn first_line(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_of_envoy_stands_without_its_path() {
        let line = "/some/where/envoy  version: 9e5580933739/1.40.0/Clean/RELEASE/BoringSSL";
        assert_eq!(envoy_version(line), "1.40.0 RELEASE");
        assert_eq!(envoy_version("something else"), "something else");
        assert_eq!(envoy_version(""), "");
    }
}
