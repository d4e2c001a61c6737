//! The spool: across outages and restarts, bounded, and honest about what it loses.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use coati_export::Engine;
use serde_json::{Value, json};

use crate::receiver::{Answer, PATIENCE, Receiver, numbers};
use crate::send::{all, balanced, figure, log, sorted, start};

fn spooling(url: &str, folder: &Path, more: Value) -> Arc<Engine> {
    let mut sink = json!({
        "endpoint": url,
        "spool": folder,
        "logs": {"delay_ms": 0, "batch_records": 10},
    });
    sink.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    start(sink)
}

/// Spool files anywhere under `folder`.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path if path.extension().is_some_and(|e| e == "otlp") => found.push(path),
            _ => {}
        }
    }
    found.sort();
    found
}

fn wait(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

const NOBODY: &str = "http://127.0.0.1:1";

#[test]
fn what_an_outage_holds_back_arrives_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start();
    receiver.always(Answer::Status(503, ""));
    let engine = spooling(&receiver.url(), folder.path(), json!({}));
    for i in 0..10 {
        log(&engine, i * 10..i * 10 + 10);
        assert!(engine.flush(PATIENCE), "spooled counts as flushed");
    }
    let books = engine.ledger().logs;
    assert_eq!((books.recorded, books.delivered, books.in_flight), (100, 0, 100));
    assert_eq!(figure(&engine, "spooled"), 100);
    assert!(!files(folder.path()).is_empty());
    for file in files(folder.path()) {
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let own = file.parent().unwrap();
        assert_eq!(std::fs::metadata(own).unwrap().permissions().mode() & 0o777, 0o700);
    }
    receiver.always(Answer::Ok);
    wait("everything to arrive", || engine.ledger().logs.delivered == 100);
    assert_eq!(numbers(&receiver.taken(), "i"), all(100), "once, oldest first");
    assert!(files(folder.path()).is_empty());
    assert_eq!(figure(&engine, "spooled"), 0);
    let books = engine.shutdown(PATIENCE);
    assert_eq!((books.logs.delivered, books.logs.in_flight), (100, 0));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "it leaves nothing behind");
}

#[test]
fn what_is_left_at_the_end_is_sent_by_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    for run in 0..3 {
        let engine = spooling(NOBODY, folder.path(), json!({}));
        log(&engine, run * 10..run * 10 + 10);
        let books = engine.shutdown(PATIENCE);
        assert_eq!((books.logs.delivered, books.logs.in_flight), (0, 10));
        balanced(&books);
    }
    let receiver = Receiver::start();
    let engine = spooling(&receiver.url(), folder.path(), json!({}));
    receiver.wait(|taken| numbers(taken, "i").len() == 30);
    log(&engine, 30..40);
    assert!(engine.flush(PATIENCE));
    assert_eq!(numbers(&receiver.taken(), "i"), all(40));
    let books = engine.shutdown(PATIENCE);
    assert_eq!((books.logs.recorded, books.logs.delivered), (10, 10), "its own alone");
}

#[test]
fn a_living_process_keeps_its_spool_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let first = spooling(NOBODY, folder.path(), json!({}));
    log(&first, 0..10);
    assert!(first.flush(PATIENCE));
    let receiver = Receiver::start();
    let second = spooling(&receiver.url(), folder.path(), json!({}));
    log(&second, 10..20);
    assert!(second.flush(PATIENCE));
    second.shutdown(PATIENCE);
    assert_eq!(numbers(&receiver.taken(), "i"), (10..20).collect::<Vec<_>>());
    assert_eq!(files(folder.path()).len(), 1);
    first.shutdown(PATIENCE);
}

