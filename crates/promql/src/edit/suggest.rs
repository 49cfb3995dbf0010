//! "Did you mean": the word of the language that is nearest to one that is none.

use crate::ast::AggregateOp;
use crate::functions::TABLE;
use crate::parse::ParseError;

/// The words that are neither functions nor aggregations.
pub(super) const KEYWORDS: [&str; 19] = [
    "anchored",
    "and",
    "atan2",
    "bool",
    "by",
    "fill",
    "fill_left",
    "fill_right",
    "group_left",
    "group_right",
    "ignoring",
    "offset",
    "on",
    "or",
    "smoothed",
    "unless",
    "without",
    "start",
    "end",
];

/// The longest word that is compared: none of the language is longer.
const MAX_WORD: usize = 64;

/// The word of the language that was probably meant where a text is wrong.
pub fn suggestion(text: &str, error: &ParseError) -> Option<&'static str> {
    let word = text.get(error.span.start as usize..error.span.end as usize)?;
    if word.is_empty() || !word.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()) {
        return None;
    }
    let callable = || TABLE.iter().map(|row| row.name).chain(AggregateOp::ALL.iter().map(|op| op.name()));
    if error.message.starts_with("unknown function") {
        return closest(word, callable());
    }
    // Where a name stands that fits nowhere, it was to be a word that joins or changes what stands before it.
    if error.message.starts_with("unexpected identifier") { closest(word, KEYWORDS) } else { None }
}

/// The candidate that is nearest to a word, if one is near: at most a third of its letters are wrong.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > MAX_WORD {
        return None;
    }
    let word = word.to_ascii_lowercase();
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    let near = candidates.into_iter().filter_map(|candidate| {
        let lower = candidate.to_ascii_lowercase();
        // What only misses its end or has one too many counts as near, too.
        let is_part = word.len() >= 4 && (lower.starts_with(&word) || word.starts_with(&lower) && lower.len() >= 4);
        let distance = if is_part { 1 } else { distance(&word, &lower) };
        let order = (distance, !lower.starts_with(&word), lower.len().abs_diff(word.len()), candidate);
        (distance <= allowed && lower != word).then_some(order)
    });
    near.min().map(|(_, _, _, candidate)| candidate)
}

/// How many letters have to be put in, taken out, replaced or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let (mut before, mut last, mut row) =
        (vec![0; b.len() + 1], (0..=b.len()).collect::<Vec<_>>(), vec![0; b.len() + 1]);
    for i in 1..=a.len() {
        row[0] = i;
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        (before, last, row) = (last, row, before);
    }
    last[b.len()]
}
