//! Tail sampling: whether a trace is kept is decided when it is known how it went.
//!
//! A stage of the drain between redaction and the sinks. Spans of a trace that is undecided wait
//! here, redacted; a decision sends them on in their order or drops them, and spans that come later
//! follow it. An error or a slow span decides at once, all else is decided some time after the
//! local root's end. Time is that of the records, so that what is decided does not depend on when
//! the drain comes to it.

mod arena;
mod counters;
mod decided;
mod order;
mod policy;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use coati_core::ids::TraceId;
use coati_core::ledger::Reason;
use coati_core::record::SpanFixed;
use coati_core::span::sampler::Share;

use arena::{Arena, Chain};
pub use counters::{Counters, When, Why};
use decided::{ById, Decided, Dropped, Verdict};
use order::{Link, Order};
pub use policy::{Policy, Seen, Slow};

/// What becomes of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It goes to the sinks now.
    Pass,
    /// It waits, or goes with those that [`Tail::next`] gives.
    Held,
    /// Its trace is dropped.
    Dropped(Reason),
}

/// Traces that wait and what was decided on others.
pub struct Tail {
    policy: Policy,
    counters: Arc<Counters>,
    ticks_per_ns: f64,
    arena: Arena,
    traces: ById<u32>,
    slots: Vec<Trace>,
    free: Vec<u32>,
    /// All by their first span.
    oldest: Order,
    /// Those whose local root has not ended, by their last span.
    idle: Order,
    /// The others, by its end.
    ended: Order,
    decided: Decided,
    /// Spans and bytes that wait for a decision.
    spans: u64,
    bytes: usize,
    /// Kept traces on their way to the sinks.
    outbox: VecDeque<Chain>,
    /// Spans dropped since they were last asked for.
    dropped: [(Reason, u64); 2],
    scratch: Vec<u64>,
}

#[derive(Debug)]
struct Trace {
    id: TraceId,
    chain: Chain,
    /// The first rule that one of its spans fits; with what it was worth then.
    rule: Option<(usize, Share)>,
    has_ended: bool,
    /// Of its last span or its local root's end.
    ticks: u64,
    by_age: Link,
    by_time: Link,
}

/// Bytes that a waiting trace costs besides its spans: itself and its place in a table.
const TRACE_BYTES: usize = size_of::<Trace>() + 48;

/// The part of the budget that remembers decisions.
fn memory_of_decisions(budget: usize) -> usize {
    budget / 16
}

impl Tail {
    /// A stage that holds nothing yet.
    pub fn new(policy: Policy, counters: Arc<Counters>, ns_per_tick: f64) -> Self {
        counters.switch_on();
        let decided = Decided::within(memory_of_decisions(policy.budget_bytes));
        let tail = Self {
            policy,
            counters,
            ticks_per_ns: 1.0 / ns_per_tick,
            arena: Arena::default(),
            traces: ById::default(),
            slots: Vec::new(),
            free: Vec::new(),
            oldest: Order::default(),
            idle: Order::default(),
            ended: Order::default(),
            decided,
            spans: 0,
            bytes: 0,
            outbox: VecDeque::new(),
            dropped: [(Reason::TailSampled, 0), (Reason::TailBudget, 0)],
            scratch: Vec::new(),
        };
        tail.show();
        tail
    }

    /// How many spans can wait within `budget` bytes.
    pub fn capacity(budget: usize) -> u64 {
        (budget / (size_of::<SpanFixed>() + 8)) as u64
    }

    /// Takes up another policy. What waits is judged by it from now on.
    pub fn set_policy(&mut self, policy: Policy) {
        self.decided.resize(memory_of_decisions(policy.budget_bytes));
        self.policy = policy;
        self.make_room();
        self.show();
    }

    fn ticks(&self, time: Duration) -> u64 {
        (time.as_nanos() as f64 * self.ticks_per_ns) as u64
    }

    /// Decides what is due at `now`.
    pub fn advance(&mut self, now: u64) {
        self.decide_due(now);
        self.show();
    }

