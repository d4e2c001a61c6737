//! Records into this thread's ring.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::registry::Channel;
use crate::clock;
use crate::ids::Generator;
use crate::ledger::{Count, Counts, Reason, Signal};
use crate::log::{LogHead, encode_log};
use crate::metrics::{Instrument, Label, Series, SeriesCache, Shard};
use crate::pipeline::{Overflow, Pipeline};
use crate::record::fields::{AnyFields, KnownFields, PlainFields};
use crate::record::write::Encoder;
use crate::record::{Header, Level, SpanFixed};
use crate::ring::{NoRoom, Producer};
use crate::span::body::Body;
use crate::span::watch::Begun;
use crate::waker::Waker;

/// One thread's end of a pipeline. [`crate::hub::Hub::with`] lends it to one caller at a time.
pub struct Recorder {
    pipeline: Arc<Pipeline>,
    channel: Option<(Arc<Channel>, Producer)>,
    limits: Limits,
    /// Bytes of the largest record.
    max_record: usize,
    /// Records lost because there was no ring to be had.
    without_ring: u32,
    shard: Arc<Shard>,
    series: SeriesCache,
    /// Ids of spans made on this thread.
    pub ids: Generator,
    scratch: Vec<u64>,
    // Boxed: a body moves between a span and this list many times a second.
    #[allow(clippy::vec_box)]
    bodies: Vec<Box<Body>>,
    /// Slots for watched spans.
    watched: Vec<u32>,
}

/// What bounds a log line, as of a generation of the settings.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    epoch: u64,
    max_string: usize,
    max_fields: usize,
}

/// Bytes of a scratch buffer at first.
const FIRST_SCRATCH: usize = 4096;
/// A thread without a ring asks for one after so many lost records.
const RETRY_RING: u32 = 64;
/// Span bodies that a thread keeps for its next spans.
const KEPT_BODIES: usize = 64;

impl Recorder {
    pub(super) fn attach(pipeline: Arc<Pipeline>) -> Self {
        Self {
            channel: pipeline.registry().attach(),
            limits: Limits::default(),
            max_record: pipeline.max_record(),
            without_ring: 0,
            shard: pipeline.metrics().acquire_shard(),
            series: SeriesCache::default(),
            ids: Generator::seeded(),
            scratch: Vec::new(),
            bodies: Vec::new(),
            watched: Vec::new(),
            pipeline,
        }
    }

    /// Takes one of the places for open spans; `false` when none is left.
    #[inline]
    pub(crate) fn open_span(&mut self) -> bool {
        if let Some((channel, _)) = &self.channel {
            let kept = &channel.counts.kept_places;
            if kept.own() > 0 {
                kept.set(kept.own() - 1);
                return true;
            }
        }
        self.pipeline.open_span()
    }

    /// Gives the place of an open span back.
    #[inline]
    pub(crate) fn close_span(&mut self) {
        if let Some((channel, _)) = &self.channel {
            let kept = &channel.counts.kept_places;
            if kept.own() < self.pipeline.kept_places() {
                return kept.set(kept.own() + 1);
            }
        }
        self.pipeline.close_spans(1);
    }

    /// An empty body for a span.
    #[inline]
    pub(crate) fn take_body(&mut self) -> Box<Body> {
        let mut body = self.bodies.pop().unwrap_or_default();
        body.reset(&self.pipeline);
        body
    }

    /// Watches a span; where it stands.
    #[cold]
    #[inline(never)]
    pub(crate) fn watch(&mut self, span: &Begun<'_>) -> u32 {
        self.pipeline.watch().begin(&mut self.watched, span)
    }

    /// Watches a span no more; when it was found late, if it was.
    pub(crate) fn unwatch(&mut self, slot: u32) -> Option<u64> {
        self.pipeline.watch().end(&mut self.watched, slot)
    }

