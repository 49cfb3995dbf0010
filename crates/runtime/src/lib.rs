//! Config loading, clock, staged start and shutdown, self-telemetry, health.
