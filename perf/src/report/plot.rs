//! Plots as SVG within the page: bars and lines.
//!
//! Each is drawn twice, for wide and for narrow screens; the page shows the one that fits, with text of the same size.
//! Colours name roles: the page's style gives each of them its colour, a light and a dark one.

use std::error::Error;

use anyhow::{Result, anyhow};
use maud::{Markup, PreEscaped, html};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::words::short;

/// Text and lines that matter.
pub(super) const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
/// What explains.
pub(super) const MUTED: RGBColor = RGBColor(0x66, 0x66, 0x66);
/// Lines that guide the eye.
pub(super) const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);
/// What meets its goal, or has none.
pub(super) const MET: RGBColor = COLOURS[0];
/// What falls short of its goal.
pub(super) const MISSED: RGBColor = COLOURS[5];
/// Colours that are told apart also by people who see few (Okabe and Ito).
pub(super) const COLOURS: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x7a, 0x6f, 0x00),
];

const WIDE: u32 = 820;
const NARROW: u32 = 360;
/// The height of a label and its bar.
pub(super) const ROW: u32 = 44;
/// The height of an axis with its unit.
pub(super) const AXIS: u32 = 44;

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The colour of the n-th of several.
pub(super) fn colour(index: usize) -> RGBColor {
    COLOURS[index % COLOURS.len()]
}

/// As plotters wants a text of `size` pixels.
pub(super) fn text(size: u32, colour: RGBColor) -> TextStyle<'static> {
    // plotters divides the size by this factor again.
    let size = f64::from(size) * 1.24;
    ("system-ui, sans-serif", size).into_font().color(&colour)
}

/// Text that is held at some point of it.
pub(super) fn anchored(size: u32, colour: RGBColor, h: HPos, v: VPos) -> TextStyle<'static> {
    text(size, colour).pos(Pos::new(h, v))
}

/// An error of plotters, which can't be kept beside the text that is drawn into.
pub(super) fn drawn<T, E: Error>(result: Result<T, E>) -> Result<T> {
    result.map_err(|error| anyhow!("draw: {error}"))
}

/// A figure with a title for those who don't see it, drawn by `draw` for both widths at the height that each needs.
pub(super) fn figure(
    title: &str,
    height: impl Fn(u32) -> u32,
    draw: impl Fn(&Area<'_>) -> Result<()>,
) -> Result<Markup> {
    let svg = |width: u32| -> Result<String> {
        let mut svg = String::new();
        let area = SVGBackend::with_string(&mut svg, (width, height(width))).into_drawing_area();
        draw(&area)?;
        drawn(area.present())?;
        drop(area);
        Ok(svg)
    };
    let (wide, narrow) = (svg(WIDE)?, svg(NARROW)?);
    Ok(html! {
        figure role="img" aria-label=(title) {
            div.wide { (PreEscaped(wide)) }
            div.narrow { (PreEscaped(narrow)) }
        }
    })
}

/// Names and the colours that stand for them.
pub(super) fn legend<'n>(names: impl IntoIterator<Item = (RGBColor, &'n str)>) -> Markup {
    html! {
        p.legend {
            @for (RGBColor(r, g, b), name) in names {
                span {
                    svg width="12" height="12" {
                        rect width="12" height="12" fill=(format!("#{r:02X}{g:02X}{b:02X}")) {}
                    }
                    " " (name)
                }
            }
        }
    }
}

/// A label, and under it a bar.
pub(super) struct Bar {
    pub(super) label: String,
    /// From where to where each part goes, and its colour.
    pub(super) parts: Vec<(f64, f64, RGBColor)>,
    /// The quartiles, drawn along the end.
    pub(super) spread: Option<(f64, f64)>,
    /// A mark across the bar.
    pub(super) mark: Option<f64>,
    /// What stands at the bar's end.
    pub(super) value: String,
}

impl Bar {
    /// The right end of all that is drawn.
    pub(super) fn end(&self) -> f64 {
        let parts = self.parts.iter().map(|&(from, to, _)| from.max(to));
        let others = self
            .spread
            .map(|(_, high)| high)
            .into_iter()
            .chain(self.mark);
        parts.chain(others).fold(0.0, f64::max)
    }
}

/// Bars over an axis of `unit` from zero.
pub(super) fn bars(title: &str, unit: &str, bars: &[Bar]) -> Result<Markup> {
    let most = bars.iter().map(Bar::end).fold(0.0, f64::max);
    // Room for the value at the end of the longest.
    let axis = 0.0..(most * 1.25).max(f64::MIN_POSITIVE);
    let height = ROW * bars.len() as u32 + AXIS;
    figure(
        title,
        |_| height,
        |area| rows(area, axis.clone(), unit, bars),
    )
}

