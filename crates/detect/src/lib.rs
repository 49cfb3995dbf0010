//! Anomaly scores: arithmetic on streams of numbers, in constant memory a series.
//!
//! A series is watched by a [`Novelty`] detector, which tells how far beyond everything it has seen a sample lies. This
//! crate must not know of labels, stores, clocks or alerts.

mod explain;
mod feature;
mod gate;
mod novelty;
mod record;
mod state;

pub use explain::{Direction, FeatureKind, Finding};
pub use novelty::{Novelty, Score};
pub use state::{STATE_LEN, StateError};
