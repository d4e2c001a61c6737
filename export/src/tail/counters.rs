//! What tail sampling has decided.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};

/// Counts for the health report. Written by the drain thread alone, read by anyone.
#[derive(Debug, Default)]
pub struct Counters {
    /// Traces kept, by [`Why`].
    kept: [AtomicU64; 4],
    /// Traces dropped.
    dropped: AtomicU64,
    /// Traces decided, by [`When`].
    decided: [AtomicU64; 5],
    /// Spans that came after the decision.
    late_kept: AtomicU64,
    late_dropped: AtomicU64,
    /// Dropped traces of which an error brought the rest back.
    revived: AtomicU64,
    /// What waits.
    traces: AtomicU64,
    spans: AtomicU64,
    bytes: AtomicU64,
    /// Bytes taken from the system for it, which are kept.
    memory: AtomicU64,
    /// Whether tail sampling was ever on.
    on: AtomicBool,
}

/// Why a trace is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// A span failed.
    Error,
    /// A span took too long.
    Slow,
    /// A rule fits, and its share has the trace.
    Rule,
    /// The share of the rest has it.
    Share,
}

/// When a trace is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// With the span that decided it.
    AtOnce,
    /// When its local root had ended, and the grace was over.
    RootEnd,
    /// When nothing had come for too long.
    TimeOut,
    /// When there was no more memory.
    Budget,
    /// By a flush, a shutdown, or as tail sampling was switched off.
    Forced,
}

// Relaxed throughout: counts for display, each read alone. A single writer needs no locked add.
fn add(count: &AtomicU64, more: u64) {
    count.store(count.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

impl Counters {
    pub(super) fn decide(&self, kept: Option<Why>, when: When) {
        add(kept.map_or(&self.dropped, |why| &self.kept[why as usize]), 1);
        add(&self.decided[when as usize], 1);
    }

    pub(super) fn late(&self, kept: bool) {
        add(if kept { &self.late_kept } else { &self.late_dropped }, 1);
    }

    pub(super) fn revive(&self) {
        add(&self.revived, 1);
    }

    pub(super) fn waiting(&self, traces: usize, spans: u64, bytes: usize, memory: usize) {
        self.traces.store(traces as u64, Ordering::Relaxed);
        self.spans.store(spans, Ordering::Relaxed);
        self.bytes.store(bytes as u64, Ordering::Relaxed);
        self.memory.store(memory as u64, Ordering::Relaxed);
    }

    /// From now on there is a report.
    pub fn switch_on(&self) {
        self.on.store(true, Ordering::Relaxed);
    }

    /// Bytes of memory taken.
    pub fn memory(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    /// Tail sampling is off: its memory is given back.
    pub(super) fn off(&self) {
        self.waiting(0, 0, 0, 0);
    }

    /// The report; none where tail sampling was never on.
    pub fn report(&self) -> Option<Value> {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let kept = |why: Why| get(&self.kept[why as usize]);
        let when = |when: When| get(&self.decided[when as usize]);
        self.on.load(Ordering::Relaxed).then(|| {
            json!({
                "kept": {
                    "error": kept(Why::Error),
                    "slow": kept(Why::Slow),
                    "rule": kept(Why::Rule),
                    "share": kept(Why::Share),
                },
                "dropped": get(&self.dropped),
                "decided": {
                    "at_once": when(When::AtOnce),
                    "root_end": when(When::RootEnd),
                    "time_out": when(When::TimeOut),
                    "budget": when(When::Budget),
                    "forced": when(When::Forced),
                },
                "late_spans": {
                    "kept": get(&self.late_kept),
                    "dropped": get(&self.late_dropped),
                },
                "revived": get(&self.revived),
                "undecided": {
                    "traces": get(&self.traces),
                    "spans": get(&self.spans),
                    "bytes": get(&self.bytes),
                },
            })
        })
    }
}
