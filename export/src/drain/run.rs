//! The thread: rounds of work, naps between them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use coati_core::clock::{self, Timeline};
use coati_core::intern::{self, Id, reserved};
use coati_core::key;
use coati_core::ledger::{Reason, Signal};
use coati_core::log::{LogHead, encode_fields, encode_log, name_id};
use coati_core::pipeline::Pipeline;
use coati_core::record::value::Field;
use coati_core::record::write::Encoder;
use coati_core::record::{Level, flags};
use coati_core::scope;
use coati_core::thread::registry::Drains;

use super::batch::{Batch, NOTICE_LEVEL, Route};
use super::beats::{Beat, Beats};
use super::control::Control;
use super::merge::{Merge, Next, Round};
use crate::health::Health;
use crate::redact::Redactor;
use crate::tail::Policy;

/// How the drain works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The service on every line.
    pub service: String,
    /// How long records wait for older ones of other threads.
    pub window: Duration,
    /// Records handed to the sinks at once.
    pub batch_records: u64,
    /// What tail sampling does, where it is on.
    pub tail: Option<Policy>,
}

/// Bytes of records after which a batch is handed over, however few they are. The fewer the writes,
/// the larger the pieces in which the system keeps the file; but a ring, of a megabyte by default,
/// gets its space back only then.
const BATCH_BYTES: usize = 384 << 10;

/// The longest nap. With the merge window it stays under the 100 ms that a record may take; each one
/// less a second is less work for a machine with nothing to do.
const LONGEST_NAP: Duration = Duration::from_millis(75);
const SHORTEST_NAP: Duration = Duration::from_millis(1);
/// How often the clock is compared, and losses are written into the stream.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// The drain thread's state.
pub struct Drain {
    pipeline: Arc<Pipeline>,
    control: Arc<Control>,
    health: Arc<Health>,
    drains: Drains,
    merge: Merge,
    batch: Batch,
    timeline: Timeline,
    window_ticks: u64,
    window: Duration,
    batch_records: u64,
    nap: Duration,
    housekept: Instant,
    losses: [u64; 3],
    logger: Id,
    beats: Beats,
}

impl Drain {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn spawn(
        pipeline: Arc<Pipeline>,
        control: Arc<Control>,
        health: Arc<Health>,
        settings: Settings,
        redactor: Redactor,
        routes: Vec<Route>,
    ) -> std::io::Result<std::thread::JoinHandle<()>> {
        let mut batch = Batch::new(pipeline.clone(), health.clone(), &settings.service);
        batch.set_routes(redactor, routes);
        std::thread::Builder::new().name("coati-drain".into()).spawn(move || {
            block_signals();
            pipeline.waker().adopt();
            let timeline = Timeline::start();
            let window_ns = settings.window.as_nanos() as f64;
            let window_ticks = (window_ns / timeline.ns_per_tick()) as u64;
            batch.set_tail(settings.tail, &timeline);
            let mut drain = Self {
                pipeline,
                control,
                health,
                drains: Drains::default(),
                merge: Merge::default(),
                batch,
                timeline,
                window_ticks,
                window: settings.window,
                batch_records: settings.batch_records,
                nap: SHORTEST_NAP,
                housekept: Instant::now(),
                losses: [0; 3],
                logger: name_id("coati"),
                beats: Beats::new(),
            };
            while catch_unwind(AssertUnwindSafe(|| drain.run())).is_err() {
                drain.health.restarted();
                drain.batch.give_up();
            }
            let Self { control, drains, batch, .. } = drain;
            // Sinks finish first: a rotated file may still be under compression.
            drop(batch);
            control.end(drains);
        })
    }

