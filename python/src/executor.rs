//! `coati.wrap_executor`: work handed to another thread runs in the context of who handed it over.

use std::ffi::{CStr, c_int, c_void};

use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::current::{Current, Entry};
use crate::exception::Kept;
use crate::raw::{self, Class, Raw, Table};
use crate::remote::{Remote, node_of};
use crate::span::Span;

/// An executor that carries the context.
#[pyclass(frozen, module = "coati", name = "ContextExecutor")]
pub struct Executor {
    inner: Py<PyAny>,
}

/// A function with the context it is to run in: what is current in coati, or all variables.
struct Carried {
    function: *mut PyObject,
    current: *mut PyObject,
}

// SAFETY: touched under the interpreter's lock only.
unsafe impl Send for Carried {}

static CLASS: Class = Class::new();

static METHODS: Table<[ffi::PyMethodDef; 2]> = Table([
    raw::plain(c"__reduce__", reduce, ffi::METH_NOARGS, c"__reduce__($self, /)\n--\n\n"),
    raw::END,
]);

impl Raw for Carried {
    const NAME: &'static CStr = c"coati._native.Carried";
    const DOC: &'static CStr = c"A function with the context it runs in.";

    fn class() -> &'static Class {
        &CLASS
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        vec![
            raw::slot(ffi::Py_tp_call, call as *mut c_void),
            raw::slot(ffi::Py_tp_methods, METHODS.pointer()),
        ]
    }

    unsafe fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> c_int) -> c_int {
        match visit(self.function) {
            0 => visit(self.current),
            stop => stop,
        }
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        // SAFETY: our references.
        unsafe {
            ffi::Py_DECREF(self.function);
            ffi::Py_XDECREF(self.current);
        }
    }
}

unsafe extern "C" fn call(
    this: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: an instance; the worker holds it while it runs.
    let carried = unsafe { raw::value::<Carried>(this) };
    let entry = match carried.current.is_null() {
        true => None,
        false => Entry::enter(carried.current, Current::get()),
    };
    // SAFETY: live objects; kwargs may be null.
    let result = unsafe { ffi::PyObject_Call(carried.function, args, kwargs) };
    if let Some(entry) = entry {
        // Leaving touches the variable, for which no error may be set.
        // SAFETY: called by the interpreter.
        let _kept = unsafe { Kept::new() };
        entry.restore();
    }
    result
}

/// To another process goes the trace, as it would in headers.
unsafe extern "C" fn reduce(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a method of this class; live objects.
        let (function, current) = unsafe {
            let carried = raw::value::<Carried>(this);
            let function = Bound::from_borrowed_ptr(py, carried.function);
            (function, Current::of(ffi::Py_XNewRef(carried.current)))
        };
        let context = current.node().map(|node| {
            let object = Remote::like(node, None);
            // SAFETY: a new reference, or null with an error set.
            unsafe { Bound::from_owned_ptr_or_err(py, object) }
        });
        let restore = py.import("coati._native")?.getattr("_carried")?;
        Ok((restore, (function, context.transpose()?)).into_pyobject(py)?.into_ptr())
    })
}

/// What has come from another process.
#[pyfunction]
pub fn _carried<'py>(
    py: Python<'py>,
    function: Bound<'py, PyAny>,
    context: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let current = match context.as_ref().and_then(node_of) {
        Some(node) => Span::standing_for(node, None),
        None => std::ptr::null_mut(),
    };
    let function = function.into_ptr();
    // SAFETY: a new reference, or null with an error set.
    unsafe { Bound::from_owned_ptr_or_err(py, raw::new(Carried { function, current })) }
}

/// Makes the class.
pub fn make(py: Python<'_>) -> PyResult<()> {
    raw::make::<Carried>(py).map(drop)
}

fn carry<'py>(py: Python<'py>, function: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let current = Current::get().into_object();
    let function = function.into_ptr();
    // SAFETY: a new reference, or null with an error set.
    unsafe { Bound::from_owned_ptr_or_err(py, raw::new(Carried { function, current })) }
}

#[pymethods]
impl Executor {
    /// As `concurrent.futures.Executor.submit`.
    #[pyo3(signature = (fn_, /, *args, **kwargs))]
    fn submit<'py>(
        &self,
        py: Python<'py>,
        fn_: Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let all = PyList::new(py, [carry(py, fn_)?])?;
        all.call_method1("extend", (args,))?;
        self.inner.bind(py).call_method("submit", all.to_tuple(), kwargs)
    }

    /// As `concurrent.futures.Executor.map`.
    #[pyo3(signature = (fn_, /, *iterables, **kwargs))]
    fn map<'py>(
        &self,
        py: Python<'py>,
        fn_: Bound<'py, PyAny>,
        iterables: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let all = PyList::new(py, [carry(py, fn_)?])?;
        all.call_method1("extend", (iterables,))?;
        self.inner.bind(py).call_method("map", all.to_tuple(), kwargs)
    }

    /// As `concurrent.futures.Executor.shutdown`.
    #[pyo3(signature = (*args, **kwargs))]
    fn shutdown<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.inner.bind(py).call_method("shutdown", args, kwargs)
    }

    fn __enter__<'py>(this: Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        this.get().inner.bind(this.py()).call_method0("__enter__")?;
        Ok(this)
    }

    #[pyo3(signature = (*exc_info))]
    fn __exit__<'py>(
        &self,
        py: Python<'py>,
        exc_info: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.inner.bind(py).call_method1("__exit__", exc_info.clone())
    }

    /// What the executor beneath has.
    fn __getattr__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        self.inner.bind(py).getattr(name)
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.inner)
    }
}

/// An executor whose work runs in the context of who hands it over.
#[pyfunction]
#[pyo3(signature = (executor, /))]
pub fn wrap_executor(executor: Py<PyAny>) -> Executor {
    Executor { inner: executor }
}
