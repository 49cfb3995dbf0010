-- Alerts of other senders that fire. Times are milliseconds since the Unix epoch; label sets are JSON objects, sorted by name.
CREATE TABLE received_alert (
    labels TEXT PRIMARY KEY,
    annotations TEXT NOT NULL,
    starts_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    assumed_end INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    generator_url TEXT NOT NULL
) STRICT, WITHOUT ROWID;