    fn decide_due(&mut self, now: u64) {
        let (grace, silence) =
            (self.ticks(self.policy.grace), self.ticks(self.policy.decide_after));
        let is_due = |tail: &Self, slot: u32, wait: u64| {
            now.saturating_sub(tail.slots[slot as usize].ticks) >= wait
        };
        while let Some(slot) = self.ended.first().filter(|&slot| is_due(self, slot, grace)) {
            self.decide(slot, When::RootEnd);
        }
        while let Some(slot) = self.idle.first().filter(|&slot| is_due(self, slot, silence)) {
            self.decide(slot, When::TimeOut);
        }
    }

    /// Takes a span that ended at `ticks`; `write` gives it, redacted, if it has to wait.
    pub fn take(
        &mut self,
        seen: &Seen<'_>,
        ticks: u64,
        mut write: impl FnMut(&mut Vec<u64>),
    ) -> Fate {
        self.decide_due(ticks);
        let why = if self.policy.errors && seen.is_error {
            Some(Why::Error)
        } else if self.policy.slow.is_slow(seen.name, seen.duration_ns) {
            Some(Why::Slow)
        } else {
            None
        };
        let fate = match self.traces.get(&seen.trace_id) {
            Some(&slot) => self.take_more(slot, seen, ticks, why, &mut write),
            None => match self.decided.get(seen.trace_id) {
                Some(verdict) => self.follow(seen, verdict, why),
                None => self.take_first(seen, ticks, why, &mut write),
            },
        };
        self.show();
        if fate == Fate::Pass && self.has_next() {
            // Its trace may just have been decided: it goes behind what waited.
            write(&mut self.scratch);
            let mut alone = Chain::default();
            self.arena.append(&mut alone, ticks, &self.scratch);
            self.outbox.push_back(alone);
            return Fate::Held;
        }
        fate
    }

    /// A span whose trace is decided.
    fn follow(&mut self, seen: &Seen<'_>, verdict: Verdict, why: Option<Why>) -> Fate {
        let dropped = match verdict {
            Verdict::Kept => {
                self.counters.late(true);
                return Fate::Pass;
            }
            Verdict::Dropped(dropped) => dropped,
        };
        if dropped.open && why.is_some() {
            // Spans end before those around them: what is above this one is still to come.
            self.decided.set(seen.trace_id, Verdict::Kept);
            self.counters.revive();
            self.counters.late(true);
            return Fate::Pass;
        }
        if dropped.open && seen.is_local_root {
            let ended = Dropped { open: false, ..dropped };
            self.decided.set(seen.trace_id, Verdict::Dropped(ended));
        }
        self.counters.late(false);
        Fate::Dropped(reason(dropped))
    }

