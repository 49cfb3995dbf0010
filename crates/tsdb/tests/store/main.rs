//! The store through its public interface: what it promises, under crashes, faults and damage.

mod basics;
mod committed;
mod deletes;
mod each_fault;
mod examine;
mod exemplars;
mod faults;
mod golden;
mod model;
mod retention;
mod snapshots;
mod support;
mod threads;
mod tiers;
