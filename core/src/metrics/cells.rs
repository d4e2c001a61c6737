//! One thread's cells of one histogram series, or those every thread shares beyond the budget.

use super::buckets::{OCTAVES, Place, SUBS, explicit};
use super::budget::Budget;
use super::lazy::Lazy;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{mutant, order, own};
use std::array::from_fn;

const MIDS: usize = 32;
const ROOTS: usize = OCTAVES / MIDS;

/// The counts of one octave, on cache lines that no other thread's cells share.
#[repr(align(64))]
struct Octave([AtomicU64; SUBS]);
type Mid = [Lazy<Octave>; MIDS];
type Root = [Lazy<Mid>; ROOTS];

/// A stamp no series ever has: cells that carry it have adopted nothing.
const UNSTAMPED: u64 = u64::MAX;

/// Counts by octave for touched octaves only, and the moments.
///
/// All cells are Relaxed: each is a number of its own, and what a reader needs to be consistent
/// (the count) it takes from the buckets alone. Only `stamp` publishes, see there.
#[repr(C, align(64))]
pub(crate) struct HistogramCells {
    sum: AtomicU64,
    squares: AtomicU64,
    /// Extremes since the series' stamp changed last.
    low: AtomicU64,
    high: AtomicU64,
    /// Extremes since the era (upper half of the stamp) changed last.
    min: AtomicU64,
    max: AtomicU64,
    /// The series' stamp these extremes belong to. Stored with Release after extremes have been
    /// started anew; a reader's Acquire load therefore never pairs it with older extremes.
    stamp: AtomicU64,
    zero: AtomicU64,
    positive: Root,
    negative: Lazy<Root>,
    explicit: Box<[AtomicU64]>,
}

/// Extremes read from cells; `low > high` says none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extremes {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Extremes {
    pub(super) const NONE: Self = Self { low: f64::INFINITY, high: f64::NEG_INFINITY };

    pub(super) fn merge(&mut self, other: Self) {
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
    }
}

#[inline(always)]
fn float(cell: &AtomicU64) -> f64 {
    f64::from_bits(cell.load(Ordering::Relaxed))
}

/// What a cell holds, for one who is about to write it.
#[inline(always)]
fn before<const SHARED: bool>(cell: &AtomicU64) -> u64 {
    if SHARED { cell.load(Ordering::Relaxed) } else { own(cell) }
}

/// Adds to a cell: alone by load and store, together with others by a locked instruction.
#[inline(always)]
fn count<const SHARED: bool>(cell: &AtomicU64) {
    if SHARED {
        cell.fetch_add(1, Ordering::Relaxed);
    } else {
        cell.store(own(cell).wrapping_add(1), Ordering::Relaxed);
    }
}

#[inline(always)]
fn update<const SHARED: bool>(cell: &AtomicU64, change: impl Fn(f64) -> f64) {
    let mut before = before::<SHARED>(cell);
    loop {
        let after = change(f64::from_bits(before)).to_bits();
        if !SHARED {
            return cell.store(after, Ordering::Relaxed);
        }
        if after == before {
            return;
        }
        match cell.compare_exchange_weak(before, after, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => before = now,
        }
    }
}

fn zeros() -> Octave {
    Octave(from_fn(|_| AtomicU64::new(0)))
}

/// Boxes `value`, which owns `more` bytes beyond its own size; `None` when bounded and too much.
fn make<T>(
    budget: &Budget,
    bounded: bool,
    more: usize,
    value: impl FnOnce() -> T,
) -> Option<Box<T>> {
    let bytes = size_of::<T>() + more;
    if !bounded {
        budget.take(bytes);
    } else if !budget.try_take(bytes) {
        return None;
    }
    Some(Box::new(value()))
}

