//! A reader with baselines of its own.

use super::read::Totals;
use super::snapshot::MetricSnapshot;
use super::store::Store;
use std::collections::HashMap;
use std::sync::Arc;

/// What a read reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Temporality {
    /// Everything since the start or the last [`Store::reset`].
    Cumulative,
    /// Counters and histograms since this reader's last read; the rest as it stands.
    Delta,
}

/// Reads a store again and again. Any number of them may read one store.
pub struct Reader {
    store: Arc<Store>,
    temporality: Temporality,
    id: u64,
    /// What the last delta read found, by series.
    bases: HashMap<u32, Option<Totals>>,
}

impl Reader {
    /// A reader that has read nothing yet: its first delta is everything.
    pub fn new(store: Arc<Store>, temporality: Temporality) -> Self {
        let id = store.next_reader();
        Self { store, temporality, id, bases: HashMap::new() }
    }

    /// Runs the callbacks and reads all metrics.
    pub fn read(&mut self) -> Vec<MetricSnapshot> {
        self.store.collect();
        match self.temporality {
            Temporality::Cumulative => self.store.snapshot(),
            Temporality::Delta => self.store.read(|series, shards| {
                series.read_delta(shards, self.bases.entry(series.id).or_default(), self.id)
            }),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.temporality == Temporality::Delta {
            for instrument in self.store.instruments() {
                instrument.for_each(|series| {
                    if let Some(state) = &series.histogram {
                        state.windows.leave(self.id);
                    }
                });
            }
        }
    }
}
