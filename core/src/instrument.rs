//! Handles to series that outlive pipelines: made before `init`, kept over a fork or a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::hub::Hub;
use crate::metrics::{Descriptor, Label, MetricError, OwnedLabel, Series, Shard, Store};

/// An instrument by description, resolved in whatever pipeline is current.
#[derive(Debug, Clone)]
pub struct Instrument {
    hub: Arc<Hub>,
    descriptor: Arc<Descriptor>,
}

impl Instrument {
    /// A handle; with a pipeline running, the instrument exists afterwards.
    ///
    /// # Errors
    /// If the name is taken by an instrument that does not agree, as far as a pipeline runs.
    pub fn new(hub: Arc<Hub>, descriptor: Descriptor) -> Result<Self, MetricError> {
        if let Some(pipeline) = hub.pipeline() {
            pipeline.metrics().instrument(descriptor.clone())?;
        }
        Ok(Self { hub, descriptor: Arc::new(descriptor) })
    }

    /// What it is.
    pub fn descriptor(&self) -> &Arc<Descriptor> {
        &self.descriptor
    }

    /// The series with these labels, made if need be; `None` while recording is off.
    pub fn series(&self, labels: &[Label<'_>]) -> Option<Arc<Series>> {
        let pipeline = self.hub.pipeline()?;
        Some(self.resolve(pipeline.metrics())?.series(labels))
    }

    /// The series with these labels if it exists.
    pub fn find(&self, labels: &[Label<'_>]) -> Option<Arc<Series>> {
        let pipeline = self.hub.pipeline()?;
        self.resolve(pipeline.metrics())?.find(labels)
    }

    /// A handle to one series, which it pins.
    pub fn bind(&self, labels: &[Label<'_>]) -> Bound {
        let labels = labels
            .iter()
            .map(|&(key, value)| OwnedLabel { key: key.into(), value: value.keep() })
            .collect();
        Bound { instrument: self.clone(), labels, resolved: AtomicPtr::new(std::ptr::null_mut()) }
    }

    fn resolve(&self, store: &Store) -> Option<Arc<crate::metrics::Instrument>> {
        // An instrument made before `init` may turn out to clash: then it records nothing.
        store.instrument((*self.descriptor).clone()).ok()
    }
}

/// A series by description, found by one load after its first use in a pipeline.
#[derive(Debug)]
pub struct Bound {
    instrument: Instrument,
    labels: Box<[OwnedLabel]>,
    resolved: AtomicPtr<Resolved>,
}

/// A series in one pipeline. Earlier ones stay until the handle goes, as another thread may still
/// be using them; there is one per restart or fork.
struct Resolved {
    pipeline: u64,
    series: Arc<Series>,
    earlier: *mut Resolved,
}

impl Bound {
    /// The instrument it belongs to.
    pub fn instrument(&self) -> &Instrument {
        &self.instrument
    }

    /// The series in the current pipeline; `None` while recording is off.
    pub fn series(&self) -> Option<Arc<Series>> {
        let labels: Vec<Label<'_>> = self.labels.iter().map(OwnedLabel::borrowed).collect();
        self.instrument.series(&labels)
    }

    /// Calls `f` with the series and this thread's cells; does nothing while recording is off.
    #[inline(always)]
    pub fn with(&self, f: impl FnOnce(&Series, &Shard)) {
        let hub = &self.instrument.hub;
        hub.with(|recorder| {
            let Some(recorder) = recorder else { return };
            // Acquire: pairs with the Release in `look_up`.
            let resolved = self.resolved.load(Ordering::Acquire);
            // SAFETY: null or leaked until `drop`, which nobody outlives.
            match unsafe { resolved.as_ref() } {
                Some(resolved) if resolved.pipeline == hub.key() => {
                    f(&resolved.series, recorder.shard());
                }
                _ => {
                    if let Some(series) = self.look_up() {
                        f(series, recorder.shard());
                    }
                }
            }
        });
    }

    #[cold]
    fn look_up(&self) -> Option<&Series> {
        let pipeline = self.instrument.hub.key();
        let series = self.series()?;
        let fresh =
            Box::into_raw(Box::new(Resolved { pipeline, series, earlier: std::ptr::null_mut() }));
        let mut earlier = self.resolved.load(Ordering::Acquire);
        loop {
            // SAFETY: `fresh` is ours until the exchange succeeds.
            unsafe { (*fresh).earlier = earlier };
            // Release: publishes the fields of `fresh`.
            match self.resolved.compare_exchange(
                earlier,
                fresh,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                // SAFETY: published, freed only in `drop`.
                Ok(_) => return Some(unsafe { &(*fresh).series }),
                Err(other) => earlier = other,
            }
        }
    }

    /// Adds an integer to a counter, up-down counter or gauge.
    #[inline(always)]
    pub fn add_int(&self, amount: i64) {
        self.with(|series, shard| series.add_int(shard, amount));
    }

    /// Adds a float to a counter, up-down counter or gauge.
    #[inline(always)]
    pub fn add_float(&self, amount: f64) {
        self.with(|series, shard| series.add_float(shard, amount));
    }

    /// Sets a gauge.
    #[inline(always)]
    pub fn set(&self, value: f64) {
        self.with(|series, _| series.set(value));
    }

    /// Records into a histogram.
    #[inline(always)]
    pub fn record(&self, value: f64) {
        self.with(|series, shard| series.record(shard, value));
    }
}

// SAFETY: the list behind the pointer is only added to, by compare-and-swap, and its nodes hold
// nothing but a number, an `Arc<Series>` (shareable) and the next node.
unsafe impl Send for Bound {}
// SAFETY: as above.
unsafe impl Sync for Bound {}

impl Drop for Bound {
    fn drop(&mut self) {
        let mut next = *self.resolved.get_mut();
        while !next.is_null() {
            // SAFETY: made by `Box::into_raw` in `look_up`; nobody else can reach it any more.
            let resolved = unsafe { Box::from_raw(next) };
            next = resolved.earlier;
        }
    }
}
