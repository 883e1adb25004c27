//! What may be said of a figure and its limit.

use super::statistics::SIGNIFICANT;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    Within,
    Over,
    /// The rounds lie on both sides of the limit, or are too few.
    NotShown {
        median_is_over: bool,
    },
}

impl Judgement {
    pub(crate) fn new(median_is_over: bool, p: f64) -> Self {
        match (p < SIGNIFICANT, median_is_over) {
            (false, _) => Self::NotShown { median_is_over },
            (true, false) => Self::Within,
            (true, true) => Self::Over,
        }
    }
}

impl std::fmt::Display for Judgement {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Within => "within",
            Self::Over => "OVER",
            Self::NotShown { median_is_over: false } => "not shown, median within",
            Self::NotShown { median_is_over: true } => "not shown, median over",
        })
    }
}
