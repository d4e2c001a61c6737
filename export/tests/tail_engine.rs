//! Tail sampling in a running engine: what arrives, what the books say, and what changes meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use coati_core::hub::Hub;
use coati_core::ids::{SpanId, TraceId};
use coati_core::key;
use coati_core::ledger::Account;
use coati_core::log::Logger;
use coati_core::record::Level;
use coati_core::span::{Span, SpanContext, Start, Status, Tracer};
use coati_export::config::Sources;
use coati_export::{Config, Engine, Options};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

/// An engine with a memory sink. Nothing is decided by time unless a test asks for it.
fn start(tail: Value) -> Arc<Engine> {
    let mut whole = json!({ "grace": 3600, "decide_after": 3600 });
    whole.as_object_mut().unwrap().extend(tail.as_object().unwrap().clone());
    let dict = Some(json!({
        "spans": { "tail": whole, "max_open": 1_000_000 },
        "ring": { "overflow": "block", "block_ms": 60_000 },
        "sinks": [{ "type": "memory", "capacity": 10_000_000 }],
    }));
    let config = Config::load(Sources { dict, ..Sources::default() }).unwrap();
    Engine::start(Hub::new(), config, Options::default()).unwrap()
}

fn tracer(engine: &Engine) -> Tracer {
    Tracer::new(engine.hub().clone(), "tail")
}

