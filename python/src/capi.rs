//! `coati._native._C_API`: the functions of the C interface for extension modules, on the engine
//! of this process.

use std::ffi::{c_int, c_void};
use std::sync::Arc;
use std::time::Duration;

use coati_capi::buffer::coati_buffer_free;
use coati_capi::context::{
    Carried, coati_context_baggage, coati_context_extract, coati_context_free,
    coati_context_get_baggage, coati_context_get_span, coati_context_inject, coati_context_of_span,
    coati_context_parse, coati_context_remove_baggage, coati_context_set_baggage,
    coati_context_set_tracestate, coati_context_traceparent, coati_context_tracestate,
};
use coati_capi::current::{coati_scope_detach, coati_span_attach};
use coati_capi::engine::{
    coati_engine, coati_engine_free, coati_flush, coati_get_ledger, coati_health_json,
    coati_prometheus_text, coati_shutdown, lend,
};
use coati_capi::host::Host;
use coati_capi::last_error::coati_last_error;
use coati_capi::logger::{coati_log, coati_logger_enabled, coati_logger_free, coati_logger_new};
use coati_capi::metrics::{
    coati_counter_add, coati_counter_free, coati_counter_new, coati_gauge_free, coati_gauge_new,
    coati_gauge_set, coati_histogram_free, coati_histogram_new, coati_histogram_record,
    coati_up_down_counter_add, coati_up_down_counter_free, coati_up_down_counter_new,
};
use coati_capi::span::{
    coati_span_add_event, coati_span_end, coati_span_free, coati_span_get_context,
    coati_span_set_attribute, coati_span_set_status, coati_span_start, coati_span_start_in,
    coati_tracer_free, coati_tracer_new,
};
use coati_capi::status::{coati_status, coati_status_str};
use coati_capi::types::coati_str;
use coati_capi::version::{COATI_ABI_VERSION, coati_abi_version, coati_version};
use coati_core::hub::Hub;
use coati_core::ledger::Ledger;
use coati_core::span::{Span as Core, SpanContext};
use coati_export::Engine;
use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;

use crate::current::{Current, Node};
use crate::engine::{deliver, started, stop};
use crate::exception::Kept;
use crate::gil::is_held;
use crate::hub::hub;
use crate::span::{self, Span};

/// What the capsule points to. `coati_python.h` gives it its types: functions are only ever added,
/// at the end, and with them grows the version.
#[repr(C)]
struct Api {
    abi_version: u32,
    functions: [*const (); 53],
}

// SAFETY: constant function pointers.
unsafe impl Sync for Api {}

// In the order of COATI_PYTHON_FUNCTIONS.
static API: Api = Api {
    abi_version: COATI_ABI_VERSION,
    functions: [
        coati_abi_version as *const (),
        coati_version as *const (),
        coati_status_str as *const (),
        coati_init as *const (),
        coati_engine_free as *const (),
        coati_flush as *const (),
        coati_shutdown as *const (),
        coati_get_ledger as *const (),
        coati_health_json as *const (),
        coati_prometheus_text as *const (),
        coati_logger_new as *const (),
        coati_logger_free as *const (),
        coati_logger_enabled as *const (),
        coati_log as *const (),
        coati_tracer_new as *const (),
        coati_tracer_free as *const (),
        coati_span_start as *const (),
        coati_span_set_attribute as *const (),
        coati_span_add_event as *const (),
        coati_span_set_status as *const (),
        coati_span_get_context as *const (),
        coati_span_end as *const (),
        coati_span_free as *const (),
        coati_span_attach as *const (),
        coati_scope_detach as *const (),
        coati_context_extract as *const (),
        coati_context_inject as *const (),
        coati_counter_new as *const (),
        coati_counter_free as *const (),
        coati_counter_add as *const (),
        coati_up_down_counter_new as *const (),
        coati_up_down_counter_free as *const (),
        coati_up_down_counter_add as *const (),
        coati_gauge_new as *const (),
        coati_gauge_free as *const (),
        coati_gauge_set as *const (),
        coati_histogram_new as *const (),
        coati_histogram_free as *const (),
        coati_histogram_record as *const (),
        coati_buffer_free as *const (),
        coati_last_error as *const (),
        coati_context_parse as *const (),
        coati_context_of_span as *const (),
        coati_context_free as *const (),
        coati_context_get_span as *const (),
        coati_context_traceparent as *const (),
        coati_context_tracestate as *const (),
        coati_context_baggage as *const (),
        coati_context_set_tracestate as *const (),
        coati_context_get_baggage as *const (),
        coati_context_set_baggage as *const (),
        coati_context_remove_baggage as *const (),
        coati_span_start_in as *const (),
    ],
};

