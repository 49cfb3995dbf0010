//! Borrowed views of an OTLP metrics request: a walk over the bytes that copies nothing and decodes what is asked for.
//!
//! A view is made from one message in one pass over its fields; what lies deeper is read, and proven, when it is asked
//! for. The attributes of a point are at hand as the bytes that the sender wrote, so that a point which is known by its bytes
//! is read no further.
//!
//! Protobuf lets an encoder write things that none writes: a singular message in two pieces that are to be merged, or
//! packed numbers in two. They are told as [`ViewError::Unusual`]; whoever wants to take them decodes the request
//! with the generated messages, encodes it again and walks what came out.

mod attributes;
mod metric;
mod point;
mod repeated;
mod request;

pub use attributes::{AnyValueView, ArrayView, AttributeView, AttributesView, MapView};
pub use metric::{DataView, MetricView};
pub use point::{
    BucketsView, ExemplarView, ExponentialPointView, HistogramPointView, NumberPointView, NumberView, QuantileView,
    SummaryPointView,
};
pub use repeated::{Fixed64s, Messages, Varints, View};
pub use request::{MetricsRequestView, ResourceMetricsView, ResourceView, ScopeMetricsView, ScopeView};

use crate::wire::{Field, WireError};

/// Why a message cannot be viewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// It is not the message it should be.
    #[error("the body is not an OTLP request")]
    Wire(#[from] WireError),
    /// It is written in a way that needs merging, which no encoder does.
    #[error("field {field} comes in several pieces")]
    Unusual {
        /// The number of the field.
        field: u32,
    },
    /// Arrays and maps lie too deep in each other.
    #[error("the value of an attribute is nested deeper than {limit} arrays and maps")]
    TooDeep {
        /// The limit.
        limit: u32,
    },
}

/// Sets a singular message or packed field; a second piece would have to be merged with the first.
fn set_once<'a>(slot: &mut Option<&'a [u8]>, field: &Field<'a>) -> Result<(), ViewError> {
    match slot.replace(field.bytes()?) {
        None => Ok(()),
        Some(_) => Err(ViewError::Unusual { field: field.number }),
    }
}

#[cfg(test)]
mod tests;
