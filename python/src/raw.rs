//! Classes made by hand, for what is called millions of times a second.
//!
//! Their methods are `METH_FASTCALL | METH_KEYWORDS` functions: no argument tuple, no dict of
//! keywords, no borrow counter, and a value directly behind the object's head.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi;
use pyo3::ffi::{PyObject, PyTypeObject};
use pyo3::prelude::*;

use crate::gil::Guarded;
use crate::text;

/// An instance in memory.
#[repr(C)]
pub struct Object<T> {
    head: PyObject,
    pub value: T,
}

/// The place of a class, filled when the module is imported.
pub struct Class(AtomicPtr<PyTypeObject>);

impl Class {
    pub const fn new() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }

    #[inline(always)]
    pub fn get(&self) -> *mut PyTypeObject {
        // Relaxed: stored once under the interpreter's lock, under which it is read too.
        self.0.load(Ordering::Relaxed)
    }

    /// Keeps a class, with its reference, for ever.
    pub fn set(&self, class: *mut PyTypeObject) {
        self.0.store(class, Ordering::Relaxed);
    }
}

/// A class whose instances hold a `Self`.
pub trait Raw: Sized + Send + 'static {
    /// Full name.
    const NAME: &'static CStr;
    /// Documentation, begun with the signature of the constructor where there is one.
    const DOC: &'static CStr;
    /// Flags besides the default ones.
    const FLAGS: u64 = 0;

    /// Where the class stands.
    fn class() -> &'static Class;

    /// Where the memory of instances waits for the next ones, if they come and go quickly.
    fn spare() -> Option<&'static Spare> {
        None
    }

    /// Slots besides allocation and collection.
    fn slots() -> Vec<ffi::PyType_Slot>;

    /// Visits each Python object it holds.
    ///
    /// # Safety
    /// As `tp_traverse`.
    unsafe fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> c_int) -> c_int {
        let _ = visit;
        0
    }

    /// Lets go of what may be part of a cycle.
    fn clear(&self) {}

    /// Runs before the value is dropped, while the object is still whole.
    ///
    /// # Safety
    /// `this` is an instance.
    unsafe fn finalize(this: *mut PyObject) {
        let _ = this;
    }
}

/// A slot of a class.
pub fn slot(id: c_int, function: *mut c_void) -> ffi::PyType_Slot {
    ffi::PyType_Slot { slot: id, pfunc: function }
}

/// Makes the class of `T`.
pub fn make<T: Raw>(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let mut slots = T::slots();
    slots.push(slot(ffi::Py_tp_doc, T::DOC.as_ptr().cast_mut().cast()));
    slots.push(slot(ffi::Py_tp_dealloc, dealloc::<T> as *mut c_void));
    slots.push(slot(ffi::Py_tp_traverse, traverse::<T> as *mut c_void));
    slots.push(slot(ffi::Py_tp_clear, clear::<T> as *mut c_void));
    slots.push(ffi::PyType_Slot { slot: 0, pfunc: std::ptr::null_mut() });
    let constructed = slots.iter().any(|slot| slot.slot == ffi::Py_tp_new);
    let closed = if constructed { 0 } else { ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION };
    let mut spec = ffi::PyType_Spec {
        name: T::NAME.as_ptr(),
        basicsize: size_of::<Object<T>>() as c_int,
        itemsize: 0,
        flags: (ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_HAVE_GC | closed) as u32
            | T::FLAGS as u32,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the spec is complete and ends in an empty slot; the class copies what it needs, and
    // names and method tables are static.
    let class = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyType_FromSpec(&mut spec)) }?;
    T::class().set(class.clone().into_ptr().cast());
    Ok(class)
}

/// Memory of instances of one class, nobody's for the moment: neither tracked by the collector nor
/// holding a reference to the class.
pub struct Spare(Guarded<Unused>);

struct Unused {
    objects: [*mut PyObject; SPARE],
    count: usize,
}

const SPARE: usize = 16;

// SAFETY: touched under the interpreter's lock only.
unsafe impl Send for Unused {}

impl Spare {
    pub const fn new() -> Self {
        Self(Guarded::new(Unused { objects: [std::ptr::null_mut(); SPARE], count: 0 }))
    }

    #[inline(always)]
    fn take(&self) -> Option<*mut PyObject> {
        let mut unused = self.0.borrow()?;
        unused.count = unused.count.checked_sub(1)?;
        unused.objects.get(unused.count).copied()
    }

    #[inline(always)]
    fn put(&self, object: *mut PyObject) -> bool {
        let Some(mut unused) = self.0.borrow() else { return false };
        let count = unused.count;
        let Some(place) = unused.objects.get_mut(count) else { return false };
        *place = object;
        unused.count += 1;
        true
    }
}

/// A new instance; null with an error set where memory is short.
#[inline(always)]
pub fn new<T: Raw>(value: T) -> *mut PyObject {
    new_with(|| value)
}

