//! Redacted records and metrics to items, in either encoding.

use coati_core::metrics::MetricSnapshot;

use super::compose::Encoding;
use super::point::Frame;
use super::proto::{self, Keys};
use super::{json, signal::Signal};
use crate::encode::Clock;
use crate::redact::Redacted;

/// Encodes items. Keeps the keys it has met.
#[derive(Debug)]
pub struct Encoder {
    encoding: Encoding,
    keys: Keys,
}

impl Encoder {
    /// An encoder that has met no key.
    pub fn new(encoding: Encoding) -> Self {
        Self { encoding, keys: Keys::default() }
    }

    /// Appends `record`. `ticks` is when it was recorded.
    #[inline]
    pub fn record(
        &mut self,
        record: &Redacted<'_>,
        ticks: u64,
        clock: &Clock<'_>,
        out: &mut Vec<u8>,
    ) {
        match (record, self.encoding) {
            (Redacted::Span(span), Encoding::Protobuf) => self.keys.span(span, ticks, clock, out),
            (Redacted::Log(log), Encoding::Protobuf) => self.keys.log(log, ticks, clock, out),
            (Redacted::Span(span), Encoding::Json) => json::span(span, ticks, clock, out),
            (Redacted::Log(log), Encoding::Json) => json::log(log, ticks, clock, out),
        }
    }

    /// The attributes of a record's scope.
    pub fn scope(&self, record: &Redacted<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        let Redacted::Span(span) = record else { return out };
        let Some(scope) = span.scope() else { return out };
        match self.encoding {
            Encoding::Protobuf => {
                Keys::default().attributes(0x1a, scope.attributes, true, &mut out)
            }
            Encoding::Json => json::attributes(scope.attributes, true, &mut out),
        }
        out
    }

    /// Appends `metric`; how many points it has.
    pub fn metric(&self, metric: &MetricSnapshot, frame: &Frame, out: &mut Vec<u8>) -> u64 {
        match self.encoding {
            Encoding::Protobuf => proto::metric(metric, frame, out),
            Encoding::Json => json::metric(metric, frame, out),
        }
    }
}

/// The signal of a record and the id of its scope's name, or the word of its tracer.
pub fn place(record: &Redacted<'_>) -> (Signal, u32) {
    match record {
        Redacted::Log(log) => (Signal::Logs, log.fixed().logger),
        Redacted::Span(span) => (Signal::Traces, span.fixed().tracer),
    }
}
