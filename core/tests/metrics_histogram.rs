//! Histograms against exact figures.
// Arithmetic; the cells behind it have tests of their own.
#![cfg(not(miri))]

use coati_core::metrics::{
    Descriptor, Exponential, HistogramBuckets, HistogramSnapshot, Kind, Series, Shard, Store,
    StoreConfig, Value,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn series_with(bounds: Option<&[f64]>) -> (Arc<Store>, Arc<Shard>, Arc<Series>) {
    let store = Store::new(StoreConfig::default());
    let mut descriptor = Descriptor::new("h", Kind::Histogram, "ms", "");
    if let Some(bounds) = bounds {
        descriptor = descriptor.with_bounds(bounds);
    }
    let series = store.instrument(descriptor).unwrap().series(&[]);
    let shard = store.acquire_shard();
    (store, shard, series)
}

fn read(store: &Store) -> HistogramSnapshot {
    match store.snapshot().remove(0).series.remove(0).value {
        Value::Histogram(histogram) => *histogram,
        Value::Number(number) => panic!("{number:?}"),
    }
}

fn recorded(values: &[f64]) -> HistogramSnapshot {
    let (store, shard, series) = series_with(None);
    values.iter().for_each(|value| series.record(&shard, *value));
    read(&store)
}

fn exponential(histogram: &HistogramSnapshot) -> &Exponential {
    match &histogram.buckets {
        HistogramBuckets::Exponential(exponential) => exponential,
        other => panic!("{other:?}"),
    }
}

/// Values over thirty decades, of either sign, with zeros and exact powers of two.
fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => (-15.0..15.0f64).prop_map(|decade| 10f64.powf(decade)),
        2 => (-15.0..15.0f64).prop_map(|decade| -(10f64.powf(decade))),
        1 => (-40..40i32).prop_map(|exponent| f64::from(exponent).exp2()),
        1 => Just(0.0),
    ]
}

fn close(a: f64, b: f64, scale: f64) -> bool {
    (a - b).abs() <= scale * 1e-12
}

proptest! {
    #[test]
    fn a_snapshot_by_powers_is_the_whole_one_at_scale_0(
        before in prop::collection::vec(value(), 0..50),
        since in prop::collection::vec((value(), any::<bool>()), 0..200),
    ) {
        let (store, shard, series) = series_with(None);
        let other = store.acquire_shard();
        before.iter().for_each(|value| series.record(&shard, *value));
        store.reset();
        for (value, in_other) in &since {
            series.record(if *in_other { &other } else { &shard }, *value);
        }
        let whole = read(&store);
        let Value::Histogram(powers) = store.snapshot_powers().remove(0).series.remove(0).value
        else { panic!("a histogram") };
        prop_assert_eq!(exponential(&powers), &exponential(&whole).downscale(0));
        prop_assert_eq!(powers.count, since.len() as u64);
        prop_assert_eq!((powers.sum, powers.min, powers.max), (whole.sum, whole.min, whole.max));
    }

    #[test]
    fn quantiles_are_within_the_promise(
        mut values in prop::collection::vec(value(), 1..400),
        q in 0.0..=1.0f64,
    ) {
        let histogram = recorded(&values);
        values.sort_by(f64::total_cmp);
        prop_assert_eq!(histogram.count, values.len() as u64);
        for q in [0.0, 0.5, 0.9, 0.99, 1.0, q] {
            let rank = (q * values.len() as f64).ceil().max(1.0) as usize;
            let exact = values[rank - 1];
            let got = histogram.quantile(q);
            prop_assert!((got - exact).abs() <= 0.006 * exact.abs(), "{}: {} {}", q, got, exact);
        }
        prop_assert_eq!(histogram.min, Some(values[0]));
        prop_assert_eq!(histogram.max, values.last().copied());
        let scale: f64 = values.iter().map(|value| value.abs()).sum();
        prop_assert!(close(histogram.sum, values.iter().sum(), scale));
    }

    #[test]
    fn merge_is_one_pass(
        a in prop::collection::vec(value(), 0..100),
        b in prop::collection::vec(value(), 0..100),
    ) {
        let mut merged = recorded(&a);
        prop_assert!(merged.merge(&recorded(&b)));
        let both: Vec<f64> = a.iter().chain(&b).copied().collect();
        let whole = recorded(&both);
        prop_assert_eq!(&merged.buckets, &whole.buckets);
        prop_assert_eq!((merged.count, merged.min, merged.max), (whole.count, whole.min, whole.max));
        let scale: f64 = both.iter().map(|value| value.abs()).sum();
        prop_assert!(close(merged.sum, whole.sum, scale));
    }

    #[test]
    fn downscale_is_recording_at_that_scale(
        values in prop::collection::vec(value(), 1..100),
        scale in -10..=6i32,
    ) {
        let histogram = recorded(&values);
        let coarse = exponential(&histogram).downscale(scale);
        prop_assert_eq!(coarse.scale, scale);
        // By definition the bucket of v at scale s is ceil(log2(v) * 2^s) - 1. Away from powers of
        // two the computed logarithm is trusted only where it is not next to a boundary.
        let factor = f64::from(scale).exp2();
        let is_exact = |value: f64| value.log2().fract() == 0.0;
        for (side, sign) in [(&coarse.positive, 1.0), (&coarse.negative, -1.0)] {
            let mut expected: BTreeMap<i32, u64> = BTreeMap::new();
            for value in values.iter().map(|value| value * sign).filter(|value| *value > 0.0) {
                let place = value.log2() * factor;
                prop_assume!(is_exact(value) || (place - place.round()).abs() > 1e-9);
                *expected.entry(place.ceil() as i32 - 1).or_default() += 1;
            }
            let found: Vec<_> = side.iter().map(|bucket| (bucket.index, bucket.count)).collect();
            prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
        }
        let zeros = values.iter().filter(|value| **value == 0.0).count() as u64;
        prop_assert_eq!(coarse.zero, zeros);
        let within = exponential(&histogram).downscale(exponential(&histogram).scale_within(160));
        for side in [&within.positive, &within.negative] {
            if let (Some(first), Some(last)) = (side.first(), side.last()) {
                prop_assert!(last.index - first.index < 160);
            }
        }
    }

    #[test]
    fn powers_of_two_are_counted_exactly(values in prop::collection::vec(value(), 0..100)) {
        let mut counts = Vec::new();
        recorded(&values).at_most_powers(-50..50, |count| counts.push(count));
        for (exponent, count) in (-50..50).zip(counts) {
            let end = f64::from(exponent).exp2();
            let exact = values.iter().filter(|value| **value <= end).count() as u64;
            prop_assert_eq!(count, exact, "at most 2^{}", exponent);
        }
    }

    #[test]
    fn explicit_buckets_are_upper_inclusive(
        values in prop::collection::vec(-10..110i32, 0..200),
        bounds in prop::collection::btree_set(0..100i32, 0..60),
    ) {
        let bounds: Vec<f64> = bounds.into_iter().map(f64::from).collect();
        let (store, shard, series) = series_with(Some(&bounds));
        values.iter().for_each(|value| series.record(&shard, f64::from(*value)));
        let histogram = read(&store);
        let HistogramBuckets::Explicit { counts, .. } = &histogram.buckets else { panic!() };
        for (at, count) in counts.iter().enumerate() {
            let low = at.checked_sub(1).map_or(f64::NEG_INFINITY, |at| bounds[at]);
            let high = bounds.get(at).copied().unwrap_or(f64::INFINITY);
            let inside = |value: &&i32| f64::from(**value) > low && f64::from(**value) <= high;
            prop_assert_eq!(*count, values.iter().filter(inside).count() as u64);
        }
        prop_assert_eq!(histogram.count, values.len() as u64);
        prop_assert_eq!(histogram.min, values.iter().min().map(|value| f64::from(*value)));
    }
}

