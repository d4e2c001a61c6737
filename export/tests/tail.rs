//! Tail sampling alone: what is decided, when, and in which order spans come out.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use coati_core::ids::TraceId;
use coati_core::ledger::Reason;
use coati_core::record::value::Value;
use coati_core::span::rules::{Matcher, Pattern, Wanted};
use coati_core::span::sampler::Share;
use coati_export::tail::{Counters, Fate, Policy, Seen, Slow, Tail};
use proptest::prelude::*;
use serde_json::json;

/// Ticks are nanoseconds here.
const GRACE: u64 = 1_000;
const SILENCE: u64 = 10_000;
const SLOW: u64 = 500;

fn policy(keep: f64) -> Policy {
    Policy {
        errors: true,
        slow: Slow::new([("default".to_owned(), Duration::from_nanos(SLOW))]),
        rules: Vec::new(),
        keep: Share::of(keep),
        grace: Duration::from_nanos(GRACE),
        decide_after: Duration::from_nanos(SILENCE),
        budget_bytes: 64 << 20,
    }
}

/// A span as far as decisions go.
#[derive(Debug, Clone, Copy)]
struct Span {
    trace: u64,
    ticks: u64,
    root: bool,
    error: bool,
    duration: u64,
    name: &'static str,
    words: usize,
}

impl Span {
    fn of(trace: u64, ticks: u64) -> Self {
        let name = "work";
        Self { trace, ticks, root: false, error: false, duration: 1, name, words: 20 }
    }

    fn root(trace: u64, ticks: u64) -> Self {
        Self { root: true, ..Self::of(trace, ticks) }
    }

    fn error(trace: u64, ticks: u64) -> Self {
        Self { error: true, ..Self::of(trace, ticks) }
    }
}

fn id(trace: u64) -> TraceId {
    TraceId((0xabcu128 << 64 | u128::from(trace)).to_be_bytes())
}

/// Whether this share has the trace: its id scattered over the range of ids.
fn has(keep: f64, trace: u64) -> bool {
    trace.wrapping_mul(0x9e37_79b9_7f4a_7c15) < (keep * 2f64.powi(64)) as u64 || keep == 1.0
}

/// A stage and what has come out of it: trace and number of each span.
struct Stage {
    tail: Tail,
    counters: Arc<Counters>,
    taken: u64,
    out: Vec<(u64, u64)>,
    dropped: BTreeMap<&'static str, u64>,
}

impl Stage {
    fn new(policy: Policy) -> Self {
        let counters = Arc::<Counters>::default();
        let tail = Tail::new(policy, counters.clone(), 1.0);
        Self { tail, counters, taken: 0, out: Vec::new(), dropped: BTreeMap::new() }
    }

    /// Gives one span in; its number is how many came before.
    fn take(&mut self, span: Span) -> u64 {
        self.take_with(span, &|_| None)
    }

    fn take_with(&mut self, span: Span, attribute: &dyn Fn(&str) -> Option<Value<'static>>) -> u64 {
        let number = self.taken;
        self.taken += 1;
        let seen = Seen {
            trace_id: id(span.trace),
            is_local_root: span.root,
            is_error: span.error,
            duration_ns: span.duration,
            name: span.name,
            tracer: "tail",
            attribute: &|key| attribute(key),
        };
        let fate = self.tail.take(&seen, span.ticks, |out| {
            out.clear();
            out.resize(span.words, 7);
            out[..3].copy_from_slice(&[span.words as u64 * 8, span.trace, number]);
        });
        assert!(fate != Fate::Pass || !self.tail.has_next(), "it would overtake its own trace");
        self.settle();
        match fate {
            Fate::Pass => self.out.push((span.trace, number)),
            Fate::Held => {}
            Fate::Dropped(reason) => *self.dropped.entry(reason.name()).or_default() += 1,
        }
        number
    }

