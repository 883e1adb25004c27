//! Every budget whose case was measured, judged for each gateway.
//!
//! Each verdict stands at its own p, without a correction for their number: that the gateway keeps its budgets is
//! claimed only when each of them is shown to be kept, and such a claim is no likelier to be wrong than its weakest part
//! (Berger 1982, the intersection-union test).

use super::budgets::{BUDGETS, Bound, Budget};
use super::cells;
use super::comparison::{Comparison, Relation};
use super::judgement::Judgement;
use super::stage::{FLOORS, GATEWAYS, REFERENCE, Stage};
use super::statistics::Spread;
use super::table::Table;
use super::tables::digits;
use crate::record::Run;

const FLOOR_STAGE: &str = "floor";

/// A gateway against its budget.
pub(crate) struct Verdict {
    budget: &'static Budget,
    case: String,
    target: &'static str,
    comparison: Comparison,
    judgement: Judgement,
    bare: Option<Spread>,
    /// Filters that do less, with their medians.
    floors: Vec<(&'static str, f64)>,
}

pub(crate) fn all(run: &Run) -> Vec<Verdict> {
    let all = Stage::all(run);
    let of_budget = |budget: &'static Budget| {
        let stages = all.iter().filter(|stage| budget.is_of(stage.name()));
        stages.flat_map(|stage| Verdict::of(stage, budget, &all)).collect::<Vec<_>>()
    };
    BUDGETS.iter().flat_map(of_budget).collect()
}

