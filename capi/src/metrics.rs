//! Counters, up-down counters, gauges and histograms, each bound to its labels.

use std::sync::Arc;

use coati_core::instrument::{Bound, Instrument};
use coati_core::live::exemplars_wanted;
use coati_core::metrics::{Descriptor, Kind, Number, Series, Shard};

use crate::current;
use crate::engine::{Shared, coati_engine, shared};
use crate::entry::{self, entry};
use crate::fields::Label;
use crate::handle::{self, borrow, slice};
use crate::last_error::because;
use crate::status::{COATI_OK, Failure, Outcome, coati_status};
use crate::text;
use crate::types::{coati_field, coati_str};

/// A series that keeps its engine.
struct Handle {
    bound: Bound,
    shared: Arc<Shared>,
}

impl Handle {
    #[inline(always)]
    fn with(&self, record: impl FnOnce(&Series, &Shard)) -> Outcome {
        let mut recorded = false;
        self.bound.with(|series, shard| {
            record(series, shard);
            recorded = true;
        });
        if recorded { Ok(()) } else { self.shared.off() }
    }

    /// As [`Handle::with`]; afterwards the cells are found without a call.
    fn with_found(&self, record: impl FnOnce(&Series, &Shard)) -> Outcome {
        let mut recorded = false;
        self.bound.with_found(|series, shard| {
            record(series, shard);
            recorded = true;
        });
        if recorded { Ok(()) } else { self.shared.off() }
    }

    /// Adds a whole amount where that takes no call. Those, as most are, are kept apart: they are
    /// exact and cost less. True when done; false when nothing happened.
    #[inline(always)]
    fn try_add(&self, amount: f64) -> bool {
        is_plain() && whole(amount).is_some_and(|whole| self.bound.try_add_int(whole))
    }

    fn add_other(&self, amount: f64, least: f64) -> Outcome {
        // The store counts what it ignores.
        let added = self.with_found(|series, shard| match whole(amount) {
            Some(whole) => series.add_int(shard, whole),
            None => series.add_float(shard, amount),
        });
        if exemplars_wanted() {
            self.offer(whole(amount).map_or(Number::Float(amount), Number::Int));
        }
        let accepted = amount >= least && amount.is_finite();
        if accepted { added } else { added.and(Err(Failure::BadArgument)) }
    }

    /// Offers what was just recorded as an exemplar of the current span.
    #[cold]
    #[inline(never)]
    fn offer(&self, value: Number) {
        self.bound.offer(value, current::context(self.shared.host()).as_ref());
    }

    fn record_other(&self, value: f64) -> Outcome {
        // The store counts what it ignores.
        let recorded = self.with_found(|series, shard| series.record(shard, value));
        if exemplars_wanted() {
            self.offer(Number::Float(value));
        }
        if value.is_finite() { recorded } else { recorded.and(Err(Failure::BadArgument)) }
    }
}

/// Adds an amount of at least `least`.
#[inline(never)]
fn add_slow(handle: Option<&Handle>, amount: f64, least: f64) -> coati_status {
    entry(|| handle.ok_or(Failure::NullHandle)?.add_other(amount, least))
}

#[inline(never)]
fn record_slow(handle: Option<&Handle>, value: f64) -> coati_status {
    entry(|| handle.ok_or(Failure::NullHandle)?.record_other(value))
}

/// Whether a call does nothing but count: it is not to panic, and no exemplar is wanted.
#[inline(always)]
fn is_plain() -> bool {
    entry::is_calm() && !exemplars_wanted()
}

/// The integer that `amount` is, up to where every whole double is an integer of its own.
#[inline(always)]
fn whole(amount: f64) -> Option<i64> {
    const EXACT: f64 = (1u64 << 53) as f64;
    if !(-EXACT..=EXACT).contains(&amount) {
        return None;
    }
    // SAFETY: not NaN, and within an i64.
    let whole: i64 = unsafe { amount.to_int_unchecked() };
    (whole as f64 == amount).then_some(whole)
}

/// # Safety
/// Handle, texts and fields are what the header asks for.
unsafe fn bind(
    shared: &Arc<Shared>,
    kind: Kind,
    texts: [coati_str; 3],
    (labels, n): (*const coati_field, usize),
    bounds: &[f64],
) -> Result<Handle, Failure> {
    // SAFETY: the caller's promise.
    let (texts, labels) = unsafe {
        let labels = slice(labels, n)?.iter().map(|label| Label::new(label));
        (texts.map(|text| text::kept(text)), labels.collect::<Result<Vec<_>, _>>()?)
    };
    let [name, unit, description] = texts;
    let mut descriptor = Descriptor::new(&name?, kind, &unit?, &description?);
    if !bounds.is_empty() {
        descriptor = descriptor.with_bounds(bounds);
    }
    let instrument = Instrument::new(shared.hub.clone(), descriptor)
        .map_err(|error| because(Failure::BadArgument, &error))?;
    let labels: Vec<_> = labels.iter().map(Label::borrowed).collect();
    Ok(Handle { bound: instrument.bind(&labels), shared: shared.clone() })
}

/// A sum that only grows, with fixed labels.
pub struct coati_counter(Handle);

