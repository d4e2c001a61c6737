//! Fields gathered before they are recorded.

use super::write::Encoder;

/// A buffer of whole words that grows by doubling and keeps its memory.
#[derive(Debug, Default)]
pub struct Words {
    words: Vec<u64>,
    len: usize,
}

impl Words {
    /// Bytes written.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of memory it holds.
    pub fn memory(&self) -> usize {
        self.words.len() * 8
    }

    /// Forgets what has been written.
    #[inline]
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// What has been written, by words.
    #[inline]
    pub fn words(&self) -> &[u64] {
        &self.words[..self.len / 8]
    }

    /// What has been written.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.len]
    }

    /// Appends `size` bytes (a multiple of 8) that `write` writes, if there is memory for them and
    /// they stay within `budget` bytes in all; else nothing happens.
    ///
    /// # Safety
    /// `write` writes all of them, from where it is told.
    #[inline(always)]
    pub unsafe fn append_plain(
        &mut self,
        budget: usize,
        size: usize,
        write: impl FnOnce(*mut u8),
    ) -> bool {
        let end = self.len + size;
        if end > self.words.len() * 8 || end > budget {
            return false;
        }
        // SAFETY: `len` is inside the memory.
        write(unsafe { self.words.as_mut_ptr().cast::<u8>().add(self.len) });
        self.len = end;
        true
    }

    /// Appends what `encode` writes, if it fits into `budget` bytes in all. `encode` runs again
    /// with more room while something does not fit.
    #[inline]
    pub fn append<R>(
        &mut self,
        budget: usize,
        max_string: usize,
        encode: impl Fn(&mut Encoder<'_>) -> R,
    ) -> Option<R> {
        loop {
            let mut encoder = Encoder::new(&mut self.words[self.len / 8..], max_string);
            let result = encode(&mut encoder);
            let (missed, written) = (encoder.missed(), encoder.len());
            if missed == 0 {
                if self.len + written > budget {
                    return None;
                }
                self.len += written;
                return Some(result);
            }
            if !self.grow(budget) {
                return None;
            }
        }
    }

    #[cold]
    fn grow(&mut self, budget: usize) -> bool {
        let bytes = self.words.len() * 8;
        if bytes >= budget {
            return false;
        }
        self.words.resize((bytes * 2).max(512).min(budget.next_multiple_of(8)) / 8, 0);
        true
    }

    /// Takes out a range of words.
    pub fn remove(&mut self, place: std::ops::Range<usize>) {
        self.words.copy_within(place.end..self.len / 8, place.start);
        self.len -= place.len() * 8;
    }
}
