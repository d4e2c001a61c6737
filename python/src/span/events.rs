//! Events on spans.

use coati_core::log::encode_fields;
use coati_core::record::value::{Key, Value};

use super::Span;
use crate::exception::Told;
use crate::fields::{Call, Layer};

/// Adds an event with the attributes of a call.
pub fn add_event(span: &Span, name: &str, time: Option<u64>, attributes: &Call<'_>) {
    span.with_core(|core| {
        if let Some(body) = core.body() {
            body.add_event(name, time, |encoder, limit| match attributes {
                Call::Simple(fields) => encode_fields(encoder, fields, limit),
                Call::Converted(layer) => layer.encode(encoder, limit),
            });
        }
    });
}

/// Adds the event of an exception.
pub fn record(span: &Span, told: Told, more: &[&Layer]) {
    record_at(span, told, None, None, more);
}

/// The same at a time of its own, with a word on whether the exception left the span.
pub fn record_at(
    span: &Span,
    told: Told,
    time: Option<u64>,
    escaped: Option<bool>,
    more: &[&Layer],
) {
    let mut told = told.event();
    if let Some(escaped) = escaped {
        let escaped = if escaped { "True" } else { "False" };
        told.push(|encoder| encoder.field((Key::new("exception.escaped"), Value::Str(escaped))));
    }
    let layer = more.iter().fold(told, |below, layer| layer.over(&below));
    add_event(span, "exception", time, &Call::Converted(&layer));
}

impl Told {
    /// The attributes of an event: ordinary keys, unlike those of a log line.
    fn event(self) -> Layer {
        let Self { kind, message, stacktrace } = self;
        let mut layer = Layer::default();
        for (key, value) in [
            ("exception.type", &*kind),
            ("exception.message", &*message),
            ("exception.stacktrace", &*stacktrace),
        ] {
            layer.push(|encoder| encoder.field((Key::new(key), Value::Str(value))));
        }
        layer
    }
}
