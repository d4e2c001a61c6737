//! Stream spans: a span over what an iterator gives bit by bit, also beyond the statement that
//! made it.

mod asynchronous;
mod iterator;
mod methods;
mod pace;

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_int, c_void};

use coati_core::record::value::{Key, Value};
use coati_core::span::Status;
use pyo3::exceptions::{PyBaseException, PyGeneratorExit};
use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;

use crate::convert::{Owned, printed, tolerate};
use crate::current::{Current, Entry};
use crate::engine::started;
use crate::exception::Told;
use crate::fields::Layer;
use crate::raw::{self, Class, Raw};
use crate::span::{self, Span};
use crate::text::beginning;
use pace::Pace;

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// There was no more.
    Exhausted,
    /// Somebody closed it.
    Closed,
    /// The last reference went while the statement was still running: a `break`, or an exception
    /// that is still to tell.
    LetGo,
    /// Its task was cancelled.
    Cancelled,
    /// It raised.
    Error,
    /// Nobody had it any more.
    Collected,
}

impl End {
    fn name(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Closed | Self::LetGo => "closed",
            Self::Cancelled => "cancelled",
            Self::Error => "error",
            Self::Collected => "collected",
        }
    }

    /// What an exception makes of it.
    fn of(exception: &Bound<'_, PyBaseException>) -> PyResult<Self> {
        Ok(if exception.is_instance_of::<PyGeneratorExit>() {
            Self::Closed
        } else if is_cancellation(exception)? {
            Self::Cancelled
        } else {
            Self::Error
        })
    }
}

/// `asyncio.CancelledError`, and what trio and anyio raise.
fn is_cancellation(exception: &Bound<'_, PyBaseException>) -> PyResult<bool> {
    let py = exception.py();
    let modules = py.import("sys")?.getattr("modules")?;
    if let Ok(asyncio) = modules.get_item("asyncio.exceptions") {
        return exception.is_instance(&asyncio.getattr("CancelledError")?);
    }
    Ok(exception.get_type().name()?.to_string_lossy() == "Cancelled")
}

/// A function that is called with each chunk.
struct Gather {
    function: Py<PyAny>,
    /// Numbers are added up instead of replaced.
    total: bool,
}

/// A span over a stream.
pub struct Stream {
    /// A strong reference.
    span: *mut PyObject,
    recording: bool,
    pace: Pace,
    /// How often it has been entered and not left.
    depth: Cell<u32>,
    /// Wrapped iterators that have not ended.
    live: Cell<u32>,
    wrapped: Cell<bool>,
    is_async: Cell<bool>,
    finished: Cell<bool>,
    end: Cell<Option<End>>,
    /// What a stream raised, until the statement around it has its own say.
    told: RefCell<Option<Told>>,
    gathers: RefCell<Vec<Gather>>,
    gathered: RefCell<Vec<(String, Owned)>>,
}

// SAFETY: touched under the interpreter's lock only.
unsafe impl Send for Stream {}

static CLASS: Class = Class::new();

impl Raw for Stream {
    const NAME: &'static CStr = c"coati.StreamSpan";
    const DOC: &'static CStr = c"A span over what an iterator gives bit by bit, made by a tracer. Ends when the stream and the `with` statement have.";

    fn class() -> &'static Class {
        &CLASS
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        vec![
            raw::slot(ffi::Py_tp_methods, methods::METHODS.pointer()),
            raw::slot(ffi::Py_tp_getset, methods::ATTRIBUTES.pointer()),
            raw::slot(ffi::Py_tp_repr, methods::repr as *mut c_void),
        ]
    }

    unsafe fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> c_int) -> c_int {
        let Ok(gathers) = self.gathers.try_borrow() else { return 0 };
        for held in gathers.iter().map(|gather| gather.function.as_ptr()).chain([self.span]) {
            match visit(held) {
                0 => {}
                stop => return stop,
            }
        }
        0
    }

    fn clear(&self) {
        let gathers =
            self.gathers.try_borrow_mut().map(|mut gathers| std::mem::take(&mut *gathers));
        drop(gathers);
    }

    unsafe fn finalize(this: *mut PyObject) {
        // SAFETY: an instance.
        let stream = unsafe { raw::value::<Self>(this) };
        if stream.wrapped.get() && !stream.finished.get() {
            stream.note_end(End::Collected);
            stream.finish();
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: our reference.
        unsafe { ffi::Py_DECREF(self.span) };
    }
}

/// Makes the classes.
pub fn make(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    raw::make::<iterator::Iterator>(py)?;
    raw::make::<asynchronous::AsyncIterator>(py)?;
    raw::make::<asynchronous::Step>(py)?;
    raw::make::<Stream>(py)
}

impl Stream {
    /// Takes over the reference to `span`.
    pub fn object(span: *mut PyObject) -> *mut PyObject {
        // SAFETY: a span that has just been started.
        let recording = unsafe { raw::value::<Span>(span) }.is_recording();
        raw::new(Self {
            span,
            recording,
            pace: Pace::begin(),
            depth: Cell::new(0),
            live: Cell::new(0),
            wrapped: Cell::new(false),
            is_async: Cell::new(false),
            finished: Cell::new(false),
            end: Cell::new(None),
            told: RefCell::default(),
            gathers: RefCell::default(),
            gathered: RefCell::default(),
        })
    }

