//! A series: the recording calls.

use super::cells::HistogramCells;
use super::descriptor::{Descriptor, Kind};
use super::exemplar::{Exemplar, now, now_and_then};
use super::label::OwnedLabel;
use super::lazy::Lazy;
use super::read::Totals;
use super::registry::Registry;
use super::shard::{NO_HISTOGRAM, NO_NUMBER, Shard};
use super::snapshot::Number;
use super::windows::Windows;
use crate::ids::SpanIds;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Mutex, own};
use std::sync::Arc;

/// What all series of an instrument share.
pub(super) struct Core {
    pub(super) id: u32,
    pub(super) descriptor: Arc<Descriptor>,
    pub(super) registry: Arc<Registry>,
}

/// One set of labels of one instrument. A clone of its `Arc` pins it.
///
/// Recording takes the calling thread's [`Shard`] and is a plain load and store in it. A call
/// that does not fit the kind is counted in [`super::Store::ignored`] and changes nothing.
pub struct Series {
    number_slot: u32,
    histogram_slot: u32,
    monotonic: bool,
    /// Set by the first float add: from then on the value reads as a float.
    floats: AtomicBool,
    pub(super) id: u32,
    /// Of a histogram: era (upper half, one per reset) and number of the window in which extremes
    /// are gathered. Of a number: the last round in which it was observed.
    stamp: AtomicU64,
    /// A gauge's value in `float`; the counter beyond the shard budget; an observed counter.
    shared: SharedPair,
    pub(super) histogram: Option<Box<HistogramState>>,
    /// What `reset` found.
    pub(super) base: Mutex<Option<Box<Totals>>>,
    labels: Arc<[OwnedLabel]>,
    core: Arc<Core>,
}

/// What only histograms need.
#[derive(Default)]
pub(super) struct HistogramState {
    /// Where threads record together beyond the shard budget.
    pub(super) shared: Lazy<HistogramCells>,
    pub(super) windows: Windows,
}

/// Cells that any thread writes. Relaxed: numbers that publish nothing.
struct SharedPair {
    int: AtomicU64,
    float: AtomicU64,
}

impl SharedPair {
    fn add_float(&self, amount: f64) {
        let mut before = self.float.load(Ordering::Relaxed);
        loop {
            let after = (f64::from_bits(before) + amount).to_bits();
            match self.float.compare_exchange_weak(
                before,
                after,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => before = now,
            }
        }
    }
}

impl Series {
    pub(super) fn new(core: Arc<Core>, labels: Arc<[OwnedLabel]>) -> Self {
        let (registry, kind) = (&core.registry, core.descriptor.kind);
        let sums = matches!(kind, Kind::Counter | Kind::UpDownCounter);
        let histogram = kind == Kind::Histogram;
        Self {
            number_slot: if sums { registry.number_slot() } else { NO_NUMBER },
            histogram_slot: if histogram { registry.histogram_slot() } else { NO_HISTOGRAM },
            monotonic: kind == Kind::Counter,
            floats: AtomicBool::new(kind == Kind::Gauge),
            id: registry.series_id(),
            stamp: AtomicU64::new(0),
            shared: SharedPair { int: AtomicU64::new(0), float: AtomicU64::new(0) },
            histogram: histogram.then(Box::default),
            base: Mutex::new(None),
            labels,
            core,
        }
    }

    /// Its labels, sorted by key.
    pub fn labels(&self) -> &Arc<[OwnedLabel]> {
        &self.labels
    }

    /// Its instrument's descriptor.
    pub fn descriptor(&self) -> &Arc<Descriptor> {
        &self.core.descriptor
    }

    #[inline(always)]
    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(super) fn instrument(&self) -> u32 {
        self.core.id
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.core.registry
    }

    /// Adds to a counter (negative: ignored), an up-down counter or a gauge.
    #[inline]
    pub fn add_int(&self, shard: &Shard, amount: i64) {
        if !self.try_add_int(shard, amount) {
            self.add_int_slow(shard, amount);
        }
    }

    /// [`Series::add_int`] where it takes no call: true when done, false when nothing happened.
    #[inline(always)]
    pub fn try_add_int(&self, shard: &Shard, amount: i64) -> bool {
        if amount < 0 && self.monotonic {
            return false;
        }
        let Some(pair) = shard.number(self.number_slot) else { return false };
        pair.add_int(amount);
        true
    }

