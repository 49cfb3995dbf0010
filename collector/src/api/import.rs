//! `POST /api/v1/import/prometheus` and, of samples of any age, `POST /api/v1/backfill/prometheus`: Prometheus text or OpenMetrics.
//!
//! A page is read as it comes, in parts of bounded size; each is durable before the next is read. While the next piece is
//! waited for, only what is really held is reserved: a slow sender takes nothing from the others. Answers are those of remote
//! write: 204, or 400 where something was refused and the rest is stored.

use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use sonde_model::{METRIC_NAME, TimestampMs};
use sonde_proto::exposition::{Format, ParseError};
use sonde_tsdb::{BatchValue, Metadata, Source};

use super::form::Form;
use crate::import::{Imported as Sample, PageReader, Sink};
use crate::ingest::{ImportRow, Imported, Ingest, IngestError, IngestStats, Reservation};
use crate::server::Server;

/// How long the next piece of a body may take to come.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Compressed bytes that are decompressed at once: however well they pack, little of them is in memory.
const PIECE_BYTES: usize = 4 << 10;
/// Rows that are given to the store at once.
const BATCH_ROWS: usize = 10_000;
/// Bytes of rows and metadata that wait for the store at most, give or take a line: 10,000 rows may be 10,000 long lines.
const WAITING_BYTES: usize = 4 << 20;
/// Memory that is reserved while a piece of a page is read: its parts, the rows of a batch, and what is decompressed at once.
const RESERVED_BYTES: usize = 16 << 20;
/// Memory that the window of a zstd frame may take, as a power of two.
const ZSTD_WINDOW_LOG: u32 = 23;
/// How long room in the store is waited for before the sender is told to come again.
const BUSY_WAITS: u32 = 50;
const BUSY_WAIT: Duration = Duration::from_millis(100);
/// Seconds after which a sender should come again.
const RETRY_SECONDS: u64 = 5;

/// `POST /api/v1/import/prometheus`: judged as remote write is.
pub(super) async fn import(State(server): State<Arc<Server>>, request: Request) -> Response {
    answer(&server, Source::Push, request).await
}

/// `POST /api/v1/backfill/prometheus`: judged against the retention only.
pub(super) async fn backfill(State(server): State<Arc<Server>>, request: Request) -> Response {
    answer(&server, Source::AgentLink, request).await
}

/// Why a page is not taken, or not to its end.
#[derive(Debug)]
enum Failure {
    Wrong(StatusCode, String),
    Busy(String),
    Failed(String),
}

impl From<ParseError> for Failure {
    fn from(error: ParseError) -> Self {
        Failure::Wrong(StatusCode::BAD_REQUEST, error.to_string())
    }
}

async fn answer(server: &Server, source: Source, request: Request) -> Response {
    let Some(core) = server.core() else {
        return retry(StatusCode::SERVICE_UNAVAILABLE, "the store is being opened".to_owned());
    };
    let mut imported = Imported::default();
    let result = take(server, &core.ingest, source, request, &mut imported).await;
    count(core.ingest.stats(), &result).fetch_add(1, Relaxed);
    let stored = |text: String| format!("{text}; {} samples before it are stored", imported.stored);
    match result {
        Ok(()) if imported.refusals.count() == 0 => StatusCode::NO_CONTENT.into_response(),
        Ok(()) => {
            let text = format!("{}; {} were stored\n", imported.refusals, imported.stored);
            (StatusCode::BAD_REQUEST, text).into_response()
        }
        Err(Failure::Wrong(status, text)) => (status, stored(text) + "\n").into_response(),
        Err(Failure::Busy(text)) => retry(StatusCode::TOO_MANY_REQUESTS, stored(text)),
        Err(Failure::Failed(text)) => retry(StatusCode::SERVICE_UNAVAILABLE, stored(text)),
    }
}

fn count<'a>(stats: &'a IngestStats, result: &Result<(), Failure>) -> &'a AtomicU64 {
    match result {
        Ok(()) => &stats.import_requests,
        Err(Failure::Wrong(..)) => &stats.import_invalid,
        Err(Failure::Busy(_)) => &stats.import_busy,
        Err(Failure::Failed(_)) => &stats.import_failed,
    }
}