    fn run(&mut self) {
        loop {
            let stopping = self.control.stopping();
            self.round(stopping);
            if stopping {
                self.notice_losses();
                self.batch.commit();
                return;
            }
            if self.housekept.elapsed() >= HOUSEKEEPING {
                self.housekept = Instant::now();
                self.timeline.anchor();
                self.notice_losses();
            }
            self.tell_of_open_spans();
            let asked = self.control.gate().pending().is_some() || self.control.stopping();
            if !asked && !self.is_crowded() {
                let limit =
                    if self.merge.has_more() { self.window.min(self.nap) } else { self.nap };
                self.pipeline.waker().sleep(limit.max(SHORTEST_NAP));
            }
        }
    }

    /// Takes everything that rings held at its beginning, and answers the flushes asked before.
    fn round(&mut self, stopping: bool) {
        let request = self.control.gate().pending();
        let now = clock::now();
        self.merge.begin(&mut self.drains, self.pipeline.registry());
        // After the rings' positions are noted: what was recorded after rules were changed is
        // never taken under the old ones.
        if let Some((redactor, routes)) = self.control.take_routes() {
            self.batch.set_routes(redactor, routes);
        }
        if let Some(policy) = self.control.take_tail() {
            self.change_tail(policy);
        }
        let hurry = stopping || request.is_some() || self.is_crowded();
        let horizon = if hurry { u64::MAX } else { now.saturating_sub(self.window_ticks) };
        let mut worked = false;
        loop {
            let round = self.advance(horizon);
            if round == Round::Done {
                self.batch.advance(now.min(horizon));
            }
            worked |= self.batch.bytes() > 0;
            self.commit();
            for drain in self.drains.list() {
                drain.consumer.release();
            }
            if round == Round::Done {
                break;
            }
        }
        self.drains.recycle(self.pipeline.registry());
        if stopping || request.is_some() {
            // Nothing waits behind a flush: what is known has to do.
            self.batch.decide_all();
            self.commit();
            self.batch.sync();
        }
        if let Some(request) = request {
            self.control.gate().complete(request);
            self.control.announce();
        }
        self.nap = if worked { SHORTEST_NAP } else { (self.nap * 2).min(LONGEST_NAP) };
    }

    /// Hands the batch over, and all spans of traces that have been kept.
    fn commit(&mut self) {
        self.batch.release(self.batch_records, BATCH_BYTES, &self.timeline);
        self.batch.commit();
        while self.batch.has_kept() {
            self.batch.release(self.batch_records, BATCH_BYTES, &self.timeline);
            self.batch.commit();
        }
    }

    fn change_tail(&mut self, policy: Option<Policy>) {
        if policy.is_none() {
            self.batch.decide_all();
            self.commit();
        }
        self.batch.set_tail(policy, &self.timeline);
    }

    fn is_crowded(&mut self) -> bool {
        let ring_bytes = self.pipeline.registry().ring_bytes() as u64;
        let half_full = |consumer: &coati_core::ring::Consumer| {
            consumer.published() - consumer.position() > ring_bytes / 2
        };
        self.drains.list().iter().any(|drain| half_full(&drain.consumer))
    }

    /// Fills one batch. A record on which anything panics is counted as lost, and the drain goes
    /// on behind it.
    fn advance(&mut self, horizon: u64) -> Round {
        loop {
            let mut current = 0;
            let (batch, timeline) = (&mut self.batch, &self.timeline);
            let batch_records = self.batch_records;
            let filled = catch_unwind(AssertUnwindSafe(|| {
                self.merge.advance(&mut self.drains, horizon, |index, ticks, record| {
                    current = index;
                    batch.take(record, ticks, timeline);
                    if batch.has_kept() {
                        batch.release(batch_records, BATCH_BYTES, timeline);
                    }
                    // What is kept goes before what comes next.
                    let full = batch.records() >= batch_records
                        || batch.bytes() >= BATCH_BYTES
                        || batch.has_kept();
                    if full { Next::Commit } else { Next::Go }
                })
            }));
            match filled {
                Ok(round) => return round,
                Err(_) => {
                    self.health.restarted();
                    let drain = &mut self.drains.list()[current];
                    let until = drain.consumer.published();
                    if let Some(size) = drain.consumer.peek(until) {
                        self.batch.fail(drain.consumer.record(size));
                    }
                    self.merge.skip(&mut self.drains, current);
                }
            }
        }
    }

