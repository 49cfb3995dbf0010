//! Reads the keys of a mapping: each known one once, unknown ones reported with what may have been meant.

use sonde_model::duration::parse_duration_ms;

use crate::yaml::{Content, Node};

/// The mistakes found so far: line and message.
#[derive(Debug, Default)]
pub(super) struct Mistakes(pub(super) Vec<(usize, String)>);

impl Mistakes {
    pub(super) fn add(&mut self, line: usize, message: impl Into<String>) {
        self.0.push((line, message.into()));
    }
}

/// The values of the known keys of a mapping, in the order in which the keys were asked for.
pub(super) fn known<'a, const N: usize>(
    node: &'a Node,
    what: &str,
    names: [&str; N],
    mistakes: &mut Mistakes,
) -> [Option<&'a Node>; N] {
    let mut values = [None; N];
    let pairs = match &node.content {
        Content::Mapping(pairs) => pairs,
        Content::Null => return values,
        _ => {
            mistakes.add(node.line, format!("{what} must be a mapping, not {}", node.kind()));
            return values;
        }
    };
    for (key, value) in pairs {
        let Content::Scalar { text: key_text, .. } = &key.content else { continue };
        match names.iter().position(|name| name == key_text) {
            // A key without a value says as much as no key.
            Some(_) if matches!(value.content, Content::Null) => {}
            Some(index) => values[index] = Some(value),
            None => mistakes.add(key.line, unknown_key(key_text, what, &names)),
        }
    }
    values
}

fn unknown_key(key: &str, what: &str, names: &[&str]) -> String {
    let nearest = names.iter().map(|name| (distance(key, name), name)).min().filter(|(d, _)| *d <= 2);
    match nearest {
        Some((_, name)) => format!("unknown key {key:?} in {what}; did you mean {name:?}?"),
        None => format!("unknown key {key:?} in {what}; known are {}", names.join(", ")),
    }
}

/// The Levenshtein distance: how many letters must be added, dropped or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let change = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// A text; numbers and booleans are taken as they are written.
pub(super) fn text(node: Option<&Node>, what: &str, mistakes: &mut Mistakes) -> Option<String> {
    let node = node?;
    match &node.content {
        Content::Scalar { text, .. } => Some(text.clone()),
        Content::Null => None,
        _ => {
            mistakes.add(node.line, format!("{what} must be a text, not {}", node.kind()));
            None
        }
    }
}

pub(super) fn duration(node: Option<&Node>, what: &str, mistakes: &mut Mistakes) -> Option<i64> {
    let line = node?.line;
    let text = text(node, what, mistakes)?;
    match parse_duration_ms(&text) {
        Ok(ms) => Some(ms),
        Err(e) => {
            mistakes.add(line, format!("{what}: {e}; write a duration such as 30s, 5m or 1h30m"));
            None
        }
    }
}

/// A whole number; one below 0 is as good as 0, as in Prometheus.
pub(super) fn count(node: Option<&Node>, what: &str, mistakes: &mut Mistakes) -> Option<usize> {
    let line = node?.line;
    let text = text(node, what, mistakes)?;
    let whole = text.parse::<f64>().ok().filter(|n| n.fract() == 0.0 && n.abs() < 1e15);
    match whole {
        Some(count) => Some(count.max(0.0) as usize),
        None => {
            mistakes.add(line, format!("{what} must be a whole number, not {text:?}"));
            None
        }
    }
}

pub(super) fn items<'a>(node: Option<&'a Node>, what: &str, mistakes: &mut Mistakes) -> &'a [Node] {
    match node.map(|n| (&n.content, n)) {
        None | Some((Content::Null, _)) => &[],
        Some((Content::Sequence(items), _)) => items,
        Some((_, node)) => {
            mistakes.add(node.line, format!("{what} must be a list, not {}", node.kind()));
            &[]
        }
    }
}

/// A mapping of texts to texts, with the line and the style of each value.
pub(super) fn texts<'a>(
    node: Option<&'a Node>,
    what: &str,
    mistakes: &mut Mistakes,
) -> Vec<(&'a str, &'a Node, String)> {
    let Some(node) = node else { return Vec::new() };
    let pairs = match &node.content {
        Content::Null => return Vec::new(),
        Content::Mapping(pairs) => pairs,
        _ => {
            mistakes.add(node.line, format!("{what} must be a mapping, not {}", node.kind()));
            return Vec::new();
        }
    };
    let mut read = Vec::with_capacity(pairs.len());
    for (key, value) in pairs {
        let Content::Scalar { text: name, .. } = &key.content else { continue };
        let content = text(Some(value), &format!("{what} {name:?}"), mistakes).unwrap_or_default();
        read.push((name.as_str(), value, content));
    }
    read
}
