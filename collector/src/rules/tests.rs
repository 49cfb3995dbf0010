//! The rule tasks against a store in memory.
