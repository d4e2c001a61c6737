//! What was decided on the last traces, for spans that come late.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use coati_core::ids::TraceId;

/// What becomes of the spans of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They go to the sinks.
    Kept,
    /// They are dropped.
    Dropped(Dropped),
}

/// How a trace came to be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// Its root had not ended: an error may still bring the rest of it back.
    pub open: bool,
    /// For lack of memory.
    pub for_room: bool,
}

/// Traces by id.
pub type ById<T> = HashMap<TraceId, T, Hashes>;

/// Ids are random, but others choose those of remote parents: a secret keeps them from choosing
/// which ids collide.
#[derive(Debug, Clone)]
pub struct Hashes(u64);

impl Default for Hashes {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0) | 1)
    }
}

impl BuildHasher for Hashes {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        Folded(self.0)
    }
}

/// Folds words by a wide multiplication.
#[derive(Debug)]
pub struct Folded(u64);

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            let wide = u128::from(self.0 ^ u64::from_le_bytes(word)) * 0x9e37_79b9_7f4a_7c15;
            self.0 = (wide as u64) ^ (wide >> 64) as u64;
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A bounded table: of two halves the older one is forgotten when the newer one is full. Who is
/// asked for stays.
#[derive(Debug, Default)]
pub struct Decided {
    newer: ById<Verdict>,
    older: ById<Verdict>,
    /// Traces in a half.
    half: usize,
}

/// Bytes of a trace in a table, with what tables keep free.
const ENTRY: usize = 48;

impl Decided {
    /// A table within about `bytes`.
    pub fn within(bytes: usize) -> Self {
        Self { half: (bytes / ENTRY / 2).max(16), ..Self::default() }
    }

    /// Takes up another bound, and keeps what there is room for.
    pub fn resize(&mut self, bytes: usize) {
        self.half = (bytes / ENTRY / 2).max(16);
        self.turn_if_full();
    }

    /// What was decided on the trace.
    pub fn get(&mut self, trace_id: TraceId) -> Option<Verdict> {
        if let Some(verdict) = self.newer.get(&trace_id) {
            return Some(*verdict);
        }
        let verdict = self.older.remove(&trace_id)?;
        self.set(trace_id, verdict);
        Some(verdict)
    }

    /// Remembers what was decided.
    pub fn set(&mut self, trace_id: TraceId, verdict: Verdict) {
        self.newer.insert(trace_id, verdict);
        self.turn_if_full();
    }

    fn turn_if_full(&mut self) {
        if self.newer.len() >= self.half {
            self.older.clear();
            std::mem::swap(&mut self.newer, &mut self.older);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> TraceId {
        TraceId(u128::from(number).to_be_bytes())
    }

    #[test]
    fn the_oldest_are_forgotten_and_who_is_asked_for_stays() {
        let mut decided = Decided::within(100 * 2 * ENTRY);
        for number in 0..10_000 {
            decided.set(id(number), Verdict::Kept);
            assert_eq!(decided.get(id(0)), Some(Verdict::Kept));
            assert_eq!(decided.get(id(number)), Some(Verdict::Kept));
        }
        assert_eq!(decided.get(id(9_000)), None);
        assert_eq!(decided.get(id(9_900)), Some(Verdict::Kept));
        assert!(decided.newer.len() + decided.older.len() <= 200);
    }
}
