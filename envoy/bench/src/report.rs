//! The report: a table of figures, a table of budgets, and both with the raw samples as JSON.

use std::fmt;
use std::fs;
use std::time::SystemTime;

use serde::Serialize;

use crate::measure::Sample;
use crate::statistics::Spread;
use crate::target::Target;
use crate::workload::{Request, SMOKE, Unit, Workload};

/// Consumers get at least this share of bare Envoy's throughput.
const FETCH_THROUGHPUT_MIN: f64 = 0.95;

const GATEWAYS: &[Target] = &[Target::Addresses, Target::Tenancy];

/// One measured step.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) round: usize,
    pub(crate) workload: Workload,
    pub(crate) target: Target,
    pub(crate) sample: Sample,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    unix_time: u64,
    machine: Machine,
    checks: Vec<Check>,
    records: Vec<Record>,
}

#[derive(Serialize)]
struct Machine {
    processor: String,
    cores: usize,
    kernel: String,
}

/// The gateway against bare Envoy, paired by round.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    workload: &'static str,
    measure: &'static str,
    target: Target,
    spread: Spread,
    budget: Bound,
    within: bool,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    fn allows(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }
}

impl Report {
    pub(crate) fn new(records: Vec<Record>) -> Self {
        let unix_time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let checks = SMOKE
            .iter()
            .flat_map(|workload| GATEWAYS.iter().flat_map(|gateway| checks(workload, *gateway, &records)))
            .collect();
        Self { unix_time, machine: Machine::this(), checks, records }
    }

    /// By the median of any check.
    pub(crate) fn is_over_budget(&self) -> bool {
        self.checks.iter().any(|check| !check.within)
    }
}

fn checks(workload: &Workload, target: Target, records: &[Record]) -> Vec<Check> {
    let check = |measure, budget: Bound, compare: &dyn Fn(&Sample, &Sample) -> Option<f64>| {
        let spread = Spread::of(pairs(workload, target, records).filter_map(|(gateway, bare)| compare(gateway, bare)))?;
        Some(Check { workload: workload.name, measure, target, spread, budget, within: budget.allows(spread.median) })
    };
    let mut checks = Vec::new();
    let cpu = match workload.unit {
        Unit::Gigabyte => "CPU per GB, ratio",
        Unit::MillionRequests => "CPU per request, ratio",
    };
    checks.extend(workload.budget.cpu_ratio_max.and_then(|max| {
        check(cpu, Bound::AtMost(max), &|gateway, bare| {
            Some(gateway.cpu_seconds_per(workload.unit)? / bare.cpu_seconds_per(workload.unit)?)
        })
    }));
    if matches!(workload.request, Request::Fetch { .. }) {
        checks.extend(check("throughput, ratio", Bound::AtLeast(FETCH_THROUGHPUT_MIN), &|gateway, bare| {
            Some(gateway.megabytes_per_second() / bare.megabytes_per_second())
        }));
    }
    checks.extend(workload.budget.added_cpu_us_max.and_then(|max| {
        // Seconds per million requests are microseconds per request.
        check("added CPU, us", Bound::AtMost(max), &|gateway, bare| {
            Some(gateway.cpu_seconds_per_million_requests()? - bare.cpu_seconds_per_million_requests()?)
        })
    }));
    checks.extend(workload.budget.added_p50_us_max.and_then(|max| {
        check("added p50, us", Bound::AtMost(max), &|gateway, bare| {
            Some(gateway.round_trip?.p50_us - bare.round_trip?.p50_us)
        })
    }));
    checks.extend(workload.budget.added_p99_us_max.and_then(|max| {
        check("added p99, us", Bound::AtMost(max), &|gateway, bare| {
            Some(gateway.round_trip?.p99_us - bare.round_trip?.p99_us)
        })
    }));
    checks
}

/// Gateway and bare Envoy of the same round.
fn pairs<'a>(
    workload: &'a Workload,
    target: Target,
    records: &'a [Record],
) -> impl Iterator<Item = (&'a Sample, &'a Sample)> {
    let of = move |target: Target| samples(workload, target, records);
    of(target).filter_map(move |(round, gateway)| {
        of(Target::Bare).find(|(other, _)| *other == round).map(|(_, bare)| (gateway, bare))
    })
}

fn samples<'a>(
    workload: &'a Workload,
    target: Target,
    records: &'a [Record],
) -> impl Iterator<Item = (usize, &'a Sample)> {
    records
        .iter()
        .filter(move |record| record.workload.name == workload.name && record.target == target)
        .map(|record| (record.round, &record.sample))
}

