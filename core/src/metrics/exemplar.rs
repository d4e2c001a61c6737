//! Single values that stand for many, with the span in which they were recorded.
//!
//! A series has a place for each bucket that text formats show, a sum has one. What is offered for
//! a place that has nothing new since the last read is taken; later offers now and then, so that
//! they cost next to nothing. Nobody waits: where two threads write one place, one gives up.

use super::budget::Budget;
use super::descriptor::{Descriptor, Kind};
use super::lazy::Lazy;
use super::snapshot::Number;
use crate::ids::{SpanId, SpanIds, TraceId};
use crate::sync::atomic::{AtomicU64, Ordering, fence};
use crate::sync::{mutant, order};
use std::array::from_fn;

/// A value as it was recorded, and inside which span.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Exemplar {
    /// The value: what was recorded, or added to a sum.
    pub value: Number,
    /// When, in nanoseconds since the epoch.
    pub time: u64,
    /// The span, unless there was none.
    pub span: Option<SpanIds>,
}

#[cfg(not(any(coati_loom, miri)))]
mod size {
    pub(super) const PAGES: usize = 512;
    pub(super) const SERIES: usize = 256;
}

#[cfg(any(coati_loom, miri))]
mod size {
    pub(super) const PAGES: usize = 2;
    pub(super) const SERIES: usize = 2;
}

use size::{PAGES, SERIES};

/// Places of a series: one bit each.
const MOST_PLACES: usize = 64;
/// A reader that comes upon a writer looks again so often.
const LOOKS: usize = 4;

/// One exemplar.
///
/// A sequence lock: `version` is odd while somebody writes, who has got it by an exchange and is
/// alone therefore. Words and fences are ordered as the comments at both sides say.
struct Place {
    version: AtomicU64,
    words: [AtomicU64; 5],
}

/// The places of one series.
struct Reservoir {
    /// Places that hold something new since the last read. Relaxed: a hint.
    fresh: AtomicU64,
    places: Box<[Lazy<Place>]>,
}

type Page = [Lazy<Reservoir>; SERIES];
type Table = [Lazy<Page>; PAGES];

/// The exemplars of all series of a store. Memory for those alone that were offered any.
pub(super) struct Exemplars {
    table: Lazy<Table>,
    /// Older ones belong to what a reset took away.
    since: AtomicU64,
}

impl Place {
    fn new() -> Self {
        Self { version: AtomicU64::new(0), words: from_fn(|_| AtomicU64::new(0)) }
    }

    /// Puts `exemplar` there, unless somebody else is about to put one there.
    fn put(&self, exemplar: &Exemplar) {
        let version = self.version.load(Ordering::Relaxed);
        if !version.is_multiple_of(2) && !mutant!("exemplar_odd") {
            return;
        }
        // SYNC POINT X1 (acquire): the words of whoever wrote last come before those written here.
        let claimed = self.version.compare_exchange(
            version,
            version + 1,
            Ordering::Acquire,
            Ordering::Relaxed,
        );
        if claimed.is_err() && !mutant!("exemplar_alone") {
            return;
        }
        // SYNC POINT X2 (release): who reads one of these words finds the odd version, or a later
        // one, when it looks again.
        if !mutant!("exemplar_write_fence") {
            fence(Ordering::Release);
        }
        for (cell, word) in self.words.iter().zip(exemplar.words()) {
            cell.store(word, Ordering::Relaxed);
        }
        // SYNC POINT X1 (release): who finds this version finds the words.
        self.version.store(version + 2, order!(Release, "exemplar_publish"));
    }

    /// What is there; `None` for nothing, or if it is written again and again.
    fn get(&self) -> Option<Exemplar> {
        for _ in 0..LOOKS {
            // SYNC POINT X1 (acquire): the words are no older than the version.
            let version = self.version.load(order!(Acquire, "exemplar_read"));
            if version == 0 {
                return None;
            }
            let words = from_fn(|at| self.words[at].load(Ordering::Relaxed));
            // SYNC POINT X2 (acquire): the version below is no older than the words.
            if !mutant!("exemplar_read_fence") {
                fence(Ordering::Acquire);
            }
            let again = self.version.load(Ordering::Relaxed);
            let same = again == version || mutant!("exemplar_again");
            if same && (version.is_multiple_of(2) || mutant!("exemplar_even")) {
                return Some(Exemplar::of_words(words));
            }
            crate::sync::spin_loop();
        }
        None
    }
}

