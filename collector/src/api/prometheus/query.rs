//! `/query`, `/query_range` and `/format_query`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use sonde_model::TimestampMs;
use sonde_promql::ast::ValueType;
use sonde_promql::engine::is_step_local;
use sonde_promql::{Control, Engine, EngineOptions, Expr, QueryError, QueryResult, QueryStats, SelectError, Value};
use sonde_tsdb::Resolution;

use super::profile::Profile;
use super::{parameters, result};
use crate::api::answer::{Answer, ApiError, ErrorKind};
use crate::api::form::Form;
use crate::api::json::JsonWriter;
use crate::query::{CacheKey, Client, Expired, Extent, QueueError, StoreSource};
use crate::server::Server;

/// How many points a series of a range query may have.
const MAX_POINTS: i64 = 11_000;

/// What every query may ask for besides its expression and its times.
struct Options {
    limit: Option<usize>,
    timeout: Duration,
    engine: Engine,
    stats: Option<Statistics>,
    /// Which tiers may be read.
    resolution: Resolution,
    /// Whether the query may get what was answered before, or is being answered to others.
    may_share: bool,
}

/// What an answer says about what the query took.
struct Statistics {
    /// Where the time went, where that was asked for.
    profile: Option<Arc<Profile>>,
    /// What is said about how it was asked for.
    warning: Option<String>,
}

impl Options {
    fn new(server: &Server, form: &Form) -> Result<Self, ApiError> {
        let config = &server.config.load().query;
        // Nothing and less are no lookback of one's own, as they are to Prometheus.
        let asked = parameters::duration(form, "lookback_delta")?.filter(|ms| *ms > 0);
        let lookback_ms = asked.unwrap_or(config.lookback.0.as_millis() as i64);
        let engine = Engine::new(EngineOptions {
            lookback_ms,
            max_samples: usize::try_from(config.max_samples).unwrap_or(usize::MAX),
            max_bytes: usize::try_from(config.max_memory.0).unwrap_or(usize::MAX),
            max_series: config.max_series,
            ..EngineOptions::default()
        })
        .with_helpers(Arc::clone(&server.answers.helpers))
        .with_pool(Arc::clone(&server.answers.pool));
        let stats = form.get("stats").map(|asked| Statistics::new(server, asked));
        let profile = stats.as_ref().and_then(|stats| stats.profile.as_ref());
        let engine = match profile {
            Some(profile) => engine.observed(Arc::clone(profile) as _),
            None => engine,
        };
        let timeout = parameters::timeout(form, config.timeout.0)?;
        let resolution = parameters::resolution(form)?;
        let asks_for_itself = matches!(form.get("nocache"), Some("1" | "true")) || resolution != Resolution::Auto;
        let may_share = stats.is_none() && !asks_for_itself;
        Ok(Options { limit: parameters::limit(form)?, timeout, engine, stats, resolution, may_share })
    }
}

impl Statistics {
    fn new(server: &Server, asked: &str) -> Self {
        let warning = (!matches!(asked, "true" | "all")).then(|| {
            format!(
                "value {asked:?} for parameter \"stats\" is deprecated and will be rejected in the next major release, \
                 use \"true\" or \"all\""
            )
        });
        let profile = (asked == "all").then(|| Arc::new(Profile::new(server.clock.clone())));
        Statistics { profile, warning }
    }

    /// Writes `"stats":...`. Prometheus counts reading the series as preparation; here they are read while the expression is
    /// evaluated, and results come sorted.
    fn write(&self, json: &mut JsonWriter, text: &str, stats: &QueryStats, queued: f64, took: f64) {
        json.key("stats").raw("{").key("timings").raw("{");
        json.key("evalTotalTime").number(took).raw(",").key("resultSortTime").number(0.0).raw(",");
        json.key("queryPreparationTime").number(0.0).raw(",").key("innerEvalTime").number(took).raw(",");
        json.key("execQueueTime").number(queued).raw(",").key("execTotalTime").number(queued + took).raw("},");
        json.key("samples").raw("{").key("totalQueryableSamples").integer(stats.samples as i64).raw(",");
        json.key("peakSamples").integer(stats.peak_samples as i64).raw("}");
        if let Some(profile) = &self.profile {
            json.raw(",").key("seriesRead").integer(stats.series as i64).raw(",").key("nodes");
            profile.write(json, text);
        }
        json.raw("}");
    }
}

