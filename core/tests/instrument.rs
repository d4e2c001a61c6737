//! Handles over `init`, shutdown and restart.

use std::cell::RefCell;
use std::sync::Arc;

use coati_core::hub::Hub;
use coati_core::instrument::{Bound, Instrument};
use coati_core::metrics::{Descriptor, Kind, LabelValue, Number};
use coati_core::pipeline::{Pipeline, PipelineConfig};

#[test]
fn a_bound_handle_made_before_init_counts_in_each_pipeline_from_zero() {
    let hub = Hub::new();
    let counter = Descriptor::new("runs", Kind::Counter, "1", "");
    let counter = Instrument::new(hub.clone(), counter).unwrap();
    let bound = counter.bind(&[("ok", LabelValue::Bool(true))]);
    bound.add_int(5);
    assert!(bound.series().is_none());
    for expected in [3, 4] {
        hub.install(Pipeline::new(PipelineConfig::default(), hub.live().clone()));
        (0..expected).for_each(|_| bound.add_int(1));
        std::thread::scope(|scope| scope.spawn(|| bound.add_int(1)).join().unwrap());
        assert_eq!(bound.series().unwrap().value(), Number::Int(expected + 1));
        hub.uninstall();
        bound.add_int(1);
    }
}

fn running() -> (Arc<Hub>, Arc<Pipeline>) {
    let hub = Hub::new();
    let pipeline = Pipeline::new(PipelineConfig::default(), hub.live().clone());
    hub.install(pipeline.clone());
    (hub, pipeline)
}

fn bound(hub: &Arc<Hub>, name: &str, kind: Kind) -> Bound {
    Instrument::new(hub.clone(), Descriptor::new(name, kind, "", "")).unwrap().bind(&[])
}

#[test]
fn more_handles_than_a_thread_remembers_all_count() {
    let (hub, pipeline) = running();
    let name = |kind: &str, i: i64| format!("{kind}.{i}");
    let counters: Vec<_> =
        (0..40).map(|i| bound(&hub, &name("counter", i), Kind::UpDownCounter)).collect();
    let histograms: Vec<_> =
        (0..20).map(|i| bound(&hub, &name("histogram", i), Kind::Histogram)).collect();
    let rounds: i64 = if cfg!(miri) { 3 } else { 100 };
    let work = || {
        for round in 0..rounds {
            for (counter, i) in counters.iter().zip(0..) {
                counter.add_int(i - 20);
            }
            for (histogram, i) in histograms.iter().zip(1..) {
                histogram.record(f64::from(i) + round as f64);
            }
        }
    };
    std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
    for (counter, i) in counters.iter().zip(0..) {
        assert_eq!(counter.series().unwrap().value(), Number::Int(2 * rounds * (i - 20)));
    }
    for (histogram, i) in histograms.iter().zip(1..) {
        let stats = histogram.series().unwrap().stats();
        assert_eq!(stats.count, 2 * rounds as u64);
        assert_eq!(stats.sum, (2 * rounds * i + rounds * (rounds - 1)) as f64);
    }
    assert_eq!(pipeline.metrics().ignored(), 0);
}

#[test]
fn what_a_kind_does_not_take_is_ignored_however_often() {
    let (hub, pipeline) = running();
    let (counter, histogram) =
        (bound(&hub, "counter", Kind::Counter), bound(&hub, "histogram", Kind::Histogram));
    for calls in 1..=4 {
        counter.add_int(1);
        counter.add_int(-1);
        counter.record(1.0);
        histogram.record(1.0);
        histogram.record(f64::NAN);
        histogram.add_int(1);
        assert_eq!(counter.series().unwrap().value(), Number::Int(calls));
        assert_eq!(histogram.series().unwrap().stats().count, calls as u64);
        assert_eq!(pipeline.metrics().ignored(), 4 * calls as u64);
    }
}

#[test]
fn a_handle_in_a_dropped_ones_place_has_its_own_series() {
    let (hub, _pipeline) = running();
    for i in 0..20 {
        let counter = Box::new(bound(&hub, &format!("counter.{i}"), Kind::Counter));
        (0..=i).for_each(|_| counter.add_int(1));
        assert_eq!(counter.series().unwrap().value(), Number::Int(i + 1));
    }
}

#[test]
fn what_is_added_after_a_threads_end_is_ignored() {
    struct Late(RefCell<Option<Arc<Bound>>>);
    impl Drop for Late {
        fn drop(&mut self) {
            self.0.take().unwrap().add_int(1);
        }
    }
    thread_local! {
        static BEFORE: Late = const { Late(RefCell::new(None)) };
        static AFTER: Late = const { Late(RefCell::new(None)) };
    }
    let (hub, pipeline) = running();
    let counter = Arc::new(bound(&hub, "counter", Kind::Counter));
    std::thread::scope(|scope| {
        let work = || {
            BEFORE.with(|late| late.0.replace(Some(counter.clone())));
            (0..2).for_each(|_| counter.add_int(1));
            AFTER.with(|late| late.0.replace(Some(counter.clone())));
        };
        scope.spawn(work).join().unwrap();
    });
    // Of the two destructors one runs after the thread's cells have been handed over.
    assert_eq!(counter.series().unwrap().value(), Number::Int(3));
    assert_eq!(pipeline.metrics().ignored(), 1);
}
