//! Reading a store and its tiers as one: tiers where the store has nothing any more, or where that is asked for.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sonde_model::{Matcher, Series, TimestampMs};

use super::{DAY_MS, Tier};
use crate::columns::{Columns, overlay};
use crate::{Db, SelectError, TimedLimits};

/// How coarse the samples may be that are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resolution {
    /// Tiers where the store has dropped samples, the finest that has them.
    #[default]
    Auto,
    /// No tiers.
    Raw,
    /// Also where the store has all samples: the coarsest tier whose step is not longer than so many milliseconds.
    UpTo(i64),
}

/// A tier that is to be read.
#[derive(Clone, Debug)]
pub struct TierPart {
    /// The length of its steps in milliseconds.
    pub step_ms: i64,
    /// It is read for samples before this time.
    pub before: TimestampMs,
    /// The tier.
    pub db: Arc<Db>,
}

/// Series with their samples out of the store and its tiers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Joined {
    /// The series, sorted by labels.
    pub series: Vec<Series>,
    /// The tiers that gave samples which nothing finer has: the length of their steps in milliseconds, and the time of
    /// the newest such sample.
    pub tiers: Vec<(i64, TimestampMs)>,
}

impl Db {
    /// The tiers that would be read at a resolution, the finest first. Samples before the time that a tier says may be in it
    /// only.
    pub fn tier_parts(&self, resolution: Resolution) -> Vec<TierPart> {
        self.parts(resolution).0
    }

    /// As [`Db::select`], also out of tiers. The limits hold for each of them and for what they come to.
    pub fn select_joined<'l>(
        &self,
        matchers: &[Matcher],
        (from, to): (TimestampMs, TimestampMs),
        resolution: Resolution,
        limits: impl Into<TimedLimits<'l>>,
    ) -> Result<Joined, SelectError> {
        let timed @ TimedLimits { limits, .. } = limits.into();
        if self.tiers.is_empty() || resolution == Resolution::Raw {
            return Ok(Joined { series: self.select(matchers, from, to, timed)?, tiers: Vec::new() });
        }
        let (_, raw_from) = self.parts(resolution);
        let raw_from = raw_from.max(from);
        let mut series = if raw_from <= to { self.select(matchers, raw_from, to, timed)? } else { Vec::new() };
        // Asked for after the store was read: what it has dropped until then is known to be gone.
        let (parts, _) = self.parts(resolution);
        let mut tiers = Vec::new();
        for part in parts.iter().filter(|part| part.before > from) {
            let older = part.db.select(matchers, from, to.min(part.before - 1), timed)?;
            let newest = lay_under(&mut series, older);
            tiers.extend(newest.map(|time| (part.step_ms, time)));
        }
        if series.len() > limits.max_series {
            return Err(SelectError::TooManySeries { limit: limits.max_series });
        }
        if series.iter().map(|s| s.floats.len() + s.histograms.len()).sum::<usize>() > limits.max_samples {
            return Err(SelectError::TooManySamples { limit: limits.max_samples });
        }
        Ok(Joined { series, tiers })
    }

    /// The tiers to read, and the time from which on the store is read.
    fn parts(&self, resolution: Resolution) -> (Vec<TierPart>, TimestampMs) {
        let (mut before, raw_from, finest) = match resolution {
            Resolution::Raw => return (Vec::new(), TimestampMs::MIN),
            Resolution::Auto => (self.gone_before(), TimestampMs::MIN, 0),
            Resolution::UpTo(step_ms) => match self.tiers.iter().rposition(|tier| tier.options.step_ms <= step_ms) {
                Some(index) => {
                    let until = self.tiers[index].fed_until.load(Relaxed);
                    (until.max(self.gone_before()), until, index)
                }
                None => (self.gone_before(), TimestampMs::MIN, 0),
            },
        };
        let part = |tier: &Tier| {
            let part = TierPart { step_ms: tier.options.step_ms, before, db: Arc::clone(&tier.db) };
            before = before.min(tier.db.gone_before());
            part
        };
        (self.tiers.iter().skip(finest).map(part).collect(), raw_from)
    }

    /// Samples before this time may be gone: by age, or by size, with the day that is left of last.
    fn gone_before(&self) -> TimestampMs {
        let retention = self.retention();
        let by_age = self.shared.believed.load(Relaxed).saturating_sub(retention.shortest());
        let data = self.shared.data.read();
        let oldest = data.blocks.iter().map(|b| b.meta().min_time).chain(data.head_times().map(|(min, _)| min)).min();
        let by_size = oldest.map(|t| t.div_euclid(DAY_MS).saturating_add(1).saturating_mul(DAY_MS));
        by_size.map_or(TimestampMs::MAX, |by_size| by_size.max(by_age))
    }
}

/// Lays older samples under the series, both sorted by labels. Says when the newest was that the series did not have.
fn lay_under(series: &mut Vec<Series>, older: Vec<Series>) -> Option<TimestampMs> {
    if older.is_empty() {
        return None;
    }
    let mut newest = None;
    let mut all = Vec::with_capacity(series.len().max(older.len()));
    let mut finer = std::mem::take(series).into_iter().peekable();
    for mut coarse in older {
        while let Some(before) = finer.next_if(|fine| fine.labels < coarse.labels) {
            all.push(before);
        }
        let fine = finer.next_if(|fine| fine.labels == coarse.labels).unwrap_or_default();
        newest = newest.max(newest_of_only(&coarse, &fine));
        let labels = std::mem::take(&mut coarse.labels);
        let mut columns = Columns { floats: coarse.floats, histograms: coarse.histograms };
        overlay(&mut columns, Columns { floats: fine.floats, histograms: fine.histograms });
        all.push(Series { labels, floats: columns.floats, histograms: columns.histograms });
    }
    all.extend(finer);
    *series = all;
    newest
}

/// The time of the newest sample of `coarse` that `fine` does not have.
fn newest_of_only(coarse: &Series, fine: &Series) -> Option<TimestampMs> {
    let has = |t: &TimestampMs| {
        fine.floats.timestamps.binary_search(t).is_ok() || fine.histograms.timestamps.binary_search(t).is_ok()
    };
    let newest = |timestamps: &[TimestampMs]| timestamps.iter().rev().find(|t| !has(t)).copied();
    newest(&coarse.floats.timestamps).max(newest(&coarse.histograms.timestamps))
}
