//! The metric store: readers sum shards while their owners write, come and go.

use std::sync::Arc;

use coati_core::ids::{SpanId, SpanIds, TraceId};
use coati_core::metrics::{
    Buckets, Descriptor, Kind, Number, Reader, Series, Store, StoreConfig, Temporality, Value,
};
use loom::thread;

use crate::explore::{Witness, explore};

fn store(shard_bytes: usize) -> Arc<Store> {
    Store::new(StoreConfig { max_series: 4, shard_bytes, ..StoreConfig::default() })
}

fn counter(store: &Store) -> Arc<Series> {
    store.instrument(Descriptor::new("c", Kind::Counter, "1", "")).unwrap().series(&[])
}

/// A histogram with one bucket: what is checked here is not where a value goes.
fn histogram(store: &Store) -> Arc<Series> {
    let mut descriptor = Descriptor::new("h", Kind::Histogram, "1", "");
    descriptor.buckets = Buckets::Explicit([].into());
    store.instrument(descriptor).unwrap().series(&[])
}

fn value(series: &Series) -> i64 {
    match series.value() {
        Number::Int(value) => value,
        Number::Float(_) => unreachable!("only integers are added"),
    }
}

const PLENTY: usize = 1 << 20;

#[test]
fn metrics_page_is_seen_whole() {
    static NONE: Witness = Witness::new();
    static ONE: Witness = Witness::new();
    explore(25, None, || {
        let store = store(PLENTY);
        let series = counter(&store);
        let shard = store.acquire_shard();
        let reader = thread::spawn({
            let series = series.clone();
            move || value(&series)
        });
        series.add_int(&shard, 1);
        series.add_int(&shard, 1);
        let seen = reader.join().unwrap();
        assert!((0..=2).contains(&seen));
        NONE.note(seen == 0);
        ONE.note(seen == 1);
        assert_eq!(value(&series), 2);
        store.release_shard(shard);
    });
    NONE.require("the reader comes first");
    ONE.require("the reader comes between two adds");
}

#[test]
fn metrics_survive_thread_exit_under_a_reader() {
    static SHARED: Witness = Witness::new();
    static PARTLY: Witness = Witness::new();
    explore(17_000, Some(4), || {
        let store = store(PLENTY);
        let series = counter(&store);
        let threads = [1, 10].map(|amount| {
            let (store, series) = (store.clone(), series.clone());
            thread::spawn(move || {
                let shard = store.acquire_shard();
                series.add_int(&shard, amount);
                series.add_int(&shard, amount);
                store.release_shard(shard);
            })
        });
        let first = value(&series);
        let second = value(&series);
        assert!(0 <= first && first <= second && second <= 22, "{first}, then {second}");
        PARTLY.note(second > 0 && second < 22);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(value(&series), 22);
        // The second thread got the shard that the first one had given back.
        let (one, other) = (store.acquire_shard(), store.acquire_shard());
        let untouched = store.memory_bytes();
        series.add_int(&other, 1);
        SHARED.note(store.memory_bytes() > untouched);
        store.release_shard(one);
        store.release_shard(other);
        assert_eq!(value(&series), 23);
    });
    SHARED.require("one thread goes on in the other's shard");
    PARTLY.require("the reader sees a part");
}

#[test]
fn metrics_beyond_the_budget_lose_nothing() {
    static ONE: Witness = Witness::new();
    explore(2000, None, || {
        let store = store(0);
        let series = counter(&store);
        let untouched = store.memory_bytes();
        let threads = [(); 2].map(|()| {
            let (store, series) = (store.clone(), series.clone());
            thread::spawn(move || {
                let shard = store.acquire_shard();
                series.add_int(&shard, 1);
                store.release_shard(shard);
            })
        });
        ONE.note(value(&series) == 1);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(value(&series), 2);
        assert_eq!(store.memory_bytes(), untouched, "the budget holds");
    });
    ONE.require("the reader sees one of two adds");
}

#[test]
fn metrics_shared_cells_are_made_once() {
    explore(120_000, Some(2), || {
        let store = store(0);
        let series = histogram(&store);
        let other = thread::spawn({
            let (store, series) = (store.clone(), series.clone());
            move || series.record(&store.acquire_shard(), 3.0)
        });
        series.record(&store.acquire_shard(), 4.0);
        other.join().unwrap();
        let stats = series.stats();
        assert_eq!((stats.count, stats.sum), (2, 7.0));
    });
}

/// Lowest and highest value, if any.
type Extremes = Option<(f64, f64)>;

