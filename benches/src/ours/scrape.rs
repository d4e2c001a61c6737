//! Prometheus' text, from the series to the last byte.

use std::sync::Arc;

use coati_core::metrics::{Descriptor, Kind as Metric, LabelValue, Store};
use coati_export::Engine;
use serde_json::json;

use super::{NAME, engine};
use crate::candidate::{Candidate, Kind, Unit};

/// Series of each metric.
pub const SERIES: usize = 1000;
/// Metrics that hold 10,000 series.
pub const COUNTERS: usize = 10;

/// 10,000 counters, and 1,000 histograms.
pub fn all() -> Vec<Candidate> {
    vec![
        candidate("prometheus_10k", &filled(Metric::Counter, COUNTERS)),
        candidate("prometheus_1000h", &filled(Metric::Histogram, 1)),
    ]
}

fn candidate(row: &'static str, engine: &Arc<Engine>) -> Candidate {
    let engine = engine.clone();
    let scrape = move |calls| {
        (0..calls).for_each(|_| drop(std::hint::black_box(engine.prometheus_text())));
    };
    Candidate::new(row, Kind::Ours, NAME, 1, scrape).unit(Unit::Milliseconds)
}

fn filled(kind: Metric, metrics: usize) -> Arc<Engine> {
    let engine = engine(json!({"sinks": []}));
    fill(&engine.metrics().expect("a running engine"), kind, metrics);
    engine
}

fn fill(store: &Store, kind: Metric, metrics: usize) {
    let shard = store.acquire_shard();
    for metric in 0..metrics {
        let descriptor = Descriptor::new(&format!("agent.metric.{metric}"), kind, "ms", "A metric");
        let instrument = store.instrument(descriptor).expect("a free name");
        for i in 0..SERIES {
            let agent = format!("agent-{i}");
            let labels = [("agent", LabelValue::Str(&agent)), ("ok", LabelValue::Bool(true))];
            let series = instrument.series(&labels);
            match kind {
                Metric::Histogram => observations().for_each(|value| series.record(&shard, value)),
                _ => series.add_int(&shard, i as i64 * 37),
            }
        }
    }
    store.release_shard(shard);
}

/// What each histogram has seen.
pub fn observations() -> impl Iterator<Item = f64> {
    (1..200).map(|value| f64::from(value) * 1.5)
}
