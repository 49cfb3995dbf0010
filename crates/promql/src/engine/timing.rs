//! Which time a selector or subquery looks at when it is evaluated at a step.

use sonde_model::TimestampMs;

use crate::ast::{At, Duration, QueryGrid};
use crate::column::Steps;
use crate::error::QueryError;

/// What `@` and `offset` of a selector or subquery come to in a query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// The time that replaces that of the step.
    pub(crate) at: Option<TimestampMs>,
    /// How far back to look, in milliseconds.
    pub(crate) offset: i64,
}

impl Timing {
    /// The time looked at when the step is `time`.
    pub(crate) fn reference(&self, time: TimestampMs) -> TimestampMs {
        self.at.unwrap_or(time).saturating_sub(self.offset)
    }

    /// The first step after `step` that looks at `sample` or a later time; the number of steps where none does.
    pub(crate) fn step_reaching(&self, steps: Steps, step: usize, sample: TimestampMs) -> usize {
        if self.at.is_some() {
            return steps.count;
        }
        let distance = i128::from(sample) + i128::from(self.offset) - i128::from(steps.start);
        let length = i128::from(steps.step);
        let reaching = usize::try_from((distance + length - 1).div_euclid(length)).unwrap_or(steps.count);
        reaching.clamp(step + 1, steps.count.max(step + 1))
    }
}

/// The query that durations and `@ start()` refer to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueryTimes {
    /// The first step.
    pub(crate) start: TimestampMs,
    /// The end of the range as it was asked for.
    pub(crate) end: TimestampMs,
    /// Step and range, both 0 for an instant query.
    pub(crate) grid: QueryGrid,
}

impl QueryTimes {
    /// What `@` and `offset` come to.
    pub(crate) fn timing(&self, at: Option<At>, offset: Option<&Duration>) -> Result<Timing, QueryError> {
        let at = at.map(|at| match at {
            At::Time(time) => time,
            At::Start => self.start,
            At::End => self.end,
        });
        let offset = offset.map_or(Ok(0), |offset| self.resolve(offset))?;
        Ok(Timing { at, offset })
    }

    /// A duration of any sign in milliseconds.
    pub(crate) fn resolve(&self, duration: &Duration) -> Result<i64, QueryError> {
        duration.resolve(self.grid).map_err(|error| QueryError::execution(error.to_string()))
    }

    /// A range or a step in milliseconds.
    pub(crate) fn resolve_positive(&self, duration: &Duration) -> Result<i64, QueryError> {
        duration.resolve_positive(self.grid).map_err(|error| QueryError::execution(error.to_string()))
    }
}

/// The steps from `start` to `end`; none where the end is before the start.
pub(crate) fn steps_between(
    start: TimestampMs,
    end: TimestampMs,
    step: i64,
    limit: usize,
) -> Result<Steps, QueryError> {
    let distance = i128::from(end) - i128::from(start);
    if distance < 0 {
        return Ok(Steps { start, step, count: 0 });
    }
    match usize::try_from(distance / i128::from(step) + 1) {
        Ok(count) if count <= limit.min(u32::MAX as usize) => Ok(Steps { start, step, count }),
        _ => Err(QueryError::execution(format!(
            "the range has more than {limit} steps: use a longer step or a shorter range"
        ))),
    }
}
