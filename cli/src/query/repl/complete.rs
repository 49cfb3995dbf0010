//! Completion at the prompt: the words of the language, and the names that the server knows.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};
use sonde_model::labels::{Quoted, is_legacy_label_name};
use sonde_promql::edit::{Ask, Candidate, CandidateKind, complete, rank};
use sonde_runtime::Clock;

use super::command::NAMES;
use crate::client::Client;
use crate::plain::on_one_line;
use crate::query::client;

/// How many names the server is asked for.
const LIMIT: usize = 5_000;
/// How many of them are offered.
const OFFERED: usize = 200;
/// How long names are remembered.
const REMEMBERED: Duration = Duration::from_secs(60);
/// How many questions are remembered.
const MAX_REMEMBERED: usize = 100;

/// Names, and when the server said them.
type Known = (Duration, Vec<String>);

/// What helps at the prompt.
pub(super) struct Prompt<'a> {
    client: &'a Client,
    clock: &'a Clock,
    /// What the server said, by path and selector.
    known: RefCell<HashMap<(String, String), Known>>,
}

impl<'a> Prompt<'a> {
    pub(super) fn new(client: &'a Client, clock: &'a Clock) -> Self {
        Prompt { client, clock, known: RefCell::default() }
    }

    /// The names that a place asks for, as candidates. A server that does not answer knows none.
    fn ask(&self, ask: &Ask) -> Vec<Candidate> {
        let (path, selector, kind) = match ask {
            Ask::Metrics => (client::values_path("__name__"), String::new(), CandidateKind::Metric),
            Ask::Labels { selector } => ("/api/v1/labels".to_owned(), selector.clone(), CandidateKind::Label),
            Ask::LabelValues { label, selector } => {
                (client::values_path(label), selector.clone(), CandidateKind::LabelValue)
            }
        };
        let names = self.names(path, selector);
        names.into_iter().filter(|name| name != "__name__").map(|name| Candidate::new(name, kind)).collect()
    }

    fn names(&self, path: String, selector: String) -> Vec<String> {
        let now = self.clock.monotonic();
        let mut known = self.known.borrow_mut();
        let key = (path, selector);
        if let Some((_, names)) = known.get(&key).filter(|(at, _)| now.saturating_sub(*at) < REMEMBERED) {
            return names.clone();
        }
        let mut fields = vec![("limit", LIMIT.to_string())];
        if !key.1.is_empty() {
            fields.push(("match[]", key.1.clone()));
        }
        let Ok(reply) = client::ask_list(self.client, &key.0, &fields) else { return Vec::new() };
        let names = reply.data.as_array().into_iter().flatten().filter_map(|name| Some(name.as_str()?.to_owned()));
        let names: Vec<String> = names.collect();
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert(key, (now, names.clone()));
        names
    }
}

impl Completer for Prompt<'_> {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        if line.starts_with('\\') && !line[..pos].contains(char::is_whitespace) {
            let fitting = NAMES.into_iter().filter(|name| name.starts_with(&line[..pos]));
            let pair = |name: &str| Pair { display: name.to_owned(), replacement: format!("{name} ") };
            return Ok((0, fitting.map(pair).collect()));
        }
        // What stands behind a command is an expression, too.
        let skipped = line.strip_prefix('\\').and_then(|rest| rest.find(char::is_whitespace)).map_or(0, |at| at + 1);
        let (start, candidates) = offered(&line[skipped..], pos.saturating_sub(skipped), |ask| self.ask(ask));
        Ok((skipped + start, candidates.into_iter().map(pair).collect()))
    }
}

