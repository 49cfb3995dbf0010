-- Of every route, webhook and group of alerts: what is to be told (alerts), what has been told last (sent), and which other
-- alerts the webhook may take for firing (believed). Before there were routes each webhook was a receiver of all alerts.
CREATE TABLE outbox_by_route (
    route TEXT NOT NULL,
    receiver TEXT NOT NULL,
    webhook INTEGER NOT NULL,
    group_labels TEXT NOT NULL,
    next INTEGER NOT NULL,
    alerts TEXT NOT NULL,
    sent_at INTEGER,
    sent_firing TEXT NOT NULL,
    sent_resolved TEXT NOT NULL,
    believed TEXT NOT NULL,
    PRIMARY KEY (receiver, webhook, route, group_labels)
) STRICT, WITHOUT ROWID;

INSERT INTO outbox_by_route
SELECT '{}', receiver, 0, group_labels, next, alerts, sent_at, sent_firing, sent_resolved, '[]' FROM outbox;

DROP TABLE outbox;
ALTER TABLE outbox_by_route RENAME TO outbox;

-- The history is asked by time and by the name of the alert.
ALTER TABLE alert_history ADD COLUMN alertname TEXT NOT NULL DEFAULT '';
UPDATE alert_history SET alertname = coalesce(json_extract(labels, '$.alertname'), '');
CREATE INDEX alert_history_at ON alert_history (at);
CREATE INDEX alert_history_alertname ON alert_history (alertname, id);
