//! From the labels of a call to their series, by identity or content of the objects passed.

use std::sync::Arc;

use coati_core::metrics::{Series, Shard};
use pyo3::ffi;
use pyo3::ffi::PyObject;

use crate::hub::hub;
use crate::raw::Args;
use crate::text;

const SLOTS: usize = 256;
/// Calls with more labels are not cached.
pub const MOST: usize = 8;
/// Nor are calls with a longer text: the cache would keep it alive.
const LONGEST: isize = 1024;

/// The labels of a call: the tuple of names and the values of keyword arguments, or null and the
/// names and values of a dict by turns.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    pub names: *mut PyObject,
    pub values: &'a [*mut PyObject],
}

impl<'a> From<&'a Args> for Key<'a> {
    #[inline(always)]
    fn from(args: &'a Args) -> Self {
        Self { names: args.names, values: args.values() }
    }
}

/// What one call's labels led to. Holds references to them, so that an address it knows cannot
/// have been given to another object.
struct Entry<const N: usize> {
    names: *mut PyObject,
    values: [*mut PyObject; N],
    len: usize,
    pipeline: u64,
    series: Arc<Series>,
}

impl<const N: usize> Entry<N> {
    #[inline(always)]
    fn is_of(&self, key: Key<'_>) -> bool {
        self.names == key.names
            && self.len == key.values.len()
            // SAFETY: live objects: arguments, and those the entry holds.
            && key.values.iter().zip(&self.values).all(|(&a, &b)| unsafe { same(a, b) })
    }

    /// Calls `f` unless the series is of an earlier pipeline.
    #[inline(always)]
    fn with(&self, f: impl FnOnce(&Series, &Shard)) -> bool {
        hub().with(|recorder| match recorder {
            Some(recorder) if hub().key() == self.pipeline => {
                f(&self.series, recorder.shard());
                true
            }
            _ => false,
        })
    }
}

/// An instrument's recent labels, `N` objects each at most.
#[derive(Default)]
pub struct Cache<const N: usize> {
    entries: Box<[Option<Box<Entry<N>>>]>,
    /// What was asked for last at each place. Labels are kept when they are asked for again: a
    /// program that never repeats them leaves nothing here.
    asked: Box<[u32]>,
}

// SAFETY: touched under the interpreter's lock only.
unsafe impl<const N: usize> Send for Cache<N> {}

/// Where labels stand in a cache, and what tells them from others there, by and large.
#[derive(Clone, Copy)]
pub struct Place {
    index: usize,
    print: u32,
}

/// Where a call's labels stand in a cache of `N` objects each; `None` where they cannot be cached.
#[inline(always)]
pub fn place<const N: usize>(key: Key<'_>) -> Option<Place> {
    if key.values.len() > N {
        return None;
    }
    let mut hash = key.names as u64;
    for &object in key.values {
        // SAFETY: a live argument.
        hash = mix(hash, unsafe { content(object) }?);
    }
    Some(Place { index: (hash ^ hash >> 32) as usize % SLOTS, print: (hash >> 32) as u32 })
}

