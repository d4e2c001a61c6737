//! Native histograms: buckets in spans, counts as differences.

use coati_core::metrics::{Bucket, Exponential};

/// Most buckets a side; beyond them the scale is coarser.
const MOST_BUCKETS: usize = 160;
/// Empty buckets that are written out rather than begin a new span.
const SHORT_GAP: i32 = 2;
/// Finest and coarsest schema.
const SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;

/// Values at most so far from zero are in the zero bucket. Ours holds zeros alone; a threshold of
/// zero would look like a classic histogram while it is empty.
pub(super) const ZERO_THRESHOLD: f64 = f64::from_bits(1);

/// The histogram at the finest schema at which neither side spans too many buckets.
pub(super) fn within(exponential: &Exponential) -> Exponential {
    let scale = exponential.scale_within(MOST_BUCKETS);
    exponential.downscale(scale.clamp(*SCHEMAS.start(), *SCHEMAS.end()))
}

/// Buckets next to each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    /// Empty buckets before it; of the first one the index of its first bucket.
    pub offset: i32,
    pub length: u32,
}

/// The spans of a side and, for each bucket in them, by how much it holds more than the one before.
pub(super) fn spans(buckets: &[Bucket]) -> (Vec<Span>, Vec<i64>) {
    let (mut spans, mut deltas): (Vec<Span>, Vec<i64>) = (Vec::new(), Vec::new());
    let (mut next, mut before) = (0, 0);
    for bucket in buckets {
        // OpenTelemetry's bucket i lies above base^i, Prometheus' below it.
        let index = bucket.index + 1;
        let gap = index - next;
        match spans.last_mut() {
            Some(span) if gap <= SHORT_GAP => {
                for _ in 0..gap {
                    deltas.push(-before);
                    before = 0;
                }
                span.length += gap as u32 + 1;
            }
            _ => spans.push(Span { offset: gap, length: 1 }),
        }
        let count = bucket.count as i64;
        deltas.push(count - before);
        (next, before) = (index + 1, count);
    }
    (spans, deltas)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_gaps_are_bridged_and_long_ones_part_spans() {
        let counts = [(-3, 4), (-2, 1), (1, 2), (9, 7), (10, 7)];
        let buckets = counts.map(|(index, count)| Bucket { index, count });
        let (spans, deltas) = spans(&buckets);
        assert_eq!(spans, [Span { offset: -2, length: 5 }, Span { offset: 7, length: 2 }]);
        assert_eq!(deltas, [4, -3, -1, 0, 2, 5, 0]);
        assert_eq!(super::spans(&[]), (Vec::new(), Vec::new()));
    }

    #[test]
    fn the_widest_histogram_fits_the_coarsest_schema() {
        let side: Vec<_> =
            (-1023 * 64..1024 * 64).map(|index| Bucket { index, count: 1 }).collect();
        let all = Exponential { scale: 6, zero: 1, positive: side.clone(), negative: side };
        let fitted = within(&all);
        assert!(SCHEMAS.contains(&fitted.scale) && fitted.positive.len() <= MOST_BUCKETS);
        assert_eq!(fitted.positive.iter().map(|b| b.count).sum::<u64>(), 2047 * 64);
    }
}
