//! The column of start timestamps of a batch: it comes into being with the first one, so that samples without any cost
//! nothing.

use sonde_model::TimestampMs;

/// Notes the start of the sample that is about to be added behind `samples` others; 0 where it has none.
#[inline]
pub(super) fn push(starts: &mut Vec<TimestampMs>, samples: usize, start: TimestampMs) {
    if start != 0 {
        starts.resize(samples, 0);
        starts.push(start);
    }
}

/// The whole column, of so many samples; empty where none has a start.
pub(super) fn finish(mut starts: Vec<TimestampMs>, samples: usize) -> Vec<TimestampMs> {
    if !starts.is_empty() {
        starts.resize(samples, 0);
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_column_is_as_long_as_the_samples_or_empty() {
        let column = |given: &[TimestampMs]| {
            let mut starts = Vec::new();
            given.iter().enumerate().for_each(|(i, start)| push(&mut starts, i, *start));
            finish(starts, given.len())
        };
        assert!(column(&[0, 0]).is_empty());
        assert_eq!(column(&[0, 7, 0, 0, 8, 0]), [0, 7, 0, 0, 8, 0]);
    }
}
