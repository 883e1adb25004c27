//! One target against another, paired by round, and when such a pair of figures may be reported at all.

use super::stage::{DIRECT, Stage};
use super::statistics::{Spread, sign_flip_p};
use crate::figure::{Figure, Kind};
use crate::record::Bottleneck;

/// How two figures of the same round are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Ratio,
    Added,
}

impl Relation {
    fn of(self, value: f64, reference: f64) -> f64 {
        match self {
            Self::Ratio => value / reference,
            Self::Added => value - reference,
        }
    }

    /// What no difference looks like.
    pub(crate) fn same(self) -> f64 {
        match self {
            Self::Ratio => 1.0,
            Self::Added => 0.0,
        }
    }

    /// Zero when value and limit are the same, and of the other sign when one of the pair is put for the other.
    fn beyond(self, value: f64, limit: f64) -> f64 {
        match self {
            Self::Ratio => (value / limit).ln(),
            Self::Added => value - limit,
        }
    }
}

/// A case of a target against another one, over all rounds that both have.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    relation: Relation,
    /// Ratios or differences, by round.
    values: Vec<f64>,
    pub(crate) spread: Spread,
    /// Why these are not figures of the target.
    pub(crate) flaw: Option<Flaw>,
}

/// What keeps a figure out of the tables. The raw values stay in the run's file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Flaw {
    /// The rounds say different things, from least to most.
    Disagreement { min: f64, max: f64 },
    /// Not the proxy but this side set the pace, in so many of the rounds.
    OtherSide { side: Bottleneck, rounds: usize, of: usize },
}

impl Comparison {
    /// `None` without a round that both have.
    pub(crate) fn new(
        stage: &Stage<'_>,
        figure: Figure,
        relation: Relation,
        case: &str,
        [target, reference]: [&str; 2],
    ) -> Option<Self> {
        let references = stage.by_round(case, reference, figure);
        let of_target = stage.by_round(case, target, figure);
        let pairs: Vec<_> =
            of_target.into_iter().filter_map(|(round, value)| Some((value, *references.get(&round)?))).collect();
        let values: Vec<_> = pairs.iter().map(|(value, reference)| relation.of(*value, *reference)).collect();
        let spread = Spread::of(values.iter().copied())?;
        let ratios = Spread::of(pairs.iter().map(|(value, reference)| Relation::Ratio.of(*value, *reference)))?;
        let flaw = [target, reference].iter().find_map(|target| other_side(stage, figure, case, target));
        Some(Self { relation, values, spread, flaw: flaw.or_else(|| disagreement(figure, ratios, spread)) })
    }

    /// A target's own figure, compared with nothing.
    pub(crate) fn alone(stage: &Stage<'_>, figure: Figure, case: &str, target: &str) -> Option<Self> {
        let values: Vec<_> = stage.by_round(case, target, figure).into_values().collect();
        let spread = Spread::of(values.iter().copied())?;
        let flaw = other_side(stage, figure, case, target).or_else(|| disagreement(figure, spread, spread));
        Some(Self { relation: Relation::Added, values, spread, flaw })
    }

    pub(crate) fn rounds(&self) -> usize {
        self.values.len()
    }

    /// How likely this is when the median is the limit; see [`sign_flip_p`].
    pub(crate) fn p(&self, limit: f64) -> f64 {
        let beyond: Vec<_> = self.values.iter().map(|value| self.relation.beyond(*value, limit)).collect();
        sign_flip_p(&beyond)
    }

    pub(crate) fn p_of_difference(&self) -> f64 {
        self.p(self.relation.same())
    }
}

/// Ratios that are not positive in each round say nothing, and neither do ratios that lie too far apart.
fn disagreement(figure: Figure, ratios: Spread, Spread { min, max, .. }: Spread) -> Option<Flaw> {
    let do_agree = ratios.min > 0.0 && ratios.max / ratios.min <= disagreement_max(figure);
    (!do_agree).then_some(Flaw::Disagreement { min, max })
}

