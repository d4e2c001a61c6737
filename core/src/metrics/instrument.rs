//! An instrument: from labels to series.

use super::descriptor::Descriptor;
use super::index::Index;
use super::label::{Canonical, Label, LabelPolicy, LabelValue, within};
use super::registry::Registry;
use super::series::{Core, Series};
use super::view::LabelFilter;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Mutex, lock};
use std::sync::Arc;

const OVERFLOW: Label<'static> = ("otel.metric.overflow", LabelValue::Bool(true));

/// What a store and its instruments share.
pub(super) struct Common {
    pub(super) registry: Arc<Registry>,
    pub(super) index: Index,
    pub(super) policy: Option<Arc<dyn LabelPolicy>>,
    pub(super) max_series: usize,
    pub(super) max_labels: usize,
    pub(super) max_string: usize,
    /// Makes hashes differ from store to store.
    pub(super) seed: u64,
    pub(super) bytes: AtomicUsize,
}

/// A named metric; made by [`super::Store::instrument`].
pub struct Instrument {
    core: Arc<Core>,
    common: Arc<Common>,
    series: Mutex<Vec<Arc<Series>>>,
    /// Series beside the overflow series.
    room: usize,
    /// Which labels its series have; `None`: all.
    labels: Option<LabelFilter>,
    /// Numbers that were observed before this round are not shown.
    since: AtomicU64,
}

impl Instrument {
    pub(super) fn new(
        id: u32,
        descriptor: Arc<Descriptor>,
        labels: Option<LabelFilter>,
        common: Arc<Common>,
    ) -> Self {
        let registry = common.registry.clone();
        let core = Arc::new(Core { id, descriptor, registry });
        let room = common.max_series.saturating_sub(1);
        Self {
            core,
            common,
            series: Mutex::new(Vec::new()),
            room,
            labels,
            since: AtomicU64::new(0),
        }
    }

    /// One that has the overflow series alone.
    pub(super) fn refusing(id: u32, descriptor: Arc<Descriptor>, common: Arc<Common>) -> Self {
        Self { room: 0, ..Self::new(id, descriptor, None, common) }
    }

    /// What it is.
    pub fn descriptor(&self) -> &Arc<Descriptor> {
        &self.core.descriptor
    }

    pub(super) fn id(&self) -> u32 {
        self.core.id
    }

    /// Whether `series` is one of its own.
    #[inline(always)]
    pub(super) fn made(&self, series: &Series) -> bool {
        Arc::ptr_eq(&self.core, series.core())
    }

    pub(super) fn filter(&self) -> Option<&LabelFilter> {
        self.labels.as_ref()
    }

    /// Calls `f` with the labels that stay, of bounded number and length.
    fn bounded<R>(&self, labels: &[Label<'_>], f: impl FnOnce(&[Label<'_>]) -> R) -> R {
        let (most, limit) = (self.common.max_labels, self.common.max_string);
        match &self.labels {
            None => within(labels, most, limit, f),
            Some(filter) => within(&filter.apply(labels), most, limit, f),
        }
    }

    fn canonical<'a>(&self, labels: &[Label<'a>]) -> (Canonical<'a>, u64) {
        let canonical = Canonical::new(labels, self.common.policy.as_deref());
        let hash = canonical.hash(self.common.seed ^ u64::from(self.core.id));
        (canonical, hash)
    }

    /// Counts a value that is not taken.
    #[cold]
    pub fn ignore(&self) {
        self.core.registry.ignore();
    }

    /// The series of these labels, if there is one.
    pub fn find(&self, labels: &[Label<'_>]) -> Option<Arc<Series>> {
        self.bounded(labels, |labels| {
            let (canonical, hash) = self.canonical(labels);
            self.common.index.find(self.core.id, &canonical, hash).ok()
        })
    }

    /// The series of these labels, made if need be: in any order, the last of equal keys taken,
    /// values masked. Beyond the limit it is the one labelled `otel.metric.overflow`.
    pub fn series(&self, labels: &[Label<'_>]) -> Arc<Series> {
        self.bounded(labels, |labels| self.series_of(labels))
    }

    fn series_of(&self, labels: &[Label<'_>]) -> Arc<Series> {
        let (canonical, hash) = self.canonical(labels);
        if let Ok(known) = self.common.index.find(self.core.id, &canonical, hash) {
            return known;
        }
        self.make(&canonical, hash, self.room).unwrap_or_else(|| {
            let canonical = Canonical::new(&[OVERFLOW], None);
            let hash = canonical.hash(self.common.seed ^ u64::from(self.core.id));
            match self.common.index.find(self.core.id, &canonical, hash) {
                Ok(known) => known,
                Err(_) => self.make(&canonical, hash, usize::MAX).expect("no limit"),
            }
        })
    }

    /// Makes the series unless another thread just did; `None` with `room` series or more.
    fn make(&self, labels: &Canonical<'_>, hash: u64, room: usize) -> Option<Arc<Series>> {
        let index = &self.common.index;
        let mut shared = index.shared();
        let at = match index.find(self.core.id, labels, hash) {
            Ok(known) => return Some(known),
            Err(at) => at,
        };
        let mut all = lock(&self.series);
        if all.len() >= room {
            return None;
        }
        let (owned, more) = shared.labels(index, self.core.id, labels, self.common.seed);
        let series = Arc::new(Series::new(self.core.clone(), owned));
        // Relaxed: a number.
        self.common.bytes.fetch_add(series.bytes() + more, Ordering::Relaxed);
        all.push(series.clone());
        index.insert(&shared, at, series.clone());
        Some(series)
    }

    /// Shows only what was observed in this round or later, once all has been: of two that observe
    /// at a time, the later round counts.
    pub fn show_since(&self, round: u64) {
        // Relaxed: a reader that is early shows what was there before.
        self.since.fetch_max(round, Ordering::Relaxed);
    }

    /// Calls `each` for the series that are shown, oldest first.
    pub(super) fn for_each_shown(&self, mut each: impl FnMut(&Arc<Series>)) {
        let since = self.since.load(Ordering::Relaxed);
        self.for_each(|series| {
            if series.is_shown(since) {
                each(series);
            }
        });
    }

    /// All series, oldest first.
    pub fn all(&self) -> Vec<Arc<Series>> {
        lock(&self.series).clone()
    }

    /// Calls `each` for all series, oldest first.
    pub(super) fn for_each(&self, each: impl FnMut(&Arc<Series>)) {
        lock(&self.series).iter().for_each(each);
    }

    /// How many series there are.
    pub fn len(&self) -> usize {
        lock(&self.series).len()
    }

    /// Whether there is no series yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
