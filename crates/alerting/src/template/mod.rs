//! Go templates with the functions of Prometheus, for the labels and annotations of alerts.
//!
//! A template is compiled once, when its rule is loaded, and expanded as often as the rule has alerts. Expansion is pure:
//! time, labels, value and the answers to queries are arguments. It must not know of rules or of the store.

mod compare;
mod functions;
mod humanize;
mod link;
mod printf;
mod run;
mod tree;
mod value;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, LazyLock};

use gotmpl::parse::{ListNode, Parser};
use gotmpl::{MissingKey, TemplateError, Value};
use sonde_model::{Labels, TimestampMs};
use thiserror::Error;

pub use link::{graph_link, table_link};
pub use value::TemplateSample;

use run::Run;
use tree::Walk;
use value::{labels_value, map, samples_value, string};
use writer::{Bounded, MAX_OUTPUT_BYTES};

/// What Prometheus puts before every template of an alert.
const DEFINITIONS: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}\
                           {{$externalURL := .ExternalURL}}{{$value := .Value}}";
/// Rounds of `range` in one expansion.
const MAX_RANGE_ROUNDS: u64 = 100_000;
/// Different queries that one expansion may ask.
const MAX_QUERIES: usize = 20;
/// Put behind every template. The parser takes the end of the text for the end of open blocks, and drops what follows a surplus
/// `end`: only if the body ends with the mark has all of it been understood.
const END_MARK: &str = "\u{1}end of template\u{1}";
/// The name under which the body is stored; `define` can replace it, as in Go.
const BODY: &str = "__alert";

static FUNCTIONS: LazyLock<BTreeSet<&'static str>> = LazyLock::new(functions::names);

/// Why a text is no template, in the words of Go, with the line inside the text.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct InvalidTemplate {
    /// What is wrong and where.
    pub message: String,
}

/// Asks a query of a template at the time of the evaluation.
pub type AskQuery<'a> = dyn FnMut(&str) -> Result<Vec<TemplateSample>, String> + 'a;

/// What a template of an alert sees.
#[derive(Clone, Copy, Debug)]
pub struct TemplateData<'a> {
    /// `$labels`: the labels of the sample that made the alert, `__name__` included.
    pub labels: &'a Labels,
    /// `$value`.
    pub value: f64,
    /// The time of the evaluation, for `now`.
    pub at: TimestampMs,
    /// `$externalLabels` and `$externalURL`.
    pub external: &'a External,
}

/// How this system is known outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct External {
    /// Labels that are added to everything that leaves the system.
    pub labels: Labels,
    /// Where a browser finds the system, without a slash at the end.
    pub url: String,
}

/// A compiled template.
#[derive(Clone)]
pub struct Template {
    source: Arc<str>,
    /// `None`: the text has no actions and stands for itself.
    compiled: Option<Arc<Compiled>>,
}

struct Compiled {
    template: Arc<gotmpl::Template>,
    run: Arc<Run>,
    /// The functions keep what one execution sees in `run`, so there is one execution at a time.
    turn: std::sync::Mutex<()>,
}

impl Template {
    /// Compiles a text; unknown functions and variables are errors here already.
    pub fn parse(source: &str) -> Result<Self, InvalidTemplate> {
        if !source.contains("{{") {
            return Ok(Template { source: source.into(), compiled: None });
        }
        let invalid = |message: String| InvalidTemplate { message };
        let parse = |text: &str| Parser::with_name(None, text, "{{", "}}")?.parse();
        let refused = |e: TemplateError| invalid(e.to_string());
        // Once as it is, so that errors speak of what was written.
        parse(source).map_err(refused)?;
        let (mut body, mut defines) = parse(&format!("{source}{END_MARK}")).map_err(refused)?;
        if !tree::take_end_mark(&mut body, END_MARK) {
            return Err(invalid("unexpected EOF or {{end}}: blocks and their ends do not match".to_owned()));
        }
        let (definitions, _) = parse(DEFINITIONS).map_err(refused)?;
        body.nodes.splice(0..0, definitions.nodes);
        Walk::new(&FUNCTIONS).list(&mut body).map_err(invalid)?;
        for define in &mut defines {
            Walk::new(&FUNCTIONS).list(&mut define.body).map_err(invalid)?;
        }
        let defines = defines.into_iter().map(|define| (define.name.to_string(), define.body));
        Ok(Template { source: source.into(), compiled: Some(Arc::new(Compiled::new(body, defines))) })
    }

    /// The text as it was given.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Expands the template. An error becomes part of the text, so that an alert is never lost to its annotations.
    pub fn expand(&self, data: &TemplateData<'_>, ask: &mut AskQuery<'_>) -> String {
        match self.try_expand(data, ask) {
            Ok(text) => text,
            Err(e) => format!("<error expanding template: {e}>"),
        }
    }

    /// Expands the template, or says why it cannot be.
    pub fn try_expand(&self, data: &TemplateData<'_>, ask: &mut AskQuery<'_>) -> Result<String, String> {
        match &self.compiled {
            None => Ok(self.source.to_string()),
            Some(compiled) => compiled.expand(data, ask),
        }
    }
}

impl Compiled {
    fn new(body: ListNode, defines: impl Iterator<Item = (String, ListNode)>) -> Self {
        let run = Arc::new(Run::default());
        let template = gotmpl::Template::new("").missing_key(MissingKey::ZeroValue).max_range_iters(MAX_RANGE_ROUNDS);
        let mut template = functions::register(template, &run).add_parse_tree(BODY, body);
        for (name, body) in defines {
            template = template.add_parse_tree(&name, body);
        }
        let template = Arc::new(template);
        // The cell was made three lines ago and is empty.
        drop(run.template.set(Arc::downgrade(&template)));
        Compiled { template, run, turn: std::sync::Mutex::new(()) }
    }

    fn expand(&self, data: &TemplateData<'_>, ask: &mut AskQuery<'_>) -> Result<String, String> {
        let _turn = self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let value = map([
            ("Labels", labels_value(data.labels)),
            ("ExternalLabels", labels_value(&data.external.labels)),
            ("ExternalURL", string(&data.external.url)),
            ("Value", Value::Float(data.value)),
        ]);
        self.run.begin(data.at as f64 / 1000.0, &data.external.url);
        for _ in 0..=MAX_QUERIES {
            let mut out = Bounded::default();
            let outcome = self.template.execute_template_fmt(&mut out, BODY, &value);
            if let Some(query) = self.run.take_wanted() {
                let answer = ask(&query).map_err(|e| format!("error executing query {query:?}: {e}"))?;
                self.run.answer(query, samples_value(&answer));
                continue;
            }
            return match outcome {
                Ok(()) => Ok(out.into_text()),
                Err(_) if out.overflowed() => Err(format!("the output exceeds {MAX_OUTPUT_BYTES} bytes")),
                Err(e) => Err(e.to_string()),
            };
        }
        Err(format!("more than {MAX_QUERIES} different queries"))
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({:?})", self.source)
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Template {}