/// The same of a value that is made where it stays: what is moved soon after it was written, in
/// pieces of other sizes, waits for its own stores.
#[inline(always)]
pub fn new_with<T: Raw>(make: impl FnOnce() -> T) -> *mut PyObject {
    // SAFETY: the class was made by `make` with room for the value, which is written before the
    // collector hears of the object; what is spare was such an object.
    unsafe {
        let object: *mut Object<T> = match T::spare().and_then(Spare::take) {
            Some(object) => ffi::PyObject_Init(object, T::class().get()).cast(),
            None => ffi::PyObject_GC_New::<Object<T>>(T::class().get()),
        };
        if object.is_null() {
            return std::ptr::null_mut();
        }
        (&raw mut (*object).value).write(make());
        ffi::PyObject_GC_Track(object.cast());
        object.cast()
    }
}

/// The value of an instance.
///
/// # Safety
/// `object` is an instance of the class of `T` that outlives the reference.
#[inline(always)]
pub unsafe fn value<'a, T: Raw>(object: *mut PyObject) -> &'a T {
    // SAFETY: by the caller's promise the layout is `Object<T>`.
    unsafe { &(*object.cast::<Object<T>>()).value }
}

/// Whether `object` is an instance of the class of `T`.
///
/// # Safety
/// `object` is a Python object.
#[inline(always)]
pub unsafe fn is<T: Raw>(object: *mut PyObject) -> bool {
    // SAFETY: by the caller's promise.
    unsafe { ffi::Py_TYPE(object) == T::class().get() }
}

unsafe extern "C" fn dealloc<T: Raw>(object: *mut PyObject) {
    // SAFETY: called once, by the interpreter, with the last reference gone.
    unsafe {
        let class = ffi::Py_TYPE(object);
        ffi::PyObject_GC_UnTrack(object.cast());
        T::finalize(object);
        std::ptr::drop_in_place(&raw mut (*object.cast::<Object<T>>()).value);
        if !T::spare().is_some_and(|spare| spare.put(object)) {
            ffi::PyObject_GC_Del(object.cast());
        }
        ffi::Py_DECREF(class.cast());
    }
}

unsafe extern "C" fn traverse<T: Raw>(
    object: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: called by the collector with an instance.
    unsafe {
        let mut each = |held: *mut PyObject| if held.is_null() { 0 } else { visit(held, arg) };
        match each(ffi::Py_TYPE(object).cast()) {
            0 => value::<T>(object).traverse(&mut each),
            stop => stop,
        }
    }
}

unsafe extern "C" fn clear<T: Raw>(object: *mut PyObject) -> c_int {
    // SAFETY: called by the collector with an instance.
    unsafe { value::<T>(object).clear() };
    0
}

