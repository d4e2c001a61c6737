//! A decorated function.

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_void};
use std::mem::offset_of;

use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::asyncgen::AsyncGenerator;
use super::routine::{COROUTINE, GENERATOR, Routine};
use super::{Kind, driver};
use crate::current::Current;
use crate::fields::Layer;
use crate::hub::hub;
use crate::raw::{self, Class, Object, Raw, Table};
use crate::span::{self, Span};
use crate::tracer::Tracer;

/// Stands for a function; binds as one.
pub struct Traced {
    vectorcall: ffi::vectorcallfunc,
    dict: Cell<*mut PyObject>,
    weak: *mut PyObject,
    function: Cell<*mut PyObject>,
    kind: Kind,
    tracer: Tracer,
    name: String,
    attributes: Layer,
}

// SAFETY: touched under the interpreter's lock only.
unsafe impl Send for Traced {}

static CLASS: Class = Class::new();

const fn offset(name: &'static CStr, at: usize) -> ffi::PyMemberDef {
    ffi::PyMemberDef {
        name: name.as_ptr(),
        type_code: ffi::Py_T_PYSSIZET,
        offset: (offset_of!(Object<Traced>, value) + at) as isize,
        flags: ffi::Py_READONLY,
        doc: std::ptr::null(),
    }
}

static MEMBERS: Table<[ffi::PyMemberDef; 4]> = Table([
    offset(c"__vectorcalloffset__", offset_of!(Traced, vectorcall)),
    offset(c"__dictoffset__", offset_of!(Traced, dict)),
    offset(c"__weaklistoffset__", offset_of!(Traced, weak)),
    ffi::PyMemberDef {
        name: std::ptr::null(),
        type_code: 0,
        offset: 0,
        flags: 0,
        doc: std::ptr::null(),
    },
]);

static METHODS: Table<[ffi::PyMethodDef; 2]> = Table([
    raw::plain(c"__reduce__", reduce, ffi::METH_NOARGS, c"__reduce__($self, /)\n--\n\n"),
    raw::END,
]);

static ATTRIBUTES: Table<[ffi::PyGetSetDef; 2]> = Table([
    ffi::PyGetSetDef {
        name: c"__dict__".as_ptr(),
        get: Some(ffi::PyObject_GenericGetDict),
        set: Some(ffi::PyObject_GenericSetDict),
        doc: std::ptr::null(),
        closure: std::ptr::null_mut(),
    },
    raw::NO_MORE,
]);

impl Raw for Traced {
    const NAME: &'static CStr = c"coati._native.Traced";
    const DOC: &'static CStr = c"A function with a span around each call.";
    const FLAGS: u64 = ffi::Py_TPFLAGS_HAVE_VECTORCALL | ffi::Py_TPFLAGS_METHOD_DESCRIPTOR;

    fn class() -> &'static Class {
        &CLASS
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        vec![
            raw::slot(ffi::Py_tp_members, MEMBERS.pointer()),
            raw::slot(ffi::Py_tp_methods, METHODS.pointer()),
            raw::slot(ffi::Py_tp_getset, ATTRIBUTES.pointer()),
            raw::slot(ffi::Py_tp_call, ffi::PyVectorcall_Call as *mut c_void),
            raw::slot(ffi::Py_tp_descr_get, bind as *mut c_void),
            raw::slot(ffi::Py_tp_repr, repr as *mut c_void),
        ]
    }

    unsafe fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> c_int) -> c_int {
        match visit(self.function.get()) {
            0 => visit(self.dict.get()),
            stop => stop,
        }
    }

    fn clear(&self) {
        // The function stays until the end: a call may still come while a cycle is taken apart.
        // SAFETY: our reference.
        unsafe { ffi::Py_XDECREF(self.dict.replace(std::ptr::null_mut())) };
    }

    unsafe fn finalize(this: *mut PyObject) {
        // SAFETY: an instance whose class has a list of weak references.
        unsafe {
            if !raw::value::<Self>(this).weak.is_null() {
                ffi::PyObject_ClearWeakRefs(this);
            }
        }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.clear();
        // SAFETY: our reference.
        unsafe { ffi::Py_XDECREF(self.function.get()) };
    }
}

