//! What stands in the place of text that was cut off.

use std::io::Write;

/// `…[+N bytes]`, or nothing.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    text: [u8; 40],
    len: usize,
}

impl Mark {
    /// The mark for `left_out` bytes; empty for none.
    #[inline]
    pub fn of(left_out: u64) -> Self {
        let mut mark = Self { text: [0; 40], len: 0 };
        if left_out > 0 {
            let mut rest = &mut mark.text[..];
            // 40 bytes hold the longest number.
            let _ = write!(rest, "…[+{left_out} bytes]");
            mark.len = 40 - rest.len();
        }
        mark
    }

    /// Its UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..self.len]
    }
}
