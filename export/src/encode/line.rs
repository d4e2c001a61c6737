//! The growing end of a buffer.

/// Appends to a vector part by part, its end kept in registers: what a vector does with a load and
/// a store of its length for each part costs more than the parts. The vector's length changes in
/// [`Line::finish`].
#[derive(Debug)]
pub struct Line<'a> {
    out: &'a mut Vec<u8>,
    /// Where the next byte goes.
    at: *mut u8,
    /// Behind the last byte that may be written.
    end: *mut u8,
}

/// What texts that are copied again and again are made of: a copy of whole chunks needs no look
/// at the length.
pub type Chunk = [u8; 16];

/// A text in chunks.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chunks {
    chunks: Vec<Chunk>,
    len: usize,
}

impl From<&[u8]> for Chunks {
    fn from(text: &[u8]) -> Self {
        let mut padded = text.to_vec();
        padded.resize(text.len().next_multiple_of(size_of::<Chunk>()), 0);
        Self { chunks: padded.as_chunks().0.to_vec(), len: text.len() }
    }
}

impl<'a> Line<'a> {
    /// Goes on behind what `out` holds.
    #[inline(always)]
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        let spare = out.spare_capacity_mut().as_mut_ptr_range();
        Self { at: spare.start.cast(), end: spare.end.cast(), out }
    }

    /// Makes everything appended part of the vector.
    #[inline(always)]
    pub fn finish(self) {
        // SAFETY: `at` never passes the vector's capacity, and everything before it is written.
        unsafe { self.out.set_len(self.at.offset_from_unsigned(self.out.as_ptr())) };
    }

    /// Appends by way of the vector what is too rare to be worth more. A panic there ends the line:
    /// nobody may go on with it.
    #[inline(always)]
    pub fn rarely(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        Line { out: &mut *self.out, ..*self }.finish();
        write(self.out);
        let spare = self.out.spare_capacity_mut().as_mut_ptr_range();
        (self.at, self.end) = (spare.start.cast(), spare.end.cast());
    }

    /// Makes sure that `bytes` more can be written.
    #[inline(always)]
    fn room(&mut self, bytes: usize) {
        if (self.end as usize) - (self.at as usize) < bytes {
            (self.at, self.end) = grow(self.out, self.at, bytes);
        }
    }

    /// Appends as many bytes as the compiler knows.
    #[inline(always)]
    pub fn put<const N: usize>(&mut self, bytes: &[u8; N]) {
        self.room(N);
        // SAFETY: there is room for N bytes.
        unsafe {
            self.at.cast::<[u8; N]>().write(*bytes);
            self.at = self.at.add(N);
        }
    }

    /// Appends any bytes.
    #[inline(always)]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.room(bytes.len());
        // SAFETY: there is room, in memory that nothing else borrows.
        unsafe {
            self.at.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            self.at = self.at.add(bytes.len());
        }
    }

    /// Appends the first `len` bytes of `chunks`.
    #[inline(always)]
    pub fn chunks(&mut self, chunks: &[Chunk], len: usize) {
        let chunks = &chunks[..len.div_ceil(size_of::<Chunk>())];
        self.room(size_of_val(chunks));
        for (i, chunk) in chunks.iter().enumerate() {
            // SAFETY: there is room for all chunks.
            unsafe { self.at.cast::<Chunk>().add(i).write_unaligned(*chunk) };
        }
        // SAFETY: `len` is at most the bytes of the chunks, which were written.
        self.at = unsafe { self.at.add(len) };
    }

    /// Appends a text in chunks.
    #[inline(always)]
    pub fn text(&mut self, text: &Chunks) {
        self.chunks(&text.chunks, text.len);
    }

    /// Appends `text` and a quote if nothing in it needs an escape in JSON; `false`, and nothing
    /// appended, if something does.
    #[inline(always)]
    pub fn plain(&mut self, text: &[u8]) -> bool {
        let len = text.len();
        self.room(len + 1);
        // SAFETY: there is room for the text and a quote, in memory that nothing else borrows.
        unsafe {
            let plain = copy_plain(text.as_ptr(), self.at, len);
            if plain {
                self.at.add(len).write(b'"');
                self.at = self.at.add(len + 1);
            }
            plain
        }
    }

    /// Appends the lowest `count` bytes of `word`, at most 8.
    #[inline(always)]
    pub fn word(&mut self, word: u64, count: usize) {
        assert!(count <= 8);
        self.room(8);
        // SAFETY: there is room for 8 bytes.
        unsafe {
            self.at.cast::<[u8; 8]>().write(word.to_le_bytes());
            self.at = self.at.add(count);
        }
    }
}

/// Makes room for `bytes` at `at`; where they now begin and the room ends.
#[cold]
#[inline(never)]
fn grow(out: &mut Vec<u8>, at: *mut u8, bytes: usize) -> (*mut u8, *mut u8) {
    let len = out.len();
    // SAFETY: `at` is inside the vector's memory and everything before it is written. The vector
    // gets its length back at once, so that a line cut short by a panic stays out of it.
    unsafe {
        let written = at.offset_from_unsigned(out.as_ptr());
        out.set_len(written);
        out.reserve(bytes);
        let start = out.as_mut_ptr();
        out.truncate(len);
        (start.add(written), start.add(out.capacity()))
    }
}

