//! Contexts over process boundaries.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coati_core::ids::{SpanId, TraceId};
use coati_core::propagate::{Baggage, Context, Formats, TraceState, traceparent};
use coati_core::span::SpanContext;

use crate::buffer;
use crate::entry::entry;
use crate::handle::{self, borrow};
use crate::span::coati_span;
use crate::status::{Failure, coati_status};
use crate::text;
use crate::types::{coati_buffer, coati_span_context, coati_str};

impl From<&SpanContext> for coati_span_context {
    fn from(context: &SpanContext) -> Self {
        Self {
            trace_id: context.trace_id.0,
            span_id: context.span_id.0,
            flags: context.trace_flags,
            remote: context.remote.into(),
        }
    }
}

impl From<&coati_span_context> for SpanContext {
    fn from(context: &coati_span_context) -> Self {
        Self {
            trace_id: TraceId(context.trace_id),
            span_id: SpanId(context.span_id),
            trace_flags: context.flags,
            remote: context.remote != 0,
        }
    }
}

/// What a span carries besides its ids and flags.
#[derive(Debug, Clone, Default)]
pub struct Carried {
    /// Its trace's `tracestate`.
    pub state: Option<Arc<TraceState>>,
    /// What the program passes on.
    pub baggage: Option<Arc<Baggage>>,
}

/// Everything that crosses processes: a span's ids and flags, its `tracestate`, and baggage. Made by
/// coati_context_parse or coati_context_of_span.
pub struct coati_context {
    context: Mutex<Context>,
}

impl coati_context {
    fn new(context: Context) -> Self {
        Self { context: Mutex::new(context) }
    }

    fn lock(&self) -> MutexGuard<'_, Context> {
        self.context.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The parent that it stands for, if there is one, and what goes with it.
    pub(crate) fn parent(&self) -> (Option<SpanContext>, Carried) {
        let Context { span, state, baggage } = self.lock().clone();
        let baggage = (!baggage.is_empty()).then(|| Arc::new(baggage));
        let carried = Carried { state: state.map(Arc::new), baggage };
        (span.is_valid().then_some(span), carried)
    }
}

/// Reads a W3C `traceparent`. The result has no place for a `tracestate`, which is accepted for
/// programs that have one: coati_context_parse keeps it. COATI_BAD_ARGUMENT: not a traceparent.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_context_extract(
    traceparent: coati_str,
    tracestate: coati_str,
    out: *mut coati_span_context,
) -> coati_status {
    entry(|| {
        // SAFETY: both texts and `out` are what the header asks for.
        unsafe {
            let texts = tracestate.bytes().and_then(|_| traceparent.bytes());
            handle::fill(out, coati_span_context::default(), texts, |text| {
                let context = traceparent::parse(text).ok_or(Failure::BadArgument)?;
                Ok((&context).into())
            })
        }
    })
}

/// Writes a W3C `traceparent`. COATI_BAD_ARGUMENT: no context, or one without ids.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_context_inject(
    context: *const coati_span_context,
    traceparent: *mut coati_buffer,
) -> coati_status {
    entry(|| {
        // SAFETY: null or a context; `traceparent` null or the caller's to write.
        unsafe {
            let context = borrow(context).map_err(|_| Failure::BadArgument);
            buffer::give(traceparent, context, |context| {
                let context = SpanContext::from(context);
                let text = traceparent::format(&context).ok_or(Failure::BadArgument)?;
                Ok(text.to_vec())
            })
        }
    })
}

/// Reads W3C's three headers, each empty where it is absent; several of one name are joined by
/// commas. What is malformed says nothing: without a good `traceparent` there is no span.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_context_parse(
    traceparent: coati_str,
    tracestate: coati_str,
    baggage: coati_str,
    out: *mut *mut coati_context,
) -> coati_status {
    entry(|| {
        // SAFETY: texts and `out` are what the header asks for.
        unsafe {
            let texts = traceparent
                .bytes()
                .and_then(|parent| Ok((parent, text::kept(tracestate)?, text::kept(baggage)?)));
            handle::give(out, texts, |(parent, state, baggage)| {
                let span = traceparent::parse(parent);
                let context = Context {
                    span: span.unwrap_or_default(),
                    state: span.and_then(|_| TraceState::parse(&state)),
                    baggage: Baggage::parse(&baggage),
                };
                Ok(coati_context::new(context))
            })
        }
    })
}

