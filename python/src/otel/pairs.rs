//! The attributes of a call: a dict's names and values.

use std::mem::MaybeUninit;

use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;

use crate::metrics::cache::{Key, MOST};

/// Objects at most.
pub const OBJECTS: usize = 2 * MOST;

/// Names and values by turns, borrowed, on the stack.
pub struct Pairs {
    objects: [MaybeUninit<*mut PyObject>; OBJECTS],
    len: usize,
}

impl Pairs {
    /// None yet.
    #[inline(always)]
    pub fn new() -> Self {
        Self { objects: [const { MaybeUninit::uninit() }; OBJECTS], len: 0 }
    }

    /// Reads a dict; `false` where a name is no plain `str`, or there are too many.
    ///
    /// # Safety
    /// `dict` is an exact `dict`, which nobody changes while `self` is in use.
    #[inline(always)]
    pub unsafe fn read(&mut self, dict: *mut PyObject) -> bool {
        let (mut position, mut name, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: a dict; what is borrowed from it lives while it is not changed.
        while unsafe { ffi::PyDict_Next(dict, &mut position, &mut name, &mut value) } != 0 {
            // SAFETY: a live object.
            if self.len == OBJECTS || unsafe { ffi::PyUnicode_CheckExact(name) } == 0 {
                return false;
            }
            self.objects[self.len].write(name);
            self.objects[self.len + 1].write(value);
            self.len += 2;
        }
        true
    }

    /// All of them.
    #[inline(always)]
    pub fn key(&self) -> Key<'_> {
        // SAFETY: the first `len` places have been written.
        let values = unsafe { std::slice::from_raw_parts(self.objects.as_ptr().cast(), self.len) };
        Key { names: std::ptr::null_mut(), values }
    }

    /// The same with references of their own.
    pub fn held<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyAny>> {
        // SAFETY: live objects.
        let hold = |&object: &*mut PyObject| unsafe { Bound::from_borrowed_ptr(py, object) };
        self.key().values.iter().map(hold).collect()
    }
}
