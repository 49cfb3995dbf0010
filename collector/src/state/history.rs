//! The history of alerts in the database: what happened to them, newest last, bounded by count and age.

use rusqlite::{Connection, params};
use sonde_alerting::alert::ALERT_NAME;
use sonde_model::TimestampMs;

use super::change::Transition;
use super::columns;

/// Which lines of the history are wanted. They come newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryPage {
    /// Only of alerts with this name.
    pub alertname: Option<String>,
    /// Not before.
    pub from: TimestampMs,
    /// Not after.
    pub to: TimestampMs,
    /// Only lines with a smaller id: the page after the one that ended with it.
    pub before: Option<i64>,
    /// How many at most.
    pub limit: u32,
}

impl HistoryPage {
    /// The newest lines.
    pub fn newest(limit: u32) -> Self {
        HistoryPage { alertname: None, from: TimestampMs::MIN, to: TimestampMs::MAX, before: None, limit }
    }
}

/// A line of the history with what names it.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryLine {
    /// Later lines have larger ones.
    pub id: i64,
    /// What happened.
    pub transition: Transition,
}

/// Adds a line.
pub(super) fn write(connection: &Connection, line: &Transition) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO alert_history (at, file, rule_group, labels, from_state, to_state, value, alertname)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            line.at,
            line.file,
            line.group,
            columns::labels(&line.labels),
            line.from.as_str(),
            line.to.as_str(),
            line.value,
            line.labels.get(ALERT_NAME).unwrap_or_default(),
        ])?;
    Ok(())
}

/// Drops the lines that are older than `oldest`, and all but the newest `keep`.
pub(super) fn trim(connection: &Connection, keep: u32, oldest: TimestampMs) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM alert_history WHERE id <= (SELECT max(id) FROM alert_history) - ?1")?
        .execute([i64::from(keep)])?;
    connection.prepare_cached("DELETE FROM alert_history WHERE at < ?1")?.execute([oldest])?;
    Ok(())
}

/// A page of lines, newest first.
pub(super) fn read(connection: &Connection, page: &HistoryPage) -> rusqlite::Result<Vec<HistoryLine>> {
    // Two texts, so that each uses its own index.
    let name = if page.alertname.is_some() { "alertname = ?5 AND" } else { "?5 IS NULL AND" };
    let mut query = connection.prepare_cached(&format!(
        "SELECT id, at, file, rule_group, labels, from_state, to_state, value FROM alert_history
         WHERE {name} at >= ?1 AND at <= ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4"
    ))?;
    let before = page.before.unwrap_or(i64::MAX);
    let lines = query.query_map(params![page.from, page.to, before, page.limit, page.alertname], |row| {
        let transition = Transition {
            at: row.get(1)?,
            file: row.get(2)?,
            group: row.get(3)?,
            labels: columns::read_labels(row, 4)?,
            from: columns::read_state(row, 5)?,
            to: columns::read_state(row, 6)?,
            value: columns::read_value(row, 7)?,
        };
        Ok(HistoryLine { id: row.get(0)?, transition })
    })?;
    lines.collect()
}
