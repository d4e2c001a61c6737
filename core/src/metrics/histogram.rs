//! A histogram as read: sparse buckets, merging, coarser scales, quantiles.

use super::buckets::{SCALE, lower_end};
use std::sync::Arc;

/// A non-empty exponential bucket: `index` holds (base^index, base^(index+1)].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bucket {
    /// Its index at the scale of the [`Exponential`] it is in.
    pub index: i32,
    /// How many values it holds.
    pub count: u64,
}

/// Exponential buckets, base 2^(2^-scale).
#[derive(Clone, PartialEq, Debug)]
pub struct Exponential {
    /// The scale, -10 to 6.
    pub scale: i32,
    /// Values that are zero.
    pub zero: u64,
    /// Non-empty buckets of positive values, ascending.
    pub positive: Vec<Bucket>,
    /// Non-empty buckets of negative values by magnitude, ascending.
    pub negative: Vec<Bucket>,
}

/// The buckets of a histogram.
#[derive(Clone, PartialEq, Debug)]
pub enum HistogramBuckets {
    /// Exponential.
    Exponential(Exponential),
    /// Between explicit bounds.
    Explicit {
        /// Inclusive upper bounds.
        bounds: Arc<[f64]>,
        /// One more than bounds.
        counts: Vec<u64>,
    },
}

/// A histogram at one moment. `count` is the sum of the buckets; the moments and extremes may lag
/// it by the calls in progress.
#[derive(Clone, PartialEq, Debug)]
pub struct HistogramSnapshot {
    /// How many values.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The sum of their squares.
    pub sum_squares: f64,
    /// The lowest, unless empty.
    pub min: Option<f64>,
    /// The highest, unless empty.
    pub max: Option<f64>,
    /// The counts.
    pub buckets: HistogramBuckets,
}

impl Exponential {
    /// Empty, at the recording scale.
    pub fn new() -> Self {
        Self { scale: SCALE, zero: 0, positive: Vec::new(), negative: Vec::new() }
    }

    fn count(&self) -> u64 {
        let side = |buckets: &[Bucket]| buckets.iter().map(|bucket| bucket.count).sum::<u64>();
        self.zero + side(&self.positive) + side(&self.negative)
    }

    /// The same values at a coarser scale, not below -10; a finer one changes nothing.
    pub fn downscale(&self, scale: i32) -> Self {
        let shift = (self.scale - scale.max(-10)).max(0);
        Self {
            scale: self.scale - shift,
            zero: self.zero,
            positive: coarsen(&self.positive, shift),
            negative: coarsen(&self.negative, shift),
        }
    }

    /// The finest scale at which neither side spans more than `limit` buckets.
    pub fn scale_within(&self, limit: usize) -> i32 {
        let fits = |buckets: &[Bucket], shift: i32| match (buckets.first(), buckets.last()) {
            (Some(first), Some(last)) => {
                ((last.index >> shift) - (first.index >> shift)) < limit as i32
            }
            _ => true,
        };
        (-10..=self.scale)
            .rev()
            .find(|scale| {
                let shift = self.scale - scale;
                fits(&self.positive, shift) && fits(&self.negative, shift)
            })
            .unwrap_or(-10)
    }

    fn merge(&mut self, other: &Self) {
        let scale = self.scale.min(other.scale);
        if self.scale != scale {
            *self = self.downscale(scale);
        }
        let other = &other.downscale(scale);
        self.zero += other.zero;
        self.positive = combine(&self.positive, &other.positive, u64::wrapping_add);
        self.negative = combine(&self.negative, &other.negative, u64::wrapping_add);
    }

    /// Takes away what was there earlier, perhaps at a finer scale.
    fn subtract(&mut self, base: &Self) {
        if base.scale > self.scale {
            return self.subtract(&base.downscale(self.scale));
        }
        self.zero = self.zero.saturating_sub(base.zero);
        self.positive = combine(&self.positive, &base.positive, u64::saturating_sub);
        self.negative = combine(&self.negative, &base.negative, u64::saturating_sub);
    }

