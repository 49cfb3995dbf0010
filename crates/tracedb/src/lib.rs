//! The embedded span store.
