//! Spans.

use coati_core::record::flags;
use coati_core::span::Status;

use super::value::{Member, attribute, attributes, elements};
use crate::encode::Clock;
use crate::encode::json::span_times;
use crate::otlp::proto::{ABANDONED, link_flags, span_flags};
use crate::redact::{RedactedSpan, Value};

/// Appends `span` as an element of `scopeSpans.spans`.
pub fn span(span: &RedactedSpan<'_>, ticks: u64, clock: &Clock<'_>, out: &mut Vec<u8>) {
    let fixed = span.fixed();
    let times = span_times(span, ticks, clock);
    out.push(b'{');
    out.raw("traceId", &fixed.ids.trace_id.hex());
    out.raw("spanId", &fixed.ids.span_id.hex());
    if !span.state().is_empty() {
        out.text("traceState", span.state());
    }
    if fixed.parent.is_valid() {
        out.raw("parentSpanId", &fixed.parent.hex());
    }
    out.text("name", span.name());
    out.number("kind", i64::from(fixed.span_kind.min(4)) + 1);
    out.wide("startTimeUnixNano", times.start);
    out.wide("endTimeUnixNano", times.end);
    let abandoned = fixed.header.flags & flags::ABANDONED != 0;
    if fixed.attributes > 0 || abandoned {
        out.name("attributes");
        out.push(b'[');
        elements(span.attributes(), true, out);
        if abandoned {
            attribute(ABANDONED, Value::Bool(true), out);
        }
        out.push(b']');
    }
    count("droppedAttributesCount", fixed.dropped_attributes, out);
    events(span, clock, out);
    count("droppedEventsCount", fixed.dropped_events, out);
    links(span, out);
    count("droppedLinksCount", fixed.dropped_links, out);
    let status = Status::from_u8(fixed.status);
    out.name("status");
    out.push(b'{');
    if !span.description().is_empty() {
        out.text("message", span.description());
    }
    if status != Status::Unset {
        out.number("code", status as i64);
    }
    out.push(b'}');
    out.number("flags", span_flags(fixed).into());
    out.extend_from_slice(b"},");
}

fn count(name: &str, count: u32, out: &mut Vec<u8>) {
    if count > 0 {
        out.number(name, count.into());
    }
}

fn events(span: &RedactedSpan<'_>, clock: &Clock<'_>, out: &mut Vec<u8>) {
    if span.fixed().events == 0 {
        return;
    }
    out.name("events");
    out.push(b'[');
    for event in span.events() {
        out.next();
        out.push(b'{');
        out.wide("timeUnixNano", clock.wall_ns(event.time));
        out.text("name", event.name);
        attributes(event.attributes, false, out);
        count("droppedAttributesCount", event.dropped_attributes, out);
        out.push(b'}');
    }
    out.push(b']');
}

fn links(span: &RedactedSpan<'_>, out: &mut Vec<u8>) {
    if span.fixed().links == 0 {
        return;
    }
    out.name("links");
    out.push(b'[');
    for link in span.links() {
        out.next();
        out.push(b'{');
        out.raw("traceId", &link.ids.trace_id.hex());
        out.raw("spanId", &link.ids.span_id.hex());
        if !link.state.is_empty() {
            out.text("traceState", link.state);
        }
        attributes(link.attributes, false, out);
        out.number("flags", link_flags(link.flags).into());
        out.push(b'}');
    }
    out.push(b']');
}
