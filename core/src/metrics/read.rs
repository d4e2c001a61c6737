//! Reading a series: sums over shards, less what a reset found.

use super::buckets::{SUBS, exponent};
use super::cells::{Extremes, HistogramCells, sum_octaves};
use super::descriptor::{Buckets, Kind};
use super::histogram::{Bucket, Exponential, HistogramBuckets, HistogramSnapshot};
use super::series::Series;
use super::shard::Shard;
use super::snapshot::{Number, Stats, Value};
use crate::sync::atomic::Ordering;
use crate::sync::lock;
use std::sync::Arc;

/// Everything a series has ever counted, or a part of it.
#[derive(Clone)]
pub(super) enum Totals {
    Number { int: i64, float: f64 },
    Histogram(Box<HistogramSnapshot>),
}

impl Totals {
    pub(super) fn subtract(&mut self, base: &Self) {
        match (self, base) {
            (Self::Number { int, float }, Self::Number { int: less, float: f_less }) => {
                *int = int.wrapping_sub(*less);
                *float -= f_less;
            }
            (Self::Histogram(histogram), Self::Histogram(base)) => histogram.subtract(base),
            _ => {}
        }
    }

    fn value(self, floats: bool, extremes: impl FnOnce() -> Extremes) -> Value {
        match self {
            Self::Number { int, float } if floats => {
                Value::Number(Number::Float(int as f64 + float))
            }
            Self::Number { int, .. } => Value::Number(Number::Int(int)),
            Self::Histogram(mut histogram) => {
                let extremes = extremes();
                histogram.settle(extremes.low, extremes.high);
                Value::Histogram(histogram)
            }
        }
    }
}

/// All methods that take shards are for the one that holds the registry's read lock.
impl Series {
    /// A number's value: int until the first float add, then float. A histogram's count.
    pub fn value(&self) -> Number {
        let shards = self.registry().read();
        match self.read::<SUBS>(&shards) {
            Value::Number(number) => number,
            Value::Histogram(histogram) => Number::Int(histogram.count as i64),
        }
    }

    /// A histogram's statistics; empty ones for other kinds.
    pub fn stats(&self) -> Stats {
        let shards = self.registry().read();
        match self.read::<SUBS>(&shards) {
            Value::Number(_) => Stats::new(HistogramSnapshot::exponential()),
            Value::Histogram(histogram) => Stats::new(*histogram),
        }
    }

    /// What was counted since the last reset; exponential histograms with `N` buckets an octave.
    pub(super) fn read<const N: usize>(&self, shards: &[Arc<Shard>]) -> Value {
        let mut totals = self.totals::<N>(shards);
        if let Some(base) = &*lock(&self.base) {
            totals.subtract(base);
        }
        totals.value(self.floats(), || {
            let stamp = self.stamp();
            self.fold(shards, |cells| cells.extremes(stamp))
        })
    }

    /// What was counted since `base`, and the new base. Gauges and up-down counters have no
    /// delta: they read as they stand.
    pub(super) fn read_delta(
        &self,
        shards: &[Arc<Shard>],
        base: &mut Option<Totals>,
        reader: u64,
    ) -> Value {
        if matches!(self.descriptor().kind, Kind::Gauge | Kind::UpDownCounter) {
            return self.read::<SUBS>(shards);
        }
        let mut totals = self.totals::<SUBS>(shards);
        let before = base.replace(totals.clone());
        if let Some(before) = before {
            totals.subtract(&before);
        }
        totals.value(self.floats(), || {
            let ended = self.end_window(shards, 1);
            let pending = self.histogram.as_ref().and_then(|state| state.windows.take(reader));
            // A reader's first delta is everything since the start.
            pending.unwrap_or_else(|| {
                let mut all = ended;
                all.merge(self.fold(shards, HistogramCells::ever));
                all
            })
        })
    }

