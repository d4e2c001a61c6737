//! What the API defines: looked up once, when it is first needed.

use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyType};

/// Classes, keys and constants of `opentelemetry`.
pub struct Api {
    /// The variables of `opentelemetry.context`.
    context_module: Py<PyDict>,
    runtime_name: Py<PyString>,
    pub context: Py<PyType>,
    /// A context that says nothing.
    pub empty: Py<PyAny>,
    pub span_key: Py<PyAny>,
    pub baggage_key: Py<PyAny>,
    /// Under which our fields travel in a context.
    pub fields_key: Py<PyAny>,
    pub span_context: Py<PyType>,
    /// By their value.
    pub trace_flags: [Py<PyAny>; 4],
    pub no_state: Py<PyAny>,
    pub trace_state: Py<PyAny>,
    /// In the order of their values.
    pub kinds: [Py<PyAny>; 5],
    pub statuses: [Py<PyAny>; 3],
    pub logger: Py<PyAny>,
}

static API: PyOnceLock<Api> = PyOnceLock::new();

/// The API. Fails where it is not installed.
#[inline(always)]
pub fn api(py: Python<'_>) -> PyResult<&'static Api> {
    match API.get(py) {
        Some(api) => Ok(api),
        None => look_up(py),
    }
}

#[cold]
fn look_up(py: Python<'_>) -> PyResult<&'static Api> {
    let module = py.import("opentelemetry.context")?;
    let trace = py.import("opentelemetry.trace")?;
    let span = py.import("opentelemetry.trace.span")?;
    let baggage = py.import("opentelemetry.baggage")?;
    let context = module.getattr("Context")?.cast_into::<PyType>()?;
    let create_key = module.getattr("create_key")?;
    let flags = trace.getattr("TraceFlags")?;
    let [f0, f1, f2, f3] = [0, 1, 2, 3].map(|value: u8| flags.call1((value,)).map(Bound::unbind));
    let of = |class: &str, name: &str| -> PyResult<Py<PyAny>> {
        trace.getattr(class)?.getattr(name).map(Bound::unbind)
    };
    let kind = |name: &str| of("SpanKind", name);
    let status = |name: &str| of("StatusCode", name);
    let api = Api {
        context_module: module.dict().unbind(),
        runtime_name: PyString::intern(py, "_RUNTIME_CONTEXT").unbind(),
        empty: context.call0()?.unbind(),
        context: context.unbind(),
        span_key: py.import("opentelemetry.trace.propagation")?.getattr("_SPAN_KEY")?.unbind(),
        baggage_key: baggage.getattr("_BAGGAGE_KEY")?.unbind(),
        fields_key: create_key.call1(("coati-fields",))?.unbind(),
        span_context: trace.getattr("SpanContext")?.cast_into::<PyType>()?.unbind(),
        trace_flags: [f0?, f1?, f2?, f3?],
        no_state: span.getattr("DEFAULT_TRACE_STATE")?.unbind(),
        trace_state: trace.getattr("TraceState")?.unbind(),
        kinds: [
            kind("INTERNAL")?,
            kind("SERVER")?,
            kind("CLIENT")?,
            kind("PRODUCER")?,
            kind("CONSUMER")?,
        ],
        statuses: [status("UNSET")?, status("OK")?, status("ERROR")?],
        logger: py.import("logging")?.call_method1("getLogger", ("coati.otel",))?.unbind(),
    };
    Ok(API.get_or_init(py, || api))
}

impl Api {
    /// The runtime context in force, borrowed; null where there is none yet.
    #[inline(always)]
    pub fn runtime(&self) -> *mut PyObject {
        // SAFETY: a dict and a `str`; a borrowed reference or null.
        unsafe {
            let (module, name) = (self.context_module.as_ptr(), self.runtime_name.as_ptr());
            ffi::PyDict_GetItemWithError(module, name)
        }
    }

    /// Says something about how the API is used.
    #[cold]
    pub fn warn(&self, py: Python<'_>, what: &str) {
        let _ = self.logger.bind(py).call_method1(intern!(py, "warning"), (what,));
    }
}

/// Lets what went wrong pass: the program never fails because of us.
pub fn forgive<T>(py: Python<'_>, result: PyResult<T>) -> PyResult<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) => crate::convert::tolerate(py, error).map(|()| None),
    }
}
