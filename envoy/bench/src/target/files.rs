//! What the processes are started with: executables, modules, and where their files go.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rustix::thread::CpuSet;

use crate::cpu::{self, Side};
#[cfg(feature = "real-kafka")]
use crate::kafka_cluster::Jars;
use crate::processes::allow_open_files;

/// Where things are found and put.
#[derive(clap::Args)]
pub(crate) struct Places {
    /// Envoy's executable.
    #[arg(long, env = "BIFROST_E2E_ENVOY", default_value = ".tools/envoy-1.40.0/envoy")]
    envoy: PathBuf,
    /// The module, as `make wasm` builds it.
    #[arg(long, env = "BIFROST_E2E_MODULE", default_value = "target/wasm32-wasip1/wasm/bifrost_adapter.wasm")]
    module: PathBuf,
    /// The module of the floor targets, as `make wasm-floor` builds it.
    #[arg(long, env = "BIFROST_BENCH_FLOOR", default_value = "target/wasm32-wasip1/wasm/bifrost_bench_floor.wasm")]
    floor_module: PathBuf,
    #[cfg(feature = "real-kafka")]
    #[command(flatten)]
    jars: Jars,
    /// Where configurations, logs and results go.
    #[arg(long, default_value = "target/bench")]
    output: PathBuf,
}

impl Places {
    /// The folder for what is written.
    pub(crate) fn output(&self) -> Result<PathBuf> {
        fs::create_dir_all(&self.output).with_context(|| format!("cannot make {}", self.output.display()))?;
        Ok(self.output.canonicalize()?)
    }

    pub(crate) fn files(&self) -> Result<Files> {
        self.files_with_module(&self.module)
    }

    /// The same with another module. Checks and makes them, and leaves the proxy's core to the proxy.
    pub(crate) fn files_with_module(&self, module: &Path) -> Result<Files> {
        for file in [&self.envoy, module] {
            ensure!(
                file.exists(),
                "{} is missing: `make wasm` builds the module and fetches Envoy's executable",
                file.display()
            );
        }
        let work = self.output()?;
        allow_open_files();
        let files = Files {
            envoy: self.envoy.clone(),
            module: module.canonicalize()?,
            // Looked for when a plan uses it.
            floor_module: self.floor_module.clone(),
            #[cfg(feature = "real-kafka")]
            jars: self.jars.clone(),
            work,
            cores: cpu::cores()?,
        };
        cpu::bind(&files.cores, Side::LoadAndEndpoint)?;
        Ok(files)
    }
}

/// What the processes are started with.
#[derive(Clone)]
pub(crate) struct Files {
    pub(crate) envoy: PathBuf,
    pub(crate) module: PathBuf,
    pub(crate) floor_module: PathBuf,
    #[cfg(feature = "real-kafka")]
    pub(crate) jars: Jars,
    pub(crate) work: PathBuf,
    pub(crate) cores: CpuSet,
}