async fn take(
    server: &Server,
    ingest: &Arc<Ingest>,
    source: Source,
    request: Request,
    imported: &mut Imported,
) -> Result<(), Failure> {
    let (parts, body) = request.into_parts();
    let mut rows = Rows::new(parts.uri.query().unwrap_or_default(), server.clock.now_ms())?;
    let mut decoder = Decoder::of(&parts.headers)?;
    let mut reader = PageReader::new(format(&parts.headers));
    let mut body = body;
    let mut memory = reserve(ingest, 0).await?;
    loop {
        memory = memory.shrink_to(rows.bytes + reader.held_bytes() + decoder.held_bytes());
        let late =
            |_| Failure::Wrong(StatusCode::REQUEST_TIMEOUT, format!("the body did not go on in {READ_TIMEOUT:?}"));
        let Some(chunk) = tokio::time::timeout(READ_TIMEOUT, body.frame()).await.map_err(late)? else { break };
        let ended = |_| Failure::Wrong(StatusCode::BAD_REQUEST, "the body ended early".to_owned());
        let Ok(chunk) = chunk.map_err(ended)?.into_data() else { continue };
        drop(memory);
        memory = reserve(ingest, BUSY_WAITS).await?;
        let mut chunk = &*chunk;
        while !chunk.is_empty() {
            let decoded = decoder.decode(&mut chunk)?;
            for piece in decoded.chunks(PIECE_BYTES) {
                reader.feed(piece, &mut rows)?;
                while rows.is_full() {
                    store(ingest, source, &mut rows, imported).await?;
                }
            }
        }
    }
    drop(memory);
    let _memory = reserve(ingest, BUSY_WAITS).await?;
    reader.feed(&decoder.finish()?, &mut rows)?;
    reader.finish(&mut rows)?;
    while !rows.is_empty() {
        store(ingest, source, &mut rows, imported).await?;
    }
    Ok(())
}

/// Reserves the memory to work on a piece. A page whose beginning is stored waits a while for it.
async fn reserve(ingest: &Ingest, waits: u32) -> Result<Reservation, Failure> {
    // A budget that is smaller than this would never have room for it.
    let bytes = if ingest.budget().could_hold(RESERVED_BYTES) { RESERVED_BYTES } else { 1 };
    for _ in 0..waits {
        if let Some(memory) = ingest.budget().reserve(bytes) {
            return Ok(memory);
        }
        tokio::time::sleep(BUSY_WAIT).await;
    }
    let full = || Failure::Busy("too many bytes of requests are being worked on (ingest.max_inflight)".to_owned());
    ingest.budget().reserve(bytes).ok_or_else(full)
}

/// Gives a batch of rows to the store and waits until it is durable.
async fn store(
    ingest: &Arc<Ingest>,
    source: Source,
    waiting: &mut Rows,
    imported: &mut Imported,
) -> Result<(), Failure> {
    let (rows, metadata) = waiting.take_batch();
    let rows = Arc::new(rows);
    let before = imported.stored;
    for attempt in 0.. {
        let (ingest, rows, metadata) = (Arc::clone(ingest), Arc::clone(&rows), metadata.clone());
        let mut so_far = std::mem::take(imported);
        let work = tokio::task::spawn_blocking(move || {
            let result = ingest.import(&rows, metadata, source, &mut so_far);
            (result, so_far)
        });
        let (result, so_far) = work.await.map_err(|_| Failure::Failed("the import failed unexpectedly".to_owned()))?;
        *imported = so_far;
        match result {
            Ok(pending) => {
                let durable = pending.durable().await;
                return durable.map_err(|error| {
                    imported.stored = before;
                    failure(error)
                });
            }
            Err(IngestError::Busy(_)) if attempt < BUSY_WAITS => tokio::time::sleep(BUSY_WAIT).await,
            Err(error) => return Err(failure(error)),
        }
    }
    Ok(())
}

fn failure(error: IngestError) -> Failure {
    let text = error.to_string();
    match error {
        IngestError::Busy(_) => Failure::Busy(text),
        IngestError::Conflict(_) => Failure::Wrong(StatusCode::CONFLICT, text),
        IngestError::TooLarge(_) => Failure::Wrong(StatusCode::PAYLOAD_TOO_LARGE, text),
        IngestError::Unavailable(_) => Failure::Failed(text),
    }
}

/// Rows that wait for the store.
struct Rows {
    rows: Vec<ImportRow>,
    metadata: Vec<(String, Metadata)>,
    /// Roughly the memory that both take.
    bytes: usize,
    /// Labels that every series gets.
    added: Vec<(String, String)>,
    /// The time of samples that have none.
    timestamp: TimestampMs,
}

