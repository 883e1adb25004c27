//! Shows what the data path costs: host calls and copied bytes for each request, instructions, and where they go.
//!
//! It is the native build that is measured, which is no module: figures compare one state of the code with another, and one
//! workload with another; they are not what Envoy spends.

mod boundary;
mod callgrind;
mod drive;
mod report;
mod workload;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Parser, Subcommand};

use crate::drive::{Chain, Counts, Way};
use crate::workload::Workload;

/// Shows what the data path costs for each request.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: What,
}

#[derive(Subcommand)]
enum What {
    /// Host calls and bytes copied.
    Calls(Chosen),
    /// Host calls, then instructions as Callgrind counts them, and where those go.
    All {
        #[command(flatten)]
        chosen: Chosen,
        /// The folder for Callgrind's own output.
        #[arg(long)]
        out: PathBuf,
        /// The workload whose functions are listed, when no workload is chosen.
        #[arg(long, default_value = "produce v12 256 KiB")]
        shown: String,
        /// How many functions are listed.
        #[arg(long, default_value_t = 10)]
        top: usize,
    },
    /// Runs the workloads and prints a line for each: what is to be run under Callgrind.
    #[command(hide = true)]
    Drive(Chosen),
}

#[derive(Args)]
struct Chosen {
    /// Only this workload, for example "produce v12 256 KiB".
    #[arg(long)]
    workload: Option<String>,
}

impl Chosen {
    fn workloads(&self) -> Result<Vec<Workload>> {
        let all = workload::all();
        let Some(name) = &self.workload else { return Ok(all) };
        Ok(vec![find(&all, name)?])
    }
}

fn find(all: &[Workload], name: &str) -> Result<Workload> {
    if let Some(found) = all.iter().find(|workload| workload.name() == name) {
        return Ok(*found);
    }
    let names: Vec<String> = all.iter().map(|workload| format!("  {}", workload.name())).collect();
    bail!("no workload is called {name:?}; there are\n{}", names.join("\n"))
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        What::Calls(chosen) => print!("{}", report::calls(&run_all(&chosen.workloads()?)?)),
        What::Drive(chosen) => {
            for workload in chosen.workloads()? {
                for chain in Chain::ALL {
                    run(&workload, chain)?;
                    println!("{} {}", workload.name(), chain.name());
                }
            }
        }
        What::All { chosen, out, shown, top } => {
            let workloads = chosen.workloads()?;
            let shown = chosen.workload.clone().unwrap_or(shown);
            find(&workloads, &shown)?;
            let runs = run_all(&workloads)?;
            println!("{}", report::calls(&runs));
            let arguments: Vec<&str> = chosen.workload.iter().flat_map(|name| ["--workload", name]).collect();
            let parts = callgrind::measure(&out, workloads.len() * Chain::ALL.len(), &arguments)?;
            println!("{}", report::instructions(&runs, &parts));
            for (run, part) in runs.iter().zip(&parts).filter(|(run, _)| run.workload == shown) {
                println!("{}", report::functions(run, part, &part.functions()?, top));
            }
        }
    }
    Ok(())
}

/// One direction of a workload through a chain.
struct Run {
    workload: String,
    chain: Chain,
    way: Way,
    counts: Counts,
}

/// In the order in which [`What::Drive`] runs.
fn run_all(workloads: &[Workload]) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    for workload in workloads {
        for chain in Chain::ALL {
            runs.extend(run(workload, chain)?);
        }
    }
    Ok(runs)
}

fn run(workload: &Workload, chain: Chain) -> Result<[Run; 2]> {
    let counts = drive::drive(chain, workload);
    let [request, answer] = counts.with_context(|| format!("{} through {}", workload.name(), chain.name()))?;
    Ok([(Way::Request, request), (Way::Answer, answer)].map(|(way, counts)| Run {
        workload: workload.name(),
        chain,
        way,
        counts,
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_workload_goes_through_every_chain() {
        let workloads = workload::all();
        let runs = run_all(&workloads).unwrap();
        assert_eq!(runs.len(), workloads.len() * 4);
    }

    #[test]
    fn a_workload_is_found_by_its_name_and_others_are_named() {
        let all = workload::all();
        let names: BTreeSet<String> = all.iter().map(Workload::name).collect();
        assert_eq!(names.len(), all.len(), "no two workloads have one name");
        for name in &names {
            assert_eq!(find(&all, name).unwrap().name(), *name);
        }
        let error = find(&all, "produce").err().unwrap().to_string();
        assert!(error.contains("no workload is called \"produce\"") && error.contains("heartbeat v4"), "{error}");
    }
}
