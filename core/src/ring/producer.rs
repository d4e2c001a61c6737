//! The writing end.

use super::place::{Place, Positions};
use super::storage::View;
use super::{FILLER, Storage};
use crate::sync::{Arc, mutant, order, own};

/// The only writer of a ring.
#[derive(Debug)]
pub struct Producer {
    storage: Arc<Storage>,
    #[cfg_attr(coati_loom, allow(dead_code))]
    view: View,
    /// The producer's own tail: it never loads the shared one back.
    tail: u64,
    /// The consumer's head as last seen.
    head: u64,
    /// `tail` may grow to here without a look at anything: the nearer of the end of the storage,
    /// the last free byte, and the next quarter after which [`Producer::crowded`] is worth a look.
    open_until: u64,
    /// Bytes that only severe records may use.
    spare: u64,
}

/// Why there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// The consumer has not released enough yet.
    Full,
    /// The record is larger than half the ring.
    TooLarge,
}

impl Producer {
    /// The producer of `storage`, which has none now. `spare` bytes are kept for severe records.
    pub fn new(storage: Arc<Storage>, spare: u64) -> Self {
        // Whoever hands over a recycled ring synchronises (SYNC POINT C and the registry's lock).
        let tail = own(storage.tail());
        let view = storage.view();
        let mut producer = Self { storage, view, tail, head: 0, open_until: tail, spare };
        producer.look();
        producer
    }

    /// Bytes of data in the ring.
    #[inline(always)]
    pub fn capacity(&self) -> u64 {
        self.storage.capacity()
    }

    /// The contiguous bytes that may be written at once, without a look at the consumer.
    #[inline(always)]
    pub fn open(&self) -> u64 {
        self.open_until - self.tail
    }

    /// Makes room for `size` bytes (a multiple of 8) in one piece; only a severe record may use the
    /// spare bytes.
    #[cold]
    pub fn reserve(&mut self, size: u64, severe: bool) -> Result<(), NoRoom> {
        debug_assert!(size.is_multiple_of(8));
        let positions = self.look();
        match positions.place(size) {
            Place::Never => return Err(NoRoom::TooLarge),
            Place::Full => return Err(NoRoom::Full),
            place => {
                let filler = if let Place::AfterFiller(bytes) = place { bytes } else { 0 };
                let spare = if severe { 0 } else { self.spare };
                if positions.free() < size + filler + spare && !mutant!("ring_spare") {
                    return Err(NoRoom::Full);
                }
                if filler > 0 {
                    // SAFETY: `place` found the filler's bytes and the record's free.
                    unsafe { self.storage.write_word(self.tail, FILLER | filler) };
                    self.tail += filler;
                    // The filler is published with the record behind it, or alone if none comes:
                    // a consumer that meets it has nothing to wait for.
                    self.storage.tail().store(self.tail, order!(Release, "ring_filler"));
                }
            }
        }
        self.open_until = self.open_until.max(self.tail + size);
        Ok(())
    }

    /// Looks where the consumer is.
    fn look(&mut self) -> Positions {
        // SYNC POINT B (acquire): what the consumer released may be overwritten.
        self.head = self.storage.head().load(order!(Acquire, "ring_look"));
        let positions =
            Positions { capacity: self.storage.capacity(), head: self.head, tail: self.tail };
        debug_assert!(positions.invariants());
        let free = positions.free().saturating_sub(self.spare);
        let free = if mutant!("ring_stretch_free") { positions.capacity } else { free };
        let end = if mutant!("ring_stretch_end") { free } else { positions.until_end() };
        let stretch = end.min(free).min(positions.capacity / 4);
        self.open_until = self.tail + stretch;
        positions
    }

    /// Whether less than half the ring is free, as far as the producer knows.
    #[inline]
    pub fn crowded(&self) -> bool {
        self.tail - self.head > self.storage.capacity() / 2
    }

    /// Where the next record begins.
    #[cfg(not(coati_loom))]
    #[inline(always)]
    pub fn cursor(&mut self) -> *mut u8 {
        self.view.at(self.tail)
    }

    /// Writes one word of the record to come, `offset` bytes after its beginning.
    #[inline(always)]
    pub fn write_word(&mut self, offset: u64, word: u64) {
        assert!(self.tail + offset < self.open_until);
        // SAFETY: inside what `open` or `reserve` granted, which no consumer reads before
        // `publish`.
        unsafe { self.storage.write_word(self.tail + offset, word) };
    }

    /// Hands `size` bytes, all of them written, to the consumer.
    #[inline(always)]
    pub fn publish(&mut self, size: u64) {
        debug_assert!(size.is_multiple_of(8) && self.tail + size <= self.open_until);
        self.tail += size;
        #[cfg(not(coati_loom))]
        let tail = self.view.tail();
        #[cfg(coati_loom)]
        let tail = self.storage.tail();
        // SYNC POINT A (release): the record's bytes come before its publication.
        tail.store(self.tail, order!(Release, "ring_publish"));
    }
}
