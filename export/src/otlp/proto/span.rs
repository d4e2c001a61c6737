//! Spans.

use coati_core::record::{SpanFixed, flags};
use coati_core::span::Status;

use super::value::{Keys, attribute};
use crate::encode::Clock;
use crate::encode::json::span_times;
use crate::redact::{RedactedSpan, Value};
use crate::wire;

/// The attribute of a span that was ended by the garbage collector.
pub const ABANDONED: &str = "coati.abandoned";

const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// `Link.flags`: the same of the span linked to.
pub fn link_flags(flags: u32) -> u32 {
    flags & 0xff | HAS_IS_REMOTE | if flags & 0x100 != 0 { IS_REMOTE } else { 0 }
}

/// `Span.flags`: W3C trace flags, and whether the parent is remote, which is known of every span.
pub fn span_flags(fixed: &SpanFixed) -> u32 {
    let remote = fixed.header.flags & flags::REMOTE_PARENT != 0;
    u32::from(fixed.trace_flags) | HAS_IS_REMOTE | if remote { IS_REMOTE } else { 0 }
}

impl Keys {
    /// Appends `span` as an element of `ScopeSpans.spans`.
    pub fn span(
        &mut self,
        span: &RedactedSpan<'_>,
        ticks: u64,
        clock: &Clock<'_>,
        out: &mut Vec<u8>,
    ) {
        wire::message(0x12, out, |out| {
            let fixed = span.fixed();
            let times = span_times(span, ticks, clock);
            // trace_id and span_id in one piece.
            let mut ids = [0; 28];
            ids[..2].copy_from_slice(&[0x0a, 16]);
            ids[2..18].copy_from_slice(&fixed.ids.trace_id.0);
            ids[18..20].copy_from_slice(&[0x12, 8]);
            ids[20..].copy_from_slice(&fixed.ids.span_id.0);
            out.extend_from_slice(&ids);
            if !span.state().is_empty() {
                wire::bytes(0x1a, span.state().as_bytes(), out);
            }
            if fixed.parent.is_valid() {
                let mut parent = [0x22, 8, 0, 0, 0, 0, 0, 0, 0, 0];
                parent[2..].copy_from_slice(&fixed.parent.0);
                out.extend_from_slice(&parent);
            }
            wire::bytes(0x2a, span.name().as_bytes(), out);
            // kind, start and end in one piece; 0 is an unspecified kind.
            let mut middle = [0; 20];
            middle[..3].copy_from_slice(&[0x30, fixed.span_kind.min(4) + 1, 0x39]);
            middle[3..11].copy_from_slice(&times.start.to_le_bytes());
            middle[11] = 0x41;
            middle[12..].copy_from_slice(&times.end.to_le_bytes());
            out.extend_from_slice(&middle);
            self.attributes(0x4a, span.attributes(), true, out);
            if fixed.header.flags & flags::ABANDONED != 0 {
                attribute(0x4a, ABANDONED, Value::Bool(true), out);
            }
            wire::number(0x50, fixed.dropped_attributes.into(), out);
            if fixed.events > 0 {
                self.events(span, clock, out);
            }
            wire::number(0x60, fixed.dropped_events.into(), out);
            if fixed.links > 0 {
                self.links(span, out);
            }
            wire::number(0x70, fixed.dropped_links.into(), out);
            status(span, out);
            let mut end = [0x85, 1, 0, 0, 0, 0];
            end[2..].copy_from_slice(&span_flags(fixed).to_le_bytes());
            out.extend_from_slice(&end);
        });
    }

    fn events(&mut self, span: &RedactedSpan<'_>, clock: &Clock<'_>, out: &mut Vec<u8>) {
        for event in span.events() {
            wire::message(0x5a, out, |out| {
                wire::fixed64(0x09, clock.wall_ns(event.time), out);
                wire::bytes(0x12, event.name.as_bytes(), out);
                self.attributes(0x1a, event.attributes, false, out);
                wire::number(0x20, event.dropped_attributes.into(), out);
            });
        }
    }

    fn links(&mut self, span: &RedactedSpan<'_>, out: &mut Vec<u8>) {
        for link in span.links() {
            wire::message(0x6a, out, |out| {
                wire::bytes(0x0a, &link.ids.trace_id.0, out);
                wire::bytes(0x12, &link.ids.span_id.0, out);
                if !link.state.is_empty() {
                    wire::bytes(0x1a, link.state.as_bytes(), out);
                }
                self.attributes(0x22, link.attributes, false, out);
                out.push(0x35);
                out.extend_from_slice(&link_flags(link.flags).to_le_bytes());
            });
        }
    }
}

/// Every span has one, as from the official kits.
fn status(span: &RedactedSpan<'_>, out: &mut Vec<u8>) {
    let status = Status::from_u8(span.fixed().status);
    if status == Status::Unset && span.description().is_empty() {
        return out.extend_from_slice(&[0x7a, 0]);
    }
    wire::message(0x7a, out, |out| {
        if !span.description().is_empty() {
            wire::bytes(0x12, span.description().as_bytes(), out);
        }
        wire::number(0x18, status as u64, out);
    });
}
