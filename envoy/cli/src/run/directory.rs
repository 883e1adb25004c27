//! The folder of one run: what Envoy is started with, the socket where it asks, and what is told about the run.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use bifrost_config::content_hash;
use tempfile::{NamedTempFile, TempDir};

use crate::envoy;
use crate::state::{METRICS_FILE, STATE_FILE, State};

/// Name of the folder of modules.
const MODULES: &str = "modules";

/// The path of a Unix domain socket has at most so many bytes.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// The folder. What is in it for the time of the run only goes when this is dropped.
#[derive(Debug)]
pub(crate) struct RunDirectory {
    path: PathBuf,
    _temporary: Option<TempDir>,
    /// Locked for as long as the gateway runs.
    _lock: File,
}

impl RunDirectory {
    /// Makes the folder, for this user only, or takes the one that is wanted.
    pub(crate) fn new(wanted: Option<&Path>) -> Result<RunDirectory> {
        let (path, temporary) = match wanted {
            Some(path) => {
                let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
                made.with_context(|| format!("the folder {} cannot be made", path.display()))?;
                (std::path::absolute(path)?, None)
            }
            None => {
                let private = Permissions::from_mode(0o700);
                let directory = tempfile::Builder::new().prefix("bifrost-").permissions(private).tempdir();
                let directory = directory.context("no temporary directory")?;
                (directory.path().to_owned(), Some(directory))
            }
        };
        let lock = path.join("lock");
        let lock = File::create(&lock).with_context(|| format!("{} cannot be written", lock.display()))?;
        if lock.try_lock().is_err() {
            bail!("another gateway runs with the folder {}", path.display());
        }
        let directory = RunDirectory { path, _temporary: temporary, _lock: lock };
        // What a run that was killed has left.
        directory.clear();
        if directory.socket().as_os_str().len() > SOCKET_PATH_BYTES_MAX {
            bail!(
                "the path of the folder {} is too long for a socket in it; choose another with --directory",
                directory.path.display()
            );
        }
        Ok(directory)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where Envoy asks for its configuration.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path.join("discovery.sock")
    }

    /// Envoy's bootstrap.
    pub(crate) fn write_bootstrap(&self, text: &str) -> io::Result<()> {
        self.replace(&envoy::configuration_file(&self.path), text.as_bytes(), 0o600)
    }

    /// Takes a copy of the module, so that a file that changes later changes nothing here. The name of the copy says what is in
    /// it: another content is another file.
    pub(crate) fn keep_module(&self, module: &Path) -> Result<String> {
        let bytes = fs::read(module).with_context(|| format!("the module {} cannot be read", module.display()))?;
        let stem = module.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let copy = self.path.join(MODULES).join(format!("{stem}-{}.wasm", content_hash(&bytes)));
        if !copy.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(self.path.join(MODULES))?;
            self.replace(&copy, &bytes, 0o600).with_context(|| format!("{} cannot be written", copy.display()))?;
        }
        copy.to_str().map(str::to_owned).context("the path of the module is not UTF-8")
    }

    /// Tells `bifrost status` and Prometheus.
    pub(crate) fn write_state(&self, state: &State) -> Result<()> {
        let text = serde_json::to_string_pretty(state)?;
        self.replace(&self.path.join(STATE_FILE), text.as_bytes(), 0o600)?;
        self.replace(&self.path.join(METRICS_FILE), state.metrics().as_bytes(), 0o644)?;
        Ok(())
    }

    /// By rename: whoever reads it gets all of it.
    fn replace(&self, file: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        let mut temporary: NamedTempFile = tempfile::Builder::new()
            .prefix(".bifrost-")
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(file.parent().unwrap_or(&self.path))?;
        temporary.write_all(bytes)?;
        temporary.persist(file)?;
        Ok(())
    }

    fn clear(&self) {
        let metrics = self.path.join(METRICS_FILE);
        let files = [self.socket(), envoy::admin_file(&self.path), self.path.join(STATE_FILE), metrics];
        let files = files.iter().map(|file| (file.clone(), fs::remove_file(file)));
        let modules = self.path.join(MODULES);
        for (path, removed) in files.chain([(modules.clone(), fs::remove_dir_all(modules))]) {
            match removed {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    tracing::warn!("{} cannot be removed: {error}", path.display());
                }
                _ => {}
            }
        }
    }
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        self.clear();
    }
}
