//! CPU as a multiple of the reference's: a row for each case, a dot for each target's median on a line from least to most.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::super::comparison::{Comparison, Relation};
use super::super::stage::DIRECT;
use super::super::views::View;
use super::{FONT, FONT_SIZE, Plot, Spread, Stage, broken, color, draw};
use crate::figure::Kind;

/// What each row and each target in it add to the height.
const ROW_HEIGHT: u32 = 10;
const TARGET_HEIGHT: u32 = 9;
/// What is more is written at the edge, or the budgets between 1.1 and 1.4 would be hard to tell apart.
const SHOWN_MAX: f64 = 1.75;
/// Room for the legend, as a share of the width.
const LEGEND_SHARE: f64 = 0.25;

struct Row {
    label: String,
    /// By target.
    ratios: Vec<(usize, Comparison)>,
}

/// `None` for a stage that has no such ratio, or is a curve.
pub(super) fn plot(stage: &Stage<'_>) -> Result<Option<Plot>> {
    let reference = stage.reference();
    let targets: Vec<_> = stage.targets().into_iter().filter(|target| ![DIRECT, reference].contains(target)).collect();
    let rows = rows(stage, &targets);
    if rows.is_empty() || stage.head.axis.is_some() {
        return Ok(None);
    }
    let all = || rows.iter().flat_map(|row| &row.ratios).map(|(_, ratio)| ratio.spread);
    let least = all().map(|spread| spread.min).fold(0.9, f64::min);
    let most = all().map(|spread| spread.max).fold(1.5, f64::max).min(SHOWN_MAX);
    let title = format!("{}: CPU of the proxy over that of {reference} (medians, least and most)", stage.name());
    let count = rows.len();
    let height = 110 + (ROW_HEIGHT + TARGET_HEIGHT * u32::try_from(targets.len())?) * u32::try_from(count)?;
    let (from, to) = (least - 0.02, most + 0.02 + LEGEND_SHARE * (most - least));
    let plot = draw(stage, &format!("ratios {}", stage.name()), title, (860, height), |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(40)
            .margin_left(250)
            .build_cartesian_2d(from..to, count as f64..0.0)
            .map_err(broken)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .x_max_light_lines(1)
            .bold_line_style(RGBColor(215, 215, 215))
            .label_style((FONT, FONT_SIZE))
            .x_desc(format!("CPU / CPU of {reference}, same round"))
            .x_label_formatter(&|x| format!("{x:.2}"))
            .draw()
            .map_err(broken)?;
        let same = PathElement::new([(1.0, 0.0), (1.0, count as f64)], BLACK.stroke_width(1));
        chart.draw_series([same]).map_err(broken)?;
        for (row, place) in rows.iter().zip(0..) {
            let top = f64::from(place);
            let (x, y) = chart.plotting_area().map_coordinate(&(from, top + 0.5));
            let style = (FONT, FONT_SIZE).into_text_style(area).pos(Pos::new(HPos::Right, VPos::Center));
            let (left, above) = area.get_base_pixel();
            area.draw(&Text::new(row.label.clone(), (x - left - 8, y - above), style)).map_err(broken)?;
            for (index, ratio) in &row.ratios {
                let color = color(targets.get(*index).copied().unwrap_or_default(), *index);
                let y = top + (*index as f64 + 1.0) / (targets.len() as f64 + 1.0);
                let Spread { median, min, max } = ratio.spread;
                let line = PathElement::new([(min.min(most), y), (max.min(most), y)], color.stroke_width(2));
                chart.draw_series([line]).map_err(broken)?;
                // Rounds that disagree have a range and no median.
                if ratio.flaw.is_none() && median <= most {
                    let dot = Circle::new((median, y), 4, color.filled());
                    chart.draw_series([dot]).map_err(broken)?;
                } else if ratio.flaw.is_none() {
                    let (x, y) = chart.plotting_area().map_coordinate(&(most, y));
                    let style = (FONT, FONT_SIZE).into_text_style(area).color(&color);
                    let style = style.pos(Pos::new(HPos::Left, VPos::Center));
                    let beyond = Text::new(format!("→ {median:.2}"), (x - left + 4, y - above), style);
                    area.draw(&beyond).map_err(broken)?;
                }
            }
        }
        for (index, target) in targets.iter().enumerate() {
            let color = color(target, index);
            chart
                .draw_series(std::iter::empty::<Circle<(f64, f64), i32>>())
                .map_err(broken)?
                .label(*target)
                .legend(move |(x, y)| Circle::new((x + 8, y), 4, color.filled()));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .label_font((FONT, FONT_SIZE))
            .background_style(WHITE.mix(0.8))
            .border_style(RGBColor(180, 180, 180))
            .draw()
            .map_err(broken)
    })?;
    Ok(Some(plot))
}

fn rows(stage: &Stage<'_>, targets: &[&str]) -> Vec<Row> {
    let mut rows = Vec::new();
    for view in View::of_stage(stage).iter().filter(|view| view.figure.kind() == Kind::Cpu) {
        for case in stage.cases().into_iter().filter(|case| view.is_of(stage, case)) {
            let compare = |(index, target): (usize, &&str)| {
                let pair = [*target, stage.reference()];
                Some((index, Comparison::new(stage, view.figure, Relation::Ratio, case, pair)?))
            };
            let ratios: Vec<_> = targets.iter().enumerate().filter_map(compare).collect();
            if !ratios.is_empty() {
                rows.push(Row { label: format!("{case}, {}", view.figure.title()), ratios });
            }
        }
    }
    rows
}
