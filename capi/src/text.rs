//! Texts from C: UTF-8 is passed on, anything else replaced.

use std::borrow::Cow;

use coati_core::record::write::copy_padded;

use crate::status::Failure;
use crate::types::coati_str;

/// A text that is kept: a name, a unit, a label.
///
/// # Safety
/// As for [`coati_str::bytes`].
pub(crate) unsafe fn kept<'a>(text: coati_str) -> Result<Cow<'a, str>, Failure> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { text.bytes() }?;
    if let Some(text) = short_ascii(bytes) {
        return Ok(Cow::Borrowed(text));
    }
    Ok(String::from_utf8_lossy(&bytes[..bytes.len().min(REPLACED)]))
}

/// More of a text that is kept, or that is not UTF-8, is neither looked at nor counted.
const REPLACED: usize = 1 << 20;

/// Whether `text` may be recorded as it is when it is cut at `limit` bytes: the part that can be
/// kept is UTF-8. So a call costs no more than what it keeps.
#[inline(always)]
pub(crate) fn is_plain(text: &[u8], limit: usize) -> bool {
    if text.len() <= limit { is_utf8(text) } else { begins_as_utf8(text, limit) }
}

#[cold]
fn begins_as_utf8(text: &[u8], limit: usize) -> bool {
    // The cut falls on the boundary at or before `limit`; the byte at `limit` decides which.
    let looked_at = &text[..text.len().min(limit + 4)];
    match std::str::from_utf8(looked_at) {
        Ok(_) => true,
        Err(error) => error.valid_up_to() > limit,
    }
}

/// `text` as it is recorded where it is not plain.
pub(crate) fn replaced(text: &[u8], limit: usize) -> Cow<'_, [u8]> {
    if is_plain(text, limit) {
        return Cow::Borrowed(text);
    }
    let lossy = String::from_utf8_lossy(&text[..text.len().min(REPLACED.max(limit))]);
    Cow::Owned(lossy.into_owned().into_bytes())
}

/// Copies a text and fills its last word up with zeros if it is UTF-8; else what it has written
/// does not matter.
///
/// # Safety
/// `from` is readable for `len` bytes; `to` is writable for as many rounded up to whole words.
#[inline(always)]
pub(crate) unsafe fn copy_utf8(from: *const u8, len: usize, to: *mut u8) -> bool {
    // SAFETY: the caller's promise.
    unsafe { copy_ascii(from, len, to) || copy_other(from, len, to) }
}

/// Copies a text as [`copy_utf8`] does if it is short and ASCII; calls nothing. Texts of a few
/// words, as most are, are looked at and copied in one go: reads and writes overlap instead of
/// going by bytes.
///
/// # Safety
/// As for [`copy_utf8`].
#[inline(always)]
pub(crate) unsafe fn copy_ascii(from: *const u8, len: usize, to: *mut u8) -> bool {
    // SAFETY: all that is read and written, unaligned, lies in the two ranges.
    unsafe {
        let byte = |at: usize| u64::from(*from.add(at));
        let half = |at: usize| from.add(at).cast::<u32>().read_unaligned();
        let word = |at: usize| from.add(at).cast::<u64>().read_unaligned();
        let put = |at: usize, word: u64| to.add(at).cast::<u64>().write_unaligned(word);
        let put_half = |at: usize, half: u32| to.add(at).cast::<u32>().write_unaligned(half);
        // Padding is written first, where the last bytes then cover what is none.
        let high = if len < 8 {
            if len >= 4 {
                let (first, last) = (half(0), half(len - 4));
                put(0, 0);
                put_half(0, first);
                put_half(len - 4, last);
                u64::from(first | last)
            } else if len > 0 {
                let (middle, end) = (len / 2, len - 1);
                let text = byte(0) | byte(middle) << (8 * middle) | byte(end) << (8 * end);
                put(0, text);
                text
            } else {
                0
            }
        } else if len <= 16 {
            let (first, last) = (word(0), word(len - 8));
            put((len - 1) & !7, 0);
            put(0, first);
            put(len - 8, last);
            first | last
        } else if len <= SHORT {
            let mut high = word(len - 8);
            put((len - 1) & !7, 0);
            put(len - 8, high);
            let mut at = 0;
            while at < len - 8 {
                let next = word(at);
                high |= next;
                put(at, next);
                at += 8;
            }
            high
        } else {
            HIGH
        };
        high & HIGH == 0
    }
}

/// Longer texts are left to functions that look at more at once.
const SHORT: usize = 64;

