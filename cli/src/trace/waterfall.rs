//! A trace as a tree with bars: who called whom, when, and how long it took.

use std::collections::HashMap;
use std::fmt::Write;

use sonde_model::span::{AttributeValue, ScopedSpan, SpanId, SpanKind, StatusCode};

/// How the waterfall is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Characters in a line.
    pub(super) width: usize,
    /// Whether attributes and events are listed under each span.
    pub(super) attributes: bool,
}

/// How deep the tree is indented; what is deeper stays there.
const MAX_INDENT: usize = 24;
/// The longest value that is shown whole.
const MAX_VALUE: usize = 120;

/// Draws the spans of a trace.
pub(super) fn draw(spans: &[ScopedSpan], look: &Look) -> String {
    let rows = rows(spans);
    let start = spans.iter().map(|s| s.span.start_ns).min().unwrap_or(0);
    let end = spans.iter().map(|s| s.span.end_ns).max().unwrap_or(0).max(start);
    let label = |row: &Row<'_>| format!("{}{}", "  ".repeat(row.depth.min(MAX_INDENT)), title(row.span));
    let labels: Vec<String> = rows.iter().map(|row| plain(&label(row))).collect();
    let longest = labels.iter().map(|l| l.chars().count()).max().unwrap_or(0);
    let label_width = longest.clamp(1, look.width / 2);
    let bar_width = look.width.saturating_sub(label_width + 12).max(10);

    let mut text = head(spans, start, end);
    for (row, label) in rows.iter().zip(&labels) {
        let span = &row.span.span;
        let bar = bar(span.start_ns - start, span.duration_ns(), end - start, bar_width);
        let mark = if span.status == StatusCode::Error { " !" } else { "" };
        let label = fitted(label, label_width);
        let took = duration(span.duration_ns());
        line(&mut text, format_args!("{label}  {bar} {took:>8}{mark}"));
        if span.status == StatusCode::Error && !span.status_message.is_empty() {
            let indent = "  ".repeat(row.depth.min(MAX_INDENT) + 2);
            line(&mut text, format_args!("{indent}error: {}", shortened(&span.status_message)));
        }
        if look.attributes {
            details(&mut text, row);
        }
    }
    text
}

/// A span and how deep it lies.
struct Row<'a> {
    span: &'a ScopedSpan,
    depth: usize,
}

/// The spans as a tree, depth first, children in the order of their starts. What has no known parent is a root.
fn rows(spans: &[ScopedSpan]) -> Vec<Row<'_>> {
    let mut order: Vec<&ScopedSpan> = spans.iter().collect();
    order.sort_by_key(|s| (s.span.start_ns, std::cmp::Reverse(s.span.end_ns), s.span.span_id));
    let mut by_id: HashMap<SpanId, usize> = HashMap::with_capacity(order.len());
    for (i, span) in order.iter().enumerate() {
        by_id.entry(span.span.span_id).or_insert(i);
    }
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); order.len()];
    let mut roots = Vec::new();
    for (i, span) in order.iter().enumerate() {
        match span.span.parent_span_id.and_then(|id| by_id.get(&id)).filter(|parent| **parent != i) {
            Some(parent) => children[*parent].push(i),
            None => roots.push(i),
        }
    }
    let mut seen = vec![false; order.len()];
    let mut rows = Vec::with_capacity(order.len());
    // Spans that are each other's parents hang on no root: they are shown after the rest.
    for root in roots.into_iter().chain(0..order.len()) {
        let mut stack = vec![(root, 0)];
        while let Some((i, depth)) = stack.pop() {
            if std::mem::replace(&mut seen[i], true) {
                continue;
            }
            rows.push(Row { span: order[i], depth });
            stack.extend(children[i].iter().rev().map(|child| (*child, depth + 1)));
        }
    }
    rows
}

