//! Reads the metric store at intervals and encodes what it finds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coati_core::log::name_id;
use coati_core::metrics::{Descriptor, Reader, Store, Temporality};
use coati_core::scope;

use super::compose::{Encoding, Scope};
use super::encoder::Encoder;
use super::point::Frame;
use super::queue::{Chunk, Limits};
use crate::producer::{Producer, Seen};
use crate::redact::LabelRules;

/// Turns the store into chunks.
pub struct Collector {
    reader: Reader,
    labels: Arc<LabelRules>,
    producer: Option<Producer>,
    /// What the producer has told, where changes are sent.
    seen: Seen,
    encoder: Encoder,
    frame: Frame,
    interval: Duration,
    due: Instant,
    scope: u32,
}

impl Collector {
    /// Reads `store` every `interval`.
    pub fn new(
        store: Arc<Store>,
        labels: Arc<LabelRules>,
        producer: Option<Producer>,
        encoding: Encoding,
        interval: Duration,
        delta: bool,
        explicit: bool,
    ) -> Self {
        let temporality = if delta { Temporality::Delta } else { Temporality::Cumulative };
        let began = store.began();
        Self {
            reader: Reader::new(store, temporality),
            labels,
            producer,
            seen: Seen::default(),
            encoder: Encoder::new(encoding),
            frame: Frame { start: began, since: began, now: began, fresh: 0, delta, explicit },
            interval,
            due: Instant::now() + interval,
            scope: name_id("coati").0,
        }
    }

    /// When to collect next.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Reads everything now; chunks no larger than a request may be, and how many points.
    pub fn collect(&mut self, limits: &Limits) -> (Vec<Chunk>, u64) {
        self.due = Instant::now() + self.interval;
        // Taken before the read: what is recorded meanwhile may go out twice, but not never.
        let fresh = coati_core::os::realtime_ns();
        let mut metrics = self.reader.read();
        if let Some(produce) = self.producer {
            let mut produced = Vec::new();
            produce(&mut produced);
            if self.frame.delta {
                self.seen.subtract_from(&mut produced);
            }
            metrics.append(&mut produced);
        }
        self.labels.apply(&mut metrics);
        self.frame.now = coati_core::os::realtime_ns();
        let mut chunks = Vec::new();
        let mut scopes: Vec<Scope> = Vec::new();
        let (mut count, mut bytes, mut points) = (0, 0, 0);
        for metric in &metrics {
            let mut items = Vec::new();
            let found = self.encoder.metric(metric, &self.frame, &mut items);
            if found == 0 {
                continue;
            }
            points += found;
            if count > 0 && bytes + items.len() > limits.batch_bytes {
                chunks.push(chunk(std::mem::take(&mut scopes), bytes, count));
                (count, bytes) = (0, 0);
            }
            count += 1;
            bytes += items.len();
            let name = self.scope_of(&metric.descriptor);
            match scopes.iter_mut().find(|one| one.name == name) {
                Some(scope) => scope.items.append(&mut items),
                None => scopes.push(Scope { name, items, ..Scope::default() }),
            }
        }
        if count > 0 {
            chunks.push(chunk(scopes, bytes, count));
        }
        self.frame.since = self.frame.now;
        self.frame.fresh = fresh;
        (chunks, points)
    }

    /// The word of an instrument's scope.
    fn scope_of(&self, descriptor: &Descriptor) -> u32 {
        let Some(of) = &descriptor.scope else { return self.scope };
        scope::word(name_id(&of.name), scope::Scope::new(&of.version, &of.schema_url))
    }
}

fn chunk(scopes: Vec<Scope>, bytes: usize, records: u64) -> Chunk {
    Chunk { bytes, scopes, records, shares: Vec::new(), since: Instant::now() }
}
