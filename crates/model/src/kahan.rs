//! Summation with a running compensation (Neumaier's variant of Kahan's), as Prometheus sums.

/// A sum and what rounding has taken from it so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KahanSum {
    /// The sum as plain addition gives it.
    pub sum: f64,
    /// What is to be added to it at the end.
    pub compensation: f64,
}

impl KahanSum {
    /// A sum that starts with `value`.
    pub fn new(value: f64) -> Self {
        KahanSum { sum: value, compensation: 0.0 }
    }

    /// Adds a value.
    #[inline]
    pub fn add(&mut self, value: f64) {
        let total = self.sum + value;
        if total.is_infinite() {
            self.compensation = 0.0;
        } else if self.sum.abs() >= value.abs() {
            self.compensation += (self.sum - total) + value;
        } else {
            self.compensation += (value - total) + self.sum;
        }
        self.sum = total;
    }

    /// The sum with its compensation.
    pub fn total(self) -> f64 {
        self.sum + self.compensation
    }

    /// Multiplies sum and compensation.
    pub fn scale(&mut self, factor: f64) {
        self.sum *= factor;
        self.compensation *= factor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_values_are_not_lost_beside_large_ones() {
        let mut sum = KahanSum::default();
        [1.0, 1e100, 1.0, -1e100].into_iter().for_each(|v| sum.add(v));
        assert_eq!(sum.total(), 2.0);
        let mut sum = KahanSum::new(f64::INFINITY);
        sum.add(1.0);
        assert_eq!(sum.total(), f64::INFINITY);
    }
}
