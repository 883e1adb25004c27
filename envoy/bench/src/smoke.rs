//! `bench smoke`: every workload against its targets, in rounds.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::endpoint::Endpoint;
use crate::measure::{look_up, step};
use crate::report::{Record, Report};
use crate::target::{Files, Places, Target};
use crate::workload::{SMOKE, Workload, named};

pub(crate) const NODES: usize = 2;

/// A Fetch that gives its topic's id.
const LOOK_UP: &str = "fetch v17 16 KiB";

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    places: Places,
    #[arg(long, default_value_t = 6)]
    rounds: usize,
    /// Counted time of one workload against one target.
    #[arg(long, default_value_t = 400)]
    step_ms: u64,
    /// Only these workloads, by the names in the table.
    #[arg(long, value_delimiter = ',')]
    workloads: Vec<String>,
    /// Fail when a budget is exceeded; on a shared machine noise alone may do that.
    #[arg(long)]
    enforce: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let workloads = if options.workloads.is_empty() { SMOKE.to_vec() } else { named(&options.workloads)? };
    let files = options.places.files()?;
    let report = Report::new(measure(options, &workloads, &files)?);
    print!("{report}");
    let raw = files.work.join("smoke.json");
    fs::write(&raw, serde_json::to_vec_pretty(&report)?)?;
    println!("raw figures: {}", raw.display());
    if options.enforce && report.is_over_budget() {
        bail!("over budget");
    }
    Ok(())
}

fn measure(options: &Options, workloads: &[Workload], files: &Files) -> Result<Vec<Record>> {
    let endpoint = Endpoint::start(NODES)?;
    let mut proxies = [Target::Bare, Target::Addresses, Target::Tenancy];
    let steps: usize = workloads.iter().map(|workload| workload.targets.len()).sum();
    let bar = ProgressBar::new((options.rounds * steps) as u64)
        .with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}")?);
    let mut records = Vec::new();
    for round in 0..options.rounds {
        // New processes each round: where the allocator happens to put things is part of the noise.
        let mut running = Vec::new();
        for target in proxies.into_iter().chain([Target::Direct]) {
            if !workloads.iter().any(|workload| workload.targets.contains(&target)) {
                continue;
            }
            bar.set_message(format!("starting {}", target.name()));
            let started = target.start(files, &endpoint).with_context(|| target.name())?;
            if target == Target::Tenancy {
                look_up(&named(&[LOOK_UP])?[0], &started, &endpoint)
                    .context("a topic that the gateway has not seen")?;
            }
            running.push((target, started));
        }
        for workload in workloads {
            for (target, running) in running.iter().filter(|(target, _)| workload.targets.contains(target)) {
                bar.set_message(format!("{} {}", workload.name, target.name()));
                let sample = step(workload, running, &endpoint, Duration::from_millis(options.step_ms))
                    .with_context(|| format!("round {round}, {} through {}", workload.name, target.name()))?;
                records.push(Record { round, workload: *workload, target: *target, sample });
                bar.inc(1);
            }
        }
        // Whatever drifts, drifts against each of them in turn.
        proxies.rotate_left(1);
    }
    bar.finish_and_clear();
    Ok(records)
}
