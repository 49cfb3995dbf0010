//! How label sets, alerts and states stand in columns: JSON and words.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::types::Type;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sonde_alerting::AlertState;
use sonde_alerting::fingerprint::fingerprint;
use sonde_alerting::webhook::{PayloadAlert, Status};
use sonde_model::{Labels, TimestampMs};

type Pairs<'a> = BTreeMap<&'a str, &'a str>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AlertColumn {
    status: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    starts_at: TimestampMs,
    ends_at: Option<TimestampMs>,
    generator_url: String,
}

/// A label set as JSON.
pub(super) fn labels(labels: &Labels) -> String {
    json(&labels.iter().collect::<Pairs<'_>>())
}

/// Label sets as JSON.
pub(super) fn label_sets(sets: &BTreeSet<Labels>) -> String {
    json(&sets.iter().map(|set| set.iter().collect::<Pairs<'_>>()).collect::<Vec<_>>())
}

/// Alerts of the outbox as JSON.
pub(super) fn alerts(alerts: &[PayloadAlert]) -> String {
    let owned = |labels: &Labels| labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    let column = |alert: &PayloadAlert| AlertColumn {
        status: alert.status.as_str().to_owned(),
        labels: owned(&alert.labels),
        annotations: owned(&alert.annotations),
        starts_at: alert.starts_at,
        ends_at: alert.ends_at,
        generator_url: alert.generator_url.clone(),
    };
    json(&alerts.iter().map(column).collect::<Vec<_>>())
}

/// The label set in a column.
pub(super) fn read_labels(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<Labels> {
    Ok(Labels::from_pairs(parse::<BTreeMap<String, String>>(row, index)?))
}

/// The label sets in a column.
pub(super) fn read_label_sets(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<BTreeSet<Labels>> {
    Ok(parse::<Vec<BTreeMap<String, String>>>(row, index)?.into_iter().map(Labels::from_pairs).collect())
}

/// The alerts of the outbox in a column.
pub(super) fn read_alerts(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<Vec<PayloadAlert>> {
    let alert = |column: AlertColumn| {
        let labels = Labels::from_pairs(column.labels);
        Ok(PayloadAlert {
            status: Status::from_word(&column.status).ok_or_else(|| no_word(index, &column.status))?,
            fingerprint: fingerprint(&labels),
            labels,
            annotations: Labels::from_pairs(column.annotations),
            starts_at: column.starts_at,
            ends_at: column.ends_at,
            generator_url: column.generator_url,
        })
    };
    parse::<Vec<AlertColumn>>(row, index)?.into_iter().map(alert).collect()
}

/// The state in a column.
pub(super) fn read_state(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<AlertState> {
    let word: String = row.get(index)?;
    AlertState::from_word(&word).ok_or_else(|| no_word(index, &word))
}

/// The value in a column; SQLite keeps NaN as NULL.
pub(super) fn read_value(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<f64> {
    Ok(row.get::<_, Option<f64>>(index)?.unwrap_or(f64::NAN))
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("BUG: maps of strings are always JSON")
}

fn parse<T: DeserializeOwned>(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<T> {
    let text: String = row.get(index)?;
    serde_json::from_str(&text).map_err(|e| rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(e)))
}

fn no_word(index: usize, word: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, format!("no such state: {word:?}").into())
}
