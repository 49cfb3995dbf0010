//! Asks a server over Prometheus's HTTP API.

use serde::Deserialize;
use serde_json::Value;
use sonde_model::{Labels, TimestampMs};

use crate::client::{Answer, Ask, Client, MAX_ANSWER_BYTES, encode};
use crate::problem::Problem;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) expr: String,
    /// The time of an instant query; `None` is the server's now.
    pub(super) at: Option<TimestampMs>,
    pub(super) range: Option<Range>,
}

/// The times of a range query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: TimestampMs,
    pub(super) end: TimestampMs,
    pub(super) step: i64,
}

/// An answer that is not an error.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) data: Value,
    pub(super) warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    status: String,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    infos: Vec<String>,
}

pub(super) fn ask(client: &Client, request: &Request) -> Result<Reply, Problem> {
    let (path, form) = path_and_form(request);
    read(client.base(), &client.ask(path, Ask::Form(&form))?)
}

/// Asks and wants to know what it took.
pub(super) fn ask_with_stats(client: &Client, request: &Request) -> Result<Reply, Problem> {
    let (path, form) = path_and_form(request);
    read(client.base(), &client.ask(path, Ask::Form(&format!("{form}&stats=all")))?)
}

/// Asks for a list of names or of label sets.
pub(super) fn ask_list(client: &Client, path: &str, fields: &[(&str, String)]) -> Result<Reply, Problem> {
    let path = format!("{path}?{}", form(fields));
    read(client.base(), &client.ask(&path, Ask::Get { accept: "application/json" })?)
}

/// The path of the values of a label.
pub(super) fn values_path(label: &str) -> String {
    format!("/api/v1/label/{}/values", encode(label))
}

/// A label set in an answer.
pub(super) fn labels(found: &Value) -> Option<Labels> {
    let pairs: Option<Vec<(&str, &str)>> =
        found.as_object()?.iter().map(|(n, v)| Some((n.as_str(), v.as_str()?))).collect();
    pairs.map(Labels::from_pairs)
}

/// The answer is not what it should be.
pub(super) fn strange(found: &Value) -> Problem {
    Problem::new(format!("the answer has an unknown shape: {:.200}", found.to_string()))
}

/// Asks for the exemplars from `start` to `end`.
pub(super) fn ask_exemplars(
    client: &Client,
    expr: &str,
    start: TimestampMs,
    end: TimestampMs,
) -> Result<Reply, Problem> {
    let form = form(&[("query", expr.to_owned()), ("start", seconds(start)), ("end", seconds(end))]);
    let answer = client.ask("/api/v1/query_exemplars", Ask::Form(&form))?;
    if answer.status == 204 {
        // The expression selects no series.
        return Ok(Reply { data: Value::Null, warnings: Vec::new() });
    }
    read(client.base(), &answer)
}

/// The path of the API, and the parameters.
fn path_and_form(request: &Request) -> (&'static str, String) {
    let mut fields = vec![("query", request.expr.clone())];
    let path = match request.range {
        Some(range) => {
            fields.extend([
                ("start", seconds(range.start)),
                ("end", seconds(range.end)),
                ("step", seconds(range.step)),
            ]);
            "/api/v1/query_range"
        }
        None => {
            fields.extend(request.at.map(|at| ("time", seconds(at))));
            "/api/v1/query"
        }
    };
    (path, form(&fields))
}

pub(super) fn seconds(ms: TimestampMs) -> String {
    format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000))
}

fn form(fields: &[(&str, String)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    fields.join("&")
}

fn read(url: &str, answer: &Answer) -> Result<Reply, Problem> {
    if answer.body.len() > MAX_ANSWER_BYTES {
        return Err(Problem::new(format!("the answer is larger than {MAX_ANSWER_BYTES} bytes"))
            .hint("Ask for fewer series, for a shorter range or for a longer step."));
    }
    let Ok(body) = serde_json::from_slice::<Body>(&answer.body) else {
        let (status, words) = (answer.status, answer.words());
        return Err(Problem::new(format!("{url} answered {status} and not in the language of Prometheus: {words}")));
    };
    if body.status != "success" {
        return Err(Problem::new(format!("{} ({})", body.error, body.error_type)));
    }
    Ok(Reply { data: body.data, warnings: body.warnings.into_iter().chain(body.infos).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_become_forms() {
        let mut request = Request { expr: "up{a=\"b\"} + 1".into(), at: Some(1_500), range: None };
        let expected = "query=up%7Ba%3D%22b%22%7D%20%2B%201&time=1.500";
        assert_eq!(path_and_form(&request), ("/api/v1/query", expected.to_owned()));
        request = Request { expr: "up".into(), at: None, range: Some(Range { start: 0, end: 60_000, step: 15_000 }) };
        let expected = "query=up&start=0.000&end=60.000&step=15.000";
        assert_eq!(path_and_form(&request), ("/api/v1/query_range", expected.to_owned()));
    }

    #[test]
    fn errors_are_told_in_the_words_of_the_server() {
        let told = |status, body: &str| {
            read("http://h", &Answer { status, body: body.into() }).expect_err("an error").to_string()
        };
        assert_eq!(
            told(422, r#"{"status":"error","errorType":"execution","error":"too many samples"}"#),
            "error: too many samples (execution)\n"
        );
        assert_eq!(
            told(404, "not found\n"),
            "error: http://h answered 404 and not in the language of Prometheus: not found\n"
        );
    }
}
