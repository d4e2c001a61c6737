//! Counters and histograms, bound and looked up.

use coati_core::hub::Hub;
use coati_core::instrument::Instrument;
use coati_core::metrics::{Descriptor, Kind as Metric, Label, LabelValue};
use coati_core::pipeline::{Pipeline, PipelineConfig};

use super::NAME;
use crate::candidate::{Candidate, Kind};
use crate::workload::{LABEL_KEYS, LABEL_VALUES, value, values};

/// The labels of every series here.
pub fn labels() -> [Label<'static>; 4] {
    std::array::from_fn(|i| match LABEL_VALUES[i] {
        "true" => (LABEL_KEYS[i], LabelValue::Bool(true)),
        text => (LABEL_KEYS[i], LabelValue::Str(text)),
    })
}

/// All of them.
///
/// # Panics
/// If a name is taken, which none is.
pub fn all() -> Vec<Candidate> {
    let hub = Hub::new();
    hub.install(Pipeline::new(PipelineConfig::default(), hub.live().clone()));
    let instrument = |name: &str, kind| {
        let descriptor = Descriptor::new(name, kind, "", "");
        Instrument::new(hub.clone(), descriptor).expect("a free name")
    };
    let counters = instrument("bench.counter", Metric::Counter);
    let (counter, histogram) =
        (counters.bind(&labels()), instrument("bench.histogram", Metric::Histogram));
    let histogram = histogram.bind(&labels());
    let values = values();
    let add = move |calls| (0..calls).for_each(|_| counter.add_int(1));
    let record = move |calls| (0..calls).for_each(|i| histogram.record(value(values, i)));
    let look_up = move |calls| {
        let labels = std::hint::black_box(labels());
        for _ in 0..calls {
            counters.with(std::hint::black_box(&labels), |series, shard| {
                series.add_int(shard, 1);
            });
        }
    };
    vec![
        Candidate::shared("rust_counter", "rust_counter_2t", Kind::Ours, NAME, add),
        Candidate::shared("rust_histogram", "rust_histogram_2t", Kind::Ours, NAME, record),
        Candidate::new("rust_counter_4labels", Kind::Ours, NAME, 1 << 16, look_up),
    ]
}