    /// Takes back the body of a span that has ended.
    #[inline]
    pub(crate) fn give_body(&mut self, body: Box<Body>) {
        if self.bodies.len() < KEPT_BODIES && body.is_small() {
            self.bodies.push(body);
        }
    }

    /// The pipeline.
    pub fn pipeline(&self) -> &Arc<Pipeline> {
        &self.pipeline
    }

    /// This thread's metric cells.
    #[inline(always)]
    pub fn shard(&self) -> &Shard {
        &self.shard
    }

    /// Calls `f` with the series of these labels and this thread's cells.
    #[inline]
    pub fn with_series(
        &mut self,
        instrument: &Arc<Instrument>,
        labels: &[Label<'_>],
        f: impl FnOnce(&Series, &Shard),
    ) {
        f(self.series.series(instrument, labels), &self.shard);
    }

    /// Counts one log call below its logger's level.
    #[inline]
    pub fn count_filtered(&self) {
        self.count(|counts| &counts.filtered);
    }

    /// Counts one span that was not sampled.
    #[inline]
    pub fn count_unsampled(&self) {
        self.count(|counts| &counts.unsampled);
    }

    #[inline(always)]
    fn count(&self, pick: impl Fn(&Counts) -> &Count) {
        match &self.channel {
            Some((channel, _)) => pick(&channel.counts).add(1),
            None => pick(self.pipeline.counts_without_ring()).add_shared(1),
        }
    }

    /// Records a log line.
    #[inline(always)]
    pub fn log(&mut self, head: &LogHead<'_>, fields: &(impl KnownFields + ?Sized)) {
        let ticks = clock::now();
        let limits = self.limits();
        if !self.log_plain(ticks, head, fields, limits) {
            self.log_at(ticks, *head, &fields.keep());
        }
    }

    /// What bounds a log line now.
    #[inline(always)]
    pub fn limits(&self) -> Limits {
        let (live, max_string) = (self.pipeline.live(), self.pipeline.max_string());
        Limits { epoch: 0, max_string, max_fields: live.max_fields() as usize }
    }

    /// [`Recorder::limits`] as they were kept in this generation of the settings, if they were.
    #[inline(always)]
    pub fn kept_limits(&self, epoch: u64) -> Option<Limits> {
        (self.limits.epoch == epoch).then_some(self.limits)
    }

    /// Keeps the limits.
    pub fn keep_limits(&mut self) {
        // The generation first: limits that are newer than it are looked up once more.
        let epoch = self.pipeline.live().epoch();
        self.limits = Limits { epoch, ..self.limits() };
    }

    /// Records a log line of the moment `ticks` if it is plain and the ring has room at once; else
    /// nothing happens.
    #[inline(always)]
    pub fn log_plain(
        &mut self,
        ticks: u64,
        head: &LogHead<'_>,
        fields: &(impl PlainFields + ?Sized),
        limits: Limits,
    ) -> bool {
        let Some((channel, producer)) = &mut self.channel else { return false };
        let open = (producer.open() as usize).min(self.max_record);
        let start = producer.cursor();
        let limits = (limits.max_fields, limits.max_string);
        // SAFETY: the open stretch is reserved for this producer, contiguous and aligned.
        let written = unsafe { head.write_plain(start, start.add(open), ticks, fields, limits) };
        let Some(size) = written else { return false };
        channel.counts.recorded(Signal::Logs).add(1);
        channel.publish(producer, Signal::Logs, size as u64);
        true
    }

    /// Records a log line of whose fields nothing is known.
    pub fn log_with_care(&mut self, head: &LogHead<'_>, fields: &dyn AnyFields) {
        self.log_at(clock::now(), *head, fields);
    }

    #[cold]
    #[inline(never)]
    fn log_at(&mut self, ticks: u64, head: LogHead<'_>, fields: &dyn AnyFields) {
        let limit = self.pipeline.live().max_fields();
        self.record_at(ticks, Signal::Logs, head.level, |encoder, ticks| {
            encode_log(encoder, ticks, &head, |encoder| fields.encode(encoder, limit));
        });
    }

    /// Records a span that ends now; `fixed` makes its fixed part, without the size.
    #[inline(always)]
    pub(crate) fn span(&mut self, level: Level, body: &Body, fixed: impl Fn(u64) -> SpanFixed) {
        let ticks = clock::now();
        let plain = body.plain().unwrap_or_default();
        let size = size_of::<SpanFixed>() + size_of_val(plain);
        match &mut self.channel {
            Some((channel, producer))
                if !plain.is_empty()
                    && size as u64 <= producer.open()
                    && size <= self.pipeline.max_record() =>
            {
                channel.counts.recorded(Signal::Spans).add(1);
                let mut words = fixed(ticks).words();
                words[0] |= size as u64;
                let to = producer.cursor();
                // SAFETY: the open stretch is reserved for this producer, contiguous and aligned,
                // and has `size` bytes.
                unsafe {
                    to.cast::<[u64; size_of::<SpanFixed>() / 8]>().write(words);
                    copy_words(plain, to.add(size_of::<SpanFixed>()).cast());
                }
                channel.publish(producer, Signal::Spans, size as u64);
            }
            _ => self.span_with_care(ticks, level, body, &fixed),
        }
    }

    #[cold]
    #[inline(never)]
    fn span_with_care(
        &mut self,
        ticks: u64,
        level: Level,
        body: &Body,
        fixed: &dyn Fn(u64) -> SpanFixed,
    ) {
        self.record_at(ticks, Signal::Spans, level, |encoder, ticks| {
            body.encode(encoder, &fixed(ticks));
        });
    }

    /// Records what `encode` writes: a whole record whose header's size is filled in here. It may
    /// run twice (first into the ring, then into a scratch buffer when the ring has no open
    /// stretch that is long enough).
    #[inline(always)]
    pub fn record(&mut self, signal: Signal, level: Level, encode: impl Fn(&mut Encoder<'_>, u64)) {
        self.record_at(clock::now(), signal, level, encode);
    }

    #[inline(always)]
    fn record_at(
        &mut self,
        ticks: u64,
        signal: Signal,
        level: Level,
        encode: impl Fn(&mut Encoder<'_>, u64),
    ) {
        let Some((channel, producer)) = &mut self.channel else {
            return self.record_without_ring(signal);
        };
        let (max_record, max_string) = (self.pipeline.max_record(), self.pipeline.max_string());
        channel.counts.recorded(signal).add(1);
        let open = producer.open() as usize;
        let start = producer.cursor();
        // SAFETY: the open stretch is reserved for this producer, contiguous and aligned.
        let mut encoder = unsafe { Encoder::from_raw(start, start.add(open), max_string) };
        // Bytes of the scratch buffer, once the way leads by it.
        let mut detour = 0;
        // A loop, so that `encode` is called in one place and inlined there.
        loop {
            encode(&mut encoder, ticks);
            let whole = encoder.missed() == 0;
            if detour == 0 && whole && encoder.len() <= max_record {
                let size = seal(&mut encoder);
                return channel.publish(producer, signal, size as u64);
            }
            if detour != 0 && (whole || detour >= max_record) {
                let size = seal(&mut encoder);
                let record = &bytemuck::cast_slice(&self.scratch)[..size];
                return publish_copy(&self.pipeline, channel, producer, signal, level, record);
            }
            // The stretch was too short, or the ring is crowded.
            detour = enlarge(&mut self.scratch, detour, max_record);
            encoder = Encoder::new(&mut self.scratch, max_string);
        }
    }

    #[cold]
    fn record_without_ring(&mut self, signal: Signal) {
        self.pipeline.lose(signal, Reason::NoRing);
        self.without_ring = self.without_ring.wrapping_add(1);
        // The limit may have room again; looking takes the registry's lock, so not every time.
        if self.without_ring.is_multiple_of(RETRY_RING) {
            self.channel = self.pipeline.registry().attach();
        }
    }
}

/// Copies a few words, one by one: just written, they may still be in the store buffer, from which
/// wider loads than the stores are not served.
///
/// # Safety
/// `to` is writable for all of them.
#[inline(always)]
unsafe fn copy_words(words: &[u64], to: *mut u64) {
    const FEW: usize = 32;
    if words.len() > FEW {
        // SAFETY: the caller's promise; nobody else has the reserved bytes.
        return unsafe { to.copy_from_nonoverlapping(words.as_ptr(), words.len()) };
    }
    for (at, &word) in words.iter().enumerate() {
        // Volatile: keeps the compiler from making it a call of `memcpy` or wider loads.
        // SAFETY: the caller's promise.
        unsafe { to.add(at).write_volatile(word) };
    }
}

/// Makes the buffer as large as the records of this thread have needed, beginning with more than
/// `before` bytes; how large that is.
#[cold]
#[inline(never)]
fn enlarge(scratch: &mut Vec<u64>, before: usize, max_record: usize) -> usize {
    let wanted = if before == 0 { FIRST_SCRATCH } else { before * 2 };
    let bytes = wanted.max(scratch.len() * 8).min(max_record);
    scratch.resize(bytes / 8, 0);
    bytes
}

/// Publishes a record that was written elsewhere, if there is or comes room for it.
#[cold]
#[inline(never)]
fn publish_copy(
    pipeline: &Pipeline,
    channel: &Channel,
    producer: &mut Producer,
    signal: Signal,
    level: Level,
    record: &[u8],
) {
    if record.len() < size_of::<Header>() {
        return channel.counts.dropped(signal, Reason::TooLarge).add(1);
    }
    match make_room(pipeline, producer, record.len() as u64, level) {
        Ok(()) => {
            // SAFETY: `make_room` reserved as many contiguous bytes at the cursor.
            unsafe { producer.cursor().copy_from_nonoverlapping(record.as_ptr(), record.len()) };
            channel.publish(producer, signal, record.len() as u64);
        }
        Err(NoRoom::Full) => channel.counts.dropped(signal, Reason::RingFull).add(1),
        Err(NoRoom::TooLarge) => channel.counts.dropped(signal, Reason::TooLarge).add(1),
    }
}

fn make_room(
    pipeline: &Pipeline,
    producer: &mut Producer,
    size: u64,
    level: Level,
) -> Result<(), NoRoom> {
    let waker = pipeline.waker();
    let mut room = producer.reserve(size, level >= Level::Warning);
    if producer.crowded() {
        waker.wake();
    }
    if room == Err(NoRoom::Full)
        && let Overflow::Block(limit) = pipeline.overflow()
        && !waker.is_own_thread()
    {
        pipeline.wait(&mut || room = wait_for_room(producer, waker, size, limit));
    }
    room
}

fn wait_for_room(
    producer: &mut Producer,
    waker: &Waker,
    size: u64,
    limit: Duration,
) -> Result<(), NoRoom> {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_micros(20);
    loop {
        let room = producer.reserve(size, true);
        if room != Err(NoRoom::Full) || Instant::now() >= deadline {
            return room;
        }
        // Again and again: one wake can come between the drain's last look and its sleep.
        waker.wake();
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(1));
    }
}

/// Fills in the size, unless not even a header was written.
#[inline(always)]
fn seal(encoder: &mut Encoder<'_>) -> usize {
    let size = encoder.len();
    if size >= size_of::<Header>() {
        encoder.patch(0, &(size as u32));
    }
    size
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if let Some((channel, _)) = &mut self.channel {
            self.pipeline.close_spans(channel.counts.kept_places.own());
            channel.counts.kept_places.set(0);
            channel.exit();
        }
        self.pipeline.metrics().release_shard(self.shard.clone());
        self.pipeline.watch().give(self.watched.drain(..));
    }
}
