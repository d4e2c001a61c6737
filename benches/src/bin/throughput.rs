//! Records per second from producers to one JSON file, and processor time per record.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coati_core::hub::Hub;
use coati_core::key;
use coati_core::log::Logger;
use coati_core::record::Level;
use coati_export::config::Sources;
use coati_export::{Config, Engine, Options};
use serde_json::json;

fn cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the result.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn run(producers: u64, records: u64) {
    let folder = tempfile::tempdir().expect("a folder for the file");
    let path = folder.path().join("all.jsonl");
    let dict = json!({
        "ring": {"overflow": "block", "block_ms": 10_000},
        "sinks": [{"type": "file", "path": path}],
    });
    let config = Config::load(Sources { dict: Some(dict), ..Sources::default() });
    let engine = Engine::start(Hub::new(), config.expect("a configuration"), Options::default());
    let engine: Arc<Engine> = engine.expect("a thread");
    let (start, cpu) = (Instant::now(), cpu_ns());
    std::thread::scope(|scope| {
        for _ in 0..producers {
            let logger = Logger::new(engine.hub().clone(), "load");
            scope.spawn(move || {
                for i in 0..records / producers {
                    logger.log(
                        Level::Info,
                        "plan ready",
                        &[
                            (key!("steps"), i.into()),
                            (key!("model"), "gpt-4o".into()),
                            (key!("cost"), 0.25.into()),
                        ],
                    );
                }
            });
        }
    });
    assert!(engine.flush(Duration::from_secs(60)));
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_ns() - cpu);
    let books = engine.shutdown(Duration::from_secs(5)).logs;
    assert_eq!((books.recorded, books.delivered), (records, records));
    println!(
        "{producers} producer(s): {:.2} M records/s, {} ns CPU each, {} bytes a line",
        records as f64 / wall / 1e6,
        cpu / records,
        std::fs::metadata(&path).map_or(0, |file| file.len() / records),
    );
}

fn main() {
    for _ in 0..3 {
        run(1, 4_000_000);
        run(4, 4_000_000);
    }
}
