//! `__enter__` and `__exit__` without a new function for each use.
//!
//! A `with` statement finds both on the class and binds them to the object. A method of the
//! interpreter's, once bound, is a new object that the collector tracks; one of these comes from a
//! short list and goes back to it, which makes an empty `with` 32 ns cheaper (3.11; 55 and more on
//! 3.12 and 3.13).

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::offset_of;

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::ffi::{PyMemberDef, PyObject, PyTypeObject};
use pyo3::prelude::*;

use crate::gil::Guarded;
use crate::raw::{self, Class, NO_MORE, Table};
use crate::text;

/// What is called with an instance and the arguments of the call.
pub type Function = ffi::PyCFunctionFastWithKeywords;

/// A method as it stands on its class.
#[repr(C)]
struct Method {
    head: PyObject,
    call: ffi::vectorcallfunc,
    function: Function,
    class: *mut PyTypeObject,
    name: &'static CStr,
    signature: &'static CStr,
}

/// A method of an instance. It is not tracked: what a span or a context holds on to does not lead
/// back to whoever keeps one of these.
#[repr(C)]
struct BoundMethod {
    head: PyObject,
    call: ffi::vectorcallfunc,
    function: Function,
    /// A strong reference.
    this: *mut PyObject,
}

static METHOD: Class = Class::new();
static BOUND: Class = Class::new();

/// Bound methods that nobody uses. Plain memory: neither the class nor an instance is referenced.
struct Spare {
    methods: [*mut BoundMethod; SPARE],
    count: usize,
}

const SPARE: usize = 16;

// SAFETY: touched under the interpreter's lock only.
unsafe impl Send for Spare {}

static UNUSED: Guarded<Spare> =
    Guarded::new(Spare { methods: [std::ptr::null_mut(); SPARE], count: 0 });

const fn member_of_call(offset: usize) -> [PyMemberDef; 2] {
    let call = PyMemberDef {
        name: c"__vectorcalloffset__".as_ptr(),
        type_code: ffi::Py_T_PYSSIZET,
        offset: offset as isize,
        flags: ffi::Py_READONLY,
        doc: std::ptr::null(),
    };
    let end = PyMemberDef {
        name: std::ptr::null::<c_char>(),
        type_code: 0,
        offset: 0,
        flags: 0,
        doc: std::ptr::null(),
    };
    [call, end]
}

static METHOD_MEMBERS: Table<[PyMemberDef; 2]> = Table(member_of_call(offset_of!(Method, call)));
static BOUND_MEMBERS: Table<[PyMemberDef; 2]> =
    Table(member_of_call(offset_of!(BoundMethod, call)));

static ATTRIBUTES: Table<[ffi::PyGetSetDef; 3]> = Table([
    raw::getter(c"__name__", name, c"The name."),
    raw::getter(c"__text_signature__", signature, c"The parameters."),
    NO_MORE,
]);

/// Makes both classes.
pub fn make(py: Python<'_>) -> PyResult<()> {
    let vectorcall = [raw::slot(ffi::Py_tp_call, ffi::PyVectorcall_Call as *mut c_void)];
    METHOD.make(
        py,
        c"coati._native.method",
        size_of::<Method>(),
        ffi::Py_TPFLAGS_HAVE_VECTORCALL | ffi::Py_TPFLAGS_METHOD_DESCRIPTOR,
        vectorcall.into_iter().chain([
            raw::slot(ffi::Py_tp_members, METHOD_MEMBERS.pointer()),
            raw::slot(ffi::Py_tp_getset, ATTRIBUTES.pointer()),
            raw::slot(ffi::Py_tp_descr_get, bind as *mut c_void),
        ]),
    )?;
    let vectorcall = [raw::slot(ffi::Py_tp_call, ffi::PyVectorcall_Call as *mut c_void)];
    BOUND.make(
        py,
        c"coati._native.bound_method",
        size_of::<BoundMethod>(),
        ffi::Py_TPFLAGS_HAVE_VECTORCALL,
        vectorcall.into_iter().chain([
            raw::slot(ffi::Py_tp_members, BOUND_MEMBERS.pointer()),
            raw::slot(ffi::Py_tp_dealloc, put_back as *mut c_void),
        ]),
    )
}

