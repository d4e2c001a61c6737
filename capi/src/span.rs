//! Tracers and spans.

use std::sync::{Arc, Mutex, MutexGuard};

use coati_core::propagate::Baggage;
use coati_core::record::fields::AnyFields;
use coati_core::record::value::{Key, Value};
use coati_core::span::{Span, SpanContext, Start, Status, Tracer};

use crate::context::{Carried, coati_context};
use crate::current;
use crate::engine::{Shared, coati_engine, shared};
use crate::entry::entry;
use crate::fields::{self, Checked, Fields};
use crate::handle::{self, borrow, slice};
use crate::host::Host;
use crate::status::{Failure, Outcome, coati_status};
use crate::text;
use crate::types::{
    COATI_SPAN_ERROR, COATI_SPAN_OK, COATI_SPAN_UNSET, coati_field, coati_span_context, coati_str,
};

/// A named source of spans.
pub struct coati_tracer {
    shared: Arc<Shared>,
    tracer: Tracer,
}

impl coati_tracer {
    #[inline(always)]
    fn start(&self, name: &str, parent: Option<SpanContext>, carried: Carried) -> coati_span {
        let mut span = self.tracer.start(name, Start { parent, ..Start::default() });
        if let Some(state) = &carried.state {
            span.set_trace_state(state.as_str());
        }
        if let Some(baggage) = &carried.baggage {
            set_fields(&mut span, baggage, &self.shared);
        }
        coati_span {
            shared: self.shared.clone(),
            context: *span.context(),
            carried,
            state: Mutex::new(State { span, ended: false }),
        }
    }
}

/// Sets what of the baggage is configured to be fields as attributes.
#[cold]
#[inline(never)]
fn set_fields(span: &mut Span, baggage: &Baggage, shared: &Shared) {
    for name in shared.hub.live().baggage_fields().iter() {
        if let Some(value) = baggage.get(name) {
            span.set_attribute((Key::new(name), Value::Str(value)));
        }
    }
}

/// A started span. Several threads may use it; it is recorded when it ends.
pub struct coati_span {
    shared: Arc<Shared>,
    context: SpanContext,
    carried: Carried,
    state: Mutex<State>,
}

struct State {
    span: Span,
    ended: bool,
}

impl coati_span {
    /// Its ids and flags.
    pub(crate) fn context(&self) -> &SpanContext {
        &self.context
    }

    /// What goes with them.
    pub(crate) fn carried(&self) -> &Carried {
        &self.carried
    }

    /// Whose engine it is recorded in, where that is not the handles' own.
    pub(crate) fn host(&self) -> Option<&'static dyn Host> {
        self.shared.host()
    }

    /// The span, as long as it can be changed.
    #[inline(always)]
    fn open(&self) -> Result<MutexGuard<'_, State>, Failure> {
        // A panic in between leaves a span that is whole, if not as it should be.
        let state = self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if state.ended {
            return Err(Failure::AlreadyEnded);
        }
        self.shared.on().map(|()| state)
    }

    fn max_string(&self) -> usize {
        self.shared.hub.live().max_span_string() as usize
    }

    fn end(&self) -> Outcome {
        let mut state = self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if std::mem::replace(&mut state.ended, true) {
            return Err(Failure::AlreadyEnded);
        }
        let on = self.shared.on();
        state.span.end(&self.shared.hub, None);
        on
    }
}

/// The tracer called `name`. Cheap, but meant to be kept.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_tracer_new(
    engine: *mut coati_engine,
    name: coati_str,
    out: *mut *mut coati_tracer,
) -> coati_status {
    entry(|| {
        // SAFETY: handle, text and `out` are what the header asks for.
        unsafe {
            handle::give(out, shared(engine), |shared| {
                let tracer = Tracer::new(shared.hub.clone(), &text::kept(name)?);
                Ok(coati_tracer { shared: shared.clone(), tracer })
            })
        }
    })
}

/// Frees the handle.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_tracer_free(tracer: *mut coati_tracer) {
    // SAFETY: null or the caller's own.
    unsafe { handle::free(tracer) };
}

