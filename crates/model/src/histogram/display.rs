//! Histograms as text: `{count:10, sum:4.5, (1,2]:3}`, buckets that are empty left out.

use std::fmt;

use super::{Bucket, Histogram};
use crate::go_float::GoFloat;

impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", GoFloat(self.count), GoFloat(self.sum))?;
        let mut negative: Vec<Bucket> = self.negative().collect();
        negative.reverse();
        let zero = std::iter::once(self.zero_bucket());
        for bucket in negative.into_iter().chain(zero).chain(self.positive()).filter(|bucket| bucket.count != 0.0) {
            write!(f, ", {bucket}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) =
            (if self.lower_inclusive { '[' } else { '(' }, if self.upper_inclusive { ']' } else { ')' });
        write!(f, "{open}{},{}{close}:{}", GoFloat(self.lower), GoFloat(self.upper), GoFloat(self.count))
    }
}
