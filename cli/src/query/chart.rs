//! Ranges drawn in the terminal: one series as a line, several as rows with one scale.

use sonde_model::Labels;

use super::answer::{Answer, AnswerSeries};
use super::client::{Range, Request};
use super::time;

/// Rows of a line chart; a row holds four dots. An odd number has a middle.
const ROWS: usize = 13;
/// Series that are drawn; more would not be read.
const MAX_SERIES: usize = 20;
/// The narrowest and the widest chart.
const WIDTHS: std::ops::RangeInclusive<usize> = 40..=200;
/// Heights of a row of several series, from nothing to full.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The width of the terminal as the shell tells it.
pub(crate) fn terminal_width() -> usize {
    let told = std::env::var("COLUMNS").ok().and_then(|text| text.parse::<usize>().ok());
    told.unwrap_or(100).clamp(*WIDTHS.start(), *WIDTHS.end())
}

/// Draws an answer to a range query.
pub(super) fn draw(answer: &Answer, request: &Request, width: usize) -> String {
    let Some(range) = request.range else { return super::table::draw(answer) };
    let drawn: Vec<&AnswerSeries> = answer.series.iter().filter(|s| s.floats().any(|(_, v)| v.is_finite())).collect();
    let Some(scale) = Scale::of(&drawn) else {
        return "no numbers to draw in this range\n".to_owned();
    };
    let mut text = match drawn.as_slice() {
        [series] => line_chart(series, &scale, range, width),
        several => rows(several, &scale, range, width),
    };
    let left_out = answer.series.len() - drawn.len();
    if left_out > 0 {
        text.push_str(&format!("{left_out} more series without numbers\n"));
    }
    text
}

