//! Values that stand for many, with their spans.

use coati_core::hub::Hub;
use coati_core::ids::{SpanId, TraceId};
use coati_core::instrument::Instrument;
use coati_core::live::{ExemplarFilter, exemplars_wanted};
use coati_core::metrics::{Descriptor, Exemplar, Kind, Number, Series, Store, StoreConfig};
use coati_core::pipeline::{Pipeline, PipelineConfig};
use coati_core::record::SpanIds;
use coati_core::span::{SpanContext, Start, Tracer};
use std::sync::Arc;
use std::thread;

fn ids(number: u8) -> SpanIds {
    SpanIds { trace_id: TraceId([number; 16]), span_id: SpanId([number; 8]) }
}

fn store() -> Arc<Store> {
    Store::new(StoreConfig::default())
}

fn series(store: &Store, descriptor: Descriptor) -> Arc<Series> {
    store.instrument(descriptor).unwrap().series(&[])
}

/// The exemplars of the first series of the metric called `name`, by value.
fn exemplars(store: &Store, name: &str) -> Vec<Exemplar> {
    let metrics = store.snapshot();
    let metric = metrics.iter().find(|metric| &*metric.descriptor.name == name).unwrap();
    let mut all = metric.series[0].exemplars.clone();
    all.sort_by(|a, b| a.value.as_f64().total_cmp(&b.value.as_f64()));
    all
}

fn values(store: &Store, name: &str) -> Vec<f64> {
    exemplars(store, name).iter().map(|exemplar| exemplar.value.as_f64()).collect()
}

#[test]
fn each_bucket_keeps_the_first_since_a_read_and_later_ones_now_and_then() {
    let store = store();
    let explicit = Descriptor::new("h", Kind::Histogram, "s", "").with_bounds(&[1.0, 2.0]);
    let histogram = series(&store, explicit);
    for value in [0.5, 0.75, 1.5, 2.0, 7.0] {
        histogram.offer(Number::Float(value), Some(ids(1)));
    }
    assert_eq!(values(&store, "h"), [0.5, 1.5, 7.0]);
    let before = exemplars(&store, "h");
    assert!(before.iter().all(|exemplar| exemplar.span == Some(ids(1)) && exemplar.time > 0));
    // After a read each place takes one again.
    histogram.offer(Number::Float(0.75), Some(ids(2)));
    histogram.offer(Number::Float(0.5), Some(ids(3)));
    assert_eq!(values(&store, "h"), [0.75, 1.5, 7.0]);
    assert_eq!(exemplars(&store, "h")[0].span, Some(ids(2)));
    // And in between one of many.
    histogram.offer(Number::Float(0.1), None);
    for _ in 0..1000 {
        histogram.offer(Number::Float(0.9), None);
    }
    assert_eq!(values(&store, "h")[0], 0.9);
    assert_eq!(exemplars(&store, "h")[0].span, None);
}

#[test]
fn an_exponential_histogram_keeps_one_for_each_power_of_two_and_a_sum_one() {
    let store = store();
    let histogram = series(&store, Descriptor::new("h", Kind::Histogram, "s", ""));
    for value in [-1.0, 0.0, 0.25, 0.26, 0.5, 0.51, 1e12, 1e13] {
        histogram.offer(Number::Float(value), Some(ids(1)));
    }
    // What is at most 2^-13 is one bucket, and so is what is above 2^10.
    assert_eq!(values(&store, "h"), [-1.0, 0.25, 0.26, 0.51, 1e12]);
    let counter = series(&store, Descriptor::new("c", Kind::Counter, "", ""));
    counter.offer(Number::Int(3), Some(ids(4)));
    let kept = exemplars(&store, "c");
    assert_eq!((kept.len(), kept[0].value, kept[0].span), (1, Number::Int(3), Some(ids(4))));
}

#[test]
fn what_is_not_counted_is_no_exemplar() {
    let store = store();
    let histogram = series(&store, Descriptor::new("h", Kind::Histogram, "", ""));
    let counter = series(&store, Descriptor::new("c", Kind::Counter, "", ""));
    let both = series(&store, Descriptor::new("u", Kind::UpDownCounter, "", ""));
    let gauge = series(&store, Descriptor::new("g", Kind::Gauge, "", ""));
    for value in [f64::NAN, f64::INFINITY, -1.0] {
        for one in [&counter, &both, &gauge] {
            one.offer(Number::Float(value), Some(ids(1)));
        }
    }
    histogram.offer(Number::Float(f64::NEG_INFINITY), Some(ids(1)));
    assert!(["h", "c", "g"].iter().all(|name| exemplars(&store, name).is_empty()));
    assert_eq!(values(&store, "u"), [-1.0]);
}

