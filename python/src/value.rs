//! Python values that need no conversion: read in place, without foreign code.

use coati_core::record::value::Value;
use pyo3::ffi;
use pyo3::ffi::PyObject;

use crate::text;

/// The value of `object` where its exact type is str, int of at most 64 bits, float, bool or None.
/// Anything else, and text with lone surrogates, is for [`crate::convert`].
///
/// # Safety
/// `object` is a Python object that outlives the result.
#[inline(always)]
pub unsafe fn simple<'a>(object: *mut PyObject) -> Option<Value<'a>> {
    // SAFETY: by the caller's promise; each branch has checked the type.
    unsafe {
        let kind = ffi::Py_TYPE(object);
        if kind == &raw mut ffi::PyUnicode_Type {
            return text::utf8(object).map(Value::Str);
        }
        if kind == &raw mut ffi::PyLong_Type {
            return integer(object);
        }
        if kind == &raw mut ffi::PyFloat_Type {
            return Some(Value::F64(ffi::PyFloat_AS_DOUBLE(object)));
        }
        if kind == &raw mut ffi::PyBool_Type {
            return Some(Value::Bool(object == ffi::Py_True()));
        }
        if object == ffi::Py_None() {
            return Some(Value::Null);
        }
        None
    }
}

/// # Safety
/// `object` is an `int` or of a subclass.
#[inline(always)]
pub unsafe fn integer<'a>(object: *mut PyObject) -> Option<Value<'a>> {
    let mut overflow = 0;
    // SAFETY: by the caller's promise.
    let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(object, &mut overflow) };
    if overflow == 0 {
        return Some(Value::I64(value));
    }
    // SAFETY: by the caller's promise.
    unsafe { unsigned(object, overflow) }
}

/// # Safety
/// As [`integer`].
#[cold]
unsafe fn unsigned<'a>(object: *mut PyObject, overflow: std::ffi::c_int) -> Option<Value<'a>> {
    if overflow < 0 {
        return None;
    }
    // SAFETY: as above.
    unsafe {
        let value = ffi::PyLong_AsUnsignedLongLong(object);
        if value == u64::MAX && !ffi::PyErr_Occurred().is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        Some(Value::U64(value))
    }
}
