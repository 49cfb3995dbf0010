//! An answer as CSV (RFC 4180): a column for each label, then time and value; one line a sample.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::answer::Answer;

pub(super) fn draw(answer: &Answer) -> String {
    let names: BTreeSet<&str> = answer.series.iter().flat_map(|s| s.labels.iter().map(|(name, _)| name)).collect();
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = String>| {
        text.push_str(&cells.map(|cell| quoted(&cell)).collect::<Vec<_>>().join(","));
        text.push('\n');
    };
    line(&mut names.iter().map(|name| (*name).to_owned()).chain(["time".to_owned(), "value".to_owned()]));
    for series in &answer.series {
        for (at, value) in &series.samples {
            let time = Timestamp::from_millisecond(*at).map_or_else(|_| at.to_string(), |time| time.to_string());
            let labels = names.iter().map(|name| series.labels.get(name).unwrap_or("").to_owned());
            line(&mut labels.chain([time, value.to_string()]));
        }
    }
    text
}

pub(super) fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}
