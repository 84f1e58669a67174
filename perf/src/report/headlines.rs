//! What a reader wants to see first: our speed beside each peer's, and how it moved from record to record.

use std::cmp::Ordering;

use anyhow::Result;
use maud::{Markup, html};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::load::{Figure, Ratios};
use super::plot::{AXIS, Area, Bar, GRID, INK, MET, MISSED, MUTED, ROW};
use super::plot::{anchored, drawn, figure, legend, rows};
use super::words::{percent, short};
use crate::ratio::{Kind, Ratio};
use crate::registry::{ENTRIES, find};

/// A headline's figures, from the oldest record to the newest.
#[derive(Debug)]
pub(super) struct Course<'r> {
    what: &'static str,
    peer: &'static str,
    /// The goal of today; the record's may be an older one.
    goal: Option<f64>,
    /// The day, and the value.
    values: Vec<(&'r str, f64)>,
    newest: f64,
}

/// The records whose figures count: those on the fastest path of their machine, from the oldest to the newest. Of the same day, the
/// quietest comes last.
pub(super) fn in_order<'r>(records: impl IntoIterator<Item = &'r Ratios>) -> Vec<&'r Ratios> {
    let counts = |ratios: &&Ratios| ratios.details.machine.fastest_path() == ratios.details.path;
    let mut records: Vec<_> = records.into_iter().filter(counts).collect();
    records.sort_by(|a, b| day(a).cmp(day(b)).then_with(|| load(b).total_cmp(&load(a))));
    records
}

/// The day on which a record was taken.
pub(super) fn day(ratios: &Ratios) -> &str {
    let date = &ratios.details.date;
    date.get(..10).unwrap_or(date)
}

/// How many processes wanted a core; unknown is taken for noisy.
fn load(ratios: &Ratios) -> f64 {
    ratios.details.machine.load.unwrap_or(f64::INFINITY)
}

/// The newest figure of each key, with its record.
pub(super) fn newest<'r>(records: &[&'r Ratios]) -> Vec<(&'r Ratios, &'r Figure)> {
    let mut newest: Vec<(&Ratios, &Figure)> = Vec::new();
    for &ratios in records {
        for figure in ratios
            .figures
            .iter()
            .filter(|figure| figure.value.is_some())
        {
            match newest.iter_mut().find(|(_, known)| known.key == figure.key) {
                Some(known) => *known = (ratios, figure),
                None => newest.push((ratios, figure)),
            }
        }
    }
    newest
}

/// The courses of the headlines that were measured.
pub(super) fn courses<'r>(records: &[&'r Ratios]) -> Vec<Course<'r>> {
    let course = |ratio: &'static Ratio| {
        let (what, peer) = ratio.headline?;
        let value = |ratios: &&'r Ratios| {
            let figure = ratios
                .figures
                .iter()
                .find(|figure| figure.key == ratio.key)?;
            Some((day(ratios), figure.value?))
        };
        let values: Vec<_> = records.iter().filter_map(value).collect();
        let &(_, newest) = values.last()?;
        Some(Course {
            what,
            peer,
            goal: ratio.goal,
            values,
            newest,
        })
    };
    let ratios = ENTRIES.iter().map(|entry| &entry.ratio);
    ratios.filter_map(course).collect()
}

impl Course<'_> {
    /// By which part of its goal a value falls short.
    fn shortfall(&self, value: f64) -> Option<f64> {
        Kind::Speed.shortfall(value, self.goal?)
    }

    fn colour(&self, value: f64) -> RGBColor {
        match self.shortfall(value) {
            Some(_) => MISSED,
            None => MET,
        }
    }
}