/// The values at the lower and the upper edge.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn of(series: &[&AnswerSeries]) -> Option<Self> {
        let values = || series.iter().flat_map(|s| s.floats()).map(|(_, v)| v).filter(|v| v.is_finite());
        let (low, high) = (values().reduce(f64::min)?, values().reduce(f64::max)?);
        // Zero belongs into the picture of what is far from it compared with how much it moves, and below it nothing is.
        let low = if low > 0.0 && low < (high - low) { 0.0 } else { low };
        Some(if low == high { Scale { low: low - 0.5, high: high + 0.5 } } else { Scale { low, high } })
    }

    /// Where a value lies, from 0 at the lower edge to 1 at the upper one.
    fn share(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

/// A line of Braille dots with its scale at the left and its times below.
fn line_chart(series: &AnswerSeries, scale: &Scale, range: Range, width: usize) -> String {
    let labels: Vec<String> = (0..ROWS).map(|row| axis_label(scale, row)).collect();
    let margin = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    let columns = width.saturating_sub(margin + 2).max(10);
    let dots = columns * 2;
    let mut cells = vec![vec![0u8; columns]; ROWS];
    let mut before: Option<(usize, usize)> = None;
    for (at, value) in series.floats() {
        if !value.is_finite() {
            before = None;
            continue;
        }
        let x = position(at, range, dots);
        let y = ((1.0 - scale.share(value)) * (ROWS * 4 - 1) as f64).round() as usize;
        // A gap of more than a few steps stays a gap.
        let from = before.filter(|(x0, _)| x.saturating_sub(*x0) <= 4.max(dots * 3 / points(range)));
        join(&mut cells, from.unwrap_or((x, y)), (x, y));
        before = Some((x, y));
    }
    let mut text = format!("{}\n", series.labels);
    for (label, row) in labels.iter().zip(&cells) {
        let pad = " ".repeat(margin - label.chars().count());
        let line: String = row.iter().map(|dots| braille(*dots)).collect();
        text.push_str(&format!("{pad}{label} ┤{}\n", line.trim_end_matches('\u{2800}')));
    }
    text.push_str(&format!("{} └{}\n", " ".repeat(margin), "─".repeat(columns)));
    text.push_str(&format!("{}  {}\n", " ".repeat(margin), time_axis(range, columns)));
    let last = series.floats().last().map_or(f64::NAN, |(_, v)| v);
    text.push_str(&format!("last {}  step {}\n", number(last), sonde_model::duration::DurationMs(range.step)));
    text
}

/// A label at the first, the middle and the last row.
fn axis_label(scale: &Scale, row: usize) -> String {
    match row {
        0 => number(scale.high),
        r if r == ROWS / 2 => number(scale.low + (scale.high - scale.low) * (1.0 - r as f64 / (ROWS - 1) as f64)),
        r if r == ROWS - 1 => number(scale.low),
        _ => String::new(),
    }
}

fn points(range: Range) -> usize {
    usize::try_from((range.end - range.start) / range.step.max(1)).unwrap_or(1).max(1)
}

/// The column of a time.
fn position(at: i64, range: Range, columns: usize) -> usize {
    let share = (at - range.start) as f64 / ((range.end - range.start).max(1)) as f64;
    ((share.clamp(0.0, 1.0) * (columns - 1) as f64).round()) as usize
}

/// Sets the dots of a line between two points.
fn join(cells: &mut [Vec<u8>], (x0, y0): (usize, usize), (x1, y1): (usize, usize)) {
    let steps = x1.abs_diff(x0).max(y1.abs_diff(y0)).max(1);
    for step in 0..=steps {
        let along = |from: usize, to: usize| {
            (from as f64 + (to as f64 - from as f64) * step as f64 / steps as f64).round() as usize
        };
        let (x, y) = (along(x0, x1), along(y0, y1));
        if let Some(cell) = cells.get_mut(y / 4).and_then(|row| row.get_mut(x / 2)) {
            *cell |= dot(x % 2, y % 4);
        }
    }
}

/// The bit of a dot in Unicode's Braille patterns.
fn dot(column: usize, row: usize) -> u8 {
    const BITS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
    BITS[column][row]
}

fn braille(dots: u8) -> char {
    char::from_u32(0x2800 + u32::from(dots)).unwrap_or(' ')
}

/// First and last time with a line between; the date only where it is needed.
fn time_axis(range: Range, columns: usize) -> String {
    let (start, end) = (time::show(range.start), time::show(range.end));
    let same_day = start.get(..10) == end.get(..10);
    let end = if same_day { end[11.min(end.len())..].to_owned() } else { end };
    let gap = columns.saturating_sub(start.len() + end.len() + 4).max(1);
    format!("{start}{}{end} UTC", " ".repeat(gap))
}

/// One row of bars a series, all with one scale.
fn rows(series: &[&AnswerSeries], scale: &Scale, range: Range, width: usize) -> String {
    let shown = &series[..series.len().min(MAX_SERIES)];
    let common = common_labels(series);
    let own = |s: &&AnswerSeries| s.labels.without(|name| common.get(name).is_some()).to_string();
    let names: Vec<String> = shown.iter().map(|s| shortened(&own(s), width / 2)).collect();
    let lasts: Vec<String> =
        shown.iter().map(|s| s.floats().last().map_or_else(String::new, |(_, v)| number(v))).collect();
    let longest = |texts: &[String]| texts.iter().map(|t| t.chars().count()).max().unwrap_or(0);
    let (name_width, last_width) = (longest(&names), longest(&lasts).max(4));
    let columns = width.saturating_sub(name_width + last_width + 4).max(10);
    let mut text = if common.is_empty() { String::new() } else { format!("all {common}\n") };
    text.push_str(&format!(
        "{}  {}  {}LAST\n",
        " ".repeat(name_width),
        padded(&format!("{} to {}", number(scale.low), number(scale.high)), columns),
        " ".repeat(last_width - 4)
    ));
    for ((series, name), last) in shown.iter().zip(&names).zip(&lasts) {
        let bars = bars(series, scale, range, columns);
        let gap = " ".repeat(last_width - last.chars().count());
        text.push_str(&format!("{}  {bars}  {gap}{last}\n", padded(name, name_width)));
    }
    text.push_str(&format!("{}  {}\n", " ".repeat(name_width), time_axis(range, columns)));
    if series.len() > shown.len() {
        text.push_str(&format!("{} more series; -o table shows all\n", series.len() - shown.len()));
    }
    text
}

/// The labels that all series have, which need not be told of each.
fn common_labels(series: &[&AnswerSeries]) -> Labels {
    let Some((first, others)) = series.split_first() else { return Labels::empty() };
    let in_all = |name: &str| others.iter().all(|s| s.labels.get(name) == first.labels.get(name));
    first.labels.without(|name| !in_all(name))
}

/// The mean of each column's samples as a bar.
fn bars(series: &AnswerSeries, scale: &Scale, range: Range, columns: usize) -> String {
    let mut sums = vec![(0.0, 0u32); columns];
    for (at, value) in series.floats().filter(|(_, v)| v.is_finite()) {
        let cell = &mut sums[position(at, range, columns)];
        *cell = (cell.0 + value, cell.1 + 1);
    }
    // With fewer points than columns a bar reaches to the next point.
    let reach = columns.div_ceil(points(range));
    let mut last: Option<(usize, f64)> = None;
    let mut text = String::new();
    for (column, (sum, count)) in sums.into_iter().enumerate() {
        if count > 0 {
            last = Some((column, sum / f64::from(count)));
        }
        text.push(match last.filter(|(from, _)| column - from < reach.max(1)) {
            Some((_, mean)) => BARS[((scale.share(mean) * 7.0).round()) as usize],
            None => ' ',
        });
    }
    text
}

fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.chars().count())))
}

fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width { text.to_owned() } else { text.chars().take(width - 1).chain(['…']).collect() }
}

/// A number in few letters: `1.234M`, `0.05`, `12.5`.
pub(super) fn number(value: f64) -> String {
    const PREFIXES: [(&str, f64); 4] = [("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)];
    if !value.is_finite() {
        return sonde_model::GoFloat(value).to_string();
    }
    let (prefix, unit) = PREFIXES.into_iter().find(|(_, unit)| value.abs() >= *unit).unwrap_or(("", 1.0));
    let scaled = value / unit;
    let magnitude = if scaled == 0.0 { 0.0 } else { scaled.abs().log10().floor() };
    if magnitude < -4.0 {
        return format!("{scaled:.2e}");
    }
    let decimals = (3.0 - magnitude).clamp(0.0, 7.0) as usize;
    let text = format!("{scaled:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{prefix}")
}
