//! The span store as its owner sees it.

mod basics;
mod faults;
mod model;
mod support;
