//! What a scrape costs: snapshot and text, the least and the median of rounds.
//!
//! `cargo run --release -p coati-export --example prometheus_cost`

use coati_core::metrics::{Descriptor, Kind, LabelValue, Store, StoreConfig};
use coati_export::prometheus::encode;
use std::sync::Arc;
use std::time::Instant;

fn filled(kind: Kind, metrics: usize, series: usize) -> Arc<Store> {
    let store = Store::new(StoreConfig::default());
    let shard = store.acquire_shard();
    for metric in 0..metrics {
        let name = format!("agent.metric.{metric}");
        let instrument = store.instrument(Descriptor::new(&name, kind, "ms", "A metric")).unwrap();
        for i in 0..series {
            let agent = format!("agent-{i}");
            let one = [("agent", LabelValue::Str(&agent)), ("ok", LabelValue::Bool(true))];
            let one = instrument.series(&one);
            match kind {
                Kind::Histogram => {
                    (1..200).for_each(|value| one.record(&shard, f64::from(value) * 1.5));
                }
                _ => one.add_int(&shard, i as i64 * 37),
            }
        }
    }
    store.release_shard(shard);
    store
}

fn main() {
    let rows = [("10,000 counters", Kind::Counter, 10), ("1,000 histograms", Kind::Histogram, 1)];
    for (name, kind, metrics) in rows {
        let store = filled(kind, metrics, 1000);
        let mut times = [Vec::new(), Vec::new()];
        let mut out = Vec::new();
        for _ in 0..101 {
            out.clear();
            let start = Instant::now();
            let snapshot = store.snapshot();
            times[0].push(start.elapsed());
            let start = Instant::now();
            encode(&snapshot, &mut out);
            times[1].push(start.elapsed());
        }
        times.iter_mut().for_each(|times| times.sort());
        let [snapshot, text] = times.map(|times| (times[0], times[50]));
        println!("{name}: snapshot {snapshot:?}, text {text:?}, {} bytes", out.len());
    }
}
