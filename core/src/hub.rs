//! What handles hold on to: a place that stays while pipelines come and go.
//!
//! A logger, tracer or instrument made before `init`, kept over `shutdown`, or inherited through a
//! fork finds the pipeline of the moment here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use arc_swap::ArcSwapOption;

use crate::fork;
use crate::ledger::{Reason, Signal};
use crate::live::Live;
use crate::pipeline::Pipeline;
use crate::span::SpanContext;
use crate::sync::mutant;
use crate::thread::{self, Recorder, Turn};

/// A key that no thread ever caches.
const OFF: u64 = u64::MAX;

/// Builds a fresh pipeline, with a drain of its own, in a forked child; `None` if it cannot.
pub type Revive = Box<dyn Fn() -> Option<Arc<Pipeline>> + Send + Sync>;

/// The place of the current pipeline.
pub struct Hub {
    key: AtomicU64,
    pipeline: ArcSwapOption<Pipeline>,
    live: Arc<Live>,
    revive: ArcSwapOption<Revive>,
    /// The fork generation for which a pipeline has been or is being built.
    revived: AtomicU32,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Hub {
    /// A place without a pipeline.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            key: AtomicU64::new(OFF),
            pipeline: ArcSwapOption::empty(),
            live: Live::new(),
            revive: ArcSwapOption::empty(),
            revived: AtomicU32::new(0),
        })
    }

    /// The settings in force.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Sets what builds a pipeline in a forked child.
    pub fn on_fork(&self, revive: Revive) {
        self.revive.store(Some(Arc::new(revive)));
    }

    /// Makes `pipeline` the current one.
    pub fn install(&self, pipeline: Arc<Pipeline>) {
        self.revived.store(fork::generation(), Ordering::Relaxed);
        let key = pipeline.key();
        self.pipeline.store(Some(pipeline));
        // Release: a thread that meets the key finds the pipeline stored; the pipeline itself is
        // loaded with arc-swap's own ordering.
        self.key.store(key, Ordering::Release);
        self.live.bump();
    }

    /// Switches recording off.
    pub fn uninstall(&self) {
        if !mutant!("shutdown_key") {
            self.key.store(OFF, Ordering::Release);
        }
        self.pipeline.store(None);
        self.live.bump();
    }

    /// Whether there is a pipeline.
    #[inline(always)]
    pub fn is_on(&self) -> bool {
        self.key.load(Ordering::Relaxed) != OFF
    }

    /// The key of the current pipeline.
    #[inline(always)]
    pub fn key(&self) -> u64 {
        self.key.load(Ordering::Relaxed)
    }

    /// The current pipeline, fresh in a forked child.
    pub fn pipeline(&self) -> Option<Arc<Pipeline>> {
        let pipeline = self.pipeline.load_full()?;
        if pipeline.fork_generation() == fork::generation() || mutant!("fork_generation") {
            return Some(pipeline);
        }
        self.revive(pipeline)
    }

    /// Whether the pipeline is the parent's and nothing has been recorded since the fork.
    pub fn is_inherited(&self) -> bool {
        let pipeline = self.pipeline.load();
        pipeline.as_ref().is_some_and(|p| p.fork_generation() != fork::generation())
    }

    /// Calls `f` with this thread's recorder, or with none when recording is off, the thread about
    /// to end, or the caller a signal handler that interrupted another call of this function. `f`
    /// must run no foreign code.
    #[inline(always)]
    pub fn with<R>(&self, f: impl FnOnce(Option<&mut Recorder>) -> R) -> R {
        f(self.turn().recorder())
    }

    /// What [`Hub::with`] makes for the time of `f`.
    #[inline(always)]
    pub(crate) fn turn(&self) -> Turn<'_> {
        // Relaxed: a key that this thread has cached was put there by `enter` on this thread,
        // after it had loaded the pipeline.
        Turn::new(self.key.load(Ordering::Relaxed), || self.enter())
    }

    /// The turn in which [`Hub::with`] would call its function, where that takes no call, as it
    /// mostly does. A value, as a closure is not always inlined. `key` is [`Hub::key`].
    #[inline(always)]
    pub fn cached_turn<'a>(key: u64) -> Option<Turn<'a>> {
        Turn::cached(key)
    }

    /// Whether a measurement is offered as an exemplar that was made inside this span, or outside
    /// any.
    pub fn takes_exemplar(&self, span: Option<&SpanContext>) -> bool {
        let takes = self.live.takes_exemplar(span);
        if !takes && self.live.missed_exemplar() {
            self.rest_exemplars();
        }
        takes
    }

    /// Spares measurements the look for their span until the next sampled span is opened, if none
    /// is open.
    pub fn rest_exemplars(&self) {
        if let Some(pipeline) = self.pipeline() {
            self.live.rest_exemplars(|| pipeline.has_open_spans());
        }
    }

    /// Finds or makes this thread's recorder.
    #[cold]
    #[inline(never)]
    fn enter(&self) -> bool {
        self.pipeline().is_some_and(|pipeline| thread::enter(&pipeline).is_ok())
    }

    /// Counts a record for which [`Hub::with`] had no recorder; nothing when recording is off. To
    /// be called from inside it.
    #[cold]
    pub fn lose(&self, signal: Signal) {
        let reason = if thread::is_nested() { Reason::Reentrant } else { Reason::ThreadExited };
        if let Some(pipeline) = self.pipeline() {
            pipeline.lose(signal, reason);
        }
    }

    #[cold]
    fn revive(&self, inherited: Arc<Pipeline>) -> Option<Arc<Pipeline>> {
        let generation = fork::generation();
        let before = self.revived.load(Ordering::Relaxed);
        let claimed = before != generation
            && self
                .revived
                .compare_exchange(before, generation, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok();
        if claimed {
            // The parent's pipeline may hold locks that nobody will ever release: leak it.
            std::mem::forget(inherited.clone());
            match self.revive.load_full().and_then(|revive| revive()) {
                Some(fresh) => self.install(fresh),
                None => self.uninstall(),
            }
        }
        loop {
            let pipeline = self.pipeline.load_full()?;
            if pipeline.fork_generation() == generation {
                return Some(pipeline);
            }
            std::thread::yield_now();
        }
    }
}
