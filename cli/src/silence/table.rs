//! Silences in columns.

use super::times;
use super::wire::Silence;
use crate::query::columns;

/// Many silences, one a line, in the order in which they came.
pub(super) fn many(silences: &[&Silence]) -> String {
    if silences.is_empty() {
        return "no silences\n".to_owned();
    }
    let header = ["ID", "STATE", "STARTS (UTC)", "ENDS (UTC)", "AUTHOR", "MATCHERS", "COMMENT"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(silences.iter().map(|silence| {
        let matchers: Vec<String> = silence.matchers.iter().map(ToString::to_string).collect();
        let texts = [silence.created_by.clone(), matchers.join(" "), silence.comment.clone()];
        let [author, matchers, comment] = texts.map(|text| one_line(&text));
        let (starts, ends) = (times::show(silence.starts_at), times::show(silence.ends_at));
        let known = |text: &Option<String>| text.clone().unwrap_or_default();
        vec![known(&silence.id), known(&silence.state), starts, ends, author, matchers, comment]
    }));
    columns(&rows, header.len())
}

/// One silence, a line for each thing that it says.
pub(super) fn one(silence: &Silence) -> String {
    let mut rows = vec![
        ("ID", silence.id.clone().unwrap_or_default()),
        ("STATE", silence.state.clone().unwrap_or_default()),
        ("STARTS", format!("{} UTC", times::show(silence.starts_at))),
        ("ENDS", format!("{} UTC", times::show(silence.ends_at))),
        ("AUTHOR", one_line(&silence.created_by)),
        ("COMMENT", one_line(&silence.comment)),
    ];
    rows.extend(silence.matchers.iter().map(|matcher| ("MATCHER", one_line(&matcher.to_string()))));
    let rows: Vec<Vec<String>> = rows.into_iter().map(|(name, text)| vec![name.to_owned(), text]).collect();
    columns(&rows, 2)
}

/// A text of somebody else in one line, without signs that a terminal obeys.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