/// The context of a span, also after its end.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_context_of_span(
    span: *const coati_span,
    out: *mut *mut coati_context,
) -> coati_status {
    entry(|| {
        // SAFETY: null or a live handle; `out` null or the caller's to write.
        unsafe {
            handle::give(out, borrow(span), |span| {
                let Carried { state, baggage } = span.carried();
                Ok(coati_context::new(Context {
                    span: *span.context(),
                    state: state.as_deref().cloned(),
                    baggage: baggage.as_deref().cloned().unwrap_or_default(),
                }))
            })
        }
    })
}

/// Frees the handle.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_context_free(context: *mut coati_context) {
    // SAFETY: null or the caller's own.
    unsafe { handle::free(context) };
}

/// The ids and flags of its span; all zero where it has none.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_context_get_span(
    context: *const coati_context,
    out: *mut coati_span_context,
) -> coati_status {
    entry(|| {
        // SAFETY: null or a live handle; `out` null or the caller's to write.
        unsafe {
            handle::fill(out, coati_span_context::default(), borrow(context), |context| {
                Ok((&context.lock().span).into())
            })
        }
    })
}

/// Writes a header of a context, empty where there is nothing to say.
///
/// # Safety
/// `context` is null or a live handle, `out` null or the caller's to write.
unsafe fn header(
    context: *const coati_context,
    name: &str,
    out: *mut coati_buffer,
) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    unsafe {
        buffer::give(out, borrow(context), |context| {
            let mut header = Vec::new();
            Formats::W3C.inject(&context.lock(), &mut |other, value| {
                if other == name {
                    header.extend_from_slice(value.as_bytes());
                }
            });
            Ok(header)
        })
    }
}

/// Its W3C `traceparent`, empty where it has no span.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_context_traceparent(
    context: *const coati_context,
    out: *mut coati_buffer,
) -> coati_status {
    // SAFETY: handle and `out` are what the header asks for.
    entry(|| unsafe { header(context, "traceparent", out) })
}

/// Its W3C `tracestate` as it is passed on, empty where there is none.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_context_tracestate(
    context: *const coati_context,
    out: *mut coati_buffer,
) -> coati_status {
    // SAFETY: handle and `out` are what the header asks for.
    entry(|| unsafe { header(context, "tracestate", out) })
}

/// Its W3C `baggage` header, empty where there is none.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_context_baggage(
    context: *const coati_context,
    out: *mut coati_buffer,
) -> coati_status {
    // SAFETY: handle and `out` are what the header asks for.
    entry(|| unsafe { header(context, "baggage", out) })
}

/// Sets a member of its `tracestate`, which then is the first one. COATI_BAD_ARGUMENT: not what W3C
/// allows.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_context_set_tracestate(
    context: *mut coati_context,
    key: coati_str,
    value: coati_str,
) -> coati_status {
    entry(|| {
        // SAFETY: handle and texts are what the header asks for.
        let (context, key, value) =
            unsafe { (borrow(context)?, text::kept(key)?, text::kept(value)?) };
        let mut context = context.lock();
        let state = TraceState::with(context.state.as_ref(), &key, &value);
        context.state = Some(state.ok_or(Failure::BadArgument)?);
        Ok(())
    })
}

/// The value of a name of its baggage. COATI_BAD_ARGUMENT: there is no such name.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_context_get_baggage(
    context: *const coati_context,
    name: coati_str,
    out: *mut coati_buffer,
) -> coati_status {
    entry(|| {
        // SAFETY: handle, text and `out` are what the header asks for.
        unsafe {
            let given = borrow(context).and_then(|context| Ok((context, text::kept(name)?)));
            buffer::give(out, given, |(context, name)| {
                let context = context.lock();
                let value = context.baggage.get(&name).ok_or(Failure::BadArgument)?;
                Ok(value.as_bytes().to_vec())
            })
        }
    })
}

/// Sets a name of its baggage to any text. COATI_BAD_ARGUMENT: the name is no token of HTTP.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_context_set_baggage(
    context: *mut coati_context,
    name: coati_str,
    value: coati_str,
) -> coati_status {
    entry(|| {
        // SAFETY: handle and texts are what the header asks for.
        let (context, name, value) =
            unsafe { (borrow(context)?, text::kept(name)?, text::kept(value)?) };
        let set = context.lock().baggage.set(&name, &value, "");
        if set { Ok(()) } else { Err(Failure::BadArgument) }
    })
}

/// Removes a name of its baggage. COATI_BAD_ARGUMENT: there is no such name.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_context_remove_baggage(
    context: *mut coati_context,
    name: coati_str,
) -> coati_status {
    entry(|| {
        // SAFETY: handle and text are what the header asks for.
        let (context, name) = unsafe { (borrow(context)?, text::kept(name)?) };
        let removed = context.lock().baggage.remove(&name);
        if removed { Ok(()) } else { Err(Failure::BadArgument) }
    })
}
