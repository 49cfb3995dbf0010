//! OTLP to Prometheus: names, labels, units, temporality.
