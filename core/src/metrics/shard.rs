//! The cells of one thread at a time.

use super::budget::Budget;
use super::cells::HistogramCells;
use super::lazy::Lazy;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::own;
use std::array::from_fn;

#[cfg(not(any(coati_loom, miri)))]
mod size {
    pub(super) const NUMBER_PAGES: usize = 512;
    pub(super) const HISTOGRAM_PAGES: usize = 256;
    pub(super) const SLOTS: usize = 256;
}

#[cfg(coati_loom)]
mod size {
    pub(super) const NUMBER_PAGES: usize = 2;
    pub(super) const HISTOGRAM_PAGES: usize = 2;
    pub(super) const SLOTS: usize = 2;
}

// Miri looks at a whole shard whenever it is borrowed.
#[cfg(all(miri, not(coati_loom)))]
mod size {
    pub(super) const NUMBER_PAGES: usize = 4;
    pub(super) const HISTOGRAM_PAGES: usize = 4;
    pub(super) const SLOTS: usize = 4;
}

use size::{HISTOGRAM_PAGES, NUMBER_PAGES, SLOTS};

/// The first slot of the last page, which is never made: who has it always takes the slow path.
pub(super) const NO_NUMBER: u32 = ((NUMBER_PAGES - 1) * SLOTS) as u32;
/// Likewise for histograms.
pub(super) const NO_HISTOGRAM: u32 = ((HISTOGRAM_PAGES - 1) * SLOTS) as u32;

/// A counter's two parts: an exact integer, and a double that float adds alone touch.
///
/// Relaxed throughout: each is a number of its own and publishes nothing.
pub(super) struct Pair {
    int: AtomicU64,
    float: AtomicU64,
}

impl Pair {
    fn new() -> Self {
        Self { int: AtomicU64::new(0), float: AtomicU64::new(0) }
    }

    /// The owner's add: it alone writes, so load and store suffice.
    #[inline(always)]
    pub(super) fn add_int(&self, amount: i64) {
        let sum = own(&self.int).wrapping_add(amount as u64);
        self.int.store(sum, Ordering::Relaxed);
    }

    /// The owner's add; false when the sum was zero, that is, possibly the first.
    #[inline(always)]
    pub(super) fn add_float(&self, amount: f64) -> bool {
        let before = own(&self.float);
        self.float.store((f64::from_bits(before) + amount).to_bits(), Ordering::Relaxed);
        before != 0
    }

    /// Where [`Pair::add_int`] adds.
    #[cfg(not(coati_loom))]
    pub(super) fn int_cell(&self) -> *const AtomicU64 {
        &raw const self.int
    }

    pub(super) fn int(&self) -> i64 {
        self.int.load(Ordering::Relaxed) as i64
    }

    pub(super) fn float(&self) -> f64 {
        f64::from_bits(self.float.load(Ordering::Relaxed))
    }
}

/// On cache lines that no other thread's cells share, with the neighbour a processor may fetch.
#[repr(align(128))]
struct NumberPage([Pair; SLOTS]);

type HistogramPage = [Lazy<HistogramCells>; SLOTS];

/// One thread's cells of every series it has touched.
///
/// A shard has one owner at a time, the only one to write; [`super::Store::acquire_shard`] hands
/// it out and [`super::Store::release_shard`] takes it back. Two threads that write one shard at
/// once lose counts, and nothing worse.
pub struct Shard {
    numbers: [Lazy<NumberPage>; NUMBER_PAGES],
    histograms: [Lazy<HistogramPage>; HISTOGRAM_PAGES],
    /// False for the one shard that stands for "none left": it never gets a page.
    grows: bool,
}

impl Shard {
    pub(super) fn new(grows: bool) -> Self {
        Self { numbers: from_fn(|_| Lazy::new()), histograms: from_fn(|_| Lazy::new()), grows }
    }

    pub(super) fn grows(&self) -> bool {
        self.grows
    }

    #[inline(always)]
    pub(super) fn number(&self, slot: u32) -> Option<&Pair> {
        let page = self.numbers[slot as usize / SLOTS % NUMBER_PAGES].get()?;
        Some(&page.0[slot as usize % SLOTS])
    }

    #[inline(always)]
    pub(super) fn histogram(&self, slot: u32) -> Option<&HistogramCells> {
        let page = self.histograms[slot as usize / SLOTS % HISTOGRAM_PAGES].get()?;
        page[slot as usize % SLOTS].get()
    }

    /// The pair at `slot`, its page made if the budget allows.
    pub(super) fn make_number(&self, slot: u32, budget: &Budget) -> Option<&Pair> {
        if !self.grows || slot >= NO_NUMBER {
            return None;
        }
        let page = self.numbers[slot as usize / SLOTS].get_or_make(|| {
            budget
                .try_take(size_of::<NumberPage>())
                .then(|| Box::new(NumberPage(from_fn(|_| Pair::new()))))
        })?;
        Some(&page.0[slot as usize % SLOTS])
    }

    /// The cells at `slot`, made if the budget allows.
    pub(super) fn make_histogram(
        &self,
        slot: u32,
        bounds: Option<&[f64]>,
        budget: &Budget,
    ) -> Option<&HistogramCells> {
        if !self.grows || slot >= NO_HISTOGRAM {
            return None;
        }
        let page = self.histograms[slot as usize / SLOTS].get_or_make(|| {
            budget.try_take(size_of::<HistogramPage>()).then(|| Box::new(from_fn(|_| Lazy::new())))
        })?;
        page[slot as usize % SLOTS].get_or_make(|| HistogramCells::new(bounds, budget, true))
    }
}
