//! The downsampled tiers of the metrics store, as the file says them.

use serde::{Deserialize, Serialize};
use sonde_runtime::config::Duration;
use sonde_tsdb::{MAX_TIERS, TierOptions};

const DAY_MS: i64 = 86_400_000;
/// Shorter steps save nothing worth a second store.
const MIN_STEP_MS: i64 = 60_000;

/// A downsampled tier.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TierConfig {
    /// Of each such span of time a few samples of each series are kept.
    pub step: Duration,
    /// How long they are kept.
    pub keep: Duration,
}

impl TierConfig {
    /// The same for the store.
    pub fn options(&self) -> TierOptions {
        let ms = |d: Duration| i64::try_from(d.0.as_millis()).unwrap_or(i64::MAX);
        TierOptions { step_ms: ms(self.step), keep_ms: ms(self.keep) }
    }
}

/// What is wrong with the tiers of a store that keeps all samples for `retention`.
pub(super) fn fault(tiers: &[TierConfig], retention: Duration) -> Option<String> {
    if tiers.len() > MAX_TIERS {
        return Some(format!("there may be {MAX_TIERS} tiers at most"));
    }
    let step_is_good = |step: i64| step >= MIN_STEP_MS && DAY_MS % step == 0;
    if tiers.iter().any(|tier| !step_is_good(tier.options().step_ms)) {
        return Some("step must be at least 1m, and a day a multiple of it".into());
    }
    if tiers.first().is_some_and(|tier| tier.keep <= retention) {
        return Some("keep must be longer than storage.retention".into());
    }
    let grows = |pair: &[TierConfig]| pair[0].step < pair[1].step && pair[0].keep < pair[1].keep;
    (!tiers.windows(2).all(grows)).then(|| "step and keep must grow from tier to tier".into())
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn tiers_are_read_and_faults_are_told() {
        let parse = |tiers: &str| Config::parse(&format!("storage: {{tiers: [{tiers}]}}\n"), "test.yml");
        let config = parse("{step: 5m, keep: 90d}, {step: 1h, keep: 730d}").expect("valid");
        let steps: Vec<i64> = config.storage.tiers.iter().map(|tier| tier.options().step_ms).collect();
        assert_eq!(steps, [300_000, 3_600_000]);
        for (tiers, fault) in [
            ("{step: 30s, keep: 90d}", "at least 1m"),
            ("{step: 7h, keep: 90d}", "multiple"),
            ("{step: 5m, keep: 15d}", "longer than storage.retention"),
            ("{step: 5m, keep: 90d}, {step: 1h, keep: 90d}", "grow"),
            ("{step: 1h, keep: 90d}, {step: 5m, keep: 100d}", "grow"),
            ("{step: 5m}", "keep"),
            (
                "{step: 1m, keep: 16d}, {step: 2m, keep: 17d}, {step: 3m, keep: 18d}, {step: 4m, keep: 19d}, {step: 5m, keep: 20d}",
                "at most",
            ),
        ] {
            let error = parse(tiers).expect_err("a fault").to_string();
            assert!(error.contains(fault), "{tiers}: {error}");
        }
    }
}
