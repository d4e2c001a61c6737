//! The metrics facade with its Prometheus recorder.

use metrics::{Counter, counter, histogram, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

use crate::candidate::{Candidate, Kind, Unit};
use crate::ours::scrape::{COUNTERS, SERIES, observations};
use crate::workload::{bounds, value, values};

const NAME: &str = "metrics";

fn recorder() -> PrometheusRecorder {
    PrometheusBuilder::new().set_buckets(&bounds()).expect("bounds").build_recorder()
}

/// What every call with labels expands to: keys and values known when it is compiled.
#[inline(always)]
fn labelled() -> Counter {
    counter!(
        "bench.counter",
        "agent" => "planner-7", "model" => "gpt-4o-mini", "ok" => "true", "region" => "eu-west-1"
    )
}

/// All of them.
pub fn all() -> Vec<Candidate> {
    let recorder = recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).expect("the first one");
    let (counter, values) = (labelled(), values());
    let histogram = histogram!("bench.histogram", "agent" => "planner-7");
    vec![
        Candidate::shared("rust_counter", "rust_counter_2t", Kind::Peer, NAME, move |calls| {
            (0..calls).for_each(|_| counter.increment(1));
        }),
        Candidate::shared("rust_histogram", "rust_histogram_2t", Kind::Peer, NAME, move |calls| {
            (0..calls).for_each(|i| histogram.record(value(values, i)));
        })
        .after(move || handle.run_upkeep())
        .note("keeps every value until its upkeep sorts them in"),
        Candidate::new("rust_counter_4labels", Kind::Peer, NAME, 1 << 14, move |calls| {
            (0..calls).for_each(|_| labelled().increment(1));
        })
        .note("labels known when compiled"),
        text("prometheus_10k", &many_counters()),
        text("prometheus_1000h", &many_histograms()).note("24 explicit buckets each"),
    ]
}

fn many_counters() -> PrometheusRecorder {
    let recorder = recorder();
    with_local_recorder(&recorder, || {
        for metric in 0..COUNTERS {
            for i in 0..SERIES {
                let (name, agent) = (format!("agent_metric_{metric}"), format!("agent-{i}"));
                counter!(name, "agent" => agent, "ok" => "true").increment(i as u64 * 37);
            }
        }
    });
    recorder
}

fn many_histograms() -> PrometheusRecorder {
    let recorder = recorder();
    with_local_recorder(&recorder, || {
        for i in 0..SERIES {
            let series =
                histogram!("agent_metric", "agent" => format!("agent-{i}"), "ok" => "true");
            observations().for_each(|value| series.record(value));
        }
    });
    recorder
}

fn text(row: &'static str, recorder: &PrometheusRecorder) -> Candidate {
    let handle = recorder.handle();
    handle.run_upkeep();
    Candidate::new(row, Kind::Peer, NAME, 1, move |calls| {
        (0..calls).for_each(|_| drop(std::hint::black_box(handle.render())));
    })
    .unit(Unit::Milliseconds)
}
