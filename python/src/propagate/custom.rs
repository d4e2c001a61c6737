//! Propagators of the program's own, among those that coati has.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use coati_core::propagate::{Context, Format, Formats, Headers};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::carrier::Carrier;
use crate::convert::{printed, tolerate};
use crate::current::Node;
use crate::engine::started;
use crate::gil::Guarded;
use crate::remote::{Remote, node_of};

/// One propagator.
pub enum Way {
    Named(Formats),
    Object {
        object: Py<PyAny>,
        /// Whether its last call has failed.
        failed: AtomicBool,
    },
}

static WAYS: Guarded<Option<Arc<[Way]>>> = Guarded::new(None);
static SET: AtomicBool = AtomicBool::new(false);

/// Whether the program has set any.
#[inline(always)]
pub fn is_set() -> bool {
    // Relaxed: stored and loaded under the interpreter's lock.
    SET.load(Ordering::Relaxed)
}

/// What the program has set.
pub fn ways(_py: Python<'_>) -> Option<Arc<[Way]>> {
    if is_set() { WAYS.borrow()?.clone() } else { None }
}

/// Choose how contexts are carried: names of formats, and objects with `inject` and `extract`.
#[pyfunction]
#[pyo3(signature = (propagators, /))]
pub fn set_propagators(propagators: Option<Vec<Bound<'_, PyAny>>>) -> PyResult<()> {
    let ways = match &propagators {
        Some(all) => Some(all.iter().map(way).collect::<PyResult<Arc<[Way]>>>()?),
        None => None,
    };
    let set = ways.is_some();
    let before = WAYS.borrow().map(|mut place| std::mem::replace(&mut *place, ways));
    SET.store(set, Ordering::Relaxed);
    // Last: it may run any code.
    drop(before);
    Ok(())
}

fn way(given: &Bound<'_, PyAny>) -> PyResult<Way> {
    if let Ok(name) = given.cast::<PyString>() {
        let name = name.to_string_lossy();
        if !Format::NAMES.contains(&&*name) {
            let accepted = Format::NAMES.join(", ");
            return Err(PyValueError::new_err(format!(
                "unknown propagator {name:?}; accepted: {accepted}, or an object with inject and extract"
            )));
        }
        return Ok(Way::Named(Formats::from_names([&*name])));
    }
    for method in ["inject", "extract"] {
        if !given.getattr_opt(method)?.is_some_and(|method| method.is_callable()) {
            let found = given.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "a propagator needs {method}(), {found} has none"
            )));
        }
    }
    Ok(Way::Object { object: given.clone().unbind(), failed: AtomicBool::new(false) })
}

/// Writes headers by all of them. What one of the program's fails at is its own loss.
pub fn inject(ways: &[Way], carrier: &Carrier<'_, '_>, context: Context) -> PyResult<()> {
    let py = carrier.headers.py();
    for way in ways {
        match way {
            Way::Named(formats) => carrier.inject(*formats, &context)?,
            Way::Object { object, failed } => {
                let given = object_of(py, context.clone())?;
                let args = (carrier.headers, given);
                let done = object.bind(py).call_method1("inject", args).map(drop);
                judge(object.bind(py), failed, done)?;
            }
        }
    }
    Ok(())
}

/// Reads headers by all of them; each is given what those before it have found.
pub fn extract(ways: &[Way], headers: &Bound<'_, PyAny>, found: &Headers) -> PyResult<Context> {
    let py = headers.py();
    let mut context = Context::default();
    for way in ways {
        match way {
            Way::Named(formats) => formats.extract_over(found, &mut context),
            Way::Object { object, failed } => {
                let given = object_of(py, context.clone())?;
                let told = object.bind(py).call_method1("extract", (headers, given));
                let told = told.and_then(|told| match node_of(&told) {
                    Some(node) => Ok(Some(context_of(node))),
                    None if told.is_none() => Ok(None),
                    None => {
                        let found = told.get_type().name()?;
                        Err(PyTypeError::new_err(format!(
                            "extract() gave {found} instead of a SpanContext or None"
                        )))
                    }
                });
                if let Some(told) = judge(object.bind(py), failed, told)?.flatten() {
                    context = told;
                }
            }
        }
    }
    Ok(context)
}

fn object_of(py: Python<'_>, context: Context) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: a new reference, or null with an error set.
    unsafe { Bound::from_owned_ptr_or_err(py, Remote::of(context)) }
}

fn context_of(node: &Node) -> Context {
    Context {
        span: node.context,
        state: node.state.as_deref().cloned(),
        baggage: node.baggage.get().map(|baggage| (**baggage).clone()).unwrap_or_default(),
    }
}

/// Notes what a propagator of the program's has failed at. The only errors that leave are
/// exceptions that are no `Exception`.
fn judge<T>(
    object: &Bound<'_, PyAny>,
    failed: &AtomicBool,
    result: PyResult<T>,
) -> PyResult<Option<T>> {
    let py = object.py();
    let component = || {
        let class = object.get_type().name().map_or_else(|_| String::new(), |n| n.to_string());
        format!("propagator {class}")
    };
    match result {
        Ok(value) => {
            if failed.swap(false, Ordering::Relaxed)
                && let Some(started) = started()
            {
                started.core.note(&component(), None);
            }
            Ok(Some(value))
        }
        Err(error) => {
            let kind = error.get_type(py).name().map_or_else(|_| String::new(), |n| n.to_string());
            let reason = printed(error.value(py).as_any())?;
            tolerate(py, error)?;
            failed.store(true, Ordering::Relaxed);
            if let Some(started) = started() {
                started.core.note(&component(), Some(&format!("{kind}: {}", &*reason)));
            }
            Ok(None)
        }
    }
}