    fn settle(&mut self) {
        let mut span = Vec::new();
        while let Some(ticks) = self.tail.next(&mut span) {
            assert!(ticks > 0 && span.len() * 8 == span[0] as usize);
            assert!(span[3..].iter().all(|&word| word == 7));
            self.out.push((span[1], span[2]));
        }
        for (reason, spans) in self.tail.take_dropped() {
            *self.dropped.entry(reason.name()).or_default() += spans;
        }
    }

    fn advance(&mut self, now: u64) {
        self.tail.advance(now);
        self.settle();
    }

    fn decide_all(&mut self) {
        self.tail.decide_all();
        self.settle();
        self.check_books();
    }

    fn check_books(&self) {
        let dropped: u64 = self.dropped.values().sum();
        let waiting = self.figure("/undecided/spans");
        assert_eq!(self.out.len() as u64 + dropped + waiting, self.taken);
    }

    fn figure(&self, path: &str) -> u64 {
        self.counters.report().unwrap().pointer(path).unwrap().as_u64().unwrap()
    }

    fn dropped(&self, reason: Reason) -> u64 {
        self.dropped.get(reason.name()).copied().unwrap_or(0)
    }

    fn numbers(&self, trace: u64) -> Vec<u64> {
        self.out.iter().filter(|(of, _)| *of == trace).map(|&(_, number)| number).collect()
    }
}

#[test]
fn an_error_releases_what_came_before_in_order_and_the_rest_passes() {
    let mut stage = Stage::new(policy(0.0));
    for ticks in 1..=3 {
        stage.take(Span::of(1, ticks));
        stage.take(Span::of(2, ticks));
    }
    assert!(stage.out.is_empty());
    stage.take(Span::error(1, 4));
    assert_eq!(stage.out, [(1, 0), (1, 2), (1, 4), (1, 6)]);
    stage.take(Span::root(1, 5));
    stage.take(Span::of(1, 5 + GRACE * 100));
    assert_eq!(stage.numbers(1), [0, 2, 4, 6, 7, 8]);
    stage.decide_all();
    assert_eq!(stage.numbers(2), [0u64; 0]);
    assert_eq!(stage.dropped(Reason::TailSampled), 3);
    let report = stage.counters.report().unwrap();
    assert_eq!(report["kept"], json!({"error": 1, "slow": 0, "rule": 0, "share": 0}));
    assert_eq!(report["late_spans"], json!({"kept": 2, "dropped": 0}));
    assert_eq!(report["undecided"], json!({"traces": 0, "spans": 0, "bytes": 0}));
}

#[test]
fn a_slow_span_keeps_its_trace_by_its_name() {
    let mut policy = policy(0.0);
    let slow = [("llm.*", 5_000), ("default", SLOW)];
    policy.slow = Slow::new(slow.map(|(name, ns)| (name.to_owned(), Duration::from_nanos(ns))));
    let mut stage = Stage::new(policy);
    stage.take(Span { name: "llm.chat", duration: 4_999, ..Span::root(1, 1) });
    stage.take(Span { name: "llm.chat", duration: 5_000, ..Span::root(2, 1) });
    stage.take(Span { duration: SLOW - 1, ..Span::root(3, 1) });
    stage.take(Span { duration: SLOW, ..Span::root(4, 1) });
    stage.decide_all();
    assert_eq!(stage.out, [(2, 1), (4, 3)]);
    assert_eq!((stage.figure("/kept/slow"), stage.figure("/dropped")), (2, 2));
}

#[test]
fn a_trace_waits_for_late_spans_after_its_root() {
    let mut stage = Stage::new(policy(0.0));
    stage.take(Span::root(1, 100));
    stage.take(Span::root(2, 100));
    // Within the grace an error still counts.
    stage.take(Span::error(1, 100 + GRACE - 1));
    assert_eq!(stage.numbers(1), [0, 2]);
    // After it the trace is dropped, and what comes then is, too.
    stage.take(Span::error(2, 100 + GRACE));
    stage.check_books();
    assert_eq!(stage.numbers(2), [0u64; 0]);
    assert_eq!((stage.figure("/decided/root_end"), stage.figure("/decided/at_once")), (1, 1));
    assert_eq!(stage.figure("/late_spans/dropped"), 1);
}

