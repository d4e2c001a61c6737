//! The prometheus crate.

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder,
};

use crate::candidate::{Candidate, Kind, Unit};
use crate::ours::scrape::{COUNTERS, SERIES, observations};
use crate::workload::{LABEL_KEYS, LABEL_VALUES, bounds, value, values};

const NAME: &str = "prometheus";

fn histograms(name: &str, labels: &[&str]) -> HistogramVec {
    HistogramVec::new(HistogramOpts::new(name, "A metric").buckets(bounds()), labels)
        .expect("a good name")
}

fn counters(name: &str, labels: &[&str]) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name, "A metric"), labels).expect("a good name")
}

/// All of them.
pub fn all() -> Vec<Candidate> {
    let family = counters("bench_counter", &LABEL_KEYS);
    let counter = family.with_label_values(&LABEL_VALUES);
    let local = counter.local();
    let histogram = histograms("bench_histogram", &LABEL_KEYS).with_label_values(&LABEL_VALUES);
    let local_histogram = histogram.local();
    let values = values();
    let by_hand = "for one thread, seen by nobody until it is flushed by hand";
    vec![
        Candidate::shared("rust_counter", "rust_counter_2t", Kind::Peer, NAME, move |calls| {
            (0..calls).for_each(|_| counter.inc());
        }),
        Candidate::new("rust_counter", Kind::Peer, "prometheus, local", 1 << 16, move |calls| {
            (0..calls).for_each(|_| std::hint::black_box(&local).inc());
            local.flush();
        })
        .note(by_hand),
        Candidate::shared("rust_histogram", "rust_histogram_2t", Kind::Peer, NAME, move |calls| {
            (0..calls).for_each(|i| histogram.observe(value(values, i)));
        })
        .note("24 explicit buckets"),
        Candidate::new("rust_histogram", Kind::Peer, "prometheus, local", 1 << 16, move |calls| {
            (0..calls).for_each(|i| local_histogram.observe(value(values, i)));
            local_histogram.flush();
        })
        .note(by_hand),
        Candidate::new("rust_counter_4labels", Kind::Peer, NAME, 1 << 14, move |calls| {
            for _ in 0..calls {
                family.with_label_values(std::hint::black_box(&LABEL_VALUES)).inc();
            }
        }),
        text("prometheus_10k", many_counters()),
        text("prometheus_1000h", many_histograms()).note("24 explicit buckets each"),
    ]
}

fn many_counters() -> Registry {
    let registry = Registry::new();
    for metric in 0..COUNTERS {
        let family = counters(&format!("agent_metric_{metric}"), &["agent", "ok"]);
        for i in 0..SERIES {
            family.with_label_values(&[&format!("agent-{i}"), "true"]).inc_by(i as u64 * 37);
        }
        registry.register(Box::new(family)).expect("a free name");
    }
    registry
}

fn many_histograms() -> Registry {
    let (registry, family) = (Registry::new(), histograms("agent_metric", &["agent", "ok"]));
    for i in 0..SERIES {
        let series = family.with_label_values(&[&format!("agent-{i}"), "true"]);
        observations().for_each(|value| series.observe(value));
    }
    registry.register(Box::new(family)).expect("a free name");
    registry
}

fn text(row: &'static str, registry: Registry) -> Candidate {
    Candidate::new(row, Kind::Peer, NAME, 1, move |calls| {
        for _ in 0..calls {
            let mut out = Vec::new();
            TextEncoder::new().encode(&registry.gather(), &mut out).expect("a vector takes all");
            std::hint::black_box(out);
        }
    })
    .unit(Unit::Milliseconds)
}
