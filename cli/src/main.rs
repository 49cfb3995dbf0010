//! The sonde command: up, agent, collector, query, check.
fn main() {}