#[test]
fn a_late_span_does_not_overtake_its_trace() {
    let mut stage = Stage::new(policy(1.0));
    stage.take(Span::of(1, 1));
    stage.take(Span::root(1, 2));
    // This one's time is what decides.
    stage.take(Span::of(1, 2 + GRACE));
    stage.take(Span::of(1, 3 + GRACE));
    assert_eq!(stage.numbers(1), [0, 1, 2, 3]);
    stage.decide_all();
}

#[test]
fn a_trace_without_a_root_is_decided_after_silence() {
    let mut stage = Stage::new(policy(0.0));
    stage.take(Span::of(1, 1));
    stage.take(Span::of(2, 1));
    stage.take(Span::of(1, SILENCE));
    stage.advance(SILENCE + 1);
    assert_eq!((stage.figure("/decided/time_out"), stage.figure("/undecided/traces")), (1, 1));
    stage.advance(SILENCE * 2 - 1);
    assert_eq!(stage.figure("/undecided/traces"), 1);
    stage.advance(SILENCE * 2);
    assert_eq!(stage.figure("/undecided/traces"), 0);
    assert_eq!(stage.dropped(Reason::TailSampled), 3);
    // Its root is still open: an error brings back what is to come, the error's parents with it.
    stage.take(Span::of(1, SILENCE * 2 + 1));
    stage.take(Span::error(1, SILENCE * 2 + 2));
    stage.take(Span::root(1, SILENCE * 2 + 3));
    assert_eq!(stage.numbers(1), [4, 5]);
    // But not once the root is gone.
    stage.take(Span::root(2, SILENCE * 2 + 4));
    stage.take(Span::error(2, SILENCE * 2 + 5));
    assert_eq!(stage.numbers(2), [0u64; 0]);
    assert_eq!(stage.figure("/revived"), 1);
    stage.check_books();
}

#[test]
fn the_first_rule_that_any_span_fits_decides_the_share() {
    let rule = |name: &str, wanted: Option<f64>, keep| {
        let attributes = wanted.map(|wanted| ("n".to_owned(), Wanted::Number(wanted)));
        let attributes = attributes.into_iter().collect();
        let name = Pattern::new(name);
        (Matcher { name, attributes, ..Matcher::default() }, Share::of(keep))
    };
    let mut policy = policy(1.0);
    policy.rules = vec![
        rule("checkout", Some(1.0), 1.0),
        rule("health*", None, 0.0),
        rule("checkout", None, 0.0),
    ];
    let mut stage = Stage::new(policy);
    let named = |trace, name, root| Span { name, root, ..Span::of(trace, 1) };
    let one = |key: &str| (key == "n").then_some(Value::I64(1));
    stage.take(named(1, "health/live", true));
    stage.take(named(2, "health/live", false));
    stage.take_with(named(2, "checkout", true), &one);
    stage.take(named(3, "checkout", true));
    stage.take(named(4, "other", true));
    stage.take(named(5, "health", false));
    stage.take(Span::error(5, 1));
    stage.decide_all();
    let mut kept: Vec<u64> = stage.out.iter().map(|&(trace, _)| trace).collect();
    kept.dedup();
    assert_eq!(kept, [5, 2, 4]);
    let report = stage.counters.report().unwrap();
    assert_eq!(report["kept"], json!({"error": 1, "slow": 0, "rule": 1, "share": 1}));
    assert_eq!(report["dropped"], 2);
}

