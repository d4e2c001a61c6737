//! Handles to metrics that outlive pipelines: made before `init`, kept over a fork or a restart.

use std::sync::Arc;

use crate::hub::Hub;
use crate::metrics::{self, Descriptor, Label, LabelValue, MetricError, OwnedLabel, Series, Shard};
use crate::per_pipeline::PerPipeline;
use crate::thread::Recorder;

/// An instrument by description, resolved in whatever pipeline is current.
#[derive(Debug, Clone)]
pub struct Instrument(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    hub: Arc<Hub>,
    descriptor: Arc<Descriptor>,
    resolved: PerPipeline<Arc<metrics::Instrument>>,
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
        let (descriptor, resolved) = (Arc::new(descriptor), PerPipeline::new());
        Ok(Self(Arc::new(Inner { hub, descriptor, resolved })))
    }

    /// What it is.
    pub fn descriptor(&self) -> &Arc<Descriptor> {
        &self.0.descriptor
    }

    /// The place of its pipeline.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.0.hub
    }

    /// The instrument in the current pipeline; `None` while recording is off, or when an
    /// instrument made before `init` turns out to clash with another one.
    #[inline]
    pub fn resolve(&self) -> Option<&Arc<metrics::Instrument>> {
        self.0.resolved.get(self.0.hub.key()).or_else(|| self.look_up())
    }

    #[cold]
    fn look_up(&self) -> Option<&Arc<metrics::Instrument>> {
        let pipeline = self.0.hub.pipeline()?;
        if let Some(resolved) = self.0.resolved.get(pipeline.key()) {
            return Some(resolved);
        }
        let resolved = pipeline.metrics().instrument((*self.0.descriptor).clone()).ok()?;
        Some(self.0.resolved.put(pipeline.key(), resolved))
    }

    /// The series with these labels, made if need be; `None` while recording is off.
    pub fn series(&self, labels: &[Label<'_>]) -> Option<Arc<Series>> {
        Some(self.resolve()?.series(labels))
    }

    /// The series with these labels if it exists.
    pub fn find(&self, labels: &[Label<'_>]) -> Option<Arc<Series>> {
        self.resolve()?.find(labels)
    }

    /// Calls `f` with the series of these labels, found through a cache of this thread's own, and
    /// with this thread's cells; does nothing while recording is off.
    #[inline]
    pub fn with(&self, labels: &[Label<'_>], f: impl FnOnce(&Series, &Shard)) {
        self.0.hub.with(|recorder| {
            match (recorder, self.resolve()) {
                (Some(recorder), Some(instrument)) => recorder.with_series(instrument, labels, f),
                // The thread is about to end, or this is a signal handler.
                (None, Some(instrument)) => instrument.ignore(),
                (_, None) => {}
            }
        });
    }

    /// A handle to one series, which it pins.
    pub fn bind(&self, labels: &[Label<'_>]) -> Bound {
        let labels = labels
            .iter()
            .map(|&(key, value)| {
                let value = match value {
                    LabelValue::Str(text) => LabelValue::Str(beginning(text)),
                    other => other,
                };
                OwnedLabel { key: beginning(key).into(), value: value.keep() }
            })
            .collect();
        let instrument = self.clone();
        Bound { hub: self.hub().clone(), instrument, labels, resolved: PerPipeline::new() }
    }
}

/// A handle keeps no more of a label's text; the store keeps much less.
fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(1 << 20)]
}

/// A series by description, found by one load after its first use in a pipeline.
#[derive(Debug)]
pub struct Bound {
    hub: Arc<Hub>,
    instrument: Instrument,
    labels: Box<[OwnedLabel]>,
    resolved: PerPipeline<Arc<Series>>,
}

impl Clone for Bound {
    fn clone(&self) -> Self {
        let (hub, instrument) = (self.hub.clone(), self.instrument.clone());
        Self { hub, instrument, labels: self.labels.clone(), resolved: PerPipeline::new() }
    }
}

impl Bound {
    /// The instrument it belongs to.
    pub fn instrument(&self) -> &Instrument {
        &self.instrument
    }

    /// The series in the current pipeline; `None` while recording is off.
    pub fn series(&self) -> Option<&Arc<Series>> {
        self.resolved.get(self.hub.key()).or_else(|| self.look_up())
    }

    #[cold]
    fn look_up(&self) -> Option<&Arc<Series>> {
        let labels: Vec<Label<'_>> = self.labels.iter().map(OwnedLabel::borrowed).collect();
        let pipeline = self.hub.pipeline()?.key();
        let series = self.instrument.series(&labels)?;
        Some(self.resolved.put(pipeline, series))
    }

    /// Calls `f` with the series and this thread's cells; does nothing while recording is off.
    #[inline(always)]
    pub fn with(&self, f: impl FnOnce(&Series, &Shard)) {
        self.hub.with(|recorder: Option<&mut Recorder>| match (recorder, self.series()) {
            (Some(recorder), Some(series)) => f(series, recorder.shard()),
            // The thread is about to end, or this is a signal handler.
            (None, Some(series)) => series.ignore(),
            (_, None) => {}
        });
    }

    /// Calls `f` with the series and this thread's cells where that takes no call; else false.
    #[inline(always)]
    fn with_cached(&self, f: impl FnOnce(&Series, &Shard) -> bool) -> bool {
        let key = self.hub.key();
        let Some(series) = self.resolved.get(key) else { return false };
        Hub::with_cached(key, |recorder| f(series, recorder.shard())).unwrap_or(false)
    }

    /// [`Bound::add_int`] where it takes no call: true when done, false when nothing happened.
    #[inline(always)]
    pub fn try_add_int(&self, amount: i64) -> bool {
        self.with_cached(|series, shard| series.try_add_int(shard, amount))
    }

    /// [`Bound::record`] where it takes no call: true when done, false when nothing happened.
    #[inline(always)]
    pub fn try_record(&self, value: f64) -> bool {
        self.with_cached(|series, shard| series.try_record(shard, value))
    }

    /// Adds an integer to a counter, up-down counter or gauge.
    #[inline(always)]
    pub fn add_int(&self, amount: i64) {
        if !self.try_add_int(amount) {
            self.add_int_slow(amount);
        }
    }

    #[cold]
    #[inline(never)]
    fn add_int_slow(&self, amount: i64) {
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
        if !self.try_record(value) {
            self.record_slow(value);
        }
    }

    #[cold]
    #[inline(never)]
    fn record_slow(&self, value: f64) {
        self.with(|series, shard| series.record(shard, value));
    }
}