fn head(spans: &[ScopedSpan], start: u64, end: u64) -> String {
    let mut services: Vec<&str> = spans.iter().map(|s| s.resource.service_name()).collect();
    services.sort_unstable();
    services.dedup();
    let errors = spans.iter().filter(|s| s.span.status == StatusCode::Error).count();
    let id = spans.first().map(|s| s.span.trace_id).unwrap_or_default();
    let began = i64::try_from(start / 1_000).ok().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
    let began = began.map(|t| t.to_string()).unwrap_or_default();
    let (spans, services) = (counted(spans.len(), "span"), counted(services.len(), "service"));
    let errors = if errors > 0 { format!(", {}", counted(errors, "error")) } else { String::new() };
    format!("trace {id}\n{began}  {}  {spans}, {services}{errors}\n\n", duration(end - start))
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

fn title(scoped: &ScopedSpan) -> String {
    let kind = match scoped.span.kind {
        SpanKind::Unspecified | SpanKind::Internal => "",
        SpanKind::Server => " [server]",
        SpanKind::Client => " [client]",
        SpanKind::Producer => " [producer]",
        SpanKind::Consumer => " [consumer]",
    };
    format!("{}: {}{kind}", scoped.resource.service_name(), scoped.span.name)
}

/// A bar from its start to its end, at least one character long.
fn bar(offset: u64, length: u64, total: u64, width: usize) -> String {
    let at = |ns: u64| if total == 0 { 0 } else { (ns as f64 / total as f64 * width as f64) as usize };
    let from = at(offset).min(width - 1);
    let to = at(offset.saturating_add(length)).clamp(from + 1, width);
    format!("{}{}{}", "·".repeat(from), "█".repeat(to - from), "·".repeat(width - to))
}

/// A text with exactly this many characters.
fn fitted(text: &str, width: usize) -> String {
    if text.chars().count() > width {
        return text.chars().take(width.saturating_sub(1)).chain(['…']).collect();
    }
    format!("{text:<width$}")
}

/// Attributes and events of a span.
fn details(text: &mut String, row: &Row<'_>) {
    let indent = "  ".repeat(row.depth.min(MAX_INDENT) + 2);
    let span = &row.span.span;
    for (key, value) in &span.attributes {
        line(text, format_args!("{indent}{} = {}", plain(key), shortened(&shown(value))));
    }
    for event in &span.events {
        let since = duration(event.time_ns.saturating_sub(span.start_ns));
        line(text, format_args!("{indent}+{since} {}", plain(&event.name)));
        for (key, value) in &event.attributes {
            line(text, format_args!("{indent}  {} = {}", plain(key), shortened(&shown(value))));
        }
    }
}

fn shown(value: &AttributeValue) -> String {
    let list = |items: &[AttributeValue]| items.iter().map(shown).collect::<Vec<_>>().join(", ");
    match value {
        AttributeValue::Empty => "-".to_owned(),
        AttributeValue::String(text) => text.to_string(),
        AttributeValue::Bool(b) => b.to_string(),
        AttributeValue::Int(n) => n.to_string(),
        AttributeValue::Double(x) => x.to_string(),
        AttributeValue::Bytes(bytes) => format!("{} bytes", bytes.len()),
        AttributeValue::Array(items) => format!("[{}]", list(items)),
        AttributeValue::Map(pairs) => {
            let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}: {}", shown(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
    }
}

/// A text from outside on one line: what would move the cursor or colour the terminal is replaced.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '␣' } else { c }).collect()
}

fn shortened(text: &str) -> String {
    let text = plain(text);
    if text.chars().count() > MAX_VALUE { text.chars().take(MAX_VALUE - 1).chain(['…']).collect() } else { text }
}

fn duration(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns}ns"),
        1_000..1_000_000 => format!("{}µs", three_digits(ns as f64 / 1e3)),
        1_000_000..1_000_000_000 => format!("{}ms", three_digits(ns as f64 / 1e6)),
        _ => format!("{}s", three_digits(ns as f64 / 1e9)),
    }
}

/// A number with as many decimals as make three digits, without zeros at the end.
fn three_digits(x: f64) -> String {
    let decimals = if x < 10.0 { 2 } else { usize::from(x < 100.0) };
    let text = format!("{x:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("BUG: writing to a string failed");
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sonde_model::span::{Resource, Span};

    use super::*;

    fn span(id: u8, parent: Option<u8>, name: &str, start: u64, end: u64) -> ScopedSpan {
        let attributes = vec![("service.name".into(), AttributeValue::String("shop".into()))];
        let span_id = |n: u8| SpanId([n; 8]);
        ScopedSpan {
            resource: Arc::new(Resource { attributes, ..Resource::default() }),
            span: Span {
                trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".parse().expect("an id"),
                span_id: span_id(id),
                parent_span_id: parent.map(span_id),
                name: name.into(),
                kind: SpanKind::Server,
                start_ns: 1_795_161_420_000_000_000 + start * 1_000_000,
                end_ns: 1_795_161_420_000_000_000 + end * 1_000_000,
                ..Span::default()
            },
            ..ScopedSpan::default()
        }
    }

    #[test]
    fn a_waterfall() {
        let mut failed = span(3, Some(2), "SELECT", 30, 60);
        failed.span.status = StatusCode::Error;
        failed.span.status_message = "dead\x1b[31mlock".into();
        failed.span.attributes = vec![("db.rows".into(), AttributeValue::Int(7))];
        let spans = [failed, span(1, None, "GET /cart", 0, 100), span(2, Some(1), "load", 20, 70)];
        let text = draw(&spans, &Look { width: 62, attributes: true });
        let expected = "\
trace 4bf92f3577b34da6a3ce929d0e0e4736
2026-11-20T07:57:00Z  100ms  3 spans, 1 service, 1 error

shop: GET /cart [server]   █████████████████████████    100ms
  shop: load [server]      ·····████████████········     50ms
    shop: SELECT [server]  ·······████████··········     30ms !
        error: dead␣[31mlock
        db.rows = 7
";
        assert_eq!(text, expected);
    }

    #[test]
    fn whatever_the_parents_are_each_span_is_shown_once() {
        let circle = [span(1, Some(2), "a", 0, 1), span(2, Some(1), "b", 0, 1), span(3, Some(9), "lost", 0, 0)];
        let names: Vec<&str> = rows(&circle).iter().map(|row| &*row.span.span.name).collect();
        assert_eq!((names.len(), names[0]), (3, "lost"));
        assert!(draw(&[], &Look { width: 40, attributes: false }).starts_with("trace 0000"));
    }

    #[test]
    fn durations_have_three_digits() {
        for (ns, text) in
            [(0, "0ns"), (1_500, "1.5µs"), (12_340_000, "12.3ms"), (459_000_000, "459ms"), (2_000_000_000, "2s")]
        {
            assert_eq!(duration(ns), text);
        }
    }
}