impl HistogramCells {
    /// Cells for `bounds` explicit bounds, or exponential ones; `None` when the budget is spent.
    pub(super) fn new(bounds: Option<&[f64]>, budget: &Budget, bounded: bool) -> Option<Box<Self>> {
        let buckets = bounds.map_or(0, |bounds| bounds.len() + 1);
        make(budget, bounded, buckets * size_of::<AtomicU64>(), || Self {
            sum: AtomicU64::new(0),
            squares: AtomicU64::new(0),
            low: AtomicU64::new(0),
            high: AtomicU64::new(0),
            min: AtomicU64::new(0),
            max: AtomicU64::new(0),
            stamp: AtomicU64::new(UNSTAMPED),
            zero: AtomicU64::new(0),
            positive: from_fn(|_| Lazy::new()),
            negative: Lazy::new(),
            explicit: (0..buckets).map(|_| AtomicU64::new(0)).collect(),
        })
    }

    /// The owner's fast path: true when done, false when something is to be made, adopted or widened
    /// first.
    #[inline(always)]
    pub(crate) fn record_fast(&self, value: f64, stamp: u64) -> bool {
        let Some(place) = Place::of(value) else { return false };
        let Some(mid) = self.positive[place.octave / MIDS].get() else { return false };
        let Some(octave) = mid[place.octave % MIDS].get() else { return false };
        let is_current = own(&self.stamp) == stamp || mutant!("metrics_fast_stamp");
        if !is_current || self.is_extreme(value) {
            return false;
        }
        count::<false>(&octave.0[place.sub]);
        self.add_moments::<false>(value);
        true
    }

    /// Records a finite value, making what is missing; false when the budget refuses.
    pub(super) fn record<const SHARED: bool>(
        &self,
        value: f64,
        bounds: Option<&[f64]>,
        stamp: u64,
        budget: &Budget,
    ) -> bool {
        let cell = match bounds {
            Some(bounds) => self.explicit.get(explicit(bounds, value)),
            None if value == 0.0 => Some(&self.zero),
            None => self.exponential(value, budget, !SHARED),
        };
        let Some(cell) = cell else { return false };
        count::<SHARED>(cell);
        self.add_moments::<SHARED>(value);
        let adopted = before::<SHARED>(&self.stamp);
        let behind = adopted != stamp;
        if behind {
            self.adopt(value, adopted, stamp);
        }
        if behind || SHARED || self.is_extreme(value) {
            self.widen::<SHARED>(value);
        }
        true
    }

    fn exponential(&self, value: f64, budget: &Budget, bounded: bool) -> Option<&AtomicU64> {
        let place = Place::of_magnitude(value.abs())?;
        let root = if value > 0.0 {
            &self.positive
        } else {
            self.negative.get_or_make(|| make(budget, bounded, 0, || from_fn(|_| Lazy::new())))?
        };
        let mid = root[place.octave / MIDS]
            .get_or_make(|| make(budget, bounded, 0, || from_fn(|_| Lazy::new())))?;
        let octave = mid[place.octave % MIDS].get_or_make(|| make(budget, bounded, 0, zeros))?;
        Some(&octave.0[place.sub])
    }

    /// Starts the extremes anew at `value`. Of shared cells two threads may do so at once and one
    /// of the two values be forgotten as an extreme; readers hold extremes against the buckets.
    #[cold]
    fn adopt(&self, value: f64, adopted: u64, stamp: u64) {
        let bits = value.to_bits();
        let same_era = adopted >> 32 == stamp >> 32;
        if !same_era && !mutant!("metrics_new_era") {
            self.min.store(bits, Ordering::Relaxed);
            self.max.store(bits, Ordering::Relaxed);
        }
        if !mutant!("metrics_new_window") {
            self.low.store(bits, Ordering::Relaxed);
            self.high.store(bits, Ordering::Relaxed);
        }
        // Release: see the field. Pairs with the Acquire in `extremes` and `window`.
        self.stamp.store(stamp, order!(Release, "metrics_adopt"));
    }