#[test]
fn metrics_extremes_never_mix_eras() {
    static OLD: Witness = Witness::new();
    static NEW: Witness = Witness::new();
    explore(78_000, Some(3), || {
        let store = store(PLENTY);
        let series = histogram(&store);
        let shard = store.acquire_shard();
        series.record(&shard, 5.0);
        let reader = thread::spawn({
            let (store, series) = (store.clone(), series.clone());
            move || {
                store.reset();
                series.stats()
            }
        });
        series.record(&shard, 3.0);
        series.record(&shard, 4.0);
        let stats = reader.join().unwrap();
        assert!(stats.count <= 2);
        let extremes: Extremes = (!stats.min.is_nan()).then_some((stats.min, stats.max));
        // Never 5, which was before the reset.
        assert!(
            [None, Some((3.0, 3.0)), Some((4.0, 4.0)), Some((3.0, 4.0))].contains(&extremes),
            "{extremes:?} of {} values",
            stats.count
        );
        OLD.note(extremes.is_none());
        NEW.note(extremes == Some((3.0, 4.0)));
        store.release_shard(shard);
    });
    OLD.require("the reset comes after both values");
    NEW.require("both values come after the reset");
}

/// Reads what the reader has not seen yet of the only series.
fn delta(reader: &mut Reader) -> (u64, Extremes) {
    match &reader.read()[0].series[0].value {
        Value::Histogram(histogram) => {
            (histogram.count, histogram.min.map(|min| (min, histogram.max.unwrap())))
        }
        Value::Number(_) => unreachable!("it is a histogram"),
    }
}

#[test]
fn metrics_first_delta_sees_extremes_whole() {
    static SEEN: Witness = Witness::new();
    explore(14_000, Some(4), || {
        let store = store(PLENTY);
        let series = histogram(&store);
        let shard = store.acquire_shard();
        let reader = thread::spawn({
            let store = store.clone();
            move || delta(&mut Reader::new(store, Temporality::Delta))
        });
        series.record(&shard, 3.0);
        let (count, extremes) = reader.join().unwrap();
        assert!(count <= 1 && [None, Some((3.0, 3.0))].contains(&extremes), "{extremes:?}");
        SEEN.note(extremes.is_some());
        store.release_shard(shard);
    });
    SEEN.require("the reader sees the value");
}

#[test]
fn metrics_deltas_report_each_value_once() {
    static FIRST: Witness = Witness::new();
    static SECOND: Witness = Witness::new();
    explore(6000, None, || {
        let store = store(PLENTY);
        let series = histogram(&store);
        let shard = store.acquire_shard();
        let mut reader = Reader::new(store.clone(), Temporality::Delta);
        series.record(&shard, 5.0);
        assert_eq!(delta(&mut reader), (1, Some((5.0, 5.0))));
        let reads = thread::spawn(move || (delta(&mut reader), reader));
        series.record(&shard, 3.0);
        let ((first, extremes), mut reader) = reads.join().unwrap();
        let (second, later) = delta(&mut reader);
        assert_eq!(first + second, 1);
        for extremes in [extremes, later] {
            // Never 5, which the first delta reported.
            assert!([None, Some((3.0, 3.0))].contains(&extremes), "{extremes:?}");
        }
        FIRST.note(extremes.is_some());
        SECOND.note(later.is_some());
        store.release_shard(shard);
    });
    FIRST.require("the value is in the racing delta");
    SECOND.require("the value is in the delta after it");
}

fn ids(number: u8) -> SpanIds {
    SpanIds { trace_id: TraceId([number; 16]), span_id: SpanId([number; 8]) }
}

fn offer(series: &Series, number: u8) {
    series.offer(Number::Int(number.into()), Some(ids(number)));
}

/// The value of the counter's exemplar, which must be of one call.
fn exemplar(store: &Store) -> Option<i64> {
    let metrics = store.snapshot();
    let exemplar = metrics[0].series[0].exemplars.first()?;
    let Number::Int(value) = exemplar.value else { panic!("an integer") };
    assert_eq!(exemplar.span, Some(ids(value as u8)), "a mixture");
    Some(value)
}

#[test]
fn metrics_exemplars_are_read_whole() {
    static OLD: Witness = Witness::new();
    static NEW: Witness = Witness::new();
    explore(5_600, Some(3), || {
        let store = store(PLENTY);
        let series = counter(&store);
        // The place is there: what is checked is how it is written.
        offer(&series, 1);
        let writer = thread::spawn({
            let series = series.clone();
            move || offer(&series, 2)
        });
        let seen = exemplar(&store);
        OLD.note(seen == Some(1));
        NEW.note(seen == Some(2));
        writer.join().unwrap();
        assert_eq!(exemplar(&store), Some(2));
    });
    OLD.require("the reader comes first");
    NEW.require("the reader comes last");
}

#[test]
fn metrics_exemplars_of_two_threads_do_not_mix() {
    explore(40, None, || {
        let store = store(PLENTY);
        let series = counter(&store);
        // The place is there: what is checked is who writes it.
        offer(&series, 3);
        let other = thread::spawn({
            let series = series.clone();
            move || offer(&series, 1)
        });
        offer(&series, 2);
        other.join().unwrap();
        assert!(exemplar(&store).is_some());
    });
}
