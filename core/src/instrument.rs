//! Handles to metrics that outlive pipelines: made before `init`, kept over a fork or a restart.

use std::ptr::null;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::hub::Hub;
use crate::metrics::{
    self, Descriptor, HistogramCells, Kind, Label, LabelValue, MetricError, Number, OwnedLabel,
    Series, Shard,
};
use crate::per_pipeline::PerPipeline;
use crate::span::SpanContext;
use crate::sync::{AT_ONCE, add_at_once};
use crate::thread::{self, Recorder, Turn, found};

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
        Bound::new(self.clone(), labels)
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
    /// Its number, see [`found`].
    number: u32,
    monotonic: bool,
    instrument: Instrument,
    labels: Box<[OwnedLabel]>,
    resolved: PerPipeline<Arc<Series>>,
}

impl Clone for Bound {
    fn clone(&self) -> Self {
        Self::new(self.instrument.clone(), self.labels.clone())
    }
}

impl Bound {
    fn new(instrument: Instrument, labels: Box<[OwnedLabel]>) -> Self {
        Self {
            hub: instrument.hub().clone(),
            number: found::handle_number(),
            monotonic: instrument.descriptor().kind == Kind::Counter,
            instrument,
            labels,
            resolved: PerPipeline::new(),
        }
    }

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

    /// [`Bound::with`]; afterwards [`Bound::try_add_int`] and [`Bound::try_record`] find the cells.
    #[inline]
    pub fn with_found(&self, f: impl FnOnce(&Series, &Shard)) {
        self.hub.with(|recorder: Option<&mut Recorder>| match (recorder, self.series()) {
            (Some(recorder), Some(series)) => {
                f(series, recorder.shard());
                self.find(recorder);
            }
            // The thread is about to end, or this is a signal handler.
            (None, Some(series)) => series.ignore(),
            (_, None) => {}
        });
    }

    /// Remembers where this thread's cells are.
    fn find(&self, recorder: &Recorder) {
        // The hub may have got another pipeline meanwhile.
        let (pipeline, shard) = (recorder.pipeline().key(), recorder.shard());
        let Some(series) = self.resolved.get(pipeline) else { return };
        if let Some(cell) = series.number_cell(shard) {
            thread::numbers().put(pipeline, self.number, cell.cast(), null());
        }
        if let Some((cells, stamp)) = series.histogram_cells(shard) {
            thread::histograms().put(pipeline, self.number, cells.cast(), stamp.cast());
        }
    }

    /// What names its cells, see [`found`].
    #[inline(always)]
    fn tag(&self) -> u64 {
        found::tag(self.hub.key(), self.number)
    }

    /// Offers what was just recorded as an exemplar of the span around it, if the settings say so.
    #[inline(never)]
    pub fn offer(&self, value: Number, span: Option<&SpanContext>) {
        if self.hub.takes_exemplar(span)
            && let Some(series) = self.series()
        {
            series.offer(value, span.and_then(SpanContext::ids));
        }
    }

    /// [`Bound::record`] inside `span`.
    pub fn record_in(&self, span: &SpanContext, value: f64) {
        self.record(value);
        self.offer(Number::Float(value), Some(span));
    }

    /// [`Bound::add_int`] inside `span`.
    pub fn add_int_in(&self, span: &SpanContext, amount: i64) {
        self.add_int(amount);
        self.offer(Number::Int(amount), Some(span));
    }

    /// [`Bound::add_float`] inside `span`.
    pub fn add_float_in(&self, span: &SpanContext, amount: f64) {
        self.add_float(amount);
        self.offer(Number::Float(amount), Some(span));
    }

    /// [`Bound::add_int`] where it takes no call: true when done, false when nothing happened.
    #[inline(always)]
    pub fn try_add_int(&self, amount: i64) -> bool {
        if !AT_ONCE || (amount < 0 && self.monotonic) {
            return false;
        }
        let Some((cell, _)) = thread::numbers().get(self.tag()) else { return false };
        // No turn is taken: a signal handler can come before the addition or after it, and
        // whatever it does there, the store that this handle's series belongs to keeps all cells.
        // SAFETY: `find` put an `AtomicU64` of that store there.
        add_at_once(unsafe { &*cell.cast::<AtomicU64>() }, amount as u64);
        true
    }

    /// [`Bound::record`] where it takes no call: true when done, false when nothing happened.
    #[inline(always)]
    pub fn try_record(&self, value: f64) -> bool {
        let Some(_turn) = Turn::alone() else { return false };
        let Some((cells, stamp)) = thread::histograms().get(self.tag()) else { return false };
        // SAFETY: `find` put cells of the store that this handle's series belongs to
        // there, which keeps them, and the stamp of that series.
        let (cells, stamp) =
            unsafe { (&*cells.cast::<HistogramCells>(), &*stamp.cast::<AtomicU64>()) };
        // Relaxed: a stamp seen late only delays the start of a window by a call.
        cells.record_fast(value, stamp.load(Ordering::Relaxed))
    }

    /// Adds an integer to a counter, up-down counter or gauge.
    #[inline(always)]
    pub fn add_int(&self, amount: i64) {
        if !self.try_add_int(amount) {
            self.add_int_slow(amount);
        }
    }

    #[inline(never)]
    fn add_int_slow(&self, amount: i64) {
        self.with_found(|series, shard| series.add_int(shard, amount));
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

    #[inline(never)]
    fn record_slow(&self, value: f64) {
        self.with_found(|series, shard| series.record(shard, value));
    }
}