/// Adds the capsule.
pub fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // SAFETY: a static table and a static name; a new reference, or null with an error set.
    let capsule = unsafe {
        let table = (&raw const API).cast_mut().cast();
        let capsule = ffi::PyCapsule_New(table, c"coati._native._C_API".as_ptr(), None);
        Bound::from_owned_ptr_or_err(module.py(), capsule)
    }?;
    module.add("_C_API", capsule)
}

/// In the place of `coati_init`, which would start an engine beside the one that runs.
unsafe extern "C" fn coati_init(config: coati_str, out: *mut *mut coati_engine) -> coati_status {
    // SAFETY: as the header asks.
    unsafe { lend(&Interpreter, config, out) }
}

/// The interpreter, as the C interface sees it.
struct Interpreter;

impl Host for Interpreter {
    fn hub(&self) -> &Arc<Hub> {
        hub()
    }

    fn engine(&self) -> Option<Arc<Engine>> {
        started().map(|started| started.core.clone())
    }

    fn flush(&self, timeout: Duration) -> bool {
        deliver(timeout)
    }

    fn shutdown(&self, timeout: Duration) -> Ledger {
        stop(timeout)
    }

    fn current(&self) -> Option<SpanContext> {
        if !is_held() {
            return None;
        }
        Current::get().node().map(|node| node.context).filter(SpanContext::is_valid)
    }

    fn carried(&self) -> Carried {
        if !is_held() {
            return Carried::default();
        }
        let current = Current::get();
        let Some(node) = current.node() else { return Carried::default() };
        Carried { state: node.state.clone(), baggage: node.baggage.get().cloned() }
    }

    fn attach(&self, context: &SpanContext) -> *mut c_void {
        if !is_held() {
            return std::ptr::null_mut();
        }
        keeping_errors(|| {
            let current = Current::get();
            let parent =
                current.node().filter(|node: &&Node| node.context.trace_id == context.trace_id);
            let object = Span::object(Core::passing(*context), parent);
            if !object.is_null() {
                // SAFETY: just made.
                unsafe { span::enter(object) };
            }
            object.cast()
        })
    }

    unsafe fn detach(&self, attached: *mut c_void) {
        if is_held() {
            keeping_errors(|| leave(attached));
            return;
        }
        // The interpreter does it when it finds time. Where it has none left, nobody looks.
        // SAFETY: `later` takes what `attach` gave.
        let _ = unsafe { ffi::Py_AddPendingCall(Some(later), attached) };
    }
}

extern "C" fn later(attached: *mut c_void) -> c_int {
    keeping_errors(|| leave(attached));
    0
}

fn leave(attached: *mut c_void) {
    let object: *mut PyObject = attached.cast();
    // SAFETY: a span with our reference, made by `attach`; the lock is held.
    unsafe {
        span::leave(object);
        ffi::Py_DECREF(object);
    }
}

/// Runs `f` aside of an exception that may be on its way: who calls is in the middle of C.
fn keeping_errors<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: the lock is held.
    let _kept = unsafe { Kept::new() };
    f()
}
