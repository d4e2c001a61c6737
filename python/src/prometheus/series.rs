//! One series of a Prometheus metric: its labels, its cells, its exemplars.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use coati_core::metrics::OwnedLabel;

use super::text::go_float;

/// A double that one thread at a time writes: whoever has the interpreter's lock.
#[derive(Default)]
pub struct Cell(AtomicU64);

impl Cell {
    fn new(value: f64) -> Self {
        Self(AtomicU64::new(value.to_bits()))
    }

    // Relaxed, here and below: a cell tells nothing of any other, and two writers are ordered by
    // the interpreter's lock. A reader without that lock may miss what is being written.
    #[inline(always)]
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    #[inline(always)]
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    #[inline(always)]
    pub fn add(&self, amount: f64) {
        self.set(self.get() + amount);
    }
}

/// A value with labels of its own.
pub struct Exemplar {
    /// Sorted by name.
    pub labels: Vec<(String, String)>,
    pub value: f64,
    /// Seconds since the epoch.
    pub timestamp: f64,
}

type Exemplars = Box<[ArcSwapOption<Exemplar>]>;

/// A series.
pub struct Series {
    /// Sorted by key.
    pub labels: Arc<[OwnedLabel]>,
    /// The same as they stand in a text: `a="x",b="y"`.
    pub text: Box<str>,
    /// Where in the text `le` belongs.
    pub split: usize,
    pub cells: Box<[Cell]>,
    /// Seconds since the epoch.
    pub created: Cell,
    /// The first such time, and how it is written.
    begun: OnceLock<(u64, Box<[u8]>)>,
    removed: AtomicBool,
    exemplars: OnceLock<Exemplars>,
}

impl Series {
    /// A series of as many zeros as `cells`.
    pub fn new(
        labels: Arc<[OwnedLabel]>,
        text: Box<str>,
        split: usize,
        cells: usize,
        created: f64,
    ) -> Self {
        Self {
            labels,
            text,
            split,
            cells: (0..cells).map(|_| Cell::default()).collect(),
            created: Cell::new(created),
            begun: OnceLock::new(),
            removed: AtomicBool::new(false),
            exemplars: OnceLock::new(),
        }
    }

    /// Appends the time at which it began. One with 17 digits takes longer to write than its line.
    pub fn write_created(&self, out: &mut Vec<u8>) {
        let created = self.created.get();
        let (bits, text) = self.begun.get_or_init(|| {
            let mut text = Vec::new();
            go_float(created, &mut text);
            (created.to_bits(), text.into())
        });
        if *bits == created.to_bits() {
            out.extend_from_slice(text);
        } else {
            go_float(created, out);
        }
    }

    /// Takes it out of what is read.
    pub fn remove(&self) {
        // Relaxed: a reader that is at it may show the series once more.
        self.removed.store(true, Ordering::Relaxed);
    }

    pub fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Relaxed)
    }

    /// The exemplar of a cell.
    pub fn exemplar(&self, cell: usize) -> Option<Arc<Exemplar>> {
        self.exemplars.get()?.get(cell)?.load_full()
    }

    /// Replaces the exemplar of a cell.
    pub fn set_exemplar(&self, cell: usize, exemplar: Exemplar) {
        let all = self
            .exemplars
            .get_or_init(|| self.cells.iter().map(|_| ArcSwapOption::const_empty()).collect());
        if let Some(place) = all.get(cell) {
            place.store(Some(Arc::new(exemplar)));
        }
    }

    /// Whether any cell has one.
    pub fn has_exemplars(&self) -> bool {
        self.exemplars.get().is_some()
    }
}
