//! Log records.

use coati_core::intern::{self, Id, reserved};
use coati_core::record::{Level, flags};

use super::value::{Member, any, attribute, elements};
use crate::encode::Clock;
use crate::otlp::severity::severity;
use crate::redact::{RedactedLog, Value};

/// Appends `log` as an element of `scopeLogs.logRecords`.
pub fn log(log: &RedactedLog<'_>, ticks: u64, clock: &Clock<'_>, out: &mut Vec<u8>) {
    let fixed = log.fixed();
    let mut time = clock.timeline.wall_ns(ticks);
    let (mut number, mut text) = severity(Level::from_u8(fixed.header.level));
    let (mut observed, mut event) = (time, None);
    if let Some(details) = log.details() {
        (time, observed) = details.times(time);
        (number, text) = details.severity(number, text);
        event = details.event;
    }
    out.push(b'{');
    out.wide("timeUnixNano", time);
    out.wide("observedTimeUnixNano", observed);
    out.number("severityNumber", number.into());
    out.text("severityText", text);
    out.name("body");
    any(log.body().unwrap_or(Value::Str(log.message(), fixed.message_cut)), out);
    let fields = log.fields();
    if fields.left() > 0 || log.call_site().is_some() {
        out.name("attributes");
        out.push(b'[');
        elements(fields, fixed.header.flags & flags::LAYERED == 0, out);
        if let Some(site) = log.call_site() {
            let file = intern::text(Id(site.file)).unwrap_or("?");
            attribute("code.file.path", Value::Str(file, 0), out);
            attribute("code.line.number", Value::I64(site.line.into()), out);
        }
        out.push(b']');
    }
    if fixed.dropped_fields > 0 {
        out.number("droppedAttributesCount", fixed.dropped_fields.into());
    }
    if fixed.logger == reserved::OPEN_SPANS.0 {
        event = Some(log.message());
    }
    if let Some(event) = event {
        out.text("eventName", event);
    }
    if let Some(ids) = log.span() {
        out.raw("traceId", &ids.trace_id.hex());
        out.raw("spanId", &ids.span_id.hex());
        if log.trace_flags() != 0 {
            out.number("flags", log.trace_flags().into());
        }
    }
    out.extend_from_slice(b"},");
}
