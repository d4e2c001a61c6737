//! Contexts over process boundaries.

use coati_core::ids::{SpanId, TraceId};
use coati_core::propagate::traceparent;
use coati_core::span::SpanContext;

use crate::buffer;
use crate::entry::entry;
use crate::handle::{self, borrow};
use crate::status::{Failure, coati_status};
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

/// Reads a W3C `traceparent`. A context keeps no `tracestate`: it is accepted for programs that
/// have one. COATI_BAD_ARGUMENT: not a traceparent.
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
