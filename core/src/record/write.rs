//! Encodes fields and records into memory somebody else provides.

use bytemuck::Pod;

use super::value::{Field, Key, Value};
use super::{
    DefinitionFixed, Header, INLINE_KEY, Kind, Level, MAX_LENGTH, Tag, field_word, halves, padded,
};
use crate::intern::Id;

/// Writes words into `[cursor, end)`. What does not fit is left out whole and counted; nothing is
/// ever written half.
#[derive(Debug)]
pub struct Encoder<'a> {
    start: *mut u8,
    cursor: *mut u8,
    end: *mut u8,
    missed: u32,
    max_string: usize,
    memory: std::marker::PhantomData<&'a mut [u8]>,
}

impl<'a> Encoder<'a> {
    /// An encoder over `memory`, whose strings are cut at `max_string` bytes.
    pub fn new(memory: &'a mut [u64], max_string: usize) -> Self {
        let range = memory.as_mut_ptr_range();
        // SAFETY: the range is exclusively borrowed for 'a, aligned and made of whole words.
        unsafe { Self::from_raw(range.start.cast(), range.end.cast(), max_string) }
    }

    /// An encoder over raw memory.
    ///
    /// # Safety
    /// `[start, end)` is writable, aligned to 8, a whole number of words, and nobody else touches
    /// it for `'a`.
    #[inline(always)]
    pub unsafe fn from_raw(start: *mut u8, end: *mut u8, max_string: usize) -> Self {
        let max_string = max_string.min(MAX_LENGTH);
        Self { start, cursor: start, end, missed: 0, max_string, memory: std::marker::PhantomData }
    }

    /// Bytes written.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.cursor as usize - self.start as usize
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes left.
    #[inline(always)]
    pub fn room(&self) -> usize {
        self.end as usize - self.cursor as usize
    }

    /// How many parts were left out for lack of room.
    #[inline(always)]
    pub fn missed(&self) -> u32 {
        self.missed
    }

    /// The longest string, in bytes.
    #[inline(always)]
    pub fn max_string(&self) -> usize {
        self.max_string
    }

    /// Counts one part left out.
    #[cold]
    pub fn miss(&mut self) {
        self.missed += 1;
    }

    #[inline(always)]
    fn fits(&mut self, bytes: usize) -> bool {
        if bytes <= self.room() {
            return true;
        }
        self.miss();
        false
    }

    /// # Safety
    /// At least 8 bytes of room.
    #[inline(always)]
    unsafe fn word_unchecked(&mut self, word: u64) {
        // SAFETY: the caller has checked the room; the cursor is always aligned to 8.
        unsafe {
            self.cursor.cast::<u64>().write(word);
            self.cursor = self.cursor.add(8);
        }
    }

    /// # Safety
    /// At least `padded(bytes.len())` bytes of room.
    #[inline(always)]
    unsafe fn bytes_unchecked(&mut self, bytes: &[u8]) {
        let len = bytes.len();
        // SAFETY: the caller has checked the room, and the destination is exclusively ours.
        unsafe {
            copy_padded(bytes.as_ptr(), self.cursor, len);
            self.cursor = self.cursor.add(padded(len));
        }
    }

    /// Writes a fixed part; `false` and counted when there is no room.
    #[inline(always)]
    pub fn fixed<T: Pod>(&mut self, part: &T) -> bool {
        const { assert!(size_of::<T>().is_multiple_of(8) && align_of::<T>() <= 8) };
        if !self.fits(size_of::<T>()) {
            return false;
        }
        // SAFETY: the room is checked; the cursor is aligned to 8, which is enough for T.
        unsafe {
            self.cursor.cast::<T>().write(*part);
            self.cursor = self.cursor.add(size_of::<T>());
        }
        true
    }

    /// Writes a fixed part given as words; `false` and counted when there is no room. A header put
    /// together byte by byte on the stack and copied in one piece would wait for the bytes to
    /// leave the store buffer.
    #[inline(always)]
    pub fn words<const N: usize>(&mut self, words: [u64; N]) -> bool {
        if !self.fits(N * 8) {
            return false;
        }
        for word in words {
            // SAFETY: the room is checked.
            unsafe { self.word_unchecked(word) };
        }
        true
    }

    /// Writes text without a field word, padded; its length stands in a fixed part.
    #[inline(always)]
    pub fn text(&mut self, text: &[u8]) -> bool {
        if !self.fits(padded(text.len())) {
            return false;
        }
        // SAFETY: the room is checked.
        unsafe { self.bytes_unchecked(text) };
        true
    }

    /// Copies what another encoder wrote.
    #[inline(always)]
    pub fn copy(&mut self, encoded: &[u8]) -> bool {
        debug_assert!(encoded.len().is_multiple_of(8));
        self.text(encoded)
    }

    /// Overwrites the fixed part at `offset`, which was written before.
    #[inline(always)]
    pub fn patch<T: Pod>(&mut self, offset: usize, part: &T) {
        assert!(offset + size_of::<T>() <= self.len() && offset.is_multiple_of(8));
        // SAFETY: inside what has been written, aligned to 8.
        unsafe { self.start.add(offset).cast::<T>().write(*part) };
    }

