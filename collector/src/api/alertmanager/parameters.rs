//! Parameters of requests.

use sonde_alerting::matcher::{Matcher, Matchers};

use super::answer::Refusal;
use crate::api::form::Form;

/// The matchers of all `filter` parameters.
pub(super) fn filter(form: &Form) -> Result<Matchers, Refusal> {
    let matchers: Result<Vec<Matcher>, _> = form.all("filter").map(str::parse).collect();
    matchers.and_then(Matchers::new).map_err(Refusal::bad_request)
}
