-- Tokens of the API, of which only the hash is known. Times are milliseconds since the Unix epoch.

CREATE TABLE token (
    hash BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    -- The only agent that may use it.
    agent BLOB CHECK (length(agent) = 16),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    uses_left INTEGER,
    last_used_at INTEGER
) STRICT, WITHOUT ROWID;
