//! Zipkin's headers: one, `b3: trace-span-sampled-parent`, or several, `X-B3-…`.

use super::{Headers, trimmed_str};
use crate::ids::{SpanId, TraceId};
use crate::span::{SAMPLED, SpanContext};

/// What either form says; the single one first.
pub(super) fn extract(headers: &Headers) -> Option<SpanContext> {
    headers.only("b3").and_then(one).or_else(|| many(headers))
}

fn one(header: &str) -> Option<SpanContext> {
    let mut parts = trimmed_str(header).split('-');
    let (trace, span) = (parts.next()?, parts.next()?);
    let sampled = parts.next().unwrap_or_default();
    parts.next();
    if parts.next().is_some() {
        return None;
    }
    context(trace, span, matches!(sampled, "1" | "d"))
}

fn many(headers: &Headers) -> Option<SpanContext> {
    let part = |name| headers.only(name).map(trimmed_str);
    let says = |name, yes: &[&str]| part(name).is_some_and(|part| yes.contains(&part));
    let sampled = says("x-b3-sampled", &["1", "true", "True"]) || says("x-b3-flags", &["1"]);
    context(part("x-b3-traceid")?, part("x-b3-spanid")?, sampled)
}

/// A trace id may have 16 digits.
fn context(trace: &str, span: &str, sampled: bool) -> Option<SpanContext> {
    let whole = match trace.len() {
        16 => format!("{:0>32}", trace.to_ascii_lowercase()),
        _ => trace.to_ascii_lowercase(),
    };
    Some(SpanContext {
        trace_id: TraceId::from_hex(whole.as_bytes())?,
        span_id: SpanId::from_hex(span.to_ascii_lowercase().as_bytes())?,
        trace_flags: if sampled { SAMPLED } else { 0 },
        remote: true,
    })
}

fn sampled(context: &SpanContext) -> &'static str {
    if context.is_sampled() { "1" } else { "0" }
}

pub(super) fn inject_one(context: &SpanContext, put: &mut dyn FnMut(&str, &str)) {
    if context.is_valid() {
        let header = format!("{}-{}-{}", context.trace_id, context.span_id, sampled(context));
        put("b3", &header);
    }
}

pub(super) fn inject_many(context: &SpanContext, put: &mut dyn FnMut(&str, &str)) {
    if context.is_valid() {
        put("x-b3-traceid", &context.trace_id.to_string());
        put("x-b3-spanid", &context.span_id.to_string());
        put("x-b3-sampled", sampled(context));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn said(pairs: &[(&str, &str)]) -> Option<u8> {
        let mut headers = Headers::default();
        pairs.iter().for_each(|(name, value)| headers.add(name, value));
        extract(&headers).map(|context| context.trace_flags)
    }

    #[test]
    fn one_header_says_it_all() {
        let one = |rest: &str| said(&[("B3", &format!("{TRACE}-{SPAN}{rest}"))]);
        for (rest, flags) in [("", 0), ("-1", 1), ("-d", 1), ("-0", 0), ("-1-b7ad6b7169203330", 1)]
        {
            assert_eq!(one(rest), Some(flags), "{rest}");
        }
        assert_eq!(said(&[("b3", &format!("{}-{SPAN}-1", &TRACE[16..]))]), Some(1));
        assert_eq!(one("-1-2-3"), None);
        assert_eq!(said(&[("b3", "0")]), None);
        assert_eq!(said(&[("b3", &format!("{}-{SPAN}-1", "0".repeat(32)))]), None);
    }

    #[test]
    fn several_headers_say_it_too() {
        let ids = [("X-B3-TraceId", TRACE), ("X_B3_SPANID", SPAN)];
        assert_eq!(said(&ids), Some(0));
        assert_eq!(said(&[ids[0], ids[1], ("x-b3-sampled", "1")]), Some(1));
        assert_eq!(said(&[ids[0], ids[1], ("HTTP_X_B3_FLAGS", "1")]), Some(1));
        assert_eq!(said(&[ids[0]]), None);
        assert_eq!(said(&[ids[0], ids[0], ids[1]]), None);
    }
}
