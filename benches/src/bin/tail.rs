//! Tail sampling at 50,000 spans a second: what it keeps against what the caller knows, and what
//! the drain costs.
//!
//! `tail [seconds [spans_per_second]]` records traces of ten spans at this rate (0: as fast as the
//! drain takes them) with a budget of 64 MiB and one trace in a hundred failing, into a file. It
//! fails if one span of a failed trace is missing, if one is dropped for room, or if the share of
//! the others is off by more than 1 %; it prints one JSON object.

use std::time::{Duration, Instant};

use coati_core::hub::Hub;
use coati_core::ids::{SpanId, TraceId};
use coati_core::key;
use coati_core::span::{SpanContext, Start, Status, Tracer};
use coati_export::config::Sources;
use coati_export::{Config, Engine, Options};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(600);
const SPANS: u64 = 10;
const KEEP: f64 = 0.1;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse().expect("a number"));
    let seconds: u64 = arguments.next().unwrap_or(20);
    let rate: u64 = arguments.next().unwrap_or(50_000);
    let folder = tempfile::tempdir().expect("a folder for files");
    let path = folder.path().join("spans.jsonl");
    let dict = json!({
        "spans": { "tail": { "keep": KEEP, "slow": { "default": "1h" }, "budget_bytes": 64 << 20 } },
        "ring": { "overflow": "block", "block_ms": 60_000 },
        "sinks": [{ "type": "file", "path": path }],
    });
    let config = Config::load(Sources { dict: Some(dict), ..Sources::default() }).expect("valid");
    let engine = Engine::start(Hub::new(), config, Options::default()).expect("a thread");
    let tracer = Tracer::new(engine.hub().clone(), "tail");
    let hub = engine.hub().clone();

    let begun = Instant::now();
    let cpu_before = (cpu(libc::RUSAGE_SELF), cpu(libc::RUSAGE_THREAD));
    let (mut traces, mut failed) = (0u64, 0u64);
    let mut waiting = 0;
    while begun.elapsed().as_secs() < seconds {
        // Ten milliseconds' worth at once, then as long a pause as is left of them.
        for _ in 0..(rate / SPANS / 100).max(1) {
            let bad = traces % 100 == 99;
            failed += u64::from(bad);
            traces += 1;
            record(&tracer, &hub, traces, bad);
        }
        if let Some(due) = (traces * SPANS * 1_000_000_000).checked_div(rate) {
            std::thread::sleep(Duration::from_nanos(due).saturating_sub(begun.elapsed()));
        }
        if traces.is_multiple_of(1000) {
            waiting = waiting.max(figure(&engine, "/undecided/bytes"));
        }
    }
    let took = begun.elapsed().as_secs_f64();
    assert!(engine.flush(PATIENCE));
    let all = begun.elapsed().as_secs_f64();
    let (own, recording) =
        (cpu(libc::RUSAGE_SELF) - cpu_before.0, cpu(libc::RUSAGE_THREAD) - cpu_before.1);
    let report = engine.health();
    let tail = &report["tail_sampling"];
    let books = engine.shutdown(PATIENCE).spans;

    let kept = |why: &str| tail["kept"][why].as_u64().expect("a count");
    let others = traces - failed;
    let share = kept("share") as f64 / others as f64;
    assert_eq!((kept("error"), kept("slow")), (failed, 0), "every failed trace");
    assert_eq!(tail["dropped"].as_u64(), Some(others - kept("share")));
    assert_eq!(books.recorded, traces * SPANS);
    assert_eq!(books.delivered, (failed + kept("share")) * SPANS, "whole");
    assert_eq!(books.recorded, books.delivered + books.dropped_total());
    assert!(rate == 0 || !books.dropped.contains_key("tail_budget"), "{:?}", books.dropped);
    assert!((share / KEEP - 1.0).abs() < 0.01, "{share}");
    let result = json!({
        "spans_per_second": (books.recorded as f64 / took).round(),
        "drained_per_second": (books.recorded as f64 / all).round(),
        "traces": traces,
        "failed_kept": failed,
        "share_of_others": share,
        "drain_core_share": (own - recording) / all,
        "drain_ns_per_span": ((own - recording) * 1e9 / books.recorded as f64).round(),
        "recording_ns_per_span": (recording * 1e9 / books.recorded as f64).round(),
        "most_waiting_bytes": waiting,
        "tail_memory_bytes": report["memory_bytes"].as_u64(),
        "peak_resident_bytes": peak(),
    });
    println!("{result}");
}

/// One trace. Its id comes from elsewhere, so that every run is the same.
fn record(tracer: &Tracer, hub: &Hub, trace: u64, bad: bool) {
    let caller = SpanContext {
        trace_id: TraceId((1 << 64 | u128::from(trace)).to_be_bytes()),
        span_id: SpanId([1; 8]),
        trace_flags: 1,
        remote: true,
    };
    let mut root =
        tracer.start("handle request", Start { parent: Some(caller), ..Start::default() });
    let inside = Start { parent: Some(*root.context()), ..Start::default() };
    for part in 1..SPANS {
        let mut span = tracer.start("call tool", inside);
        span.set_attribute((key!("tool"), "search".into()));
        span.set_attribute((key!("attempt"), part.into()));
        span.set_attribute((key!("model"), "gpt-4o".into()));
        span.set_attribute((key!("cached"), false.into()));
        if bad && part == SPANS / 2 {
            span.set_status(Status::Error, "on purpose");
        }
        span.end(hub, None);
    }
    root.end(hub, None);
}

fn figure(engine: &Engine, path: &str) -> u64 {
    engine.health()["tail_sampling"].pointer(path).and_then(Value::as_u64).unwrap_or(0)
}

/// Seconds of processor time.
fn cpu(of: i32) -> f64 {
    // SAFETY: plain memory that the call fills in.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(of, &raw mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

fn peak() -> u64 {
    // SAFETY: as above.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    usage.ru_maxrss as u64 * 1024
}
