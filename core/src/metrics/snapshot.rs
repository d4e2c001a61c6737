//! What a reader is given.

use super::descriptor::{Descriptor, Kind};
use super::exemplar::Exemplar;
use super::histogram::HistogramSnapshot;
use super::label::OwnedLabel;
use std::sync::Arc;

/// A sum or a gauge.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Number {
    /// Exact: nothing but integers were added.
    Int(i64),
    /// A float was added once.
    Float(f64),
}

impl Number {
    /// As a double.
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
        }
    }
}

/// A series' value.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Of a counter, an up-down counter or a gauge.
    Number(Number),
    /// Of a histogram.
    Histogram(Box<HistogramSnapshot>),
}

impl Value {
    /// Adds what another series of the same instrument, of this `kind`, counted; of gauges the
    /// other one's value counts.
    pub fn add(&mut self, more: &Self, kind: Kind) {
        match (self, more) {
            (Self::Number(sum), Self::Number(more)) => {
                *sum = match (kind, *sum, *more) {
                    (Kind::Gauge, _, more) => more,
                    (_, Number::Int(a), Number::Int(b)) => Number::Int(a.wrapping_add(b)),
                    (_, a, b) => Number::Float(a.as_f64() + b.as_f64()),
                };
            }
            (Self::Histogram(sum), Self::Histogram(more)) => {
                sum.merge(more);
            }
            _ => {}
        }
    }
}

/// One series.
#[derive(Clone, PartialEq, Debug)]
pub struct SeriesSnapshot {
    /// Its labels, sorted by key.
    pub labels: Arc<[OwnedLabel]>,
    /// Its value.
    pub value: Value,
    /// A few of the values it is made of, in no order.
    pub exemplars: Vec<Exemplar>,
}

/// One instrument and its series, oldest first.
#[derive(Clone, PartialEq, Debug)]
pub struct MetricSnapshot {
    /// What it is.
    pub descriptor: Arc<Descriptor>,
    /// Its series.
    pub series: Vec<SeriesSnapshot>,
}

/// A histogram's figures. All but `count` and `sum` are NaN when it is empty.
#[derive(Clone, PartialEq, Debug)]
pub struct Stats {
    /// How many values.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
    /// The mean.
    pub mean: f64,
    /// The population standard deviation.
    pub stddev: f64,
    histogram: HistogramSnapshot,
}

impl Stats {
    /// The figures of `histogram`.
    pub fn new(histogram: HistogramSnapshot) -> Self {
        Self {
            count: histogram.count,
            sum: histogram.sum,
            min: histogram.min.unwrap_or(f64::NAN),
            max: histogram.max.unwrap_or(f64::NAN),
            mean: histogram.mean(),
            stddev: histogram.stddev(),
            histogram,
        }
    }

    /// As [`HistogramSnapshot::quantile`].
    pub fn quantile(&self, q: f64) -> f64 {
        self.histogram.quantile(q)
    }
}
