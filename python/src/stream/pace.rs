//! When chunks came.

use std::cell::Cell;
use std::time::{Duration, Instant};

use coati_core::record::value::Value;

/// Figures of a stream, chunk by chunk.
pub struct Pace {
    begun: Instant,
    first: Cell<Option<Instant>>,
    last: Cell<Instant>,
    chunks: Cell<u64>,
    longest: Cell<Duration>,
}

impl Pace {
    /// Nothing has come yet.
    pub fn begin() -> Self {
        let begun = Instant::now();
        Self {
            begun,
            first: Cell::new(None),
            last: Cell::new(begun),
            chunks: Cell::new(0),
            longest: Cell::new(Duration::ZERO),
        }
    }

    /// One has come.
    #[inline(always)]
    pub fn chunk(&self) {
        let now = Instant::now();
        let gap = now.duration_since(self.last.replace(now));
        self.chunks.set(self.chunks.get() + 1);
        if self.first.get().is_none() {
            self.first.set(Some(now));
        } else if gap > self.longest.get() {
            self.longest.set(gap);
        }
    }

    /// Hands the figures to `set`, times in seconds.
    pub fn tell(&self, set: &mut impl FnMut(&'static str, Value<'_>)) {
        set("coati.stream.chunks", (self.chunks.get() as i64).into());
        let Some(first) = self.first.get() else { return };
        let wait = first.duration_since(self.begun).as_secs_f64();
        set("gen_ai.response.time_to_first_chunk", wait.into());
        let gaps = self.chunks.get() - 1;
        if gaps > 0 {
            let all = self.last.get().duration_since(first).as_secs_f64();
            set("coati.stream.gap.max", self.longest.get().as_secs_f64().into());
            set("coati.stream.gap.mean", (all / gaps as f64).into());
        }
    }
}