/// Copies `len` bytes and tells whether none of them needs an escape. Copies before it knows, and
/// copies some bytes twice: texts are short, and a call or a loop would cost more.
///
/// # Safety
/// `from` is readable and `to` writable for `len` bytes, and they do not overlap.
#[inline(always)]
unsafe fn copy_plain(from: *const u8, to: *mut u8, len: usize) -> bool {
    // SAFETY: every access lies between 0 and `len`, as the branches say.
    unsafe {
        if len >= 16 {
            let last = len - 16;
            let mut at = 0;
            while at < last {
                if !copy_chunk(from.add(at), to.add(at)) {
                    return false;
                }
                at += 16;
            }
            copy_chunk(from.add(last), to.add(last))
        } else if len >= 8 {
            let last = len - 8;
            let (first, second) =
                (copy::<u64>(from, to), copy::<u64>(from.add(last), to.add(last)));
            specials(first) | specials(second) == 0
        } else if len >= 4 {
            let last = len - 4;
            let (first, second) =
                (copy::<u32>(from, to), copy::<u32>(from.add(last), to.add(last)));
            specials(u64::from(first) | u64::from(second) << 32) == 0
        } else {
            (0..len).all(|at| {
                let byte = copy::<u8>(from.add(at), to.add(at));
                byte >= 0x20 && byte != b'"' && byte != b'\\'
            })
        }
    }
}

/// # Safety
/// Both are valid for a `T`.
#[inline(always)]
unsafe fn copy<T: Copy>(from: *const u8, to: *mut u8) -> T {
    // SAFETY: the caller's.
    unsafe {
        let value = from.cast::<T>().read_unaligned();
        to.cast::<T>().write_unaligned(value);
        value
    }
}

/// # Safety
/// Both are valid for a chunk.
#[inline(always)]
unsafe fn copy_chunk(from: *const u8, to: *mut u8) -> bool {
    // SAFETY: the caller's.
    let chunk: Chunk = unsafe { copy(from, to) };
    // Without a branch, so that it becomes a few vector instructions.
    let special = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    !chunk.iter().fold(false, |found, &byte| found | special(byte))
}

const ONES: u64 = u64::MAX / 255;
const HIGHS: u64 = ONES * 0x80;

/// Marks the bytes that need an escape in JSON by their highest bit. Above the first one marked
/// there may be a mark too many.
#[inline(always)]
pub(super) fn specials(word: u64) -> u64 {
    let zero = |x: u64| x.wrapping_sub(ONES) & !x;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = zero(word ^ (ONES * u64::from(b'"')));
    let backslash = zero(word ^ (ONES * u64::from(b'\\')));
    (control | quote | backslash) & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `append` makes of an empty vector with so much capacity.
    fn appended(capacity: usize, append: impl FnOnce(&mut Line<'_>)) -> Vec<u8> {
        let mut out = Vec::with_capacity(capacity);
        out.push(b'>');
        let mut line = Line::new(&mut out);
        append(&mut line);
        line.finish();
        assert_eq!(out.remove(0), b'>');
        out
    }

    #[test]
    fn parts_follow_each_other_whatever_room_there_was() {
        let mut chunks = [[b'x'; 16]; 3];
        chunks[0] = *b"0123456789abcdef";
        for capacity in 1..200 {
            let out = appended(capacity, |line| {
                line.put(b"abc");
                line.bytes(b"defgh");
                line.chunks(&chunks, 20);
                assert!(line.plain(b"a text that is longer than a chunk"));
                assert!(!line.plain(b"a text that is longer than \x01 chunk"));
                line.word(u64::from_le_bytes(*b"12345678"), 3);
                line.rarely(|out| out.extend_from_slice(b"rare"));
                line.put(b"!");
            });
            let expected =
                "abcdefgh0123456789abcdefxxxxa text that is longer than a chunk\"123rare!";
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{capacity}");
        }
    }

    #[test]
    fn every_byte_is_seen_at_every_place_in_texts_of_every_length() {
        for len in 0..70 {
            for at in 0..len {
                for byte in 0..=255u8 {
                    let mut text = vec![b'a'; len];
                    text[at] = byte;
                    let special = byte < 0x20 || byte == b'"' || byte == b'\\';
                    let mut plain = false;
                    let out = appended(1, |line| plain = line.plain(&text));
                    assert_eq!(plain, !special, "{byte} at {at} of {len}");
                    text.push(b'"');
                    assert_eq!(out, if plain { text } else { Vec::new() });
                }
            }
        }
    }

    #[test]
    fn what_is_not_finished_is_not_there() {
        let mut out = b"whole\n".to_vec();
        let mut line = Line::new(&mut out);
        line.bytes(&[b'x'; 1000]);
        let _ = line;
        assert_eq!(out, b"whole\n");
    }
}
