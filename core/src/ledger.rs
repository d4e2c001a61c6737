//! The books: what was recorded, delivered, dropped and why, each counted on its own.

use std::collections::BTreeMap;

use crate::sync::atomic::AtomicU64;
use crate::sync::{mutant, order, own};

/// A stream of records with books of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Signal {
    /// Log lines.
    Logs = 0,
    /// Spans.
    Spans = 1,
    /// The engine's own notices.
    Internal = 2,
}

impl Signal {
    /// All signals.
    pub const ALL: [Self; 3] = [Self::Logs, Self::Spans, Self::Internal];

    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Spans => "spans",
            Self::Internal => "internal",
        }
    }
}

/// Why a record was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Reason {
    /// The thread's ring was full.
    RingFull = 0,
    /// The rings' total is at its limit and this thread has none.
    NoRing = 1,
    /// Larger than half a ring.
    TooLarge = 2,
    /// Made by a signal handler that interrupted a recording.
    Reentrant = 3,
    /// Made after the thread's ring was handed over at its exit.
    ThreadExited = 4,
    /// More spans open than allowed.
    OpenSpans = 5,
    /// A sink that wanted it failed.
    Sink = 6,
    /// The engine failed on it.
    Internal = 7,
    /// Published after the last drain of a shutdown.
    Stopped = 8,
    /// The queue before a sink that sends it elsewhere was full.
    QueueFull = 9,
    /// Its receiver refused it.
    Rejected = 10,
    /// Its receiver could not be reached in time.
    Unsent = 11,
    /// It left a spool unsent: too old, or no room.
    Spool = 12,
    /// A span of a trace that tail sampling did not keep: no loss, but wanted so.
    TailSampled = 13,
    /// The same, but decided before its time, for lack of memory.
    TailBudget = 14,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 15] = [
        Self::RingFull,
        Self::NoRing,
        Self::TooLarge,
        Self::Reentrant,
        Self::ThreadExited,
        Self::OpenSpans,
        Self::Sink,
        Self::Internal,
        Self::Stopped,
        Self::QueueFull,
        Self::Rejected,
        Self::Unsent,
        Self::Spool,
        Self::TailSampled,
        Self::TailBudget,
    ];

    /// Name in the ledger.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::NoRing => "no_ring",
            Self::TooLarge => "too_large",
            Self::Reentrant => "reentrant",
            Self::ThreadExited => "thread_exited",
            Self::OpenSpans => "open_spans",
            Self::Sink => "sink",
            Self::Internal => "internal",
            Self::Stopped => "stopped",
            Self::QueueFull => "queue_full",
            Self::Rejected => "rejected",
            Self::Unsent => "unsent",
            Self::Spool => "spool",
            Self::TailSampled => "tail_sampled",
            Self::TailBudget => "tail_budget",
        }
    }
}

/// A count with a single writer: a plain load and store, no locked instruction.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds `n`; only the owner may call it.
    #[inline(always)]
    pub fn add(&self, n: u64) {
        // SYNC POINT G (release): a reader that sees a drop or a delivery counted also sees the
        // record it belongs to counted as recorded, which came before it.
        self.0.store(own(&self.0) + n, order!(Release, "ledger_add"));
    }

    /// What the owner, which calls this, has made of it.
    #[cfg_attr(coati_loom, allow(dead_code))]
    #[inline(always)]
    pub(crate) fn own(&self) -> u64 {
        own(&self.0)
    }

    /// Replaces it; only the owner may call this.
    #[cfg_attr(coati_loom, allow(dead_code))]
    #[inline(always)]
    pub(crate) fn set(&self, n: u64) {
        // Relaxed: read for display only.
        self.0.store(n, crate::sync::atomic::Ordering::Relaxed);
    }

    /// Adds `n` from any thread.
    pub fn add_shared(&self, n: u64) {
        // SYNC POINT G (release).
        self.0.fetch_add(n, order!(Release, "ledger_add_shared"));
    }

    /// The count.
    #[inline]
    pub fn get(&self) -> u64 {
        // SYNC POINT G (acquire).
        self.0.load(order!(Acquire, "ledger_get"))
    }
}

