//! Wire formats: OTLP, remote write, text exposition, agent link.
