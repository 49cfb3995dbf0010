//! `POST /api/v1/read`: Prometheus remote read, in one piece or in frames of chunks, as the reader wants it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use sonde_model::Matcher;
use sonde_model::matcher::MatcherBudget;
use sonde_promql::{SelectError, SelectLimits};
use sonde_proto::remote_read::{
    FRAMES_CONTENT_TYPE, Query, ReadRequest, ResponseType, SAMPLES_CONTENT_TYPE, SampleAnswer, frames,
};
use sonde_proto::remote_write::{compress, decompress};

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
/// A snappy block tells its length in 32 bits; far below that an answer is too much for one piece.
const MAX_ANSWER: usize = 2 << 30;

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
    match answer(&server, &client, request).await {
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

async fn answer(server: &Server, client: &Client, request: Request) -> Result<Response, Failure> {
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
    let response_type = request.response_type;
    let work = move |expired: Expired<'_>| {
        let reader = Reader { source: &source, expired, samples_left: max_samples, max_samples };
        reader.answer(&queries, response_type)
    };
    server.queries.run_for(client, timeout, work).await.map_err(|error| match error {
        QueueError::Full | QueueError::Timeout => Failure::Unavailable(error.to_string()),
        QueueError::Panicked => Failure::Failed(error.to_string()),
    })?
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

struct Reader<'a> {
    source: &'a StoreSource,
    expired: Expired<'a>,
    /// All queries of a request share the limit.
    samples_left: usize,
    max_samples: usize,
}

impl Reader<'_> {
    fn answer(mut self, queries: &[Selection], response_type: ResponseType) -> Result<Response, Failure> {
        match response_type {
            ResponseType::Samples => {
                let mut answer = SampleAnswer::default();
                for query in queries {
                    answer.result(&self.select(query)?);
                    if answer.len() > MAX_ANSWER {
                        let reason =
                            "the answer is too long for one piece; ask for less, or accept STREAMED_XOR_CHUNKS";
                        return Err(Failure::Wrong(reason.into()));
                    }
                }
                let block = compress(&answer.finish()).map_err(|e| Failure::Failed(e.to_string()))?;
                let headers = [(header::CONTENT_TYPE, SAMPLES_CONTENT_TYPE), (header::CONTENT_ENCODING, "snappy")];
                Ok((headers, Body::from(block)).into_response())
            }
            ResponseType::Chunks => {
                let mut out = Vec::new();
                for (index, query) in queries.iter().enumerate() {
                    for series in self.select(query)? {
                        frames(&mut out, index, &series, FRAME_BYTES);
                    }
                }
                Ok(([(header::CONTENT_TYPE, FRAMES_CONTENT_TYPE)], Body::from(out)).into_response())
            }
        }
    }

    fn select(&mut self, selection: &Selection) -> Result<Vec<sonde_model::Series>, Failure> {
        if let Some(interrupt) = (self.expired)() {
            return Err(Failure::Unavailable(format!("the time of the request is over: {interrupt:?}")));
        }
        let limits = SelectLimits { max_samples: self.samples_left, max_series: usize::MAX };
        let Query { from, to, .. } = selection.query;
        let found = self.source.series(&selection.matchers, from, to, &limits).map_err(|error| match error {
            SelectError::Storage(_) => Failure::Failed(error.to_string()),
            SelectError::TooManySamples { .. } => {
                Failure::Wrong(format!("exceeded sample limit ({}, query.max_samples)", self.max_samples))
            }
            SelectError::TooManySeries { .. } => Failure::Wrong(error.to_string()),
        })?;
        let samples: usize = found.iter().map(|s| s.floats.len() + s.histograms.len()).sum();
        self.samples_left = self.samples_left.saturating_sub(samples);
        Ok(found)
    }
}

fn wrong(error: impl std::error::Error) -> Failure {
    Failure::Wrong(sonde_runtime::stage::with_causes(&error))
}
