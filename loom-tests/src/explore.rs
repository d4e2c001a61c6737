//! Runs a model, and shows that it ran.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Runs `model` in every interleaving, or in those with at most `preemptions` forced switches, and
/// requires at least `executions` of them: fewer mean that the model lost what it explored.
///
/// A bound, half of what was explored when the model was written, and not the exact number, which
/// any harmless change of the code under test moves; a model that loses its race explores a few
/// paths only. It does not hold for mutants, which must fail by what they break.
pub fn explore(
    executions: u64,
    preemptions: Option<usize>,
    model: impl Fn() + Send + Sync + 'static,
) {
    let explored = Arc::new(AtomicU64::new(0));
    let count = explored.clone();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 10_000;
    let started = std::time::Instant::now();
    builder.check(move || {
        count.fetch_add(1, Relaxed);
        model();
    });
    let explored = explored.load(Relaxed);
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    eprintln!("{name}: {explored} executions in {:.1} s", started.elapsed().as_secs_f64());
    assert!(
        explored >= executions || cfg!(coati_mutant),
        "{name} explored {explored} executions, not {executions} at least"
    );
}

/// Something that must happen in one interleaving at least, or the model misses its point.
pub struct Witness(AtomicBool);

impl Witness {
    /// Nothing seen yet.
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// It happened, if `it` is true.
    pub fn note(&self, it: bool) {
        self.0.fetch_or(it, Relaxed);
    }

    /// Requires that it happened.
    pub fn require(&self, what: &str) {
        assert!(self.0.load(Relaxed), "no execution in which {what}");
    }
}
