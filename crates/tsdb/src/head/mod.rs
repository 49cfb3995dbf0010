//! The head: the series that are alive, their index, and their samples since the last flush.
//!
//! Strings live once, series are numbers, samples lie encoded in an arena. The head knows nothing of files or of the WAL.

mod arena;
pub(crate) mod excerpt;
pub(crate) mod owners;
mod probe;
pub(crate) mod registry;
pub(crate) mod samples;
pub(crate) mod slots;
pub(crate) mod starts;
mod stream;
mod symbols;

pub(crate) use registry::Registry;
pub(crate) use samples::Samples;
