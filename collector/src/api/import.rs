//! `POST /api/v1/import/prometheus` and, of samples of any age, `POST /api/v1/backfill/prometheus`: Prometheus text or OpenMetrics.
//!
//! A page is read as it comes, in parts of bounded size; each is durable before the next is read. Answers are those of
//! remote write: 204, or 400 where something was refused and the rest is stored.

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
use sonde_tsdb::{Metadata, Source};

use super::form::Form;
use crate::import::{Imported as Sample, PageReader, Sink};
use crate::ingest::{ImportRow, Imported, Ingest, IngestError, IngestStats};
use crate::server::Server;

/// How long the next piece of a body may take to come.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Compressed bytes that are decompressed at once: however well they pack, little of them is in memory.
const PIECE_BYTES: usize = 4 << 10;
/// Rows that are given to the store at once.
const BATCH_ROWS: usize = 10_000;
/// Memory that is reserved for a page: its parts, the rows of a batch, and what is decompressed at once.
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
    let full = || Failure::Busy("too many bytes of requests are being worked on (ingest.max_inflight)".to_owned());
    // A budget that is smaller than this would never have room for it.
    let reserved = if ingest.budget().could_hold(RESERVED_BYTES) { RESERVED_BYTES } else { 1 };
    let _memory = ingest.budget().reserve(reserved).ok_or_else(full)?;
    let mut body = body;
    loop {
        let late =
            |_| Failure::Wrong(StatusCode::REQUEST_TIMEOUT, format!("the body did not go on in {READ_TIMEOUT:?}"));
        let Some(chunk) = tokio::time::timeout(READ_TIMEOUT, body.frame()).await.map_err(late)? else { break };
        let ended = |_| Failure::Wrong(StatusCode::BAD_REQUEST, "the body ended early".to_owned());
        let Ok(chunk) = chunk.map_err(ended)?.into_data() else { continue };
        for piece in chunk.chunks(PIECE_BYTES) {
            reader.feed(&decoder.decode(piece)?, &mut rows)?;
            while rows.rows.len() >= BATCH_ROWS {
                store(ingest, source, &mut rows, imported).await?;
            }
        }
    }
    reader.feed(&decoder.finish()?, &mut rows)?;
    reader.finish(&mut rows)?;
    while !rows.is_empty() {
        store(ingest, source, &mut rows, imported).await?;
    }
    Ok(())
}

/// Gives a batch of rows to the store and waits until it is durable.
async fn store(
    ingest: &Arc<Ingest>,
    source: Source,
    waiting: &mut Rows,
    imported: &mut Imported,
) -> Result<(), Failure> {
    let metadata = std::mem::take(&mut waiting.metadata);
    let later = waiting.rows.split_off(waiting.rows.len().min(BATCH_ROWS));
    let rows = Arc::new(std::mem::replace(&mut waiting.rows, later));
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
            Ok(pending) => return pending.durable().await.map_err(failure),
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
        Ok(Rows { rows: Vec::new(), metadata: Vec::new(), added, timestamp })
    }

    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.metadata.is_empty()
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
        self.rows.push(ImportRow { labels, timestamp, value: sample.value, exemplar });
        Ok(())
    }

    fn metadata(&mut self, metric: &str, metadata: &Metadata) {
        self.metadata.push((metric.to_owned(), metadata.clone()));
    }
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

    fn decode<'p>(&mut self, piece: &'p [u8]) -> Result<Cow<'p, [u8]>, Failure> {
        let decoded = match self {
            Decoder::Identity => return Ok(Cow::Borrowed(piece)),
            Decoder::Gzip(gzip) => gzip.write_all(piece).map(|()| std::mem::take(gzip.get_mut())),
            Decoder::Zstd(zstd) => zstd.write_all(piece).map(|()| std::mem::take(zstd.get_mut())),
        };
        decoded.map(Cow::Owned).map_err(undecodable)
    }

    /// What is left at the end; an encoding that is not complete is an error.
    fn finish(&mut self) -> Result<Vec<u8>, Failure> {
        match self {
            Decoder::Identity => Ok(Vec::new()),
            Decoder::Gzip(gzip) => gzip.try_finish().map(|()| std::mem::take(gzip.get_mut())).map_err(undecodable),
            Decoder::Zstd(zstd) => zstd.flush().map(|()| std::mem::take(zstd.get_mut())).map_err(undecodable),
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