impl Machine {
    fn this() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let processors = read("/proc/cpuinfo");
        let models = || processors.lines().filter_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let processor = models().next().map(|(_, name)| name.trim().to_owned()).unwrap_or_default();
        let cores = models().count();
        Self { processor, cores, kernel: read("/proc/sys/kernel/osrelease").trim().to_owned() }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{} cores, {}, Linux {}", self.machine.cores, self.machine.processor, self.machine.kernel)?;
        writeln!(out, "Medians [least - most] of all rounds. CPU is that of the Envoy process; busy is in cores.")?;
        writeln!(
            out,
            "Kept waiting: others had the proxy's core. Where that is much, throughput and p99 mean little.\n"
        )?;
        let columns = [
            "workload",
            "target",
            "MB/s",
            "requests/s",
            "CPU s/GB",
            "CPU s/M requests",
            "p50 us",
            "p99 us",
            "busy proxy/load/endpoint",
            "kept waiting",
            "bottleneck",
        ];
        let mut figures = vec![columns.map(str::to_owned)];
        for workload in SMOKE {
            for target in [Target::Direct, Target::Bare, Target::Addresses, Target::Tenancy] {
                figures.extend(self.figures(workload, target));
            }
        }
        out.write_str(&table(&figures))?;
        writeln!(out, "\nThe gateway against bare Envoy of the same round:\n")?;
        let mut budgets = vec![["workload", "measure", "target", "measured", "budget", "verdict"].map(str::to_owned)];
        for check in &self.checks {
            let budget = match check.budget {
                Bound::AtMost(limit) => format!("at most {limit}"),
                Bound::AtLeast(limit) => format!("at least {limit}"),
            };
            let verdict = if check.within { "within" } else { "OVER" };
            budgets.push([
                check.workload.into(),
                check.measure.into(),
                check.target.name().into(),
                spread(Some(check.spread), 2),
                budget,
                verdict.into(),
            ]);
        }
        out.write_str(&table(&budgets))?;
        writeln!(out)
    }
}

impl Report {
    fn figures(&self, workload: &Workload, target: Target) -> Option<[String; 11]> {
        let all: Vec<_> = samples(workload, target, &self.records).map(|(_, sample)| sample).collect();
        let bottleneck = |name| all.iter().filter(|sample| sample.bottleneck() == name).count();
        let bottleneck = all.iter().map(|sample| sample.bottleneck()).max_by_key(|name| bottleneck(*name))?;
        let of = |figure: &dyn Fn(&Sample) -> Option<f64>| Spread::of(all.iter().filter_map(|sample| figure(sample)));
        let busy =
            |figure: &dyn Fn(&Sample) -> f64| of(&|sample| Some(figure(sample))).map_or(0.0, |spread| spread.median);
        Some([
            workload.name.into(),
            target.name().into(),
            spread(of(&|sample| Some(sample.megabytes_per_second())), 0),
            spread(of(&|sample| Some(sample.requests_per_second())), 0),
            spread(of(&Sample::cpu_seconds_per_gigabyte), 3),
            spread(of(&Sample::cpu_seconds_per_million_requests), 1),
            spread(of(&|sample| Some(sample.round_trip?.p50_us)), 1),
            spread(of(&|sample| Some(sample.round_trip?.p99_us)), 1),
            format!(
                "{:.2} / {:.2} / {:.2}",
                busy(&|sample| sample.proxy_busy),
                busy(&|sample| sample.load_busy[0]),
                busy(&|sample| sample.endpoint_busy[0])
            ),
            format!("{:.0} %", busy(&|sample| sample.proxy_kept_waiting) * 100.0),
            bottleneck.into(),
        ])
    }
}

pub(crate) fn spread(value: Option<Spread>, digits: usize) -> String {
    match value {
        None => String::new(),
        Some(Spread { median, min, max }) if min < max => {
            format!("{median:.digits$} [{min:.digits$} - {max:.digits$}]")
        }
        Some(Spread { median, .. }) => format!("{median:.digits$}"),
    }
}

/// Columns as wide as their widest cell.
pub(crate) fn table<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let widths: [usize; COLUMNS] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0));
    let line = |row: &[String; COLUMNS]| {
        row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}  ")).collect::<String>() + "\n"
    };
    rows.iter().map(line).collect()
}
