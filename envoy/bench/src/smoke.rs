//! `bench smoke`: every workload against every target, in rounds.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cpu::{self, Side};
use crate::endpoint::Endpoint;
use crate::measure::step;
use crate::report::{Record, Report};
use crate::target::{Files, Target};
use crate::workload::SMOKE;

const NODES: usize = 2;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Envoy's executable.
    #[arg(long, env = "BIFROST_E2E_ENVOY", default_value = ".tools/envoy-1.40.0/envoy")]
    envoy: PathBuf,
    /// The module, as `make wasm` builds it.
    #[arg(long, env = "BIFROST_E2E_MODULE", default_value = "target/wasm32-wasip1/wasm/bifrost_adapter.wasm")]
    module: PathBuf,
    /// Where configurations, logs and results go.
    #[arg(long, default_value = "target/bench")]
    output: PathBuf,
    #[arg(long, default_value_t = 6)]
    rounds: usize,
    /// Counted time of one workload against one target.
    #[arg(long, default_value_t = 500)]
    step_ms: u64,
    /// Fail when a budget is exceeded; on a shared machine noise alone may do that.
    #[arg(long)]
    enforce: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    for file in [&options.envoy, &options.module] {
        ensure!(
            file.exists(),
            "{} is missing: `make wasm` builds the module and fetches Envoy's executable",
            file.display()
        );
    }
    fs::create_dir_all(&options.output)?;
    let files = Files {
        envoy: options.envoy.clone(),
        module: options.module.canonicalize()?,
        work: options.output.canonicalize()?,
        cores: cpu::cores()?,
    };
    cpu::bind(&files.cores, Side::LoadAndEndpoint)?;
    let report = Report::new(measure(options, &files)?);
    print!("{report}");
    let raw = options.output.join("smoke.json");
    fs::write(&raw, serde_json::to_vec_pretty(&report)?)?;
    println!("raw figures: {}", raw.display());
    if options.enforce && report.is_over_budget() {
        bail!("over budget");
    }
    Ok(())
}

fn measure(options: &Options, files: &Files) -> Result<Vec<Record>> {
    let endpoint = Endpoint::start(NODES)?;
    let mut targets = [Target::Bare, Target::Addresses, Target::Direct];
    let bar = ProgressBar::new((options.rounds * targets.len() * SMOKE.len()) as u64)
        .with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}")?);
    let mut records = Vec::new();
    for round in 0..options.rounds {
        // New processes each round: where the allocator happens to put things is part of the noise.
        let mut running = Vec::new();
        for target in targets {
            bar.set_message(format!("starting {}", target.name()));
            running.push((target, target.start(files, &endpoint).with_context(|| target.name())?));
        }
        for workload in SMOKE {
            for (target, running) in &running {
                bar.set_message(format!("{} {}", workload.name, target.name()));
                let sample = step(workload, running, &endpoint, Duration::from_millis(options.step_ms))
                    .with_context(|| format!("round {round}, {} through {}", workload.name, target.name()))?;
                records.push(Record { round, workload: *workload, target: *target, sample });
                bar.inc(1);
            }
        }
        // Whatever drifts, drifts against each of the two in turn.
        targets.swap(0, 1);
    }
    bar.finish_and_clear();
    Ok(records)
}