    /// Counts of values at most 2^exponent, for ascending exponents.
    fn at_most_powers(&self, exponents: impl Iterator<Item = i32>, mut each: impl FnMut(u64)) {
        let mut total = self.zero + self.negative.iter().map(|bucket| bucket.count).sum::<u64>();
        let mut rest = self.positive.iter().peekable();
        for exponent in exponents {
            // Bucket i lies below 2^e when its upper end does: (i + 1) / 2^scale <= e.
            let end =
                if self.scale >= 0 { exponent << self.scale } else { exponent >> -self.scale };
            while let Some(bucket) = rest.next_if(|bucket| bucket.index < end) {
                total += bucket.count;
            }
            each(total);
        }
    }

    /// The geometric midpoint of the bucket that holds the `rank`-th lowest value, from 1.
    fn at_rank(&self, rank: u64) -> f64 {
        let middle = |bucket: &Bucket| {
            let (low, high) =
                (lower_end(bucket.index, self.scale), lower_end(bucket.index + 1, self.scale));
            // The root of each: the product could leave the doubles.
            low.max(f64::from_bits(1)).sqrt() * high.min(f64::MAX).sqrt()
        };
        let mut seen = 0;
        for bucket in self.negative.iter().rev() {
            seen += bucket.count;
            if seen >= rank {
                return -middle(bucket);
            }
        }
        seen += self.zero;
        if seen >= rank {
            return 0.0;
        }
        for bucket in &self.positive {
            seen += bucket.count;
            if seen >= rank {
                return middle(bucket);
            }
        }
        f64::NAN
    }

    /// The ends between which the lowest and the highest value lie.
    fn ends(&self) -> Option<[(f64, f64); 2]> {
        let of = |bucket: &Bucket| {
            (lower_end(bucket.index, self.scale), lower_end(bucket.index + 1, self.scale))
        };
        let up = |bucket: &Bucket| {
            let (low, high) = of(bucket);
            // The first normal bucket also holds subnormals.
            (if low < f64::MIN_POSITIVE { 0.0 } else { low }, high)
        };
        let down = |bucket: &Bucket| {
            let (low, high) = up(bucket);
            (-high, -low)
        };
        let zero = (self.zero > 0).then_some((0.0, 0.0));
        let lowest = self.negative.last().map(down).or(zero).or(self.positive.first().map(up))?;
        let highest = self.positive.last().map(up).or(zero).or(self.negative.first().map(down))?;
        Some([lowest, highest])
    }
}

impl Default for Exponential {
    fn default() -> Self {
        Self::new()
    }
}

fn coarsen(buckets: &[Bucket], shift: i32) -> Vec<Bucket> {
    let mut coarse: Vec<Bucket> = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        let index = bucket.index >> shift;
        match coarse.last_mut() {
            Some(last) if last.index == index => last.count += bucket.count,
            _ => coarse.push(Bucket { index, count: bucket.count }),
        }
    }
    coarse
}

/// Merges two ascending lists; buckets that come to nothing are left out.
fn combine(a: &[Bucket], b: &[Bucket], with: impl Fn(u64, u64) -> u64) -> Vec<Bucket> {
    let mut out = Vec::with_capacity(a.len().max(b.len()));
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    loop {
        let index = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) => x.index.min(y.index),
            (Some(x), None) => x.index,
            (None, Some(y)) => y.index,
            (None, None) => return out,
        };
        let x = a.next_if(|bucket| bucket.index == index).map_or(0, |bucket| bucket.count);
        let y = b.next_if(|bucket| bucket.index == index).map_or(0, |bucket| bucket.count);
        let count = with(x, y);
        if count > 0 {
            out.push(Bucket { index, count });
        }
    }
}

impl HistogramSnapshot {
    /// Empty, with exponential buckets.
    pub fn exponential() -> Self {
        Self::empty(HistogramBuckets::Exponential(Exponential::new()))
    }

