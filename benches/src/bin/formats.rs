//! What a scrape costs in each format: ten thousand counters, and a thousand histograms, reading
//! the store included.
//!
//! `formats [rounds]` prints minimum and median of each in milliseconds, and the page's size.

use std::time::Instant;

use coati_core::metrics::{Descriptor, Kind, LabelValue, Store, StoreConfig};
use coati_export::prometheus::Format;

fn filled(kind: Kind, metrics: usize) -> std::sync::Arc<Store> {
    let store = Store::new(StoreConfig::default());
    let shard = store.acquire_shard();
    for metric in 0..metrics {
        let descriptor = Descriptor::new(&format!("agent.metric.{metric}"), kind, "ms", "A metric");
        let instrument = store.instrument(descriptor).expect("a free name");
        for i in 0..1000 {
            let agent = format!("agent-{i}");
            let labels = [("agent", LabelValue::Str(&agent)), ("ok", LabelValue::Bool(true))];
            let series = instrument.series(&labels);
            match kind {
                Kind::Histogram => {
                    (1..200).for_each(|value| series.record(&shard, f64::from(value) * 1.5));
                }
                _ => series.add_int(&shard, i * 37),
            }
        }
    }
    store.release_shard(shard);
    store
}

fn main() {
    let rounds = std::env::args().nth(1).map_or(51, |text| text.parse().expect("a number"));
    let stores = [("10,000 counters", Kind::Counter, 10), ("1,000 histograms", Kind::Histogram, 1)];
    for (what, kind, metrics) in stores {
        let store = filled(kind, metrics);
        let formats = [Format::Text, Format::OpenMetrics, Format::Protobuf];
        let mut times = [const { Vec::new() }; 3];
        let mut lengths = [0; 3];
        for _ in 0..rounds {
            for (at, format) in formats.into_iter().enumerate() {
                let started = Instant::now();
                let mut page = Vec::with_capacity(lengths[at] + lengths[at] / 16);
                format.encode(None, &format.read(&store), &mut page);
                times[at].push(started.elapsed().as_secs_f64() * 1e3);
                lengths[at] = std::hint::black_box(&page).len();
            }
        }
        for (at, format) in formats.into_iter().enumerate() {
            times[at].sort_by(f64::total_cmp);
            let (least, median) = (times[at][0], times[at][rounds / 2]);
            let name = format!("{format:?}");
            println!("{what} {name:12} {least:.2} / {median:.2} ms, {} bytes", lengths[at]);
        }
    }
}
