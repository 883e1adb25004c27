//! Cost along an axis: a line through the medians of each target, with whiskers from least to most.

use anyhow::Result;
use plotters::prelude::*;

use super::super::cells::number;
use super::super::growth::{Curve, curves};
use super::{FONT, FONT_SIZE, Plot, Stage, broken, color, draw, logarithmic, tick};

/// One for each kind of work and figure; none for a stage without an axis.
pub(super) fn plots(stage: &Stage<'_>) -> Result<Vec<Plot>> {
    let curves = curves(stage);
    let groups = curves.chunk_by(|one, other| (&one.work, one.figure) == (&other.work, other.figure));
    groups.filter_map(|curves| plot(stage, curves).transpose()).collect()
}

/// `None` when nothing of it can be shown on logarithmic scales.
fn plot(stage: &Stage<'_>, curves: &[Curve<'_>]) -> Result<Option<Plot>> {
    let Some(Curve { work, figure, .. }) = curves.first() else { return Ok(None) };
    let points = || curves.iter().flat_map(|curve| &curve.points).filter(|(x, y)| *x > 0.0 && y.min > 0.0);
    let Some(y) = logarithmic(points().map(|(_, spread)| *spread)) else { return Ok(None) };
    let (least, most) = points().fold((f64::INFINITY, 0.0_f64), |(least, most), (x, _)| (least.min(*x), most.max(*x)));
    let axis = stage.head.axis.as_deref().unwrap_or_default();
    let what = if work.is_empty() { String::new() } else { format!("{work}, ") };
    let title = format!("{}: {what}{} by {axis} (medians, least and most)", stage.name(), figure.title());
    let kind = format!("growth {} {work} {}", stage.name(), figure.title());
    let plot = draw(stage, &kind, title, (760, 440), |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(70)
            .build_cartesian_2d((least / 1.3..most * 1.3).log_scale(), y.log_scale())
            .map_err(broken)?;
        chart
            .configure_mesh()
            .light_line_style(RGBColor(240, 240, 240))
            .bold_line_style(RGBColor(215, 215, 215))
            .label_style((FONT, FONT_SIZE))
            .x_desc(format!("{axis} (logarithmic)"))
            .y_desc(format!("{} (logarithmic)", figure.title()))
            .x_label_formatter(&|x| tick(*x))
            .y_label_formatter(&|y| tick(*y))
            .draw()
            .map_err(broken)?;
        for (index, curve) in curves.iter().enumerate() {
            let color = color(curve.target, index);
            let shown: Vec<_> = curve.points.iter().filter(|(x, y)| *x > 0.0 && y.min > 0.0).collect();
            let line = shown.iter().map(|(x, y)| (*x, y.median));
            let label = match curve.exponent() {
                Some(exponent) => format!("{}, exponent {}", curve.target, number(exponent.median, 2)),
                None => curve.target.to_owned(),
            };
            chart
                .draw_series(LineSeries::new(line, color.stroke_width(2)))
                .map_err(broken)?
                .label(label)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(3)));
            let whisker =
                |(x, y): &&(f64, super::Spread)| PathElement::new([(*x, y.min), (*x, y.max)], color.stroke_width(1));
            chart.draw_series(shown.iter().map(whisker)).map_err(broken)?;
            let dot = |(x, y): &&(f64, super::Spread)| Circle::new((*x, y.median), 3, color.filled());
            chart.draw_series(shown.iter().map(dot)).map_err(broken)?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .label_font((FONT, FONT_SIZE))
            .background_style(WHITE.mix(0.8))
            .border_style(RGBColor(180, 180, 180))
            .draw()
            .map_err(broken)
    })?;
    Ok(Some(plot))
}
