//! The reading end.

use super::{FILLER, Storage};
use crate::sync::{Arc, mutant, order, own};

/// The only reader of a ring. Reading and releasing are two steps: a record's bytes stay where
/// they are until what was made of them has left the process.
#[derive(Debug)]
pub struct Consumer {
    storage: Arc<Storage>,
    /// Everything before this has been read.
    read: u64,
    /// Everything before this may be overwritten.
    released: u64,
}

impl Consumer {
    /// The consumer of `storage`, which never had one.
    pub fn new(storage: Arc<Storage>) -> Self {
        let head = own(storage.head());
        Self { storage, read: head, released: head }
    }

    /// The position up to which records are published.
    #[inline]
    pub fn published(&self) -> u64 {
        // SYNC POINT A (acquire): everything before the tail is seen whole.
        self.storage.tail().load(order!(Acquire, "ring_published"))
    }

    /// Whether everything published has been read.
    pub fn is_empty(&self) -> bool {
        self.read == self.published()
    }

    /// The position up to which records have been read.
    #[inline]
    pub fn position(&self) -> u64 {
        self.read
    }

    /// Length in bytes of the next record before `until`, which must come from
    /// [`Consumer::published`]; steps over fillers.
    #[inline]
    pub fn peek(&mut self, until: u64) -> Option<u64> {
        while self.read < until || mutant!("ring_until") {
            // SAFETY: `read` is below a published position and not released.
            let word = unsafe { self.storage.read_word(self.read) };
            let size = u64::from(word as u32);
            if word & FILLER == 0 || mutant!("ring_skip") {
                return Some(size);
            }
            self.read += size;
        }
        None
    }

    /// One word of the next record, `offset` bytes after its beginning. Call after `peek`.
    #[inline]
    pub fn word(&self, offset: u64) -> u64 {
        // SAFETY: inside the record that `peek` found published.
        unsafe { self.storage.read_word(self.read + offset) }
    }

    /// The next record's bytes. Call after `peek`, which told its `size`.
    #[cfg(not(coati_loom))]
    #[inline]
    pub fn record(&self, size: u64) -> &[u8] {
        // SAFETY: published, not released while `self` is borrowed, and contiguous.
        unsafe { std::slice::from_raw_parts(self.storage.at(self.read), size as usize) }
    }

    /// Steps over the record of `size` bytes.
    #[inline]
    pub fn advance(&mut self, size: u64) {
        self.read += size;
    }

    /// Lets the producer overwrite everything read so far.
    #[inline]
    pub fn release(&mut self) {
        if self.released != self.read {
            self.released = self.read;
            // SYNC POINT B (release): all reads of these bytes come before it.
            self.storage.head().store(self.read, order!(Release, "ring_release"));
        }
    }
}
