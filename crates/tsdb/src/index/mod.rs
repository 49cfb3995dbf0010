//! From matchers to series: sets of numbers, and how matchers become operations on them.
//!
//! The head and the blocks both keep an inverted index; what they share is here.

pub(crate) mod postings;
pub(crate) mod resolve;
