//! The drain's end: encodes what it is given and hands it on in chunks.

use std::sync::Arc;
use std::time::Instant;

use coati_core::ledger::Reason;

use super::compose::{Encoding, Scope};
use super::encoder::{Encoder, place};
use super::exporter::Exporter;
use super::queue::Chunk;
use super::signal::Signal;
use crate::settle::{self, Share};
use crate::sink::{Lost, Routed, Sink};

/// Encodes records for an exporter.
pub struct OtlpSink {
    exporter: Arc<Exporter>,
    lanes: [Lane; 2],
}

/// What has been gathered of one signal since the last commit.
struct Lane {
    signal: Signal,
    encoder: Encoder,
    open: Gathered,
    /// Full chunks.
    ready: Vec<Gathered>,
    owed: Vec<Share>,
}

#[derive(Default)]
struct Gathered {
    scopes: Vec<Scope>,
    records: u64,
    bytes: usize,
}

impl OtlpSink {
    /// A sink before `exporter`. `encodings` are those of spans and of logs.
    pub fn new(exporter: Arc<Exporter>, encodings: [Encoding; 2]) -> Self {
        let lane = |signal, encoding| Lane {
            signal,
            encoder: Encoder::new(encoding),
            open: Gathered::default(),
            ready: Vec::new(),
            owed: Vec::new(),
        };
        let [spans, logs] = encodings;
        Self { exporter, lanes: [lane(Signal::Traces, spans), lane(Signal::Logs, logs)] }
    }
}

impl Gathered {
    /// Where items of the scope called `name` go, whose attributes `attributes` encodes. One that
    /// has just been written to is at hand.
    #[inline]
    fn scope(&mut self, name: u32, attributes: impl FnOnce() -> Vec<u8>) -> &mut Vec<u8> {
        let at = match self.scopes.iter().position(|scope| scope.name == name) {
            Some(at) => at,
            None => {
                let attributes = attributes();
                self.scopes.push(Scope { name, attributes, ..Scope::default() });
                self.scopes.len() - 1
            }
        };
        &mut self.scopes[at].items
    }
}

impl Sink for OtlpSink {
    fn name(&self) -> &str {
        self.exporter.name()
    }

    fn accept(&mut self, record: &mut Routed<'_, '_>) {
        let (signal, scope) = place(&record.record);
        let limits = self.exporter.queue().limits(signal);
        let lane = &mut self.lanes[signal as usize];
        let attributes = || lane.encoder.scope(&record.record);
        let out = lane.open.scope(scope, attributes);
        let before = out.len();
        lane.encoder.record(&record.record, record.ticks, &record.clock, out);
        lane.open.bytes += out.len() - before;
        lane.open.records += 1;
        if lane.open.records >= limits.batch_records || lane.open.bytes >= limits.batch_bytes {
            lane.ready.push(std::mem::take(&mut lane.open));
        }
    }

    fn commit(&mut self) -> Result<(), Lost> {
        Ok(())
    }

    fn settles_later(&self) -> bool {
        true
    }

    fn owe(&mut self, share: Share) {
        let lane = self.lanes.iter_mut().find(|lane| lane.signal.account() == Some(share.signal()));
        if let Some(lane) = lane {
            lane.owed.push(share);
        }
    }

    fn hand_over(&mut self) {
        let (queue, books) = (self.exporter.queue(), self.exporter.books());
        for lane in &mut self.lanes {
            if lane.open.records > 0 {
                lane.ready.push(std::mem::take(&mut lane.open));
            }
            for Gathered { scopes, records, bytes } in lane.ready.drain(..) {
                let shares = settle::take(&mut lane.owed, records);
                let chunk = Chunk { scopes, records, bytes, shares, since: Instant::now() };
                if let Err(chunk) = queue.push(lane.signal, chunk) {
                    books.lose(chunk.shares, chunk.records, Reason::QueueFull);
                }
            }
            // A record on which encoding failed is in no chunk.
            let lost = lane.owed.iter().map(Share::records).sum();
            books.lose(std::mem::take(&mut lane.owed), lost, Reason::Internal);
        }
    }
}
