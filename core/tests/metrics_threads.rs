//! Many threads: exact sums, constant memory, the budget.

use coati_core::metrics::{
    Descriptor, Kind, LabelValue, MetricSnapshot, Number, Reader, Store, StoreConfig, Temporality,
    Value,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

fn descriptor(name: &str, kind: Kind) -> Descriptor {
    Descriptor::new(name, kind, "", "")
}

/// Miri takes a thousand times as long.
const fn unless_miri(many: u32, few: u32) -> u32 {
    if cfg!(miri) { few } else { many }
}

#[test]
fn ten_thousand_short_threads_lose_nothing_and_cost_nothing() {
    const THREADS: u32 = unless_miri(10_000, 40);
    let store = Store::new(StoreConfig::default());
    let counter = store.instrument(descriptor("c", Kind::Counter)).unwrap().series(&[]);
    let histogram = store.instrument(descriptor("h", Kind::Histogram)).unwrap().series(&[]);
    // The at most four shards that are out at once touch every bucket beforehand.
    let shards: Vec<_> = (0..4).map(|_| store.acquire_shard()).collect();
    for shard in &shards {
        counter.add_int(shard, 3);
        (1..=8).for_each(|value| histogram.record(shard, f64::from(value)));
    }
    shards.into_iter().for_each(|shard| store.release_shard(shard));
    let before = store.memory_bytes();
    for first in (0..THREADS).step_by(4) {
        thread::scope(|scope| {
            for i in first..first + 4 {
                let (store, counter, histogram) = (&store, &counter, &histogram);
                scope.spawn(move || {
                    let shard = store.acquire_shard();
                    counter.add_int(&shard, 3);
                    histogram.record(&shard, f64::from(i % 8 + 1));
                    store.release_shard(shard);
                });
            }
        });
    }
    assert_eq!(store.memory_bytes(), before);
    assert_eq!(counter.value(), Number::Int(3 * i64::from(THREADS + 4)));
    let stats = histogram.stats();
    assert_eq!((stats.count, stats.sum), (u64::from(THREADS + 32), 4.5 * f64::from(THREADS + 32)));
}

/// Adds up what a delta reader reports.
#[derive(Default)]
struct Total {
    counted: i64,
    recorded: u64,
}

impl Total {
    fn add(&mut self, metrics: Vec<MetricSnapshot>) {
        for metric in metrics {
            match &metric.series[0].value {
                Value::Number(Number::Int(delta)) => {
                    assert!(*delta >= 0);
                    self.counted += delta;
                }
                Value::Number(number) => panic!("{number:?}"),
                Value::Histogram(delta) => {
                    self.recorded += delta.count;
                    let (Some(min), Some(max)) = (delta.min, delta.max) else {
                        assert_eq!(delta.count, 0);
                        continue;
                    };
                    // A call in progress may show as its bucket's end.
                    assert!(min >= 0.98 && min <= max && max <= 1012.0, "{min} {max}");
                }
            }
        }
    }
}

#[test]
fn readers_see_counts_that_only_grow() {
    const ROUNDS: u32 = unless_miri(20, 2);
    const VALUES: u32 = unless_miri(1000, 40);
    const ALL: u32 = 3 * ROUNDS * VALUES;
    let store = Store::new(StoreConfig::default());
    let counter = store.instrument(descriptor("c", Kind::Counter)).unwrap().series(&[]);
    let histogram = store.instrument(descriptor("h", Kind::Histogram)).unwrap().series(&[]);
    let done = AtomicBool::new(false);
    let mut reader = Reader::new(store.clone(), Temporality::Delta);
    let mut total = Total::default();
    thread::scope(|scope| {
        let write = || {
            for _ in 0..ROUNDS {
                let shard = store.acquire_shard();
                for i in 1..=VALUES {
                    counter.add_int(&shard, 1);
                    histogram.record(&shard, f64::from(i));
                }
                store.release_shard(shard);
            }
        };
        let writers = [scope.spawn(write), scope.spawn(write), scope.spawn(write)];
        scope.spawn(|| {
            let mut last = 0;
            // Acquire pairs with the Release below.
            while !done.load(Ordering::Acquire) {
                let now = histogram.stats().count;
                assert!(now >= last);
                last = now;
            }
        });
        while !writers.iter().all(|writer| writer.is_finished()) {
            total.add(reader.read());
        }
        done.store(true, Ordering::Release);
    });
    total.add(reader.read());
    assert_eq!((total.counted, total.recorded), (i64::from(ALL), u64::from(ALL)));
    let stats = histogram.stats();
    let mean = f64::from(VALUES + 1) / 2.0;
    assert_eq!((stats.min, stats.max), (1.0, f64::from(VALUES)));
    assert_eq!(stats.sum, f64::from(ALL) * mean);
}

#[test]
fn beyond_the_budget_threads_share_cells_exactly() {
    const EACH: u32 = unless_miri(1000, 12);
    let all = f64::from(4 * EACH);
    for shard_bytes in [0, 7_000, 12_000, 20_000, 40_000] {
        let store = Store::new(StoreConfig { shard_bytes, ..StoreConfig::default() });
        let of = |name, kind| store.instrument(descriptor(name, kind)).unwrap();
        let counters = of("c", Kind::Counter);
        let floats = of("f", Kind::UpDownCounter).series(&[]);
        let exponential = of("e", Kind::Histogram).series(&[]);
        let bounds = descriptor("b", Kind::Histogram).with_bounds(&[10.0, 100.0]);
        let explicit = store.instrument(bounds).unwrap().series(&[]);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let shard = store.acquire_shard();
                    for i in 0..EACH as i32 {
                        let label = LabelValue::Int(i64::from(i % 700));
                        counters.series(&[("i", label)]).add_int(&shard, 1);
                        floats.add_float(&shard, 0.5);
                        exponential.record(&shard, f64::from(i - 3));
                        explicit.record(&shard, f64::from(i));
                    }
                    store.release_shard(shard);
                });
            }
        });
        let total: f64 = counters.all().iter().map(|series| series.value().as_f64()).sum();
        assert_eq!(total, all, "{shard_bytes}");
        assert_eq!(floats.value(), Number::Float(all / 2.0));
        let stats = exponential.stats();
        assert_eq!((stats.count, stats.min), (u64::from(4 * EACH), -3.0));
        assert_eq!(stats.max, f64::from(EACH) - 4.0);
        assert_eq!(stats.sum, all * ((f64::from(EACH) - 1.0) / 2.0 - 3.0));
        let Value::Histogram(explicit) = &store.snapshot()[3].series[0].value else { panic!() };
        let mut low = 0;
        explicit.at_most_powers(4..5, |count| low = count);
        assert_eq!((low, explicit.count), (44, u64::from(4 * EACH)));
    }
}

