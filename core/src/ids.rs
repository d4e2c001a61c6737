//! Trace and span ids: 16 and 8 random bytes, never all zero (W3C trace context).

use std::fmt;

// A model has no use for random ids.
#[cfg(not(coati_loom))]
mod generator;
#[cfg(not(coati_loom))]
pub use generator::Generator;

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

/// The ids of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct SpanIds {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
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
