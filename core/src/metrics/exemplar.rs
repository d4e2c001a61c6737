//! Single values that stand for many, with the span in which they were recorded.

use crate::record::SpanIds;

/// A value as it was recorded, and inside which span.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Exemplar {
    /// The value: what was recorded, or added to a sum.
    pub value: f64,
    /// When, in nanoseconds since the epoch.
    pub time: u64,
    /// The span, unless there was none.
    pub span: Option<SpanIds>,
}