/// The most by which the paired ratios of rounds may differ, as most over least.
fn disagreement_max(figure: Figure) -> f64 {
    match figure.kind() {
        // Budgets lie 1.15 to 1.4 above bare Envoy. Rounds that are further apart than all of this cannot judge them;
        // two bare Envoys beside a running compiler were 1.8 apart.
        Kind::Cpu | Kind::Throughput | Kind::Memory => 1.5,
        // Where the scheduler puts two threads decides a round trip as much as any filter.
        Kind::Median | Kind::Start => 2.0,
        // A tail is made by the few moments in which something else had the core.
        Kind::Tail => 4.0,
        Kind::FarTail => 8.0,
        Kind::Share => f64::INFINITY,
    }
}

/// A throughput is the proxy's only where the proxy set the pace in each round.
pub(crate) fn other_side(stage: &Stage<'_>, figure: Figure, case: &str, target: &str) -> Option<Flaw> {
    if figure.kind() != Kind::Throughput || target == DIRECT {
        return None;
    }
    let sides = stage.bottlenecks(case, target);
    let count = |side| sides.iter().filter(|other| **other == side).count();
    let others = sides.iter().copied().filter(|side| *side != Bottleneck::Proxy);
    let side = others.max_by_key(|side| (count(*side), *side))?;
    Some(Flaw::OtherSide { side, rounds: count(side), of: sides.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::{Cell, stage_of};

    fn ratio(rounds: &[(f64, f64)]) -> Comparison {
        let run = stage_of(&[
            Cell::new("bare", rounds.iter().map(|pair| pair.1)),
            Cell::new("tenancy", rounds.iter().map(|pair| pair.0)),
        ]);
        let stages = Stage::all(&run);
        Comparison::new(&stages[0], Cell::FIGURE, Relation::Ratio, Cell::CASE, ["tenancy", "bare"]).unwrap()
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // Twice as slow a second round changes both.
        let comparison = ratio(&[(1.1, 1.0), (2.2, 2.0), (1.2, 1.0)]);
        assert!((comparison.spread.median - 1.1).abs() < 1e-9 && comparison.flaw.is_none(), "{comparison:?}");
    }

    #[test]
    fn rounds_that_disagree_are_no_figure() {
        assert_eq!(ratio(&[(1.0, 1.0), (1.49, 1.0)]).flaw, None);
        assert_eq!(ratio(&[(1.0, 1.0), (1.51, 1.0)]).flaw, Some(Flaw::Disagreement { min: 1.0, max: 1.51 }));
        assert!(matches!(ratio(&[(0.0, 1.0), (1.0, 1.0)]).flaw, Some(Flaw::Disagreement { .. })));
    }

    #[test]
    fn throughput_is_the_proxys_only_where_the_proxy_set_the_pace() {
        let rounds = |sides: [Bottleneck; 2]| {
            let of = |target| Cell::new(target, [10.0, 10.0]);
            let run = stage_of(&[of("bare"), of("tenancy").paced_by(sides)]);
            let flaw = |figure| other_side(&Stage::all(&run)[0], figure, Cell::CASE, "tenancy");
            (flaw(Figure::MegabytesPerSecond), flaw(Figure::CpuSecondsPerGigabyte))
        };
        assert_eq!(rounds([Bottleneck::Proxy, Bottleneck::Proxy]), (None, None));
        let load = Flaw::OtherSide { side: Bottleneck::Load, rounds: 1, of: 2 };
        assert_eq!(rounds([Bottleneck::Proxy, Bottleneck::Load]), (Some(load), None));
    }

    #[test]
    fn a_limit_is_judged_by_the_rounds_on_either_side_of_it() {
        let comparison = ratio(&[(1.10, 1.0), (1.11, 1.0), (1.12, 1.0), (1.13, 1.0), (1.09, 1.0), (1.10, 1.0)]);
        assert_eq!(comparison.p(1.15), 2.0 / 64.0);
        assert_eq!(comparison.p_of_difference(), 2.0 / 64.0);
        assert!(comparison.p(1.11) > 0.5);
    }
}
