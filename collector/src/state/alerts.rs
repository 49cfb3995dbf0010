//! Rule groups and their alerts in the database.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use sonde_alerting::{AlertInstance, RuleMemory};
use sonde_model::Labels;

use super::change::{GroupChange, StoredAlert, StoredGroup};
use super::columns;

/// Writes what an evaluation changed.
pub(super) fn write_group(connection: &Connection, change: &GroupChange) -> rusqlite::Result<()> {
    let id: i64 = connection
        .prepare_cached(
            "INSERT INTO rule_group (file, name, last_evaluation) VALUES (?1, ?2, ?3)
             ON CONFLICT (file, name) DO UPDATE SET last_evaluation = ?3 RETURNING id",
        )?
        .query_row(params![change.file, change.name, change.last_evaluation], |row| row.get(0))?;
    if change.whole {
        connection.prepare_cached("DELETE FROM alert WHERE group_id = ?1")?.execute([id])?;
    }
    let mut gone =
        connection.prepare_cached("DELETE FROM alert WHERE group_id = ?1 AND rule_index = ?2 AND labels = ?3")?;
    for (index, labels) in &change.gone {
        gone.execute(params![id, *index as i64, columns::labels(labels)])?;
    }
    let mut active = connection.prepare_cached(
        "INSERT OR REPLACE INTO alert (group_id, rule_index, rule, rule_labels, labels, annotations, state, active_at,
         fired_at, keep_firing_since, value) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    for StoredAlert { index, rule, rule_labels, alert } in &change.active {
        active.execute(params![
            id,
            *index as i64,
            rule,
            columns::labels(rule_labels),
            columns::labels(&alert.labels),
            columns::labels(&alert.annotations),
            alert.state.as_str(),
            alert.active_at,
            alert.fired_at,
            alert.keep_firing_since,
            alert.value,
        ])?;
    }
    Ok(())
}

/// Forgets a group and its alerts.
pub(super) fn forget_group(connection: &Connection, file: &str, name: &str) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM rule_group WHERE file = ?1 AND name = ?2")?.execute([file, name])?;
    Ok(())
}

/// All groups with their alerts.
pub(super) fn read_groups(connection: &Connection) -> rusqlite::Result<Vec<StoredGroup>> {
    let mut query =
        connection.prepare_cached("SELECT id, file, name, last_evaluation FROM rule_group ORDER BY file, name")?;
    let groups = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    groups
        .map(|group| {
            let (id, file, name, last_evaluation) = group?;
            Ok(StoredGroup { file, name, last_evaluation, rules: read_rules(connection, id)? })
        })
        .collect()
}

fn read_rules(connection: &Connection, group: i64) -> rusqlite::Result<Vec<RuleMemory>> {
    let mut query = connection.prepare_cached(
        "SELECT rule_index, rule, rule_labels, labels, annotations, state, active_at, fired_at, keep_firing_since, value
         FROM alert WHERE group_id = ?1",
    )?;
    let mut rules: BTreeMap<(usize, String, Labels), Vec<AlertInstance>> = BTreeMap::new();
    let alerts = query.query_map([group], |row| {
        let alert = AlertInstance {
            labels: columns::read_labels(row, 3)?,
            annotations: columns::read_labels(row, 4)?,
            state: columns::read_state(row, 5)?,
            active_at: row.get(6)?,
            fired_at: row.get(7)?,
            resolved_at: None,
            keep_firing_since: row.get(8)?,
            value: columns::read_value(row, 9)?,
        };
        let index: u32 = row.get(0)?;
        Ok(((index as usize, row.get(1)?, columns::read_labels(row, 2)?), alert))
    })?;
    for found in alerts {
        let (rule, alert) = found?;
        rules.entry(rule).or_default().push(alert);
    }
    let rule = |((index, name, labels), alerts)| RuleMemory { index, name, labels, alerts };
    Ok(rules.into_iter().map(rule).collect())
}
