//! The per-host daemon: receivers, queue, exporter.
