//! The report of a run, made from its figures alone: tables, budgets with verdicts, curves and plots.

mod budgets;
mod cells;
mod compare;
mod comparison;
mod document;
#[cfg(test)]
pub(crate) mod fixture;
mod growth;
mod judgement;
mod plots;
mod stage;
mod statistics;
mod table;
mod tables;
mod verdicts;
mod views;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use self::document::Part;
use self::stage::Stage;
use self::tables::Width;
use crate::record::Run;

pub(crate) use self::compare::comparison;

/// How to read the tables.
const LEGEND: [&str; 4] = [
    "Median [least - most] of all rounds; what is compared is compared within a round, with bare Envoy unless it says otherwise. \
     CPU is that of the proxy's process.",
    "A difference is claimed with its p: sign-flip test of the paired rounds, corrected for all claims of its table (Holm). \
     \"Not shown\": p is 0.05 or more.",
    "\"Rounds disagree\": their ratios differ by more than a factor of 1.5 (CPU, throughput, memory), 2 (p50, start), 4 (p99) \
     or 8 (p99.9).",
    "Throughput is the proxy's only where the proxy set the pace in every round; with real clients it is that of all together.",
];

/// For a terminal of 140 columns.
pub(crate) fn text(run: &Run) -> String {
    let mut out = format!("{}\n\n", run.machine);
    for line in LEGEND {
        out += &format!("{line}\n");
    }
    for stage in Stage::all(run) {
        out += &format!("\n{}: {}\n", stage.name(), introduction(&stage));
        for table in tables::of_stage(&stage, Width::Terminal) {
            out += &format!("\n{}", table.text());
        }
    }
    if let Some(table) = verdicts::table(run) {
        out += &format!("\n{}", table.text());
    }
    out += "\n";
    out
}

/// Whether the median of any figure is over its budget.
pub(crate) fn is_over_budget(run: &Run) -> bool {
    verdicts::all(run).iter().any(verdicts::Verdict::is_over)
}

/// Draws the plots of a run into a folder; their files.
pub(crate) fn plot(run: &Run, folder: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut files = Vec::new();
    for plot in plots::all(run)? {
        let file = folder.join(&plot.file);
        fs::write(&file, &plot.svg).with_context(|| format!("cannot write {}", file.display()))?;
        files.push(file);
    }
    Ok(files)
}

/// Writes the generated parts of a document: those of a run that lies in `raw`, with its plots from `plots`.
///
/// Both have to lie below the document's folder, which links to them.
pub(crate) fn write_into(document: &Path, run: &Run, raw: &Path, plots: Option<&Path>) -> Result<()> {
    let old = fs::read_to_string(document).with_context(|| format!("cannot read {}", document.display()))?;
    let raw = document::link(document, raw)?;
    let plots = plots.map(|folder| document::link(document, folder)).transpose()?;
    let new = document::replace(&document.display().to_string(), &old, &parts(run, &raw, plots.as_deref())?)?;
    fs::write(document, new).with_context(|| format!("cannot write {}", document.display()))
}

/// What a document can show of a run: the machine, the budgets, and each stage under its name.
fn parts(run: &Run, raw: &str, plots: Option<&str>) -> Result<Vec<Part>> {
    let mut about = format!("{}\n\nRaw figures: [{raw}]({raw}).\n\n", run.machine);
    about.extend(LEGEND.iter().map(|line| format!("- {line}\n")));
    let mut parts = vec![Part::new("machine", about)];
    if let Some(table) = verdicts::table(run) {
        parts.push(Part::new("budgets", table.markdown()));
    }
    let drawn = if plots.is_some() { plots::all(run)? } else { Vec::new() };
    for stage in Stage::all(run) {
        let mut text = format!("{}\n", introduction(&stage));
        for table in tables::of_stage(&stage, Width::Page) {
            text += &format!("\n{}", table.markdown());
        }
        for plot in drawn.iter().filter(|plot| plot.stage == stage.name()) {
            text += &format!("\n![{}]({}/{})\n", plot.title, plots.unwrap_or_default(), plot.file);
        }
        parts.push(Part::of_stage(stage.name(), text));
    }
    Ok(parts)
}

/// What the stage is, and how quiet the machine was.
fn introduction(stage: &Stage<'_>) -> String {
    let about = &stage.head.about;
    stage.kept_waiting().map_or_else(
        || about.clone(),
        |share| {
            format!(
                "{about} Kept waiting: {} of the time something else had the proxy's core.",
                cells::spread(share, 2)
            )
        },
    )
}

#[cfg(test)]
mod tests;
