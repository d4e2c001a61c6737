//! Log records.

use coati_core::intern::{self, Id, reserved};
use coati_core::record::{Level, flags};

use super::value::{Keys, any, attribute, string, string_len};
use crate::encode::Clock;
use crate::otlp::severity::severity;
use crate::redact::{RedactedLog, Value};
use crate::wire;

impl Keys {
    /// Appends `log` as an element of `ScopeLogs.log_records`.
    pub fn log(&mut self, log: &RedactedLog<'_>, ticks: u64, clock: &Clock<'_>, out: &mut Vec<u8>) {
        // What is encoded is shorter than what was recorded, but for keys.
        if log.fixed().header.size < 128 {
            wire::short_message(0x12, out, |out| self.log_inside(log, ticks, clock, out));
        } else {
            wire::message(0x12, out, |out| self.log_inside(log, ticks, clock, out));
        }
    }

    #[inline(always)]
    fn log_inside(
        &mut self,
        log: &RedactedLog<'_>,
        ticks: u64,
        clock: &Clock<'_>,
        out: &mut Vec<u8>,
    ) {
        let fixed = log.fixed();
        let mut time = clock.timeline.wall_ns(ticks);
        let (mut number, mut text) = severity(Level::from_u8(fixed.header.level));
        let (mut observed, mut event) = (time, None);
        if let Some(details) = log.details() {
            (time, observed) = details.times(time);
            (number, text) = details.severity(number, text);
            event = details.event;
        }
        // Both times and the number in one piece.
        let mut begin = [0; 20];
        begin[0] = 0x09;
        begin[1..9].copy_from_slice(&time.to_le_bytes());
        begin[9] = 0x59;
        begin[10..18].copy_from_slice(&observed.to_le_bytes());
        begin[18..].copy_from_slice(&[0x10, number]);
        out.extend_from_slice(&begin);
        wire::bytes(0x1a, text.as_bytes(), out);
        match log.body() {
            Some(body) => wire::message(0x2a, out, |out| any(body, out)),
            None => {
                let len = string_len(log.message(), fixed.message_cut);
                wire::head(0x2a, len, out);
                string(log.message(), fixed.message_cut, out);
            }
        }
        let unique = fixed.header.flags & flags::LAYERED == 0;
        self.attributes(0x32, log.fields(), unique, out);
        if let Some(site) = log.call_site() {
            let file = intern::text(Id(site.file)).unwrap_or("?");
            attribute(0x32, "code.file.path", Value::Str(file, 0), out);
            attribute(0x32, "code.line.number", Value::I64(site.line.into()), out);
        }
        wire::number(0x38, fixed.dropped_fields.into(), out);
        if fixed.logger == reserved::OPEN_SPANS.0 {
            event = Some(log.message());
        }
        if let Some(event) = event {
            wire::bytes(0x62, event.as_bytes(), out);
        }
        if let Some(ids) = log.span() {
            let mut bytes = [0; 28];
            bytes[..2].copy_from_slice(&[0x4a, 16]);
            bytes[2..18].copy_from_slice(&ids.trace_id.0);
            bytes[18..20].copy_from_slice(&[0x52, 8]);
            bytes[20..].copy_from_slice(&ids.span_id.0);
            out.extend_from_slice(&bytes);
            if log.trace_flags() != 0 {
                out.extend_from_slice(&[0x45, log.trace_flags(), 0, 0, 0]);
            }
        }
    }
}