/// Runs the body of a method. A panic of ours becomes `None`: the caller never fails because of us.
#[inline(always)]
pub fn method(body: impl FnOnce(Python<'_>) -> PyResult<*mut PyObject>) -> *mut PyObject {
    // SAFETY: methods are called by the interpreter.
    let py = unsafe { Python::assume_attached() };
    match catch_unwind(AssertUnwindSafe(|| body(py))) {
        Ok(Ok(object)) => object,
        Ok(Err(error)) => {
            error.restore(py);
            std::ptr::null_mut()
        }
        Err(_) => none(),
    }
}

/// A new reference to `None`.
#[inline(always)]
pub fn none() -> *mut PyObject {
    // SAFETY: `None` always exists.
    unsafe { ffi::Py_NewRef(ffi::Py_None()) }
}

/// The arguments of a call by the vectorcall convention.
#[derive(Clone, Copy)]
pub struct Args {
    pub args: *const *mut PyObject,
    pub count: usize,
    /// A tuple of names, null where there are none.
    pub names: *mut PyObject,
}

impl Args {
    #[inline(always)]
    pub fn new(args: *const *mut PyObject, count: isize, names: *mut PyObject) -> Self {
        Self { args, count: count as usize, names }
    }

    /// The positional argument `index`, borrowed.
    #[inline(always)]
    pub fn positional(&self, index: usize) -> *mut PyObject {
        debug_assert!(index < self.count);
        // SAFETY: inside the positional arguments.
        unsafe { *self.args.add(index) }
    }

    /// The values of the keyword arguments, borrowed.
    #[inline(always)]
    pub fn values(&self) -> &[*mut PyObject] {
        if self.names.is_null() {
            return &[];
        }
        // SAFETY: by the convention the values follow the positional arguments, one for each name.
        unsafe {
            let count = ffi::PyTuple_GET_SIZE(self.names) as usize;
            std::slice::from_raw_parts(self.args.add(self.count), count)
        }
    }

    /// The name of keyword argument `index`, borrowed.
    #[inline(always)]
    pub fn name(&self, index: usize) -> *mut PyObject {
        // SAFETY: inside the tuple.
        unsafe { ffi::PyTuple_GET_ITEM(self.names, index as isize) }
    }

    /// The argument given at `index` or as `name`, borrowed from the caller; `None` where it is
    /// absent.
    pub fn find<'py>(
        &self,
        py: Python<'py>,
        index: usize,
        name: &str,
    ) -> Option<Bound<'py, PyAny>> {
        if index < self.count {
            // SAFETY: a live argument.
            return Some(unsafe { Bound::from_borrowed_ptr(py, self.positional(index)) });
        }
        self.keyword(py, name)
    }

    /// The keyword argument `name`.
    pub fn keyword<'py>(&self, py: Python<'py>, name: &str) -> Option<Bound<'py, PyAny>> {
        let values = self.values();
        // SAFETY: names are `str` and live over the call, as values do.
        let index =
            (0..values.len()).find(|&i| unsafe { text::utf8(self.name(i)) } == Some(name))?;
        // SAFETY: as above.
        Some(unsafe { Bound::from_borrowed_ptr(py, values[index]) })
    }

    /// Refuses keyword arguments that are not among `known`.
    pub fn only(&self, method: &str, known: &[&str]) -> PyResult<()> {
        for index in 0..self.values().len() {
            // SAFETY: names are `str` and live over the call.
            let name = unsafe { text::lossy(self.name(index)) };
            if !known.contains(&&*name) {
                return Err(pyo3::exceptions::PyTypeError::new_err(format!(
                    "{method}() got an unexpected keyword argument '{name}'"
                )));
            }
        }
        Ok(())
    }

    /// Refuses another number of positional arguments.
    #[inline(always)]
    pub fn expect(&self, method: &str, count: usize) -> PyResult<()> {
        if self.count == count { Ok(()) } else { Err(self.wrong_count(method, count, count)) }
    }

    /// Refuses a number of positional arguments outside a range.
    #[inline(always)]
    pub fn expect_range(&self, method: &str, least: usize, most: usize) -> PyResult<()> {
        if (least..=most).contains(&self.count) {
            Ok(())
        } else {
            Err(self.wrong_count(method, least, most))
        }
    }

    #[cold]
    fn wrong_count(&self, method: &str, least: usize, most: usize) -> PyErr {
        let given = self.count;
        let takes = if least == most { format!("{least}") } else { format!("{least} to {most}") };
        let s = if most == 1 { "" } else { "s" };
        pyo3::exceptions::PyTypeError::new_err(format!(
            "{method}() takes {takes} positional argument{s} but {given} were given"
        ))
    }
}

/// A method table entry for a `METH_FASTCALL | METH_KEYWORDS` function.
pub const fn fast(
    name: &'static CStr,
    function: ffi::PyCFunctionFastWithKeywords,
    doc: &'static CStr,
) -> ffi::PyMethodDef {
    ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: function },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: doc.as_ptr(),
    }
}

/// A method table entry for a function without arguments (`METH_NOARGS`) or with one (`METH_O`).
pub const fn plain(
    name: &'static CStr,
    function: ffi::PyCFunction,
    flags: c_int,
    doc: &'static CStr,
) -> ffi::PyMethodDef {
    ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: function },
        ml_flags: flags,
        ml_doc: doc.as_ptr(),
    }
}

/// The end of a method table.
pub const END: ffi::PyMethodDef = ffi::PyMethodDef::zeroed();

/// Adds a table of functions to a module.
pub fn add_functions(module: &Bound<'_, PyModule>, functions: *mut c_void) -> PyResult<()> {
    // SAFETY: a static table that ends in an empty entry.
    let added = unsafe { ffi::PyModule_AddFunctions(module.as_ptr(), functions.cast()) };
    if added == 0 { Ok(()) } else { Err(PyErr::fetch(module.py())) }
}

/// An attribute that is computed.
pub const fn getter(name: &'static CStr, get: ffi::getter, doc: &'static CStr) -> ffi::PyGetSetDef {
    ffi::PyGetSetDef {
        name: name.as_ptr(),
        get: Some(get),
        set: None,
        doc: doc.as_ptr(),
        closure: std::ptr::null_mut(),
    }
}

/// The end of a table of attributes.
pub const NO_MORE: ffi::PyGetSetDef = ffi::PyGetSetDef {
    name: std::ptr::null::<c_char>(),
    get: None,
    set: None,
    doc: std::ptr::null(),
    closure: std::ptr::null_mut(),
};

/// A table that the interpreter reads and never writes.
#[repr(transparent)]
pub struct Table<T: ?Sized>(pub T);

// SAFETY: constant function pointers and texts.
unsafe impl<T: ?Sized> Sync for Table<T> {}

impl<T, const N: usize> Table<[T; N]> {
    /// The table as a slot wants it.
    pub fn pointer(&'static self) -> *mut c_void {
        (&raw const self.0).cast_mut().cast()
    }
}