#[inline(always)]
fn mix(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(23) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// A word that is the same for equal values of the same type; `None` for types that may run foreign
/// code or change.
///
/// # Safety
/// `object` is a live object.
#[inline(always)]
unsafe fn content(object: *mut PyObject) -> Option<u64> {
    // SAFETY: by the caller's promise; each branch has checked the type.
    unsafe {
        let kind = ffi::Py_TYPE(object);
        if kind == &raw mut ffi::PyUnicode_Type {
            let known = (*object.cast::<ffi::PyASCIIObject>()).hash;
            return Some(if known == -1 { ffi::PyObject_Hash(object) } else { known } as u64);
        }
        if kind == &raw mut ffi::PyLong_Type {
            let mut overflow = 0;
            let value = ffi::PyLong_AsLongLongAndOverflow(object, &mut overflow);
            return (overflow == 0).then_some(value as u64);
        }
        if kind == &raw mut ffi::PyFloat_Type {
            return Some(ffi::PyFloat_AS_DOUBLE(object).to_bits());
        }
        (kind == &raw mut ffi::PyBool_Type || object == ffi::Py_None()).then_some(object as u64)
    }
}

/// Whether both are the same value of the same type. Both have passed [`content`].
///
/// # Safety
/// Live objects.
#[inline(always)]
unsafe fn same(a: *mut PyObject, b: *mut PyObject) -> bool {
    // SAFETY: by the caller's promise.
    a == b || unsafe { equal(a, b) }
}

/// # Safety
/// As [`same`].
#[inline(never)]
unsafe fn equal(a: *mut PyObject, b: *mut PyObject) -> bool {
    // SAFETY: by the caller's promise; the types are the same and checked.
    unsafe {
        let kind = ffi::Py_TYPE(a);
        if kind != ffi::Py_TYPE(b) {
            return false;
        }
        if kind == &raw mut ffi::PyUnicode_Type {
            return text::utf8(a).zip(text::utf8(b)).is_some_and(|(a, b)| a == b);
        }
        (kind == &raw mut ffi::PyLong_Type || kind == &raw mut ffi::PyFloat_Type)
            && content(a) == content(b)
    }
}

impl<const N: usize> Cache<N> {
    /// Calls `f` with the series and this thread's cells; `false` where it is not known.
    #[inline(always)]
    pub fn with(&self, place: Place, key: Key<'_>, f: impl FnOnce(&Series, &Shard)) -> bool {
        if self.entries.is_empty() {
            return false;
        }
        self.find(place, key).is_some_and(|entry| entry.with(f))
    }

    /// Each place has a neighbour for the second of two that meet there.
    #[inline(always)]
    fn find(&self, place: Place, key: Key<'_>) -> Option<&Entry<N>> {
        let places = [place.index, place.index ^ 1];
        places
            .into_iter()
            .find_map(|at| self.entries[at].as_deref().filter(|entry| entry.is_of(key)))
    }

    /// Keeps what a call's labels led to, if it is not the first such call; what was there before
    /// is given back.
    pub fn keep(&mut self, place: Place, key: Key<'_>, series: Arc<Series>) -> Option<Released<N>> {
        let Key { names, values } = key;
        // SAFETY: live arguments, of which the strings are exactly `str`.
        let long = |&value: &*mut PyObject| unsafe {
            ffi::PyUnicode_CheckExact(value) != 0 && ffi::PyUnicode_GET_LENGTH(value) > LONGEST
        };
        if values.iter().any(long) || self.is_first(place) {
            return None;
        }
        if self.entries.is_empty() {
            self.entries = (0..SLOTS).map(|_| None).collect();
        }
        let mut entry = Entry {
            names,
            values: [std::ptr::null_mut(); N],
            len: values.len(),
            pipeline: hub().key(),
            series,
        };
        entry.values[..values.len()].copy_from_slice(values);
        // SAFETY: live arguments.
        unsafe {
            ffi::Py_XINCREF(entry.names);
            values.iter().for_each(|&value| ffi::Py_INCREF(value));
        }
        let before = self.entries[place.index].replace(Box::new(entry));
        std::mem::replace(&mut self.entries[place.index ^ 1], before).map(Released)
    }

    fn is_first(&mut self, place: Place) -> bool {
        if self.asked.is_empty() {
            self.asked = (0..SLOTS).map(|_| 0).collect();
        }
        let places = [place.index, place.index ^ 1];
        if places.into_iter().any(|at| self.asked[at] == place.print) {
            return false;
        }
        self.asked[place.index ^ 1] = std::mem::replace(&mut self.asked[place.index], place.print);
        true
    }
}

/// An entry that has left its cache; dropped where other code may run.
pub struct Released<const N: usize>(Box<Entry<N>>);

impl<const N: usize> Drop for Released<N> {
    fn drop(&mut self) {
        let entry = &self.0;
        // SAFETY: the entry's references.
        unsafe {
            ffi::Py_XDECREF(entry.names);
            entry.values[..entry.len].iter().for_each(|&value| ffi::Py_DECREF(value));
        }
    }
}

impl<const N: usize> Drop for Cache<N> {
    fn drop(&mut self) {
        let entries = std::mem::take(&mut self.entries);
        entries.into_iter().flatten().for_each(|entry| drop(Released(entry)));
    }
}