    /// Writes log lines for spans that stay open, where that is configured.
    fn tell_of_open_spans(&mut self) {
        let now = clock::now();
        for (beat, open) in self.beats.look(&self.pipeline, &self.timeline, now) {
            let elapsed = now.saturating_sub(open.start) as f64 * self.timeline.ns_per_tick() / 1e9;
            let head = LogHead {
                level: if beat == Beat::Timeout { Level::Warning } else { Level::Info },
                logger: reserved::OPEN_SPANS,
                flags: open.context.log_flags(),
                span: open.context.ids(),
                call_site: None,
                message: beat.name().as_bytes(),
            };
            let parent = open.parent.to_string();
            let fields = [
                (key!("span.name"), (&*open.name).into()),
                (key!("span.kind"), open.kind.name().into()),
                (
                    key!("span.tracer"),
                    intern::text(scope::name(open.tracer.0)).unwrap_or_default().into(),
                ),
                (key!("span.start_unix_ns"), self.timeline.wall_ns(open.start).into()),
                (key!("span.elapsed_s"), elapsed.into()),
                (key!("span.parent_id"), (&*parent).into()),
            ];
            let has_parent = open.parent.is_valid();
            let fields = if has_parent { &fields[..] } else { &fields[..fields.len() - 1] };
            self.say(Signal::Logs, now, &head, fields);
        }
    }

    /// Writes a line into the stream for records lost since the last one.
    fn notice_losses(&mut self) {
        let ledger = self.pipeline.ledger();
        for signal in [Signal::Logs, Signal::Spans] {
            let account = ledger.account(signal);
            // Tail sampling is no loss.
            let lost = account.dropped_total()
                - account.dropped.get(Reason::TailSampled.name()).unwrap_or(&0);
            let before = std::mem::replace(&mut self.losses[signal as usize], lost);
            if lost > before {
                let reasons = account.dropped.keys().copied().collect::<Vec<_>>().join(", ");
                self.notice(signal, lost - before, lost, &reasons);
            }
        }
    }

    fn notice(&mut self, signal: Signal, lost: u64, in_all: u64, reasons: &str) {
        let message = format!("{lost} records dropped");
        let head = LogHead {
            level: NOTICE_LEVEL,
            logger: self.logger,
            flags: flags::INTERNAL,
            span: None,
            call_site: None,
            message: message.as_bytes(),
        };
        let fields = [
            (key!("signal"), signal.name().into()),
            (key!("dropped"), lost.into()),
            (key!("dropped_in_all"), in_all.into()),
            (key!("reasons"), reasons.into()),
        ];
        self.say(Signal::Internal, clock::now(), &head, &fields);
    }

    /// Takes a line of the engine's own, as if it had come from a ring.
    fn say(&mut self, signal: Signal, ticks: u64, head: &LogHead<'_>, fields: &[Field<'_>]) {
        let mut memory = [0u64; 128];
        let mut encoder = Encoder::new(&mut memory, 256);
        encode_log(&mut encoder, ticks, head, |encoder| encode_fields(encoder, fields, 8));
        let size = encoder.len();
        encoder.patch(0, &(size as u32));
        let drained = self.pipeline.drained();
        drained.recorded(signal).add(1);
        drained.published(signal).add(1);
        self.batch.take(&bytemuck::cast_slice(&memory)[..size], ticks, &self.timeline);
        self.batch.commit();
    }
}

/// Signals are for the program's own threads.
#[cfg(unix)]
pub(crate) fn block_signals() {
    // SAFETY: plain calls on a local set.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
    }
}

#[cfg(not(unix))]
pub(crate) fn block_signals() {}
