//! The engine of the process: `init`, `configure`, `flush`, `shutdown` and what it tells.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use coati_core::ledger::Ledger;
use coati_export::config::{Sources, process_env};
use coati_export::{Config, Engine as Core, Options, ledger_json};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyOSError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyInt, PyList};
use serde_json::{Value, json};

use crate::gil::without_lock;
use crate::hub::hub;
use crate::metrics::{instrument, observe};
use crate::{early, exit, filtered, json, prometheus};

create_exception!(
    coati,
    ConfigError,
    PyException,
    "A configuration was refused; nothing of it took effect."
);

/// What `init` started.
pub struct Started {
    pub core: Arc<Core>,
    /// The configuration it was started with, whatever `configure` changed since.
    initial: Arc<Config>,
    stopped: AtomicBool,
}

impl Started {
    fn is_stopped(&self) -> bool {
        // Relaxed: whoever is late finds the engine itself stopped.
        self.stopped.load(Ordering::Relaxed)
    }
}

/// Without a lock: extension modules ask on threads that do not have the interpreter's.
static STARTED: ArcSwapOption<Started> = ArcSwapOption::const_empty();

/// What `init` started, if it has been called.
pub fn started() -> Option<Arc<Started>> {
    STARTED.load_full()
}

/// The running engine, as `init` returns it. There is one for each process.
#[pyclass(frozen, module = "coati")]
pub struct Engine;

#[pymethods]
impl Engine {
    /// Change settings while running.
    #[pyo3(signature = (**sections))]
    fn configure(&self, sections: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        configure(sections)
    }

    /// Wait until everything recorded before the call is in its sinks.
    #[pyo3(signature = (timeout=5.0))]
    fn flush(&self, timeout: f64) -> bool {
        flush(timeout)
    }

    /// Flush, stop, and return the final ledger.
    #[pyo3(signature = (timeout=5.0))]
    fn shutdown<'py>(&self, py: Python<'py>, timeout: f64) -> PyResult<Bound<'py, PyAny>> {
        shutdown(py, timeout)
    }

    /// What was recorded, delivered and dropped.
    fn ledger<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        ledger(py)
    }

    /// What is wrong, and what the engine uses.
    fn health<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        health(py)
    }

    /// The configuration in force.
    #[getter]
    fn config<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::to_python(py, &started().map_or(Value::Null, |s| s.core.config().to_json()))
    }

    /// Where metrics are served, as `host:port`; None where they are not.
    #[getter]
    fn prometheus_address(&self) -> Option<String> {
        Some(started()?.core.prometheus_address()?.to_string())
    }

    fn __repr__(&self) -> &'static str {
        "<coati.Engine>"
    }
}

fn refused(error: impl std::fmt::Display) -> PyErr {
    ConfigError::new_err(error.to_string())
}

/// Start the engine.
#[pyfunction]
#[pyo3(signature = (service=None, *, preset=None, config=None, config_file=None))]
pub fn init(
    py: Python<'_>,
    service: Option<String>,
    preset: Option<String>,
    config: Option<&Bound<'_, PyDict>>,
    config_file: Option<PathBuf>,
) -> PyResult<Py<Engine>> {
    let dict = config.map(|config| json::from_python(config.as_any())).transpose()?;
    let sources = Sources {
        preset: preset.as_deref(),
        env: process_env(),
        file: config_file.as_deref(),
        dict,
        service: service.as_deref(),
    };
    let config = Config::load(sources).map_err(refused)?;
    if let Some(started) = started().filter(|started| !started.is_stopped()) {
        if *started.initial == config {
            return handle(py);
        }
        return Err(ConfigError::new_err(
            "coati is running with another configuration; call coati.shutdown() first, or \
             coati.configure() for what may change while it runs",
        ));
    }
    instrument::allow(config.metrics.max_instruments);
    let runtime = config.metrics.runtime;
    let initial = Arc::new(config.clone());
    let options = Options {
        wait: without_lock,
        observe: Some(observe::ask),
        producer: Some(prometheus::produce),
        language: "python",
    };
    let core = Core::start(hub().clone(), config, options)
        .map_err(|error| PyOSError::new_err(error.to_string()))?;
    early::end();
    filtered::forget();
    let fresh = Started { core, initial, stopped: AtomicBool::new(false) };
    // The engine before this one has ended; whoever still holds it keeps it.
    STARTED.store(Some(Arc::new(fresh)));
    exit::register(py)?;
    show_runtime(py, runtime)?;
    handle(py)
}

/// Switches the interpreter's own metrics on or off.
fn show_runtime(py: Python<'_>, on: bool) -> PyResult<()> {
    static ASKED_FOR: AtomicBool = AtomicBool::new(false);
    if !on && !ASKED_FOR.swap(on, Ordering::Relaxed) {
        return Ok(());
    }
    ASKED_FOR.store(on, Ordering::Relaxed);
    let Err(error) = py.import("coati._runtime")?.call_method1("switch", (on,)) else {
        return Ok(());
    };
    // The program has given one of the names to something else.
    let reason = crate::convert::printed(error.value(py))?;
    crate::convert::tolerate(py, error)?;
    if let Some(started) = started() {
        started.core.note("metrics.runtime", Some(&reason));
    }
    Ok(())
}

/// The one handle: all of them speak of the engine that runs.
fn handle(py: Python<'_>) -> PyResult<Py<Engine>> {
    static HANDLE: PyOnceLock<Py<Engine>> = PyOnceLock::new();
    HANDLE.get_or_try_init(py, || Py::new(py, Engine)).map(|handle| handle.clone_ref(py))
}

