//! What the engine keeps resident, against the bounds that its table of defaults states.
//!
//! `memory [share]` runs every case in a process of its own, at that share of its size (1 if not
//! given), prints one JSON object a line and fails if one is out of bounds. `memory <case> <share>`
//! is what it runs. Growth is of anonymous memory, measured when the engine is warm.

use std::process::{Command, ExitCode};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use coati_core::hub::Hub;
use coati_core::instrument::Instrument;
use coati_core::key;
use coati_core::log::Logger;
use coati_core::metrics::{Descriptor, Kind, LabelValue};
use coati_core::record::Level;
use coati_core::span::{Start, Tracer};
use coati_export::config::Sources;
use coati_export::{Config, Engine, Options};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(600);
const MIB: usize = 1 << 20;

/// Name, what it does, its size, and the case.
type Case = (&'static str, &'static str, u64, fn(&Arc<Engine>, u64) -> Growth);

const CASES: [Case; 6] = [
    ("records", "log records of one thread", 10_000_000, records),
    ("spans", "spans of one thread", 2_000_000, spans),
    ("counter", "label sets of a counter", 1_000_000, counter),
    ("histogram", "label sets of a histogram", 1_000_000, histogram),
    ("threads", "threads at once", 256, threads),
    ("churn", "threads one after another", 10_000, churn),
];

/// What a case added to the memory of the process, and what it may at most.
struct Growth {
    bytes: usize,
    bound: usize,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [name, share] => one(name, share.parse().expect("a share such as 0.1")),
        [] => all("1"),
        [share] => all(share),
        _ => panic!("memory [share]"),
    }
}

fn all(share: &str) -> ExitCode {
    let program = std::env::current_exe().expect("a path");
    let run = |name| Command::new(&program).args([name, share]).status().expect("a process");
    // All of them, whatever the first ones say.
    let failed = CASES.iter().filter(|(name, ..)| !run(name).success()).count();
    ExitCode::from(u8::from(failed > 0))
}

fn one(name: &str, share: f64) -> ExitCode {
    let (name, what, size, case) =
        *CASES.iter().find(|case| case.0 == name).unwrap_or_else(|| panic!("no case {name}"));
    let size = (size as f64 * share) as u64;
    let engine = start();
    let Growth { bytes, bound } = case(&engine, size);
    let stated = engine.health()["memory_bytes"].as_u64().unwrap_or_default();
    let books = engine.shutdown(PATIENCE);
    for account in [&books.logs, &books.spans] {
        assert_eq!((account.delivered, account.dropped_total()), (account.recorded, 0));
    }
    let line = json!({
        "case": name, "what": what, "size": size, "growth": bytes, "bound": bound,
        "memory_bytes": stated, "ok": bytes <= bound,
    });
    println!("{line}");
    ExitCode::from(u8::from(bytes > bound))
}

/// The defaults; a file that takes everything, and callers that wait.
fn start() -> Arc<Engine> {
    let dict = json!({
        "ring": {"overflow": "block", "block_ms": 60_000},
        "sinks": [{"type": "file", "path": "/dev/null"}],
    });
    let config = Config::load(Sources { dict: Some(dict), ..Sources::default() }).expect("valid");
    Engine::start(Hub::new(), config, Options::default()).expect("a thread")
}

/// Anonymous memory of this process: what it has written to, without its program and its files.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).expect("Linux 4.5");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<usize>().ok()).expect("KiB") * 1024
}

fn settled(engine: &Engine) -> usize {
    assert!(engine.flush(PATIENCE));
    resident()
}

fn log(logger: &Logger, number: u64) {
    let fields = [
        (key!("number"), number.into()),
        (key!("model"), "gpt-4o".into()),
        (key!("cost"), 0.25.into()),
    ];
    logger.log(Level::Info, "a record like any other", &fields);
}

/// What buffers on the way out may take beside the ring: batch, lines, tables of names.
const BESIDE: usize = 2 * MIB;

fn records(engine: &Arc<Engine>, size: u64) -> Growth {
    let logger = Logger::new(engine.hub().clone(), "memory");
    let begin = settled(engine);
    (0..size).for_each(|number| log(&logger, number));
    Growth { bytes: settled(engine) - begin, bound: engine.config().ring.bytes + BESIDE }
}

