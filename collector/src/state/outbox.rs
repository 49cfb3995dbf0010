//! The outbox in the database: what webhooks are to be told, and what they have been told.

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::{Connection, params};
use sonde_alerting::{GroupMemory, LaneId, OutboxChange, SentMemory, Target};

use super::columns;

/// Writes one group of alerts of a webhook, or removes it.
pub(super) fn write(connection: &Connection, change: &OutboxChange) -> rusqlite::Result<()> {
    let OutboxChange { lane, group, memory } = change;
    let Some(memory) = memory else {
        connection
            .prepare_cached(
                "DELETE FROM outbox WHERE receiver = ?1 AND webhook = ?2 AND route = ?3 AND group_labels = ?4",
            )?
            .execute(params![&*lane.target.receiver, lane.target.webhook, &*lane.route, columns::labels(group)])?;
        return Ok(());
    };
    insert(connection, lane, memory)
}

/// Writes all groups and removes those that are not among them.
pub(super) fn replace(connection: &Connection, all: &[(LaneId, GroupMemory)]) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM outbox")?.execute([])?;
    all.iter().try_for_each(|(lane, memory)| insert(connection, lane, memory))
}

fn insert(connection: &Connection, lane: &LaneId, memory: &GroupMemory) -> rusqlite::Result<()> {
    let (sent, none) = (memory.sent.as_ref(), BTreeSet::new());
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO outbox (route, receiver, webhook, group_labels, next, alerts, sent_at, sent_firing,
             sent_resolved, believed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            &*lane.route,
            &*lane.target.receiver,
            lane.target.webhook,
            columns::labels(&memory.labels),
            memory.next,
            columns::alerts(&memory.alerts),
            sent.map(|sent| sent.at),
            columns::label_sets(sent.map_or(&none, |sent| &sent.firing)),
            columns::label_sets(sent.map_or(&none, |sent| &sent.resolved)),
            columns::label_sets(&memory.believed),
        ])?;
    Ok(())
}

/// Everything.
pub(super) fn read(connection: &Connection) -> rusqlite::Result<Vec<(LaneId, GroupMemory)>> {
    let mut query = connection.prepare_cached(
        "SELECT route, receiver, webhook, group_labels, next, alerts, sent_at, sent_firing, sent_resolved, believed
         FROM outbox",
    )?;
    let groups = query.query_map([], |row| {
        let text = |index| Ok::<_, rusqlite::Error>(Arc::from(row.get::<_, String>(index)?));
        let target = Target { receiver: text(1)?, webhook: row.get(2)? };
        let (firing, resolved) = (columns::read_label_sets(row, 7)?, columns::read_label_sets(row, 8)?);
        let memory = GroupMemory {
            labels: columns::read_labels(row, 3)?,
            next: row.get(4)?,
            alerts: columns::read_alerts(row, 5)?,
            sent: row.get::<_, Option<i64>>(6)?.map(|at| SentMemory { at, firing, resolved }),
            believed: columns::read_label_sets(row, 9)?,
        };
        Ok((LaneId { route: text(0)?, target }, memory))
    })?;
    groups.collect()
}