fn records(engine: &Engine) -> Vec<Value> {
    engine.memory_records().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Names of the spans that have come since the last call.
fn names(engine: &Engine) -> Vec<String> {
    let spans = records(engine).into_iter().filter(|line| line.get("span").is_some());
    spans.map(|line| line["span"].as_str().unwrap().to_owned()).collect()
}

fn figure(engine: &Engine, path: &str) -> u64 {
    let health = engine.health();
    health["tail_sampling"].pointer(path).and_then(Value::as_u64).unwrap_or(u64::MAX)
}

/// Waits until a figure of tail sampling is so much.
fn wait_for(engine: &Engine, path: &str, wanted: u64) {
    let begun = std::time::Instant::now();
    while figure(engine, path) != wanted {
        assert!(begun.elapsed() < PATIENCE, "{path}: {} is not {wanted}", engine.health());
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn assert_balanced(account: &Account) {
    assert_eq!(account.recorded, account.delivered + account.dropped_total(), "{account:?}");
    assert_eq!(account.in_flight, 0);
}

/// A parent elsewhere, so that the trace has the id we want.
fn caller(trace: u64) -> Option<SpanContext> {
    let trace_id = TraceId((0xc0a7u128 << 64 | u128::from(trace)).to_be_bytes());
    let span_id = SpanId(u64::MAX.to_be_bytes());
    Some(SpanContext { trace_id, span_id, trace_flags: 1, remote: true })
}

fn child(of: &Span) -> Start<'static> {
    child_of(*of.context())
}

fn child_of(parent: SpanContext) -> Start<'static> {
    Start { parent: Some(parent), ..Start::default() }
}

/// 20,000 traces of five spans, many open at once, with errors and slow ones among them: what
/// arrives, and every counter, is what the caller knows.
#[test]
fn what_is_kept_is_what_the_caller_knows() {
    const TRACES: u64 = 20_000;
    const OPEN: usize = 500;
    const KEEP: f64 = 0.1;
    let engine = start(json!({
        "keep": KEEP, "slow": { "default": "2s", "batch": "1h" }, "grace": "100ms",
    }));
    let (tracer, hub) = (tracer(&engine), engine.hub().clone());
    let second = 1_000_000_000;
    let now = 1_700_000_000 * second;
    let mut open: Vec<(u64, Span)> = Vec::new();
    let (mut errors, mut slow, mut shared) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let finish = |(trace, mut root): (u64, Span)| {
        for part in 0..4 {
            let start = Start { start_time: Some(now), ..child(&root) };
            let mut span = tracer.start(["a", "b", "c", "batch"][part], start);
            span.set_attribute((key!("trace"), trace.into()));
            if trace % 100 == 7 && part == 2 {
                span.set_status(Status::Error, "on purpose");
            }
            let took = if trace % 100 == 57 && part == 1 || part == 3 { 2 * second } else { 1000 };
            span.end(&hub, Some(now + took));
        }
        root.end(&hub, Some(now + 5000));
    };
    for trace in 1..=TRACES {
        let start = Start { parent: caller(trace), start_time: Some(now), ..Start::default() };
        let root = tracer.start("root", start);
        // Ids are scattered over their range.
        let scattered = trace.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        match trace % 100 {
            7 => errors.insert(trace),
            57 => slow.insert(trace),
            _ => scattered < (KEEP * 2f64.powi(64)) as u64 && shared.insert(trace),
        };
        open.push((trace, root));
        if open.len() == OPEN {
            // Not in the order in which they began.
            open.drain(..).rev().for_each(finish);
        }
    }
    open.drain(..).for_each(finish);
    assert!(engine.flush(PATIENCE));

    let mut came: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    let mut roots = 0;
    for line in records(&engine) {
        match line["attributes"]["trace"].as_u64() {
            Some(trace) => {
                let name = line["span"].as_str().unwrap().to_owned();
                came.entry(trace).or_default().push(name);
            }
            None => roots += 1,
        }
    }
    let all: BTreeSet<u64> = errors.iter().chain(&slow).chain(&shared).copied().collect();
    assert_eq!(came.keys().copied().collect::<BTreeSet<_>>(), all);
    assert!(came.values().all(|spans| spans == &["a", "b", "c", "batch"]), "whole and in order");
    assert_eq!(roots, all.len());

    let others = TRACES - (errors.len() + slow.len()) as u64;
    let share = shared.len() as f64 / others as f64;
    assert!((share / KEEP - 1.0).abs() < 0.01, "{share} is not within 1 % of {KEEP}");
    let tail = &engine.health()["tail_sampling"];
    let kept = json!({
        "error": errors.len(), "slow": slow.len(), "rule": 0, "share": shared.len(),
    });
    assert_eq!(tail["kept"], kept);
    assert_eq!(tail["dropped"].as_u64(), Some(others - shared.len() as u64));
    let when = |name: &str| tail["decided"][name].as_u64().unwrap();
    assert_eq!(when("at_once"), (errors.len() + slow.len()) as u64);
    assert_eq!(when("root_end") + when("forced"), others);
    assert_eq!((when("budget"), when("time_out"), &tail["revived"]), (0, 0, &json!(0)));
    // Of a trace kept at once the spans behind the one that decided it.
    let late = errors.len() * 2 + slow.len() * 3;
    assert_eq!(tail["late_spans"], json!({ "kept": late, "dropped": 0 }));
    let ledger = engine.shutdown(PATIENCE);
    // All of these traces have begun elsewhere.
    assert_eq!((ledger.roots, ledger.errors), (0, errors.len() as u64));
    let books = ledger.spans;
    assert_balanced(&books);
    assert_eq!((books.recorded, books.delivered), (TRACES * 5, all.len() as u64 * 5));
    assert_eq!(books.dropped.keys().collect::<Vec<_>>(), [&"tail_sampled"]);
}

#[test]
fn what_waits_is_in_flight_and_a_flush_decides_it() {
    let engine = start(json!({ "keep": "never" }));
    let (tracer, hub) = (tracer(&engine), engine.hub().clone());
    let mut root = tracer.start("root", Start::default());
    tracer.start("first", child(&root)).end(&hub, None);
    wait_for(&engine, "/undecided/spans", 1);
    let all = engine.ledger();
    assert_eq!((all.roots, all.errors), (0, 0));
    let books = all.spans;
    assert_eq!((books.recorded, books.delivered, books.dropped_total()), (1, 0, 0));
    assert_eq!((books.in_flight, books.capacity > 1), (1, true));
    assert!(engine.flush(PATIENCE));
    assert_balanced(&engine.ledger().spans);
    assert_eq!(figure(&engine, "/decided/forced"), 1);
    // The trace goes on: what an error is in, and what is above it, arrives.
    tracer.start("second", child(&root)).end(&hub, None);
    let mut failed = tracer.start("failed", child(&root));
    failed.set_status(Status::Error, "");
    failed.end(&hub, None);
    root.end(&hub, None);
    assert!(engine.flush(PATIENCE));
    assert_eq!(names(&engine), ["failed", "root"]);
    assert_eq!((figure(&engine, "/revived"), figure(&engine, "/late_spans/dropped")), (1, 1));
    let all = engine.shutdown(PATIENCE);
    assert_eq!((all.roots, all.errors), (1, 1));
    let books = all.spans;
    assert_eq!((books.recorded, books.delivered, books.dropped["tail_sampled"]), (4, 2, 2));
}

#[test]
fn a_trace_over_many_threads_is_kept_whole() {
    let engine = start(json!({ "keep": "never" }));
    let (tracer, hub) = (tracer(&engine), engine.hub().clone());
    let mut good = tracer.start("good", Start::default());
    let mut bad = tracer.start("bad", Start::default());
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let (tracer, hub) = (&tracer, &hub);
            let (in_good, in_bad) = (*good.context(), *bad.context());
            scope.spawn(move || {
                for part in 0..50 {
                    tracer.start("in good", child_of(in_good)).end(hub, None);
                    let mut span = tracer.start("in bad", child_of(in_bad));
                    if (worker, part) == (3, 49) {
                        span.set_status(Status::Error, "");
                    }
                    span.end(hub, None);
                }
            });
        }
    });
    good.end(&hub, None);
    bad.end(&hub, None);
    assert!(engine.flush(PATIENCE));
    let came = records(&engine);
    assert_eq!(came.len(), 401);
    let ends: Vec<&str> = came.iter().map(|line| line["end"].as_str().unwrap()).collect();
    assert!(ends.is_sorted(), "in the order of their time");
    assert!(came.iter().all(|line| line["span"] == "in bad" || line["span"] == "bad"));
    assert_balanced(&engine.shutdown(PATIENCE).spans);
}