/// What one writer counts: a recording thread, the drain thread, or, with locked instructions, all
/// who have no ring or settle records later.
#[derive(Debug, Default)]
pub struct Counts {
    recorded: [Count; 3],
    published: [Count; 3],
    delivered: [Count; 3],
    taken: [Count; 3],
    dropped: [[Count; Reason::ALL.len()]; 3],
    /// Log calls below their logger's level.
    pub filtered: Count,
    /// Spans that were not sampled.
    pub unsampled: Count,
    /// Ended spans without a parent.
    pub roots: Count,
    /// Ended spans whose status is an error.
    pub errors: Count,
    /// Places for open spans that are taken and kept for the thread's next ones.
    #[cfg_attr(coati_loom, allow(dead_code))]
    pub(crate) kept_places: Count,
}

impl Counts {
    /// Calls that passed level and sampling.
    #[inline(always)]
    pub fn recorded(&self, signal: Signal) -> &Count {
        &self.recorded[signal as usize]
    }

    /// Records handed to a ring.
    #[inline(always)]
    pub fn published(&self, signal: Signal) -> &Count {
        &self.published[signal as usize]
    }

    /// Records that reached every sink that wanted them.
    #[inline]
    pub fn delivered(&self, signal: Signal) -> &Count {
        &self.delivered[signal as usize]
    }

    /// Records that left their ring.
    #[inline]
    pub fn taken(&self, signal: Signal) -> &Count {
        &self.taken[signal as usize]
    }

    /// Records lost for a reason.
    #[inline]
    pub fn dropped(&self, signal: Signal, reason: Reason) -> &Count {
        &self.dropped[signal as usize][reason as usize]
    }
}

/// The books of one signal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Calls that passed level and sampling.
    pub recorded: u64,
    /// Records that reached every sink that wanted them.
    pub delivered: u64,
    /// Records lost, by reason; reasons that never occurred are absent.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Records in a ring or a batch.
    pub in_flight: u64,
    /// How many records rings and batches can hold.
    pub capacity: u64,
}

impl Account {
    /// All records lost.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }
}

/// The books of all signals at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Log lines.
    pub logs: Account,
    /// Spans.
    pub spans: Account,
    /// The engine's own notices.
    pub internal: Account,
    /// Log calls below their logger's level.
    pub filtered: u64,
    /// Spans that were not sampled.
    pub unsampled: u64,
    /// Spans started and not ended.
    pub open: u64,
    /// Spans without a parent, neither here nor elsewhere, that left their ring, whatever became of
    /// them then.
    pub roots: u64,
    /// Spans with the status error that left their ring, whatever became of them then.
    pub errors: u64,
}

impl Ledger {
    /// The books of one signal.
    pub fn account(&self, signal: Signal) -> &Account {
        match signal {
            Signal::Logs => &self.logs,
            Signal::Spans => &self.spans,
            Signal::Internal => &self.internal,
        }
    }
}

/// Adds up `all`, in an order in which no record is delivered or dropped before it is recorded.
pub fn account<'a>(all: impl Iterator<Item = &'a Counts> + Clone, signal: Signal) -> Account {
    let sum = |pick: &dyn Fn(&Counts) -> &Count| all.clone().map(|c| pick(c).get()).sum::<u64>();
    let early = if mutant!("ledger_order") { sum(&|c| c.recorded(signal)) } else { 0 };
    let delivered = sum(&|c| c.delivered(signal));
    let dropped: BTreeMap<_, _> = Reason::ALL
        .into_iter()
        .map(|reason| (reason.name(), sum(&|c| c.dropped(signal, reason))))
        .filter(|&(_, n)| n > 0)
        .collect();
    let taken = sum(&|c| c.taken(signal));
    let published = sum(&|c| c.published(signal));
    let recorded = if mutant!("ledger_order") { early } else { sum(&|c| c.recorded(signal)) };
    Account {
        recorded,
        delivered,
        dropped,
        in_flight: published.saturating_sub(taken),
        capacity: 0,
    }
}
