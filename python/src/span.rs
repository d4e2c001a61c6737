//! Spans.

mod events;
mod methods;

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_void};

use coati_core::ids::SpanId;
use coati_core::span::{Span as Core, Status};
use pyo3::exceptions::{PyBaseException, PyGeneratorExit};
use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;

use crate::baggage;
use crate::current::{Current, Entry, Node};
use crate::exception::Told;
use crate::gil::Guarded;
use crate::hub::hub;
use crate::raw::{self, Class, Raw, Spare};
use crate::text::beginning;

pub use events::{add_event, record, record_at};
pub use methods::{enter_method, exit_method, link, set_all, set_all_in, timestamp};

/// A span in Python's hands, and what is current while it is entered.
pub struct Span {
    node: Node,
    /// What is being recorded; afterwards a span that passes the ids on.
    core: Guarded<Core>,
    entry: Guarded<Option<Entry>>,
    /// How often it has been entered and not left.
    depth: Cell<u32>,
    /// It stands for the span around it, which stays current.
    transparent: bool,
    /// It was recorded and has ended.
    ended: Cell<bool>,
    /// What OpenTelemetry's API sees of it, borrowed; null where there is nothing.
    view: Cell<*mut PyObject>,
}

// SAFETY: touched under the interpreter's lock only.
unsafe impl Send for Span {}

static CLASS: Class = Class::new();
static UNUSED: Spare = Spare::new();

impl Raw for Span {
    const NAME: &'static CStr = c"coati.Span";
    const DOC: &'static CStr =
        c"A unit of work, made by a tracer. Current inside a `with` statement, which ends it.";

    fn class() -> &'static Class {
        &CLASS
    }

    fn spare() -> Option<&'static Spare> {
        Some(&UNUSED)
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        vec![
            raw::slot(ffi::Py_tp_methods, methods::METHODS.pointer()),
            raw::slot(ffi::Py_tp_getset, methods::ATTRIBUTES.pointer()),
            raw::slot(ffi::Py_tp_repr, methods::repr as *mut c_void),
        ]
    }

    unsafe fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> c_int) -> c_int {
        match self.node.traverse(visit) {
            0 => match self.entry.borrow().as_deref() {
                Some(Some(entry)) => entry.traverse(visit),
                _ => 0,
            },
            stop => stop,
        }
    }

    fn clear(&self) {
        self.node.forget_left();
        self.node.forget_around();
        drop(self.take_entry());
    }

    unsafe fn finalize(this: *mut PyObject) {
        // SAFETY: an instance.
        unsafe { raw::value::<Self>(this) }.abandon();
    }
}

impl Span {
    /// The object of a span that has just been started.
    #[inline(always)]
    pub fn object(core: Core, parent: Option<&Node>) -> *mut PyObject {
        Self::object_inside(core, parent, parent)
    }

    /// The same where the parent need not be what is `around` it.
    #[inline(always)]
    pub fn object_inside(
        core: Core,
        parent: Option<&Node>,
        around: Option<&Node>,
    ) -> *mut PyObject {
        let span_id = core.context().span_id;
        let transparent = span_id == around.map_or(SpanId::NONE, |around| around.context.span_id);
        let state = parent.and_then(|parent| parent.state.clone());
        let mut core = core;
        if let Some(state) = &state {
            core.set_trace_state(state.as_str());
        }
        raw::new_with(|| Self {
            node: Node::new(*core.context(), state),
            core: Guarded::new(core),
            entry: Guarded::new(None),
            depth: Cell::new(0),
            transparent,
            ended: Cell::new(false),
            view: Cell::new(std::ptr::null_mut()),
        })
    }

    /// A span that records nothing and stands for `node`, with its baggage over that of `current`.
    pub fn standing_for(node: &Node, current: Option<&Node>) -> *mut PyObject {
        let object = Self::object(Core::passing(node.context), Some(node));
        if !object.is_null() {
            // SAFETY: just made.
            let own = unsafe { raw::value::<Self>(object) }.node();
            baggage::adopt(own, node, current);
            let carried = own.baggage.get().and_then(|baggage| baggage::fields(baggage, current));
            if let Some(fields) = carried.or_else(|| current?.fields.get().cloned()) {
                let _ = own.fields.set(fields);
            }
        }
        object
    }

