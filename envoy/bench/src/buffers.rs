//! `bench buffers`: the same workloads with other limits of Envoy's buffers.
//!
//! A change deep in Envoy's buffer costs reading and writing back what lies before it, so a smaller buffer may be
//! cheaper under tenancy; a smaller buffer also means more and smaller reads, for bare Envoy too.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::endpoint::Endpoint;
use crate::measure::{Sample, step};
use crate::report::{spread, table};
use crate::smoke::NODES;
use crate::statistics::Spread;
use crate::target::{Files, Places, Running, Target};
use crate::workload::{BUFFERS, Workload, named};

/// Most KiB that still fit Envoy's field in bytes.
const SIZE_KIB_MAX: u32 = u32::MAX / 1024;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    places: Places,
    #[arg(long, default_value_t = 6)]
    rounds: usize,
    /// Counted time of one workload against one target.
    #[arg(long, default_value_t = 500)]
    step_ms: u64,
    /// Values of `per_connection_buffer_limit_bytes`, for listeners and clusters alike.
    #[arg(long, value_delimiter = ',', default_value = "128,256,512,1024",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(SIZE_KIB_MAX)))]
    sizes_kib: Vec<u32>,
    /// Workloads of `bench smoke`, by name.
    #[arg(long, value_delimiter = ',', default_values = BUFFERS)]
    workloads: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    round: usize,
    workload: Workload,
    target: Target,
    buffer_kib: u32,
    sample: Sample,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(!options.sizes_kib.is_empty(), "no sizes");
    let workloads = named(&options.workloads)?;
    let files = options.places.files()?;
    let records = measure(options, &workloads, &files)?;
    println!("Medians [least - most] of all rounds. CPU seconds of Envoy per gigabyte, or per million requests.\n");
    print!("{}", summary(options, &workloads, &records));
    let raw = files.work.join("buffers.json");
    fs::write(&raw, serde_json::to_vec_pretty(&records)?)?;
    println!("\nraw figures: {}", raw.display());
    Ok(())
}

/// Rounds as in `bench smoke`; within one, the targets of all sizes take turns.
fn measure(options: &Options, workloads: &[Workload], files: &Files) -> Result<Vec<Record>> {
    let endpoint = Endpoint::start(NODES)?;
    let mut variants: Vec<(u32, Target)> =
        options.sizes_kib.iter().flat_map(|kib| [(*kib, Target::Bare), (*kib, Target::Tenancy)]).collect();
    let bar = ProgressBar::new((options.rounds * variants.len() * workloads.len()) as u64)
        .with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}")?);
    let mut records = Vec::new();
    for round in 0..options.rounds {
        let mut running = Vec::new();
        for (kib, target) in &variants {
            bar.set_message(format!("starting {} with {kib} KiB", target.name()));
            running.push((*kib, *target, start(*kib, *target, files, &endpoint)?));
        }
        for workload in workloads {
            for (kib, target, running) in &running {
                bar.set_message(format!("{} {} {kib} KiB", workload.name, target.name()));
                let sample = step(workload, running, &endpoint, Duration::from_millis(options.step_ms))
                    .with_context(|| format!("{} through {} with {kib} KiB", workload.name, target.name()))?;
                records.push(Record { round, workload: *workload, target: *target, buffer_kib: *kib, sample });
                bar.inc(1);
            }
        }
        // An odd number, so that neither sizes nor targets keep their places.
        let turn = 3 % variants.len();
        variants.rotate_left(turn);
    }
    bar.finish_and_clear();
    Ok(records)
}

fn start(kib: u32, target: Target, files: &Files, endpoint: &Endpoint) -> Result<Running> {
    let work = files.work.join(format!("buffer-{kib}-kib"));
    target.start(&Files { work, buffer_bytes: Some(kib * 1024), ..files.clone() }, endpoint)
}

fn summary(options: &Options, workloads: &[Workload], records: &[Record]) -> String {
    let reference = options.sizes_kib.iter().max().copied().unwrap_or_default();
    let mut rows = vec![[
        "workload".to_owned(),
        "buffer".to_owned(),
        "CPU bare".to_owned(),
        "CPU tenancy".to_owned(),
        "tenancy / bare".to_owned(),
        format!("bare / bare with {reference}"),
        format!("tenancy / tenancy with {reference}"),
        "MB/s bare".to_owned(),
        "MB/s tenancy".to_owned(),
    ]];
    for workload in workloads {
        for kib in &options.sizes_kib {
            let cpu = |round, target, kib| {
                let sample = sample(records, round, workload, target, kib)?;
                sample.cpu_seconds_per(workload.unit)
            };
            let of = |figure: &dyn Fn(usize) -> Option<f64>, digits| {
                spread(Spread::of((0..options.rounds).filter_map(figure)), digits)
            };
            let ratio = |over: (Target, u32), under: (Target, u32)| {
                of(&|round| Some(cpu(round, over.0, over.1)? / cpu(round, under.0, under.1)?), 2)
            };
            let speed = |target| {
                of(&|round| sample(records, round, workload, target, *kib).map(Sample::megabytes_per_second), 0)
            };
            let (bare, tenancy) = (Target::Bare, Target::Tenancy);
            rows.push([
                workload.name.to_owned(),
                format!("{kib} KiB"),
                of(&|round| cpu(round, bare, *kib), 3),
                of(&|round| cpu(round, tenancy, *kib), 3),
                ratio((tenancy, *kib), (bare, *kib)),
                ratio((bare, *kib), (bare, reference)),
                ratio((tenancy, *kib), (tenancy, reference)),
                speed(bare),
                speed(tenancy),
            ]);
        }
    }
    table(&rows)
}

fn sample<'a>(
    records: &'a [Record],
    round: usize,
    workload: &Workload,
    target: Target,
    kib: u32,
) -> Option<&'a Sample> {
    let is_it = |record: &&Record| {
        (record.round, record.workload.name, record.target, record.buffer_kib) == (round, workload.name, target, kib)
    };
    records.iter().find(is_it).map(|record| &record.sample)
}
