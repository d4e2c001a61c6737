//! Integers of any size in decimal, free of the interpreter's limit on digits.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt};

use super::Owned;

/// Larger integers are named by their size.
const MAX_BITS: usize = 1 << 18;
/// The highest power of ten in a word, and its exponent.
const CHUNK: u64 = 10_000_000_000_000_000_000;
const CHUNK_DIGITS: usize = 19;

/// All digits of `int`.
pub fn decimal(int: &Bound<'_, PyInt>) -> PyResult<Owned> {
    let class = int.py().get_type::<PyInt>();
    // By the class: a subclass may have put something else in place of these methods.
    let bits: usize = class.call_method1("bit_length", (int,))?.extract()?;
    if bits > MAX_BITS {
        return Ok(Owned::Str(format!("<int of {bits} bits>").into()));
    }
    let negative: bool = int.lt(0)?;
    let magnitude = class.call_method1("__abs__", (int,))?;
    let bytes = class.call_method1("to_bytes", (magnitude, bits.div_ceil(8), "little"))?;
    let digits = digits(bytes.cast::<PyBytes>()?.as_bytes());
    Ok(Owned::Digits(if negative { format!("-{digits}") } else { digits }))
}

/// Little-endian bytes in decimal.
fn digits(bytes: &[u8]) -> String {
    let mut words: Vec<u64> = bytes
        .chunks(8)
        .map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        })
        .collect();
    let mut chunks = Vec::new();
    while let Some(&highest) = words.last() {
        if highest == 0 {
            words.pop();
            continue;
        }
        let mut rest = 0u128;
        for word in words.iter_mut().rev() {
            let dividend = rest << 64 | u128::from(*word);
            *word = (dividend / u128::from(CHUNK)) as u64;
            rest = dividend % u128::from(CHUNK);
        }
        chunks.push(rest as u64);
    }
    let mut text = chunks.pop().unwrap_or(0).to_string();
    for chunk in chunks.iter().rev() {
        text.push_str(&format!("{chunk:0CHUNK_DIGITS$}"));
    }
    text
}