#[test]
fn every_double_has_a_place() {
    let values = [f64::MAX, f64::MIN_POSITIVE, 5e-324, -5e-324, f64::MIN, 0.0, -0.0, 1.0];
    let histogram = recorded(&values);
    assert_eq!(histogram.count, values.len() as u64);
    assert_eq!((histogram.min, histogram.max), (Some(f64::MIN), Some(f64::MAX)));
    assert_eq!(exponential(&histogram).zero, 2);
    assert_eq!(histogram.quantile(0.5), 0.0);
    assert_eq!(recorded(&[5e-324]).min, Some(5e-324));
    assert_eq!(exponential(&histogram).scale_within(160), -4);
}

#[test]
fn what_is_not_finite_stays_out() {
    let (store, shard, series) = series_with(None);
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 2.0] {
        series.record(&shard, value);
    }
    assert_eq!(store.ignored(), 3);
    let stats = series.stats();
    assert_eq!((stats.count, stats.sum, stats.min, stats.max), (1, 2.0, 2.0, 2.0));
    assert_eq!((stats.mean, stats.stddev, stats.quantile(0.5)), (2.0, 0.0, 2.0));
}

#[test]
fn an_empty_histogram_has_no_figures() {
    let (_store, _shard, series) = series_with(None);
    let stats = series.stats();
    assert_eq!((stats.count, stats.sum), (0, 0.0));
    for figure in [stats.min, stats.max, stats.mean, stats.stddev, stats.quantile(0.5)] {
        assert!(figure.is_nan());
    }
}

#[test]
fn moments() {
    let (_store, shard, series) = series_with(None);
    [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0].iter().for_each(|value| series.record(&shard, *value));
    let stats = series.stats();
    assert_eq!((stats.mean, stats.stddev), (5.0, 2.0));
}

#[test]
fn explicit_quantiles_interpolate() {
    let (_store, shard, series) = series_with(Some(&[10.0, 20.0, 30.0]));
    (1..=30).for_each(|value| series.record(&shard, f64::from(value)));
    let stats = series.stats();
    assert!((stats.quantile(0.5) - 15.0).abs() < 1e-9);
    assert_eq!((stats.quantile(0.0), stats.quantile(1.0)), (1.0, 30.0));
}
