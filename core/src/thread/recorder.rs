//! Records into this thread's ring.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, compiler_fence};
use std::time::{Duration, Instant};

use super::registry::Channel;
use crate::clock;
use crate::ids::Generator;
use crate::ledger::{Count, Counts, Reason, Signal};
use crate::metrics::{Instrument, Label, Series, SeriesCache, Shard};
use crate::pipeline::{Overflow, Pipeline};
use crate::record::write::Encoder;
use crate::record::{Header, Level};
use crate::ring::{NoRoom, Producer};
use crate::span::body::{Body, parts_budget};
use crate::waker::Waker;

/// One thread's end of a pipeline. Used by its own thread only.
pub struct Recorder {
    pipeline: Arc<Pipeline>,
    channel: UnsafeCell<Option<(Arc<Channel>, Producer)>>,
    /// Set from before the first byte is written until after publication, for signal handlers.
    busy: AtomicBool,
    /// Records lost because there was no ring to be had.
    without_ring: Cell<u32>,
    shard: Arc<Shard>,
    series: RefCell<SeriesCache>,
    /// Ids of spans made on this thread.
    pub ids: Generator,
    scratch: UnsafeCell<Vec<u64>>,
    // Boxed: a body moves between a span and this list many times a second.
    #[allow(clippy::vec_box)]
    bodies: RefCell<Vec<Box<Body>>>,
}

/// Bytes of a scratch buffer at first.
const FIRST_SCRATCH: usize = 4096;
/// A thread without a ring asks for one after so many lost records.
const RETRY_RING: u32 = 64;
/// Span bodies that a thread keeps for its next spans.
const KEPT_BODIES: usize = 64;

impl Recorder {
    pub(super) fn attach(pipeline: Arc<Pipeline>) -> Self {
        let channel = UnsafeCell::new(pipeline.registry().attach());
        let shard = pipeline.metrics().acquire_shard();
        let ids = Generator::seeded();
        Self {
            pipeline,
            channel,
            busy: AtomicBool::new(false),
            without_ring: Cell::new(0),
            shard,
            series: RefCell::default(),
            ids,
            scratch: UnsafeCell::default(),
            bodies: RefCell::default(),
        }
    }

    /// An empty body for a span.
    #[inline]
    pub(crate) fn take_body(&self) -> Box<Body> {
        let kept = self.bodies.try_borrow_mut().ok().and_then(|mut bodies| bodies.pop());
        let mut body = kept.unwrap_or_default();
        let limits = self.pipeline.live().limits();
        let budget = parts_budget(self.pipeline.max_record());
        body.reset(limits, self.pipeline.max_string(), budget);
        body
    }

