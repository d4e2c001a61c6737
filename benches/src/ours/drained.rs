//! A log line while the drain is writing others into a file.

use std::path::Path;
use std::time::Duration;

use coati_core::log::Logger;
use coati_export::Engine;
use serde_json::json;

use super::{NAME, engine};
use crate::candidate::{Candidate, Kind};

/// More than half a ring, which wakes the drain.
const BACKLOG: usize = 8_000;
/// What still fits beside it.
const CALLS: usize = 2_000;

/// The candidate: before each round the drain is given a backlog that outlasts the round, and the
/// round counts only if it did.
pub fn log(folder: &Path) -> Candidate {
    let engine = engine(json!({
        "ring": {"bytes": 1 << 20},
        "sinks": [{"type": "file", "path": folder.join("drained.jsonl")}],
    }));
    let logger = Logger::new(engine.hub().clone(), "bench");
    let backlog = Logger::new(engine.hub().clone(), "bench");
    let (before, after, books) = (engine.clone(), engine.clone(), engine);
    let delivered = |engine: &Engine| engine.ledger().logs.delivered;
    Candidate::new("rust_log_drain", Kind::Ours, NAME, CALLS, move |calls| {
        (0..calls).for_each(|i| super::log(&logger, i));
    })
    .before(move || {
        assert!(before.flush(Duration::from_secs(60)), "the drain is stuck");
        let written = delivered(&before);
        (0..BACKLOG).for_each(|i| super::log(&backlog, i));
        while delivered(&before) == written {
            std::hint::spin_loop();
        }
    })
    .after_if(move || {
        let books = after.ledger().logs;
        // One of them warmed up.
        books.recorded - books.delivered > CALLS as u64 + 1
    })
    .dropped(move || books.ledger().logs.dropped_total())
}
