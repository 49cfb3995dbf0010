//! `sonde query exemplars`: single observations and what leads to their traces.

use std::collections::BTreeSet;

use serde_json::Value;
use sonde_model::{Labels, METRIC_NAME, TimestampMs};
use sonde_runtime::Clock;

use super::mistakes::check_expression;
use super::{client, table, time};
use crate::client::Client;
use crate::problem::Problem;
use crate::query::args::{ExemplarArgs, ExemplarOutput};
use crate::{print, warn};

/// An exemplar with the labels of its series.
#[derive(Clone, Debug, PartialEq)]
struct Found {
    series: Labels,
    labels: Labels,
    value: String,
    timestamp: TimestampMs,
}

pub(super) fn run(args: &ExemplarArgs, clock: &Clock) -> Result<(), Problem> {
    check_expression(&args.expr)?;
    let now = clock.now_ms();
    let end = args.time.as_deref().map(|text| time::instant("--time", text, now)).transpose()?.unwrap_or(now);
    let start = end.saturating_sub(time::duration_ms("--range", &args.range)?);
    let reply = client::ask_exemplars(&Client::new(&args.server)?, &args.expr, start, end)?;
    for warning in &reply.warnings {
        warn(warning);
    }
    print(&match args.output {
        ExemplarOutput::Json => format!("{:#}\n", reply.data),
        ExemplarOutput::Table => draw(&read(&reply.data)?),
    })
}

/// Reads the `data` of an answer. An expression without selectors has none.
fn read(data: &Value) -> Result<Vec<Found>, Problem> {
    let strange = || Problem::new(format!("the answer has an unknown shape: {:.200}", data.to_string()));
    let mut found = Vec::new();
    if data.is_null() {
        return Ok(found);
    }
    for series in data.as_array().ok_or_else(strange)? {
        let of_series = labels(&series["seriesLabels"]).ok_or_else(strange)?;
        for exemplar in series["exemplars"].as_array().ok_or_else(strange)? {
            let one = || {
                Some(Found {
                    series: of_series.clone(),
                    labels: labels(&exemplar["labels"])?,
                    value: exemplar["value"].as_str()?.to_owned(),
                    timestamp: (exemplar["timestamp"].as_f64()? * 1000.0).round() as TimestampMs,
                })
            };
            found.push(one().ok_or_else(strange)?);
        }
    }
    Ok(found)
}

fn labels(object: &Value) -> Option<Labels> {
    let pairs = object.as_object()?.iter().map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    pairs.collect::<Option<Vec<_>>>().map(Labels::from_pairs)
}

/// A column for each label of series, then time and value, then a column for each label of exemplars.
fn draw(found: &[Found]) -> String {
    if found.is_empty() {
        return "no exemplars\n".to_owned();
    }
    let names = |of: &dyn Fn(&Found) -> &Labels| -> BTreeSet<String> {
        found.iter().flat_map(|f| of(f).iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>()).collect()
    };
    let mut series_names = names(&|f| &f.series);
    let metric = series_names.take(METRIC_NAME);
    let series_names: Vec<String> = metric.into_iter().chain(series_names).collect();
    let own_names = names(&|f| &f.labels);
    let of_series = series_names.iter().map(|name| table::shown_name(name).to_owned());
    let header = of_series.chain(["TIME (UTC)".to_owned(), "VALUE".to_owned()]).chain(own_names.iter().cloned());
    let mut rows = vec![header.collect::<Vec<_>>()];
    for one in found {
        let cell = |labels: &Labels, name: &String| labels.get(name).unwrap_or_default().to_owned();
        let of_series = series_names.iter().map(|name| cell(&one.series, name));
        let observed = [time::show(one.timestamp), one.value.clone()];
        rows.push(of_series.chain(observed).chain(own_names.iter().map(|name| cell(&one.labels, name))).collect());
    }
    let left = rows[0].len();
    table::columns(&rows, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exemplars_are_a_table() {
        let data = serde_json::json!([
            {"seriesLabels": {"__name__": "took_bucket", "le": "0.5"}, "exemplars": [
                {"labels": {"trace_id": "ab"}, "value": "0.25", "timestamp": 1_800_000_000.5},
                {"labels": {}, "value": "NaN", "timestamp": 1_800_000_001},
            ]},
            {"seriesLabels": {"__name__": "took_bucket", "le": "+Inf", "zone": "a"}, "exemplars": [
                {"labels": {"trace_id": "cd", "user": "7"}, "value": "3", "timestamp": 0},
            ]},
        ]);
        let found = read(&data).expect("an answer");
        assert_eq!((found.len(), found[0].timestamp), (3, 1_800_000_000_500));
        let drawn = draw(&found);
        let lines: Vec<Vec<&str>> = drawn.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["METRIC", "le", "zone", "TIME", "(UTC)", "VALUE", "trace_id", "user"]);
        assert!(lines[1].starts_with(&["took_bucket", "0.5"]) && lines[1].ends_with(&["0.25", "ab"]), "{drawn}");
        assert!(lines[2].ends_with(&["NaN"]) && lines[3].ends_with(&["3", "cd", "7"]), "{drawn}");
        assert_eq!(draw(&read(&Value::Null).expect("nothing")), "no exemplars\n");
        assert!(read(&serde_json::json!([{"seriesLabels": {}}])).is_err());
    }
}