#[test]
fn a_spool_file_that_is_corrupt_is_set_aside_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let engine = spooling(NOBODY, folder.path(), json!({}));
    for i in 0..3 {
        log(&engine, i * 10..i * 10 + 10);
        assert!(engine.flush(PATIENCE));
    }
    engine.shutdown(PATIENCE);
    let spooled = files(folder.path());
    assert_eq!(spooled.len(), 3);
    let mut bytes = std::fs::read(&spooled[1]).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&spooled[1], bytes).unwrap();
    std::fs::write(spooled[1].with_file_name("nonsense.otlp"), b"").unwrap();
    let receiver = Receiver::start();
    let engine = spooling(&receiver.url(), folder.path(), json!({}));
    receiver.wait(|taken| numbers(taken, "i").len() == 20);
    wait("both to be counted", || figure(&engine, "spool_corrupt") == 2);
    engine.shutdown(PATIENCE);
    let expected: Vec<_> = (0..10).chain(20..30).collect();
    assert_eq!(numbers(&receiver.taken(), "i"), expected);
    let aside = files(&folder.path().join("corrupt"));
    assert_eq!(aside.len(), 2, "{aside:?}");
}

#[test]
fn a_spool_that_is_full_or_old_drops_its_oldest_and_counts() {
    let folder = tempfile::tempdir().unwrap();
    let engine = spooling(NOBODY, folder.path(), json!({"spool_bytes": 65536}));
    for i in 0..40 {
        log(&engine, i * 10..i * 10 + 10);
        assert!(engine.flush(PATIENCE));
    }
    // A file counts as a block of 4096 bytes at least.
    assert_eq!(files(folder.path()).len(), 16);
    let books = engine.ledger();
    assert_eq!((books.logs.dropped["spool"], books.logs.in_flight), (240, 160));
    balanced(&books);
    engine.shutdown(PATIENCE);
    std::thread::sleep(Duration::from_millis(1100));
    let engine = spooling(NOBODY, folder.path(), json!({"spool_seconds": 1}));
    wait("the old ones to go", || figure(&engine, "spool_dropped") == 16);
    engine.shutdown(PATIENCE);
    let receiver = Receiver::start();
    let engine = spooling(&receiver.url(), folder.path(), json!({}));
    log(&engine, 0..10);
    assert!(engine.flush(PATIENCE));
    assert_eq!(numbers(&receiver.taken(), "i"), all(10));
    engine.shutdown(PATIENCE);
}

#[test]
fn pieces_of_a_request_that_was_too_large_survive_an_outage() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start();
    receiver.next([Answer::Status(413, ""), Answer::Ok]);
    receiver.always(Answer::Status(503, ""));
    let engine =
        spooling(&receiver.url(), folder.path(), json!({"logs": {"delay_ms": 86_400_000u64}}));
    log(&engine, 0..100);
    assert!(engine.flush(PATIENCE));
    assert_eq!(engine.ledger().logs.delivered, 50);
    let books = engine.shutdown(PATIENCE);
    assert_eq!((books.logs.delivered, books.logs.in_flight), (50, 50));
    receiver.always(Answer::Ok);
    let engine = spooling(&receiver.url(), folder.path(), json!({}));
    receiver.wait(|taken| numbers(taken, "i").len() >= 100);
    engine.shutdown(PATIENCE);
    assert_eq!(sorted(numbers(&receiver.taken(), "i")), all(100));
}

#[test]
fn only_redacted_data_comes_to_the_spool() {
    use coati_core::key;
    use coati_core::log::Logger;
    use coati_core::record::Level;
    let folder = tempfile::tempdir().unwrap();
    let sink = json!({"type": "otlp", "endpoint": NOBODY, "spool": folder.path(),
                      "signals": ["logs"]});
    let engine = crate::send::engine(json!({"redaction": {"enabled": true}, "sinks": [sink]}));
    let logger = Logger::new(engine.hub().clone(), "safe");
    logger.log(Level::Info, "login", &[(key!("password"), "hunter2".into())]);
    engine.shutdown(PATIENCE);
    let spooled = files(folder.path());
    let bytes = std::fs::read(&spooled[0]).unwrap();
    let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("[REDACTED]") && has("login") && !has("hunter2"));
}
