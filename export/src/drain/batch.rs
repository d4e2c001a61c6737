//! Routes records to sinks and settles each batch in the books.

mod held;

use std::sync::Arc;

use coati_core::clock::Timeline;
use coati_core::ledger::{Reason, Signal};
use coati_core::pipeline::Pipeline;
use coati_core::record::read::Record;
use coati_core::record::{Header, Kind, Level, SpanFixed, flags};
use coati_core::span::Status;

use crate::encode::Clock;
use crate::encode::json::JsonEncoder;
use crate::health::Health;
use crate::redact::Redactor;
use crate::settle::Share;
use crate::sink::{Filter, Lost, Routed, Sink};
use crate::tail::Tail;

/// A sink and what it wants.
pub struct Route {
    /// Which records go there.
    pub filter: Filter,
    /// Where they go.
    pub sink: Box<dyn Sink>,
    /// Whether its last batch failed or had a problem.
    failing: bool,
}

impl Route {
    /// A route to `sink` for what `filter` lets pass.
    pub fn new(filter: Filter, sink: Box<dyn Sink>) -> Self {
        Self { filter, sink, failing: false }
    }
}

/// The router and the batch it is gathering.
pub struct Batch {
    pipeline: Arc<Pipeline>,
    health: Arc<Health>,
    redactor: Redactor,
    routes: Vec<Route>,
    json: JsonEncoder,
    line: Vec<u8>,
    /// Which sinks, one bit each, want records of a signal and level.
    sinks: [[u64; LEVELS]; SIGNALS],
    /// The records in their order: which sinks want how many in a row.
    wanted: Vec<Wanted>,
    /// The bits of sinks that settle later.
    settle_later: u64,
    tail: Option<Box<Tail>>,
    /// How many records that wait were ever made part of the stated capacity.
    held_capacity: u64,
    /// A span on its way out of the tail's memory.
    span: Vec<u64>,
    records: u64,
    bytes: usize,
}

const SIGNALS: usize = Signal::ALL.len();
const LEVELS: usize = Level::ALL.len();

struct Wanted {
    signal: Signal,
    sinks: u64,
    records: u64,
}

impl Batch {
    /// A router without sinks.
    pub fn new(pipeline: Arc<Pipeline>, health: Arc<Health>, service: &str) -> Self {
        Self {
            pipeline,
            health,
            redactor: Redactor::new(None),
            routes: Vec::new(),
            json: JsonEncoder::new(service),
            line: Vec::new(),
            sinks: [[0; LEVELS]; SIGNALS],
            wanted: Vec::new(),
            settle_later: 0,
            tail: None,
            held_capacity: 0,
            span: Vec::new(),
            records: 0,
            bytes: 0,
        }
    }

    /// Replaces rules and sinks. Between two batches only.
    pub fn set_routes(&mut self, redactor: Redactor, routes: Vec<Route>) {
        self.redactor = redactor;
        self.routes = routes;
        for signal in Signal::ALL {
            for level in Level::ALL {
                let routes = self.routes.iter().enumerate();
                let wants = routes.map(|(i, r)| u64::from(r.filter.wants(signal, level)) << i);
                self.sinks[signal as usize][level as usize] = wants.sum();
            }
        }
        let later = self.routes.iter().map(|route| u64::from(route.sink.settles_later()));
        self.settle_later = later.enumerate().map(|(bit, later)| later << bit).sum();
        self.health.set_sinks(self.routes.iter().map(|route| route.sink.name()));
    }

    /// Records gathered since the last commit.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Bytes of records gathered since the last commit.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Decodes, redacts and routes one record.
    #[inline(always)]
    pub fn take(&mut self, bytes: &[u8], ticks: u64, timeline: &Timeline) {
        self.bytes += bytes.len();
        let Some(record) = Record::parse(bytes) else {
            // Nothing tells its signal; the caller counted a log line most likely.
            self.records += 1;
            return self.settle_one(Signal::Logs, Reason::Internal);
        };
        if let Record::Span(span) = &record {
            self.count(span.fixed);
            if self.tail.is_some() && !self.passes_tail(record, bytes, ticks, timeline) {
                return;
            }
        }
        self.route(record, ticks, timeline);
    }

    /// Each span once, as it leaves its ring: not again when tail sampling lets it go.
    #[inline(always)]
    fn count(&self, span: &SpanFixed) {
        let drained = self.pipeline.drained();
        if !span.parent.is_valid() {
            drained.roots.add(1);
        }
        if span.status == Status::Error as u8 {
            drained.errors.add(1);
        }
    }

    #[inline(always)]
    fn route(&mut self, record: Record<'_>, ticks: u64, timeline: &Timeline) {
        self.records += 1;
        let signal = signal_of(&record);
        let sinks = self.sinks[signal as usize][record.level() as usize];
        let redacted = self.redactor.apply(record);
        let (json, line) = (&mut self.json, &mut self.line);
        let alone = sinks.is_power_of_two();
        let mut routed = Routed::new(redacted, ticks, Clock { timeline }, json, line, alone);
        let mut left = sinks;
        while left != 0 {
            self.routes[left.trailing_zeros() as usize].sink.accept(&mut routed);
            left &= left - 1;
        }
        match self.wanted.last_mut() {
            Some(run) if run.signal == signal && run.sinks == sinks => run.records += 1,
            _ => self.wanted.push(Wanted { signal, sinks, records: 1 }),
        }
    }

