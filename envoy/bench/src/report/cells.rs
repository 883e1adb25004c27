//! How figures and what was found about them are written.

use super::comparison::{Comparison, Flaw};
use super::statistics::{SIGNIFICANT, Spread, holm, least_p, rounds_for};
use crate::record::Bottleneck;

/// As long as a claim is not shown.
pub(crate) const NOT_SHOWN: &str = "not shown";

/// Median [least - most].
pub(crate) fn spread(Spread { median, min, max }: Spread, digits: usize) -> String {
    let number = |value: f64| number(value, digits);
    let [median, min, max] = [median, min, max].map(number);
    if min == max { median } else { format!("{median} [{min} - {max}]") }
}

/// Thousands are set apart, and there is no minus zero.
pub(crate) fn number(value: f64, digits: usize) -> String {
    let plain = format!("{value:.digits$}");
    let plain = if plain.trim_start_matches('-').chars().all(|char| "0.".contains(char)) {
        plain.trim_start_matches('-').to_owned()
    } else {
        plain
    };
    let whole = plain.find('.').unwrap_or(plain.len());
    let mut out = String::new();
    for (index, char) in plain.char_indices() {
        let behind = whole.saturating_sub(index);
        if index > 0 && behind > 0 && behind % 3 == 0 && !out.ends_with('-') {
            out.push(',');
        }
        out.push(char);
    }
    out
}

/// Two digits that mean something.
pub(crate) fn p(p: f64) -> String {
    if p < 0.001 {
        "p < 0.001".into()
    } else if p < 0.01 {
        format!("p {p:.4}")
    } else {
        format!("p {p:.3}")
    }
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Disagreement { min, max } => {
                let digits = if max.abs() < 20.0 { 2 } else { 0 };
                write!(out, "rounds disagree ({} - {})", number(*min, digits), number(*max, digits))
            }
            Self::OtherSide { side, rounds, of } => {
                let side = match side {
                    Bottleneck::Proxy => "the proxy",
                    Bottleneck::Load => "the load",
                    Bottleneck::Endpoint => "the endpoint",
                    Bottleneck::LoadAndEndpoint => "load and endpoint",
                    Bottleneck::Waiting => "waiting",
                };
                write!(out, "paced by {side}")?;
                if rounds == of { Ok(()) } else { write!(out, " ({rounds} of {of})") }
            }
        }
    }
}

/// Claims that are made together, so that their p are corrected for their number.
#[derive(Default)]
pub(crate) struct Claims {
    p: Vec<f64>,
    rounds: Option<usize>,
}

impl Claims {
    /// Its place among them.
    pub(crate) fn add(&mut self, p: f64, rounds: usize) -> usize {
        self.p.push(p);
        self.rounds = Some(self.rounds.map_or(rounds, |least| least.min(rounds)));
        self.p.len() - 1
    }

    pub(crate) fn corrected(&self) -> Vec<f64> {
        holm(&self.p)
    }

    /// What has to be said when no outcome at all could have shown anything.
    pub(crate) fn note(&self) -> Option<String> {
        let (claims, rounds) = (self.p.len(), self.rounds?);
        let least = least_p(rounds) * claims as f64;
        (least >= SIGNIFICANT).then(|| {
            let needed = rounds_for(claims);
            let rounds = if rounds == 1 { "One round".into() } else { format!("{rounds} rounds") };
            format!("{rounds} cannot show anything about {claims} figures at once; {needed} rounds can.")
        })
    }
}

/// Cells of comparisons, and what has to be said below them. Those with `true` are claimed, all of them together.
pub(crate) fn comparisons(all: &[(Option<Comparison>, bool)], digits: usize) -> (Vec<String>, Option<String>) {
    let mut claims = Claims::default();
    let places: Vec<_> = all
        .iter()
        .map(|(comparison, is_claim)| {
            let sound = comparison.as_ref().filter(|comparison| *is_claim && comparison.flaw.is_none())?;
            Some(claims.add(sound.p_of_difference(), sound.rounds()))
        })
        .collect();
    let corrected = claims.corrected();
    let cell = |((comparison, _), place): (&(Option<Comparison>, bool), &Option<usize>)| {
        let Some(comparison) = comparison else { return String::new() };
        if let Some(flaw) = comparison.flaw {
            return flaw.to_string();
        }
        let measured = spread(comparison.spread, digits);
        match place.and_then(|place| corrected.get(place)) {
            None => measured,
            Some(p) if *p < SIGNIFICANT => format!("{measured} {}", self::p(*p)),
            Some(_) => format!("{measured} {NOT_SHOWN}"),
        }
    };
    (all.iter().zip(&places).map(cell).collect(), claims.note())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_set_apart_by_thousands() {
        assert_eq!(
            [(999.0, 0), (1234.5, 0), (1234567.25, 2), (-1234.0, 0), (-123.0, 0), (-0.001, 2), (0.25, 1)]
                .map(|(value, digits)| number(value, digits)),
            ["999", "1,234", "1,234,567.25", "-1,234", "-123", "0.00", "0.2"]
        );
    }

    #[test]
    fn claims_that_nothing_could_show_are_said_to_be_so() {
        let claims = |count: usize, rounds| {
            let mut claims = Claims::default();
            for _ in 0..count {
                claims.add(least_p(rounds), rounds);
            }
            claims
        };
        assert_eq!(claims(6, 8).note(), None);
        assert_eq!(
            claims(7, 8).note().as_deref(),
            Some("8 rounds cannot show anything about 7 figures at once; 9 rounds can.")
        );
        assert_eq!(claims(0, 0).note(), None);
    }
}
