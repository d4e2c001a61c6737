//! One run of the engine: rings, metric store and books, from `init` to `shutdown` or to a fork.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::ledger::{self, Counts, Ledger, Reason, Signal};
use crate::live::Live;
use crate::metrics::{Store, StoreConfig};
use crate::record::LogFixed;
use crate::ring::Region;
use crate::span::watch::Watch;
use crate::sync::mutant;
use crate::thread::registry::{Channel, MakeRegion, Registry};
use crate::waker::Waker;

/// What happens to a record that finds its ring full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// It is dropped and counted.
    DropNewest,
    /// Its caller waits, at most this long; then it is dropped and counted.
    Block(Duration),
    /// It is dropped and counted; a quarter of the ring is kept for `WARNING` and above.
    KeepSevere,
}

/// How a caller waits: runs the closure, perhaps after letting go of an interpreter lock.
pub type Wait = fn(&mut dyn FnMut());

/// What a pipeline is made of.
pub struct PipelineConfig {
    /// Bytes of one thread's ring, a power of two.
    pub ring_bytes: usize,
    /// Bytes of all rings.
    pub total_bytes: usize,
    /// Bytes of the largest record; never more than half a ring.
    pub max_record: usize,
    /// What happens when a ring is full.
    pub overflow: Overflow,
    /// Spans that may be open at once.
    pub max_open_spans: u64,
    /// Records that the drain may hold outside the rings; part of the stated capacity.
    pub batch_records: u64,
    /// The metric store.
    pub metrics: StoreConfig,
    /// Where rings live.
    pub make_region: MakeRegion,
    /// How callers wait under [`Overflow::Block`].
    pub wait: Wait,
}

impl Default for PipelineConfig {
    fn default() -> Self {
        Self {
            ring_bytes: 1 << 20,
            total_bytes: 256 << 20,
            max_record: usize::MAX,
            overflow: Overflow::DropNewest,
            max_open_spans: 10_000,
            batch_records: 0,
            metrics: StoreConfig::default(),
            make_region: Box::new(Region::anonymous),
            wait: |wait| wait(),
        }
    }
}

/// One run of the engine.
pub struct Pipeline {
    key: u64,
    fork_generation: u32,
    registry: Registry,
    metrics: Arc<Store>,
    watch: Watch,
    live: Arc<Live>,
    waker: Arc<Waker>,
    max_record: usize,
    overflow: Overflow,
    wait: Wait,
    batch_records: u64,
    max_open_spans: i64,
    open_spans: AtomicI64,
    without_ring: Counts,
    drained: Counts,
    settled_later: Counts,
    later_records: AtomicU64,
    stopped: AtomicBool,
}

/// Two readings of the ledger this close together count as one moment.
const LEDGER_SLACK: u64 = 4096;
const LEDGER_TRIES: u32 = 256;

impl Pipeline {
    /// A pipeline nobody records into yet.
    pub fn new(config: PipelineConfig, live: Arc<Live>) -> Arc<Self> {
        static NEXT_KEY: AtomicU64 = AtomicU64::new(1);
        crate::fork::install();
        let ring = config.ring_bytes;
        let spare = match config.overflow {
            Overflow::KeepSevere => ring as u64 / 4,
            _ => 0,
        };
        Arc::new(Self {
            // Relaxed: only uniqueness matters.
            key: NEXT_KEY.fetch_add(1, Ordering::Relaxed),
            fork_generation: crate::fork::generation(),
            registry: Registry::new(ring, config.total_bytes.max(ring), spare, config.make_region),
            metrics: Store::new(config.metrics),
            watch: Watch::new(config.max_open_spans as usize),
            live,
            waker: Waker::new(),
            max_record: config.max_record.min(ring / 2) & !7,
            overflow: config.overflow,
            wait: config.wait,
            batch_records: config.batch_records,
            max_open_spans: config.max_open_spans as i64,
            open_spans: AtomicI64::new(0),
            without_ring: Counts::default(),
            drained: Counts::default(),
            settled_later: Counts::default(),
            later_records: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        })
    }

    /// Unique in this process and its ancestors; never 0.
    pub fn key(&self) -> u64 {
        self.key
    }

    /// The fork generation in which it was made.
    pub fn fork_generation(&self) -> u32 {
        self.fork_generation
    }

    /// Its rings.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Its metrics.
    pub fn metrics(&self) -> &Arc<Store> {
        &self.metrics
    }

    /// Its watched spans.
    #[inline(always)]
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// The settings in force.
    #[inline(always)]
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// Wakes its drain.
    pub fn waker(&self) -> &Waker {
        &self.waker
    }

    pub(crate) fn overflow(&self) -> Overflow {
        self.overflow
    }

    pub(crate) fn wait(&self, wait: &mut dyn FnMut()) {
        (self.wait)(wait);
    }