    /// Takes over fields and baggage of what was current before.
    #[inline(always)]
    pub fn go_on_from(&self, below: Option<&Node>) {
        let carries = |node: &Node| node.baggage.get().is_some();
        if carries(&self.node) || below.is_some_and(carries) {
            baggage::inherit(&self.node, below);
        }
        if let Some(fields) = below.and_then(|node| node.fields.get()) {
            let _ = self.node.fields.set(fields.clone());
        }
    }

    /// What is current while it is entered.
    #[inline(always)]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Calls `f` with what is being recorded; `f` runs no foreign code.
    #[inline(always)]
    pub fn with_core<R>(&self, f: impl FnOnce(&mut Core) -> R) -> Option<R> {
        self.core.borrow().map(|mut core| f(&mut core))
    }

    /// Whether what is set on it will be kept.
    #[inline(always)]
    pub fn is_recording(&self) -> bool {
        self.with_core(|core| core.is_recording()).unwrap_or(false)
    }

    #[inline(always)]
    fn take_core(&self) -> Core {
        match self.core.borrow() {
            Some(mut core) => {
                let remains = core.remains();
                std::mem::replace(&mut *core, remains)
            }
            None => Core::passing(self.node.context),
        }
    }

    #[inline(always)]
    fn take_entry(&self) -> Option<Entry> {
        self.entry.borrow().and_then(|mut entry| entry.take())
    }

    /// Ends it.
    #[inline(always)]
    pub fn end(&self, end_time: Option<u64>) {
        if !self.is_recording() {
            return;
        }
        self.ended.set(true);
        // Taken out first: the recorder may let go of the interpreter's lock to wait for room.
        self.take_core().end(hub(), end_time);
    }

    /// Whether it was recorded and has ended.
    pub fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// What OpenTelemetry's API sees of it; whoever puts an object there takes it away before that
    /// goes.
    pub fn view(&self) -> &Cell<*mut PyObject> {
        &self.view
    }

    /// Ends it for whoever has lost it.
    pub fn abandon(&self) {
        if !self.is_recording() {
            return;
        }
        self.ended.set(true);
        let mut core = self.take_core();
        core.abandon();
        core.end(hub(), None);
    }

    /// Notes an exception that leaves it.
    #[cold]
    pub fn fail(&self, exception: &Bound<'_, PyBaseException>) -> PyResult<()> {
        if !self.is_recording() || exception.is_instance_of::<PyGeneratorExit>() {
            return Ok(());
        }
        let told = Told::of(exception)?;
        let description = match told.message.is_empty() {
            true => told.kind.clone(),
            false => format!("{}: {}", told.kind, beginning(&told.message)),
        };
        self.with_core(|core| core.set_status(Status::Error, &description));
        record(self, told, &[]);
        Ok(())
    }
}

/// Makes the span current.
///
/// # Safety
/// `this` is a [`Span`].
#[inline(always)]
pub unsafe fn enter(this: *mut PyObject) {
    // SAFETY: by the caller's promise.
    let span = unsafe { raw::value::<Span>(this) };
    let depth = span.depth.get();
    span.depth.set(depth + 1);
    if depth > 0 || span.transparent {
        return;
    }
    let current = Current::get();
    span.node.stay_inside(&current);
    span.go_on_from(current.node());
    let entry = Entry::enter(this, current);
    if let Some(mut place) = span.entry.borrow() {
        *place = entry;
    }
}

/// Makes current what was so before.
///
/// # Safety
/// `this` is a [`Span`].
#[inline(always)]
pub unsafe fn leave(this: *mut PyObject) -> bool {
    // SAFETY: by the caller's promise.
    let span = unsafe { raw::value::<Span>(this) };
    let depth = span.depth.get();
    span.depth.set(depth.saturating_sub(1));
    if depth > 1 {
        return false;
    }
    if let Some(entry) = span.take_entry() {
        entry.leave(this);
    }
    if !span.node.around().is_null() {
        span.node.forget_around();
    }
    true
}