/// Bars over any axis, a row for each.
pub(super) fn rows<A>(area: &Area<'_>, axis: A, unit: &str, bars: &[Bar]) -> Result<()>
where
    A: AsRangedCoord<Value = f64>,
    A::CoordDescType: ValueFormatter<f64>,
{
    let mut builder = ChartBuilder::on(area);
    builder.margin_right(16).margin_left(4);
    builder.set_label_area_size(LabelAreaPosition::Bottom, AXIS);
    let mut chart = drawn(builder.build_cartesian_2d(axis, 0.0..bars.len() as f64))?;
    let left = chart.x_range().start;
    let mut mesh = chart.configure_mesh();
    mesh.disable_y_mesh()
        .disable_y_axis()
        .x_labels(6)
        .x_desc(unit);
    mesh.x_label_formatter(&|value| short(*value));
    mesh.bold_line_style(GRID).light_line_style(TRANSPARENT);
    drawn(mesh.axis_style(GRID).label_style(text(12, MUTED)).draw())?;
    let ink = ShapeStyle::from(&INK).stroke_width(2);
    for (row, bar) in bars.iter().enumerate() {
        let top = (bars.len() - row) as f64;
        let label = Text::new(
            bar.label.clone(),
            (0, 0),
            anchored(13, INK, HPos::Left, VPos::Bottom),
        );
        drawn(chart.draw_series([EmptyElement::at((left, top - 0.46)) + label]))?;
        let parts = bar.parts.iter().map(|&(from, to, colour)| {
            Rectangle::new([(from, top - 0.5), (to, top - 0.9)], colour.filled())
        });
        drawn(chart.draw_series(parts))?;
        let spread = bar
            .spread
            .map(|(low, high)| vec![(low, top - 0.7), (high, top - 0.7)]);
        let mark = bar
            .mark
            .map(|mark| vec![(mark, top - 0.45), (mark, top - 0.95)]);
        let lines = spread.into_iter().chain(mark);
        drawn(chart.draw_series(lines.map(|line| PathElement::new(line, ink))))?;
        let value = Text::new(
            bar.value.clone(),
            (6, 0),
            anchored(12, INK, HPos::Left, VPos::Center),
        );
        drawn(chart.draw_series([EmptyElement::at((bar.end(), top - 0.7)) + value]))?;
    }
    Ok(())
}

/// Points of one colour.
pub(super) struct Series {
    pub(super) name: String,
    /// What was varied, and what came out.
    pub(super) points: Vec<(f64, f64)>,
}

/// Lines over an axis named `across`, of a height named `up` that begins at zero. Each value of `across` is as far from the next,
/// since chain lengths grow by factors.
pub(super) fn lines(title: &str, across: &str, up: &str, series: &[Series]) -> Result<Markup> {
    let all = || series.iter().flat_map(|series| &series.points);
    let most = all()
        .map(|point| point.1)
        .fold(0.0, f64::max)
        .max(f64::MIN_POSITIVE);
    let mut values: Vec<f64> = all().map(|point| point.0).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    let place = |value: f64| values.iter().position(|known| *known == value).unwrap_or(0) as f64;
    let name = |place: &f64| match (place.fract() == 0.0, values.get(*place as usize)) {
        (true, Some(value)) if *place >= 0.0 => short(*value),
        _ => String::new(),
    };
    let drawing = figure(
        title,
        |_| 280,
        |area| {
            let mut builder = ChartBuilder::on(area);
            builder
                .margin(10)
                .set_label_area_size(LabelAreaPosition::Bottom, AXIS);
            builder.set_label_area_size(LabelAreaPosition::Left, 64);
            let last = values.len().saturating_sub(1) as f64;
            let mut chart = drawn(builder.build_cartesian_2d(-0.5..last + 0.5, 0.0..most * 1.1))?;
            let mut mesh = chart.configure_mesh();
            mesh.disable_x_mesh()
                .bold_line_style(GRID)
                .light_line_style(TRANSPARENT);
            mesh.x_labels(2 * values.len() + 1)
                .x_label_formatter(&name)
                .x_desc(across);
            mesh.y_labels(5)
                .y_label_formatter(&|value| short(*value))
                .y_desc(up);
            drawn(mesh.axis_style(GRID).label_style(text(12, MUTED)).draw())?;
            for (index, series) in series.iter().enumerate() {
                let points = || {
                    series
                        .points
                        .iter()
                        .map(|&(across, up)| (place(across), up))
                };
                let style = ShapeStyle::from(&colour(index)).stroke_width(2);
                drawn(chart.draw_series(LineSeries::new(points(), style)))?;
                let dots = points().map(|point| Circle::new(point, 4, colour(index).filled()));
                drawn(chart.draw_series(dots))?;
            }
            Ok(())
        },
    )?;
    let names = series.iter().enumerate();
    let names = legend(names.map(|(index, series)| (colour(index), &*series.name)));
    Ok(html! { (names) (drawing) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of the two drawings.
    fn wide(markup: Markup) -> String {
        let text = markup.into_string();
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        assert_eq!(text.matches("<svg").count() % 2, 0, "wide and narrow");
        let end = text.find("class=\"narrow\"").expect("a narrow drawing");
        text[..end].to_owned()
    }

    #[test]
    fn a_bar_has_a_part_for_each_stage_and_text_that_is_text() {
        let bar = Bar {
            label: "x & </svg>".to_owned(),
            parts: vec![(0.0, 1.0, colour(0)), (1.0, 3.5, colour(1))],
            spread: Some((3.0, 4.0)),
            mark: Some(2.0),
            value: "3.5".to_owned(),
        };
        let text = wide(bars("t", "s", &[bar]).expect("it can be drawn"));
        assert_eq!(text.matches("<rect").count(), 2);
        assert!(
            text.contains("x &amp; &lt;/svg&gt;") && text.contains("3.5\n</text>"),
            "{text}"
        );
        bars("t", "s", &[]).expect("nothing can be drawn");
    }

    #[test]
    fn every_point_is_drawn() {
        for points in [
            &[][..],
            &[(1.0, 5.0)],
            &[(1.0, 5.0), (2.0, 9.0)],
            &[(0.0, 0.0), (0.0, 0.0)],
        ] {
            let series = Series {
                name: "a < b".to_owned(),
                points: points.to_vec(),
            };
            let text = lines("t", "threads", "a second", &[series]).expect("it can be drawn");
            let text = text.into_string();
            assert_eq!(text.matches("<circle").count(), 2 * points.len());
            assert!(text.contains("a &lt; b") && !text.contains("NaN"));
        }
    }
}