/// `/query`: the value of an expression at one time.
pub(super) async fn instant(
    State(server): State<Arc<Server>>,
    client: Client,
    form: Form,
) -> Result<Response, ApiError> {
    let now = server.clock.now_ms();
    let options = Options::new(&server, &form)?;
    let time = parameters::time(&form, "time")?.unwrap_or(now);
    let (text, expr) = expression(&form)?;
    let until = if is_step_local(&expr) { time } else { TimestampMs::MAX };
    let question = Question { client, until, key: format!("{time}"), span: (0, 0), text };
    let evaluate = move |engine: &Engine, source: &StoreSource, control: &Control<'_>| {
        source.note_tiers(&expr, engine.instant(&source.within(control.expired), &expr, time, control))
    };
    run(&server, options, question, evaluate).await
}

/// `/query_range`: the values of an expression at the steps of a range.
pub(super) async fn range(State(server): State<Arc<Server>>, client: Client, form: Form) -> Result<Response, ApiError> {
    let start = parameters::required_time(&form, "start")?;
    let end = parameters::required_time(&form, "end")?;
    if end < start {
        return Err(ApiError::parameter("end", "end timestamp must not be before start time"));
    }
    let step = parameters::required_duration(&form, "step")?;
    if step <= 0 {
        let reason = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(ApiError::parameter("step", reason));
    }
    if (end - start) / step > MAX_POINTS {
        return Err(ApiError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    let options = Options::new(&server, &form)?;
    let (text, expr) = expression(&form)?;
    let kind = expr.value_type();
    if !matches!(kind, ValueType::Scalar | ValueType::Vector) {
        let reason = format!(
            "invalid expression type {:?} for range query, must be Scalar or instant Vector",
            kind.documented()
        );
        return Err(ApiError::parameter("query", reason));
    }
    let is_local = is_step_local(&expr);
    let until = if is_local { end } else { TimestampMs::MAX };
    let question = Question { client, until, key: format!("{start}-{end}/{step}"), span: (end - start, step), text };
    if !is_local || !options.may_share {
        let evaluate = move |engine: &Engine, source: &StoreSource, control: &Control<'_>| {
            source.note_tiers(&expr, engine.range(&source.within(control.expired), &expr, start, end, step, control))
        };
        return run(&server, options, question, evaluate).await;
    }
    let lookback = options.engine.options().lookback_ms;
    let key = CacheKey { expr: expr.to_string(), step, phase: start.rem_euclid(step), lookback };
    let asked = Extent { from: start, to: start + (end - start) / step * step };
    // What is newer than a lookback is still being written.
    let keep_until = server.clock.now_ms().saturating_sub(lookback);
    let shared = Arc::clone(&server);
    let evaluate = move |engine: &Engine, source: &StoreSource, control: &Control<'_>| {
        shared.answers.cache.range(source.db(), key.clone(), asked, keep_until, &mut |extent| {
            source.note_tiers(
                &expr,
                engine.range(&source.within(control.expired), &expr, extent.from, extent.to, step, control),
            )
        })
    };
    run(&server, options, question, evaluate).await
}

/// `/format_query`: the expression printed again, over several lines where it is long.
pub(super) async fn format(
    State(server): State<Arc<Server>>,
    client: Client,
    form: Form,
) -> Result<Response, ApiError> {
    read(&server, &client, form, |json, expr| {
        json.string(&expr.pretty());
    })
    .await
}

/// Reads an expression and writes something about it. That is work: answers may be a hundred times as long as their
/// questions, and patterns are compiled.
pub(super) async fn read(
    server: &Server,
    client: &Client,
    form: Form,
    write: fn(&mut JsonWriter, &Expr),
) -> Result<Response, ApiError> {
    let timeout = server.config.load().query.timeout.0;
    let work = move |_: Expired<'_>| {
        let (_, expr) = expression(&form)?;
        Ok(Answer::new(|json| write(json, &expr)).into_response())
    };
    server.queries.run_for(client, timeout, work).await.map_err(queue_error)?
}

fn expression(form: &Form) -> Result<(String, Expr), ApiError> {
    let text = form.get("query").unwrap_or_default();
    let expr = sonde_promql::parse(text).map_err(|e| ApiError::parameter("query", e))?;
    Ok((text.to_owned(), expr))
}

/// A query as far as it tells who shares an answer.
struct Question {
    client: Client,
    /// The newest samples that it can see.
    until: TimestampMs,
    /// The times that it asks for.
    key: String,
    /// How long they go on, and their distance.
    span: (i64, i64),
    text: String,
}