    /// Takes back everything after `len`.
    pub fn truncate(&mut self, len: usize) {
        assert!(len <= self.len() && len.is_multiple_of(8));
        // SAFETY: between start and cursor.
        self.cursor = unsafe { self.start.add(len) };
    }

    /// Writes a field with one word of payload.
    #[inline(always)]
    pub fn word_field(&mut self, key: Key<'_>, tag: Tag, payload: u64) -> bool {
        let Key::Id(id) = key else { return self.inline(key, |e, k| e.word_raw(k, tag, payload)) };
        self.word_raw(id.0, tag, payload)
    }

    #[inline(always)]
    fn word_raw(&mut self, key: u32, tag: Tag, payload: u64) -> bool {
        if !self.fits(16) {
            return false;
        }
        // SAFETY: the room is checked.
        unsafe {
            self.word_unchecked(field_word(key, tag, 0));
            self.word_unchecked(payload);
        }
        true
    }

    /// Writes a field whose value is in its word: null or a boolean.
    #[inline(always)]
    pub fn small_field(&mut self, key: Key<'_>, tag: Tag, small: usize) -> bool {
        let Key::Id(id) = key else { return self.inline(key, |e, k| e.small_raw(k, tag, small)) };
        self.small_raw(id.0, tag, small)
    }

    #[inline(always)]
    fn small_raw(&mut self, key: u32, tag: Tag, small: usize) -> bool {
        if !self.fits(8) {
            return false;
        }
        // SAFETY: the room is checked.
        unsafe { self.word_unchecked(field_word(key, tag, small)) };
        true
    }

    /// Writes a text field, cut on a character boundary where it is too long. `text` is UTF-8.
    #[inline(always)]
    pub fn str_field(&mut self, key: Key<'_>, text: &[u8]) -> bool {
        let Key::Id(id) = key else { return self.inline(key, |e, k| e.str_raw(k, text)) };
        self.str_raw(id.0, text)
    }

    #[inline(always)]
    fn str_raw(&mut self, key: u32, text: &[u8]) -> bool {
        if text.len() > self.max_string {
            return self.cut_raw(key, text);
        }
        self.bytes_raw(key, Tag::Str, text)
    }

    #[cold]
    fn cut_raw(&mut self, key: u32, text: &[u8]) -> bool {
        let kept = cut(text, self.max_string);
        self.kept_raw(key, kept, (text.len() - kept.len()) as u64)
    }

    /// Writes what was kept of a text that has been cut before.
    pub fn cut_field(&mut self, key: Key<'_>, kept: &[u8], left_out: u64) -> bool {
        let Key::Id(id) = key else {
            return self.inline(key, |e, k| e.kept_raw(k, kept, left_out));
        };
        self.kept_raw(id.0, kept, left_out)
    }

    fn kept_raw(&mut self, key: u32, kept: &[u8], left_out: u64) -> bool {
        if !self.fits(16 + padded(kept.len())) {
            return false;
        }
        // SAFETY: the room is checked.
        unsafe {
            self.word_unchecked(field_word(key, Tag::CutStr, kept.len()));
            self.word_unchecked(left_out);
            self.bytes_unchecked(kept);
        }
        true
    }

    #[inline(always)]
    fn bytes_raw(&mut self, key: u32, tag: Tag, bytes: &[u8]) -> bool {
        if !self.fits(8 + padded(bytes.len())) {
            return false;
        }
        // SAFETY: the room is checked.
        unsafe {
            self.word_unchecked(field_word(key, tag, bytes.len()));
            self.bytes_unchecked(bytes);
        }
        true
    }

    /// Writes raw bytes or decimal digits, cut at the limit for strings.
    pub fn bytes_field(&mut self, key: Key<'_>, tag: Tag, bytes: &[u8]) -> bool {
        debug_assert!(matches!(tag, Tag::Bytes | Tag::BigInt));
        let bytes = &bytes[..bytes.len().min(MAX_LENGTH)];
        let Key::Id(id) = key else { return self.inline(key, |e, k| e.bytes_raw(k, tag, bytes)) };
        self.bytes_raw(id.0, tag, bytes)
    }

    /// Writes a list or map, whose contents `fill` encodes; taken back whole when they do not fit.
    pub fn nested(&mut self, key: Key<'_>, tag: Tag, fill: impl FnOnce(&mut Self)) -> bool {
        debug_assert!(matches!(tag, Tag::List | Tag::Map));
        let (before, missed) = (self.len(), self.missed);
        let key = match key {
            Key::Id(id) => id.0,
            Key::Text(text) => {
                if !self.bytes_raw(INLINE_KEY, Tag::Str, cut(text.as_bytes(), self.max_string)) {
                    return false;
                }
                0
            }
        };
        let word_at = self.len();
        if !self.small_raw(key, tag, 0) {
            self.truncate(before);
            return false;
        }
        fill(self);
        let length = self.len() - word_at - 8;
        if self.missed != missed || length > MAX_LENGTH {
            self.truncate(before);
            self.missed = missed + 1;
            return false;
        }
        self.patch(word_at, &field_word(key, tag, length));
        true
    }

