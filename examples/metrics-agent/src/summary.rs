//! The values of one histogram in one bucket, and what can be said about them.
//!
//! Count, sum, minimum and maximum are exact however many values arrive. Medians and percentiles
//! need the values themselves, of which a bounded number is kept: memory stays bounded when a client
//! sends faster than anyone reads.

use serde::{Deserialize, Serialize};

use crate::defect::Defect;

/// So many values per context and bucket are kept for medians and percentiles.
const SAMPLES_MAX: usize = 10_000;

/// What a histogram is forwarded as; each becomes a series of its own, `name.suffix`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Aggregate {
    /// `.avg`
    Avg,
    /// `.count`
    Count,
    /// `.max`
    Max,
    /// `.median`
    Median,
    /// `.min`
    Min,
    /// `.sum`
    Sum,
    /// `.95percentile`
    P95,
    /// `.99percentile`
    P99,
}

impl Aggregate {
    /// What is appended to the metric's name.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Avg => "avg",
            Self::Count => "count",
            Self::Max => "max",
            Self::Median => "median",
            Self::Min => "min",
            Self::Sum => "sum",
            Self::P95 => "95percentile",
            Self::P99 => "99percentile",
        }
    }
}

/// Values with their weights: one that was sampled at 0.1 stands for ten.
#[derive(Debug, Clone)]
pub struct Summary {
    count: f64,
    sum: f64,
    min: f64,
    max: f64,
    samples: Vec<(f64, f64)>,
}

impl Summary {
    /// No values yet.
    pub fn new() -> Self {
        Self {
            count: 0.0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            samples: Vec::new(),
        }
    }

    /// Adds a value that stands for `weight` values.
    pub fn add(&mut self, value: f64, weight: f64) {
        self.count += weight;
        self.sum += value * weight;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if self.samples.len() < SAMPLES_MAX {
            self.samples.push((value, weight));
        }
    }

    /// One number about the values. At least one must have been added.
    pub fn aggregate(&mut self, aggregate: Aggregate) -> f64 {
        match aggregate {
            Aggregate::Avg => self.sum / self.count,
            Aggregate::Count => self.count,
            Aggregate::Max => self.max,
            Aggregate::Median if Defect::MedianIsAverage.is_on() => self.sum / self.count,
            Aggregate::Median => self.percentile(0.5),
            Aggregate::Min => self.min,
            Aggregate::Sum => self.sum,
            Aggregate::P95 if Defect::PercentileIsMaximum.is_on() => self.max,
            Aggregate::P95 => self.percentile(0.95),
            Aggregate::P99 => self.percentile(0.99),
        }
    }

    /// The smallest value that at least `share` of all values do not exceed.
    fn percentile(&mut self, share: f64) -> f64 {
        self.samples.sort_by(|a, b| a.0.total_cmp(&b.0));
        let rank = share * self.samples.iter().map(|(_, weight)| weight).sum::<f64>();
        let mut seen = 0.0;
        for (value, weight) in &self.samples {
            seen += weight;
            if seen >= rank {
                return *value;
            }
        }
        self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[(f64, f64)], expected: &[(Aggregate, f64)]) {
        let mut summary = Summary::new();
        for (value, weight) in values {
            summary.add(*value, *weight);
        }
        for (aggregate, expected) in expected {
            assert_eq!(summary.aggregate(*aggregate), *expected, "{aggregate:?}");
        }
    }

    #[test]
    fn a_hundred_values() {
        let values: Vec<_> = (1..=100).rev().map(|n| (f64::from(n), 1.0)).collect();
        check(
            &values,
            &[
                (Aggregate::Count, 100.0),
                (Aggregate::Sum, 5050.0),
                (Aggregate::Avg, 50.5),
                (Aggregate::Min, 1.0),
                (Aggregate::Median, 50.0),
                (Aggregate::P95, 95.0),
                (Aggregate::P99, 99.0),
                (Aggregate::Max, 100.0),
            ],
        );
    }

    #[test]
    fn sampled_values_weigh_more() {
        check(
            &[(1.0, 1.0), (10.0, 10.0)],
            &[
                (Aggregate::Count, 11.0),
                (Aggregate::Sum, 101.0),
                (Aggregate::Median, 10.0),
                (Aggregate::Min, 1.0),
            ],
        );
    }

    #[test]
    fn memory_is_bounded_and_the_count_exact() {
        let mut summary = Summary::new();
        for _ in 0..3 * SAMPLES_MAX {
            summary.add(1.0, 1.0);
        }
        assert_eq!(summary.samples.len(), SAMPLES_MAX);
        assert_eq!(summary.aggregate(Aggregate::Count), 3.0 * SAMPLES_MAX as f64);
    }
}
