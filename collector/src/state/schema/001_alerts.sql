-- Times are milliseconds since the Unix epoch. Label sets are JSON objects, sorted by name.

CREATE TABLE rule_group (
    id INTEGER PRIMARY KEY,
    file TEXT NOT NULL,
    name TEXT NOT NULL,
    last_evaluation INTEGER NOT NULL,
    UNIQUE (file, name)
) STRICT;

-- Pending and firing alerts. A value that is NULL is not a number.
CREATE TABLE alert (
    group_id INTEGER NOT NULL REFERENCES rule_group (id) ON DELETE CASCADE,
    rule_index INTEGER NOT NULL,
    rule TEXT NOT NULL,
    rule_labels TEXT NOT NULL,
    labels TEXT NOT NULL,
    annotations TEXT NOT NULL,
    state TEXT NOT NULL,
    active_at INTEGER NOT NULL,
    fired_at INTEGER,
    keep_firing_since INTEGER,
    value REAL,
    PRIMARY KEY (group_id, rule_index, labels)
) STRICT, WITHOUT ROWID;

-- What happened to alerts, the newest last.
CREATE TABLE alert_history (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    file TEXT NOT NULL,
    rule_group TEXT NOT NULL,
    labels TEXT NOT NULL,
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    value REAL
) STRICT;

-- For each receiver and group of alerts: what is to be told (alerts) and what has been told last (sent).
CREATE TABLE outbox (
    receiver TEXT NOT NULL,
    group_labels TEXT NOT NULL,
    next INTEGER NOT NULL,
    alerts TEXT NOT NULL,
    sent_at INTEGER,
    sent_firing TEXT NOT NULL,
    sent_resolved TEXT NOT NULL,
    PRIMARY KEY (receiver, group_labels)
) STRICT, WITHOUT ROWID;
