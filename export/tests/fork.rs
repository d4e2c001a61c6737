//! A forked child has an engine of its own and repeats nothing of its parent's.
#![cfg(unix)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use coati_core::hub::Hub;
use coati_core::instrument::Instrument;
use coati_core::key;
use coati_core::log::Logger;
use coati_core::metrics::{Descriptor, Kind, Number};
use coati_core::record::Level;
use coati_core::span::{Start, Tracer};
use coati_export::config::Sources;
use coati_export::{Config, Engine, Options};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `work` in a forked child, which must succeed.
fn in_child(work: impl FnOnce()) -> i32 {
    // SAFETY: the child runs `work` and leaves by `_exit`, without unwinding into the test harness.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(i32::from(outcome.is_err())) };
    }
    assert!(pid > 0);
    pid
}

fn wait_for(pid: i32) {
    let mut status = 0;
    // SAFETY: a child of this process and a valid place for its status.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "status {status}");
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("valid JSON")).collect()
}

fn start(dict: Value) -> Arc<Engine> {
    let config = Config::load(Sources { dict: Some(dict), ..Sources::default() }).unwrap();
    Engine::start(Hub::new(), config, Options::default()).unwrap()
}

#[test]
fn every_record_of_parent_and_children_arrives_exactly_once() {
    const CHILDREN: usize = 20;
    const LINES: u64 = 200;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.jsonl");
    let engine = start(json!({"sinks": [{"type": "file", "path": path}]}));
    let hub = engine.hub().clone();
    let counter = Descriptor::new("forks", Kind::Counter, "1", "");
    let counter = Instrument::new(hub.clone(), counter).unwrap().bind(&[]);
    counter.add_int(1000);
    let mut span = Tracer::new(hub.clone(), "parent").start("over the forks", Start::default());
    let running = AtomicBool::new(true);
    let mut pids = Vec::new();
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (logger, running) = (Logger::new(hub.clone(), "parent"), &running);
            scope.spawn(move || {
                let mut i = 0u64;
                while running.load(Ordering::Relaxed) {
                    logger.log(
                        Level::Info,
                        "busy",
                        &[(key!("t"), thread.into()), (key!("i"), i.into())],
                    );
                    i += 1;
                    if i.is_multiple_of(100) {
                        std::thread::yield_now();
                    }
                }
            });
        }
        let logger = Logger::new(hub.clone(), "child");
        for child in 0..CHILDREN as u64 {
            let (engine, hub, counter) = (&engine, &hub, &counter);
            let (span, logger) = (&mut span, &logger);
            pids.push(in_child(|| {
                for i in 0..LINES {
                    logger.log(
                        Level::Info,
                        "born",
                        &[(key!("child"), child.into()), (key!("i"), i.into())],
                    );
                }
                counter.add_int(2);
                assert_eq!(counter.series().unwrap().value(), Number::Int(2));
                span.end(hub, None);
                assert!(engine.flush(PATIENCE));
                let books = engine.ledger();
                assert_eq!((books.logs.recorded, books.logs.delivered), (LINES, LINES));
                assert_eq!((books.spans.recorded, books.open), (0, 0));
            }));
        }
        pids.iter().copied().for_each(wait_for);
        running.store(false, Ordering::Relaxed);
    });
    span.end(&hub, None);
    let books = engine.shutdown(PATIENCE);
    assert_eq!(counter.series().map(|series| series.value()), None);
    assert_eq!(books.spans.delivered, 1);

    let own = lines(&path);
    assert_eq!(own.len() as u64, books.logs.delivered + 1);
    assert!(own.iter().all(|line| line["logger"] != "child"));
    for (child, pid) in pids.into_iter().enumerate() {
        let lines = lines(&folder.path().join(format!("app.{pid}.jsonl")));
        let seen: Vec<_> = lines.iter().map(|l| (l["child"].as_u64(), l["i"].as_u64())).collect();
        let expected: Vec<_> = (0..LINES).map(|i| (Some(child as u64), Some(i))).collect();
        assert_eq!(seen, expected);
    }
}

/// Drops an engine in a child without taking it from the parent.
fn drop_in_child(engine: &Arc<Engine>) {
    // SAFETY: the child leaves by `_exit`, so that the original is never dropped there.
    drop(unsafe { std::ptr::read(engine) });
}

#[test]
fn a_child_that_drops_or_stops_its_parents_engine_leaves_its_endpoint_alone() {
    for recording in [true, false] {
        let engine = start(json!({
            "metrics": {"prometheus": "127.0.0.1:0"},
            "sinks": [{"type": "memory"}],
        }));
        let address = engine.prometheus_address().unwrap();
        wait_for(in_child(|| drop_in_child(&engine)));
        if !recording {
            engine.hub().uninstall();
            wait_for(in_child(|| {
                let begun = std::time::Instant::now();
                engine.shutdown(PATIENCE);
                assert!(!engine.flush(PATIENCE) && begun.elapsed() < PATIENCE / 2);
            }));
        }
        std::net::TcpStream::connect(address).expect("the parent still listens");
    }
}

#[test]
fn a_childs_memory_begins_empty() {
    let engine = start(json!({"sinks": [{"type": "memory"}]}));
    let logger = Logger::new(engine.hub().clone(), "memory");
    logger.log(Level::Info, "of the parent", &[]);
    assert!(engine.flush(PATIENCE));
    wait_for(in_child(|| {
        logger.log(Level::Info, "of the child", &[]);
        assert!(engine.flush(PATIENCE));
        assert_eq!(engine.memory_records().len(), 1);
    }));
    assert_eq!(engine.memory_records().len(), 1);
}