    /// The longest string of a log line: the setting, or a quarter of the largest record where
    /// that is less.
    #[inline(always)]
    pub fn max_string(&self) -> usize {
        (self.live.max_string() as usize).min(self.max_record / 4)
    }

    /// The same of a span.
    #[inline(always)]
    pub fn max_span_string(&self) -> usize {
        (self.live.max_span_string() as usize).min(self.max_record / 4)
    }

    /// Bytes of the largest record.
    #[inline(always)]
    pub fn max_record(&self) -> usize {
        self.max_record
    }

    /// Counts of all who have no ring; added to with locked instructions.
    pub fn counts_without_ring(&self) -> &Counts {
        &self.without_ring
    }

    /// Counts of the drain thread, its only writer.
    pub fn drained(&self) -> &Counts {
        &self.drained
    }

    /// Counts of those who learn a record's fate after the drain; added to with locked instructions.
    pub fn settled_later(&self) -> &Counts {
        &self.settled_later
    }

    /// Says that up to `records` more may be waiting for their fate; part of the stated capacity.
    pub fn hold_later(&self, records: u64) {
        self.later_records.fetch_add(records, Ordering::Relaxed);
    }

    /// Counts a record that is lost before it finds a ring.
    #[cold]
    pub fn lose(&self, signal: Signal, reason: Reason) {
        self.without_ring.recorded(signal).add_shared(1);
        self.without_ring.dropped(signal, reason).add_shared(1);
    }

    /// Takes one of the places for open spans; `false` when none is left.
    #[inline]
    pub(crate) fn open_span(&self) -> bool {
        // Relaxed: a count, nothing is published through it.
        let open = self.open_spans.fetch_add(1, Ordering::Relaxed);
        if open < self.max_open_spans || mutant!("open_spans") {
            return true;
        }
        self.open_spans.fetch_sub(1, Ordering::Relaxed);
        false
    }

    /// Gives places of open spans back.
    #[inline]
    pub(crate) fn close_spans(&self, places: u64) {
        self.open_spans.fetch_sub(places as i64, Ordering::Relaxed);
    }

    /// How many places a thread keeps for its next spans, which saves it two locked instructions
    /// a span: so few that all threads together leave enough for a thread that needs many.
    #[inline(always)]
    pub(crate) fn kept_places(&self) -> u64 {
        (self.max_open_spans as u64 >> 10).min(64)
    }

    /// Whether it takes no more records.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// It takes no more records.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Records that rings and batches can hold.
    pub fn capacity(&self) -> u64 {
        let smallest = size_of::<LogFixed>() as u64;
        let later = self.later_records.load(Ordering::Relaxed);
        self.registry.memory_bytes() as u64 / smallest + self.batch_records + later + LEDGER_SLACK
    }

    /// The books at one moment. While others record, the moment is found by reading until little
    /// was delivered or dropped during the reading.
    pub fn ledger(&self) -> Ledger {
        let mut channels = self.registry.channels();
        loop {
            let ledger = self.ledger_of(&channels);
            // What a ring made meanwhile has recorded is not in it, though it may be delivered.
            let after = self.registry.channels();
            if after.len() == channels.len() {
                return ledger;
            }
            channels = after;
        }
    }

    /// Whether any span is open.
    pub(crate) fn has_open_spans(&self) -> bool {
        let channels = self.registry.channels();
        self.open_now(channels.iter().map(|channel| channel.counts.kept_places.get()).sum()) > 0
    }

    /// How many spans are open when threads keep so many places for their next ones.
    fn open_now(&self, kept: u64) -> u64 {
        (self.open_spans.load(Ordering::Relaxed) - kept as i64).max(0) as u64
    }

    fn ledger_of(&self, channels: &[Arc<Channel>]) -> Ledger {
        let all = channels.iter().map(|channel| &channel.counts).chain([
            &self.without_ring,
            &self.drained,
            &self.settled_later,
        ]);
        let capacity = self.capacity();
        let account = |signal| {
            let settled = |a: &ledger::Account| a.delivered + a.dropped_total();
            let mut account = ledger::account(all.clone(), signal);
            for _ in 0..LEDGER_TRIES {
                let after = ledger::account(all.clone(), signal);
                if settled(&after) - settled(&account) <= LEDGER_SLACK {
                    break;
                }
                account = after;
            }
            account.capacity = capacity;
            account
        };
        // Before what is recorded: neither is ever more than that.
        let (roots, errors) = (self.drained.roots.get(), self.drained.errors.get());
        Ledger {
            logs: account(Signal::Logs),
            spans: account(Signal::Spans),
            internal: account(Signal::Internal),
            filtered: all.clone().map(|counts| counts.filtered.get()).sum(),
            unsampled: all.clone().map(|counts| counts.unsampled.get()).sum(),
            open: self.open_now(all.map(|counts| counts.kept_places.get()).sum()),
            roots,
            errors,
        }
    }
}
