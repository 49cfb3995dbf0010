//! Opening the database: settings of the connection, the check, the version.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use sonde_disk::{Fs, OsFs};

use super::error::StateError;

/// The steps from an empty file to the newest version. A step that was released is never changed: another one follows it.
const MIGRATIONS: [&str; 5] = [
    include_str!("schema/001_alerts.sql"),
    include_str!("schema/002_silences.sql"),
    include_str!("schema/003_routes.sql"),
    include_str!("schema/004_received.sql"),
    include_str!("schema/005_tokens.sql"),
];
/// How long another program that looks into the file may hold up a commit.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the database lies.
#[derive(Clone, Debug)]
pub enum Location {
    /// In a file, with `-wal` and `-shm` beside it.
    File(PathBuf),
    /// In memory: it ends with the process.
    Memory,
}

/// The limits of the database.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The largest size of the file, in bytes; beyond it commits fail as on a full disk.
    pub max_bytes: u64,
    /// Lines of the history of alerts that are kept.
    pub history: u32,
    /// How long a line of the history is kept, in milliseconds before the newest.
    pub history_age_ms: i64,
}

impl Default for Options {
    fn default() -> Self {
        Options { max_bytes: 4 << 30, history: 100_000, history_age_ms: 90 * 86_400_000 }
    }
}

impl Location {
    /// The path, for messages.
    pub(super) fn path(&self) -> &Path {
        match self {
            Location::File(path) => path,
            Location::Memory => Path::new(":memory:"),
        }
    }
}

/// Opens the database, checks it, and brings it to the version of this program.
pub(super) fn open(location: &Location, options: &Options) -> Result<Connection, StateError> {
    let path = location.path();
    if let Location::File(path) = location
        && let Some(folder) = path.parent()
    {
        OsFs.create_dir_all(folder).map_err(|source| StateError::Folder { path: path.clone(), source })?;
    }
    let mut connection = Connection::open(path).map_err(|source| classify(path, source))?;
    prepare(&mut connection, path, options).map_err(|e| match e {
        Opening::Sqlite(source) => classify(path, source),
        Opening::State(error) => error,
    })?;
    Ok(connection)
}

enum Opening {
    Sqlite(rusqlite::Error),
    State(StateError),
}

impl From<rusqlite::Error> for Opening {
    fn from(error: rusqlite::Error) -> Self {
        Opening::Sqlite(error)
    }
}

fn prepare(connection: &mut Connection, path: &Path, options: &Options) -> Result<(), Opening> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let page: u64 = connection.pragma_query_value(None, "page_size", |row| row.get::<_, i64>(0))?.unsigned_abs();
    connection.pragma_update(None, "max_page_count", (options.max_bytes / page.max(1)).max(1) as i64)?;
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(Opening::State(StateError::Damaged { path: path.to_owned(), reason: verdict }));
    }
    migrate(connection, path)
}

/// Applies the steps that the file does not have yet, each with its version in one transaction.
fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Opening> {
    let known = MIGRATIONS.len() as i64;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(Opening::State(StateError::Newer { path: path.to_owned(), found, known }));
    }
    for (version, step) in (1..).zip(MIGRATIONS).filter(|(version, _)| *version > found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Tells damage from what hinders the program for now.
pub(super) fn classify(path: &Path, error: rusqlite::Error) -> StateError {
    let damaged = match &error {
        rusqlite::Error::SqliteFailure(e, _) => {
            matches!(e.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        }
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..) => true,
        _ => false,
    };
    let path = path.to_owned();
    if damaged {
        StateError::Damaged { path, reason: error.to_string() }
    } else {
        StateError::Open { path, source: error }
    }
}
