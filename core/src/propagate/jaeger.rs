//! Jaeger's headers: `uber-trace-id: trace:span:parent:flags`, and one for each name of baggage.

use super::baggage::is_token;
use super::percent::{decode, encode};
use super::{Baggage, Context, Headers, trimmed_str};
use crate::ids::{SpanId, TraceId};
use crate::span::{SAMPLED, SpanContext};

/// How the names of headers with baggage begin.
pub(super) const BAGGAGE: &str = "uberctx-";

pub(super) fn extract(headers: &Headers) -> Option<SpanContext> {
    let header = decode(trimmed_str(headers.only("uber-trace-id")?));
    let mut parts = header.split(':');
    let (trace, span, _parent, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    // Zeros at the beginning of an id may be left out.
    let whole = |id: &str, digits: usize| format!("{:0>digits$}", id.to_ascii_lowercase());
    let flags = u8::from_str_radix(flags, 16).ok()?;
    if parts.next().is_some() {
        return None;
    }
    Some(SpanContext {
        trace_id: TraceId::from_hex(whole(trace, 32).as_bytes())?,
        span_id: SpanId::from_hex(whole(span, 16).as_bytes())?,
        trace_flags: flags & SAMPLED,
        remote: true,
    })
}

pub(super) fn extract_baggage(headers: &Headers, baggage: &mut Baggage) {
    for (name, value) in headers.with_prefix(BAGGAGE) {
        baggage.set(name, &decode(trimmed_str(value)), "");
    }
}

pub(super) fn inject(context: &Context, put: &mut dyn FnMut(&str, &str)) {
    let span = &context.span;
    if span.is_valid() {
        let header =
            format!("{}:{}:0:{:x}", span.trace_id, span.span_id, span.trace_flags & SAMPLED);
        put("uber-trace-id", &header);
    }
    for member in context.baggage.iter().filter(|member| is_token(&member.name)) {
        let mut value = String::new();
        encode(&member.value, |c| c.is_ascii_alphanumeric() || b"-_.~".contains(&c), &mut value);
        put(&format!("{BAGGAGE}{}", member.name), &value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(header: &str) -> Option<String> {
        let mut headers = Headers::default();
        headers.add("Uber-Trace-Id", header);
        let SpanContext { trace_id, span_id, trace_flags, .. } = extract(&headers)?;
        Some(format!("{trace_id} {span_id} {trace_flags}"))
    }

    #[test]
    fn ids_may_be_short() {
        let short = format!("{}abc {}1 1", "0".repeat(29), "0".repeat(15));
        assert_eq!(said("abc:1:0:1").as_ref(), Some(&short));
        assert_eq!(said("ABC%3A1%3A0%3A3").as_ref(), Some(&short));
        for bad in ["", "abc:1:0", "0:1:0:1", "abc:0:0:1", "xyz:1:0:1", "a:1:0:1:2", "a:1:0:g"] {
            assert_eq!(said(bad), None, "{bad}");
        }
    }
}
