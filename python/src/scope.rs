//! `coati.context`: fields for every record inside.

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_void};
use std::sync::Arc;

use coati_core::propagate::Baggage;
use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;

use crate::baggage;
use crate::current::{Current, Entry, Node};
use crate::fields::Layer;
use crate::gil::Guarded;
use crate::raw::{self, Args, Class, Raw, Table};
use crate::span::Span;

/// What is current inside a `with coati.context(...)`.
pub struct Scope {
    pub node: Node,
    /// The current span, null outside any; a strong reference.
    span: *mut PyObject,
    /// What this lasts as long as, where no statement ends it; else null. A strong reference.
    below: Cell<*mut PyObject>,
    /// The OpenTelemetry context that this is, else null. A strong reference.
    context: Cell<*mut PyObject>,
}

// SAFETY: touched under the interpreter's lock only.
unsafe impl Send for Scope {}

static SCOPE: Class = Class::new();

impl Raw for Scope {
    const NAME: &'static CStr = c"coati._native.Scope";
    const DOC: &'static CStr = c"What is current inside a context.";

    fn class() -> &'static Class {
        &SCOPE
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        Vec::new()
    }

    unsafe fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> c_int) -> c_int {
        for held in [self.span, self.below.get(), self.context.get()] {
            match visit(held) {
                0 => {}
                stop => return stop,
            }
        }
        self.node.traverse(visit)
    }

    fn clear(&self) {
        self.node.forget_left();
        self.node.forget_around();
        self.forget(&self.below);
        self.forget(&self.context);
    }
}

impl Scope {
    /// A scope over what is current, with more fields.
    pub fn over(current: &Current, fields: &Layer) -> Self {
        let below = current.node();
        let fields = match below.and_then(Node::fields) {
            Some(below) => fields.over(below),
            None => fields.over(&Layer::default()),
        };
        let scope = Self::bare(current);
        let _ = scope.node.fields.set(Arc::new(fields));
        if let Some(baggage) = below.and_then(|node| node.baggage.get()) {
            let _ = scope.node.baggage.set(baggage.clone());
        }
        scope
    }

    /// A scope over what is current, with this baggage, until what is current now is left.
    pub fn carrying(current: &Current, baggage: Arc<Baggage>) -> Self {
        let scope = Self::bare(current);
        let below = current.node();
        if let Some(fields) =
            baggage::fields(&baggage, below).or_else(|| below?.fields.get().cloned())
        {
            let _ = scope.node.fields.set(fields);
        }
        let _ = scope.node.baggage.set(baggage);
        let object = current.object();
        // SAFETY: live objects; one scope of this kind over another lasts as long as the lower one.
        unsafe {
            let nested = !object.is_null() && raw::is::<Self>(object);
            let lower = if nested { raw::value::<Self>(object).below.get() } else { object };
            let lower = if lower.is_null() { object } else { lower };
            ffi::Py_XINCREF(lower);
            scope.below.set(lower);
        }
        scope
    }

    fn bare(current: &Current) -> Self {
        let below = current.node();
        let context = below.map(|node| node.context).unwrap_or_default();
        let node = Node::new(context, below.and_then(|node| node.state.clone()));
        node.stay_inside(current);
        let span = current.span().map_or(std::ptr::null_mut(), Bound::into_ptr);
        let (below, context) = (Cell::new(std::ptr::null_mut()), Cell::new(std::ptr::null_mut()));
        Self { node, span, below, context }
    }

    /// The scope that `context` of OpenTelemetry is. Takes over the reference to `span`, which may be
    /// null.
    pub fn of_context(node: Node, span: *mut PyObject, context: *mut PyObject) -> Self {
        // SAFETY: a live object.
        let context = Cell::new(unsafe { ffi::Py_NewRef(context) });
        Self { node, span, below: Cell::new(std::ptr::null_mut()), context }
    }

    /// The OpenTelemetry context that this is, borrowed, else null.
    #[inline(always)]
    pub fn context(&self) -> *mut PyObject {
        self.context.get()
    }

    /// The current span, borrowed; null outside any.
    pub fn span(&self) -> *mut PyObject {
        self.span
    }

    /// Whether it lasts as long as `object`.
    pub fn is_over(&self, object: *mut PyObject) -> bool {
        self.below.get() == object
    }

    fn forget(&self, place: &Cell<*mut PyObject>) {
        // SAFETY: our reference.
        unsafe { ffi::Py_XDECREF(place.replace(std::ptr::null_mut())) };
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.forget(&self.below);
        self.forget(&self.context);
        // SAFETY: our reference.
        unsafe { ffi::Py_XDECREF(self.span) };
    }
}

impl Current {
    /// The current span, with the reference.
    #[inline(always)]
    pub fn into_span(self) -> Result<*mut PyObject, Self> {
        let object = self.object();
        // SAFETY: a live object.
        if !object.is_null() && unsafe { raw::is::<Span>(object) } {
            return Ok(self.into_object());
        }
        match self.span().map(Bound::into_ptr) {
            Some(span) => Ok(span),
            None => Err(self),
        }
    }

