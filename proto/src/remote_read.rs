//! Prometheus remote read: the request of a reader, and the two forms of an answer.
//!
//! Source of the formats: the remote read part of Prometheus's documentation and its protobuf messages. A request is a snappy
//! block like a write request. An answer is either one snappy block with all samples, or a stream of frames with the
//! chunks of one series each. What comes from outside is decoded by [`ReadRequest::decode`], within limits; [`message`] has the
//! owned messages that clients and tests use.

mod answer;
mod frame;
pub mod message;
mod request;

pub use answer::{SampleAnswer, SampleResult};
pub use frame::{Frame, FrameError, frames, read_frame};
pub use request::{DecodeError, MAX_MATCHERS, MAX_QUERIES, Query, ReadRequest, RequestMatcher, ResponseType};

/// The content type of an answer in frames.
pub const FRAMES_CONTENT_TYPE: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
/// The content type of an answer in one piece, and of requests.
pub const SAMPLES_CONTENT_TYPE: &str = "application/x-protobuf";

#[cfg(test)]
mod tests;
