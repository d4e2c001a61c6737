//! How long single log calls take, by the processor's counter around each, while the drain writes
//! into a file: p50, p99, p99.9 and the maximum, with one producer and with four; one JSON object
//! a line.
//!
//! `latency [calls]`. Producers go on as fast as the drain keeps up, so that nothing is dropped.

use std::time::{Duration, Instant};

use coati_benches::machine::{process_cpu_ns, thread_cpu_ns, ticks_after, ticks_before};
use coati_benches::ours;
use coati_core::log::Logger;
use coati_export::Engine;
use serde_json::json;

/// Calls between two looks at the books.
const BURST: usize = 500;
/// Records under way at which producers wait: more than half a ring, so that the drain hurries, and
/// with a burst of each of four less than one.
const UNDER_WAY: u64 = 7_000;
/// Calls before the first that counts.
const WARM_UP: usize = 10_000;

fn main() {
    let calls: usize =
        std::env::args().nth(1).map_or(1_000_000, |calls| calls.parse().expect("a number"));
    for producers in [1, 4] {
        run(producers, calls / producers);
    }
}

fn run(producers: usize, calls: usize) {
    let folder = tempfile::tempdir().expect("a folder for the file");
    let engine = ours::engine(json!({
        "ring": {"bytes": 1 << 20},
        "sinks": [{"type": "file", "path": folder.path().join("all.jsonl")}],
    }));
    let (wall, ticks, cpu) = (Instant::now(), ticks_before(), process_cpu_ns());
    let produced: Vec<(Vec<u64>, u64)> = std::thread::scope(|scope| {
        let start = || scope.spawn(|| produce(&engine, calls));
        let running: Vec<_> = (0..producers).map(|_| start()).collect();
        running.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let (ticks, wall) = (ticks_after() - ticks, wall.elapsed().as_nanos() as f64);
    let cpu = process_cpu_ns() - cpu;
    let books = engine.shutdown(Duration::from_secs(60)).logs;
    assert_eq!(books.dropped_total(), 0, "nothing may be dropped");
    let own: u64 = produced.iter().map(|(_, cpu)| cpu).sum();
    let timer = percentile(&timer_alone(), 0.5);
    let mut costs: Vec<u64> = produced.into_iter().flat_map(|(costs, _)| costs).collect();
    costs.sort_unstable();
    let ns = wall / ticks as f64;
    let net = |ticks: u64| ((ticks.saturating_sub(timer)) as f64 * ns * 10.0).round() / 10.0;
    let line = json!({
        "latency": "Rust",
        "producers": producers,
        "calls": costs.len(),
        "timer_ns": (timer as f64 * ns * 10.0).round() / 10.0,
        "step_ns": (step(&costs) as f64 * ns * 10.0).round() / 10.0,
        "p50": net(percentile(&costs, 0.5)),
        "p99": net(percentile(&costs, 0.99)),
        "p999": net(percentile(&costs, 0.999)),
        "max": net(*costs.last().expect("a call")),
        "drain_busy": (cpu.saturating_sub(own) as f64 / wall * 100.0).round() / 100.0,
    });
    println!("{line}");
}

/// Ticks of each call, and the processor time of this thread.
fn produce(engine: &Engine, calls: usize) -> (Vec<u64>, u64) {
    let logger = Logger::new(engine.hub().clone(), "bench");
    let mut costs = vec![0; calls + WARM_UP];
    let cpu = thread_cpu_ns();
    for (burst, costs) in costs.chunks_mut(BURST).enumerate() {
        for (i, cost) in costs.iter_mut().enumerate() {
            let begin = ticks_before();
            ours::log(&logger, burst * BURST + i);
            *cost = ticks_after() - begin;
        }
        while engine.ledger().logs.in_flight > UNDER_WAY {
            std::thread::yield_now();
        }
    }
    let cpu = thread_cpu_ns() - cpu;
    costs.drain(..WARM_UP);
    (costs, cpu)
}

/// Ticks between two readings with nothing between them, ascending.
fn timer_alone() -> Vec<u64> {
    let reading = || {
        let begin = ticks_before();
        ticks_after() - begin
    };
    let mut costs: Vec<u64> = (0..100_000).map(|_| reading()).collect();
    costs.sort_unstable();
    costs
}

fn percentile(sorted: &[u64], share: f64) -> u64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

/// The steps in which the counter moves: many machines' are larger than one tick.
fn step(sorted: &[u64]) -> u64 {
    let divisor = |mut a: u64, mut b: u64| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    sorted.windows(2).fold(0, |step, pair| divisor(step, pair[1] - pair[0]))
}