    /// Takes back the body of a span that has ended.
    #[inline]
    pub(crate) fn give_body(&self, body: Box<Body>) {
        if let Ok(mut bodies) = self.bodies.try_borrow_mut()
            && bodies.len() < KEPT_BODIES
            && body.is_small()
        {
            bodies.push(body);
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
        &self,
        instrument: &Arc<Instrument>,
        labels: &[Label<'_>],
        f: impl FnOnce(&Series, &Shard),
    ) {
        match self.series.try_borrow_mut() {
            Ok(mut cache) => f(cache.series(instrument, labels), &self.shard),
            // A signal handler interrupted a look-up.
            Err(_) => f(&instrument.series(labels), &self.shard),
        }
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
        if !self.busy.load(Ordering::Relaxed) {
            // SAFETY: only this thread uses the recorder, and `busy` tells that no other call is
            // in the middle of it.
            if let Some((channel, _)) = unsafe { &*self.channel.get() } {
                return pick(&channel.counts).add(1);
            }
        }
        pick(self.pipeline.counts_without_ring()).add_shared(1);
    }

    /// Records what `encode` writes: a whole record whose header's size is filled in here. It may
    /// run twice (first into the ring, then into a scratch buffer when the ring has no open
    /// stretch that is long enough) and must run no foreign code.
    #[inline(always)]
    pub fn record(&self, signal: Signal, level: Level, encode: impl Fn(&mut Encoder<'_>, u64)) {
        let ticks = clock::now();
        // Relaxed, with compiler fences: the only other observer is a signal handler on this very
        // thread.
        if self.busy.load(Ordering::Relaxed) {
            return self.pipeline.lose(signal, Reason::Reentrant);
        }
        self.busy.store(true, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        // SAFETY: only this thread uses the recorder, and `busy` keeps nested calls out.
        let channel = unsafe { &mut *self.channel.get() };
        if let Some((channel, producer)) = channel {
            channel.counts.recorded(signal).add(1);
            let open = producer.open() as usize;
            let start = producer.cursor();
            // SAFETY: the open stretch is reserved for this producer, contiguous and aligned.
            let mut encoder =
                unsafe { Encoder::from_raw(start, start.add(open), self.pipeline.max_string()) };
            // Bytes of the scratch buffer, once the way leads by it.
            let mut detour = 0;
            // A loop, so that `encode` is called in one place and inlined there.
            loop {
                encode(&mut encoder, ticks);
                let whole = encoder.missed() == 0;
                if detour == 0 && whole && encoder.len() <= self.pipeline.max_record() {
                    let size = seal(&mut encoder);
                    channel.publish(producer, signal, size as u64);
                    break;
                }
                if detour != 0 && (whole || detour >= self.pipeline.max_record()) {
                    self.publish_scratch(channel, producer, signal, level, encoder);
                    break;
                }
                (encoder, detour) = self.scratch(detour);
            }
        } else {
            self.record_without_ring(signal);
        }
        compiler_fence(Ordering::SeqCst);
        self.busy.store(false, Ordering::Relaxed);
    }

    /// The way by the scratch buffer: the stretch was too short, or the ring is crowded. The buffer
    /// is as large as the records of this thread have needed, beginning with more than `before`.
    #[cold]
    #[inline(never)]
    fn scratch(&self, before: usize) -> (Encoder<'_>, usize) {
        // SAFETY: only this thread uses the recorder, and `busy` keeps nested calls out, so there
        // is no other borrow: the encoder made here is gone before `publish_scratch` reads.
        let scratch = unsafe { &mut *self.scratch.get() };
        let wanted = if before == 0 { FIRST_SCRATCH } else { before * 2 };
        let bytes = wanted.max(scratch.len() * 8).min(self.pipeline.max_record());
        scratch.resize(bytes / 8, 0);
        (Encoder::new(scratch, self.pipeline.max_string()), bytes)
    }

    #[cold]
    #[inline(never)]
    fn publish_scratch(
        &self,
        channel: &Channel,
        producer: &mut Producer,
        signal: Signal,
        level: Level,
        mut encoder: Encoder<'_>,
    ) {
        if encoder.len() < size_of::<Header>() {
            return channel.counts.dropped(signal, Reason::TooLarge).add(1);
        }
        let size = seal(&mut encoder);
        // SAFETY: as in `scratch`, whose borrow has ended with the encoder.
        let bytes = &bytemuck::cast_slice(unsafe { &*self.scratch.get() })[..size];
        match self.make_room(producer, size as u64, level) {
            Ok(()) => {
                let cursor = producer.cursor();
                // SAFETY: `make_room` reserved `size` contiguous bytes at the cursor.
                unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), cursor, size) };
                channel.publish(producer, signal, size as u64);
            }
            Err(NoRoom::Full) => channel.counts.dropped(signal, Reason::RingFull).add(1),
            Err(NoRoom::TooLarge) => channel.counts.dropped(signal, Reason::TooLarge).add(1),
        }
    }

    fn make_room(&self, producer: &mut Producer, size: u64, level: Level) -> Result<(), NoRoom> {
        let severe = level >= Level::Warning;
        let mut room = producer.reserve(size, severe);
        if producer.crowded() {
            self.pipeline.waker().wake();
        }
        if room == Err(NoRoom::Full)
            && let Overflow::Block(limit) = self.pipeline.overflow()
            && !self.pipeline.waker().is_own_thread()
        {
            let waker = self.pipeline.waker();
            self.pipeline.wait(&mut || room = wait_for_room(producer, waker, size, limit));
        }
        room
    }

    #[cold]
    fn record_without_ring(&self, signal: Signal) {
        self.pipeline.lose(signal, Reason::NoRing);
        self.without_ring.set(self.without_ring.get().wrapping_add(1));
        // The limit may have room again; looking takes the registry's lock, so not every time.
        if self.without_ring.get().is_multiple_of(RETRY_RING) {
            // SAFETY: as in `record`, whose own borrow has ended.
            unsafe { *self.channel.get() = self.pipeline.registry().attach() };
        }
    }
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

/// Fills in the size.
#[inline(always)]
fn seal(encoder: &mut Encoder<'_>) -> usize {
    let size = encoder.len();
    encoder.patch(0, &(size as u32));
    size
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if let Some((channel, _)) = self.channel.get_mut() {
            channel.exit();
        }
        self.pipeline.metrics().release_shard(self.shard.clone());
    }
}
