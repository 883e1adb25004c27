//! Certificates and keys on disk: all of them or none, and none by accident.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::output::stage;

/// Files that are to be written together.
#[derive(Default)]
pub(super) struct Files(Vec<Planned>);

struct Planned {
    path: PathBuf,
    text: String,
    mode: u32,
}

impl Files {
    /// Plans a file for everyone, as far as the umask allows.
    pub(super) fn certificate(&mut self, path: PathBuf, text: String) {
        self.0.push(Planned { path, text, mode: 0o666 });
    }

    /// Plans a file for its owner only.
    pub(super) fn key(&mut self, path: PathBuf, text: String) {
        self.0.push(Planned { path, text, mode: 0o600 });
    }

    /// Writes all files beside their places and renames them when the last one is complete. Without `replace` nothing is
    /// written when one of them is there already.
    pub(super) fn write(self, directory: &Path, replace: bool) -> Result<()> {
        let mut there: Vec<String> =
            self.0.iter().filter(|file| exists(&file.path)).map(|file| file.path.display().to_string()).collect();
        if !replace && !there.is_empty() {
            there.sort();
            let verb = if there.len() == 1 { "is" } else { "are" };
            bail!("{} {verb} already there; use --force to replace, or another --output directory", there.join(", "));
        }
        fs::create_dir_all(directory).with_context(|| format!("{} cannot be made", directory.display()))?;
        let mut staged = Vec::new();
        for Planned { path, text, mode } in self.0 {
            let file = stage(&path, &text, mode).with_context(|| format!("{} cannot be written", path.display()))?;
            staged.push((file, path));
        }
        for (file, path) in staged {
            let done = if replace { file.persist(&path) } else { file.persist_noclobber(&path) };
            done.map_err(|error| error.error).with_context(|| format!("{} cannot be written", path.display()))?;
        }
        Ok(())
    }
}

/// Whether there is anything of that name, be it a link to nowhere.
pub(super) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
