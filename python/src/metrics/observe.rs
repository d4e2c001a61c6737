//! Observable instruments: functions that are asked when metrics are read.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use coati_core::metrics::{Descriptor, Kind};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::instrument::{Amount, make};
use super::label::Labels;
use super::{COUNTER, GAUGE, UP_DOWN_COUNTER};
use crate::convert::{printed, tolerate};
use crate::engine::started;
use crate::gil::{Guarded, is_finalizing, without_lock};
use crate::hub::hub;
use crate::prometheus;
use crate::text::Name;

struct Observable {
    instrument: coati_core::instrument::Instrument,
    callback: Py<PyAny>,
}

/// Numbers the rounds in which all are asked.
static ROUNDS: AtomicU64 = AtomicU64::new(1);

static OBSERVABLES: Guarded<Vec<Observable>> = Guarded::new(Vec::new());

/// No callback begins any more: the interpreter is about to go.
static CLOSED: AtomicBool = AtomicBool::new(false);
/// Readers that are not Python's own and are asking.
static ASKING: AtomicUsize = AtomicUsize::new(0);

/// Keeps readers of other threads out from now on, and waits a moment for those inside.
pub fn close() {
    // SeqCst: either `ask` sees the gate closed, or this sees its reader inside.
    CLOSED.store(true, Ordering::SeqCst);
    let deadline = Instant::now() + Duration::from_secs(1);
    while ASKING.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
        without_lock(&mut || std::thread::sleep(Duration::from_millis(1)));
    }
}

/// Asks all; called by the store before it is read, on any thread.
pub fn ask() {
    ASKING.fetch_add(1, Ordering::SeqCst);
    if !CLOSED.load(Ordering::SeqCst) && !is_finalizing() {
        Python::try_attach(|py| {
            // A KeyboardInterrupt raised in a callback belongs to the main thread, not here.
            if let Err(error) = run(py) {
                error.write_unraisable(py, None);
            }
        });
    }
    ASKING.fetch_sub(1, Ordering::SeqCst);
}

/// Asks all. The only errors are exceptions that are no `Exception`.
pub fn run(py: Python<'_>) -> PyResult<()> {
    let Some(all) = OBSERVABLES.borrow().map(|all| {
        let each = all.iter().map(|one| (one.instrument.clone(), one.callback.clone_ref(py)));
        each.collect::<Vec<_>>()
    }) else {
        return Ok(());
    };
    let round = ROUNDS.fetch_add(1, Ordering::Relaxed);
    for (instrument, callback) in &all {
        let name = instrument.descriptor().name.to_string();
        match one(instrument, callback.bind(py), round) {
            Ok(()) => note(&name, None),
            Err(error) => {
                let reason = printed(error.value(py))?;
                let kind =
                    error.get_type(py).name().map_or_else(|_| String::new(), |n| n.to_string());
                tolerate(py, error)?;
                note(&name, Some(&format!("{kind}: {reason}")));
            }
        }
    }
    for (instrument, _) in &all {
        // OpenTelemetry shows what has just been observed and nothing else.
        if instrument.descriptor().scope.is_some()
            && let Some(instrument) = instrument.resolve()
        {
            instrument.show_since(round);
        }
    }
    prometheus::collect(py)
}

fn note(metric: &str, reason: Option<&str>) {
    if let Some(started) = started() {
        started.core.note(&format!("observable {metric}"), reason);
    }
}

/// A number, or pairs of a number and labels, or objects with `value` and `attributes`.
fn one(
    instrument: &coati_core::instrument::Instrument,
    callback: &Bound<'_, PyAny>,
    round: u64,
) -> PyResult<()> {
    let told = callback.call0()?;
    if told.is_none() {
        return Ok(());
    }
    if told.hasattr("__float__")? {
        return observe(instrument, &told, &Labels::none(), round);
    }
    for item in told.try_iter()? {
        let item = item?;
        let pair = item.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>();
        let (value, labels) = match pair {
            Ok((first, second)) if first.is_instance_of::<PyDict>() => (second, Some(first)),
            Ok((first, second)) => (first, Some(second)),
            Err(_) => (item.getattr("value")?, item.getattr_opt("attributes")?),
        };
        let labels = match labels.filter(|labels| !labels.is_none()) {
            Some(labels) => Labels::of_mapping(&labels)?,
            None => Labels::none(),
        };
        observe(instrument, &value, &labels, round)?;
    }
    Ok(())
}

