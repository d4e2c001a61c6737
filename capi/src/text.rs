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

/// Whether it is UTF-8.
#[inline(always)]
pub(crate) fn is_utf8(text: &[u8]) -> bool {
    is_ascii(text) || std::str::from_utf8(text).is_ok()
}

/// Copies a text and fills its last word up with zeros if it is UTF-8; else what it has written
/// does not matter. Texts of a word or two, as most are, are looked at and copied in one go.
///
/// # Safety
/// `from` is readable for `len` bytes; `to` is writable for as many rounded up to whole words.
#[inline(always)]
pub(crate) unsafe fn copy_utf8(from: *const u8, len: usize, to: *mut u8) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // SAFETY: all that is read and written, unaligned, lies in the two ranges.
    unsafe {
        let word = |at: usize| from.add(at).cast::<u64>().read_unaligned();
        let half = |at: usize| u64::from(from.add(at).cast::<u32>().read_unaligned());
        let put = |at: usize, word: u64| to.add(at).cast::<u64>().write(word);
        match len {
            4..=7 => {
                let text = half(0) | half(len - 4) << (8 * (len - 4));
                put(0, text);
                if text & HIGH == 0 {
                    return true;
                }
            }
            9..=16 => {
                let (first, last) = (word(0), word(len - 8));
                put(0, first);
                put(8, last >> (8 * (16 - len)));
                if (first | last) & HIGH == 0 {
                    return true;
                }
            }
            _ => {}
        }
        copy_other(from, len, to)
    }
}

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

/// As `<[u8]>::is_ascii`, inlined and without a loop for up to 16 bytes, as most texts have.
#[inline(always)]
fn is_ascii(text: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let len = text.len();
    let word = |at: usize| {
        let bytes: [u8; 8] = text[at..at + 8].try_into().unwrap_or_default();
        u64::from_le_bytes(bytes)
    };
    let high = match len {
        0..=3 => text.iter().fold(0, |all, &byte| all | u64::from(byte)),
        4..=7 => {
            let half = |at: usize| {
                let bytes: [u8; 4] = text[at..at + 4].try_into().unwrap_or_default();
                u64::from(u32::from_le_bytes(bytes))
            };
            half(0) | half(len - 4)
        }
        8..=16 => word(0) | word(len - 8),
        _ => return text.is_ascii(),
    };
    high & HIGH == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_is_told_at_any_length_and_place() {
        for len in 0..40 {
            let mut text = vec![b'x'; len];
            assert!(is_ascii(&text), "{len}");
            for at in 0..len {
                text[at] = 0x80;
                assert!(!is_ascii(&text), "{len} {at}");
                text[at] = b'x';
            }
        }
    }

    #[test]
    fn texts_of_any_length_are_copied_whole_and_anything_else_is_refused() {
        for len in 0..80 {
            let mut text = vec![b'x'; len];
            let mut copy = [u64::MAX; 11];
            // SAFETY: `copy` is long enough.
            let copied = |text: &[u8], copy: &mut [u64; 11]| unsafe {
                copy_utf8(text.as_ptr(), text.len(), copy.as_mut_ptr().cast())
            };
            assert!(copied(&text, &mut copy), "{len}");
            let bytes: Vec<u8> = copy.iter().flat_map(|word| word.to_le_bytes()).collect();
            assert_eq!(bytes[..len], text[..]);
            assert!(bytes[len..len.next_multiple_of(8)].iter().all(|byte| *byte == 0), "{len}");
            assert_eq!(bytes[len.next_multiple_of(8)], 255, "{len}");
            for at in 0..len {
                text[at] = 0xff;
                assert!(!copied(&text, &mut copy), "{len} {at}");
                text[at] = b'x';
            }
            if len >= 2 {
                text[len - 2..].copy_from_slice("ä".as_bytes());
                assert!(copied(&text, &mut copy), "{len}");
            }
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