/// The counter called `name` with `n` labels. COATI_BAD_ARGUMENT: not a metric's name, or the
/// name of another instrument; coati_last_error says which.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_counter_new(
    engine: *mut coati_engine,
    name: coati_str,
    unit: coati_str,
    description: coati_str,
    labels: *const coati_field,
    n: usize,
    out: *mut *mut coati_counter,
) -> coati_status {
    entry(|| {
        // SAFETY: handle, texts, labels and `out` are what the header asks for.
        unsafe {
            handle::give(out, shared(engine), |shared| {
                let texts = [name, unit, description];
                bind(shared, Kind::Counter, texts, (labels, n), &[]).map(coati_counter)
            })
        }
    })
}

/// Frees the handle.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_counter_free(counter: *mut coati_counter) {
    // SAFETY: null or the caller's own.
    unsafe { handle::free(counter) };
}

/// Adds to the counter. Negative or not finite: COATI_BAD_ARGUMENT, nothing is added.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_counter_add(
    counter: *const coati_counter,
    amount: f64,
) -> coati_status {
    // SAFETY: null or a live handle.
    let handle = unsafe { counter.as_ref() }.map(|coati_counter(handle)| handle);
    if amount >= 0.0 && handle.is_some_and(|handle| handle.try_add(amount)) {
        return COATI_OK;
    }
    add_slow(handle, amount, 0.0)
}

/// A sum that goes up and down, with fixed labels.
pub struct coati_up_down_counter(Handle);

/// The up-down counter called `name`; as coati_counter_new.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_up_down_counter_new(
    engine: *mut coati_engine,
    name: coati_str,
    unit: coati_str,
    description: coati_str,
    labels: *const coati_field,
    n: usize,
    out: *mut *mut coati_up_down_counter,
) -> coati_status {
    entry(|| {
        // SAFETY: handle, texts, labels and `out` are what the header asks for.
        unsafe {
            handle::give(out, shared(engine), |shared| {
                let texts = [name, unit, description];
                bind(shared, Kind::UpDownCounter, texts, (labels, n), &[])
                    .map(coati_up_down_counter)
            })
        }
    })
}

/// Frees the handle.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_up_down_counter_free(counter: *mut coati_up_down_counter) {
    // SAFETY: null or the caller's own.
    unsafe { handle::free(counter) };
}

/// Adds to the up-down counter. Not finite: COATI_BAD_ARGUMENT, nothing is added.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_up_down_counter_add(
    counter: *const coati_up_down_counter,
    amount: f64,
) -> coati_status {
    // SAFETY: null or a live handle.
    let handle = unsafe { counter.as_ref() }.map(|coati_up_down_counter(handle)| handle);
    if handle.is_some_and(|handle| handle.try_add(amount)) {
        return COATI_OK;
    }
    add_slow(handle, amount, f64::MIN)
}

/// A value that is set, with fixed labels.
pub struct coati_gauge(Handle);

/// The gauge called `name`; as coati_counter_new.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_gauge_new(
    engine: *mut coati_engine,
    name: coati_str,
    unit: coati_str,
    description: coati_str,
    labels: *const coati_field,
    n: usize,
    out: *mut *mut coati_gauge,
) -> coati_status {
    entry(|| {
        // SAFETY: handle, texts, labels and `out` are what the header asks for.
        unsafe {
            handle::give(out, shared(engine), |shared| {
                let texts = [name, unit, description];
                bind(shared, Kind::Gauge, texts, (labels, n), &[]).map(coati_gauge)
            })
        }
    })
}

/// Frees the handle.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_gauge_free(gauge: *mut coati_gauge) {
    // SAFETY: null or the caller's own.
    unsafe { handle::free(gauge) };
}

/// Sets the gauge; any value is one.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_gauge_set(gauge: *const coati_gauge, value: f64) -> coati_status {
    entry(|| {
        // SAFETY: null or a live handle.
        let coati_gauge(handle) = unsafe { borrow(gauge) }?;
        handle.with(|series, _| series.set(value))
    })
}

/// A distribution, with fixed labels.
pub struct coati_histogram(Handle);

/// The histogram called `name`; as coati_counter_new. `bounds` are the buckets' upper bounds;
/// NULL and 0: exponential buckets, whose quantiles are within 0.6 %. COATI_BAD_ARGUMENT also for
/// bounds that do not ascend or are not finite.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_histogram_new(
    engine: *mut coati_engine,
    name: coati_str,
    unit: coati_str,
    description: coati_str,
    labels: *const coati_field,
    n: usize,
    bounds: *const f64,
    n_bounds: usize,
    out: *mut *mut coati_histogram,
) -> coati_status {
    entry(|| {
        // SAFETY: handle, texts, labels, bounds and `out` are what the header asks for.
        unsafe {
            handle::give(out, shared(engine), |shared| {
                let texts = [name, unit, description];
                let bounds = slice(bounds, n_bounds)?;
                bind(shared, Kind::Histogram, texts, (labels, n), bounds).map(coati_histogram)
            })
        }
    })
}

/// Frees the handle.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_histogram_free(histogram: *mut coati_histogram) {
    // SAFETY: null or the caller's own.
    unsafe { handle::free(histogram) };
}

/// Records a value. Not finite: COATI_BAD_ARGUMENT, no bucket counts it.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_histogram_record(
    histogram: *const coati_histogram,
    value: f64,
) -> coati_status {
    // SAFETY: null or a live handle.
    let handle = unsafe { histogram.as_ref() }.map(|coati_histogram(handle)| handle);
    // What is not finite has no place in a bucket.
    if handle.is_some_and(|handle| is_plain() && handle.bound.try_record(value)) {
        return COATI_OK;
    }
    record_slow(handle, value)
}