    /// [low, high] lies inside [min, max], so the hot path compares with the former only.
    #[cold]
    #[inline(never)]
    fn widen<const SHARED: bool>(&self, value: f64) {
        update::<SHARED>(&self.low, |low| low.min(value));
        update::<SHARED>(&self.high, |high| high.max(value));
        update::<SHARED>(&self.min, |min| min.min(value));
        update::<SHARED>(&self.max, |max| max.max(value));
    }

    #[inline(always)]
    fn add_moments<const SHARED: bool>(&self, value: f64) {
        update::<SHARED>(&self.sum, |sum| sum + value);
        update::<SHARED>(&self.squares, |squares| squares + value * value);
    }

    #[inline(always)]
    fn is_extreme(&self, value: f64) -> bool {
        value < f64::from_bits(own(&self.low)) || value > f64::from_bits(own(&self.high))
    }

    pub(super) fn sum(&self) -> f64 {
        float(&self.sum)
    }

    pub(super) fn squares(&self) -> f64 {
        float(&self.squares)
    }

    pub(super) fn zero(&self) -> u64 {
        self.zero.load(Ordering::Relaxed)
    }

    pub(super) fn explicit(&self) -> &[AtomicU64] {
        &self.explicit
    }

    /// The extremes since the last reset, if these cells have recorded in the era of `stamp`.
    pub(super) fn extremes(&self, stamp: u64) -> Extremes {
        // Acquire pairs with the Release in `adopt`.
        let adopted = self.stamp.load(order!(Acquire, "metrics_extremes"));
        if adopted >> 32 != stamp >> 32 && !mutant!("metrics_other_era") {
            return Extremes::NONE;
        }
        Extremes { low: float(&self.min), high: float(&self.max) }
    }

    /// The extremes of the last era in which these cells recorded.
    pub(super) fn ever(&self) -> Extremes {
        // Acquire pairs with the Release in `adopt`.
        let adopted = self.stamp.load(order!(Acquire, "metrics_ever"));
        if adopted == UNSTAMPED && !mutant!("metrics_no_era") {
            return Extremes::NONE;
        }
        Extremes { low: float(&self.min), high: float(&self.max) }
    }

    /// The extremes since the series' stamp became `stamp`.
    pub(super) fn window(&self, stamp: u64) -> Extremes {
        // Acquire pairs with the Release in `adopt`.
        let adopted = self.stamp.load(order!(Acquire, "metrics_window"));
        if adopted != stamp && !mutant!("metrics_other_window") {
            return Extremes::NONE;
        }
        Extremes { low: float(&self.low), high: float(&self.high) }
    }

    fn side(&self, positive: bool) -> Option<&Root> {
        if positive { Some(&self.positive) } else { self.negative.get() }
    }
}

/// Sums one side of several threads' cells, octave by octave from the lowest, each in `N` parts.
pub(super) fn sum_octaves<const N: usize>(
    cells: &[&HistogramCells],
    positive: bool,
    mut each: impl FnMut(usize, &[u64; N]),
) {
    const { assert!(SUBS.is_multiple_of(N)) };
    let roots: Vec<&Root> = cells.iter().filter_map(|cells| cells.side(positive)).collect();
    if roots.is_empty() {
        return;
    }
    let mut mids: Vec<&Mid> = Vec::with_capacity(roots.len());
    for high in 0..ROOTS {
        mids.clear();
        mids.extend(roots.iter().filter_map(|root| root[high].get()));
        if mids.is_empty() {
            continue;
        }
        for low in 0..MIDS {
            let mut octaves = mids.iter().filter_map(|mid| mid[low].get()).peekable();
            if octaves.peek().is_none() {
                continue;
            }
            let mut total = [0; N];
            for octave in octaves {
                for (sum, part) in total.iter_mut().zip(octave.0.chunks_exact(SUBS / N)) {
                    for cell in part {
                        *sum = u64::wrapping_add(*sum, cell.load(Ordering::Relaxed));
                    }
                }
            }
            each(high * MIDS + low, &total);
        }
    }
}
