//! Tables for people.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::Run;
use crate::callgrind::{Part, Spent};
use crate::drive::Chain;

/// Widths of the workload's name and of a direction's.
const NAMES: (usize, usize) = (26, 8);

/// Host calls and bytes copied, per request.
pub(crate) fn calls(runs: &[Run]) -> String {
    const COLUMNS: [&str; 5] = ["peeks", "splices", "peeked", "written", "shared"];
    let cells = |run: &Run| {
        let (frames, calls) = (run.counts.frames as f64, run.counts.calls);
        let calls = [calls.peeks, calls.splices, calls.bytes_peeked, calls.bytes_written, run.counts.shared_calls];
        calls.map(|count| decimal(count as f64 / frames)).to_vec()
    };
    let title = "Per request: copies out of Envoy's buffers (peeks), changes of them (splices), bytes of both, and calls for \
                 data that workers share";
    table(title, &COLUMNS, runs, runs.iter().map(cells))
}

/// Instructions of the native data path, per request.
pub(crate) fn instructions(runs: &[Run], parts: &[Part]) -> String {
    let cells = |(run, part): (&Run, &Part)| vec![thousands(per_frame(run, part))];
    let title = "Instructions of the native data path per request, without Envoy's part and without the driver";
    table(title, &["instructions"], runs, runs.iter().zip(parts).map(cells))
}

/// Where most instructions of a run were spent: by function, inlined code included, and by source file.
pub(crate) fn functions(run: &Run, part: &Part, spent: &[Spent], most: usize) -> String {
    let total = per_frame(run, part);
    let mut out = format!(
        "{} {} through {}: {} instructions per request ({})\n",
        run.workload,
        run.way.name(),
        run.chain.name(),
        thousands(total),
        part.file.display()
    );
    let mut list = |title: &str, name: fn(&Spent) -> &str| {
        let mut sums = BTreeMap::<&str, u64>::new();
        spent.iter().for_each(|spent| *sums.entry(name(spent)).or_default() += spent.instructions);
        let mut sums: Vec<(&str, u64)> = sums.into_iter().collect();
        sums.sort_by_key(|(_, instructions)| Reverse(*instructions));
        let _ = writeln!(out, "  {title}");
        for (name, instructions) in sums.into_iter().take(most) {
            let share = instructions as f64 * 100.0 / part.instructions as f64;
            let _ = writeln!(out, "  {:>9} {share:>5.1} %  {name}", thousands(instructions / run.counts.frames as u64));
        }
    };
    list("functions", |spent| &spent.function);
    list("source files", |spent| short(&spent.source));
    out
}

/// A source file without the folders that lie around the project or a library.
fn short(source: &str) -> &str {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).and_then(Path::to_str).unwrap_or_default();
    let own = source.strip_prefix(root).map(|path| path.trim_start_matches('/'));
    own.or_else(|| source.split_once("/library/").map(|(_, path)| path)).unwrap_or(source)
}

fn per_frame(run: &Run, part: &Part) -> u64 {
    part.instructions / run.counts.frames as u64
}

/// One line for each workload and direction, with the cells of all chains beside each other.
fn table(title: &str, columns: &[&str], runs: &[Run], cells: impl Iterator<Item = Vec<String>>) -> String {
    let width = |column: &str| column.len().max(9);
    let chain_width: usize = columns.iter().map(|column| width(column) + 1).sum();
    let mut out = format!("{title}\n\n{:1$}", "", NAMES.0 + NAMES.1);
    for chain in Chain::ALL {
        let _ = write!(out, " | {:>chain_width$}", chain.name());
    }
    let _ = write!(out, "\n{:2$}{:3$}", "", "", NAMES.0, NAMES.1);
    for _ in Chain::ALL {
        out += " | ";
        for column in columns {
            let _ = write!(out, " {column:>0$}", width(column));
        }
    }
    let cells: Vec<Vec<String>> = cells.collect();
    for (first, run) in runs.iter().enumerate().filter(|(_, run)| run.chain == Chain::ALL[0]) {
        let _ = write!(out, "\n{:2$}{:3$}", run.workload, run.way.name(), NAMES.0, NAMES.1);
        for chain in Chain::ALL {
            let beside = |other: &Run| other.chain == chain && other.way == run.way && other.workload == run.workload;
            let at = runs.iter().skip(first).position(beside).map(|at| first + at);
            out += " | ";
            for (column, cell) in columns.iter().zip(at.map_or(&[][..], |at| &cells[at])) {
                let _ = write!(out, " {cell:>0$}", width(column));
            }
        }
    }
    out + "\n"
}

/// With a place behind the point only where it says something.
fn decimal(number: f64) -> String {
    match number {
        0.0 => "-".to_owned(),
        _ if number.fract() == 0.0 || number >= 100.0 => thousands(number.round() as u64),
        _ if number < 0.1 => "<0.1".to_owned(),
        _ => format!("{number:.1}"),
    }
}

/// Digits in groups of three.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