impl Rows {
    fn new(query: &str, now: TimestampMs) -> Result<Self, Failure> {
        let wrong = |text: String| Failure::Wrong(StatusCode::BAD_REQUEST, text);
        let form = Form::parse([query.as_bytes()]).map_err(|e| wrong(e.to_string()))?;
        let timestamp = match form.get("timestamp") {
            None => now,
            Some(text) => {
                text.parse().map_err(|_| wrong(format!("timestamp: {text:?} are no milliseconds since 1970")))?
            }
        };
        let mut added = Vec::new();
        for text in form.all("extra_label") {
            match text.split_once('=') {
                Some((name, value)) if !name.is_empty() => added.push((name.to_owned(), value.to_owned())),
                _ => return Err(wrong(format!("extra_label: {text:?} is not NAME=VALUE"))),
            }
        }
        Ok(Rows { rows: Vec::new(), metadata: Vec::new(), bytes: 0, added, timestamp })
    }

    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.metadata.is_empty()
    }

    /// Whether the store must take some before more is read.
    fn is_full(&self) -> bool {
        self.rows.len() >= BATCH_ROWS || self.bytes >= WAITING_BYTES
    }

    /// Takes what the store gets at once.
    fn take_batch(&mut self) -> (Vec<ImportRow>, Vec<(String, Metadata)>) {
        let later = self.rows.split_off(self.rows.len().min(BATCH_ROWS));
        let rows = std::mem::replace(&mut self.rows, later);
        let metadata = std::mem::take(&mut self.metadata);
        self.bytes = self.rows.iter().map(bytes_of).sum();
        (rows, metadata)
    }
}

impl Sink for Rows {
    type Error = Failure;

    fn sample(&mut self, sample: Sample<'_>) -> Result<(), Failure> {
        let timestamp = sample.timestamp.unwrap_or(self.timestamp);
        let owned = |(name, value): &(Cow<'_, str>, Cow<'_, str>)| (name.to_string(), value.to_string());
        let mut labels: Vec<(String, String)> = vec![(METRIC_NAME.to_owned(), sample.name.to_owned())];
        labels.extend(sample.labels.iter().map(owned));
        labels.retain(|(name, _)| !self.added.iter().any(|(n, _)| n == name));
        labels.extend(self.added.iter().cloned());
        let exemplar = sample.exemplar_at(timestamp);
        let start = sample.start.unwrap_or(0);
        let row = ImportRow { labels, timestamp, start, value: sample.value, exemplar };
        self.bytes += bytes_of(&row);
        self.rows.push(row);
        Ok(())
    }

    fn metadata(&mut self, metric: &str, metadata: &Metadata) {
        let text = metric.len() + metadata.help.len() + metadata.unit.len();
        self.bytes += size_of::<(String, Metadata)>() + text;
        self.metadata.push((metric.to_owned(), metadata.clone()));
    }
}

/// Roughly the memory of a row.
fn bytes_of(row: &ImportRow) -> usize {
    let labels: usize = row.labels.iter().map(|(n, v)| size_of::<(String, String)>() + n.len() + v.len()).sum();
    let exemplar = row.exemplar.as_ref().map_or(0, |e| e.labels.iter().map(|(n, v)| n.len() + v.len()).sum());
    let buckets = match &row.value {
        BatchValue::Histogram(h) => 8 * (h.positive_buckets.len() + h.negative_buckets.len() + h.custom_values.len()),
        _ => 0,
    };
    size_of::<ImportRow>() + labels + exemplar + buckets
}

/// What the body is; without a word it is Prometheus text.
fn format(headers: &HeaderMap) -> Format {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Format::of_content_type(content_type)
}

/// Undoes the encoding of a body, piece by piece.
enum Decoder {
    Identity,
    Gzip(Box<flate2::write::MultiGzDecoder<Vec<u8>>>),
    Zstd(zstd::stream::write::Decoder<'static, Vec<u8>>),
}

impl Decoder {
    fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        let encoding = headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?").trim());
        let failed = |e: std::io::Error| Failure::Failed(format!("zstd cannot be started: {e}"));
        match encoding {
            None | Some("" | "identity") => Ok(Decoder::Identity),
            Some("gzip") => Ok(Decoder::Gzip(Box::new(flate2::write::MultiGzDecoder::new(Vec::new())))),
            Some("zstd") => {
                let mut zstd = zstd::stream::write::Decoder::new(Vec::new()).map_err(failed)?;
                zstd.window_log_max(ZSTD_WINDOW_LOG).map_err(failed)?;
                Ok(Decoder::Zstd(zstd))
            }
            Some(other) => {
                let text = format!("{other:?} is no content encoding of an import: use gzip, zstd or none");
                Err(Failure::Wrong(StatusCode::UNSUPPORTED_MEDIA_TYPE, text))
            }
        }
    }

    /// Bytes that are held from piece to piece.
    fn held_bytes(&self) -> usize {
        match self {
            Decoder::Identity => 0,
            // The window, and tables.
            Decoder::Gzip(_) => 48 << 10,
            Decoder::Zstd(_) => (1 << ZSTD_WINDOW_LOG) + (256 << 10),
        }
    }

