//! The answer of Prometheus's HTTP API as series with samples.

use serde_json::Value;
use sonde_model::{Labels, TimestampMs};

use crate::problem::Problem;

/// Series with one or many samples; a scalar and a string are one series without labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) series: Vec<AnswerSeries>,
}

/// One series.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct AnswerSeries {
    pub(super) labels: Labels,
    pub(super) samples: Vec<(TimestampMs, AnswerValue)>,
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum AnswerValue {
    /// A number, and the text in which the server gave it.
    Float(f64, String),
    /// A string, or a histogram in the words of [`histogram`].
    Text(String),
}

impl Answer {
    /// Reads the `data` of an answer.
    pub(super) fn read(data: &Value) -> Result<Self, Problem> {
        let strange = || Problem::new(format!("the answer has an unknown shape: {:.200}", data.to_string()));
        let result = &data["result"];
        let series = match data["resultType"].as_str().ok_or_else(strange)? {
            "scalar" | "string" => {
                let samples = vec![sample(result, value).ok_or_else(strange)?];
                vec![AnswerSeries { labels: Labels::empty(), samples }]
            }
            "vector" | "matrix" => {
                let list = result.as_array().ok_or_else(strange)?;
                list.iter().map(one_series).collect::<Option<_>>().ok_or_else(strange)?
            }
            _ => return Err(strange()),
        };
        Ok(Answer { series })
    }
}

impl AnswerSeries {
    /// The samples that are numbers.
    pub(super) fn floats(&self) -> impl Iterator<Item = (TimestampMs, f64)> {
        self.samples.iter().filter_map(|(at, value)| match value {
            AnswerValue::Float(float, _) => Some((*at, *float)),
            AnswerValue::Text(_) => None,
        })
    }
}

impl std::fmt::Display for AnswerValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AnswerValue::Float(_, text) | AnswerValue::Text(text) => f.write_str(text),
        }
    }
}

fn one_series(series: &Value) -> Option<AnswerSeries> {
    let labels = series["metric"].as_object()?;
    let labels: Option<Vec<(&str, &str)>> = labels.iter().map(|(n, v)| Some((n.as_str(), v.as_str()?))).collect();
    let mut samples = Vec::new();
    let many = |key: &str| series[key].as_array().map(Vec::as_slice).unwrap_or_default().iter();
    for (all, one, read) in [(many("values"), "value", value as Read), (many("histograms"), "histogram", histogram)] {
        for found in all.chain(series.get(one)) {
            samples.push(sample(found, read)?);
        }
    }
    samples.sort_by_key(|(at, _)| *at);
    Some(AnswerSeries { labels: Labels::from_pairs(labels?), samples })
}

type Read = fn(&Value) -> Option<AnswerValue>;

fn sample(pair: &Value, read: Read) -> Option<(TimestampMs, AnswerValue)> {
    let [at, value] = pair.as_array()?.as_slice() else { return None };
    Some(((at.as_f64()? * 1000.0).round() as TimestampMs, read(value)?))
}

fn value(value: &Value) -> Option<AnswerValue> {
    let text = value.as_str()?.to_owned();
    Some(match text.parse() {
        Ok(float) => AnswerValue::Float(float, text),
        Err(_) => AnswerValue::Text(text),
    })
}

/// A native histogram in one line: what people look at first.
fn histogram(value: &Value) -> Option<AnswerValue> {
    let buckets = value["buckets"].as_array().map_or(0, Vec::len);
    let (count, sum) = (value["count"].as_str()?, value["sum"].as_str()?);
    Some(AnswerValue::Text(format!("count={count} sum={sum} buckets={buckets}")))
}