#[test]
fn logs_do_not_wait_and_are_all_there() {
    let engine = start(json!({ "keep": "never" }));
    let hub = engine.hub().clone();
    let mut span = tracer(&engine).start("span", Start::default());
    Logger::new(hub.clone(), "log").log_in(span.context().ids(), Level::Info, "inside", &[]);
    span.end(&hub, None);
    wait_for(&engine, "/undecided/spans", 1);
    let begun = std::time::Instant::now();
    while engine.ledger().logs.delivered < 1 {
        assert!(begun.elapsed() < PATIENCE, "{:?}", engine.ledger());
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(engine.ledger().spans.in_flight, 1);
    assert!(engine.flush(PATIENCE));
    let came = records(&engine);
    assert_eq!((came.len(), &came[0]["message"]), (1, &json!("inside")));
    engine.shutdown(PATIENCE);
}

#[test]
fn what_waits_is_redacted_already() {
    let engine = start(json!({
        "keep": "always",
        "rules": [{ "attributes": { "password": "hunter2" }, "keep": "never" }],
    }));
    let (tracer, hub) = (tracer(&engine), engine.hub().clone());
    engine.configure(&json!({ "redaction": { "enabled": true } })).unwrap();
    let mut span = tracer.start("login", Start::default());
    span.set_attribute((key!("password"), "hunter2".into()));
    span.set_attribute((key!("pin"), 4.into()));
    span.set_attribute((key!("user"), "long enough not to fit into a word".into()));
    span.add_event("tried", &[(key!("api_key"), true.into()), (key!("n"), 0.25.into())]);
    span.add_link(&caller(1).unwrap(), &[(key!("token"), "hunter2".into())]);
    span.set_status(Status::Ok, "");
    span.end(&hub, None);
    wait_for(&engine, "/undecided/spans", 1);
    // The rules in force when it was taken count, and the tail's own rules see no secret.
    engine.configure(&json!({ "redaction": { "enabled": false } })).unwrap();
    assert!(engine.flush(PATIENCE));
    let [line] = &records(&engine)[..] else { panic!("one span") };
    assert_eq!(line["attributes"]["password"], "[REDACTED]");
    assert_eq!(line["attributes"]["pin"], 4);
    assert_eq!(line["attributes"]["user"], "long enough not to fit into a word");
    assert_eq!(line["events"][0]["name"], "tried");
    assert_eq!(line["events"][0]["attributes"], json!({ "api_key": "[REDACTED]", "n": 0.25 }));
    assert_eq!(line["links"][0]["attributes"], json!({ "token": "[REDACTED]" }));
    assert_eq!((&line["status"]["code"], &line["kind"]), (&json!("ok"), &json!("internal")));
    engine.shutdown(PATIENCE);
}

#[test]
fn it_is_switched_on_changed_and_switched_off_while_running() {
    let engine = start(json!({ "keep": "never" }));
    let (tracer, hub) = (tracer(&engine), engine.hub().clone());
    let root = |name: &str| tracer.start(name, Start::default()).end(&hub, None);
    root("dropped");
    wait_for(&engine, "/undecided/traces", 1);
    let tail = |tail: Value| engine.configure(&json!({ "spans": { "tail": tail } })).unwrap();
    tail(json!({ "keep": "always", "grace": 3600 }));
    root("kept");
    assert!(engine.flush(PATIENCE));
    assert_eq!(names(&engine), ["dropped", "kept"], "the policy at the decision counts");
    tail(json!({ "keep": "never", "grace": 3600 }));
    // Before the next change, the drain has taken this one up.
    assert!(engine.flush(PATIENCE));
    root("waits");
    wait_for(&engine, "/undecided/traces", 1);
    tail(Value::Null);
    root("passes");
    assert!(engine.flush(PATIENCE));
    assert_eq!(names(&engine), ["passes"]);
    assert_eq!(figure(&engine, "/decided/forced"), 3);
    tail(json!({ "keep": "never" }));
    root("dropped");
    let books = engine.shutdown(PATIENCE).spans;
    assert_balanced(&books);
    assert_eq!((books.delivered, books.dropped["tail_sampled"]), (3, 2));
}

#[test]
fn a_shutdown_decides_with_what_is_known() {
    let engine = start(json!({ "keep": "never" }));
    let (tracer, hub) = (tracer(&engine), engine.hub().clone());
    let root = tracer.start("still open", Start::default());
    tracer.start("undecided", child(&root)).end(&hub, None);
    let mut failed = tracer.start("failed", Start::default());
    failed.set_status(Status::Error, "");
    failed.end(&hub, None);
    let books = engine.shutdown(PATIENCE).spans;
    assert_balanced(&books);
    assert_eq!((books.delivered, books.dropped["tail_sampled"]), (1, 1));
}

#[test]
fn a_trace_is_decided_some_time_after_its_root_without_a_flush() {
    let engine = start(json!({ "keep": "always", "grace": 0, "decide_after": "10ms" }));
    let (tracer, hub) = (tracer(&engine), engine.hub().clone());
    let root = tracer.start("open", Start::default());
    tracer.start("by time-out", child(&root)).end(&hub, None);
    tracer.start("by its end", Start::default()).end(&hub, None);
    wait_for(&engine, "/decided/root_end", 1);
    wait_for(&engine, "/decided/time_out", 1);
    let mut came = Vec::new();
    let begun = std::time::Instant::now();
    while came.len() < 2 && begun.elapsed() < PATIENCE {
        came.append(&mut names(&engine));
        std::thread::sleep(Duration::from_millis(2));
    }
    came.sort();
    assert_eq!(came, ["by its end", "by time-out"]);
    engine.shutdown(PATIENCE);
}

#[test]
fn many_traces_over_a_small_budget_keep_the_books_balanced() {
    let engine = start(json!({ "keep": 0.5, "budget_bytes": 65_536 }));
    let (tracer, hub) = (tracer(&engine), engine.hub().clone());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    let mut root = tracer.start("root", Start::default());
                    tracer.start("child", child(&root)).end(&hub, None);
                    root.end(&hub, None);
                }
            });
        }
        for _ in 0..200 {
            let books = engine.ledger().spans;
            let settled = books.delivered + books.dropped_total();
            assert!(settled <= books.recorded && books.recorded - settled <= books.capacity);
            assert!(
                engine.health()["tail_sampling"]["undecided"]["bytes"].as_u64() <= Some(65_536)
            );
        }
    });
    assert!(engine.flush(PATIENCE));
    let mut traces: BTreeMap<String, u64> = BTreeMap::new();
    for line in records(&engine) {
        *traces.entry(line["trace_id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    // A share is the same before the time and at it: what is kept is whole.
    assert!(traces.values().all(|&spans| spans == 2));
    assert!(figure(&engine, "/decided/budget") > 0);
    let books = engine.shutdown(PATIENCE).spans;
    assert_balanced(&books);
    assert_eq!(books.recorded, 16_000);
    assert!(books.dropped["tail_budget"] > 0);
}
