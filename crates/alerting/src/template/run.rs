//! What one execution of a template sees of the outside.
//!
//! Template functions own what they capture, so they cannot borrow the caller's way to ask queries. A query whose answer is not known
//! yet is therefore noted and stops the execution; the caller asks it and executes again. Templates are pure, so this changes nothing.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use gotmpl::{Template, TemplateError, Value};

use super::value::error;
use super::writer::Bounded;

/// How deep `tmpl` may call itself: each level takes several stack frames of the engine.
const MAX_TMPL_DEPTH: usize = 16;

/// The outside of one template; shared with its functions, used by one execution at a time.
#[derive(Debug, Default)]
pub(super) struct Run {
    state: Mutex<State>,
    /// The template itself, for `tmpl`.
    pub(super) template: OnceLock<Weak<Template>>,
}

#[derive(Debug, Default)]
struct State {
    now_seconds: f64,
    external_url: String,
    answers: HashMap<String, Value>,
    wanted: Option<String>,
    tmpl_depth: usize,
}

impl Run {
    /// Forgets the execution before.
    pub(super) fn begin(&self, now_seconds: f64, external_url: &str) {
        *self.lock() = State { now_seconds, external_url: external_url.to_owned(), ..State::default() };
    }

    /// The query that stopped the execution, if one did.
    pub(super) fn take_wanted(&self) -> Option<String> {
        let mut state = self.lock();
        state.tmpl_depth = 0;
        state.wanted.take()
    }

    /// Gives the answer to a query for the next execution.
    pub(super) fn answer(&self, query: String, answer: Value) {
        self.lock().answers.insert(query, answer);
    }

    pub(super) fn now_seconds(&self) -> f64 {
        self.lock().now_seconds
    }

    pub(super) fn external_url(&self) -> String {
        self.lock().external_url.clone()
    }

    /// The path of the external URL, without the slash at its end.
    pub(super) fn path_prefix(&self) -> String {
        let state = self.lock();
        let after_scheme = state.external_url.split_once("://").map_or(state.external_url.as_str(), |(_, rest)| rest);
        let path = after_scheme.find('/').map_or("", |start| &after_scheme[start..]);
        path.split(['?', '#']).next().unwrap_or("").trim_end_matches('/').to_owned()
    }

    pub(super) fn query(&self, query: &str) -> Result<Value, TemplateError> {
        let mut state = self.lock();
        if let Some(answer) = state.answers.get(query) {
            return Ok(answer.clone());
        }
        state.wanted = Some(query.to_owned());
        Err(error("the answer to a query is not known yet"))
    }

    /// Renders a named template to a text.
    pub(super) fn template(&self, name: &str, data: &Value) -> Result<Value, TemplateError> {
        let template = self.template.get().and_then(Weak::upgrade).ok_or_else(|| error("no template is running"))?;
        {
            let mut state = self.lock();
            if state.tmpl_depth >= MAX_TMPL_DEPTH {
                return Err(error(format!("tmpl is nested deeper than {MAX_TMPL_DEPTH} levels")));
            }
            state.tmpl_depth += 1;
        }
        let mut out = Bounded::default();
        let outcome = template.execute_template_fmt(&mut out, name, data);
        self.lock().tmpl_depth -= 1;
        outcome.map(|()| Value::String(out.into_text().into()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
