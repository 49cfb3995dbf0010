//! `POST /api/v1/read`: Prometheus remote read, in one piece or in frames of chunks, as the reader wants it.
//!
//! Frames are made while they are sent: of such an answer some frames and one series are in memory.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use sonde_model::matcher::MatcherBudget;
use sonde_model::{Matcher, Series};
use sonde_promql::{Queryable, SelectError, SelectLimits};
use sonde_proto::remote_read::{
    FRAMES_CONTENT_TYPE, Query, ReadRequest, ResponseType, SAMPLES_CONTENT_TYPE, SampleAnswer, frames,
};
use sonde_proto::remote_write::{compress, decompress};

use super::streamed::{Abandoned, PieceSender, Streamed, pieces};
use crate::query::{Client, Expired, QueueError, StoreSource};
use crate::server::Server;

/// The largest request as it comes: a query is some hundred bytes.
const MAX_BODY: usize = 1 << 20;
/// The largest request after decompression.
const MAX_DECODED: usize = 8 << 20;
/// How long a request may take to come.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// The size that a frame should have: Prometheus's.
const FRAME_BYTES: usize = 1 << 20;
/// An answer in one piece is in memory whole, and once more when it is compressed.
const MAX_ANSWER: usize = 256 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The request is wrong, or asks for too much.
    #[error("{0}")]
    Wrong(String),
    /// The store is being opened, or too many wait.
    #[error("{0}")]
    Unavailable(String),
    /// The store cannot be read.
    #[error("{0}")]
    Failed(String),
}

