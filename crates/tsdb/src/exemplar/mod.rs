//! Exemplars: judged with the samples of their batch, in its WAL record, kept within bounds in memory and in a file.
//!
//! In reading order: `judge` decides, `codec` writes them into the record, `store` keeps them once they are durable,
//! `file` carries them over the cut of the WAL at a flush, `read` answers queries. See docs/format/exemplars.md.

pub(crate) mod codec;
pub(crate) mod file;
mod judge;
mod read;
pub(crate) mod store;

use sonde_model::{Exemplar, Labels, TimestampMs};

pub use judge::ExemplarRejectReason;
pub(crate) use judge::Judged;

use crate::SeriesRef;

/// One exemplar of a batch.
#[derive(Clone, Debug)]
pub struct BatchExemplar {
    /// The series.
    pub series: SeriesRef,
    /// The exemplar. Its labels may be as the sender wrote them: what is too long is refused here.
    pub exemplar: Exemplar,
}

/// An exemplar that was accepted, with the labels of its series: it may outlive the series in the head.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    pub(crate) series: Labels,
    pub(crate) exemplar: Exemplar,
}

/// The exemplars of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesExemplars {
    /// The labels of the series.
    pub labels: Labels,
    /// In order of time, then value, then labels.
    pub exemplars: Vec<Exemplar>,
}

/// The state of the exemplars at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExemplarStatus {
    /// Series that have exemplars.
    pub series: usize,
    /// Exemplars.
    pub exemplars: usize,
    /// Estimated bytes of memory.
    pub bytes: usize,
    /// The oldest exemplar.
    pub min_time: Option<TimestampMs>,
}
