//! Where Envoy and the module are, and how Envoy is called.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail};

use crate::arguments::{Module, Run};
use crate::envoy_log;

/// Where the project's own tooling puts the Envoy it is tested with.
const TOOL: &str = ".tools/envoy-1.40.0/envoy";
const MODULE: &str = "bifrost_adapter.wasm";
const BUILT_MODULE: &str = "target/wasm32-wasip1/wasm/bifrost_adapter.wasm";

/// An Envoy that runs on this machine.
#[derive(Debug)]
pub(crate) struct Envoy {
    pub(crate) path: PathBuf,
    /// Such as `1.40.0`; what it printed when that cannot be told.
    pub(crate) version: String,
}

/// Finds Envoy and asks for its version, which shows that it runs.
pub(crate) fn find(wanted: Option<&Path>) -> Result<Envoy> {
    const HELP: &str = "install Envoy 1.40 and name it with --envoy PATH or BIFROST_ENVOY";
    let path = match wanted {
        Some(path) if path.is_file() => path.to_owned(),
        Some(path) => bail!("there is no Envoy at {}; {HELP}", path.display()),
        None => installed().with_context(|| format!("no Envoy found at {TOOL} or in PATH; {HELP}"))?,
    };
    let path = std::path::absolute(&path)?;
    let output = Command::new(&path)
        .arg("--version")
        .output()
        .map_err(|error| anyhow!("{} cannot be run: {error}; {HELP}", path.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() || text.is_empty() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        bail!("{} does not run as Envoy ({}): {said}; {HELP}", path.display(), output.status);
    }
    Ok(Envoy { path, version: version(&text).unwrap_or(&text).to_owned() })
}

/// From `<path>  version: <commit>/<version>/<tree>/<build>/<tls library>`.
fn version(text: &str) -> Option<&str> {
    text.split_once("version: ")?.1.split('/').nth(1)
}

fn installed() -> Option<PathBuf> {
    let tool = PathBuf::from(TOOL);
    if tool.is_file() {
        return Some(tool);
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join("envoy")).find(|file| file.is_file())
}

/// The module for a gateway that starts now: it must be there.
pub(crate) fn module(arguments: &Module) -> Result<String> {
    let path = match &arguments.module {
        Some(path) if path.is_file() => path.clone(),
        Some(path) => bail!("there is no module at {}", path.display()),
        None => built_module().with_context(|| {
            format!("no module found beside this program or at {BUILT_MODULE}; build it, or name it with --module PATH or BIFROST_MODULE")
        })?,
    };
    text(&path)
}

/// The module for a configuration that may be used elsewhere: a name is enough.
pub(crate) fn module_for_render(arguments: &Module) -> Result<String> {
    match &arguments.module {
        Some(path) => path.to_str().map(str::to_owned).context("the path of the module is not UTF-8"),
        None => match built_module() {
            Some(path) => text(&path),
            None => {
                tracing::warn!("no module found; the configuration names '{MODULE}' (set it with --module PATH)");
                Ok(MODULE.to_owned())
            }
        },
    }
}

fn built_module() -> Option<PathBuf> {
    let beside = env::current_exe().ok().and_then(|program| Some(program.parent()?.join(MODULE)));
    beside.into_iter().chain([PathBuf::from(BUILT_MODULE)]).find(|path| path.is_file())
}

fn text(path: &Path) -> Result<String> {
    let absolute = std::path::absolute(path)?;
    absolute.to_str().map(str::to_owned).context("the path of the module is not UTF-8")
}

/// Envoy's command line. `directory` is private to this run.
pub(crate) fn command(envoy: &Envoy, directory: &Path, run: &Run) -> Vec<OsString> {
    let mut command: Vec<OsString> = vec![envoy.path.clone().into()];
    let mut option = |name: &str, value: OsString| command.extend([name.into(), value]);
    option("-c", configuration_file(directory).into());
    option("--admin-address-path", admin_file(directory).into());
    option("--log-format", envoy_log::FORMAT.into());
    option("--log-level", "info".into());
    option("--component-log-level", format!("wasm:{}", run.log_level.envoy()).into());
    option("--drain-time-s", run.drain_time.to_string().into());
    if let Some(workers) = run.concurrency {
        option("--concurrency", workers.to_string().into());
    }
    // Shared memory and sockets of hot restart would tie gateways on one machine together.
    command.push("--disable-hot-restart".into());
    command
}

pub(crate) fn configuration_file(directory: &Path) -> PathBuf {
    directory.join("envoy.json")
}

/// Where Envoy writes the address of its admin interface once it is open.
pub(crate) fn admin_file(directory: &Path) -> PathBuf {
    directory.join("admin-address")
}
