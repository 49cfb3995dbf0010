//! `/federate`: the newest samples of chosen series as a page for a scraper, as Prometheus's own endpoint of this name has them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use sonde_model::{Labels, METRIC_NAME, Matcher, Series, TimestampMs, is_stale};
use sonde_promql::{QueryError, Queryable, SelectError, SelectLimits};
use sonde_proto::exposition::{Encoder, Format, MetricKind};

use super::answer::{ApiError, ErrorKind};
use super::exposition;
use super::form::Form;
use super::prometheus::parameters;
use crate::query::{Client, Expired, QueueError, TimedSource};
use crate::server::Server;

/// The label that every sample of the page has, so that the scraper does not put its own there.
const INSTANCE: &str = "instance";

/// `/federate`: the series of `match[]` with the newest sample of the lookback, if that is no stale marker.
pub(super) async fn federate(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    client: Client,
    form: Form,
) -> Result<Response, ApiError> {
    let selectors = parameters::selectors(&form)?;
    let source = server.source().ok_or_else(ApiError::starting)?;
    let (format, content_type) = exposition::negotiate(&headers);
    let now = server.clock.now_ms();
    let (timeout, lookback_ms, max_samples) = {
        let config = &server.config.load().query;
        let lookback_ms = i64::try_from(config.lookback.0.as_millis()).unwrap_or(i64::MAX);
        (config.timeout.0, lookback_ms, usize::try_from(config.max_samples).unwrap_or(usize::MAX))
    };
    let work = move |expired: Expired<'_>| {
        let range = (now.saturating_sub(lookback_ms), now);
        let newest = newest(source.within(expired), &selectors, range, max_samples, expired)?;
        Ok(page(format, &newest))
    };
    let page = server.queries.run_for(&client, timeout, work).await.map_err(queue_error)?.map_err(|error| {
        let kind = match &error {
            QueryError::Timeout | QueryError::Storage(SelectError::Expired) => ErrorKind::Timeout,
            QueryError::Canceled => ErrorKind::Canceled,
            QueryError::Storage(SelectError::Storage(_)) => ErrorKind::Internal,
            _ => ErrorKind::Execution,
        };
        ApiError::new(kind, error)
    })?;
    Ok(([(header::CONTENT_TYPE, content_type)], page).into_response())
}

/// The newest sample of each series; series by series, so that one with its samples is in memory.
fn newest(
    source: TimedSource<'_>,
    selectors: &[Vec<Matcher>],
    (from, to): (TimestampMs, TimestampMs),
    max_samples: usize,
    expired: Expired<'_>,
) -> Result<BTreeMap<Labels, (TimestampMs, f64)>, QueryError> {
    let limits = SelectLimits { max_samples, max_series: usize::MAX };
    let mut newest = BTreeMap::new();
    let mut series = Series::default();
    for matchers in selectors {
        let found = source.select_newest(matchers, from, to, &limits).map_err(QueryError::Storage)?;
        for index in 0..found.len() {
            if let Some(interrupt) = expired() {
                return Err(interrupt.into());
            }
            found.read(index, &mut series).map_err(QueryError::Storage)?;
            if let Some(last) = last(&series) {
                if newest.len() >= max_samples {
                    return Err(QueryError::TooManySamples { limit: max_samples });
                }
                newest.insert(found.labels(index).clone(), last);
            }
        }
    }
    Ok(newest)
}

/// The newest sample, if it is a number: neither a stale marker nor a native histogram, which these pages cannot show.
fn last(series: &Series) -> Option<(TimestampMs, f64)> {
    let (time, value) = (*series.floats.timestamps.last()?, *series.floats.values.last()?);
    let outlived = series.histograms.timestamps.last().is_some_and(|histogram| *histogram > time);
    (!outlived && !is_stale(value)).then_some((time, value))
}

/// The families in the order of their names.
fn page(format: Format, newest: &BTreeMap<Labels, (TimestampMs, f64)>) -> String {
    let mut rows: Vec<_> = newest.iter().filter(|(labels, _)| !labels.metric_name().is_empty()).collect();
    rows.sort_by_key(|(labels, _)| labels.metric_name());
    let mut page = Encoder::new(format);
    let mut family = "";
    for (labels, (timestamp, value)) in rows {
        let name = labels.metric_name();
        if family != name {
            family = name;
            // A family of one name holds whatever the series are; what they are said to be goes by other names.
            page.family(name, MetricKind::Unknown, "", "");
        }
        let mut pairs: Vec<(&str, &str)> = labels.iter().filter(|(name, _)| *name != METRIC_NAME).collect();
        if labels.get(INSTANCE).is_none() {
            pairs.push((INSTANCE, ""));
        }
        page.sample(name, &pairs, *value, Some(*timestamp));
    }
    page.finish()
}

fn queue_error(error: QueueError) -> ApiError {
    let kind = match error {
        QueueError::Full => ErrorKind::Unavailable,
        QueueError::Timeout => ErrorKind::Timeout,
        QueueError::Panicked => ErrorKind::Internal,
    };
    ApiError::new(kind, error)
}
