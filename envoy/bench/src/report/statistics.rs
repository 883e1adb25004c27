//! What a few rounds can tell: median and range, whether a difference is shown, how cost grows.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Serialize;

/// A difference is claimed below this, after the correction of [`holm`].
pub(crate) const SIGNIFICANT: f64 = 0.05;
/// Up to this many rounds all flips are tried, beyond it [`SAMPLED_FLIPS`] of them.
const EXACT_ROUNDS_MAX: usize = 16;
const SAMPLED_FLIPS: u64 = 1 << 16;

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` without values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Some(Self { median, min, max })
    }
}

/// How likely a sum of paired differences so far from zero is when neither side costs more: the two-sided sign-flip
/// permutation test. If the two sides of a pair could be exchanged, each difference could as well have the other sign;
/// `p` is the share of all 2^n ways to set the signs whose sum is at least as far from zero as the one seen.
///
/// The signs as they are and all of them flipped always count, so n rounds cannot give less than 2 / 2^n: 0.0625 with 5
/// rounds, 0.031 with 6, 0.0078 with 8, 0.00098 with 11. Fewer than 6 rounds show nothing.
pub(crate) fn sign_flip_p(differences: &[f64]) -> f64 {
    // Sums of the same numbers in another order differ in their last digits.
    let seen = differences.iter().sum::<f64>().abs() * (1.0 - 1e-9);
    let is_as_far = |flips: u64| {
        let flipped = |(round, value): (usize, &f64)| if flips >> (round % 64) & 1 == 1 { -value } else { *value };
        differences.iter().enumerate().map(flipped).sum::<f64>().abs() >= seen
    };
    let count = |flips: &mut dyn Iterator<Item = u64>| flips.filter(|flips| is_as_far(*flips)).count() as f64;
    if differences.len() <= EXACT_ROUNDS_MAX {
        let all = 1_u64 << differences.len();
        count(&mut (0..all)) / all as f64
    } else {
        // What was seen is one of the ways, too.
        (1.0 + count(&mut (0..SAMPLED_FLIPS).map(hash))) / (1.0 + SAMPLED_FLIPS as f64)
    }
}

/// Well mixed bits, the same ones in every report.
fn hash(number: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    number.hash(&mut hasher);
    hasher.finish()
}

/// The least p that [`sign_flip_p`] can give.
pub(crate) fn least_p(rounds: usize) -> f64 {
    0.5_f64.powi(i32::try_from(rounds).unwrap_or(i32::MAX).min(EXACT_ROUNDS_MAX as i32) - 1).min(1.0)
}

/// How many rounds it takes until this many claims at once can be shown.
pub(crate) fn rounds_for(claims: usize) -> usize {
    let is_enough = |rounds: &usize| claims as f64 * least_p(*rounds) < SIGNIFICANT;
    (1..EXACT_ROUNDS_MAX).find(is_enough).unwrap_or(EXACT_ROUNDS_MAX)
}

/// Corrects the p of claims that are made together, so that the chance of a single false one among them stays below
/// [`SIGNIFICANT`]: the least is multiplied by their number, the next by one less, and none gets less than the one
/// before it (Holm 1979). The order is kept.
pub(crate) fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<_> = (0..p.len()).collect();
    order.sort_by(|one, other| p[*one].total_cmp(&p[*other]));
    let mut corrected = vec![1.0; p.len()];
    let mut least = 0.0_f64;
    for (smaller, index) in order.into_iter().enumerate() {
        least = least.max(p[index] * (p.len() - smaller) as f64).min(1.0);
        corrected[index] = least;
    }
    corrected
}

/// The b of y = a x^b, by least squares through the logarithms; `None` with fewer than two different x, or a value that
/// has no logarithm.
pub(crate) fn exponent(points: &[(f64, f64)]) -> Option<f64> {
    let logarithms: Vec<_> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let count = logarithms.len() as f64;
    let mean_x = logarithms.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = logarithms.iter().map(|(_, y)| y).sum::<f64>() / count;
    let across = logarithms.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum::<f64>();
    let along = logarithms.iter().map(|(x, _)| (x - mean_x).powi(2)).sum::<f64>();
    let slope = across / along;
    slope.is_finite().then_some(slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(Spread::of([4.0, 1.0, 3.0, 2.0]), Some(Spread { median: 2.5, min: 1.0, max: 4.0 }));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn sign_flips_are_counted_as_by_hand() {
        // All of one sign: only these signs and their opposites.
        assert_eq!(sign_flip_p(&[0.1, 0.2, 0.3, 0.1, 0.2, 0.4]), 2.0 / 64.0);
        // 1 + 2 - 3 = 0: every sum is at least as far.
        assert_eq!(sign_flip_p(&[1.0, 2.0, -3.0]), 1.0);
        // Seen 1 + 2 + 4 - 0.5 = 6.5; as far are +-7.5 and +-6.5.
        assert_eq!(sign_flip_p(&[1.0, 2.0, 4.0, -0.5]), 4.0 / 16.0);
        // Seen 4 - 1 + 2 = 5; as far are +-7 and +-5.
        assert_eq!(sign_flip_p(&[4.0, -1.0, 2.0]), 4.0 / 8.0);
        assert_eq!(sign_flip_p(&[-0.2]), 1.0);
        assert_eq!(sign_flip_p(&[]), 1.0);
        assert_eq!(sign_flip_p(&[0.0; 6]), 1.0);
    }

    #[test]
    fn the_same_differences_in_another_order_are_as_unlikely() {
        let one = [0.1, 0.2, 0.3, 0.15, -0.05, 0.07, 0.11, 0.02];
        let mut other = one;
        other.reverse();
        assert_eq!(sign_flip_p(&one), sign_flip_p(&other));
    }

    #[test]
    fn least_p_is_that_of_differences_of_one_sign() {
        for rounds in 1..=EXACT_ROUNDS_MAX {
            assert_eq!(sign_flip_p(&vec![0.1; rounds]), least_p(rounds), "{rounds} rounds");
        }
    }

    #[test]
    fn many_rounds_are_sampled_and_agree_with_the_exact_count() {
        let rounds = |count: usize| (0..count).map(|round| if round % 5 < 2 { -1.0 } else { 1.0 }).collect::<Vec<_>>();
        // 20 rounds, 12 of them positive: P(|2 heads - 20| >= 4) = 2 P(heads >= 12) = 2 * 263950 / 2^20.
        assert!((sign_flip_p(&rounds(20)) - 0.5034).abs() < 0.01, "{}", sign_flip_p(&rounds(20)));
        assert!(sign_flip_p(&[1.0; 20]) < 0.001);
    }

    #[test]
    fn holm_multiplies_the_least_by_the_number_of_claims_and_keeps_the_order() {
        // Sorted 0.01, 0.02, 0.03, 0.04: times 4, 3, 2, 1 gives 0.04, 0.06, 0.06, 0.04, raised to the one before.
        assert_eq!(holm(&[0.04, 0.01, 0.03, 0.02]), [0.06, 0.04, 0.06, 0.06]);
        assert_eq!(holm(&[0.5, 0.6]), [1.0, 1.0]);
        assert_eq!(holm(&[]), [0.0; 0]);
    }

    #[test]
    fn eight_rounds_carry_six_claims() {
        assert_eq!([1, 6, 7, 12, 13, 25, 26].map(rounds_for), [6, 8, 9, 9, 10, 10, 11]);
    }

    #[test]
    fn exponent_of_a_power_is_its_exponent() {
        let points = [1.0, 10.0, 100.0].map(|x: f64| (x, 3.0 * x.powf(1.5)));
        assert!((exponent(&points).unwrap() - 1.5).abs() < 1e-9);
        assert_eq!(exponent(&[(1.0, 2.0), (1.0, 3.0)]), None);
        assert_eq!(exponent(&[(1.0, 2.0)]), None);
        assert_eq!(exponent(&[(1.0, 0.0), (2.0, 3.0)]), None);
    }
}