impl Exemplar {
    /// Of an integer the lowest bit of the time's word is set: 63 bits last until 2262.
    fn words(&self) -> [u64; 5] {
        let (value, whole) = match self.value {
            Number::Int(value) => (value as u64, 1),
            Number::Float(value) => (value.to_bits(), 0),
        };
        let ids = self.span.unwrap_or(SpanIds { trace_id: TraceId::NONE, span_id: SpanId::NONE });
        let trace = u128::from_ne_bytes(ids.trace_id.0);
        let span = u64::from_ne_bytes(ids.span_id.0);
        [value, self.time << 1 | whole, trace as u64, (trace >> 64) as u64, span]
    }

    fn of_words([value, time, low, high, span]: [u64; 5]) -> Self {
        let trace = u128::from(high) << 64 | u128::from(low);
        let ids =
            SpanIds { trace_id: TraceId(trace.to_ne_bytes()), span_id: SpanId(span.to_ne_bytes()) };
        let whole = time & 1 == 1;
        Self {
            value: if whole {
                Number::Int(value as i64)
            } else {
                Number::Float(f64::from_bits(value))
            },
            time: time >> 1,
            span: (ids.trace_id.is_valid() && ids.span_id.is_valid()).then_some(ids),
        }
    }
}

/// How many places a series of such an instrument has.
fn places(descriptor: &Descriptor) -> usize {
    match (descriptor.kind, descriptor.bounds()) {
        (Kind::Histogram, Some(bounds)) => (bounds.len() + 1).min(MOST_PLACES),
        (Kind::Histogram, None) => (descriptor.ladder().count() + 1).min(MOST_PLACES),
        _ => 1,
    }
}

/// The place of `value`.
fn place(descriptor: &Descriptor, value: f64) -> usize {
    match (descriptor.kind, descriptor.bounds()) {
        (Kind::Histogram, Some(bounds)) => {
            let bucket = bounds.partition_point(|bound| *bound < value);
            // Of many buckets, neighbours share a place.
            bucket * places(descriptor) / (bounds.len() + 1)
        }
        (Kind::Histogram, None) if value > 0.0 => {
            // Upper ends are inclusive: 2^e itself belongs below it.
            let exponent = ((value.to_bits() - 1) >> 52) as i32 - 1022;
            let first = *descriptor.ladder().start();
            ((exponent - first).max(0) as usize).min(places(descriptor) - 1)
        }
        _ => 0,
    }
}

impl Reservoir {
    fn new(places: usize) -> Self {
        Self { fresh: AtomicU64::new(0), places: (0..places).map(|_| Lazy::new()).collect() }
    }
}

impl Exemplars {
    pub(super) fn new() -> Self {
        Self { table: Lazy::new(), since: AtomicU64::new(0) }
    }

    /// Offers a value of the series with this id. `again`: also for a place that has something new.
    /// `exemplar` is asked only if it is taken.
    pub(super) fn offer(
        &self,
        id: u32,
        descriptor: &Descriptor,
        value: f64,
        again: bool,
        budget: &Budget,
        exemplar: impl FnOnce() -> Exemplar,
    ) {
        let at = place(descriptor, value);
        if let Some(reservoir) = self.find(id)
            && !again
            && reservoir.fresh.load(Ordering::Relaxed) & 1 << at != 0
        {
            return;
        }
        if let Some(reservoir) = self.make(id, descriptor, budget)
            && let Some(place) = reservoir.places.get(at)
            && let Some(place) = place.get_or_make(|| boxed(budget, Place::new))
        {
            place.put(&exemplar());
            reservoir.fresh.fetch_or(1 << at, Ordering::Relaxed);
        }
    }

    #[inline(always)]
    fn find(&self, id: u32) -> Option<&Reservoir> {
        self.table.get()?.get(id as usize / SERIES)?.get()?[id as usize % SERIES].get()
    }

