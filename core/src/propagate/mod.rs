//! What crosses process boundaries, as the headers that carry it. Pure: headers in, a context out,
//! and the other way round.

mod b3;
pub mod baggage;
mod formats;
mod headers;
mod jaeger;
mod percent;
pub mod traceparent;
pub mod tracestate;

pub use baggage::Baggage;
pub use formats::{Format, Formats};
pub use headers::{Headers, normal};
pub use tracestate::TraceState;

use crate::span::SpanContext;

/// What headers say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// The span on the other side; without ids where there is none.
    pub span: SpanContext,
    /// What the vendors of that trace have to say.
    pub state: Option<TraceState>,
    /// What the program passes on.
    pub baggage: Baggage,
}

/// `text` without the white space that HTTP allows around a value: spaces and tabs.
#[inline(always)]
fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// As [`trimmed`], of a text.
fn trimmed_str(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}
