//! Silences in the database.

use std::fmt::Display;
use std::str::FromStr;

use rusqlite::types::Type;
use rusqlite::{Connection, params};
use sonde_alerting::silence::{Draft, Silence, SilenceId};

/// Writes a silence, over the one of its id.
pub(super) fn write(connection: &Connection, silence: &Silence) -> rusqlite::Result<()> {
    let draft = &silence.draft;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO silence (id, matchers, starts_at, ends_at, updated_at, created_by, comment)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            silence.id.to_string(),
            draft.matchers.to_string(),
            draft.starts_at,
            draft.ends_at,
            silence.updated_at,
            draft.created_by,
            draft.comment,
        ])?;
    Ok(())
}

/// Forgets a silence.
pub(super) fn forget(connection: &Connection, id: SilenceId) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM silence WHERE id = ?1")?.execute([id.to_string()])?;
    Ok(())
}

/// All silences.
pub(super) fn read(connection: &Connection) -> rusqlite::Result<Vec<Silence>> {
    let mut query = connection
        .prepare_cached("SELECT id, matchers, starts_at, ends_at, updated_at, created_by, comment FROM silence")?;
    let silences = query.query_map([], |row| {
        let draft = Draft {
            matchers: parse(row, 1)?,
            starts_at: row.get(2)?,
            ends_at: row.get(3)?,
            created_by: row.get(5)?,
            comment: row.get(6)?,
        };
        Ok(Silence { id: parse(row, 0)?, draft, updated_at: row.get(4)? })
    })?;
    silences.collect()
}

fn parse<T: FromStr>(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<T>
where
    T::Err: Display,
{
    let text: String = row.get(index)?;
    let damaged = |e: T::Err| format!("{text:?} cannot be read: {e}");
    text.parse().map_err(|e| rusqlite::Error::FromSqlConversionFailure(index, Type::Text, damaged(e).into()))
}