/// `POST /api/v1/read`
pub(super) async fn read(State(server): State<Arc<Server>>, client: Client, request: Request) -> Response {
    match answer(server, client, request).await {
        Ok(response) => response,
        Err(failure) => {
            let status = match failure {
                Failure::Wrong(_) => StatusCode::BAD_REQUEST,
                Failure::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
                Failure::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            let mut response = (status, format!("{failure}\n")).into_response();
            if status == StatusCode::SERVICE_UNAVAILABLE {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            response
        }
    }
}

async fn answer(server: Arc<Server>, client: Client, request: Request) -> Result<Response, Failure> {
    let source = server.source().ok_or_else(|| Failure::Unavailable("the store is being opened".into()))?;
    let body = tokio::time::timeout(READ_TIMEOUT, axum::body::to_bytes(request.into_body(), MAX_BODY));
    let body = body.await.map_err(|_| Failure::Wrong(format!("the body did not come in {READ_TIMEOUT:?}")))?;
    let body = body.map_err(|_| Failure::Wrong(format!("the body ended early, or has more than {MAX_BODY} bytes")))?;
    let message = decompress(&body, MAX_DECODED).map_err(wrong)?;
    let request = ReadRequest::decode(&message).map_err(wrong)?;
    let mut budget = MatcherBudget::default();
    let queries = request.queries.into_iter().map(|query| compile(query, &mut budget));
    let queries = queries.collect::<Result<Vec<_>, _>>()?;

    let (timeout, max_samples) = {
        let config = &server.config.load().query;
        (config.timeout.0, usize::try_from(config.max_samples).unwrap_or(usize::MAX))
    };
    let limits = Limits { samples_left: max_samples, max_samples };
    match request.response_type {
        ResponseType::Samples => {
            let work = move |expired: Expired<'_>| in_one_piece(Reader { source: &source, expired, limits }, &queries);
            server.queries.run_for(&client, timeout, work).await.map_err(not_run)?
        }
        ResponseType::Chunks => {
            let (sender, mut receiver) = pieces();
            let work =
                move |expired: Expired<'_>| in_frames(Reader { source: &source, expired, limits }, &queries, &sender);
            let mut work =
                Box::pin(async move { server.queries.run_for(&client, timeout, work).await.map_err(not_run)? });
            // Until the first frames have come there can be an answer that says why there are none.
            let (first, work) = tokio::select! {
                biased;
                Some(first) = receiver.recv() => (Some(first), Some(work)),
                ran = &mut work => {
                    ran?;
                    (receiver.recv().await, None)
                }
            };
            let body = Streamed::body(first.transpose()?.unwrap_or_default(), receiver, work);
            Ok(([(header::CONTENT_TYPE, FRAMES_CONTENT_TYPE)], body).into_response())
        }
    }
}

fn not_run(error: QueueError) -> Failure {
    match error {
        QueueError::Full | QueueError::Timeout => Failure::Unavailable(error.to_string()),
        QueueError::Panicked => Failure::Failed(error.to_string()),
    }
}

struct Selection {
    query: Query,
    matchers: Vec<Matcher>,
}

/// The matchers of all queries of a request share a budget.
fn compile(query: Query, budget: &mut MatcherBudget) -> Result<Selection, Failure> {
    let compiled = query.matchers.iter().map(|m| budget.matcher(&m.name, m.op, &m.value));
    Ok(Selection { matchers: compiled.collect::<Result<_, _>>().map_err(wrong)?, query })
}

/// How many samples may be read; a histogram counts as many as take its memory.
#[derive(Clone, Copy)]
struct Limits {
    /// All queries of a request share the limit.
    samples_left: usize,
    max_samples: usize,
}

struct Reader<'a> {
    source: &'a StoreSource,
    expired: Expired<'a>,
    limits: Limits,
}

fn in_one_piece(mut reader: Reader<'_>, queries: &[Selection]) -> Result<Response, Failure> {
    let mut answer = SampleAnswer::default();
    for query in queries {
        answer.result(|out| {
            reader.read(query, &mut |series| {
                out.series(series);
                if out.len() <= MAX_ANSWER {
                    return Ok(());
                }
                let reason = "the answer is too long for one piece; ask for less, or accept STREAMED_XOR_CHUNKS";
                Err(Failure::Wrong(reason.into()))
            })
        })?;
    }
    let block = compress(&answer.finish()).map_err(|e| Failure::Failed(e.to_string()))?;
    let headers = [(header::CONTENT_TYPE, SAMPLES_CONTENT_TYPE), (header::CONTENT_ENCODING, "snappy")];
    Ok((headers, Body::from(block)).into_response())
}

/// Sends frames by the piece. An error behind the first piece ends the answer in its middle: the reader notices.
/// What cannot be handed over in time is an error of the work: a body that lacks it must not look whole.
fn in_frames(mut reader: Reader<'_>, queries: &[Selection], sender: &PieceSender<Failure>) -> Result<(), Failure> {
    let expired = reader.expired;
    let mut out = Vec::new();
    let mut read = Ok(());
    for (index, query) in queries.iter().enumerate() {
        read = read.and_then(|()| {
            reader.read(query, &mut |series| {
                frames(&mut out, index, series, FRAME_BYTES);
                if out.len() < FRAME_BYTES {
                    return Ok(());
                }
                sender.send(Ok(Bytes::from(std::mem::take(&mut out))), expired).map_err(Failure::from)
            })
        });
    }
    let last = read.map(|()| Bytes::from(out));
    sender.send(last, expired).map_err(Failure::from)
}

impl From<Abandoned> for Failure {
    fn from(_: Abandoned) -> Self {
        Failure::Unavailable("the reader has left, or the time of the request is over".into())
    }
}

impl Reader<'_> {
    /// Hands out the series of a query with their samples, one after the other.
    fn read(
        &mut self,
        selection: &Selection,
        visit: &mut dyn FnMut(&Series) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let limits = SelectLimits { max_samples: self.limits.samples_left, max_series: usize::MAX };
        let Query { from, to, .. } = selection.query;
        let source = self.source.within(self.expired);
        let found = source.select(&selection.matchers, from, to, &limits).map_err(|e| self.told(&e))?;
        let mut series = Series::default();
        for index in 0..found.len() {
            if let Some(interrupt) = (self.expired)() {
                return Err(Failure::Unavailable(format!("the time of the request is over: {interrupt:?}")));
            }
            found.read(index, &mut series).map_err(|e| self.told(&e))?;
            let histograms: usize = series.histograms.values.iter().map(|histogram| histogram.weight()).sum();
            let samples = series.floats.len() + histograms;
            let left = self.limits.samples_left.checked_sub(samples);
            self.limits.samples_left = left.ok_or_else(|| self.too_many())?;
            if samples > 0 {
                series.labels.clone_from(found.labels(index));
                visit(&series)?;
            }
        }
        Ok(())
    }

    fn told(&self, error: &SelectError) -> Failure {
        match error {
            SelectError::Storage(_) => Failure::Failed(error.to_string()),
            SelectError::Expired => Failure::Unavailable(error.to_string()),
            SelectError::TooManySamples { .. } => self.too_many(),
            SelectError::TooManySeries { .. } => Failure::Wrong(error.to_string()),
        }
    }

    fn too_many(&self) -> Failure {
        Failure::Wrong(format!("exceeded sample limit ({}, query.max_samples)", self.limits.max_samples))
    }
}

fn wrong(error: impl std::error::Error) -> Failure {
    Failure::Wrong(sonde_runtime::stage::with_causes(&error))
}
