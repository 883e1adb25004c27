//! One folder per run for data and logs. A run removes what earlier runs left.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::tools::Tools;

/// The folder of this process. Logs stay in it until a later run begins.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// `name` says what runs; the process id keeps concurrent runs apart.
    pub fn create(tools: &Tools, name: &str) -> Result<RunDir> {
        remove_finished(&tools.runs);
        let path = tools.runs.join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(RunDir { path })
    }

    /// A new folder in this one.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn remove_finished(runs: &Path) {
    for entry in std::fs::read_dir(runs).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.rsplit('-').next()).unwrap_or_default();
        if !Path::new("/proc").join(pid).exists() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