/// What may stand at a place, and where it begins.
fn offered(text: &str, cursor: usize, ask: impl FnOnce(&Ask) -> Vec<Candidate>) -> (usize, Vec<Candidate>) {
    let completion = complete(text, cursor);
    let start = completion.replace.start as usize;
    let written = &text[start..completion.replace.end as usize];
    let mut candidates = completion.ask.as_ref().map(ask).unwrap_or_default();
    rank(written, &mut candidates);
    candidates.truncate(OFFERED);
    for candidate in &mut candidates {
        candidate.text = match candidate.kind {
            // In quotes that are open already only what stands in quotes is escaped; they are closed, too.
            CandidateKind::LabelValue => {
                let quoted = Quoted(&candidate.text).to_string();
                if completion.quote { quoted } else { quoted[1..].to_owned() }
            }
            CandidateKind::Label if !is_legacy_label_name(&candidate.text) => Quoted(&candidate.text).to_string(),
            CandidateKind::Metric if !is_metric_name(&candidate.text) => format!("{{{}}}", Quoted(&candidate.text)),
            _ => std::mem::take(&mut candidate.text),
        };
    }
    candidates.extend(completion.candidates);
    // Where something begins with what is written, what only has it inside is noise.
    let begins = |candidate: &Candidate| candidate.text.to_lowercase().starts_with(&written.to_lowercase());
    if !written.is_empty() && candidates.iter().any(begins) {
        candidates.retain(begins);
    }
    (start, candidates)
}

fn is_metric_name(name: &str) -> bool {
    sonde_promql::parse_selector(name).is_ok_and(|selector| selector.matchers.is_empty())
}

fn pair(candidate: Candidate) -> Pair {
    let display = if candidate.detail.is_empty() {
        candidate.text.clone()
    } else {
        format!("{} {}", candidate.text.trim_end_matches('('), candidate.detail)
    };
    Pair { display: on_one_line(&display).into_owned(), replacement: candidate.text }
}

impl Validator for Prompt<'_> {
    /// A line goes on while a bracket or a string is open.
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input();
        Ok(if is_open(text) { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

fn is_open(text: &str) -> bool {
    const OPEN: [&str; 3] =
        ["unclosed left parenthesis", "unexpected end of input inside braces", "unclosed left bracket"];
    // An empty line ends what was begun.
    !text.starts_with('\\')
        && !text.ends_with('\n')
        && sonde_promql::parse(text).is_err_and(|error| OPEN.contains(&error.message.as_str()))
}

impl Hinter for Prompt<'_> {
    type Hint = String;
}

impl Highlighter for Prompt<'_> {}

impl Helper for Prompt<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str, names: &[&str], kind: CandidateKind) -> (usize, Vec<String>) {
        let ask = |_: &Ask| names.iter().map(|name| Candidate::new(*name, kind)).collect();
        let (start, candidates) = offered(text, text.len(), ask);
        (start, candidates.into_iter().map(|candidate| candidate.text).take(3).collect())
    }

    #[test]
    fn names_of_the_server_come_first() {
        let metrics = ["up", "update_total", "group_up", "http.requests"];
        let offered = |text| texts(text, &metrics, CandidateKind::Metric);
        assert_eq!(offered("sum(up"), (4, vec!["up".into(), "update_total".into()]));
        assert_eq!(offered("htt"), (0, vec!["{\"http.requests\"}".into()]));
        let labels = |text| texts(text, &["job", "http.route"], CandidateKind::Label);
        assert_eq!(labels("up{"), (3, vec!["job".into(), "\"http.route\"".into()]));
        let values = |text| texts(text, &["a\"b", "c"], CandidateKind::LabelValue);
        assert_eq!(values("up{job="), (7, vec!["\"a\\\"b\"".into(), "\"c\"".into()]));
        assert_eq!(values("up{job=\"c"), (8, vec!["c\"".into()]));
    }

    #[test]
    fn lines_go_on_while_something_is_open() {
        for (text, open) in
            [("sum(", true), ("up{", true), ("up", false), ("sum(\n", false), ("\\range (", false), ("a)", false)]
        {
            assert_eq!(is_open(text), open, "{text}");
        }
    }
}