    fn span(&self) -> &Span {
        // SAFETY: held as long as this.
        unsafe { raw::value::<Span>(self.span) }
    }

    /// Makes the span current for a step of an iterator that has outlived the statement.
    #[inline(always)]
    fn enter_step(&self) -> Option<Entry> {
        if self.depth.get() > 0 || self.finished.get() {
            return None;
        }
        let current = Current::get();
        if current.object() == self.span {
            return None;
        }
        Entry::enter(self.span, current)
    }

    /// A chunk has come.
    #[inline(always)]
    fn take(&self, py: Python<'_>, chunk: *mut PyObject) -> PyResult<()> {
        if !self.recording || self.finished.get() {
            return Ok(());
        }
        self.pace.chunk();
        if self.gathers.borrow().is_empty() { Ok(()) } else { self.gather(py, chunk) }
    }

    #[cold]
    #[inline(never)]
    fn gather(&self, py: Python<'_>, chunk: *mut PyObject) -> PyResult<()> {
        let each = |gather: &Gather| (gather.function.clone_ref(py), gather.total);
        let gathers: Vec<_> = self.gathers.borrow().iter().map(each).collect();
        // SAFETY: a live object.
        let chunk = unsafe { Bound::from_borrowed_ptr(py, chunk) };
        for (function, total) in gathers {
            match function.bind(py).call1((&chunk,)) {
                Ok(told) => {
                    for (name, value) in Layer::of_mapping(Some(&told))? {
                        self.add(name, value, total);
                    }
                }
                Err(error) => {
                    let kind = error.get_type(py).name()?.to_string();
                    let reason = printed(error.value(py).as_any())?;
                    tolerate(py, error)?;
                    if let Some(started) = started() {
                        started.core.note("stream gather", Some(&format!("{kind}: {}", &*reason)));
                    }
                }
            }
        }
        Ok(())
    }

    /// Keeps a value for the end.
    fn add(&self, name: String, value: Owned, total: bool) {
        let mut gathered = self.gathered.borrow_mut();
        match gathered.iter_mut().find(|(other, _)| *other == name) {
            Some((_, place)) if total => {
                if let Some(sum) = sum(place, &value) {
                    *place = sum;
                }
            }
            Some((_, place)) => *place = value,
            None => gathered.push((name, value)),
        }
    }

    /// An iterator has raised what is set, or is at its end.
    #[cold]
    fn judge(&self, py: Python<'_>, at_end: &[*mut PyObject]) {
        // SAFETY: live classes, and the interpreter is attached.
        let over = unsafe {
            ffi::PyErr_Occurred().is_null()
                || at_end.iter().any(|class| ffi::PyErr_ExceptionMatches(*class) != 0)
        };
        if over {
            // What is set stays: it may carry a generator's result.
            let kept = PyErr::take(py);
            self.over(End::Exhausted, None);
            if let Some(kept) = kept {
                kept.restore(py);
            }
            return;
        }
        let Some(error) = PyErr::take(py) else { return };
        let exception = error.value(py).cast::<PyBaseException>();
        if let Ok(exception) = exception {
            let end = End::of(exception).unwrap_or(End::Error);
            let told = if end == End::Closed { None } else { Told::of(exception).ok() };
            self.over(end, told);
        }
        error.restore(py);
    }

    /// A wrapped iterator has ended.
    fn over(&self, end: End, told: Option<Told>) {
        self.live.set(self.live.get().saturating_sub(1));
        self.note_end(end);
        if told.is_some() {
            *self.told.borrow_mut() = told;
        }
        if self.depth.get() == 0 && self.live.get() == 0 {
            self.finish();
        }
    }

    fn note_end(&self, end: End) {
        self.end.set(Some(end));
    }

    /// Ends the span, once, with all that is known.
    fn finish(&self) {
        if self.finished.replace(true) {
            return;
        }
        let span = self.span();
        let gathered = self.gathered.take();
        let told = self.told.take();
        if self.recording {
            span::set_all(span, &gathered);
            if let Some(told) = told {
                let message = beginning(&told.message);
                let description = match message.is_empty() {
                    true => told.kind.clone(),
                    false => format!("{}: {message}", told.kind),
                };
                span.with_core(|core| core.set_status(Status::Error, &description));
                span::record(span, told, &[]);
            }
            if self.wrapped.get() {
                self.set_own(span);
            }
        }
        span.end(None);
    }

    fn set_own(&self, span: &Span) {
        span.with_core(|core| {
            let mut set = |name, value: Value<'_>| core.set_attribute((Key::new(name), value));
            self.pace.tell(&mut set);
            if let Some(end) = self.end.get() {
                set("coati.stream.end", end.name().into());
            }
        });
    }
}

fn sum(a: &Owned, b: &Owned) -> Option<Owned> {
    let float = |number: &Owned| match number {
        Owned::I64(v) => Some(*v as f64),
        Owned::U64(v) => Some(*v as f64),
        Owned::F64(v) => Some(*v),
        _ => None,
    };
    if let (Owned::I64(a), Owned::I64(b)) = (a, b)
        && let Some(sum) = a.checked_add(*b)
    {
        return Some(Owned::I64(sum));
    }
    Some(Owned::F64(float(a)? + float(b)?))
}
