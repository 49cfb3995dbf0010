//! An answer of the HTTP API, in a form that can be compared.

use std::collections::BTreeMap;

use serde_json::Value;

/// What was answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// Values by label set and time; scalars have no label set.
    Values(BTreeMap<(String, String), f64>),
    /// The type of the error and its text.
    Refused { kind: String, text: String },
}

impl Answer {
    /// Reads an answer.
    pub(super) fn read(json: &Value) -> Self {
        if json["status"] != "success" {
            let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
            return Answer::Refused { kind: text("errorType"), text: text("error") };
        }
        let mut values = BTreeMap::new();
        let mut add = |series: String, sample: &Value| {
            let value = sample[1].as_str().and_then(|v| v.parse().ok()).unwrap_or_else(|| panic!("no value: {sample}"));
            let before = values.insert((series, sample[0].to_string()), value);
            assert!(before.is_none(), "two values of one series at one time: {json}");
        };
        let data = &json["data"];
        let list = data["result"].as_array().unwrap_or_else(|| panic!("no result: {json}"));
        match data["resultType"].as_str() {
            Some("scalar") => add(String::new(), &data["result"]),
            Some("vector") => list.iter().for_each(|s| add(s["metric"].to_string(), &s["value"])),
            Some("matrix") => {
                for series in list {
                    let samples = series["values"].as_array().unwrap_or_else(|| panic!("no values: {series}"));
                    samples.iter().for_each(|sample| add(series["metric"].to_string(), sample));
                }
            }
            other => panic!("an answer of type {other:?}"),
        }
        Answer::Values(values)
    }

    /// The values alone, by time and size.
    pub(super) fn without_labels(self) -> Self {
        let Answer::Values(values) = self else { return self };
        let mut by_time = BTreeMap::<String, Vec<f64>>::new();
        for ((_, time), value) in values {
            by_time.entry(time).or_default().push(value);
        }
        let numbered = by_time.into_iter().flat_map(|(time, mut values)| {
            values.sort_by(f64::total_cmp);
            let numbered = values.into_iter().enumerate();
            numbered.map(move |(n, value)| ((n.to_string(), time.clone()), value))
        });
        Answer::Values(numbered.collect())
    }

    /// Whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Answer::Values(values) if values.is_empty())
    }

    /// How this answer differs from another one.
    pub(super) fn difference(&self, other: &Answer) -> Option<String> {
        match (self, other) {
            (Answer::Refused { kind: ours, text: our_text }, Answer::Refused { kind: theirs, text }) => {
                (ours != theirs).then(|| format!("refused as {ours} ({our_text}) instead of {theirs} ({text})"))
            }
            (Answer::Values(ours), Answer::Values(theirs)) => {
                let missing =
                    theirs.keys().find(|key| !ours.contains_key(*key)).map(|key| format!("{key:?} is missing"));
                let more =
                    || ours.keys().find(|key| !theirs.contains_key(*key)).map(|key| format!("{key:?} is too much"));
                let other = || {
                    let (key, value) = ours.iter().find(|(key, value)| !close(**value, theirs[*key]))?;
                    Some(format!("{key:?} is {value} instead of {}", theirs[key]))
                };
                missing.or_else(more).or_else(other)
            }
            (ours, theirs) => Some(format!("{} instead of {}", ours.brief(), theirs.brief())),
        }
    }

    fn brief(&self) -> String {
        match self {
            Answer::Values(values) => format!("{} values", values.len()),
            Answer::Refused { kind, text } => format!("{kind}: {text}"),
        }
    }
}

/// Whether two values are equal within 1e-9.
fn close(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}