    /// Decodes the beginning of a piece, which is not empty, and cuts it off. What comes out is little, however well it was
    /// packed: four bytes of zstd can be 128 KiB.
    fn decode<'p>(&mut self, piece: &mut &'p [u8]) -> Result<Cow<'p, [u8]>, Failure> {
        let some = &piece[..piece.len().min(PIECE_BYTES)];
        let (read, decoded) = match self {
            Decoder::Identity => return Ok(Cow::Borrowed(std::mem::take(piece))),
            Decoder::Gzip(gzip) => (gzip.write(some), std::mem::take(gzip.get_mut())),
            Decoder::Zstd(zstd) => (zstd.write(some), std::mem::take(zstd.get_mut())),
        };
        match read.map_err(undecodable)? {
            0 => Err(undecodable(std::io::ErrorKind::WriteZero.into())),
            read => {
                *piece = &piece[read..];
                Ok(Cow::Owned(decoded))
            }
        }
    }

    /// What is left at the end; an encoding that is not complete is an error.
    fn finish(&mut self) -> Result<Vec<u8>, Failure> {
        match self {
            Decoder::Identity => Ok(Vec::new()),
            Decoder::Gzip(gzip) => gzip.try_finish().map(|()| std::mem::take(gzip.get_mut())).map_err(undecodable),
            Decoder::Zstd(zstd) => zstd.do_finish().map(|()| std::mem::take(zstd.get_mut())).map_err(undecodable),
        }
    }
}

fn undecodable(error: std::io::Error) -> Failure {
    Failure::Wrong(StatusCode::BAD_REQUEST, format!("the body cannot be decompressed: {error}"))
}

fn retry(status: StatusCode, text: String) -> Response {
    let mut response = (status, text + "\n").into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of `blocks` times 128 KiB of the same byte.
    fn bomb(blocks: usize) -> Vec<u8> {
        // Magic number, no checksum and no length, a window of 128 KiB.
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x38];
        for i in 1..=blocks {
            let header = (128_u32 << 10) << 3 | 1 << 1 | u32::from(i == blocks);
            frame.extend_from_slice(&header.to_le_bytes()[..3]);
            frame.push(b'a');
        }
        frame
    }

    fn decoder(encoding: &'static str) -> Decoder {
        Decoder::of(&HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_static(encoding))])).unwrap()
    }

    /// All that comes out, and the largest part of it.
    fn decode(encoding: &'static str, mut body: &[u8]) -> Result<(usize, usize), Failure> {
        let mut decoder = decoder(encoding);
        let (mut all, mut largest) = (0, 0);
        while !body.is_empty() {
            let part = decoder.decode(&mut body)?.len();
            (all, largest) = (all + part, largest.max(part));
        }
        let part = decoder.finish()?.len();
        Ok((all + part, largest.max(part)))
    }

    #[test]
    fn what_is_packed_well_comes_out_bit_by_bit() {
        let (all, largest) = decode("zstd", &bomb(1_000)).unwrap();
        assert_eq!(all, 1_000 * (128 << 10));
        assert!(largest <= 256 << 10, "{largest}");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&vec![b'a'; 32 << 20]).unwrap();
        let (all, largest) = decode("gzip", &gzip.finish().unwrap()).unwrap();
        assert_eq!(all, 32 << 20);
        assert!(largest <= 256 << 10, "{largest}");
    }

    #[test]
    fn a_body_that_ends_early_is_noticed() {
        let text = b"a 1\nb 2\n".repeat(50_000);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&text).unwrap();
        let two_frames =
            [zstd::encode_all(&text[..], 1).unwrap(), zstd::encode_all(&b"c 3\n"[..], 1).unwrap()].concat();
        for (encoding, body, len) in [
            ("gzip", gzip.finish().unwrap(), text.len()),
            ("zstd", zstd::encode_all(&text[..], 1).unwrap(), text.len()),
            ("zstd", two_frames, text.len() + 4),
            ("zstd", bomb(3), 3 * (128 << 10)),
        ] {
            assert_eq!(decode(encoding, &body).unwrap().0, len);
            for cut in [1, 3, body.len() / 2] {
                assert!(decode(encoding, &body[..body.len() - cut]).is_err(), "{encoding} without {cut}");
            }
        }
    }

    #[test]
    fn long_lines_and_pages_of_metadata_do_not_wait_in_memory() {
        let long = format!("a{{b=\"{}\"}} 1\n", "x".repeat(900 << 10)).repeat(20);
        let metadata = "# TYPE a gauge\n# TYPE b gauge\n".repeat(300_000);
        let short = "a 1\n".repeat(1_000_000);
        for page in [long, metadata, short] {
            let mut rows = Rows::new("", 0).unwrap();
            let mut reader = PageReader::new(Format::Text);
            let mut most = 0;
            for piece in page.as_bytes().chunks(PIECE_BYTES) {
                reader.feed(piece, &mut rows).unwrap();
                most = most.max(rows.bytes);
                while rows.is_full() {
                    rows.take_batch();
                }
            }
            assert!(most > 0 && most < 2 * WAITING_BYTES, "{most} of {:.20}", page);
        }
    }
}
