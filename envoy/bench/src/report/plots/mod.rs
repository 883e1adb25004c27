//! Plots of a run as SVG: black on white, so that they can be read on a dark page, too.

mod growth;
mod latency;
mod ratios;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::stage::Stage;
use super::statistics::Spread;
use crate::record::Run;

/// An image and where it belongs.
pub(crate) struct Plot {
    pub(crate) stage: String,
    pub(crate) title: String,
    /// Its name in the folder of the plots.
    pub(crate) file: String,
    pub(crate) svg: String,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// One for each kind of plot that a stage has figures for.
pub(crate) fn all(run: &Run) -> Result<Vec<Plot>> {
    let mut plots = Vec::new();
    for stage in Stage::all(run) {
        plots.extend(growth::plots(&stage)?);
        plots.extend(ratios::plot(&stage)?);
        plots.extend(latency::plot(&stage)?);
    }
    Ok(plots)
}

/// A plot of a stage, below its title; `name` becomes that of its file.
fn draw(
    stage: &Stage<'_>,
    name: &str,
    title: String,
    size: (u32, u32),
    content: impl FnOnce(&Area<'_>) -> Result<()>,
) -> Result<Plot> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE).map_err(broken)?;
        let below = root.titled(&title, (FONT, 16)).map_err(broken)?;
        content(&below)?;
        root.present().map_err(broken)?;
    }
    Ok(Plot { stage: stage.name().to_owned(), title, file: format!("{}.svg", file_name(name)), svg })
}

/// Letters and digits of any text, words apart by a hyphen and none twice in a row.
fn file_name(text: &str) -> String {
    let words = text.split(|char: char| !char.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut words: Vec<_> = words.map(str::to_lowercase).collect();
    words.dedup();
    words.join("-")
}

const FONT: &str = "sans-serif";
const FONT_SIZE: u32 = 13;

/// The errors of plotters borrow what they happened to.
fn broken(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw a plot: {error}")
}

/// The same in each plot; whoever is not known takes the next of the rest.
fn color(target: &str, index: usize) -> RGBColor {
    const OTHERS: [RGBColor; 10] = [
        RGBColor(148, 103, 189),
        RGBColor(140, 86, 75),
        RGBColor(227, 119, 194),
        RGBColor(23, 190, 207),
        RGBColor(44, 160, 44),
        RGBColor(188, 189, 34),
        RGBColor(57, 59, 121),
        RGBColor(99, 121, 57),
        RGBColor(214, 97, 107),
        RGBColor(206, 109, 189),
    ];
    match target {
        "direct" => RGBColor(127, 127, 127),
        "bare" => RGBColor(0, 0, 0),
        "noop" => RGBColor(235, 190, 90),
        "peek" => RGBColor(200, 130, 20),
        "copy" => RGBColor(130, 80, 10),
        "addresses" => RGBColor(31, 119, 180),
        "tenancy" => RGBColor(214, 39, 40),
        _ => OTHERS.get(index % OTHERS.len()).copied().unwrap_or(BLACK),
    }
}

/// From least to most of values that a logarithmic axis can show, with some room; `None` without any.
fn logarithmic(spreads: impl Iterator<Item = Spread>) -> Option<std::ops::Range<f64>> {
    let (least, most) = spreads
        .filter(|spread| spread.min > 0.0)
        .fold((f64::INFINITY, 0.0_f64), |(least, most), spread| (least.min(spread.min), most.max(spread.max)));
    (least.is_finite() && most.is_finite()).then_some(least / 1.3..most * 1.3)
}

/// Short and without digits that say nothing.
fn tick(value: f64) -> String {
    let digits =
        if value >= 10.0 || value == 0.0 { 0 } else { (-value.abs().log10().floor()).clamp(0.0, 6.0) as usize };
    super::cells::number(value, digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Vec<Plot> {
        all(&serde_json::from_str(include_str!("../fixtures/small.json")).unwrap()).unwrap()
    }

    #[test]
    fn each_kind_of_figure_has_its_plot() {
        let files: Vec<_> = small().into_iter().map(|plot| plot.file).collect();
        let expected = ["ratios-exchanges.svg", "percentiles-latency.svg", "growth-topics-cpu-s-m-requests.svg"];
        assert_eq!(files, expected);
    }

    #[test]
    fn plots_are_named_labelled_and_white() {
        for Plot { title, svg, file, .. } in small() {
            let background = svg.lines().nth(1).unwrap();
            assert!(background.starts_with("<rect") && background.contains("fill=\"#FFFFFF\""), "{file}: {background}");
            for text in [title.as_str(), "tenancy"] {
                assert!(svg.contains(text), "{file} lacks '{text}'");
            }
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{file}");
        }
    }

    #[test]
    fn rounds_that_disagree_have_no_dot() {
        let plots = small();
        let dots = |svg: &str| svg.matches("<circle").count();
        // Three targets of one case, two and one of whose rounds disagree, two; and one each in the legend.
        assert_eq!(dots(&plots[0].svg), 3 + 1 + 2 + 3);
    }

    #[test]
    fn ticks_have_the_digits_that_they_need() {
        assert_eq!([0.0, 0.02, 0.5, 3.0, 12_000.0].map(tick), ["0", "0.02", "0.5", "3", "12,000"]);
    }
}