    #[cold]
    #[inline(never)]
    fn add_int_slow(&self, shard: &Shard, amount: i64) {
        if amount < 0 && self.monotonic {
            return self.ignore();
        }
        match self.descriptor().kind {
            Kind::Counter | Kind::UpDownCounter => {
                match shard.make_number(self.number_slot, &self.registry().budget) {
                    Some(pair) => pair.add_int(amount),
                    None => {
                        self.shared.int.fetch_add(amount as u64, Ordering::Relaxed);
                    }
                }
            }
            Kind::Gauge => self.shared.add_float(amount as f64),
            Kind::Histogram => self.ignore(),
        }
    }

    /// Adds to a counter (negative: ignored), an up-down counter or a gauge. An amount that is
    /// not finite is ignored.
    #[inline]
    pub fn add_float(&self, shard: &Shard, amount: f64) {
        if !amount.is_finite() || (amount < 0.0 && self.monotonic) {
            return self.ignore();
        }
        match shard.number(self.number_slot) {
            Some(pair) if pair.add_float(amount) => {}
            Some(_) => self.has_floats(),
            None => self.add_float_slow(shard, amount),
        }
    }

    #[cold]
    fn has_floats(&self) {
        // Relaxed: says only how to show a sum. Loaded first to leave the line shared.
        if !self.floats.load(Ordering::Relaxed) {
            self.floats.store(true, Ordering::Relaxed);
        }
    }

    #[cold]
    #[inline(never)]
    fn add_float_slow(&self, shard: &Shard, amount: f64) {
        match self.descriptor().kind {
            Kind::Counter | Kind::UpDownCounter => {
                self.has_floats();
                match shard.make_number(self.number_slot, &self.registry().budget) {
                    Some(pair) => {
                        pair.add_float(amount);
                    }
                    None => self.shared.add_float(amount),
                }
            }
            Kind::Gauge => self.shared.add_float(amount),
            Kind::Histogram => self.ignore(),
        }
    }

    /// Sets a gauge. Any value is one, NaN and infinities too.
    #[inline]
    pub fn set(&self, value: f64) {
        if self.descriptor().kind != Kind::Gauge {
            return self.ignore();
        }
        self.shared.float.store(value.to_bits(), Ordering::Relaxed);
    }

    /// Sets what an observable counter or up-down counter has reached; nothing else may add to
    /// such a series. A negative one of a counter is ignored.
    pub fn observe_int(&self, total: i64) {
        match self.descriptor().kind {
            Kind::Counter if total < 0 => self.ignore(),
            Kind::Counter | Kind::UpDownCounter => {
                self.shared.int.store(total as u64, Ordering::Relaxed);
                self.shared.float.store(0, Ordering::Relaxed);
            }
            Kind::Gauge => self.set(total as f64),
            Kind::Histogram => self.ignore(),
        }
    }

    /// As [`Series::observe_int`], with a float.
    pub fn observe_float(&self, total: f64) {
        match self.descriptor().kind {
            Kind::Counter | Kind::UpDownCounter => {
                if !total.is_finite() || (total < 0.0 && self.monotonic) {
                    return self.ignore();
                }
                self.has_floats();
                self.shared.int.store(0, Ordering::Relaxed);
                self.shared.float.store(total.to_bits(), Ordering::Relaxed);
            }
            Kind::Gauge => self.set(total),
            Kind::Histogram => self.ignore(),
        }
    }

    /// Says that a number was observed in a round; see [`super::Instrument::show_since`].
    pub fn observed_in(&self, round: u64) {
        if self.histogram.is_none() {
            // Relaxed: a number that publishes nothing.
            self.stamp.fetch_max(round, Ordering::Relaxed);
        }
    }

    /// Whether a reader that asks for what was observed since that round is shown it.
    pub(super) fn is_shown(&self, since: u64) -> bool {
        since == 0 || self.histogram.is_some() || self.stamp.load(Ordering::Relaxed) >= since
    }

    /// Records into a histogram. NaN and infinities are ignored, as OpenTelemetry asks.
    #[inline]
    pub fn record(&self, shard: &Shard, value: f64) {
        if !self.try_record(shard, value) {
            self.record_slow(shard, value);
        }
    }