    /// The current span, a new reference.
    pub fn span(&self) -> Option<Bound<'_, PyAny>> {
        let object = self.object();
        if object.is_null() {
            return None;
        }
        // SAFETY: a live object whose class is checked; the interpreter is attached.
        unsafe {
            let py = Python::assume_attached();
            if raw::is::<Span>(object) {
                return Some(Bound::from_borrowed_ptr(py, object));
            }
            if raw::is::<Scope>(object) {
                return Bound::from_borrowed_ptr_or_opt(py, raw::value::<Scope>(object).span);
            }
        }
        None
    }
}

/// The context manager.
pub struct Context {
    fields: Layer,
    /// Each time it is entered and not yet left.
    entries: Guarded<Vec<(*mut PyObject, Entry)>>,
}

// SAFETY: touched under the interpreter's lock only.
unsafe impl Send for Context {}

static CONTEXT: Class = Class::new();

static METHODS: Table<[ffi::PyMethodDef; 3]> = Table([
    raw::plain(c"__aenter__", async_enter, ffi::METH_NOARGS, c"__aenter__($self, /)\n--\n\n"),
    raw::fast(c"__aexit__", async_exit, c"__aexit__($self, /, *exc_info)\n--\n\n"),
    raw::END,
]);

impl Raw for Context {
    const NAME: &'static CStr = c"coati.context";
    const DOC: &'static CStr = c"context(**fields)\n--\n\nFields on every record made inside, over await and into child tasks.";

    fn class() -> &'static Class {
        &CONTEXT
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        vec![
            raw::slot(ffi::Py_tp_methods, METHODS.pointer()),
            raw::slot(ffi::Py_tp_new, construct as *mut c_void),
        ]
    }

    unsafe fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> c_int) -> c_int {
        let Some(entries) = self.entries.borrow() else { return 0 };
        for (scope, entry) in entries.iter() {
            match visit(*scope) {
                0 => {}
                stop => return stop,
            }
            match entry.traverse(visit) {
                0 => {}
                stop => return stop,
            }
        }
        0
    }

    fn clear(&self) {
        let entries = self.entries.borrow().map(|mut entries| std::mem::take(&mut *entries));
        entries.into_iter().flatten().for_each(forget);
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        self.clear();
    }
}

fn forget((scope, _entry): (*mut PyObject, Entry)) {
    // SAFETY: our reference.
    unsafe { ffi::Py_DECREF(scope) };
}

unsafe extern "C" fn construct(
    _: *mut ffi::PyTypeObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a tuple and, or null, a dict of `str` to anything, as the interpreter passes.
        let (args, names, values) = unsafe {
            let args = Bound::from_borrowed_ptr(py, args).cast_into::<pyo3::types::PyTuple>()?;
            let kwargs = Bound::from_borrowed_ptr_or_opt(py, kwargs);
            let kwargs = kwargs.map(|k| k.cast_into::<pyo3::types::PyDict>()).transpose()?;
            let (names, values): (Vec<_>, Vec<_>) = kwargs.iter().flatten().unzip();
            (args, pyo3::types::PyTuple::new(py, names)?, values)
        };
        let values: Vec<_> = values.iter().map(Bound::as_ptr).collect();
        let positional: Vec<*mut PyObject> = Vec::new();
        if !args.is_empty() {
            Args::new(positional.as_ptr(), args.len() as isize, std::ptr::null_mut())
                .expect("context", 0)?;
        }
        let args = Args::new(values.as_ptr(), 0, names.as_ptr());
        let fields = Layer::convert(py, &args)?;
        Ok(raw::new(Context { fields, entries: Guarded::new(Vec::new()) }))
    })
}

pub unsafe extern "C" fn enter(
    this: *mut PyObject,
    _: *const *mut PyObject,
    _: isize,
    _: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a method of this class.
        let context = unsafe { raw::value::<Context>(this) };
        let current = Current::get();
        // SAFETY: a new reference, or null with an error set.
        let scope = unsafe {
            Bound::from_owned_ptr_or_err(py, raw::new(Scope::over(&current, &context.fields)))
        }?;
        if let Some(entry) = Entry::enter(scope.as_ptr(), current)
            && let Some(mut entries) = context.entries.borrow()
        {
            entries.push((scope.into_ptr(), entry));
        }
        // SAFETY: a live object.
        Ok(unsafe { ffi::Py_NewRef(this) })
    })
}

fn leave(this: *mut PyObject) {
    // SAFETY: a method of this class.
    let context = unsafe { raw::value::<Context>(this) };
    let entry = context.entries.borrow().and_then(|mut entries| entries.pop());
    if let Some((scope, entry)) = entry {
        entry.leave(scope);
        // SAFETY: our reference.
        unsafe { ffi::Py_DECREF(scope) };
    }
}

pub unsafe extern "C" fn exit(
    this: *mut PyObject,
    _: *const *mut PyObject,
    _: isize,
    _: *mut PyObject,
) -> *mut PyObject {
    raw::method(|_| {
        leave(this);
        Ok(raw::none())
    })
}

unsafe extern "C" fn async_enter(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: as for this method.
    crate::awaitable::ready(unsafe { enter(this, std::ptr::null(), 0, std::ptr::null_mut()) })
}

unsafe extern "C" fn async_exit(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: as for this method.
    crate::awaitable::ready(unsafe { exit(this, args, count, names) })
}