/// Starts a span. `parent` NULL: a child of the thread's current span, without one a root; a
/// `parent` that is all zero: a root.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_span_start(
    tracer: *const coati_tracer,
    name: coati_str,
    parent: *const coati_span_context,
    out: *mut *mut coati_span,
) -> coati_status {
    entry(|| {
        // SAFETY: handle, text and `out` are what the header asks for; `parent` null or a context.
        unsafe {
            handle::give(out, borrow(tracer), |tracer| {
                let name = text::kept(name)?;
                tracer.shared.on()?;
                let host = tracer.shared.host();
                Ok(match parent.as_ref() {
                    Some(parent) => tracer.start(&name, Some(parent.into()), Carried::default()),
                    None => {
                        let parent = current::context(host);
                        let carried = parent.map(|_| current::carried(host)).unwrap_or_default();
                        tracer.start(&name, parent, carried)
                    }
                })
            })
        }
    })
}

/// Starts a span under what a context says, whose `tracestate` and baggage it takes over. A context
/// without a span: a root.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_span_start_in(
    tracer: *const coati_tracer,
    name: coati_str,
    parent: *const coati_context,
    out: *mut *mut coati_span,
) -> coati_status {
    entry(|| {
        // SAFETY: handles, text and `out` are what the header asks for.
        unsafe {
            let both = borrow(tracer).and_then(|tracer| Ok((tracer, borrow(parent)?)));
            handle::give(out, both, |(tracer, parent)| {
                let name = text::kept(name)?;
                tracer.shared.on()?;
                let (parent, carried) = parent.parent();
                Ok(tracer.start(&name, parent, carried))
            })
        }
    })
}

/// Sets an attribute; one with the same key is replaced.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_span_set_attribute(
    span: *mut coati_span,
    attribute: *const coati_field,
) -> coati_status {
    entry(|| {
        // SAFETY: handle and attribute are what the header asks for.
        unsafe {
            let span = borrow(span)?;
            let attribute = borrow(attribute).map_err(|_| Failure::BadArgument)?;
            if let Some(field) = fields::plain(attribute) {
                span.open()?.span.set_attribute(field);
                return Ok(());
            }
            let attribute = Checked::new(attribute, span.max_string())?;
            if let Some(body) = span.open()?.span.body() {
                body.set(attribute.key(), |encoder| attribute.encode(encoder));
            }
            Ok(())
        }
    })
}

/// Adds an event that happens now.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_span_add_event(
    span: *mut coati_span,
    name: coati_str,
    fields: *const coati_field,
    n: usize,
) -> coati_status {
    entry(|| {
        // SAFETY: handle, texts and fields are what the header asks for.
        unsafe {
            let span = borrow(span)?;
            let name = text::kept(name)?;
            let fields = Fields::new(slice(fields, n)?, span.max_string())?;
            if let Some(body) = span.open()?.span.body() {
                body.add_event(&name, None, |encoder, limit| fields.encode(encoder, limit));
            }
            Ok(())
        }
    })
}

/// Sets how it went: COATI_SPAN_UNSET changes nothing, COATI_SPAN_OK is final, and of a
/// COATI_SPAN_ERROR the description is kept. Any other status is COATI_BAD_ARGUMENT.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_span_set_status(
    span: *mut coati_span,
    status: u32,
    description: coati_str,
) -> coati_status {
    entry(|| {
        // SAFETY: handle and text are what the header asks for.
        let (span, description) = unsafe { (borrow(span)?, text::kept(description)?) };
        let status = match status {
            COATI_SPAN_UNSET => Status::Unset,
            COATI_SPAN_OK => Status::Ok,
            COATI_SPAN_ERROR => Status::Error,
            _ => return Err(Failure::BadArgument),
        };
        span.open()?.span.set_status(status, &description);
        Ok(())
    })
}

/// The span's ids and flags, also after its end.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_span_get_context(
    span: *const coati_span,
    out: *mut coati_span_context,
) -> coati_status {
    entry(|| {
        // SAFETY: null or a live handle; `out` null or the caller's to write.
        unsafe {
            handle::fill(out, coati_span_context::default(), borrow(span), |span| {
                Ok(span.context().into())
            })
        }
    })
}

/// Ends the span and records it. A second time: COATI_ALREADY_ENDED.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_span_end(span: *mut coati_span) -> coati_status {
    // SAFETY: null or a live handle.
    entry(|| unsafe { borrow(span) }?.end())
}

/// Ends the span unless it has ended, and frees the handle.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_span_free(span: *mut coati_span) {
    // SAFETY: null or the caller's own.
    unsafe {
        if let Ok(span) = borrow(span) {
            let _ended_before_or_stopped = entry(|| span.end());
        }
        handle::free(span);
    }
}
