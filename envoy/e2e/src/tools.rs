//! Where the third-party tools and our own artifacts are. The Makefile knows, and says so in the environment.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

/// Paths of everything that a run needs. Unless otherwise said they exist; what a run needs nothing of may be empty.
#[derive(Clone, Debug, Default)]
pub struct Tools {
    pub envoy: PathBuf,
    /// Jars of Kafka: brokers and Java clients.
    pub kafka_libs: PathBuf,
    /// Jars of older brokers. Only tests need them, so they need not exist.
    pub kafka_3_9_libs: PathBuf,
    pub kafka_2_8_libs: PathBuf,
    /// Compiled classes of `clients/java`.
    pub java_client: PathBuf,
    pub go_client: PathBuf,
    /// Our program on librdkafka.
    pub rdkafka_client: PathBuf,
    /// Library for programs on the C library: it takes names under `.test` for this machine.
    pub resolver: PathBuf,
    /// Interpreter that has `kafka-python`.
    pub python: PathBuf,
    /// The wasm module.
    pub module: PathBuf,
    /// Our command.
    pub bifrost: PathBuf,
    /// Data and logs of test runs.
    pub runs: PathBuf,
}

impl Tools {
    /// Reads the environment. What is missing is an error, never a reason to skip a test.
    pub fn from_environment() -> Result<Tools> {
        let runs = PathBuf::from(variable("BIFROST_E2E_RUNS")?);
        std::fs::create_dir_all(&runs).with_context(|| format!("{} cannot be made", runs.display()))?;
        Ok(Tools {
            envoy: existing("BIFROST_E2E_ENVOY")?,
            kafka_libs: existing("BIFROST_E2E_KAFKA_LIBS")?,
            kafka_3_9_libs: variable("BIFROST_E2E_KAFKA_3_9_LIBS")?.into(),
            kafka_2_8_libs: variable("BIFROST_E2E_KAFKA_2_8_LIBS")?.into(),
            java_client: existing("BIFROST_E2E_JAVA_CLIENT")?,
            go_client: existing("BIFROST_E2E_GO_CLIENT")?,
            rdkafka_client: existing("BIFROST_E2E_RDKAFKA")?,
            resolver: existing("BIFROST_E2E_RESOLVER")?,
            python: existing("BIFROST_E2E_PYTHON")?,
            module: existing("BIFROST_E2E_MODULE")?,
            bifrost: existing("BIFROST_E2E_BIFROST")?,
            runs,
        })
    }
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set: start this through `make e2e` or `make demo`"))
}

fn existing(name: &str) -> Result<PathBuf> {
    let path = PathBuf::from(variable(name)?);
    ensure!(path.exists(), "{} is missing: run `make tools build`", path.display());
    Ok(path)
}
