//! Bodies: read within time, size and memory, inflated within size and memory.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::StatusCode;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Code;

use super::failure::Failure;
use super::stats::Reason;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    /// The zlib format, which HTTP calls deflate.
    Deflate,
    Zstd,
}

impl Encoding {
    /// The encoding of a header value, or `None` for one that is not known.
    pub(super) fn parse(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"" | b"identity" => Encoding::Identity,
            b"gzip" | b"x-gzip" => Encoding::Gzip,
            b"deflate" => Encoding::Deflate,
            b"zstd" => Encoding::Zstd,
            _ => return None,
        })
    }
}

/// What a message of a request takes in memory once it is decoded, apart from the text that the body has too.
const DECODED_MESSAGE_BYTES: u64 = 64;

/// What a value of a list takes once it is decoded and encoded again, though it may be one digit in JSON.
const DECODED_VALUE_BYTES: u64 = 16;

/// Room that is made for a body because its sender announces as much.
const MAX_ANNOUNCED_BYTES: usize = 512 << 10;

/// What one request holds of the memory that requests may take together.
#[derive(Debug)]
pub(super) struct Held {
    budget: Arc<Semaphore>,
    /// The whole budget: who needs more than this need not come again.
    capacity: usize,
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Held {
    pub(super) fn new(budget: &Arc<Semaphore>, capacity: usize) -> Self {
        Held { budget: Arc::clone(budget), capacity, permit: None, bytes: 0 }
    }

    /// Takes the memory that decoding so many messages will need.
    pub(super) fn take_messages(&mut self, messages: u64) -> Result<(), Failure> {
        self.take(usize::try_from(messages.saturating_mul(DECODED_MESSAGE_BYTES)).unwrap_or(usize::MAX))
    }

    /// Takes the memory of so many values of JSON, decoded and encoded again.
    pub(super) fn take_values(&mut self, values: u64) -> Result<(), Failure> {
        self.take(usize::try_from(values.saturating_mul(DECODED_VALUE_BYTES)).unwrap_or(usize::MAX))
    }

    fn take(&mut self, bytes: usize) -> Result<(), Failure> {
        self.bytes = self.bytes.saturating_add(bytes);
        let permits = u32::try_from(bytes).ok().filter(|_| self.bytes <= self.capacity);
        let permits = permits.ok_or_else(|| Failure::too_large("in memory", self.capacity))?;
        let more = Arc::clone(&self.budget)
            .try_acquire_many_owned(permits)
            .map_err(|_| Failure::crowded("bytes of requests in memory"))?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }
}

/// Reads a body of at most `max` bytes within `timeout`.
pub(super) async fn read(body: Body, max: usize, timeout: Duration, held: &mut Held) -> Result<Bytes, Failure> {
    let too_slow = |_| {
        let message = format!("the body did not come within {} s", timeout.as_secs_f64());
        Failure::new(Reason::ReadFailed, Code::DeadlineExceeded, StatusCode::REQUEST_TIMEOUT, message)
    };
    tokio::time::timeout(timeout, read_frames(body, max, held)).await.map_err(too_slow)?
}

async fn read_frames(mut body: Body, max: usize, held: &mut Held) -> Result<Bytes, Failure> {
    if body.size_hint().lower() > max as u64 {
        // Its sender announces a length: there is no need to wait for the bytes.
        return Err(Failure::too_large("as it came", max));
    }
    // What its sender announces, as far as it costs little if it never comes.
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(max).min(MAX_ANNOUNCED_BYTES);
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let message = format!("the body broke off: {error}");
            Failure::new(Reason::ReadFailed, Code::InvalidArgument, StatusCode::BAD_REQUEST, message)
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + all.len() + data.len() > max {
            return Err(Failure::too_large("as it came", max));
        }
        held.take(data.len())?;
        if first.is_empty() && all.is_empty() {
            // A body in one piece, which most are, is not copied.
            first = data;
        } else {
            if all.is_empty() {
                all.reserve(announced.max(first.len() + data.len()));
            }
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// Undoes the compression of a body; stops at the first byte beyond `max`.
pub(super) fn inflate(encoding: Encoding, body: Bytes, max: usize, held: &mut Held) -> Result<Bytes, Failure> {
    let broken = |e: io::Error| Failure::malformed(format!("the body cannot be decompressed: {e}"));
    match encoding {
        Encoding::Identity if body.len() > max => Err(Failure::too_large("", max)),
        Encoding::Identity => Ok(body),
        Encoding::Gzip => drain(flate2::read::MultiGzDecoder::new(&body[..]), body.len(), max, held),
        Encoding::Deflate => drain(flate2::read::ZlibDecoder::new(&body[..]), body.len(), max, held),
        Encoding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(&body[..]).map_err(broken)?;
            // A frame may ask for a window of gigabytes in a few bytes. No window is wider than 8 MiB here, which is
            // what the format asks every decoder to support.
            decoder.window_log_max(23).map_err(broken)?;
            drain(decoder, body.len(), max, held)
        }
    }
}

fn drain(mut reader: impl Read, compressed: usize, max: usize, held: &mut Held) -> Result<Bytes, Failure> {
    // Memory grows with what really comes out, whatever the body says about itself.
    let mut out = Vec::with_capacity(compressed.saturating_mul(4).clamp(512, max.min(256 << 10)));
    let mut chunk = [0; 16 << 10];
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => return Ok(out.into()),
            Ok(n) if out.len() + n > max => return Err(Failure::too_large("after decompression", max)),
            Ok(n) => {
                held.take(n)?;
                out.extend_from_slice(&chunk[..n]);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Failure::malformed(format!("the body cannot be decompressed: {e}"))),
        }
    }
}