/// Puts `__enter__` and `__exit__` on a class.
pub fn add_to(class: &Bound<'_, PyAny>, enter: Function, exit: Function) -> PyResult<()> {
    let both =
        [(c"__enter__", c"($self, /)", enter), (c"__exit__", c"($self, /, *exc_info)", exit)];
    for (name, signature, function) in both {
        // SAFETY: the class was made by `make` with room for the value, which is written before
        // anybody sees the object; a new reference, or null with an error set.
        let method = unsafe {
            let object = ffi::PyType_GenericAlloc(METHOD.get(), 0);
            let method = Bound::from_owned_ptr_or_err(class.py(), object)?;
            let place = object.cast::<Method>();
            (&raw mut (*place).call).write(call_method);
            (&raw mut (*place).function).write(function);
            (&raw mut (*place).class).write(class.as_ptr().cast());
            (&raw mut (*place).name).write(name);
            (&raw mut (*place).signature).write(signature);
            method
        };
        class.setattr(&*name.to_string_lossy(), method)?;
    }
    Ok(())
}

/// `tp_descr_get`.
unsafe extern "C" fn bind(
    method: *mut PyObject,
    this: *mut PyObject,
    _class: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: called by the interpreter with a method and, or null, an object; what is spare has
    // the size of the class.
    unsafe {
        if this.is_null() {
            return ffi::Py_NewRef(method);
        }
        let spare = UNUSED.borrow().and_then(|mut unused| {
            unused.count = unused.count.checked_sub(1)?;
            Some(unused.methods[unused.count])
        });
        let object: *mut PyObject = match spare {
            Some(spare) => ffi::PyObject_Init(spare.cast(), BOUND.get()),
            None => ffi::PyObject_New::<BoundMethod>(BOUND.get()).cast(),
        };
        if object.is_null() {
            return object;
        }
        let bound = object.cast::<BoundMethod>();
        (&raw mut (*bound).call).write(call_bound);
        (&raw mut (*bound).function).write((*method.cast::<Method>()).function);
        (&raw mut (*bound).this).write(ffi::Py_NewRef(this));
        object
    }
}

/// `tp_dealloc` of what is bound.
unsafe extern "C" fn put_back(object: *mut PyObject) {
    // SAFETY: called once, by the interpreter, with the last reference gone.
    unsafe {
        let class = ffi::Py_TYPE(object);
        let this = (*object.cast::<BoundMethod>()).this;
        let kept = UNUSED.borrow().is_some_and(|mut unused| {
            let count = unused.count;
            let Some(place) = unused.methods.get_mut(count) else { return false };
            *place = object.cast();
            unused.count += 1;
            true
        });
        if !kept {
            ffi::PyObject_Free(object.cast());
        }
        ffi::Py_DECREF(class.cast());
        // Last: it may run anything.
        ffi::Py_DECREF(this);
    }
}

unsafe extern "C" fn call_bound(
    object: *mut PyObject,
    args: *const *mut PyObject,
    flags: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: called by the interpreter, which keeps the object and the arguments over the call.
    unsafe {
        let bound = object.cast::<BoundMethod>();
        ((*bound).function)((*bound).this, args, ffi::PyVectorcall_NARGS(flags), names)
    }
}

/// As `Class.__enter__(object)`, which is what `contextlib.ExitStack` calls.
unsafe extern "C" fn call_method(
    object: *mut PyObject,
    args: *const *mut PyObject,
    flags: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: as above; the first argument is an instance of the class, as `function` asks.
    unsafe {
        let method = object.cast::<Method>();
        let count = ffi::PyVectorcall_NARGS(flags);
        if count < 1 || ffi::Py_TYPE(*args) != (*method).class {
            let name = (*method).name.to_string_lossy();
            let class = CStr::from_ptr((*(*method).class).tp_name).to_string_lossy();
            let message = format!("{name}() needs a {class} as its first argument");
            return raw::method(|_| Err(PyTypeError::new_err(message)));
        }
        ((*method).function)(*args, args.add(1), count - 1, names)
    }
}

unsafe extern "C" fn name(method: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: an attribute of this class.
    text::string(&unsafe { (*method.cast::<Method>()).name }.to_string_lossy())
}

unsafe extern "C" fn signature(method: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: an attribute of this class.
    text::string(&unsafe { (*method.cast::<Method>()).signature }.to_string_lossy())
}

impl Class {
    /// Makes a class whose instances are not collected and not made by Python.
    fn make(
        &self,
        py: Python<'_>,
        name: &'static CStr,
        size: usize,
        flags: u64,
        slots: impl Iterator<Item = ffi::PyType_Slot>,
    ) -> PyResult<()> {
        let end = ffi::PyType_Slot { slot: 0, pfunc: std::ptr::null_mut() };
        let mut slots: Vec<_> = slots.chain([end]).collect();
        let mut spec = ffi::PyType_Spec {
            name: name.as_ptr(),
            basicsize: size as c_int,
            itemsize: 0,
            flags: (ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION | flags)
                as u32,
            slots: slots.as_mut_ptr(),
        };
        // SAFETY: the spec is complete and ends in an empty slot.
        let class = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyType_FromSpec(&mut spec)) }?;
        self.set(class.into_ptr().cast());
        Ok(())
    }
}
