//! What the engine costs. One program per question, in `src/bin`; `make bench` runs them all.
//!
//! Machines are shared and noisy: every figure is the minimum and the median of rounds in which the
//! things compared take turns.

/// The least and the median of `costs`.
pub fn min_and_median(mut costs: Vec<f64>) -> (f64, f64) {
    costs.sort_by(f64::total_cmp);
    (costs[0], costs[costs.len() / 2])
}
