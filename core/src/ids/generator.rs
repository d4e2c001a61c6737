//! New ids.

use std::cell::Cell;

use super::{SpanId, TraceId};
use crate::os;

/// A thread's own generator: wyrand (Wang Yi, 2019) seeded by the operating system. Not for
/// secrets; a user's seeding of another generator cannot make it repeat.
#[derive(Debug, Default)]
pub struct Generator(Cell<u64>);

impl Generator {
    /// A generator with a fresh seed.
    pub fn seeded() -> Self {
        let mut seed = [0; 8];
        os::random(&mut seed);
        Self(Cell::new(u64::from_ne_bytes(seed)))
    }

    #[inline(always)]
    fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0xa076_1d64_78bd_642f);
        self.0.set(state);
        let wide = u128::from(state) * u128::from(state ^ 0xe703_7ed1_a0b4_28db);
        (wide >> 64) as u64 ^ wide as u64
    }

    /// A new trace id.
    #[inline]
    pub fn trace_id(&self) -> TraceId {
        let wide = u128::from(self.next()) << 64 | u128::from(self.next());
        TraceId(wide.max(1).to_be_bytes())
    }

    /// A new span id.
    #[inline]
    pub fn span_id(&self) -> SpanId {
        SpanId(self.next().max(1).to_be_bytes())
    }
}
