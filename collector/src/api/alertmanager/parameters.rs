//! Parameters of requests: filters, switches, the name of a receiver.

use sonde_alerting::matcher::{Matcher, Matchers};
use sonde_model::MatchOp;

use super::answer::Refusal;
use crate::api::form::Form;

/// The words by which go-openapi knows that a switch is on; any other word switches it off.
const ON: [&str; 10] = ["1", "true", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled"];

/// The matchers of all `filter` parameters.
pub(super) fn filter(form: &Form) -> Result<Matchers, Refusal> {
    let matchers: Result<Vec<Matcher>, _> = form.all("filter").map(str::parse).collect();
    matchers.and_then(Matchers::new).map_err(Refusal::bad_request)
}

/// A switch, which is on where it is absent or empty.
pub(super) fn switch(form: &Form, name: &str) -> bool {
    form.get(name).is_none_or(|word| ON.contains(&word.to_ascii_lowercase().as_str()))
}

/// The receivers that are asked for: an anchored regular expression.
#[derive(Debug)]
pub(super) struct ReceiverFilter(Option<Matcher>);

impl ReceiverFilter {
    /// The parameter `receiver`; all where it is absent.
    pub(super) fn new(form: &Form) -> Result<Self, Refusal> {
        let pattern = |text| Matcher::new("receiver", MatchOp::Regex, text);
        let matcher = form.get("receiver").map(pattern).transpose();
        let matcher = matcher.map_err(|e| Refusal::bad_request(format!("failed to parse receiver param: {e}")))?;
        Ok(ReceiverFilter(matcher))
    }

    /// Whether one of these receivers is asked for; without the parameter also an alert that nobody hears of.
    pub(super) fn takes_any(&self, names: &[std::sync::Arc<str>]) -> bool {
        self.0.is_none() || names.iter().any(|name| self.takes(name))
    }

    /// Whether a receiver of this name is asked for.
    pub(super) fn takes(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|matcher| matcher.matches_value(name))
    }
}
