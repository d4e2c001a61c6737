//! Where the next record goes: index arithmetic as plain data, checked against an oracle.

use crate::sync::mutant;

/// What the producer knows of a ring at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Positions {
    /// Bytes in the ring, a power of two.
    pub capacity: u64,
    /// Everything before this has been released by the consumer.
    pub head: u64,
    /// Everything before this has been published by the producer.
    pub tail: u64,
}

/// How a record of the asked size can be placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At `tail`, before the end of the storage.
    Here,
    /// At the beginning of the storage, after a filler of this many bytes at `tail`.
    AfterFiller(u64),
    /// Not now.
    Full,
    /// Not in a ring of this capacity.
    Never,
}

impl Positions {
    /// What always holds.
    pub fn invariants(&self) -> bool {
        self.capacity.is_power_of_two()
            && self.head <= self.tail
            && self.tail - self.head <= self.capacity
            && self.tail.is_multiple_of(8)
            && self.head.is_multiple_of(8)
    }

    /// Bytes that may be written.
    #[inline]
    pub fn free(&self) -> u64 {
        self.capacity - (self.tail - self.head)
    }

    /// Bytes between `tail` and the end of the storage.
    #[inline]
    pub fn until_end(&self) -> u64 {
        self.capacity - (self.tail & (self.capacity - 1))
    }

    /// The place of a record of `size` bytes. A record of at most half the capacity always finds
    /// one in an empty ring, with or without a filler.
    #[inline]
    pub fn place(&self, size: u64) -> Place {
        debug_assert!(self.invariants());
        let until_end = self.until_end();
        if size > self.capacity / 2 && !mutant!("ring_too_large") {
            Place::Never
        } else if size <= until_end || mutant!("ring_wrap") {
            if size <= self.free() || mutant!("ring_full") { Place::Here } else { Place::Full }
        } else if until_end + size <= self.free() || mutant!("ring_full_behind_filler") {
            Place::AfterFiller(until_end)
        } else {
            Place::Full
        }
    }
}