impl Traced {
    /// The object that stands for `function`.
    pub fn object<'py>(
        function: &Bound<'py, PyAny>,
        kind: Kind,
        tracer: Tracer,
        name: String,
        attributes: Layer,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = function.py();
        let dict = PyDict::new(py);
        // What `functools.update_wrapper` copies, and what makes the rest of the standard library
        // take this for a function.
        for attribute in [
            "__module__",
            "__name__",
            "__qualname__",
            "__doc__",
            "__annotations__",
            "__annotate__",
            "__type_params__",
            "__code__",
            "__defaults__",
            "__kwdefaults__",
            "__globals__",
            "__closure__",
        ] {
            if let Some(value) = function.getattr_opt(attribute)? {
                dict.set_item(attribute, value)?;
            }
        }
        if let Some(own) = function.getattr_opt("__dict__")?
            && let Ok(own) = own.cast::<PyDict>()
        {
            dict.update(own.as_mapping())?;
        }
        dict.set_item("__wrapped__", function)?;
        let traced = Self {
            vectorcall: call,
            dict: Cell::new(dict.into_ptr()),
            weak: std::ptr::null_mut(),
            function: Cell::new(function.clone().into_ptr()),
            kind,
            tracer,
            name,
            attributes,
        };
        // SAFETY: a new reference, or null with an error set.
        unsafe { Bound::from_owned_ptr_or_err(py, raw::new(traced)) }
    }

    /// A new span of this function under what is current.
    #[inline(always)]
    pub fn start(&self) -> *mut PyObject {
        self.tracer.start_with(&self.name, &self.attributes, Current::get())
    }
}

unsafe extern "C" fn call(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: an instance, called by the vectorcall convention, which is passed on.
    unsafe {
        let traced = raw::value::<Traced>(this);
        let function = traced.function.get();
        if !hub().is_on() {
            return ffi::PyObject_Vectorcall(function, args, count, names);
        }
        if traced.kind != Kind::Value {
            let inner = ffi::PyObject_Vectorcall(function, args, count, names);
            return if inner.is_null() { inner } else { wrap(traced.kind, this, inner) };
        }
        let span = traced.start();
        if span.is_null() {
            return std::ptr::null_mut();
        }
        span::enter(span);
        let result = ffi::PyObject_Vectorcall(function, args, count, names);
        if result.is_null() {
            driver::fail(span, || {
                span::leave(span);
            });
        } else {
            span::leave(span);
            raw::value::<Span>(span).end(None);
        }
        ffi::Py_DECREF(span);
        result
    }
}

/// # Safety
/// `this` is a [`Traced`]; the reference to `inner` is taken over.
unsafe fn wrap(kind: Kind, this: *mut PyObject, inner: *mut PyObject) -> *mut PyObject {
    let driver = driver::Driver::new(this, inner);
    match kind {
        Kind::Value => unreachable!("a value is not wrapped"),
        Kind::Coroutine => raw::new(Routine::<COROUTINE>(driver)),
        Kind::Generator => raw::new(Routine::<GENERATOR>(driver)),
        Kind::AsyncGenerator => raw::new(AsyncGenerator(driver)),
    }
}

unsafe extern "C" {
    fn PyMethod_New(function: *mut PyObject, object: *mut PyObject) -> *mut PyObject;
}

unsafe extern "C" fn bind(
    this: *mut PyObject,
    object: *mut PyObject,
    _: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: live objects; the object may be null.
    unsafe {
        if object.is_null() || object == ffi::Py_None() {
            ffi::Py_NewRef(this)
        } else {
            PyMethod_New(this, object)
        }
    }
}

/// By its name, as functions are.
unsafe extern "C" fn reduce(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: a live object.
    unsafe { ffi::PyObject_GetAttrString(this, c"__qualname__".as_ptr()) }
}

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class.
    crate::text::string(&format!("<traced {}>", unsafe { raw::value::<Traced>(this) }.name))
}
