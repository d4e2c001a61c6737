//! Where a thread's cells of bound series are.
//!
//! A bound handle has a number of its own, never used again, and a pipeline has one, so that both
//! together name a cell of this thread: a match stands for "recording is on, same pipeline, same
//! process, thread alive, series known". Whatever ends one of these empties the table.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

use bytemuck::Zeroable;

use crate::sync::mutant;

/// A direct-mapped table of cells.
pub(crate) struct Found<const N: usize>([Entry; N]);

// SAFETY: an array of what may be zero.
unsafe impl<const N: usize> Zeroable for Found<N> {}

#[derive(Zeroable)]
struct Entry {
    /// 0 where there is nothing.
    tag: Cell<u64>,
    cells: Cell<*const ()>,
    /// More that the series needs.
    more: Cell<*const ()>,
}

/// The number of a new handle; 0, which is never found, when they have all been given out.
pub(crate) fn handle_number() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let next = |last: u32| last.checked_add(1);
    // Relaxed: only that no two are the same counts.
    LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).map_or(0, |last| last + 1)
}

/// What names a handle's cells in a pipeline.
#[inline(always)]
pub(crate) fn tag(pipeline: u64, handle: u32) -> u64 {
    pipeline << 32 | u64::from(handle)
}

impl<const N: usize> Found<N> {
    /// What was put there under `tag`.
    #[inline(always)]
    pub(crate) fn get(&self, tag: u64) -> Option<(*const (), *const ())> {
        let entry = &self.0[tag as usize % N];
        (entry.tag.get() == tag).then(|| (entry.cells.get(), entry.more.get()))
    }

    /// Puts cells there for a handle in a pipeline.
    pub(crate) fn put(&self, pipeline: u64, handle: u32, cells: *const (), more: *const ()) {
        // The tags of others would not be theirs alone.
        if handle == 0 || pipeline >= u64::from(u32::MAX) {
            return;
        }
        let tag = tag(pipeline, handle);
        let entry = &self.0[tag as usize % N];
        entry.tag.set(0);
        entry.cells.set(cells);
        entry.more.set(more);
        entry.tag.set(tag);
    }

    /// Empties the table.
    pub(crate) fn clear(&self) {
        if mutant!("found_clear") {
            return;
        }
        self.0.iter().for_each(|entry| entry.tag.set(0));
    }
}