    /// The cell of this thread's shard that integers are added to, if there is one.
    #[cfg(not(coati_loom))]
    pub(crate) fn number_cell(&self, shard: &Shard) -> Option<*const AtomicU64> {
        shard.number(self.number_slot).map(|pair| pair.int_cell())
    }

    /// The cells of this thread's shard that values are recorded in, if there are any, and the
    /// stamp they are recorded with.
    #[cfg(not(coati_loom))]
    pub(crate) fn histogram_cells(
        &self,
        shard: &Shard,
    ) -> Option<(*const HistogramCells, *const AtomicU64)> {
        let cells = shard.histogram(self.histogram_slot)?;
        Some((std::ptr::from_ref(cells), &raw const self.stamp))
    }

    /// [`Series::record`] where it takes no call: true when done, false when nothing happened.
    #[inline(always)]
    pub fn try_record(&self, shard: &Shard, value: f64) -> bool {
        let cells = shard.histogram(self.histogram_slot);
        cells.is_some_and(|cells| cells.record_fast(value, self.stamp_now()))
    }

    /// The stamp, for a writer.
    #[inline(always)]
    fn stamp_now(&self) -> u64 {
        // Relaxed: a stamp seen late only delays the start of a window by a call.
        self.stamp.load(Ordering::Relaxed)
    }

    #[inline(never)]
    fn record_slow(&self, shard: &Shard, value: f64) {
        let stamp = self.stamp_now();
        let Some(state) = self.histogram.as_deref().filter(|_| value.is_finite()) else {
            return self.ignore();
        };
        let (bounds, budget) = (self.descriptor().bounds(), &self.registry().budget);
        if let Some(cells) = shard.make_histogram(self.histogram_slot, bounds, budget)
            && cells.record::<false>(value, bounds, stamp, budget)
        {
            return;
        }
        let shared = state.shared.get_or_make(|| HistogramCells::new(bounds, budget, false));
        if let Some(cells) = shared {
            cells.record::<true>(value, bounds, stamp, budget);
        }
    }

    /// Offers what was just recorded or added as an exemplar, with the span around it, if any. Of a
    /// gauge there are none.
    pub fn offer(&self, value: Number, span: Option<SpanIds>) {
        let (descriptor, size) = (self.descriptor(), value.as_f64());
        let taken = match descriptor.kind {
            Kind::Counter => size >= 0.0 && size.is_finite(),
            Kind::UpDownCounter | Kind::Histogram => size.is_finite(),
            Kind::Gauge => false,
        };
        if taken {
            let Registry { exemplars, budget, .. } = self.registry();
            let exemplar = || Exemplar { value, time: now(), span };
            exemplars.offer(self.id, descriptor, size, now_and_then(), budget, exemplar);
        }
    }

    /// Counts a value that is not taken.
    #[cold]
    pub(crate) fn ignore(&self) {
        self.registry().ignore();
    }

    pub(super) fn number_slot(&self) -> u32 {
        self.number_slot
    }

    pub(super) fn histogram_slot(&self) -> u32 {
        self.histogram_slot
    }

    pub(super) fn floats(&self) -> bool {
        self.floats.load(Ordering::Relaxed)
    }

    pub(super) fn shared_int(&self) -> i64 {
        self.shared.int.load(Ordering::Relaxed) as i64
    }

    pub(super) fn shared_float(&self) -> f64 {
        f64::from_bits(self.shared.float.load(Ordering::Relaxed))
    }

    /// For the reader that holds the registry's read lock, the only one to change stamps.
    pub(super) fn stamp(&self) -> u64 {
        own(&self.stamp)
    }

    /// For the same reader.
    pub(super) fn set_stamp(&self, stamp: u64) {
        self.stamp.store(stamp, Ordering::Relaxed);
    }

    /// Zeroes a gauge, whose one cell is everybody's.
    pub(super) fn clear_gauge(&self) {
        self.shared.float.store(0, Ordering::Relaxed);
    }

    /// Bytes it keeps beyond shards and labels, with its places in the instrument and the index.
    pub(super) fn bytes(&self) -> usize {
        let state = self.histogram.as_ref().map_or(0, |_| size_of::<HistogramState>());
        size_of::<Self>() + state + 5 * size_of::<usize>()
    }
}