    /// The first span of a trace.
    fn take_first(
        &mut self,
        seen: &Seen<'_>,
        ticks: u64,
        why: Option<Why>,
        write: &mut dyn FnMut(&mut Vec<u64>),
    ) -> Fate {
        if why.is_some() {
            self.counters.decide(why, When::AtOnce);
            self.decided.set(seen.trace_id, Verdict::Kept);
            return Fate::Pass;
        }
        let trace = Trace {
            id: seen.trace_id,
            chain: Chain::default(),
            rule: None,
            has_ended: false,
            ticks,
            by_age: Link::default(),
            by_time: Link::default(),
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = trace;
                slot
            }
            None => {
                self.slots.push(trace);
                (self.slots.len() - 1) as u32
            }
        };
        self.traces.insert(seen.trace_id, slot);
        self.bytes += TRACE_BYTES;
        self.oldest.push(&mut self.slots, slot, |trace| &mut trace.by_age);
        self.idle.push(&mut self.slots, slot, |trace| &mut trace.by_time);
        self.take_more(slot, seen, ticks, None, write)
    }

    /// A span of a trace that waits.
    fn take_more(
        &mut self,
        slot: u32,
        seen: &Seen<'_>,
        ticks: u64,
        why: Option<Why>,
        write: &mut dyn FnMut(&mut Vec<u64>),
    ) -> Fate {
        write(&mut self.scratch);
        let trace = &mut self.slots[slot as usize];
        let before = trace.chain.bytes();
        self.arena.append(&mut trace.chain, ticks, &self.scratch);
        self.bytes += trace.chain.bytes() - before;
        self.spans += 1;
        if !trace.has_ended {
            trace.ticks = ticks;
            self.idle.remove(&mut self.slots, slot, |trace| &mut trace.by_time);
            let order = if seen.is_local_root { &mut self.ended } else { &mut self.idle };
            order.push(&mut self.slots, slot, |trace| &mut trace.by_time);
            self.slots[slot as usize].has_ended = seen.is_local_root;
        }
        if why.is_some() {
            self.settle(slot, why, When::AtOnce);
            return Fate::Held;
        }
        let trace = &mut self.slots[slot as usize];
        let before = trace.rule.map_or(usize::MAX, |(index, _)| index);
        if let Some(index) = self.policy.rule(seen, before) {
            trace.rule = Some((index, self.policy.rules[index].1));
        }
        self.make_room();
        Fate::Held
    }

    /// Decides as many traces as it takes to be within the budget: first those that only wait for
    /// late children, then the oldest.
    fn make_room(&mut self) {
        let budget = self.policy.budget_bytes - memory_of_decisions(self.policy.budget_bytes);
        while self.bytes > budget {
            let Some(slot) = self.ended.first().or(self.oldest.first()) else { return };
            self.decide(slot, When::Budget);
        }
    }

    /// Decides everything that waits.
    pub fn decide_all(&mut self) {
        while let Some(slot) = self.oldest.first() {
            self.decide(slot, When::Forced);
        }
        self.show();
    }

    /// Decides by what is known.
    fn decide(&mut self, slot: u32, when: When) {
        let trace = &self.slots[slot as usize];
        let (share, why) = match trace.rule {
            Some((_, share)) => (share, Why::Rule),
            None => (self.policy.keep, Why::Share),
        };
        let kept = share.has_apart(trace.id).then_some(why);
        self.settle(slot, kept, when);
    }

    fn settle(&mut self, slot: u32, kept: Option<Why>, when: When) {
        let trace = &mut self.slots[slot as usize];
        let (id, has_ended) = (trace.id, trace.has_ended);
        let mut chain = std::mem::take(&mut trace.chain);
        self.oldest.remove(&mut self.slots, slot, |trace| &mut trace.by_age);
        let order = if has_ended { &mut self.ended } else { &mut self.idle };
        order.remove(&mut self.slots, slot, |trace| &mut trace.by_time);
        self.traces.remove(&id);
        self.free.push(slot);
        self.bytes -= TRACE_BYTES + chain.bytes();
        self.spans -= chain.records();
        self.counters.decide(kept, when);
        if kept.is_some() {
            self.decided.set(id, Verdict::Kept);
            self.outbox.push_back(chain);
            return;
        }
        let dropped = Dropped { open: !has_ended, for_room: when == When::Budget };
        self.decided.set(id, Verdict::Dropped(dropped));
        self.dropped[usize::from(dropped.for_room)].1 += chain.records();
        self.arena.free(&mut chain);
    }

    /// Whether spans are on their way to the sinks.
    pub fn has_next(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// The next span on its way to the sinks, and its time.
    pub fn next(&mut self, out: &mut Vec<u64>) -> Option<u64> {
        let chain = self.outbox.front_mut()?;
        let ticks = self.arena.pop(chain, out);
        if chain.records() == 0 {
            self.outbox.pop_front();
        }
        ticks
    }

    /// The spans dropped since the last call.
    pub fn take_dropped(&mut self) -> impl Iterator<Item = (Reason, u64)> {
        let none = self.dropped.map(|(reason, _)| (reason, 0));
        std::mem::replace(&mut self.dropped, none).into_iter().filter(|&(_, spans)| spans > 0)
    }

    /// Bytes of memory that it has taken.
    pub fn memory(&self) -> usize {
        self.arena.memory() + self.slots.capacity() * size_of::<Trace>()
    }

    fn show(&self) {
        self.counters.waiting(self.traces.len(), self.spans, self.bytes, self.memory());
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.counters.off();
    }
}

fn reason(dropped: Dropped) -> Reason {
    if dropped.for_room { Reason::TailBudget } else { Reason::TailSampled }
}