/// How many times as fast as each peer, by the newest figures.
pub(super) fn beside_peers(courses: &[Course<'_>]) -> Result<Markup> {
    let bars: Vec<Bar> = courses
        .iter()
        .map(|course| {
            let value = course.newest;
            let short_by = match course.shortfall(value) {
                Some(part) => format!(
                    ", {} short of {}",
                    percent(part),
                    course.goal.unwrap_or(0.0)
                ),
                None => String::new(),
            };
            Bar {
                label: format!("{}, beside {}", course.what, course.peer),
                parts: vec![(value.min(1.0), value.max(1.0), course.colour(value))],
                spread: None,
                mark: course.goal,
                value: format!("{} ×{short_by}", short(value)),
            }
        })
        .collect();
    let least = bars
        .iter()
        .flat_map(|bar| bar.parts.iter().map(|part| part.0).chain(bar.mark));
    let least = least.fold(1.0, f64::min) * 0.8;
    // Room for the value at the end of the longest.
    let most = bars.iter().map(Bar::end).fold(1.0, f64::max) * 5.0;
    let height = ROW * bars.len() as u32 + AXIS;
    let title = "How many times as fast as each peer";
    let unit = "times as fast as the peer";
    let drawing = figure(
        title,
        |_| height,
        |area| rows(area, (least..most).log_scale(), unit, &bars),
    )?;
    Ok(html! {
        (legend([(MET, "meets its goal, or has none"), (MISSED, "falls short of its goal")]))
        (drawing)
    })
}

/// The size of the drawing of one course.
const CELL: (u32, u32) = (200, 150);

fn columns(width: u32) -> u32 {
    (width / CELL.0).max(2)
}

/// How each headline moved from record to record: a small drawing for each.
pub(super) fn moves(courses: &[Course<'_>]) -> Result<Markup> {
    let count = courses.len() as u32;
    figure(
        "How the figures moved from record to record",
        |width| CELL.1 * count.div_ceil(columns(width)),
        |area| {
            let (width, _) = area.dim_in_pixel();
            let columns = columns(width) as usize;
            let cells = area.split_evenly((courses.len().div_ceil(columns).max(1), columns));
            courses
                .iter()
                .zip(&cells)
                .try_for_each(|(course, cell)| draw_course(course, cell))
        },
    )
}

fn draw_course(course: &Course<'_>, cell: &Area<'_>) -> Result<()> {
    let title = |line: i32, words: &str, colour| {
        let style = anchored(12, colour, HPos::Left, VPos::Top);
        drawn(cell.draw(&Text::new(words.to_owned(), (6, 4 + 16 * line), style)))
    };
    title(0, course.what, INK)?;
    title(1, &format!("beside {}", course.peer), MUTED)?;
    let values = || course.values.iter().map(|(_, value)| *value);
    let most = values().chain(course.goal).fold(0.0, f64::max);
    let last = course.values.len() as f64 - 1.0;
    let mut builder = ChartBuilder::on(cell);
    builder
        .margin_top(40)
        .margin_left(10)
        .margin_right(56)
        .margin_bottom(24);
    // From zero, so that a small move looks small.
    let mut chart = drawn(builder.build_cartesian_2d(-0.1..last + 0.1, 0.0..most * 1.15))?;
    let line = |height: f64| vec![(-0.1, height), (last + 0.1, height)];
    drawn(chart.draw_series([PathElement::new(line(0.0), GRID)]))?;
    if let Some(goal) = course.goal {
        drawn(chart.draw_series(DashedLineSeries::new(line(goal), 4, 3, MUTED.into())))?;
    }
    let points = || {
        values()
            .enumerate()
            .map(|(place, value)| (place as f64, value))
    };
    drawn(chart.draw_series(LineSeries::new(points(), MUTED.stroke_width(1))))?;
    drawn(chart.draw_series(
        points().map(|point| Circle::new(point, 4, course.colour(point.1).filled())),
    ))?;
    let value = anchored(13, INK, HPos::Left, VPos::Center);
    let value = Text::new(format!("{} ×", short(course.newest)), (8, 0), value);
    drawn(chart.draw_series([EmptyElement::at((last, course.newest)) + value]))?;
    let days = match (course.values.first(), course.values.last()) {
        (Some((first, _)), Some((last, _))) if first != last => format!("{first} to {last}"),
        (_, Some((last, _))) => (*last).to_owned(),
        _ => String::new(),
    };
    let style = anchored(11, MUTED, HPos::Left, VPos::Bottom);
    drawn(cell.draw(&Text::new(days, (6, CELL.1 as i32 - 6), style)))
}

/// What falls short of the goal of today, the worst first, by the newest figures.
pub(super) fn shortfalls<'r>(
    newest: &[(&'r Ratios, &'r Figure)],
) -> Vec<(&'r Ratios, &'r Figure, f64, f64)> {
    let short = |&(ratios, figure): &(&'r Ratios, &'r Figure)| {
        let goal = goal_of(figure)?;
        let part = figure.kind.shortfall(figure.value?, goal)?;
        Some((ratios, figure, goal, part))
    };
    let mut short: Vec<_> = newest.iter().filter_map(short).collect();
    short.sort_by(|a, b| b.3.partial_cmp(&a.3).unwrap_or(Ordering::Equal));
    short
}

/// The goal of today, or that of the record for a ratio that is no longer measured.
pub(super) fn goal_of(figure: &Figure) -> Option<f64> {
    match find(&figure.key) {
        Some(ratio) => ratio.goal,
        None => figure.goal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::load::{Loaded, parse};
    use crate::report::tests::RATIOS;

    fn record(text: &str) -> Ratios {
        match parse(text, "made-up").expect("a record") {
            Loaded::Ratios(ratios) => *ratios,
            Loaded::Scenario(_) => panic!("these are ratios"),
        }
    }

    #[test]
    fn the_newest_day_counts_and_of_a_day_the_quietest_record() {
        let old = record(&RATIOS.replace("2026-02-02", "2026-01-01"));
        let noisy = record(
            &RATIOS
                .replace("\"load\": 1.0", "\"load\": 9.0")
                .replace("4.4", "2.2"),
        );
        let quiet = record(RATIOS);
        let slow_path = record(&RATIOS.replace("\"path\": \"avx2\"", "\"path\": \"portable\""));
        let records = in_order([&quiet, &slow_path, &noisy, &old]);
        assert_eq!(records.len(), 3, "the slow path doesn't count");
        let courses = courses(&records);
        assert_eq!(courses.len(), 2, "the headlines that were measured");
        let days: Vec<_> = courses[0]
            .values
            .iter()
            .map(|(day, value)| (*day, *value))
            .collect();
        assert_eq!(
            days,
            [
                ("2026-01-01", 4.4),
                ("2026-02-02", 2.2),
                ("2026-02-02", 4.4)
            ]
        );
        assert_eq!(courses[0].newest, 4.4);
    }

    #[test]
    fn what_falls_short_is_named_the_worst_first() {
        let record = record(RATIOS);
        let newest = newest(&[&record]);
        assert_eq!(newest.len(), 3, "what wasn't measured has no newest figure");
        let short = shortfalls(&newest);
        let keys: Vec<_> = short
            .iter()
            .map(|(_, figure, goal, part)| (&*figure.key, *goal, *part))
            .collect();
        assert_eq!(
            keys,
            [
                ("admission_p99_ms", 10.0, 0.5),
                ("hub_over_dalek_batch", 5.5, (5.5 - 4.4) / 5.5)
            ]
        );
    }
}
