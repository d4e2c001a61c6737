//! The prometheus-client crate.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::candidate::{Candidate, Kind, Unit};
use crate::ours::scrape::{COUNTERS, SERIES, observations};
use crate::workload::{LABEL_VALUES, bounds, value, values};

const NAME: &str = "prometheus-client";

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    agent: &'static str,
    model: &'static str,
    ok: bool,
    region: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Short {
    agent: String,
    ok: bool,
}

fn histogram() -> Histogram {
    Histogram::new(bounds())
}

/// All of them.
pub fn all() -> Vec<Candidate> {
    let [agent, model, _, region] = LABEL_VALUES;
    let labels = Labels { agent, model, ok: true, region };
    let family = Family::<Labels, Counter>::default();
    let counter = family.get_or_create_owned(&labels);
    let (histogram, values) = (histogram(), values());
    vec![
        Candidate::shared("rust_counter", "rust_counter_2t", Kind::Peer, NAME, move |calls| {
            (0..calls).for_each(|_| _ = counter.inc());
        }),
        Candidate::shared("rust_histogram", "rust_histogram_2t", Kind::Peer, NAME, move |calls| {
            (0..calls).for_each(|i| histogram.observe(value(values, i)));
        })
        .note("24 explicit buckets"),
        Candidate::new("rust_counter_4labels", Kind::Peer, NAME, 1 << 14, move |calls| {
            for _ in 0..calls {
                family.get_or_create(std::hint::black_box(&labels)).inc();
            }
        })
        .note("labels as a typed struct"),
        text("prometheus_10k", many_counters()),
        text("prometheus_1000h", many_histograms()).note("24 explicit buckets each"),
    ]
}

fn short(i: usize) -> Short {
    Short { agent: format!("agent-{i}"), ok: true }
}

fn many_counters() -> Registry {
    let mut registry = Registry::default();
    for metric in 0..COUNTERS {
        let family = Family::<Short, Counter>::default();
        for i in 0..SERIES {
            family.get_or_create(&short(i)).inc_by(i as u64 * 37);
        }
        registry.register(format!("agent_metric_{metric}"), "A metric", family);
    }
    registry
}

fn many_histograms() -> Registry {
    let mut registry = Registry::default();
    let family = Family::<Short, Histogram>::new_with_constructor(histogram);
    for i in 0..SERIES {
        let series = family.get_or_create(&short(i));
        observations().for_each(|value| series.observe(value));
    }
    registry.register("agent_metric", "A metric", family);
    registry
}

fn text(row: &'static str, registry: Registry) -> Candidate {
    Candidate::new(row, Kind::Peer, NAME, 1, move |calls| {
        for _ in 0..calls {
            let mut out = String::new();
            encode(&mut out, &registry).expect("a string takes all");
            std::hint::black_box(out);
        }
    })
    .unit(Unit::Milliseconds)
}