/// Change settings while running.
#[pyfunction]
#[pyo3(signature = (**sections))]
pub fn configure(sections: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
    let (Some(started), Some(sections)) = (started(), sections) else { return Ok(()) };
    if started.is_stopped() {
        return Ok(());
    }
    let patch = json::from_python(sections.as_any())?;
    started.core.configure(&patch).map_err(refused)
}

fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::from_secs(u32::MAX.into()))
}

/// Wait until everything recorded before the call is in its sinks.
#[pyfunction]
#[pyo3(signature = (timeout=5.0))]
pub fn flush(timeout: f64) -> bool {
    deliver(duration(timeout))
}

/// Flushes what runs; on any thread.
pub fn deliver(timeout: Duration) -> bool {
    let Some(started) = started().filter(|started| !started.is_stopped()) else { return true };
    // In a forked child, before anything is recorded there: perhaps inside an at-fork handler, where
    // no engine is to be built.
    if hub().is_inherited() {
        return false;
    }
    let mut flushed = false;
    without_lock(&mut || flushed = started.core.flush(timeout));
    flushed
}

/// Flush, stop, and return the final ledger.
#[pyfunction]
#[pyo3(signature = (timeout=5.0))]
pub fn shutdown(py: Python<'_>, timeout: f64) -> PyResult<Bound<'_, PyAny>> {
    if started().is_none() {
        early::end();
    }
    // For the last time: what is off cannot be measured any more.
    let asked = match started() {
        Some(now) if !now.is_stopped() && !hub().is_inherited() => observe::run(py),
        _ => Ok(()),
    };
    let books = stop(duration(timeout));
    asked?;
    json::to_python(py, &ledger_json(&books))
}

/// Stops what runs, once; the books. On any thread.
pub fn stop(timeout: Duration) -> Ledger {
    let Some(now) = started() else { return Ledger::default() };
    if now.stopped.swap(true, Ordering::Relaxed) {
        return books();
    }
    filtered::tell();
    let mut books = Ledger::default();
    without_lock(&mut || books = now.core.shutdown(timeout));
    books
}

fn books() -> Ledger {
    let mut books = Ledger::default();
    if let Some(started) = started() {
        filtered::tell();
        without_lock(&mut || books = started.core.ledger());
    }
    books
}

/// What was recorded, delivered and dropped.
#[pyfunction]
pub fn ledger(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    json::to_python(py, &ledger_json(&books()))
}

/// What is wrong, and what the engine uses.
#[pyfunction]
pub fn health(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let report = match started() {
        Some(started) => started.core.health(),
        None => json!({
            "ok": true, "problems": [], "sinks": [], "uptime_s": 0.0, "memory_bytes": 0,
            "ignored": 0,
        }),
    };
    json::to_python(py, &report)
}

/// Take what memory sinks have kept.
#[pyfunction]
pub fn memory_records(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    let lines = started().map(|started| started.core.memory_records()).unwrap_or_default();
    let loads = py.import("json")?.getattr("loads")?;
    let exact = PyDict::new(py);
    exact.set_item("parse_int", wrap_pyfunction!(parse_int, py)?)?;
    let records = lines.into_iter().map(|line| {
        let parsed = loads.call1((&line,));
        // The interpreter refuses integers of more than a few thousand digits.
        parsed.or_else(|_| loads.call((line,), Some(&exact)))
    });
    PyList::new(py, records.collect::<PyResult<Vec<_>>>()?)
}

/// Reads an integer of any length.
#[pyfunction]
fn parse_int<'py>(py: Python<'py>, digits: &str) -> PyResult<Bound<'py, PyAny>> {
    const CHUNK: usize = 1000;
    let int = py.get_type::<PyInt>();
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, digits),
    };
    let mut value = int.call1((0,))?;
    for chunk in digits.as_bytes().chunks(CHUNK) {
        let shift = int.call1((10,))?.pow(chunk.len(), py.None())?;
        value = value.mul(shift)?.add(int.call1((String::from_utf8_lossy(chunk),))?)?;
    }
    value.mul(sign)
}

/// Every key of the configuration in force, its value and where that came from; secrets are masked.
#[pyfunction]
pub fn configuration(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    let Some(started) = started() else { return Ok(PyList::empty(py)) };
    let shown = started.core.config().shown().into_iter();
    let entries = shown
        .map(|(key, value, source)| Ok((key, json::to_python(py, &value)?, source.to_string())));
    PyList::new(py, entries.collect::<PyResult<Vec<_>>>()?)
}

/// What of the environment was ignored, and why.
#[pyfunction]
pub fn warnings() -> Vec<String> {
    started().map_or_else(Vec::new, |started| started.core.config().warnings().to_vec())
}

/// Signal, URL, what is wrong, seconds.
type Endpoint = (&'static str, String, Option<String>, f64);

/// Asks every receiver of OTLP whether it answers.
#[pyfunction]
pub fn check_endpoints(py: Python<'_>) -> PyResult<Vec<Endpoint>> {
    let Some(started) = started() else { return Ok(Vec::new()) };
    let endpoints = py.detach(|| started.core.check_endpoints())?;
    let told = endpoints.into_iter().map(|endpoint| {
        (endpoint.signal, endpoint.url, endpoint.problem, endpoint.took.as_secs_f64())
    });
    Ok(told.collect())
}
