//! The native half of the Python package `coati`.

mod awaitable;
mod baggage;
mod call_site;
mod capi;
mod convert;
mod current;
mod early;
mod engine;
mod exception;
mod executor;
mod exit;
mod fields;
mod filtered;
mod genai;
mod gil;
mod hub;
mod json;
mod logger;
mod metrics;
mod names;
mod otel;
mod prometheus;
mod propagate;
mod raw;
mod registry;
mod remote;
mod scope;
mod span;
mod special;
mod stdlib;
mod stream;
mod text;
mod trace;
mod tracer;
mod value;

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

static FUNCTIONS: raw::Table<[pyo3::ffi::PyMethodDef; 5]> = raw::Table([
    raw::fast(c"trace", trace::trace, c"trace(function_or_name=None, /, **attributes)\n--\n\nDecorate a function: a span around each call."),
    raw::fast(c"inject", propagate::inject, c"inject(headers, context=None, *, environ=False)\n--\n\nPut the current trace and baggage into headers."),
    raw::plain(c"extract", propagate::extract, pyo3::ffi::METH_O, c"extract(headers, /)\n--\n\nThe context that headers carry."),
    raw::fast(c"_logging_short", stdlib::short, c"_logging_short(logger, levelno, msg, args, extra, handler, only, /)\n--\n\nRecord a call of `logging` if nobody but `handler` listens; whether it has been."),
    raw::END,
]);

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    static FIRST: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let py = module.py();
    // SAFETY: the interpreter is attached; both pointers are only compared.
    if unsafe { pyo3::ffi::PyInterpreterState_Get() != pyo3::ffi::PyInterpreterState_Main() } {
        return Err(PyImportError::new_err(
            "coati cannot be imported in a sub-interpreter: a process has one engine, whose \
             classes belong to the main interpreter",
        ));
    }
    // Imported again after it was taken out of `sys.modules`: it is the same module.
    if let Some(first) = FIRST.get(py) {
        return module.dict().update(first.bind(py).dict().as_mapping());
    }
    let _ = FIRST.set(py, module.clone().unbind());
    current::make(py)?;
    raw::make::<awaitable::Ready>(py)?;
    raw::make::<scope::Scope>(py)?;
    special::make(py)?;
    let context = raw::make::<scope::Context>(py)?;
    special::add_to(&context, scope::enter, scope::exit)?;
    module.add("context", context)?;
    module.add("Logger", raw::make::<logger::Logger>(py)?)?;
    module.add("Tracer", raw::make::<tracer::Tracer>(py)?)?;
    let span = raw::make::<span::Span>(py)?;
    special::add_to(&span, span::enter_method, span::exit_method)?;
    module.add("Span", span)?;
    module.add("StreamSpan", stream::make(py)?)?;
    module.add("SpanContext", raw::make::<remote::Remote>(py)?)?;
    baggage::add_to(module)?;
    module.add_function(wrap_pyfunction!(propagate::set_propagators, module)?)?;
    module.add_function(wrap_pyfunction!(logger::get_logger, module)?)?;
    module.add_function(wrap_pyfunction!(tracer::get_tracer, module)?)?;
    module.add_function(wrap_pyfunction!(tracer::current_span, module)?)?;
    metrics::add_to(module)?;
    prometheus::add_to(module)?;
    otel::add_to(module)?;
    executor::make(py)?;
    trace::make(py)?;
    module.add_class::<executor::Executor>()?;
    module.add_function(wrap_pyfunction!(executor::_carried, module)?)?;
    module.add_function(wrap_pyfunction!(executor::wrap_executor, module)?)?;
    raw::add_functions(module, FUNCTIONS.pointer())?;
    capi::add_to(module)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("ConfigError", py.get_type::<engine::ConfigError>())?;
    module.add_class::<engine::Engine>()?;
    module.add_function(wrap_pyfunction!(engine::init, module)?)?;
    module.add_function(wrap_pyfunction!(engine::configure, module)?)?;
    module.add_function(wrap_pyfunction!(engine::flush, module)?)?;
    module.add_function(wrap_pyfunction!(engine::shutdown, module)?)?;
    module.add_function(wrap_pyfunction!(engine::ledger, module)?)?;
    module.add_function(wrap_pyfunction!(engine::health, module)?)?;
    module.add_function(wrap_pyfunction!(engine::memory_records, module)?)?;
    module.add_function(wrap_pyfunction!(engine::configuration, module)?)?;
    module.add_function(wrap_pyfunction!(engine::warnings, module)?)?;
    module.add_function(wrap_pyfunction!(engine::check_endpoints, module)?)?;
    module.add_function(wrap_pyfunction!(stdlib::_logging_changed, module)?)?;
    module.add_function(wrap_pyfunction!(genai::_genai_content, module)?)?;
    module.add_function(wrap_pyfunction!(genai::_genai_prices, module)?)?;
    module.add_function(wrap_pyfunction!(exit::_at_exit, module)?)?;
    module.add_function(wrap_pyfunction!(exit::_before_fork, module)?)?;
    module.add_function(wrap_pyfunction!(exit::_after_fork, module)?)?;
    module.add_function(wrap_pyfunction!(exit::_in_child, module)?)?;
    module.add_function(wrap_pyfunction!(exit::_flush_child, module)?)?;
    // The package lists what is public; this half is not for importing.
    module.delattr("__all__")?;
    Ok(())
}
