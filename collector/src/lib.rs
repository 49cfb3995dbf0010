//! The server: ingest, store, query, rules, notifications.
