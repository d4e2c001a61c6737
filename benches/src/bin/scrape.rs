//! Microseconds per scrape: snapshot, then text.

use coati_benches::min_and_median;
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

fn micros(since: Instant) -> f64 {
    since.elapsed().as_nanos() as f64 / 1e3
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
            times[0].push(micros(start));
            let start = Instant::now();
            encode(&snapshot, &mut out);
            times[1].push(micros(start));
        }
        let [snapshot, text] = times.map(min_and_median);
        println!(
            "{name:<24} snapshot min {:6.0} µs median {:6.0} µs, text min {:6.0} µs median {:6.0} µs, \
             {} bytes",
            snapshot.0,
            snapshot.1,
            text.0,
            text.1,
            out.len()
        );
    }
}
