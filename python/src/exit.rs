//! What happens when an interpreter, a child of `multiprocessing` or the process ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::engine::{self, started};
use crate::filtered;
use crate::gil::without_lock;
use crate::hub::hub;
use crate::metrics::observe;

/// Seconds that the end of a process may take because of us.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Registers what is to happen at exit, once.
pub fn register(py: Python<'_>) -> PyResult<()> {
    static ONCE: AtomicBool = AtomicBool::new(false);
    if !ONCE.swap(true, Ordering::Relaxed) {
        let module = py.import("coati._native")?;
        py.import("atexit")?.call_method1("register", (module.getattr("_at_exit")?,))?;
        // Functions registered before that run after it, as do destructors: the last word is C's.
        // SAFETY: a function that needs no interpreter.
        unsafe { ffi::Py_AtExit(Some(last)) };
        if let Some(register) = py.import("os")?.getattr_opt("register_at_fork")? {
            let kwargs = PyDict::new(py);
            kwargs.set_item("before", module.getattr("_before_fork")?)?;
            kwargs.set_item("after_in_child", module.getattr("_after_fork")?)?;
            register.call((), Some(&kwargs))?;
        }
    }
    _before_fork(py)
}

/// Before the interpreter is torn down: observable instruments are asked for the last time, what is
/// recorded is delivered, and no callback runs after.
#[pyfunction]
pub fn _at_exit(py: Python<'_>) {
    if started().is_some() && !hub().is_inherited() {
        // What fails is in health.
        let _ = observe::run(py);
    }
    observe::close();
    if !hub().is_inherited() {
        engine::flush(TIMEOUT.as_secs_f64());
    }
}

/// After the interpreter is gone. No lock is needed and none exists.
extern "C" fn last() {
    if hub().is_inherited() {
        return;
    }
    if let Some(started) = started() {
        started.core.shutdown(TIMEOUT);
    }
}

/// A child counts for itself.
#[pyfunction]
pub fn _after_fork() {
    filtered::forget();
}

/// A child of `multiprocessing` leaves by `os._exit`, after the module's own finalizers, which it
/// clears when it begins: ours is registered by what it runs next. Nothing is done while the
/// program has not imported `multiprocessing`.
#[pyfunction]
pub fn _before_fork(py: Python<'_>) -> PyResult<()> {
    static ONCE: AtomicBool = AtomicBool::new(false);
    let modules = py.import("sys")?.getattr("modules")?;
    let util = modules.cast::<PyDict>()?.get_item("multiprocessing.util")?;
    let Some(util) = util.filter(|_| !ONCE.load(Ordering::Relaxed)) else { return Ok(()) };
    let Some(register) = util.getattr_opt("register_after_fork")? else { return Ok(()) };
    ONCE.store(true, Ordering::Relaxed);
    let module = py.import("coati._native")?;
    register.call1((module.getattr("Engine")?, module.getattr("_in_child")?))?;
    _in_child(py, &py.None().into_bound(py))
}

/// Registers the finalizer.
#[pyfunction]
pub fn _in_child(py: Python<'_>, _anchor: &Bound<'_, PyAny>) -> PyResult<()> {
    /// After everything that others have registered.
    const LAST: i32 = -1_000_000;
    let kwargs = PyDict::new(py);
    kwargs.set_item("exitpriority", LAST)?;
    let at_exit = py.import("coati._native")?.getattr("_flush_child")?;
    py.import("multiprocessing.util")?.call_method(
        "Finalize",
        (py.None(), at_exit),
        Some(&kwargs),
    )?;
    Ok(())
}

/// Delivers what a child of `multiprocessing` has recorded.
#[pyfunction]
pub fn _flush_child() {
    if !hub().is_inherited()
        && let Some(started) = started()
    {
        without_lock(&mut || {
            started.core.flush(TIMEOUT);
        });
    }
}
