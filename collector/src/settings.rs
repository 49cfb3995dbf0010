//! From the words of the configuration file to the options of the libraries.

use sonde_alerting::group::Environment;
use sonde_alerting::template::External;
use sonde_model::Labels;
use sonde_otlp::receiver;
use sonde_tsdb::{Retention, RetentionClass};

use crate::config::{Config, RetentionClassConfig, TierConfig};
use crate::flags::Flags;
use crate::notify::{Setup, SetupError};
use crate::rules::Settings;
use crate::state;

/// The options of the metrics store.
pub fn store_options(config: &Config) -> sonde_tsdb::Options {
    let storage = &config.storage;
    let Retention { keep_ms, classes } = retention(config);
    let ms = |d: sonde_runtime::config::Duration| i64::try_from(d.0.as_millis()).unwrap_or(i64::MAX);
    let limit = |n: u64| usize::try_from(n).ok().filter(|n| *n > 0);
    sonde_tsdb::Options {
        retention_ms: keep_ms,
        retention_classes: classes,
        tiers: storage.tiers.iter().map(TierConfig::options).collect(),
        retention_bytes: Some(storage.retention_size.0).filter(|bytes| *bytes > 0),
        lateness_ms: ms(storage.lateness),
        max_ahead_ms: ms(storage.max_ahead),
        max_series: usize::try_from(storage.max_series).unwrap_or(usize::MAX),
        max_series_per_metric: limit(storage.max_series_per_metric),
        max_series_per_agent: limit(storage.max_series_per_agent),
        max_exemplars: storage.max_exemplars,
        max_wal_hold_bytes: storage.max_wal_hold.0,
        max_wal_hold_ms: ms(storage.max_wal_hold_age),
        ..sonde_tsdb::Options::default()
    }
}

/// How long samples are kept.
pub(crate) fn retention(config: &Config) -> Retention {
    let ms = |d: sonde_runtime::config::Duration| i64::try_from(d.0.as_millis()).unwrap_or(i64::MAX);
    let class = |class: &RetentionClassConfig| RetentionClass {
        matchers: class.selector.matchers().to_vec(),
        keep_ms: ms(class.keep),
    };
    let classes = config.storage.retention_classes.iter().map(class).collect();
    Retention { keep_ms: ms(config.storage.retention), classes }
}

/// The options of the span store.
pub(crate) fn span_options(config: &Config) -> sonde_tracedb::Options {
    let traces = &config.traces;
    let ms = |d: sonde_runtime::config::Duration| i64::try_from(d.0.as_millis()).unwrap_or(i64::MAX);
    sonde_tracedb::Options {
        retention_ms: ms(traces.retention),
        retention_bytes: Some(traces.retention_size.0).filter(|bytes| *bytes > 0),
        max_ahead_ms: ms(traces.max_ahead),
        max_trace_spans: traces.max_trace_spans,
        hold_for_derivations: config.derive.enabled(),
        held_wal_bytes: held_wal_bytes(traces.retention_size.0),
        ..sonde_tracedb::Options::default()
    }
}

/// Bytes of the log of spans that may wait for what is derived from them. They count towards `traces.retention_size`:
/// a quarter of it is the most that blocks may have to make room for, unless it is less than the log needs to work.
fn held_wal_bytes(retention_size: u64) -> u64 {
    const LEAST: u64 = 256 << 20;
    let most = sonde_tracedb::Options::default().held_wal_bytes;
    if retention_size == 0 { most } else { (retention_size / 4).clamp(LEAST, most) }
}

/// The limits of the OTLP receivers.
pub(crate) fn otlp_limits(config: &Config) -> receiver::Limits {
    let ingest = &config.ingest;
    receiver::Limits {
        max_compressed_bytes: usize::try_from(ingest.max_body.0).unwrap_or(usize::MAX),
        max_body_bytes: usize::try_from(ingest.max_decoded_body.0).unwrap_or(usize::MAX),
        max_items: ingest.max_samples as u64,
        ..receiver::Limits::default()
    }
}

/// The options of the state database.
pub(crate) fn state_options(config: &Config) -> state::Options {
    let age = i64::try_from(config.rules.history.0.as_millis()).unwrap_or(i64::MAX);
    state::Options { history: config.rules.history_lines, history_age_ms: age, ..state::Options::default() }
}

/// How rule groups are evaluated.
pub(crate) fn rule_settings(config: &Config, flags: &Flags) -> Settings {
    let external = External { labels: Labels::empty(), url: external_url(config, flags) };
    Settings { interval: config.rules.evaluation_interval.0, environment: Environment { external, query_offset_ms: 0 } }
}

/// Who is told of alerts. A configuration that was proven has no mistake in it.
pub(crate) fn notify_setup(config: &Config, flags: &Flags) -> Result<Setup, SetupError> {
    Setup::new(&config.notify, &external_url(config, flags))
}

/// How URLs of this collector begin.
pub(crate) fn scheme(config: &Config) -> &'static str {
    if config.tls.is_on() { "https" } else { "http" }
}

/// Where a browser finds this collector, without a slash at the end.
pub(crate) fn external_url(config: &Config, flags: &Flags) -> String {
    match config.api.external_url.trim_end_matches('/') {
        "" => format!("{}://{}", scheme(config), flags.listen),
        url => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_log_takes_a_quarter_of_what_spans_may_take() {
        const GIB: u64 = 1 << 30;
        for (retention_size, held) in [(0, 4 * GIB), (100 * GIB, 4 * GIB), (8 * GIB, 2 * GIB), (1, GIB / 4)] {
            assert_eq!(held_wal_bytes(retention_size), held, "{retention_size}");
        }
    }
}
