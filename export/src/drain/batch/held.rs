//! Spans that tail sampling holds: on their way in, and on their way to the sinks.

use std::panic::{AssertUnwindSafe, catch_unwind};

use coati_core::clock::Timeline;
use coati_core::intern;
use coati_core::ledger::{Reason, Signal};
use coati_core::record::flags;
use coati_core::record::read::Record;
use coati_core::scope;
use coati_core::span::Status;

use super::Batch;
use crate::encode::Clock;
use crate::encode::json::span_times;
use crate::redact::{self, Redacted, RedactedSpan};
use crate::tail::{Fate, Policy, Seen, Tail};

impl Batch {
    /// Starts or ends tail sampling, or changes what it does. When it ends, nothing may wait.
    pub fn set_tail(&mut self, policy: Option<Policy>, timeline: &Timeline) {
        let Some(policy) = policy else {
            self.tail = None;
            return;
        };
        let capacity = Tail::capacity(policy.budget_bytes);
        self.pipeline.hold_later(capacity.saturating_sub(self.held_capacity));
        self.held_capacity = self.held_capacity.max(capacity);
        match &mut self.tail {
            Some(tail) => tail.set_policy(policy),
            None => {
                let counters = self.health.tail().clone();
                let tail = Tail::new(policy, counters, timeline.ns_per_tick());
                self.tail = Some(Box::new(tail));
            }
        }
        self.drop_undecided();
    }

    /// Whether a span goes to the sinks at once.
    #[inline(never)]
    pub(super) fn passes_tail(
        &mut self,
        record: Record<'_>,
        bytes: &[u8],
        ticks: u64,
        timeline: &Timeline,
    ) -> bool {
        let Redacted::Span(span) = self.redactor.apply(record) else { return true };
        let Some(tail) = &mut self.tail else { return true };
        let fate = take(tail, &span, bytes, ticks, timeline);
        if let Fate::Dropped(reason) = fate {
            self.settle_one(Signal::Spans, reason);
        }
        self.drop_undecided();
        fate == Fate::Pass
    }

    /// Writes into the books what decisions have dropped.
    fn drop_undecided(&mut self) {
        let Some(tail) = &mut self.tail else { return };
        for (reason, spans) in tail.take_dropped() {
            self.pipeline.drained().dropped(Signal::Spans, reason).add(spans);
            self.pipeline.drained().taken(Signal::Spans).add(spans);
        }
    }

    /// Decides on traces whose time has come at `now`.
    pub fn advance(&mut self, now: u64) {
        if let Some(tail) = &mut self.tail {
            tail.advance(now);
            self.drop_undecided();
        }
    }

    /// Decides on all traces that wait.
    pub fn decide_all(&mut self) {
        if let Some(tail) = &mut self.tail {
            tail.decide_all();
            self.drop_undecided();
        }
    }

    /// Whether spans of kept traces are on their way.
    pub fn has_kept(&self) -> bool {
        self.tail.as_ref().is_some_and(|tail| tail.has_next())
    }

    /// Routes the spans of kept traces, at most until the batch has so many records or bytes.
    pub fn release(&mut self, records: u64, bytes: usize, timeline: &Timeline) {
        let mut span = std::mem::take(&mut self.span);
        while self.records < records && self.bytes < bytes {
            let Some(tail) = &mut self.tail else { break };
            let Some(ticks) = tail.next(&mut span) else { break };
            let routed = catch_unwind(AssertUnwindSafe(|| {
                let words: &[u8] = bytemuck::cast_slice(&span);
                self.bytes += words.len();
                match Record::parse(words) {
                    Some(record) => self.route(record, ticks, timeline),
                    None => self.settle_one(Signal::Spans, Reason::Internal),
                }
            }));
            if routed.is_err() {
                self.health.restarted();
                self.settle_one(Signal::Spans, Reason::Internal);
            }
        }
        self.span = span;
    }
}

fn take(
    tail: &mut Tail,
    span: &RedactedSpan<'_>,
    bytes: &[u8],
    ticks: u64,
    timeline: &Timeline,
) -> Fate {
    let fixed = span.fixed();
    let remote = fixed.header.flags & flags::REMOTE_PARENT != 0;
    let seen = Seen {
        trace_id: fixed.ids.trace_id,
        is_local_root: remote || !fixed.parent.is_valid(),
        is_error: fixed.status == Status::Error as u8,
        duration_ns: span_times(span, ticks, &Clock { timeline }).duration,
        name: span.name(),
        tracer: intern::text(scope::name(fixed.tracer)).unwrap_or_default(),
        attribute: &|name| span.attributes().plain(name),
    };
    tail.take(&seen, ticks, |out| redact::keep(span, bytes, out))
}