    /// Empty, with explicit ones.
    pub fn explicit(bounds: Arc<[f64]>) -> Self {
        let counts = vec![0; bounds.len() + 1];
        Self::empty(HistogramBuckets::Explicit { bounds, counts })
    }

    fn empty(buckets: HistogramBuckets) -> Self {
        Self { count: 0, sum: 0.0, sum_squares: 0.0, min: None, max: None, buckets }
    }

    /// Adds what `other` holds, as if all had been recorded in one. Explicit buckets with other
    /// bounds cannot be added: false, and nothing changes.
    pub fn merge(&mut self, other: &Self) -> bool {
        match (&mut self.buckets, &other.buckets) {
            (HistogramBuckets::Exponential(a), HistogramBuckets::Exponential(b)) => a.merge(b),
            (
                HistogramBuckets::Explicit { bounds, counts },
                HistogramBuckets::Explicit { bounds: others, counts: more },
            ) if bounds == others => {
                counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
            }
            _ => return false,
        }
        self.count += other.count;
        self.sum += other.sum;
        self.sum_squares += other.sum_squares;
        let either = |a: Option<f64>, b: Option<f64>, pick: fn(f64, f64) -> f64| match (a, b) {
            (Some(a), Some(b)) => Some(pick(a, b)),
            (a, b) => a.or(b),
        };
        self.min = either(self.min, other.min, f64::min);
        self.max = either(self.max, other.max, f64::max);
        true
    }

    /// Takes away what an earlier read of the same series held; leaves count and extremes to
    /// [`HistogramSnapshot::settle`].
    pub(super) fn subtract(&mut self, base: &Self) {
        match (&mut self.buckets, &base.buckets) {
            (HistogramBuckets::Exponential(a), HistogramBuckets::Exponential(b)) => a.subtract(b),
            (
                HistogramBuckets::Explicit { counts, .. },
                HistogramBuckets::Explicit { counts: less, .. },
            ) => counts
                .iter_mut()
                .zip(less)
                .for_each(|(count, less)| *count = count.saturating_sub(*less)),
            _ => {}
        }
        self.sum -= base.sum;
        self.sum_squares -= base.sum_squares;
    }

    /// Counts the buckets and holds `extremes` against them: a call in progress may have
    /// counted and not yet shown its value, or the reverse.
    pub(super) fn settle(&mut self, low: f64, high: f64) {
        self.count = match &self.buckets {
            HistogramBuckets::Exponential(exponential) => exponential.count(),
            HistogramBuckets::Explicit { counts, .. } => counts.iter().sum(),
        };
        let ends = match &self.buckets {
            HistogramBuckets::Exponential(exponential) => exponential.ends(),
            HistogramBuckets::Explicit { bounds, counts } => explicit_ends(bounds, counts),
        };
        let Some([lowest, highest]) = ends else {
            (self.min, self.max) = (None, None);
            return;
        };
        let within = |value: f64, (low, high): (f64, f64)| value.max(low).min(high);
        // An extreme not seen yet is an infinity, of which `within` makes the bucket's end.
        let (mut min, mut max) = (within(low, lowest), within(high, highest));
        if min > max {
            // All is in one bucket, and the only call so far has shown one of its two extremes.
            if low == min { max = min } else { min = max }
        }
        self.min = Some(min).filter(|value| value.is_finite());
        self.max = Some(max).filter(|value| value.is_finite());
    }

