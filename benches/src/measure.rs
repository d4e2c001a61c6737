//! Rounds in which all candidates take turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::candidate::{Candidate, Kind, Work};

/// The figures of one candidate in one row.
pub struct Measured {
    /// The row.
    pub row: &'static str,
    /// Whose it is.
    pub kind: Kind,
    /// Its name.
    pub name: &'static str,
    /// `ns`, `ms` or, for a ratio, `x`.
    pub unit: &'static str,
    /// The best round; of a ratio, that of the least times.
    pub min: f64,
    /// The median round; of a ratio, that of the median times.
    pub median: f64,
    /// Rounds measured.
    pub rounds: usize,
    /// Records lost.
    pub drops: u64,
    /// What a reader should know.
    pub note: Option<&'static str>,
}

/// The least and the median of `costs`.
pub fn min_and_median(mut costs: Vec<f64>) -> (f64, f64) {
    costs.sort_by(f64::total_cmp);
    (costs[0], costs[costs.len() / 2])
}

/// One round in nanoseconds.
///
/// # Panics
/// If the state that is to be measured never lasts to a round's end.
pub fn round(candidate: &mut Candidate, calls: usize) -> Duration {
    const TRIES: usize = 100;
    for _ in 0..TRIES {
        (candidate.before)();
        // Whatever the round before has put out of this thread's caches is found again.
        candidate.work.run(1);
        let start = Instant::now();
        candidate.work.run(calls);
        let elapsed = start.elapsed();
        if (candidate.after)() {
            return elapsed;
        }
    }
    panic!("{} never was what {} measures", candidate.name, candidate.row);
}

/// Measures all candidates, `rounds` rounds each, in turns.
pub fn interleaved(candidates: &mut [Candidate], rounds: usize) -> Vec<Measured> {
    let mut costs = vec![Vec::with_capacity(rounds); candidates.len()];
    for turn in 0..=rounds {
        for (costs, candidate) in costs.iter_mut().zip(candidates.iter_mut()) {
            let calls = candidate.calls;
            let cost = round(candidate, calls).as_nanos() as f64;
            // The first turn warms up.
            if turn > 0 {
                costs.push(cost / calls as f64 / candidate.unit.nanoseconds());
            }
        }
    }
    let figures = candidates.iter_mut().zip(costs).map(|(candidate, costs)| {
        let (min, median) = min_and_median(costs);
        Measured {
            row: candidate.row,
            kind: candidate.kind,
            name: candidate.name,
            unit: candidate.unit.name(),
            min,
            median,
            rounds,
            drops: (candidate.dropped)(),
            note: candidate.note,
        }
    });
    figures.collect()
}

/// How much more two threads do together than one alone, of each candidate that threads can share.
/// One whose two threads never ran at the same time, on a machine that has other work, is left out.
pub fn two_threads(candidates: &mut [Candidate], rounds: usize) -> Vec<Measured> {
    // Short, so that some round of many finds both processors free.
    const CALLS: usize = 1 << 17;
    const TRIES: usize = 20;
    let mut shared: Vec<_> = candidates
        .iter_mut()
        .filter_map(|candidate| match (&candidate.work, candidate.threaded_row) {
            (Work::Shared(work), Some(row)) => {
                Some((row, work.clone(), [Vec::new(), Vec::new()], candidate))
            }
            _ => None,
        })
        .collect();
    for _ in 0..rounds {
        for (_, work, times, candidate) in &mut shared {
            for (times, threads) in times.iter_mut().zip(1..) {
                times.extend((0..TRIES).find_map(|_| {
                    let time = together(work, threads, CALLS);
                    (candidate.after)();
                    time
                }));
            }
        }
    }
    let figures = shared.into_iter().filter_map(|(row, _, times, candidate)| {
        let rounds = times[1].len();
        if times.iter().any(Vec::is_empty) {
            eprintln!("{row}, {}: two threads never ran at the same time", candidate.name);
            return None;
        }
        let [one, two] = times.map(min_and_median);
        Some(Measured {
            row,
            kind: candidate.kind,
            name: candidate.name,
            unit: "x",
            min: 2.0 * one.0 / two.0,
            median: 2.0 * one.1 / two.1,
            rounds,
            drops: (candidate.dropped)(),
            note: candidate.note,
        })
    });
    figures.collect()
}

/// Nanoseconds a call in the slowest of `threads` that run `work` at the same time; `None` if they
/// did not for nine tenths of it.
fn together(work: &Arc<dyn Fn(usize) + Send + Sync>, threads: usize, calls: usize) -> Option<f64> {
    let waiting = AtomicUsize::new(threads);
    let run = || {
        work(1);
        // A thread that sleeps at a barrier wakes up when the other one has finished. Relaxed:
        // only the count matters.
        waiting.fetch_sub(1, Ordering::Relaxed);
        while waiting.load(Ordering::Relaxed) > 0 {
            std::hint::spin_loop();
        }
        let start = Instant::now();
        work(calls);
        (start, Instant::now())
    };
    let spans: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        running.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let longest = spans.iter().map(|(start, end)| *end - *start).max()?;
    let (last_start, first_end) =
        (spans.iter().map(|span| span.0).max()?, spans.iter().map(|span| span.1).min()?);
    let common = first_end.saturating_duration_since(last_start);
    (common >= longest.mul_f64(0.9)).then(|| longest.as_nanos() as f64 / calls as f64)
}
