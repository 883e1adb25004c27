//! Runs made by hand.

use crate::figure::Figure;
use crate::machine::Machine;
use crate::record::{Bottleneck, Measured, Record, Run, StageHead};

/// A case of one target: its CPU per gigabyte by round.
pub(crate) struct Cell {
    target: &'static str,
    rounds: Vec<f64>,
    sides: Vec<Bottleneck>,
}

impl Cell {
    pub(crate) const CASE: &str = "case";
    pub(crate) const FIGURE: Figure = Figure::CpuSecondsPerGigabyte;

    pub(crate) fn new(target: &'static str, rounds: impl IntoIterator<Item = f64>) -> Self {
        let rounds: Vec<_> = rounds.into_iter().collect();
        Self { target, sides: vec![Bottleneck::Proxy; rounds.len()], rounds }
    }

    pub(crate) fn paced_by(self, sides: impl Into<Vec<Bottleneck>>) -> Self {
        Self { sides: sides.into(), ..self }
    }
}

pub(crate) fn machine() -> Machine {
    Machine {
        unix_time: 1_795_278_050,
        commit: "0123456789".into(),
        processor: "Processor".into(),
        is_virtual: true,
        cores: 2,
        memory_mib: 1024,
        kernel: "6.18".into(),
        congestion_control: "cubic".into(),
        envoy: "1.40.0".into(),
    }
}

fn run(axis: Option<&str>, records: Vec<Record>) -> Run {
    let head = StageHead { name: "stage".into(), about: "About.".into(), axis: axis.map(str::to_owned) };
    Run { machine: machine(), stages: vec![head], records }
}

fn record(target: &str, round: usize, figure: Figure, value: f64) -> Record {
    Record {
        stage: "stage".into(),
        case: Cell::CASE.into(),
        x: None,
        target: target.into(),
        round,
        measured: Measured::default().with(figure, value),
    }
}

/// One stage with one case.
pub(crate) fn stage_of(cells: &[Cell]) -> Run {
    let of_cell = |cell: &Cell| {
        let rounds = cell.rounds.iter().zip(&cell.sides).enumerate();
        let of_round = |(round, (value, side)): (usize, (&f64, &Bottleneck))| {
            let mut record = record(cell.target, round, Cell::FIGURE, *value);
            record.measured.bottleneck = Some(*side);
            record
        };
        rounds.map(of_round).collect::<Vec<_>>()
    };
    run(None, cells.iter().flat_map(of_cell).collect())
}

/// One stage with an axis and one target; cost by x and round.
pub(crate) fn curve_of(x: &[f64], rounds: usize, cost: impl Fn(f64, usize) -> f64) -> Run {
    let point = |x: f64, round| Record {
        x: Some(x),
        case: format!("{x} things"),
        ..record("tenancy", round, Figure::CpuSecondsPerMillionRequests, cost(x, round))
    };
    let records = (0..rounds).flat_map(|round| x.iter().map(move |x| (*x, round)));
    run(Some("things"), records.map(|(x, round)| point(x, round)).collect())
}

/// One stage with an axis, and cases with their places on it.
pub(crate) fn cases_of(cases: &[(&str, f64)]) -> Run {
    let at = |(case, x): &(&str, f64)| Record {
        x: Some(*x),
        case: (*case).to_owned(),
        ..record("bare", 0, Cell::FIGURE, 1.0)
    };
    run(Some("things"), cases.iter().map(at).collect())
}

/// The same figures under other names.
pub(crate) fn renamed(mut run: Run, stage: &str, case: &str) -> Run {
    for head in &mut run.stages {
        head.name = stage.into();
    }
    for record in &mut run.records {
        (record.stage, record.case) = (stage.into(), case.into());
    }
    run
}