/// Evaluates on a thread of the pool, writes the answer there, too.
async fn run(
    server: &Server,
    options: Options,
    Question { client, until, key, span, text }: Question,
    evaluate: impl Fn(&Engine, &StoreSource, &Control<'_>) -> Result<QueryResult, QueryError> + Send + 'static,
) -> Result<Response, ApiError> {
    let source = server.source().ok_or_else(ApiError::starting)?.with_tiers(options.resolution);
    let db = &server.core().ok_or_else(ApiError::starting)?.db;
    let clock = server.clock.clone();
    let asked = clock.monotonic();
    let (timeout, limit, lookback) = (options.timeout, options.limit, options.engine.options().lookback_ms);
    let may_share = options.may_share;
    let key = format!("{key} {lookback} {limit:?} {text}");
    let has_profile = options.stats.is_some();
    // The same at another time is likely to take as long.
    let likeness = (span, text.clone());
    let work = move |expired: Expired<'_>| {
        let started = clock.monotonic();
        let mut result = evaluate(&options.engine, &source, &Control { expired })?;
        let evaluated = clock.monotonic();
        let mut warnings = result.annotations.warning_texts(&text);
        if options.limit.is_some_and(|limit| truncate(&mut result.value, limit)) {
            warnings.push("results truncated due to limit".into());
        }
        warnings.extend(options.stats.as_ref().and_then(|stats| stats.warning.clone()));
        let answer = Answer::new(|json| {
            json.raw("{");
            result::write_value(json, result.value);
            if let Some(statistics) = &options.stats {
                let [queued, took] = [started - asked, evaluated - started].map(|d| d.as_secs_f64());
                json.raw(",");
                statistics.write(json, &text, &result.stats, queued, took);
            }
            json.raw("}");
        });
        Ok(answer.finish(&warnings, &result.annotations.info_texts(&text)))
    };
    let queries = &server.queries;
    let answer = async {
        let answer = match has_profile {
            // What a profile counts is counted once.
            true => queries.run_for(&client, timeout, work).await,
            false => queries.answer(&client, &likeness, timeout, work).await,
        };
        answer?.map_err(query_error)
    };
    let answer = if may_share { server.answers.once(db, &key, until, timeout, answer).await } else { answer.await };
    answer.map(IntoResponse::into_response)
}

/// Cuts a vector or matrix down to `limit` elements; says whether anything was cut.
fn truncate(value: &mut Value, limit: usize) -> bool {
    match value {
        Value::Vector(samples) if samples.len() > limit => samples.truncate(limit),
        Value::Matrix(series) if series.len() > limit => series.truncate(limit),
        _ => return false,
    }
    true
}

impl From<QueueError> for ApiError {
    fn from(error: QueueError) -> Self {
        queue_error(error)
    }
}

/// What the pool says, in the words of the API.
pub(super) fn queue_error(error: QueueError) -> ApiError {
    let kind = match error {
        QueueError::Full => ErrorKind::Unavailable,
        QueueError::Timeout => ErrorKind::Timeout,
        QueueError::Panicked => ErrorKind::Internal,
    };
    ApiError::new(kind, error)
}

fn query_error(error: QueryError) -> ApiError {
    let kind = match &error {
        QueryError::Timeout => ErrorKind::Timeout,
        QueryError::Canceled => ErrorKind::Canceled,
        QueryError::Storage(SelectError::Storage(_)) => ErrorKind::Internal,
        QueryError::Overloaded { .. } => ErrorKind::Unavailable,
        QueryError::Storage(_)
        | QueryError::Execution(_)
        | QueryError::TooManySamples { .. }
        | QueryError::TooManyBytes { .. }
        | QueryError::NotImplemented(_) => ErrorKind::Execution,
    };
    // The key that raises a limit is known here only.
    let key = match &error {
        QueryError::TooManySamples { limit } => {
            format!(": it would hold more than {limit} at one time (query.max_samples)")
        }
        QueryError::TooManyBytes { .. } => " (query.max_memory)".to_owned(),
        QueryError::Overloaded { .. } => " (query.max_samples_total)".to_owned(),
        QueryError::Storage(SelectError::TooManySeries { .. }) => " (query.max_series)".to_owned(),
        _ => String::new(),
    };
    ApiError::new(kind, format!("{error}{key}"))
}
