//! The span store as its owner sees it.

mod basics;
mod support;