#[test]
fn a_reset_forgets_them_and_a_spent_budget_takes_none() {
    let full = Store::new(StoreConfig { shard_bytes: 0, ..StoreConfig::default() });
    let counter = series(&full, Descriptor::new("c", Kind::Counter, "", ""));
    counter.offer(Number::Int(1), Some(ids(1)));
    assert!(exemplars(&full, "c").is_empty());
    let store = store();
    let counter = series(&store, Descriptor::new("c", Kind::Counter, "", ""));
    let untouched = store.memory_bytes();
    counter.offer(Number::Int(1), Some(ids(1)));
    let used = store.memory_bytes();
    assert!(used > untouched && used - untouched < 16 << 10);
    assert_eq!(values(&store, "c"), [1.0]);
    // The clock may stand still for a moment.
    let offered = coati_core::os::realtime_ns();
    while coati_core::os::realtime_ns() <= offered {
        thread::yield_now();
    }
    store.reset();
    assert!(exemplars(&store, "c").is_empty());
}

#[test]
fn threads_never_make_a_mixture() {
    let rounds = if cfg!(miri) { 20 } else { 20_000 };
    let store = store();
    let counter = series(&store, Descriptor::new("c", Kind::Counter, "", ""));
    thread::scope(|scope| {
        for number in 1..=3u8 {
            let counter = counter.clone();
            scope.spawn(move || {
                for _ in 0..rounds {
                    counter.offer(Number::Int(number.into()), Some(ids(number)));
                }
            });
        }
        for _ in 0..rounds / 10 {
            for exemplar in exemplars(&store, "c") {
                let number = exemplar.value.as_f64() as u8;
                assert_eq!(exemplar.span, Some(ids(number)));
            }
        }
    });
}

#[test]
fn settings_say_which_measurements_are_offered() {
    let hub = Hub::new();
    let pipeline = Pipeline::new(PipelineConfig::default(), hub.live().clone());
    hub.install(pipeline.clone());
    let live = hub.live();
    let histogram = Descriptor::new("h", Kind::Histogram, "", "").with_bounds(&[]);
    let histogram = Instrument::new(hub.clone(), histogram).unwrap().bind(&[]);
    let sampled = |flags| SpanContext {
        trace_id: TraceId([1; 16]),
        span_id: SpanId([2; 8]),
        trace_flags: flags,
        remote: false,
    };
    let kept = || values(pipeline.metrics(), "h");
    live.set_exemplars(ExemplarFilter::TraceBased);
    hub.rest_exemplars();
    assert!(!exemplars_wanted(), "no span is open");
    let mut span = Tracer::new(hub.clone(), "t").start("s", Start::default());
    assert!(exemplars_wanted());
    hub.rest_exemplars();
    assert!(exemplars_wanted(), "one is open");
    histogram.record_in(&sampled(0), 1.0);
    histogram.offer(Number::Float(1.5), None);
    assert_eq!(kept(), [] as [f64; 0]);
    histogram.record_in(&sampled(1), 2.0);
    assert_eq!(kept(), [2.0]);
    span.end(&hub, None);
    assert!(exemplars_wanted());
    for _ in 0..1000 {
        histogram.offer(Number::Float(1.0), None);
    }
    assert!(!exemplars_wanted(), "many measurements in a row were outside any span");
    live.set_exemplars(ExemplarFilter::AlwaysOff);
    let mut span = Tracer::new(hub.clone(), "t").start("s", Start::default());
    assert!(!exemplars_wanted());
    histogram.record_in(&sampled(1), 3.0);
    assert_eq!(kept(), [2.0]);
    live.set_exemplars(ExemplarFilter::AlwaysOn);
    hub.rest_exemplars();
    histogram.offer(Number::Float(4.0), None);
    assert_eq!(kept(), [4.0]);
    assert_eq!(histogram.series().unwrap().stats().count, 3, "what is offered is not counted");
    span.end(&hub, None);
    hub.uninstall();
}