    /// The mean; NaN when empty.
    pub fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }

    /// The population standard deviation; NaN when empty or beyond the doubles.
    pub fn stddev(&self) -> f64 {
        let mean = self.mean();
        let variance = self.sum_squares / self.count as f64 - mean * mean;
        if variance.is_nan() { f64::NAN } else { variance.max(0.0).sqrt() }
    }

    /// The value of which a share `q` of all are at most as high; NaN when empty. Exponential:
    /// within 0.6 % of the value at rank ⌈q·count⌉. Explicit: interpolated in its bucket.
    pub fn quantile(&self, q: f64) -> f64 {
        if self.count == 0 || q.is_nan() {
            return f64::NAN;
        }
        let q = q.clamp(0.0, 1.0);
        let (min, max) = (self.min.unwrap_or(f64::NEG_INFINITY), self.max.unwrap_or(f64::INFINITY));
        let ends = [(0.0, self.min), (1.0, self.max)];
        if let Some((_, Some(end))) = ends.into_iter().find(|(at, _)| *at == q) {
            return end;
        }
        let value = match &self.buckets {
            HistogramBuckets::Exponential(exponential) => {
                let rank = (q * self.count as f64).ceil().max(1.0) as u64;
                exponential.at_rank(rank.min(self.count))
            }
            HistogramBuckets::Explicit { bounds, counts } => {
                // Where nothing is known of the ends, as Prometheus has it: the lowest bucket
                // begins at zero, and what lies above the last bound counts as that.
                let (Some(&first), Some(&last)) = (bounds.first(), bounds.last()) else {
                    let known = self.min.zip(self.max).is_some();
                    return if known { min + (max - min) * q } else { f64::NAN };
                };
                let (min, max) = (self.min.unwrap_or(first.min(0.0)), self.max.unwrap_or(last));
                interpolate(bounds, counts, q * self.count as f64, min, max)
            }
        };
        value.max(min).min(max)
    }

    /// Calls `each` with the number of values at most 2^exponent, for ascending exponents. Of
    /// explicit buckets those count whose bound is at most 2^exponent.
    pub fn at_most_powers(&self, exponents: impl Iterator<Item = i32>, mut each: impl FnMut(u64)) {
        match &self.buckets {
            HistogramBuckets::Exponential(exponential) => {
                exponential.at_most_powers(exponents, each);
            }
            HistogramBuckets::Explicit { bounds, counts } => {
                for exponent in exponents {
                    let below =
                        bounds.partition_point(|bound| *bound <= f64::from(exponent).exp2());
                    each(counts[..below].iter().sum());
                }
            }
        }
    }
}

fn explicit_ends(bounds: &[f64], counts: &[u64]) -> Option<[(f64, f64); 2]> {
    let of = |at: usize| {
        let low = at.checked_sub(1).map_or(f64::NEG_INFINITY, |below| bounds[below]);
        (low, bounds.get(at).copied().unwrap_or(f64::INFINITY))
    };
    let first = counts.iter().position(|count| *count > 0)?;
    let last = counts.iter().rposition(|count| *count > 0)?;
    Some([of(first), of(last)])
}

fn interpolate(bounds: &[f64], counts: &[u64], rank: f64, min: f64, max: f64) -> f64 {
    let mut below = 0;
    for (at, &count) in counts.iter().enumerate() {
        if count > 0 && (below + count) as f64 >= rank {
            let low = at.checked_sub(1).map_or(min, |at| bounds[at]).max(min);
            let high = bounds.get(at).copied().unwrap_or(max).min(max);
            return low + (high - low) * ((rank - below as f64) / count as f64);
        }
        below += count;
    }
    max
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The extremes shown when one value has been counted and `low` and `high` were seen of it.
    fn extremes_of_one(low: f64, high: f64) -> (f64, f64) {
        let mut histogram = HistogramSnapshot::explicit(Arc::from([1.0, 2.0]));
        let HistogramBuckets::Explicit { counts, .. } = &mut histogram.buckets else { panic!() };
        counts[1] = 1;
        histogram.settle(low, high);
        (histogram.min.unwrap(), histogram.max.unwrap())
    }

    #[test]
    fn a_call_that_has_shown_one_extreme_leaves_no_minimum_above_the_maximum() {
        assert_eq!(extremes_of_one(1.5, 1.5), (1.5, 1.5));
        assert_eq!(extremes_of_one(1.5, f64::NEG_INFINITY), (1.5, 1.5));
        assert_eq!(extremes_of_one(f64::INFINITY, 1.5), (1.5, 1.5));
        let (min, max) = extremes_of_one(f64::INFINITY, f64::NEG_INFINITY);
        assert!((1.0..=2.0).contains(&min) && min == max);
    }
}