    /// Makes later reads start from zero.
    pub(super) fn reset(&self, shards: &[Arc<Shard>]) {
        match self.descriptor().kind {
            Kind::Gauge => return self.clear_gauge(),
            Kind::Histogram => {
                self.end_window(shards, 1 << 32);
            }
            Kind::Counter | Kind::UpDownCounter => {}
        }
        *lock(&self.base) = Some(Box::new(self.totals::<SUBS>(shards)));
    }

    /// Ends the window in which extremes are gathered and hands it to the delta readers.
    fn end_window(&self, shards: &[Arc<Shard>], step: u64) -> Extremes {
        let stamp = self.stamp();
        let extremes = self.fold(shards, |cells| cells.window(stamp));
        if let Some(state) = &self.histogram {
            state.windows.close(extremes);
        }
        // The lower half wraps into the era after 2^32 windows: min and max start anew, once.
        self.set_stamp(stamp.wrapping_add(step));
        extremes
    }

    fn fold(&self, shards: &[Arc<Shard>], of: impl Fn(&HistogramCells) -> Extremes) -> Extremes {
        let mut extremes = Extremes::NONE;
        self.cells(shards).for_each(|cells| extremes.merge(of(cells)));
        extremes
    }

    fn cells<'a>(&'a self, shards: &'a [Arc<Shard>]) -> impl Iterator<Item = &'a HistogramCells> {
        let owned = shards.iter().filter_map(|shard| shard.histogram(self.histogram_slot()));
        owned.chain(self.histogram.as_ref().and_then(|state| state.shared.get()))
    }

    fn totals<const N: usize>(&self, shards: &[Arc<Shard>]) -> Totals {
        if self.histogram.is_some() {
            return Totals::Histogram(Box::new(self.histogram_totals::<N>(shards)));
        }
        let (mut int, mut float) = (self.shared_int(), self.shared_float());
        for pair in shards.iter().filter_map(|shard| shard.number(self.number_slot())) {
            int = int.wrapping_add(pair.int());
            float += pair.float();
        }
        Totals::Number { int, float }
    }

    fn histogram_totals<const N: usize>(&self, shards: &[Arc<Shard>]) -> HistogramSnapshot {
        let cells: Vec<&HistogramCells> = self.cells(shards).collect();
        let mut histogram = match &self.descriptor().buckets {
            Buckets::Exponential => HistogramSnapshot::exponential(),
            Buckets::Explicit(bounds) => HistogramSnapshot::explicit(bounds.clone()),
        };
        match &mut histogram.buckets {
            HistogramBuckets::Exponential(exponential) => {
                exponential_totals::<N>(exponential, &cells);
            }
            HistogramBuckets::Explicit { counts, .. } => {
                for cells in &cells {
                    for (sum, cell) in counts.iter_mut().zip(cells.explicit()) {
                        *sum = sum.wrapping_add(cell.load(Ordering::Relaxed));
                    }
                }
            }
        }
        for cells in &cells {
            histogram.sum += cells.sum();
            histogram.sum_squares += cells.squares();
        }
        histogram
    }
}

fn exponential_totals<const N: usize>(exponential: &mut Exponential, cells: &[&HistogramCells]) {
    // Room for most histograms: finding it by doubling would copy them.
    const OCTAVES_AT_FIRST: usize = 8;
    exponential.scale = N.ilog2() as i32;
    exponential.zero = cells.iter().map(|cells| cells.zero()).sum();
    for positive in [true, false] {
        let side = if positive { &mut exponential.positive } else { &mut exponential.negative };
        let mut filled = [Bucket { index: 0, count: 0 }; N];
        sum_octaves(cells, positive, |octave, counts: &[u64; N]| {
            // Which buckets are empty is not predictable: each is written, and kept by its count.
            let mut len = 0;
            for (index, &count) in (exponent(octave) * N as i32..).zip(counts) {
                filled[len] = Bucket { index, count };
                len += usize::from(count > 0);
            }
            if side.is_empty() {
                side.reserve(OCTAVES_AT_FIRST * N);
            }
            side.extend_from_slice(&filled[..len]);
        });
    }
}
