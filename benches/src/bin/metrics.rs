//! Nanoseconds per metric call, and what a series takes.

use coati_benches::min_and_median;
use coati_core::metrics::{
    Descriptor, Kind, LabelValue, Series, SeriesCache, Shard, Store, StoreConfig,
};
use std::cell::RefCell;
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

const ROUNDS: usize = 41;
const CALLS: usize = 1 << 18;

fn main() {
    let store = Store::new(StoreConfig::default());
    let shard = store.acquire_shard();
    let instrument =
        |name: &str, kind| store.instrument(Descriptor::new(name, kind, "", "")).unwrap();
    let labels = [
        ("agent", LabelValue::Str("planner-7")),
        ("model", LabelValue::Str("gpt-4o-mini")),
        ("ok", LabelValue::Bool(true)),
        ("region", LabelValue::Str("eu-west-1")),
    ];
    let counters = instrument("counter", Kind::Counter);
    let (ints, floats) = (counters.series(&labels), counters.series(&labels[..1]));
    let gauge = instrument("gauge", Kind::Gauge).series(&labels);
    let exponential = instrument("exponential", Kind::Histogram).series(&labels);
    let bounds = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];
    let explicit = Descriptor::new("explicit", Kind::Histogram, "", "").with_bounds(&bounds);
    let explicit = store.instrument(explicit).unwrap().series(&labels);

    // Two decades of values in no order, as latencies are.
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let values: Vec<f64> = (0..1024)
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((state >> 40) as f64 / (1u64 << 24) as f64 * 4.6).exp() * 5.0
        })
        .collect();
    let value = |i: usize| values[i & 1023];

    let cache = RefCell::new(SeriesCache::default());

    let rows: [(&str, &dyn Fn()); 8] = [
        ("empty loop over values", &|| (0..CALLS).for_each(|i| _ = black_box(value(i)))),
        ("counter add_int", &|| (0..CALLS).for_each(|_| ints.add_int(&shard, 1))),
        ("counter add_float", &|| (0..CALLS).for_each(|_| floats.add_float(&shard, 0.5))),
        ("gauge set", &|| (0..CALLS).for_each(|i| gauge.set(value(i)))),
        ("histogram, exponential", &|| {
            (0..CALLS).for_each(|i| exponential.record(&shard, value(i)));
        }),
        ("histogram, 10 bounds", &|| {
            (0..CALLS).for_each(|i| explicit.record(&shard, value(i)));
        }),
        ("add, 4 labels, cached", &|| {
            let mut cache = cache.borrow_mut();
            for _ in 0..CALLS {
                cache.series(black_box(&counters), black_box(&labels)).add_int(&shard, 1);
            }
        }),
        ("find, 4 labels", &|| {
            (0..CALLS).for_each(|_| drop(black_box(counters.find(black_box(&labels)))));
        }),
    ];
    let mut times = vec![Vec::with_capacity(ROUNDS); rows.len()];
    for _ in 0..ROUNDS {
        for (times, (_, run)) in times.iter_mut().zip(&rows) {
            let start = Instant::now();
            run();
            times.push(start.elapsed().as_nanos() as f64 / CALLS as f64);
        }
    }
    for (times, (name, _)) in times.into_iter().zip(&rows) {
        let (min, median) = min_and_median(times);
        println!("{name:<32} min {min:7.2} ns  median {median:7.2} ns");
    }

    for threads in [1, 2] {
        let best = (0..9).map(|_| together(&store, threads, &ints, &exponential, &values));
        let (add, record) = best.fold((f64::MAX, f64::MAX), |a, b| (a.0.min(b.0), a.1.min(b.1)));
        println!("{threads} at once, a call of each: add {add:.2}, record {record:.2}");
    }

    let before = store.memory_bytes();
    for metric in 0..5 {
        let many = instrument(&format!("many_{metric}"), Kind::Counter);
        for i in 0..1999 {
            let agent = format!("agent-{i}");
            many.series(&[("agent", LabelValue::Str(&agent))]).add_int(&shard, 1);
        }
    }
    let each = (store.memory_bytes() - before) as f64 / 9995.0;
    let start = Instant::now();
    let snapshot = black_box(store.snapshot());
    println!("10,000 counters: {each:.0} bytes each, snapshot {:?}", start.elapsed());
    drop(snapshot);
}

/// Nanoseconds a call in the slowest of `threads`: an add, a record.
fn together(
    store: &Store,
    threads: usize,
    counter: &Series,
    histogram: &Series,
    values: &[f64],
) -> (f64, f64) {
    let time = |call: &(dyn Fn(&Shard, usize) + Sync)| {
        let gate = Barrier::new(threads);
        let run = || {
            let shard = store.acquire_shard();
            gate.wait();
            let start = Instant::now();
            (0..CALLS * 8).for_each(|i| call(&shard, i));
            let elapsed = start.elapsed();
            store.release_shard(shard);
            elapsed.as_nanos() as f64 / (CALLS * 8) as f64
        };
        thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).fold(0.0, f64::max)
        })
    };
    let add = time(&|shard, _| counter.add_int(shard, 1));
    (add, time(&|shard, i| histogram.record(shard, values[i & 1023])))
}
