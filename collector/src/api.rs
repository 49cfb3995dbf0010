//! The HTTP API of the main port: the page, Prometheus's API, Tempo's, remote write and read, federation, OTLP, probes, admin.

mod admin;
mod alertmanager;
mod anomalies;
pub(crate) mod answer;
mod exposition;
mod federate;
pub(crate) mod form;
mod import;
pub(crate) mod json;
mod openapi;
mod page;
mod probes;
mod prometheus;
mod remote_read;
mod remote_write_status;
mod requests;
mod streamed;
mod tokens;
mod where_asked;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use http::{HeaderValue, Method, StatusCode, header};
use sonde_otlp::receiver;
use tower::ServiceExt;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate, SizeAbove};
use tower_http::cors::{AllowOrigin, CorsLayer};

pub(crate) use answer::Encoded;
pub(crate) use prometheus::{firing, rfc3339};
pub(crate) use requests::ApiStats;
use where_asked::WhereAsked;

#[cfg(fuzzing)]
pub use alertmanager::read_bodies;

use crate::auth::{Gate, Surface};
use crate::consumer::OtlpConsumer;
use crate::enrol;
use crate::server::Server;

/// Answers of fewer bytes are sent as they are: they fit into one packet, and the state of a compressor is larger.
const MIN_COMPRESSED: u16 = 1_024;

/// Everything that the main port serves, gRPC included: requests are told apart by their content type.
pub(crate) fn main_router(server: &Arc<Server>, limits: &receiver::Limits) -> Router {
    let grpc = otlp_grpc_router(server, limits);
    http_router(server, limits).layer(middleware::from_fn(move |request: Request, next: Next| {
        let grpc = grpc.clone();
        async move {
            if is_grpc(&request) { grpc.oneshot(request).await.into_response() } else { next.run(request).await }
        }
    }))
}

/// The gRPC services: OTLP, and enrolment of agents.
pub(crate) fn otlp_grpc_router(server: &Arc<Server>, limits: &receiver::Limits) -> Router {
    let consumer = Arc::new(OtlpConsumer::new(Arc::clone(server)));
    let otlp = receiver::grpc_router(consumer, limits.clone(), Arc::clone(&server.otlp_stats));
    Gate::guard(server, Surface::Grpc, otlp.merge(enrol::router(server)))
}

/// OTLP over HTTP.
pub(crate) fn otlp_http_router(server: &Arc<Server>, limits: &receiver::Limits) -> Router {
    Gate::guard(server, Surface::OtlpHttp, otlp_http(server, limits))
}

fn otlp_http(server: &Arc<Server>, limits: &receiver::Limits) -> Router {
    let consumer = Arc::new(OtlpConsumer::new(Arc::clone(server)));
    receiver::http_router(consumer, limits.clone(), Arc::clone(&server.otlp_stats))
}

fn http_router(server: &Arc<Server>, limits: &receiver::Limits) -> Router {
    let worth_it = DefaultPredicate::new().and(SizeAbove::new(MIN_COMPRESSED));
    let compression = CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(worth_it);
    let cors = cors(&server.config.load().api.cors_origin);
    let readable = Router::new()
        .nest("/api/v1", api_routes().layer(WhereAsked::by(header::ORIGIN, cors)))
        .route("/", get(page::page))
        .route("/metrics", get(exposition::metrics))
        .route("/version", get(prometheus::version))
        .route("/federate", get(federate::federate))
        .merge(crate::tempo::routes())
        .merge(alertmanager::routes())
        .layer(WhereAsked::by(header::ACCEPT_ENCODING, compression));
    let mut router = Router::new()
        .merge(readable)
        .route("/api/v1/write", post(write::write))
        .route("/api/v1/read", post(remote_read::read))
        .route("/api/v1/backfill/write", post(write::backfill))
        .route("/api/v1/import/prometheus", post(import::import))
        .route("/api/v1/backfill/prometheus", post(import::backfill))
        .route("/api/v1/tokens", get(tokens::list).post(tokens::create))
        .route("/api/v1/tokens/{id}", delete(tokens::revoke))
        .route("/-/healthy", get(probes::healthy))
        .route("/-/ready", get(probes::ready))
        .route("/-/reload", post(probes::reload).put(probes::reload));
    if server.flags.enable_admin_api {
        router = router
            .route("/api/v1/admin/tsdb/flush", post(admin::flush).put(admin::flush))
            .route("/api/v1/admin/tsdb/compact", post(admin::compact).put(admin::compact))
            .route("/api/v1/admin/tsdb/delete_series", post(admin::delete_series).put(admin::delete_series))
            .route("/api/v1/admin/tsdb/clean_tombstones", post(admin::clean_tombstones).put(admin::clean_tombstones))
            .route("/api/v1/admin/tsdb/snapshot", post(admin::snapshot).put(admin::snapshot));
    } else {
        router = router.route("/api/v1/admin/{*call}", post(admin::disabled).put(admin::disabled));
    }
    let otlp = otlp_http(server, limits);
    let router =
        router.fallback(not_found).with_state(Arc::clone(server)).merge(otlp.clone()).nest("/api/v1/otlp", otlp);
    Gate::guard(server, Surface::Main, router)
        .layer(middleware::from_fn_with_state(Arc::clone(server), requests::count))
}

/// What browsers may read under `/api/v1`: Prometheus's API, and ours.
fn api_routes() -> Router<Arc<Server>> {
    let routes = prometheus::routes().route("/anomalies", get(anomalies::anomalies));
    routes
        .route("/openapi.yaml", get(openapi::document))
        .route("/status/remote_write", get(remote_write_status::status))
}

/// Which web pages may read the API, in the words of Prometheus.
fn cors(origin: &str) -> CorsLayer {
    let allowed = match origin {
        "" => return CorsLayer::new(),
        "*" => AllowOrigin::any(),
        one => HeaderValue::from_str(one).map_or_else(|_| AllowOrigin::list([]), AllowOrigin::exact),
    };
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST, Method::OPTIONS])
        .allow_headers([header::ACCEPT, header::AUTHORIZATION, header::CONTENT_TYPE, header::ORIGIN])
        .expose_headers([header::DATE])
}

fn is_grpc(request: &Request) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// An unknown path: what there is instead.
async fn not_found(request: Request) -> Response {
    let path = request.uri().path();
    if path.starts_with("/api/") && !path.starts_with("/api/v1") {
        // The words of Tempo, whose API lies beside Prometheus's.
        let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        return (StatusCode::NOT_FOUND, headers, "404 page not found\n").into_response();
    }
    if path.starts_with("/api/") {
        let text = format!("there is no {path}; docs/api.md lists what is served under /api/v1");
        return answer::ApiError::new(answer::ErrorKind::NotFound, text).into_response();
    }
    let text = format!(
        "404: there is no {path} here.\n\n\
         /                      the state of this collector, and a query box\n\
         /api/v1/...            Prometheus's HTTP API: query, query_range, labels, series, rules, alerts, ...\n\
         /api/v1/write          Prometheus remote write 1.0 and 2.0\n\
         /api/v1/read           Prometheus remote read\n\
         /federate              the newest samples of match[] for a scraping Prometheus\n\
         /api/search, ...       Tempo's HTTP API: search, traces/ID, v2/traces/ID, tags\n\
         /api/v2/alerts, ...    Alertmanager's HTTP API: alerts, silences, receivers, status\n\
         /v1/metrics, /v1/traces  OTLP over HTTP\n\
         /metrics               metrics of this collector\n\
         /-/healthy, /-/ready   probes\n"
    );
    (StatusCode::NOT_FOUND, text).into_response()
}

#[cfg(test)]
mod tests;