fn observe(
    instrument: &coati_core::instrument::Instrument,
    value: &Bound<'_, PyAny>,
    labels: &Labels,
    round: u64,
) -> PyResult<()> {
    // SAFETY: a live object.
    let amount = unsafe { Amount::of(value.py(), value.as_ptr()) }?;
    if let Some(series) = labels.with(|labels| instrument.series(labels)) {
        match amount {
            Amount::Int(value) => series.observe_int(value),
            Amount::Float(value) => series.observe_float(value),
        }
        series.observed_in(round);
    }
    Ok(())
}

fn register<'py, const KIND: u8>(
    py: Python<'py>,
    kind: Kind,
    name: &str,
    callback: Py<PyAny>,
    unit: &str,
    description: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let object = make::<KIND>(py, name, unit, description, None)?;
    let descriptor = Descriptor::new(name, kind, unit, description);
    let instrument = coati_core::instrument::Instrument::new(hub().clone(), descriptor)
        .map_err(|error| super::MetricError::new_err(error.to_string()))?;
    ask_from_now_on(instrument, callback);
    Ok(object)
}

/// Has `callback` asked whenever metrics are read, once for each instrument.
pub fn ask_from_now_on(instrument: coati_core::instrument::Instrument, callback: Py<PyAny>) {
    let Some(mut all) = OBSERVABLES.borrow() else { return };
    let of = |one: &Observable| {
        let (known, new) = (one.instrument.descriptor(), instrument.descriptor());
        (&known.scope, &known.name) == (&new.scope, &new.name)
    };
    if !all.iter().any(|one| one.callback.is(&callback) && of(one)) {
        all.push(Observable { instrument, callback });
    }
}

/// Asks `callback` no more.
pub fn forget(callback: &Bound<'_, PyAny>) {
    let forgotten: Vec<Observable> = match OBSERVABLES.borrow() {
        Some(mut all) => {
            let (gone, kept) =
                std::mem::take(&mut *all).into_iter().partition(|one| one.callback.is(callback));
            *all = kept;
            gone
        }
        None => Vec::new(),
    };
    // Other code may run when they go.
    drop(forgotten);
}

/// A counter whose total `callback` tells.
#[pyfunction]
#[pyo3(
    signature = (name, callback, unit=Name::default(), description=Name::default()),
    text_signature = "(name, callback, unit='', description='')"
)]
pub fn observable_counter<'py>(
    py: Python<'py>,
    name: Name<'_>,
    callback: Py<PyAny>,
    unit: Name<'_>,
    description: Name<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    register::<COUNTER>(py, Kind::Counter, &name, callback, &unit, &description)
}

/// An up-down counter whose total `callback` tells.
#[pyfunction]
#[pyo3(
    signature = (name, callback, unit=Name::default(), description=Name::default()),
    text_signature = "(name, callback, unit='', description='')"
)]
pub fn observable_up_down_counter<'py>(
    py: Python<'py>,
    name: Name<'_>,
    callback: Py<PyAny>,
    unit: Name<'_>,
    description: Name<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    register::<UP_DOWN_COUNTER>(py, Kind::UpDownCounter, &name, callback, &unit, &description)
}

/// A gauge whose value `callback` tells.
#[pyfunction]
#[pyo3(
    signature = (name, callback, unit=Name::default(), description=Name::default()),
    text_signature = "(name, callback, unit='', description='')"
)]
pub fn observable_gauge<'py>(
    py: Python<'py>,
    name: Name<'_>,
    callback: Py<PyAny>,
    unit: Name<'_>,
    description: Name<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    register::<GAUGE>(py, Kind::Gauge, &name, callback, &unit, &description)
}
