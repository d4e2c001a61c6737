//! Records into the ring, with nobody draining it while the clock runs.

use std::sync::Arc;

use coati_core::hub::Hub;
use coati_core::log::Logger;
use coati_core::pipeline::{Pipeline, PipelineConfig};
use coati_core::span::{Start, Tracer};
use coati_core::thread::registry::Drains;

use super::{NAME, log, span};
use crate::candidate::{Candidate, Kind};

/// A hub and its pipeline without a drain.
pub struct Alone {
    /// What handles are made from.
    pub hub: Arc<Hub>,
    pipeline: Arc<Pipeline>,
    drains: Drains,
}

impl Default for Alone {
    fn default() -> Self {
        let hub = Hub::new();
        let pipeline = Pipeline::new(PipelineConfig::default(), hub.live().clone());
        hub.install(pipeline.clone());
        Self { hub, pipeline, drains: Drains::default() }
    }
}

impl Alone {
    /// Empties the rings.
    pub fn empty(&mut self) {
        self.each(|_| {});
    }

    /// Empties the rings, showing each record.
    pub fn each(&mut self, mut see: impl FnMut(&[u8])) {
        self.drains.refresh(self.pipeline.registry());
        for drain in self.drains.list() {
            let until = drain.consumer.published();
            while let Some(size) = drain.consumer.peek(until) {
                see(drain.consumer.record(size));
                drain.consumer.advance(size);
            }
            drain.consumer.release();
        }
    }

    /// Records lost so far.
    pub fn dropped(pipeline: &Pipeline) -> u64 {
        let books = pipeline.ledger();
        books.logs.dropped_total() + books.spans.dropped_total()
    }
}

/// A log line of three fields, and a span of four attributes.
pub fn all() -> Vec<Candidate> {
    let log_line = {
        let logger = |hub: &Arc<Hub>| Logger::new(hub.clone(), "bench");
        candidate("rust_log", 4096, logger, log)
    };
    let whole_span = {
        let tracer = |hub: &Arc<Hub>| Tracer::new(hub.clone(), "bench");
        candidate("rust_span", 2048, tracer, |tracer, i| span(tracer, Start::default(), i))
    };
    vec![log_line, whole_span]
}

fn candidate<H: 'static>(
    row: &'static str,
    calls: usize,
    handle: impl FnOnce(&Arc<Hub>) -> H,
    call: impl Fn(&H, usize) + 'static,
) -> Candidate {
    let mut alone = Alone::default();
    let (handle, pipeline) = (handle(&alone.hub), alone.pipeline.clone());
    let work = move |calls| (0..calls).for_each(|i| call(&handle, i));
    Candidate::new(row, Kind::Ours, NAME, calls, work)
        .after(move || alone.empty())
        .dropped(move || Alone::dropped(&pipeline))
}
