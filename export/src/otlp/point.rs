//! What the data points of metrics are made of, in either encoding.

use std::borrow::Cow;

use coati_core::metrics::{
    Bucket, Exemplar, Exponential, HistogramBuckets, HistogramSnapshot, Kind, MetricSnapshot,
    SeriesSnapshot, Value,
};

use crate::config::DEFAULT_BOUNDS;

/// Most exponential buckets a side, as the specification has it.
const MOST_BUCKETS: usize = 160;

/// What all points of one export have in common.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// Since when sums count, in nanoseconds since the epoch.
    pub start: u64,
    /// Since when counters and histograms count: `start`, or the last export.
    pub since: u64,
    /// When they were read.
    pub now: u64,
    /// Exemplars from then on have not been exported yet.
    pub fresh: u64,
    /// Whether counters and histograms tell what came since the last export.
    pub delta: bool,
    /// Whether exponential histograms go out with the specification's explicit bounds.
    pub explicit: bool,
}

/// `AggregationTemporality`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Temporality {
    /// What came since the last export.
    Delta = 1,
    /// Everything since the start.
    Cumulative = 2,
}

impl Frame {
    /// What a metric of this kind tells. What goes up and down is never a delta.
    pub fn temporality(&self, kind: Kind) -> Temporality {
        match kind {
            Kind::Counter | Kind::Histogram if self.delta => Temporality::Delta,
            _ => Temporality::Cumulative,
        }
    }

    /// Where its points begin; 0 for a gauge, which has no beginning.
    pub fn start(&self, kind: Kind) -> u64 {
        match (kind, self.temporality(kind)) {
            (Kind::Gauge, _) => 0,
            (_, Temporality::Delta) => self.since,
            (_, Temporality::Cumulative) => self.start,
        }
    }

    /// The exemplars of a series that go out now.
    pub fn exemplars<'a>(
        &self,
        series: &'a SeriesSnapshot,
    ) -> impl Iterator<Item = &'a Exemplar> + use<'a> {
        let fresh = self.fresh;
        series.exemplars.iter().filter(move |exemplar| exemplar.time >= fresh)
    }

    /// The series of `metric` that have something to tell.
    pub fn series<'a>(
        &self,
        metric: &'a MetricSnapshot,
    ) -> impl Iterator<Item = &'a SeriesSnapshot> {
        let delta = self.temporality(metric.descriptor.kind) == Temporality::Delta;
        metric.series.iter().filter(move |series| match &series.value {
            Value::Number(number) => !delta || number.as_f64() != 0.0,
            Value::Histogram(histogram) => !delta || histogram.count > 0,
        })
    }
}

/// A histogram's buckets as they are sent.
#[derive(Debug, PartialEq)]
pub enum Shape<'a> {
    /// Between bounds.
    Explicit {
        /// Inclusive upper bounds.
        bounds: &'a [f64],
        /// One more than bounds.
        counts: Cow<'a, [u64]>,
    },
    /// Powers of 2^(2^-scale).
    Exponential {
        /// The scale, the finest at which a side has at most 160 buckets.
        scale: i32,
        /// Zeros.
        zero: u64,
        /// Positive values.
        positive: Side,
        /// Negative values by magnitude.
        negative: Side,
    },
}

/// Buckets without gaps.
#[derive(Debug, PartialEq, Default)]
pub struct Side {
    /// Index of the first one.
    pub offset: i32,
    /// Counts.
    pub counts: Vec<u64>,
}

impl Side {
    fn of(buckets: &[Bucket]) -> Self {
        let (Some(first), Some(last)) = (buckets.first(), buckets.last()) else {
            return Self::default();
        };
        let mut counts = vec![0; (last.index - first.index) as usize + 1];
        for bucket in buckets {
            counts[(bucket.index - first.index) as usize] = bucket.count;
        }
        Self { offset: first.index, counts }
    }
}

impl<'a> Shape<'a> {
    /// How `histogram` is sent.
    pub fn of(histogram: &'a HistogramSnapshot, explicit: bool) -> Self {
        match &histogram.buckets {
            HistogramBuckets::Explicit { bounds, counts } => {
                Self::Explicit { bounds, counts: counts.into() }
            }
            HistogramBuckets::Exponential(exponential) if explicit => Self::Explicit {
                bounds: &DEFAULT_BOUNDS,
                counts: between_default_bounds(exponential).into(),
            },
            HistogramBuckets::Exponential(exponential) => {
                let coarse = exponential.downscale(exponential.scale_within(MOST_BUCKETS));
                Self::Exponential {
                    scale: coarse.scale,
                    zero: coarse.zero,
                    positive: Side::of(&coarse.positive),
                    negative: Side::of(&coarse.negative),
                }
            }
        }
    }
}

/// A bucket counts where its middle lies, so that a value at a bound counts below it.
fn between_default_bounds(exponential: &Exponential) -> Vec<u64> {
    let mut counts = vec![0; DEFAULT_BOUNDS.len() + 1];
    counts[0] = exponential.zero + exponential.negative.iter().map(|b| b.count).sum::<u64>();
    let width = f64::from(-exponential.scale).exp2();
    for bucket in &exponential.positive {
        let middle = ((f64::from(bucket.index) + 0.5) * width).exp2();
        counts[DEFAULT_BOUNDS.partition_point(|bound| *bound < middle)] += bucket.count;
    }
    counts
}

/// Whether the metric's histograms go out as exponential ones.
pub fn is_exponential(metric: &MetricSnapshot, frame: &Frame) -> bool {
    metric.descriptor.bounds().is_none() && !frame.explicit
}