    fn make(&self, id: u32, descriptor: &Descriptor, budget: &Budget) -> Option<&Reservoir> {
        let table = self.table.get_or_make(|| boxed(budget, || from_fn(|_| Lazy::new())))?;
        let page = table.get(id as usize / SERIES)?;
        let page = page.get_or_make(|| boxed(budget, || from_fn(|_| Lazy::new())))?;
        page[id as usize % SERIES].get_or_make(|| {
            let count = places(descriptor);
            let more = count * size_of::<Lazy<Place>>();
            budget.try_take(more).then(|| boxed(budget, || Reservoir::new(count)))?
        })
    }

    /// The exemplars of the series with this id, in no order. Their places take new ones again.
    pub(super) fn read(&self, id: u32) -> Vec<Exemplar> {
        let Some(reservoir) = self.find(id) else { return Vec::new() };
        if reservoir.fresh.load(Ordering::Relaxed) != 0 {
            reservoir.fresh.store(0, Ordering::Relaxed);
        }
        let since = self.since.load(Ordering::Relaxed);
        let all = reservoir.places.iter().filter_map(|place| place.get()?.get());
        all.filter(|exemplar| exemplar.time >= since).collect()
    }

    /// Whether there may be any.
    pub(super) fn are_any(&self) -> bool {
        self.table.get().is_some()
    }

    /// Forgets those recorded before `time`.
    pub(super) fn forget(&self, time: u64) {
        self.since.store(time, Ordering::Relaxed);
    }
}

/// A box, if its bytes fit.
fn boxed<T>(budget: &Budget, value: impl FnOnce() -> T) -> Option<Box<T>> {
    budget.try_take(size_of::<T>()).then(|| Box::new(value()))
}

/// The time, in nanoseconds since the epoch.
#[cfg(not(coati_loom))]
pub(super) fn now() -> u64 {
    crate::os::realtime_ns()
}

/// In a model time stands still.
#[cfg(coati_loom)]
pub(super) fn now() -> u64 {
    1
}

/// Whether an offer for a place that has something new is taken: one in so many of each thread.
#[cfg(not(coati_loom))]
pub(super) fn now_and_then() -> bool {
    const EVERY: u32 = 64;
    thread_local! {
        static OFFERS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }
    OFFERS.with(|offers| {
        offers.set(offers.get().wrapping_add(1));
        offers.get().is_multiple_of(EVERY)
    })
}

/// A model takes them all.
#[cfg(coati_loom)]
pub(super) fn now_and_then() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri's powers of two are inexact on purpose")]
    fn a_place_is_a_bucket_of_the_text_formats() {
        let exponential = Descriptor::new("h", Kind::Histogram, "s", "");
        let ladder: Vec<f64> =
            exponential.ladder().map(|exponent| f64::from(exponent).exp2()).collect();
        let explicit = exponential.clone().with_bounds(&[-1.0, 1.0, 2.0]);
        for (descriptor, bounds) in [(&exponential, &ladder[..]), (&explicit, &[-1.0, 1.0, 2.0])] {
            assert_eq!(places(descriptor), bounds.len() + 1);
            let mut values = vec![f64::MIN, -1.5, 0.0, 5e-324, 1e-300, f64::MAX];
            values.extend(bounds.iter().flat_map(|b| [b.next_down(), *b, b.next_up()]));
            for value in values {
                let bucket = bounds.partition_point(|bound| *bound < value);
                assert_eq!(place(descriptor, value), bucket, "{value}");
            }
        }
        let bounds: Vec<f64> = (0..1000).map(f64::from).collect();
        let many = exponential.with_bounds(&bounds);
        assert_eq!((place(&many, -1.0), place(&many, 1e9)), (0, MOST_PLACES - 1));
        let sum = Descriptor::new("c", Kind::Counter, "", "");
        assert_eq!((places(&sum), place(&sum, 7.0)), (1, 0));
    }

    #[test]
    fn words_hold_an_exemplar() {
        let ids = SpanIds { trace_id: TraceId([7; 16]), span_id: SpanId([1, 2, 3, 4, 5, 6, 7, 8]) };
        for span in [None, Some(ids)] {
            for value in [Number::Int(-3), Number::Float(0.5)] {
                let exemplar = Exemplar { value, time: 1_700_000_000_123_456_789, span };
                assert_eq!(Exemplar::of_words(exemplar.words()), exemplar);
            }
        }
    }
}