impl Verdict {
    fn of(stage: &Stage<'_>, budget: &'static Budget, all: &[Stage<'_>]) -> Vec<Self> {
        let cases = stage.cases().into_iter().filter(|case| budget.is_for(case));
        let of_case = |case| GATEWAYS.iter().filter_map(move |target| Self::new(stage, budget, case, target, all));
        cases.flat_map(of_case).collect()
    }

    fn new(
        stage: &Stage<'_>,
        budget: &'static Budget,
        case: &str,
        target: &'static str,
        all: &[Stage<'_>],
    ) -> Option<Self> {
        let compare = |stage, target| match budget.bound.relation() {
            Some(relation) => Comparison::new(stage, budget.figure, relation, case, [target, REFERENCE]),
            None => Comparison::alone(stage, budget.figure, case, target),
        };
        let comparison = compare(stage, target)?;
        let judgement =
            Judgement::new(!budget.bound.allows(comparison.spread.median), comparison.p(budget.bound.limit()));
        // Floors have a stage of their own, with cases of the same names.
        let floor = |floor: &&'static str| {
            let stages = std::iter::once(stage).chain(all.iter().filter(|other| other.name() == FLOOR_STAGE));
            let mut found = stages.filter_map(|stage| compare(stage, *floor)).filter(|found| found.flaw.is_none());
            Some((*floor, found.next()?.spread.median))
        };
        let floors = FLOORS.iter().filter_map(floor).collect();
        let bare = Spread::of(stage.by_round(case, REFERENCE, budget.figure).into_values());
        Some(Self { budget, case: case.to_owned(), target, comparison, judgement, bare, floors })
    }

    /// Whether the median is over, shown or not.
    pub(crate) fn is_over(&self) -> bool {
        !self.budget.bound.allows(self.comparison.spread.median)
    }

    fn row(&self) -> Vec<String> {
        let Budget { figure, bound, .. } = self.budget;
        let digits = digits(bound.relation().unwrap_or(Relation::Added), *figure);
        let (measured, verdict) = match self.comparison.flaw {
            Some(flaw) => (flaw.to_string(), super::cells::NOT_SHOWN.to_owned()),
            None => {
                let p = self.comparison.p(bound.limit());
                let measured = cells::spread(self.comparison.spread, digits);
                match self.judgement {
                    Judgement::NotShown { .. } => (measured, self.judgement.to_string()),
                    Judgement::Within | Judgement::Over => (measured, format!("{}, {}", self.judgement, cells::p(p))),
                }
            }
        };
        let floor = |(name, median): &(&str, f64)| format!("{name} {}", cells::number(*median, digits));
        vec![
            self.case.clone(),
            figure.title().into(),
            self.target.into(),
            bound.to_string(),
            measured,
            self.bare.map(|bare| cells::number(bare.median, figure.digits())).unwrap_or_default(),
            self.floors.iter().map(floor).collect::<Vec<_>>().join(", "),
            verdict,
        ]
    }
}

/// `None` when the run has no case with a budget.
pub(crate) fn table(run: &Run) -> Option<Table> {
    let rows: Vec<_> = all(run).iter().map(Verdict::row).collect();
    let head = ["case", "figure", "target", "budget", "measured", "bare", "floor", "verdict"];
    (!rows.is_empty()).then(|| Table {
        title: "Budgets, against bare Envoy of the same rounds, each judged at its own p:".into(),
        head: head.map(str::to_owned).to_vec(),
        rows,
        notes: notes(run),
    })
}

fn notes(run: &Run) -> Vec<String> {
    let is_measured = |budget: &&Budget| run.stages.iter().any(|stage| budget.is_of(&stage.name));
    let is_throughput = |budget: &&Budget| matches!(budget.bound, Bound::RatioAtLeast(_));
    if BUDGETS.iter().filter(is_throughput).any(|budget| is_measured(&budget)) {
        return Vec::new();
    }
    vec![
        "Throughput (at least 0.95 of bare Envoy) is not judged: it takes real brokers and consumers.".into(),
        "Where the proxy's one core sets the pace, throughput is the inverse of its CPU.".into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::{Cell, renamed, stage_of};

    const CASE: &str = "produce v12 256 KiB";
    const BARE: [f64; 6] = [1.0, 2.0, 1.0, 1.5, 1.0, 1.0];

    /// Six rounds in which tenancy takes so many times what bare Envoy takes.
    fn run(ratios: [f64; 6]) -> Run {
        let tenancy = BARE.into_iter().zip(ratios).map(|(bare, ratio)| bare * ratio);
        renamed(stage_of(&[Cell::new("bare", BARE), Cell::new("tenancy", tenancy)]), "exchanges", CASE)
    }

    fn verdict(ratios: [f64; 6]) -> (String, bool) {
        let run = run(ratios);
        let verdict = table(&run).unwrap().rows[0].last().cloned().unwrap();
        (verdict, all(&run)[0].is_over())
    }

    #[test]
    fn what_is_on_one_side_in_all_rounds_is_shown() {
        assert_eq!(verdict([1.05, 1.08, 1.1, 1.1, 1.12, 1.06]), ("within, p 0.031".into(), false));
        assert_eq!(verdict([1.2, 1.25, 1.3, 1.2, 1.18, 1.22]), ("OVER, p 0.031".into(), true));
    }

    #[test]
    fn what_is_on_both_sides_is_not_shown_but_fails_when_the_median_is_over() {
        assert_eq!(verdict([1.1, 1.2, 1.14, 1.14, 1.16, 1.1]), ("not shown, median within".into(), false));
        assert_eq!(verdict([1.1, 1.2, 1.16, 1.16, 1.16, 1.1]), ("not shown, median over".into(), true));
    }

    #[test]
    fn rounds_that_disagree_are_not_judged() {
        let table = table(&run([0.9, 0.8, 0.7, 0.9, 0.5, 0.8])).unwrap();
        assert_eq!(table.rows[0][4], "rounds disagree (0.50 - 0.90)");
        assert_eq!(table.rows[0].last().unwrap(), "not shown");
    }

    #[test]
    fn what_was_not_run_has_no_row() {
        assert!(table(&renamed(run([1.0; 6]), "another stage", CASE)).is_none());
        assert!(table(&renamed(run([1.0; 6]), "exchanges", "another case")).is_none());
    }

    #[test]
    fn floors_come_from_their_own_stage() {
        let mut run = run([1.1; 6]);
        let floor = BARE.map(|bare| bare * 1.05);
        let other = renamed(stage_of(&[Cell::new("bare", BARE), Cell::new("peek", floor)]), FLOOR_STAGE, CASE);
        run.stages.extend(other.stages);
        run.records.extend(other.records);
        assert_eq!(table(&run).unwrap().rows[0][6], "peek 1.05");
    }

    #[test]
    fn a_limit_without_a_reference_is_judged_by_the_figure_alone() {
        let mut run = renamed(stage_of(&[Cell::new("tenancy", [0.5; 6])]), "connections", "start");
        for record in &mut run.records {
            record.measured.figures = [(crate::figure::Figure::StartSeconds, 0.5)].into();
        }
        assert_eq!(table(&run).unwrap().rows[0].last().unwrap(), "within, p 0.031");
    }

    #[test]
    fn throughput_without_real_brokers_is_said_not_to_be_judged() {
        assert!(table(&run([1.0; 6])).unwrap().notes[0].starts_with("Throughput"));
        let mut with_kafka = run([1.0; 6]);
        with_kafka.stages.extend(renamed(stage_of(&[]), "kafka", "").stages);
        assert!(table(&with_kafka).unwrap().notes.is_empty());
    }
}
