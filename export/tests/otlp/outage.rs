//! A receiver that fails in every way while the program goes on recording.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::receiver::{Answer, PATIENCE, Receiver, numbers};
use crate::send::{balanced, log, start};

/// Seconds of each phase; `make test-outage` makes the first one a minute.
fn seconds() -> f64 {
    std::env::var("COATI_OUTAGE_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(0.5)
}

fn p99(mut bursts: Vec<u64>) -> u64 {
    bursts.sort_unstable();
    bursts.get(bursts.len() * 99 / 100).copied().unwrap_or(1).max(1)
}

/// Resident bytes of this process.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

#[test]
fn everything_arrives_exactly_once_through_every_kind_of_outage() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start();
    let address = receiver.address;
    let engine = start(json!({
        "endpoint": receiver.url(),
        // An answer that comes too late makes a request arrive twice: not even on a slow machine.
        "timeout_ms": 600_000,
        "queue_bytes": 4 << 20,
        "batch_bytes": 1 << 18,
        "spool": folder.path(),
        "spool_bytes": 1u64 << 30,
        "signals": ["logs"],
        "logs": {"delay_ms": 20},
    }));
    let (running, next) = (AtomicBool::new(true), AtomicI64::new(0));
    // Nanoseconds of each burst of 20 calls, before the receiver went and after.
    let quiet = AtomicBool::new(true);
    let calls = Mutex::new([Vec::new(), Vec::new()]);
    let mut taken = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while running.load(Ordering::Relaxed) {
                let from = next.fetch_add(20, Ordering::Relaxed);
                let begun = Instant::now();
                log(&engine, from..from + 20);
                let phase = usize::from(!quiet.load(Ordering::Relaxed));
                calls.lock().unwrap()[phase].push(begun.elapsed().as_nanos() as u64);
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let pause = |seconds: f64| std::thread::sleep(Duration::from_secs_f64(seconds));
        pause(seconds().min(10.0));
        quiet.store(false, Ordering::Relaxed);
        let before = resident();
        // Stopped under load, then back at the same address.
        taken.extend(receiver.stop());
        pause(seconds());
        let receiver = Receiver::on(address);
        for answer in [
            Answer::BreakOff,
            Answer::Hang,
            Answer::Status(429, "Retry-After: 1\r\n"),
            Answer::Larger(2000),
            Answer::Status(503, ""),
            Answer::Garbage,
        ] {
            receiver.always(answer);
            pause(seconds().min(5.0) / 2.0);
        }
        receiver.always(Answer::Ok);
        pause(0.2);
        running.store(false, Ordering::Relaxed);
        let grown = resident().saturating_sub(before);
        assert!(grown < 128 << 20, "{} MiB more", grown >> 20);
        let calls = std::mem::take(&mut *calls.lock().unwrap());
        let [before, during] = calls.map(|calls| p99(calls) / 20);
        let times = during as f64 / before as f64;
        println!("p99 of a call: {before} ns before, {during} ns during the outage ({times:.2} x)");
        println!("resident memory: {} KiB more", grown >> 10);
        let begun = Instant::now();
        while engine.ledger().logs.in_flight > 0 || !engine.flush(PATIENCE) {
            assert!(begun.elapsed() < PATIENCE, "{:?} {}", engine.ledger(), engine.health());
            std::thread::sleep(Duration::from_millis(20));
        }
        taken.extend(receiver.taken());
        // And once more it hangs, while the engine ends.
        receiver.always(Answer::Hang);
        let from = next.fetch_add(10, Ordering::Relaxed);
        log(&engine, from..from + 10);
        let begun = Instant::now();
        let books = engine.shutdown(Duration::from_secs(2));
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        balanced(&books);
        assert_eq!((books.logs.in_flight, books.logs.dropped_total()), (10, 0), "{books:?}");
        assert_eq!(books.logs.recorded as i64, next.load(Ordering::Relaxed));
    });
    let arrived = numbers(&taken, "i");
    println!("{} records arrived, each once", arrived.len());
    let once: HashSet<_> = arrived.iter().collect();
    assert_eq!(once.len(), arrived.len(), "nothing twice");
    assert_eq!(arrived.len() as i64, next.load(Ordering::Relaxed) - 10, "nothing lost");
}