/// A short text if it is ASCII, found without a call.
#[inline(always)]
pub(crate) fn short_ascii(text: &[u8]) -> Option<&str> {
    let high = if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        let (words, _) = text.as_chunks::<8>();
        if text.len() > SHORT {
            return None;
        }
        let all = words[1..]
            .iter()
            .fold(u64::from_le_bytes(*first), |all, word| all | u64::from_le_bytes(*word));
        all | u64::from_le_bytes(*last)
    } else {
        text.iter().fold(0, |all, byte| all | u64::from(*byte))
    };
    // SAFETY: ASCII is UTF-8.
    (high & HIGH == 0).then(|| unsafe { std::str::from_utf8_unchecked(text) })
}

/// The bit that no byte of ASCII has.
const HIGH: u64 = 0x8080_8080_8080_8080;

/// # Safety
/// As for [`copy_utf8`].
#[inline(never)]
unsafe fn copy_other(from: *const u8, len: usize, to: *mut u8) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let text = if len == 0 { &[] } else { std::slice::from_raw_parts(from, len) };
        copy_padded(from, to, len);
        is_utf8(text)
    }
}

/// Whether it is UTF-8.
fn is_utf8(text: &[u8]) -> bool {
    text.is_ascii() || std::str::from_utf8(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Copies with and without a call; both must agree where both do it, and with `from_utf8`.
    fn is_copied(text: &[u8]) -> bool {
        let [mut plain, mut any] = [[u64::MAX; 12]; 2];
        // SAFETY: the copies are long enough.
        let [ascii, utf8] = unsafe {
            let (from, len) = (text.as_ptr(), text.len());
            [
                copy_ascii(from, len, plain.as_mut_ptr().cast()),
                copy_utf8(from, len, any.as_mut_ptr().cast()),
            ]
        };
        assert_eq!(utf8, std::str::from_utf8(text).is_ok(), "{text:?}");
        assert_eq!(ascii, text.is_ascii() && text.len() <= SHORT, "{text:?}");
        assert_eq!(short_ascii(text).map(str::as_bytes), ascii.then_some(text));
        for copy in [utf8.then_some(any), ascii.then_some(plain)].into_iter().flatten() {
            let bytes: Vec<u8> = copy.iter().flat_map(|word| word.to_le_bytes()).collect();
            let end = text.len().next_multiple_of(8);
            assert_eq!(bytes[..text.len()], *text);
            assert!(bytes[text.len()..end].iter().all(|byte| *byte == 0), "{text:?}");
            assert!(bytes[end..].iter().all(|byte| *byte == 255), "{text:?}");
        }
        utf8
    }

    #[test]
    fn texts_of_any_length_are_copied_whole_and_anything_else_is_refused() {
        for len in 0..80 {
            let mut text: Vec<u8> = (0..len as u8).collect();
            assert!(is_copied(&text));
            for at in 0..len {
                let before = text[at];
                for wrong in [0x80, 0xc3, 0xff] {
                    text[at] = wrong;
                    assert!(!is_copied(&text), "{text:?}");
                }
                text[at] = before;
                if at > 0 {
                    let pair = [text[at - 1], text[at]];
                    text[at - 1..=at].copy_from_slice("ä".as_bytes());
                    assert!(is_copied(&text), "{text:?}");
                    text[at - 1..=at].copy_from_slice(&pair);
                }
            }
        }
    }

    #[test]
    #[cfg(unix)]
    #[cfg_attr(miri, ignore = "protects pages")]
    fn nothing_behind_a_text_is_read() {
        for len in 0..80 {
            crate::edge::at_the_end_of_a_page(&vec![b'e'; len], |text| assert!(is_copied(text)));
        }
    }

    #[test]
    fn only_what_can_be_kept_has_to_be_utf8() {
        assert!(is_plain("äöü".as_bytes(), 100));
        assert!(!is_plain(b"\xff", 100));
        assert!(is_plain(b"abcdefgh\xff\xff", 4));
        assert!(!is_plain(b"abc\xffefgh", 4));
        // Cut inside a character: the boundary before it is kept, so all of it has to be right.
        assert!(is_plain("abcä and more".as_bytes(), 4));
        assert!(!is_plain(b"abc\xc3and more", 4));
    }

    #[test]
    fn what_is_replaced_is_utf8() {
        assert_eq!(&*replaced(b"a\xff\xfe", 100), "a\u{fffd}\u{fffd}".as_bytes());
        assert_eq!(&*replaced("ä".as_bytes(), 100), "ä".as_bytes());
        let long = vec![0xff; REPLACED + 10];
        assert_eq!(replaced(&long, 100).len(), 3 * REPLACED);
    }
}
