//! The commands of `bifrost-bench`.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use crate::compare::Compare;
use crate::endpoint::Endpoint;
use crate::plan::{self, Names, Plan};
use crate::record::Run;
use crate::report;
use crate::run::{self, NODES};
use crate::target::{Places, read_peers};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Two to three minutes: the large effects, and that nothing is lost.
    Smoke(Smoke),
    /// At most half an hour: everything that BENCHMARKS.md reports.
    Full(Full),
    /// Envoy's settings: those that the gateway renders against others, which it could render.
    Settings(Settings),
    /// Two commits: builds both, runs both in alternating rounds, and says which differences are significant.
    Compare(Compare),
    /// Tables and plots of a run that was written before.
    Report(Report),
    /// The synthetic endpoint alone, until stopped: for real clients, with topics live-0 to live-7 and the group bench.
    Endpoint,
}

#[derive(Args)]
pub(crate) struct Smoke {
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    selection: Selection,
    #[arg(long, default_value_t = 6)]
    rounds: usize,
    /// Counted time of one case against one target.
    #[arg(long, default_value_t = 400)]
    step_ms: u64,
    /// Fail when a budget is exceeded; on a shared machine noise alone may do that.
    #[arg(long)]
    enforce: bool,
}

#[derive(Args)]
pub(crate) struct Full {
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    selection: Selection,
    /// Rounds of `exchanges` and `latency`, where differences are small; the other stages take part in six of them.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(5..))]
    rounds: u64,
}

#[derive(Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    selection: Selection,
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(5..))]
    rounds: u64,
    /// Counted time of one case with one setting.
    #[arg(long, default_value_t = 400)]
    step_ms: u64,
}

#[derive(Args)]
pub(crate) struct Report {
    /// What `smoke` or `full` has written.
    run: PathBuf,
    /// Replace the generated parts of this document, which stand between `<!-- bench:NAME -->` and
    /// `<!-- /bench:NAME -->`; otherwise the report is printed.
    #[arg(long)]
    into: Option<PathBuf>,
    /// Draw plots into this folder.
    #[arg(long)]
    plots: Option<PathBuf>,
    /// Print a comparison of two targets instead: the second as a multiple of the first.
    #[arg(long, num_args = 2, value_names = ["TARGET", "TARGET"], conflicts_with_all = ["into", "plots"])]
    compare: Option<Vec<String>>,
}

/// A part of a plan, and what to measure beside it.
#[derive(Args)]
struct Selection {
    /// Only these stages, by name, with commas between them.
    #[arg(long, value_parser = plan::names, value_name = "NAMES")]
    stages: Option<Names>,
    /// Only these cases, by the names in the table, with commas between them but no spaces: names may hold ", ".
    #[arg(long, value_parser = plan::names, value_name = "NAMES")]
    cases: Option<Names>,
    /// Measure other proxies, too, as this file describes them: envoy/bench/peers.example.yaml says how.
    #[arg(long, value_name = "FILE")]
    peers: Option<PathBuf>,
}

impl Command {
    pub(crate) fn run(&self) -> Result<()> {
        match self {
            Self::Endpoint => {
                let endpoint = Endpoint::start(NODES)?;
                for (node, address) in endpoint.nodes.iter().enumerate() {
                    println!("node {node}: {address}");
                }
                loop {
                    thread::park();
                }
            }
            Self::Smoke(options) => {
                let plan = plan::smoke(options.rounds, Duration::from_millis(options.step_ms));
                let is_over_budget = measure(&options.selection.of(plan)?, &options.places, "smoke.json")?;
                if options.enforce && is_over_budget {
                    bail!("over budget");
                }
                Ok(())
            }
            Self::Full(options) => {
                let plan = plan::full(usize::try_from(options.rounds)?);
                measure(&options.selection.of(plan)?, &options.places, "full.json").map(drop)
            }
            Self::Settings(options) => {
                let rounds = usize::try_from(options.rounds)?;
                let plan = plan::settings(rounds, Duration::from_millis(options.step_ms));
                measure(&options.selection.of(plan)?, &options.places, "settings.json").map(drop)
            }
            Self::Compare(options) => options.run(),
            Self::Report(options) => options.run(),
        }
    }
}

/// Runs a plan and writes its figures; says whether a budget was exceeded.
fn measure(plan: &Plan, places: &Places, file: &str) -> Result<bool> {
    let files = places.files()?;
    let run = run::run(plan, &files)?;
    let raw: PathBuf = files.work.join(file);
    run.write(&raw)?;
    print!("{}", report::text(&run));
    println!("raw figures: {}", raw.display());
    Ok(report::is_over_budget(&run))
}

impl Report {
    fn run(&self) -> Result<()> {
        let run = Run::read(&self.run)?;
        if let Some([before, after]) = self.compare.as_deref() {
            print!("{}", report::comparison(&run, before, after)?);
            return Ok(());
        }
        for file in self.plots.iter().map(|folder| report::plot(&run, folder)).collect::<Result<Vec<_>>>()?.concat() {
            println!("drawn: {}", file.display());
        }
        match &self.into {
            Some(document) => report::write_into(document, &run, &self.run, self.plots.as_deref()),
            None => {
                print!("{}", report::text(&run));
                Ok(())
            }
        }
    }
}

impl Selection {
    fn of(&self, mut plan: Plan) -> Result<Plan> {
        if let Some(file) = &self.peers {
            let peers = read_peers(file, &plan.targets(), NODES)?;
            plan = plan.with_peers(&peers);
        }
        plan.part(self.stages.as_ref(), self.cases.as_ref())
    }
}