    /// A key that has no id: its text first, then the value with key 0.
    #[cold]
    fn inline(&mut self, key: Key<'_>, value: impl FnOnce(&mut Self, u32) -> bool) -> bool {
        let Key::Text(text) = key else { unreachable!("only keys without an id come here") };
        let before = self.len();
        let text = cut(text.as_bytes(), self.max_string);
        if !self.bytes_raw(INLINE_KEY, Tag::Str, text) {
            return false;
        }
        let written = value(self, 0);
        if !written {
            self.truncate(before);
        }
        written
    }

    /// Writes one field.
    #[inline(always)]
    pub fn field(&mut self, field: Field<'_>) -> bool {
        self.field_at(&field)
    }

    /// Writes one field from where it stands.
    #[inline(always)]
    pub fn field_at(&mut self, &(key, ref value): &Field<'_>) -> bool {
        match *value {
            Value::I64(v) => self.word_field(key, Tag::I64, v as u64),
            Value::U64(v) => self.word_field(key, Tag::U64, v),
            Value::F64(v) => self.word_field(key, Tag::F64, v.to_bits()),
            Value::Str(v) => self.str_field(key, v.as_bytes()),
            Value::Bool(v) => self.small_field(key, Tag::Bool, usize::from(v)),
            Value::Null => self.small_field(key, Tag::Null, 0),
            Value::Bytes(v) => {
                self.bytes_field(key, Tag::Bytes, &v[..v.len().min(self.max_string)])
            }
        }
    }
}

/// A whole record that says what `id` stands for.
pub fn definition(id: Id, text: &str) -> Vec<u8> {
    let size = size_of::<DefinitionFixed>() + padded(text.len());
    let mut words = vec![0; size / 8];
    let mut encoder = Encoder::new(&mut words, text.len());
    let first = Header::word(Kind::Definition, Level::Debug, 0) | size as u64;
    encoder.words([first, 0, halves(id.0, text.len() as u32)]);
    encoder.text(text.as_bytes());
    bytemuck::cast_slice(&words).to_vec()
}

/// Copies `len` bytes and fills the last word up with zeros. Texts are short: a call to `memcpy`
/// would cost more than the words.
///
/// # Safety
/// `from` is readable for `len` bytes, `to` aligned to 8 and writable for `padded(len)` bytes, and
/// they do not overlap.
#[inline(always)]
pub unsafe fn copy_padded(from: *const u8, to: *mut u8, len: usize) {
    const FEW: usize = 64;
    // SAFETY: every access below is inside the two ranges, as each branch says.
    unsafe {
        if len > FEW {
            to.add(padded(len) - 8).cast::<u64>().write(0);
            std::ptr::copy_nonoverlapping(from, to, len);
        } else if len >= 8 {
            let mut at = 0;
            // Whole words from the beginning, each ending at or before `len`.
            while at + 8 <= len {
                to.add(at).cast::<u64>().write(from.add(at).cast::<u64>().read_unaligned());
                at += 8;
            }
            if at < len {
                // The last 8 bytes, shifted so that those not copied yet come first.
                let last = from.add(len - 8).cast::<u64>().read_unaligned();
                to.add(at).cast::<u64>().write(last >> (8 * (at + 8 - len)));
            }
        } else if len > 0 {
            to.cast::<u64>().write(short_word(from, len));
        }
    }
}

/// The 1 to 7 bytes at `from` in the low end of a word.
///
/// # Safety
/// `from` is readable for `len` bytes, which are 1 to 7.
#[inline(always)]
unsafe fn short_word(from: *const u8, len: usize) -> u64 {
    // SAFETY: two overlapping reads inside `len` bytes, or one to three single ones.
    unsafe {
        if len >= 4 {
            let low = u64::from(from.cast::<u32>().read_unaligned());
            let high = u64::from(from.add(len - 4).cast::<u32>().read_unaligned());
            low | high << (8 * (len - 4))
        } else {
            let (first, middle, last) = (*from, *from.add(len / 2), *from.add(len - 1));
            u64::from(first)
                | u64::from(middle) << (8 * (len / 2))
                | u64::from(last) << (8 * (len - 1))
        }
    }
}

/// The longest beginning of `text` of at most `limit` bytes that ends on a character boundary.
pub fn cut(text: &[u8], limit: usize) -> &[u8] {
    if text.len() <= limit {
        return text;
    }
    let mut end = limit;
    while end > 0 && text[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_copied_whole_and_padded_with_zeros() {
        let text: Vec<u8> = (1..=200).collect();
        for len in 0..=text.len() {
            let mut memory = [u64::MAX; 32];
            let mut encoder = Encoder::new(&mut memory, 1000);
            assert!(encoder.text(&text[..len]));
            assert_eq!(encoder.len(), padded(len));
            let bytes: &[u8] = bytemuck::cast_slice(&memory);
            assert_eq!(bytes[..len], text[..len]);
            assert!(bytes[len..padded(len)].iter().all(|&byte| byte == 0), "{len}");
            assert_eq!(bytes[padded(len)], 255);
        }
    }
}