fn spans(engine: &Arc<Engine>, size: u64) -> Growth {
    let tracer = Tracer::new(engine.hub().clone(), "memory");
    let begin = settled(engine);
    for number in 0..size {
        let mut span = tracer.start("a span like any other", Start::default());
        span.set_attribute((key!("number"), number.into()));
        span.set_attribute((key!("model"), "gpt-4o".into()));
        span.end(engine.hub(), None);
    }
    Growth { bytes: settled(engine) - begin, bound: engine.config().ring.bytes + BESIDE }
}

/// Bytes of a series beside its cells: its labels, its place in the index.
const SERIES: usize = 1024;

fn counter(engine: &Arc<Engine>, size: u64) -> Growth {
    let most = engine.config().metrics.max_series;
    let bound = most * SERIES + engine.config().ring.bytes + BESIDE;
    labelled(engine, size, Kind::Counter, bound)
}

fn histogram(engine: &Arc<Engine>, size: u64) -> Growth {
    let metrics = &engine.config().metrics;
    let cells = metrics.shard_bytes;
    let bound = cells + metrics.max_series * SERIES + engine.config().ring.bytes + BESIDE;
    labelled(engine, size, Kind::Histogram, bound)
}

fn labelled(engine: &Arc<Engine>, size: u64, kind: Kind, bound: usize) -> Growth {
    let begin = settled(engine);
    let instrument = Descriptor::new("requests", kind, "", "");
    let instrument = Instrument::new(engine.hub().clone(), instrument).expect("a free name");
    for number in 0..size {
        let user = format!("user-{number}");
        let labels = [("user", LabelValue::Str(&user)), ("ok", LabelValue::Bool(true))];
        instrument.with(&labels, |series, shard| match kind {
            Kind::Histogram => series.record(shard, number as f64),
            _ => series.add_int(shard, 1),
        });
    }
    let bytes = settled(engine) - begin;
    let (metrics, most) = (engine.snapshot(), engine.config().metrics.max_series);
    assert_eq!(metrics[0].series.len(), most.min(size as usize), "the rest is one series");
    Growth { bytes, bound }
}

/// What a thread costs beside its ring: stack, cells of metrics, caches.
const THREAD: usize = 64 << 10;

fn threads(engine: &Arc<Engine>, size: u64) -> Growth {
    let size = size as usize;
    let begin = settled(engine);
    let (working, measured) = (Barrier::new(size + 1), Barrier::new(size + 1));
    let bytes = std::thread::scope(|scope| {
        for _ in 0..size {
            let logger = Logger::new(engine.hub().clone(), "memory");
            let (working, measured) = (&working, &measured);
            scope.spawn(move || {
                // More than fills the ring once.
                (0..12_000).for_each(|number| log(&logger, number));
                working.wait();
                measured.wait();
            });
        }
        working.wait();
        let bytes = settled(engine) - begin;
        measured.wait();
        bytes
    });
    let ring = &engine.config().ring;
    let rings = ring.total_bytes.min(size * ring.bytes);
    Growth { bytes, bound: rings + size * THREAD + BESIDE }
}

fn churn(engine: &Arc<Engine>, size: u64) -> Growth {
    const AT_ONCE: u64 = 8;
    let hub = engine.hub().clone();
    let (logger, tracer) = (Logger::new(hub.clone(), "memory"), Tracer::new(hub.clone(), "memory"));
    let latency = Descriptor::new("latency", Kind::Histogram, "ms", "");
    let latency = Instrument::new(hub.clone(), latency).expect("a free name").bind(&[]);
    let work = Arc::new(move || {
        for number in 0..20 {
            log(&logger, number);
            let mut span = tracer.start("work", Start::default());
            span.set_attribute((key!("number"), number.into()));
            span.end(&hub, None);
            latency.record(number as f64);
        }
    });
    let begin = settled(engine);
    for round in 0..size / AT_ONCE {
        let spawn = |_| {
            std::thread::spawn({
                let work = work.clone();
                move || work()
            })
        };
        let threads: Vec<_> = (0..AT_ONCE).map(spawn).collect();
        // Joined, so that they have handed their rings over: a scope ends before that.
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        // A thread takes over a ring of which half is free: as long as the drain keeps up, there
        // are as many as threads at once, and else as many as hold what is under way.
        if round % 10 == 0 {
            assert!(engine.flush(PATIENCE));
        }
    }
    let ring = engine.config().ring.bytes;
    let bound = AT_ONCE as usize * (ring + THREAD) + BESIDE;
    Growth { bytes: settled(engine) - begin, bound }
}
