//! What a commit is made of: its module, and its `bifrost` command, which renders the configuration that fits it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::target::Build;

const WASM: &str = "wasm32-wasip1";
const MODULE: &str = "bifrost_adapter.wasm";
const COMMAND: &str = "bifrost";
const HASH_DIGITS: usize = 12;

/// Builds a commit below `folder`, unless it is built already: a commit never changes.
pub(super) fn build(label: &str, commit: &str, folder: &Path) -> Result<Build> {
    let built = folder.join(commit);
    let build = Build { name: format!("{label} {commit}"), module: built.join(MODULE), bifrost: built.join(COMMAND) };
    if build.module.exists() && build.bifrost.exists() {
        eprintln!("== {} is built already", build.name);
        return Ok(build);
    }
    fs::create_dir_all(&built).with_context(|| format!("cannot make {}", built.display()))?;
    let source = Worktree::add(built.join("source"), commit)?;
    // One for all commits: what they depend on is compiled once.
    let target = folder.join("target");
    let cargo = Cargo { source: &source.path, target: &target };
    eprintln!("== {}: building the module", build.name);
    cargo.build(&["-p", "bifrost-adapter", "--profile", "wasm", "--target", WASM])?;
    replace(&target.join(WASM).join("wasm").join(MODULE), &build.module)?;
    eprintln!("== {}: building the bifrost command", build.name);
    cargo.build(&["-p", "bifrost-cli"])?;
    replace(&target.join("debug").join(COMMAND), &build.bifrost)?;
    Ok(build)
}

/// The first digits of a commit's hash.
pub(super) fn resolve(revision: &str) -> Result<String> {
    let revision_of = format!("{revision}^{{commit}}");
    // Whatever it looks like, it is a revision and no option.
    let output = git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &revision_of])?;
    let commit = output.with_context(|| format!("there is no commit '{revision}' in this repository"))?;
    Ok(commit.chars().take(HASH_DIGITS).collect())
}

/// A commit's files, beside those of the repository; removed with this value.
struct Worktree {
    path: PathBuf,
}

impl Worktree {
    fn add(path: PathBuf, commit: &str) -> Result<Self> {
        // One that a killed process has left.
        let worktree = Self { path };
        worktree.remove();
        let path = worktree.path.to_str().context("path of the worktree is no text")?;
        git(&["worktree", "add", "--quiet", "--force", "--detach", path, commit])?
            .with_context(|| format!("git cannot check {commit} out at {path}"))?;
        Ok(worktree)
    }

    fn remove(&self) {
        if let Some(path) = self.path.to_str().filter(|_| self.path.exists()) {
            // What is left is in the way of the next attempt only, which tries again.
            let _ = git(&["worktree", "remove", "--force", path]);
        }
    }
}

impl Drop for Worktree {
    fn drop(&mut self) {
        self.remove();
    }
}

struct Cargo<'a> {
    source: &'a Path,
    target: &'a Path,
}

impl Cargo<'_> {
    /// Cargo's own progress is shown.
    fn build(&self, arguments: &[&str]) -> Result<()> {
        let status = Command::new("cargo")
            .arg("build")
            .args(arguments)
            .arg("--locked")
            .arg("--target-dir")
            .arg(self.target)
            .current_dir(self.source)
            // The commit's own toolchain file decides, not the toolchain that this program was started with.
            .env_remove("RUSTUP_TOOLCHAIN")
            .status()
            .context("cannot run cargo")?;
        ensure!(status.success(), "cargo build {} failed in {}", arguments.join(" "), self.source.display());
        Ok(())
    }
}

/// The first line that git prints, or `None` when it fails.
fn git(arguments: &[&str]) -> Result<Option<String>> {
    let output = Command::new("git").args(arguments).output().context("cannot run git")?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        return Ok(None);
    }
    let text = String::from_utf8(output.stdout).context("what git prints")?;
    Ok(Some(text.lines().next().unwrap_or_default().to_owned()))
}

/// By rename: a file that is there is complete.
fn replace(from: &Path, to: &Path) -> Result<()> {
    let partial = to.with_extension("partial");
    if !from.exists() {
        bail!("cargo has not made {}", from.display());
    }
    fs::copy(from, &partial).with_context(|| format!("cannot write {}", partial.display()))?;
    fs::rename(&partial, to).with_context(|| format!("cannot write {}", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_that_is_not_there_is_named() {
        for revision in ["no-such-branch", "--help", "", "HEAD:Makefile"] {
            let error = resolve(revision).unwrap_err().to_string();
            assert!(error.contains(&format!("'{revision}'")), "{error}");
        }
    }
}
