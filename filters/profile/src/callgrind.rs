//! Runs the workloads under Callgrind and reads what it has counted.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use indicatif::ProgressIterator as _;

use crate::boundary::{OUTSIDE, PART_ENDS, TOGGLES};
use crate::drive::Way;

/// What Callgrind's files are called; a number follows.
const PARTS: &str = "callgrind.out";

/// What Callgrind has counted in one direction of a workload through a chain.
pub(crate) struct Part {
    /// Instructions of the data path, all requests together.
    pub(crate) instructions: u64,
    /// Callgrind's own output.
    pub(crate) file: PathBuf,
}

/// Counts the instructions of `expected` runs by starting this program again, as `<program> drive <arguments>`. That prints
/// a line for each run; a run gives a part for each direction. Parts of an earlier measurement are removed from `folder`.
///
/// # Errors
/// When Valgrind cannot be run, or does not count what is expected.
pub(crate) fn measure(folder: &Path, expected: usize, arguments: &[&str]) -> Result<Vec<Part>> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let file = entry?.path();
        if file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PARTS)) {
            fs::remove_file(&file).with_context(|| format!("removing {}", file.display()))?;
        }
    }
    let out = folder.join(PARTS);
    let log = folder.join("valgrind.log");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet", "--collect-atstart=no"]);
    command.args(TOGGLES.map(|name| format!("--toggle-collect={name}")));
    command.arg(format!("--dump-before={PART_ENDS}"));
    command.arg(format!("--callgrind-out-file={}", out.display()));
    command.arg(format!("--log-file={}", log.display()));
    command.arg(std::env::current_exe().context("finding this program")?).arg("drive").args(arguments);
    let mut child =
        command.stdout(Stdio::piped()).spawn().context("running valgrind (Debian: apt install valgrind)")?;
    let stdout = child.stdout.take().context("reading what valgrind prints")?;
    for line in BufReader::new(stdout).lines().progress_count(expected as u64) {
        line.context("reading what valgrind prints")?;
    }
    let status = child.wait().context("waiting for valgrind")?;
    ensure!(status.success(), "valgrind ended with {status}: see {}", log.display());

    let part = |number: usize| folder.join(format!("{PARTS}.{number}"));
    let count = expected * Way::ALL.len();
    ensure!(!part(count + 1).exists(), "Callgrind has written more than {count} parts into {}", folder.display());
    (1..=count).map(|number| Part::read(part(number))).collect()
}

impl Part {
    fn read(file: PathBuf) -> Result<Self> {
        let bytes = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        let text = String::from_utf8_lossy(&bytes);
        let totals = text.lines().find_map(|line| line.strip_prefix("totals: "));
        let instructions = totals.and_then(|totals| totals.trim().parse().ok()).unwrap_or(0);
        ensure!(instructions > 0, "{}: Callgrind has counted nothing", file.display());
        ensure!(!text.contains(OUTSIDE), "{}: Callgrind has counted functions of {OUTSIDE}", file.display());
        Ok(Part { instructions, file })
    }

    /// The instructions of each function in each source file, as `callgrind_annotate` tells them.
    ///
    /// # Errors
    /// When it cannot be run.
    pub(crate) fn functions(&self) -> Result<Vec<Spent>> {
        let mut command = Command::new("callgrind_annotate");
        command.args(["--auto=no", "--threshold=100"]).arg(&self.file);
        let output = command.output().context("running callgrind_annotate, a part of Valgrind")?;
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            bail!("callgrind_annotate {}: {}", self.file.display(), error.trim());
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let lines = text.lines().skip_while(|line| !line.contains("file:function"));
        let spent: Vec<Spent> =
            lines.filter_map(Spent::parse).filter(|spent| spent.instructions < self.instructions).collect();
        ensure!(!spent.is_empty(), "callgrind_annotate {} lists no function", self.file.display());
        Ok(spent)
    }
}

/// What was spent in a function, as far as its code stems from one source file.
#[derive(Debug, PartialEq)]
pub(crate) struct Spent {
    pub(crate) instructions: u64,
    pub(crate) source: String,
    pub(crate) function: String,
}

impl Spent {
    /// Reads `1,234 ( 5.6%)  file:function [object]`; other lines give `None`.
    fn parse(line: &str) -> Option<Spent> {
        let (instructions, rest) = line.trim().split_once(" (")?;
        let (_, place) = rest.split_once("%)")?;
        let (source, function) = place.trim().split_once(':')?;
        let function = function.split_once(" [").map_or(function, |(function, _)| function);
        Some(Spent {
            instructions: instructions.replace(',', "").parse().ok()?,
            source: source.to_owned(),
            function: function.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_callgrind_annotate_is_read() {
        let line = " 15,440 ( 5.79%)  /src/walker.rs:bifrost_core::walker::Walker::next [/target/bifrost-profile]";
        let spent = Spent::parse(line).unwrap();
        assert_eq!(spent.instructions, 15_440);
        assert_eq!(
            (spent.source.as_str(), spent.function.as_str()),
            ("/src/walker.rs", "bifrost_core::walker::Walker::next")
        );
        assert_eq!(Spent::parse("Ir                file:function"), None);
    }
}
