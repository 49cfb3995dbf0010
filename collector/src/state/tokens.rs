//! Tokens of the API in the database.

use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};
use sonde_model::{AgentId, TimestampMs};

use crate::auth::{TokenHash, TokenRecord};

/// Writes a token, in place of the one with this hash.
pub(super) fn write(connection: &Connection, token: &TokenRecord) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO token (hash, name, role, agent, created_at, expires_at, uses_left, last_used_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            token.hash.0,
            token.name,
            token.role.as_str(),
            token.agent.map(|agent| agent.0),
            token.created_at,
            token.expires_at,
            token.uses_left,
            token.last_used_at,
        ])?;
    Ok(())
}

/// Writes when a token was last used; nothing where there is none any more.
pub(super) fn write_use(connection: &Connection, hash: &TokenHash, at: TimestampMs) -> rusqlite::Result<()> {
    connection.prepare_cached("UPDATE token SET last_used_at = ?2 WHERE hash = ?1")?.execute(params![hash.0, at])?;
    Ok(())
}

/// Removes a token.
pub(super) fn forget(connection: &Connection, hash: &TokenHash) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM token WHERE hash = ?1")?.execute([hash.0])?;
    Ok(())
}

/// All tokens.
pub(super) fn read(connection: &Connection) -> rusqlite::Result<Vec<TokenRecord>> {
    let mut query = connection
        .prepare_cached("SELECT hash, name, role, agent, created_at, expires_at, uses_left, last_used_at FROM token")?;
    let record = |row: &Row<'_>| {
        let role: String = row.get(2)?;
        let unknown = |e| rusqlite::Error::FromSqlConversionFailure(2, Type::Text, Box::new(e));
        Ok(TokenRecord {
            hash: TokenHash(row.get(0)?),
            name: row.get(1)?,
            role: role.parse().map_err(unknown)?,
            agent: row.get::<_, Option<[u8; 16]>>(3)?.map(AgentId),
            created_at: row.get(4)?,
            expires_at: row.get(5)?,
            uses_left: row.get(6)?,
            last_used_at: row.get(7)?,
        })
    };
    query.query_map([], record)?.collect()
}
