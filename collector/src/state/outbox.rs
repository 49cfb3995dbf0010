//! The outbox in the database: what receivers are to be told, and what they have been told.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};
use sonde_alerting::webhook::GroupKey;
use sonde_alerting::{GroupMemory, SentMemory};

use super::columns;

/// Writes one group of alerts of a receiver, or removes it.
pub(super) fn write(
    connection: &Connection,
    receiver: &str,
    key: &GroupKey,
    memory: Option<&GroupMemory>,
) -> rusqlite::Result<()> {
    let group = columns::labels(&key.0);
    let Some(memory) = memory else {
        let mut gone = connection.prepare_cached("DELETE FROM outbox WHERE receiver = ?1 AND group_labels = ?2")?;
        gone.execute(params![receiver, group])?;
        return Ok(());
    };
    let (sent, none) = (memory.sent.as_ref(), BTreeSet::new());
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO outbox (receiver, group_labels, next, alerts, sent_at, sent_firing, sent_resolved)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            receiver,
            group,
            memory.next,
            columns::alerts(&memory.alerts),
            sent.map(|sent| sent.at),
            columns::label_sets(sent.map_or(&none, |sent| &sent.firing)),
            columns::label_sets(sent.map_or(&none, |sent| &sent.resolved)),
        ])?;
    Ok(())
}

/// Forgets a receiver.
pub(super) fn forget_receiver(connection: &Connection, receiver: &str) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM outbox WHERE receiver = ?1")?.execute([receiver])?;
    Ok(())
}

/// Everything, by receiver.
pub(super) fn read(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Vec<GroupMemory>>> {
    let mut query = connection.prepare_cached(
        "SELECT receiver, group_labels, next, alerts, sent_at, sent_firing, sent_resolved FROM outbox",
    )?;
    let groups = query.query_map([], |row| {
        let (firing, resolved) = (columns::read_label_sets(row, 5)?, columns::read_label_sets(row, 6)?);
        let sent = row.get::<_, Option<i64>>(4)?.map(|at| SentMemory { at, firing, resolved });
        let key = GroupKey(columns::read_labels(row, 1)?);
        let memory = GroupMemory { key, next: row.get(2)?, alerts: columns::read_alerts(row, 3)?, sent };
        Ok((row.get::<_, String>(0)?, memory))
    })?;
    let mut outbox: BTreeMap<String, Vec<GroupMemory>> = BTreeMap::new();
    for found in groups {
        let (receiver, memory) = found?;
        outbox.entry(receiver).or_default().push(memory);
    }
    Ok(outbox)
}
