//! Alerts of other senders in the database.

use rusqlite::{Connection, params};
use sonde_alerting::received::Received;
use sonde_model::Labels;

use super::columns;

/// Writes an alert, over the one of its labels.
pub(super) fn write(connection: &Connection, alert: &Received) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO received_alert
             (labels, annotations, starts_at, ends_at, assumed_end, updated_at, generator_url)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            columns::labels(&alert.labels),
            columns::labels(&alert.annotations),
            alert.starts_at,
            alert.ends_at,
            alert.assumed_end,
            alert.updated_at,
            alert.generator_url,
        ])?;
    Ok(())
}

/// Forgets an alert.
pub(super) fn forget(connection: &Connection, labels: &Labels) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM received_alert WHERE labels = ?1")?.execute([columns::labels(labels)])?;
    Ok(())
}

/// All alerts.
pub(super) fn read(connection: &Connection) -> rusqlite::Result<Vec<Received>> {
    let mut query = connection.prepare_cached(
        "SELECT labels, annotations, starts_at, ends_at, assumed_end, updated_at, generator_url FROM received_alert",
    )?;
    let alerts = query.query_map([], |row| {
        Ok(Received {
            labels: columns::read_labels(row, 0)?,
            annotations: columns::read_labels(row, 1)?,
            starts_at: row.get(2)?,
            ends_at: row.get(3)?,
            assumed_end: row.get(4)?,
            updated_at: row.get(5)?,
            generator_url: row.get(6)?,
        })
    })?;
    alerts.collect()
}
