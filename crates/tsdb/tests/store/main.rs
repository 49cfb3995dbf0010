//! The store through its public interface: what it promises, under crashes, faults and damage.

mod basics;
mod exemplars;
mod faults;
mod model;
mod support;
mod threads;
