//! A silence, and how it stands in the JSON of Alertmanager's API.

use serde::Deserialize;
use serde_json::{Value, json};
use sonde_alerting::{Matcher, Matchers};
use sonde_model::{MatchOp, TimestampMs};

use super::times;

/// What a silence says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Silence {
    /// `None` before it is made.
    pub(super) id: Option<String>,
    /// `active`, `pending` or `expired`, as the server says.
    pub(super) state: Option<String>,
    pub(super) matchers: Matchers,
    pub(super) starts_at: TimestampMs,
    pub(super) ends_at: TimestampMs,
    pub(super) created_by: String,
    pub(super) comment: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    id: String,
    status: WireStatus,
    matchers: Vec<WireMatcher>,
    starts_at: String,
    ends_at: String,
    created_by: String,
    comment: String,
}

#[derive(Deserialize)]
struct WireStatus {
    state: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMatcher {
    name: String,
    value: String,
    is_regex: bool,
    #[serde(default = "yes")]
    is_equal: bool,
}

fn yes() -> bool {
    true
}

impl Silence {
    /// Reads what the API shows; the reason where it cannot be read.
    pub(super) fn read(json: &Value) -> Result<Self, String> {
        let wire = Wire::deserialize(json).map_err(|e| e.to_string())?;
        let matchers: Result<Vec<Matcher>, _> = wire.matchers.iter().map(WireMatcher::read).collect();
        let matchers = matchers.and_then(Matchers::new).map_err(|e| e.to_string())?;
        let time = |text: &str| times::rfc3339(text).ok_or_else(|| format!("{text:?} is no time"));
        Ok(Silence {
            id: Some(wire.id),
            state: Some(wire.status.state),
            matchers,
            starts_at: time(&wire.starts_at)?,
            ends_at: time(&wire.ends_at)?,
            created_by: wire.created_by,
            comment: wire.comment,
        })
    }

    /// What is posted.
    pub(super) fn to_json(&self) -> Value {
        let matcher = |m: &Matcher| {
            json!({
                "name": m.name(),
                "value": m.value(),
                "isRegex": matches!(m.op(), MatchOp::Regex | MatchOp::NotRegex),
                "isEqual": matches!(m.op(), MatchOp::Equal | MatchOp::Regex),
            })
        };
        let mut json = json!({
            "matchers": self.matchers.iter().map(matcher).collect::<Vec<_>>(),
            "startsAt": times::to_rfc3339(self.starts_at),
            "endsAt": times::to_rfc3339(self.ends_at),
            "createdBy": self.created_by,
            "comment": self.comment,
        });
        if let Some(id) = &self.id {
            json["id"] = id.as_str().into();
        }
        json
    }
}

impl WireMatcher {
    fn read(&self) -> Result<Matcher, sonde_alerting::MatcherError> {
        let op = match (self.is_equal, self.is_regex) {
            (true, false) => MatchOp::Equal,
            (false, false) => MatchOp::NotEqual,
            (true, true) => MatchOp::Regex,
            (false, true) => MatchOp::NotRegex,
        };
        Matcher::new(&self.name, op, &self.value)
    }
}
