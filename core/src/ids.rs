//! Trace and span ids: 16 and 8 random bytes, never all zero (W3C trace context).

use std::cell::Cell;
use std::fmt;

use crate::os;

/// A trace's id; all zero means none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct TraceId(pub [u8; 16]);

/// A span's id; all zero means none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct SpanId(pub [u8; 8]);

macro_rules! hex_id {
    ($name:ident, $bytes:literal) => {
        impl $name {
            /// No id.
            pub const NONE: Self = Self([0; $bytes]);

            /// Whether this is a real id.
            #[inline]
            pub fn is_valid(self) -> bool {
                self != Self::NONE
            }

            /// Lower-case hexadecimal.
            pub fn hex(self) -> [u8; $bytes * 2] {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let mut out = [0; $bytes * 2];
                for (i, byte) in self.0.into_iter().enumerate() {
                    out[2 * i] = DIGITS[usize::from(byte >> 4)];
                    out[2 * i + 1] = DIGITS[usize::from(byte & 15)];
                }
                out
            }

            /// Parses exactly the lower-case hexadecimal form; `None` for anything else or zero.
            pub fn from_hex(text: &[u8]) -> Option<Self> {
                let mut out = [0; $bytes];
                if text.len() != $bytes * 2 {
                    return None;
                }
                for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
                    *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
                }
                Some(Self(out)).filter(|id| id.is_valid())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.hex().iter().try_for_each(|&digit| fmt::Write::write_char(f, digit.into()))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

hex_id!(TraceId, 16);
hex_id!(SpanId, 8);

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_survive_hexadecimal() {
        let generator = Generator::seeded();
        let many = if cfg!(miri) { 100 } else { 10_000 };
        let ids: std::collections::HashSet<_> = (0..many).map(|_| generator.span_id()).collect();
        assert_eq!(ids.len(), many);
        let trace = generator.trace_id();
        assert_eq!(TraceId::from_hex(&trace.hex()), Some(trace));
        assert_eq!(trace.to_string().len(), 32);
        assert_eq!(SpanId::from_hex(b"0000000000000000"), None);
        assert_eq!(SpanId::from_hex(b"00F0000000000001"), None);
    }
}