    /// Counts a record on which `take` failed.
    pub fn fail(&mut self, bytes: &[u8]) {
        let signal = Record::parse(bytes).as_ref().map_or(Signal::Logs, signal_of);
        self.settle_one(signal, Reason::Internal);
    }

    fn settle_one(&self, signal: Signal, reason: Reason) {
        self.drop_all(signal, reason, 1);
    }

    fn drop_all(&self, signal: Signal, reason: Reason, records: u64) {
        self.pipeline.drained().dropped(signal, reason).add(records);
        self.pipeline.drained().taken(signal).add(records);
    }

    /// Hands everything to the sinks and writes the outcome into the books.
    pub fn commit(&mut self) {
        // The bits of sinks that failed, and how many records have arrived there all the same.
        let mut failed: Vec<(u64, u64)> = Vec::new();
        for (bit, route) in self.routes.iter_mut().enumerate() {
            let mask = 1 << bit;
            let records = self.wanted.iter().filter(|w| w.sinks & mask != 0).map(|w| w.records);
            let records: u64 = records.sum();
            if records == 0 {
                continue;
            }
            let outcome = route.sink.commit();
            let arrived =
                outcome.as_ref().map_or_else(|lost| lost.arrived.min(records), |()| records);
            let lost = records - arrived;
            if route.sink.settles_later() {
                continue;
            }
            self.health.sink(route.sink.name(), arrived, lost);
            match outcome {
                Err(Lost { error, .. }) => {
                    failed.push((mask, arrived));
                    route.failing = true;
                    self.health.problem(route.sink.name(), &error.to_string(), lost);
                }
                Ok(()) => match route.sink.problem() {
                    Some(reason) => {
                        route.failing = true;
                        self.health.problem(route.sink.name(), &reason, 0);
                    }
                    None if route.failing => {
                        route.failing = false;
                        self.health.solved(route.sink.name());
                    }
                    None => {}
                },
            }
        }
        let drained = self.pipeline.drained();
        // What sinks that settle later have to learn of: whose bits, of which signal, how many.
        let mut owed: Vec<(u64, Signal, u64)> = Vec::new();
        for Wanted { signal, sinks, records } in self.wanted.drain(..) {
            let mut delivered = records;
            for (_, arrived) in failed.iter_mut().filter(|(mask, _)| sinks & mask != 0) {
                delivered = delivered.min(*arrived);
                *arrived -= records.min(*arrived);
            }
            drained.dropped(signal, Reason::Sink).add(records - delivered);
            let later = sinks & self.settle_later;
            if later == 0 {
                drained.delivered(signal).add(delivered);
                drained.taken(signal).add(records);
                continue;
            }
            drained.taken(signal).add(records - delivered);
            match owed.iter_mut().find(|(bits, of, _)| (*bits, *of) == (later, signal)) {
                Some((.., count)) => *count += delivered,
                None => owed.push((later, signal, delivered)),
            }
        }
        (self.records, self.bytes) = (0, 0);
        self.owe(&owed);
    }

    fn owe(&mut self, owed: &[(u64, Signal, u64)]) {
        for &(bits, signal, records) in owed {
            let share = Share::new(signal, records, bits.count_ones());
            for (bit, route) in self.routes.iter_mut().enumerate() {
                if bits & 1 << bit != 0 {
                    route.sink.owe(share.clone());
                }
            }
        }
        for (bit, route) in self.routes.iter_mut().enumerate() {
            if self.settle_later & 1 << bit != 0 {
                route.sink.hand_over();
            }
        }
    }

    /// Counts the batch as lost: something panicked between its first record and its outcome.
    pub fn give_up(&mut self) {
        let drained = self.pipeline.drained();
        for wanted in self.wanted.drain(..) {
            drained.dropped(wanted.signal, Reason::Internal).add(wanted.records);
            drained.taken(wanted.signal).add(wanted.records);
        }
        (self.records, self.bytes) = (0, 0);
    }

    /// Asks every sink to make its data durable.
    pub fn sync(&mut self) {
        for route in &mut self.routes {
            if let Err(error) = route.sink.sync() {
                // The next batch that succeeds clears it.
                route.failing = true;
                self.health.problem(route.sink.name(), &error.to_string(), 0);
            }
        }
    }
}

/// The signal a record belongs to.
fn signal_of(record: &Record<'_>) -> Signal {
    signal(record.header())
}

/// The signal of a record that begins with `word`.
pub fn signal_of_word(word: u64) -> Option<Signal> {
    // A header is two words; the second is the time.
    Some(signal(&bytemuck::cast([word, 0])))
}

fn signal(header: &Header) -> Signal {
    if header.kind == Kind::Span as u8 {
        Signal::Spans
    } else if header.flags & flags::INTERNAL != 0 {
        Signal::Internal
    } else {
        Signal::Logs
    }
}

/// The level of notices about lost records.
pub const NOTICE_LEVEL: Level = Level::Warning;