#[test]
fn beyond_the_budget_the_oldest_are_decided_and_memory_stays_within() {
    let budget = 1 << 20;
    let mut stage = Stage::new(Policy { budget_bytes: budget, ..policy(0.0) });
    // Open traces of 10 spans, one after another; every 50th ends with an error.
    let traces = 2_000;
    for trace in 1..=traces {
        for part in 0..10 {
            let error = part == 9 && trace % 50 == 0;
            stage.take(Span { error, words: 40, ..Span::of(trace, trace * 10 + part) });
            assert!(stage.figure("/undecided/bytes") <= budget as u64);
        }
    }
    // Errors that came while their trace fitted are whole.
    for trace in (50..=traces).step_by(50) {
        assert_eq!(stage.numbers(trace).len(), 10, "trace {trace}");
    }
    let early = stage.figure("/decided/budget");
    assert!(early > 0 && early < traces);
    assert_eq!(stage.dropped(Reason::TailBudget), early * 10);
    assert_eq!(stage.dropped(Reason::TailSampled), 0);
    // The oldest went first: the first ones are decided, the last ones wait.
    stage.take(Span::error(1, traces * 10 + 10));
    stage.take(Span::error(traces - 1, traces * 10 + 10));
    assert_eq!(stage.numbers(1).len(), 1, "decided long ago; only the error is left");
    assert_eq!(stage.numbers(traces - 1).len(), 11);
    // A block for each step of the arena at most beyond the budget.
    assert!(stage.counters.memory() <= budget as u64 + (256 << 10), "{}", stage.counters.memory());
    stage.decide_all();
}

#[test]
fn for_room_those_go_first_that_only_wait_for_late_spans() {
    let mut stage = Stage::new(Policy { budget_bytes: 64 << 10, ..policy(0.0) });
    stage.take(Span::of(1, 1));
    let mut trace = 1;
    while stage.figure("/decided/budget") == 0 {
        trace += 1;
        stage.take(Span::root(trace, 2));
    }
    stage.take(Span::error(1, 3));
    assert_eq!(stage.numbers(1).len(), 2, "the open trace still waited");
    stage.decide_all();
}

#[test]
fn a_trace_larger_than_the_budget_passes_or_goes_as_its_id_says() {
    for (keep, all) in [(1.0, true), (0.0, false)] {
        let budget = 256 << 10;
        let mut stage = Stage::new(Policy { budget_bytes: budget, ..policy(keep) });
        for ticks in 1..=5_000 {
            stage.take(Span::of(1, ticks));
            assert!(stage.figure("/undecided/bytes") <= budget as u64);
        }
        assert_eq!(stage.figure("/decided/budget"), 1);
        stage.check_books();
        if all {
            assert_eq!(stage.numbers(1), (0..5_000).collect::<Vec<_>>());
            continue;
        }
        assert_eq!(stage.dropped(Reason::TailBudget), 5_000);
        stage.take(Span::error(1, 5_001));
        stage.take(Span::root(1, 5_002));
        assert_eq!(stage.numbers(1), [5_000, 5_001], "what came after the error");
    }
}

#[test]
fn another_policy_holds_for_what_waits() {
    let mut stage = Stage::new(policy(0.0));
    stage.take(Span::of(1, 1));
    stage.take(Span::of(2, 1));
    stage.tail.set_policy(Policy { errors: false, ..policy(1.0) });
    stage.take(Span::error(1, 2));
    assert!(stage.out.is_empty(), "errors do not count any more");
    stage.take(Span { words: 20_000, ..Span::of(3, 2) });
    stage.tail.set_policy(Policy { budget_bytes: 64 << 10, ..policy(1.0) });
    stage.settle();
    assert_eq!(stage.figure("/decided/budget"), 3, "each is older than the one too large");
    assert_eq!(stage.out.len(), 4);
    stage.check_books();
}