#[test]
fn series_made_by_all_threads_at_once_are_one() {
    let store = Store::new(StoreConfig { max_series: 50, ..StoreConfig::default() });
    let counter = store.instrument(descriptor("c", Kind::Counter)).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let shard = store.acquire_shard();
                for i in 0..100 {
                    counter.series(&[("i", LabelValue::Int(i))]).add_int(&shard, 1);
                }
            });
        }
    });
    assert_eq!(counter.len(), 50);
    let sums: Vec<f64> = counter.all().iter().map(|series| series.value().as_f64()).collect();
    assert_eq!(sums.iter().sum::<f64>(), 400.0);
    assert_eq!(sums.iter().filter(|sum| **sum == 4.0).count(), 49);
}

#[test]
fn a_shard_in_wrong_hands_miscounts_and_stays_sound() {
    let (one, other) = (Store::new(StoreConfig::default()), Store::new(StoreConfig::default()));
    let number = one.instrument(descriptor("c", Kind::Counter)).unwrap().series(&[]);
    let exponential = one.instrument(descriptor("e", Kind::Histogram)).unwrap().series(&[]);
    let bounds = descriptor("h", Kind::Histogram).with_bounds(&[1.0]);
    let explicit = other.instrument(bounds).unwrap().series(&[]);
    let shard = one.acquire_shard();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for i in 0..100 {
                    number.add_int(&shard, 1);
                    exponential.record(&shard, f64::from(i));
                    explicit.record(&shard, f64::from(i));
                }
            });
        }
    });
    assert!((1.0..=200.0).contains(&number.value().as_f64()));
    other.release_shard(shard.clone());
    assert!(!Arc::ptr_eq(&other.acquire_shard(), &shard));
}
