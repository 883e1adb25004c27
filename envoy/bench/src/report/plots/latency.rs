//! Percentiles of latency: a panel for each case, in it a line for each target.

use anyhow::Result;
use plotters::prelude::*;

use super::{FONT, FONT_SIZE, Plot, Spread, Stage, broken, color, draw, logarithmic, tick};
use crate::figure::Figure;

const PERCENTILES: [(Figure, &str); 3] = [(Figure::P50Us, "p50"), (Figure::P99Us, "p99"), (Figure::P999Us, "p99.9")];
const PANELS_IN_A_ROW: usize = 3;

/// The targets of a case with their percentiles.
type Panel<'a> = Vec<(&'a str, Vec<(f64, Spread)>)>;

/// `None` for a stage that has not measured tails.
pub(super) fn plot(stage: &Stage<'_>) -> Result<Option<Plot>> {
    let cases: Vec<_> = stage.cases().into_iter().filter(|case| stage.has(case, Figure::P999Us)).collect();
    let panels: Vec<_> = cases.iter().map(|case| panel(stage, case)).collect();
    let spreads = panels.iter().flatten().flat_map(|(_, points)| points).map(|(_, spread)| *spread);
    let Some(y) = logarithmic(spreads) else { return Ok(None) };
    let columns = panels.len().min(PANELS_IN_A_ROW);
    let rows = panels.len().div_ceil(PANELS_IN_A_ROW);
    let title = format!("{}: us from due to answered (medians, least and most; logarithmic)", stage.name());
    let size = (60 + 300 * u32::try_from(columns)?, 40 + 330 * u32::try_from(rows)?);
    let plot = draw(stage, &format!("percentiles {}", stage.name()), title, (size.0.max(620), size.1), |area| {
        let areas = area.split_evenly((rows, columns));
        for (place, ((case, panel), area)) in cases.iter().zip(&panels).zip(&areas).enumerate() {
            let mut chart = ChartBuilder::on(area)
                .margin(10)
                .caption(case, (FONT, 14))
                .x_label_area_size(28)
                .y_label_area_size(56)
                .build_cartesian_2d(-0.4..2.4, y.clone().log_scale())
                .map_err(broken)?;
            chart
                .configure_mesh()
                .disable_x_mesh()
                .light_line_style(RGBColor(240, 240, 240))
                .bold_line_style(RGBColor(215, 215, 215))
                .label_style((FONT, FONT_SIZE))
                .x_labels(3)
                .x_label_formatter(&|x| percentile(*x).to_owned())
                .y_label_formatter(&|y| tick(*y))
                .draw()
                .map_err(broken)?;
            for (index, (target, points)) in panel.iter().enumerate() {
                let color = color(target, index);
                // Side by side, or whiskers hide each other.
                let aside = (index as f64 - (panel.len() as f64 - 1.0) / 2.0) * 0.08;
                let line = points.iter().map(|(x, y)| (x + aside, y.median));
                chart
                    .draw_series(LineSeries::new(line, color.stroke_width(1)))
                    .map_err(broken)?
                    .label(*target)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(3)));
                for (x, Spread { median, min, max }) in points {
                    let range = PathElement::new([(x + aside, *min), (x + aside, *max)], color.stroke_width(1));
                    chart.draw_series([range]).map_err(broken)?;
                    chart.draw_series([Circle::new((x + aside, *median), 3, color.filled())]).map_err(broken)?;
                }
            }
            if place > 0 {
                continue;
            }
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .label_font((FONT, FONT_SIZE))
                .background_style(WHITE.mix(0.8))
                .border_style(RGBColor(180, 180, 180))
                .draw()
                .map_err(broken)?;
        }
        Ok(())
    })?;
    Ok(Some(plot))
}

fn panel<'a>(stage: &Stage<'a>, case: &str) -> Panel<'a> {
    let points = |target: &'a str| {
        let of = |((figure, _), x): (&(Figure, &str), i32)| {
            let spread = Spread::of(stage.by_round(case, target, *figure).into_values())?;
            (spread.min > 0.0).then_some((f64::from(x), spread))
        };
        (target, PERCENTILES.iter().zip(0..).filter_map(of).collect::<Vec<_>>())
    };
    stage.targets().into_iter().map(points).filter(|(_, points)| !points.is_empty()).collect()
}

/// Where on the axis there is one.
fn percentile(x: f64) -> &'static str {
    let found = PERCENTILES.iter().zip(0..).find(|(_, place)| (f64::from(*place) - x).abs() < 1e-6);
    found.map(|((_, name), _)| *name).unwrap_or_default()
}
