//! The processor time of an engine that has nothing to do: fifty threads have recorded and live on,
//! nobody records any more.
//!
//! `idle [seconds [threads]]`; fails at a thousandth of a core.

use std::process::ExitCode;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use coati_benches::machine::process_cpu_ns;
use coati_core::hub::Hub;
use coati_core::key;
use coati_core::log::Logger;
use coati_core::record::Level;
use coati_export::config::Sources;
use coati_export::{Config, Engine, Options};
use serde_json::json;

const BOUND: f64 = 0.001;

/// The same for a thread that only sleeps, as long each time as the drain does: what waking up
/// costs on this machine.
fn floor(seconds: u64) -> f64 {
    let (began, spent) = (Instant::now(), process_cpu_ns());
    while began.elapsed().as_secs() < seconds {
        std::thread::park_timeout(Duration::from_millis(75));
    }
    (process_cpu_ns() - spent) as f64 / began.elapsed().as_nanos() as f64
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a number"));
    let seconds = arguments.next().unwrap_or(60);
    let threads = arguments.next().unwrap_or(50);
    let dict = json!({"sinks": [{"type": "file", "path": "/dev/null"}]});
    let config = Config::load(Sources { dict: Some(dict), ..Sources::default() }).expect("valid");
    let engine = Engine::start(Hub::new(), config, Options::default()).expect("a thread");
    let (recorded, done) = (Barrier::new(threads as usize + 1), Barrier::new(threads as usize + 1));
    let share = std::thread::scope(|scope| {
        for thread in 0..threads {
            let logger = Logger::new(engine.hub().clone(), "idle");
            let (recorded, done) = (&recorded, &done);
            scope.spawn(move || {
                logger.log(Level::Info, "once", &[(key!("thread"), thread.into())]);
                recorded.wait();
                done.wait();
            });
        }
        recorded.wait();
        assert!(engine.flush(Duration::from_secs(60)));
        let (began, spent) = (Instant::now(), process_cpu_ns());
        std::thread::sleep(Duration::from_secs(seconds));
        let share = (process_cpu_ns() - spent) as f64 / began.elapsed().as_nanos() as f64;
        done.wait();
        share
    });
    engine.shutdown(Duration::from_secs(60));
    let floor = floor(seconds.min(20));
    let line = json!({
        "case": "idle", "threads": threads, "seconds": seconds, "share": share, "bound": BOUND,
        "floor": floor, "ok": share < BOUND,
    });
    println!("{line}");
    ExitCode::from(u8::from(share >= BOUND))
}
