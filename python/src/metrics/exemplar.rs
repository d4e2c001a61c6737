//! The span around a measurement.

use coati_core::instrument::Bound;
use coati_core::live::exemplars_wanted;
use coati_core::metrics::{Number, Series};
use coati_core::record::SpanIds;
use coati_core::span::SpanContext;

use super::instrument::Amount;
use crate::current::Current;
use crate::hub::hub;

/// Whether a measurement made now is offered as an exemplar, and of which span.
#[derive(Clone, Copy)]
pub struct Around(Option<Option<SpanIds>>);

impl Around {
    /// What is around the caller. The context is looked at only while some sampled span is open.
    #[inline(always)]
    pub fn now() -> Self {
        if exemplars_wanted() { Self::look() } else { Self(None) }
    }

    #[cold]
    #[inline(never)]
    fn look() -> Self {
        let current = Current::get();
        Self::of(current.node().map(|node| &node.context))
    }

    /// What a caller says is around it.
    pub fn of(span: Option<&SpanContext>) -> Self {
        Self(hub().takes_exemplar(span).then(|| span.and_then(|span| span.ids())))
    }

    /// [`Around::offer`] to the series of a handle.
    #[inline(always)]
    pub fn offer_bound(self, bound: &Bound, amount: Amount) {
        if self.0.is_some()
            && let Some(series) = bound.series()
        {
            self.offer(series, amount);
        }
    }

    /// Offers what was just measured.
    #[inline(always)]
    pub fn offer(self, series: &Series, amount: Amount) {
        if let Some(span) = self.0 {
            let value = match amount {
                Amount::Int(value) => Number::Int(value),
                Amount::Float(value) => Number::Float(value),
            };
            series.offer(value, span);
        }
    }
}
