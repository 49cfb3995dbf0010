//! OTLP receiver and exporter.