/// What becomes of one trace's spans, worked out alone: time alone connects it with others.
fn oracle(spans: &[(u64, Span)], keep: f64, end: u64) -> (Vec<u64>, &'static str) {
    let shared = has(keep, spans[0].1.trace);
    let (mut waiting, mut out) = (Vec::new(), Vec::new());
    let mut kept: Option<bool> = None;
    let mut why = "dropped";
    let mut root_end: Option<u64> = None;
    let mut last = 0;
    let ends = std::iter::once((u64::MAX, Span::of(0, end)));
    for (number, span) in spans.iter().copied().chain(ends) {
        let wait = |since: u64| span.ticks - since;
        let due = match root_end {
            Some(root_end) => wait(root_end) >= GRACE,
            None => wait(last) >= SILENCE,
        };
        let is_last = number == u64::MAX;
        if kept.is_none() && !waiting.is_empty() && (due || is_last) {
            kept = Some(shared);
            if shared {
                why = "share";
                out.append(&mut waiting);
            }
        }
        if is_last {
            break;
        }
        let bad = span.error || span.duration >= SLOW;
        match kept {
            Some(true) => out.push(number),
            Some(false) if bad && root_end.is_none() => {
                kept = Some(true);
                out.push(number);
            }
            Some(false) => {}
            None => {
                waiting.push(number);
                if bad {
                    why = if span.error { "error" } else { "slow" };
                    kept = Some(true);
                    out.append(&mut waiting);
                }
            }
        }
        last = span.ticks;
        if span.root && root_end.is_none() {
            root_end = Some(span.ticks);
        }
    }
    (out, why)
}

/// Runs the spans, which come in the order of their time, and compares with the oracle.
fn compare(spans: &[Span], keep: f64) {
    let mut stage = Stage::new(policy(keep));
    let mut by_trace: HashMap<u64, Vec<(u64, Span)>> = HashMap::new();
    for &span in spans {
        let number = stage.take(span);
        by_trace.entry(span.trace).or_default().push((number, span));
        stage.check_books();
    }
    let end = spans.last().map_or(0, |span| span.ticks) + 1;
    stage.advance(end);
    stage.decide_all();
    let mut came: HashMap<u64, Vec<u64>> = HashMap::new();
    for &(trace, number) in &stage.out {
        came.entry(trace).or_default().push(number);
    }
    let mut why = BTreeMap::from([("error", 0), ("slow", 0), ("share", 0), ("dropped", 0)]);
    for (trace, spans) in &by_trace {
        let (expected, reason) = oracle(spans, keep, end);
        assert_eq!(came.remove(trace).unwrap_or_default(), expected, "trace {trace}: {spans:?}");
        *why.get_mut(reason).unwrap() += 1;
    }
    for (reason, traces) in why {
        let path = if reason == "dropped" { "/dropped".into() } else { format!("/kept/{reason}") };
        assert_eq!(stage.figure(&path), traces, "{reason}");
    }
    assert_eq!(stage.dropped(Reason::TailBudget), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 200 }))]
    #[test]
    fn traces_in_any_order_fare_as_each_would_alone(
        steps in prop::collection::vec((1..40u64, 0..600u64, 0..10u8, 0..40u8, 3..200usize), 1..400),
        keep in prop_oneof![Just(0.0), Just(1.0), 0.0..1.0f64],
    ) {
        let mut ticks = 1;
        let spans: Vec<Span> = steps
            .into_iter()
            .map(|(trace, pause, kind, bad, words)| {
                ticks += if pause < 590 { pause } else { SILENCE };
                Span {
                    root: kind == 0,
                    error: bad == 0,
                    duration: if bad == 1 { SLOW } else { 1 },
                    words,
                    ..Span::of(trace, ticks)
                }
            })
            .collect();
        compare(&spans, keep);
    }
}

#[test]
#[cfg_attr(miri, ignore = "too many")]
fn ten_thousand_traces_at_once_fare_as_each_would_alone() {
    // A small generator, so that the run is always the same.
    let mut state = 4u64;
    let mut random = |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let traces = 10_000;
    let mut left: Vec<(u64, u64)> = (1..=traces).map(|trace| (trace, 1 + random(8))).collect();
    let mut spans = Vec::new();
    let mut ticks = 1;
    while !left.is_empty() {
        let at = random(left.len() as u64) as usize;
        ticks += random(2);
        let (trace, parts) = &mut left[at];
        *parts -= 1;
        let bad = random(500);
        spans.push(Span {
            root: *parts == 0,
            error: bad == 0,
            duration: if bad == 1 { SLOW } else { 1 },
            ..Span::of(*trace, ticks)
        });
        if *parts == 0 {
            left.swap_remove(at);
        }
    }
    compare(&spans, 0.1);
}
