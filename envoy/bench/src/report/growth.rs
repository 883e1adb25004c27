//! How cost grows along a stage's axis.

use super::cells;
use super::judgement::Judgement;
use super::stage::Stage;
use super::statistics::{Spread, exponent, sign_flip_p};
use super::table::Table;
use super::views::growing;
use crate::figure::Figure;

/// A straight line has an exponent of 1. A tenth more is within what caches and the fit make of one; something
/// quadratic would be at 2.
pub(crate) const EXPONENT_MAX: f64 = 1.1;
/// The fit takes the points from a tenth of the largest x on, where the fixed cost of a request no longer hides what
/// grows, but never fewer than this.
const POINTS_MIN: usize = 2;

/// A target's cost along the axis.
pub(crate) struct Curve<'a> {
    /// What its cases have in common: their name without the place on the axis.
    pub(crate) work: String,
    pub(crate) figure: Figure,
    pub(crate) target: &'a str,
    /// By x, ascending.
    pub(crate) points: Vec<(f64, Spread)>,
    /// Of each round that has all points.
    exponents: Vec<f64>,
}

/// Those of the same work and figure stand together; none for a stage without an axis.
pub(crate) fn curves<'a>(stage: &Stage<'a>) -> Vec<Curve<'a>> {
    let mut works: Vec<(String, Vec<(f64, &str)>)> = Vec::new();
    let places = stage.cases().into_iter().filter_map(|case| Some((stage.x(case)?, case)));
    for (x, case) in places.filter(|_| stage.head.axis.is_some()) {
        let name = stage.work(case);
        match works.iter_mut().find(|(work, _)| *work == name) {
            Some((_, cases)) => cases.push((x, case)),
            None => works.push((name, vec![(x, case)])),
        }
    }
    let mut curves = Vec::new();
    for (work, mut cases) in works {
        cases.sort_by(|one, other| one.0.total_cmp(&other.0));
        let measured = cases.first().map(|(_, case)| stage.figures_of(case)).unwrap_or_default();
        for figure in growing(&measured) {
            let of = |target| Curve::new(stage, work.clone(), figure, target, &cases);
            curves.extend(stage.targets().into_iter().filter_map(of));
        }
    }
    curves
}

impl<'a> Curve<'a> {
    /// `None` with less than two points.
    fn new(stage: &Stage<'a>, work: String, figure: Figure, target: &'a str, cases: &[(f64, &str)]) -> Option<Self> {
        let rounds = cases.iter().map(|(x, case)| (*x, stage.by_round(case, target, figure)));
        let by_x: Vec<_> = rounds.filter(|(_, by_round)| !by_round.is_empty()).collect();
        let upper = upper_part(&by_x.iter().map(|(x, _)| *x).collect::<Vec<_>>());
        let of_round = |round: &usize| {
            let upper = by_x.get(by_x.len() - upper..)?;
            let points: Option<Vec<_>> = upper.iter().map(|(x, values)| Some((*x, *values.get(round)?))).collect();
            exponent(&points?)
        };
        let exponents = by_x.last()?.1.keys().filter_map(of_round).collect();
        let points = by_x.iter().filter_map(|(x, values)| Some((*x, Spread::of(values.values().copied())?))).collect();
        (by_x.len() > 1).then_some(Self { work, figure, target, points, exponents })
    }

    /// Of the fitted power of x; `None` with a single point.
    pub(crate) fn exponent(&self) -> Option<Spread> {
        Spread::of(self.exponents.iter().copied())
    }

    fn p(&self) -> f64 {
        sign_flip_p(&self.exponents.iter().map(|exponent| exponent - EXPONENT_MAX).collect::<Vec<_>>())
    }
}

/// How many of the last points the fit takes; x ascend.
fn upper_part(x: &[f64]) -> usize {
    let largest = x.last().copied().unwrap_or_default();
    x.iter().filter(|x| **x >= largest / 10.0).count().max(POINTS_MIN).min(x.len())
}

/// The fitted exponents, each judged at its own p like a budget: that nothing is worse than linear is claimed only when
/// it is shown of each.
pub(crate) fn table(stage: &Stage<'_>) -> Option<Table> {
    let curves = curves(stage);
    let row = |curve: &Curve<'_>| {
        let spread = curve.exponent()?;
        let p = curve.p();
        let judgement = Judgement::new(spread.median > EXPONENT_MAX, p);
        let verdict = match judgement {
            Judgement::Within => format!("linear or better, {}", cells::p(p)),
            Judgement::Over => format!("WORSE THAN LINEAR, {}", cells::p(p)),
            Judgement::NotShown { .. } => judgement.to_string(),
        };
        Some(vec![
            curve.work.clone(),
            curve.figure.title().to_owned(),
            curve.target.to_owned(),
            cells::spread(spread, 2),
            verdict,
        ])
    };
    let rows: Vec<_> = curves.iter().filter_map(row).collect();
    let axis = stage.head.axis.as_deref().unwrap_or_default();
    (!rows.is_empty()).then(|| Table {
        title: format!("Grows with {axis} to the power of (up to {EXPONENT_MAX} counts as linear):"),
        head: ["cases", "figure", "target", "exponent", "verdict"].map(str::to_owned).to_vec(),
        rows,
        notes: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::curve_of;

    fn verdict(cost: impl Fn(f64, usize) -> f64) -> String {
        let run = curve_of(&[1.0, 10.0, 100.0, 1000.0, 2000.0, 4000.0], 6, cost);
        let table = table(&Stage::all(&run)[0]).unwrap();
        table.rows[0][4].clone()
    }

    #[test]
    fn cost_by_the_square_is_worse_than_linear() {
        assert_eq!(verdict(|x, _| 50.0 + x * x / 1000.0), "WORSE THAN LINEAR, p 0.031");
        assert_eq!(verdict(|x, _| 50.0 + x), "linear or better, p 0.031");
        assert_eq!(verdict(|_, round| 50.0 + round as f64), "linear or better, p 0.031");
    }

    #[test]
    fn rounds_on_either_side_show_nothing() {
        let verdict = verdict(|x, round| x.powf(if round % 2 == 0 { 1.3 } else { 1.0 }));
        assert!(verdict.starts_with("not shown"), "{verdict}");
    }

    #[test]
    fn the_fit_leaves_out_the_part_where_fixed_cost_rules() {
        assert_eq!(upper_part(&[1.0, 10.0, 100.0, 1000.0, 2000.0, 4000.0]), 3);
        assert_eq!(upper_part(&[1.0, 200.0, 300.0, 400.0, 1000.0]), 4);
        assert_eq!(upper_part(&[1.0, 20.0, 200.0, 10_000.0]), 2);
        assert_eq!(upper_part(&[1.0]), 1);
    }
}
