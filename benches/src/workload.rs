//! What all candidates are given.

use std::sync::OnceLock;

/// The message of every log line.
pub const MESSAGE: &str = "plan ready";
/// The text among the fields.
pub const MODEL: &str = "gpt-4o";
/// The float among the fields.
pub const COST: f64 = 0.25;
/// Four labels; their keys.
pub const LABEL_KEYS: [&str; 4] = ["agent", "model", "ok", "region"];
/// Their values as text.
pub const LABEL_VALUES: [&str; 4] = ["planner-7", "gpt-4o-mini", "true", "eu-west-1"];

/// Latencies over two decades, in no order; the same ones for everybody.
pub fn values() -> &'static [f64; 1024] {
    static VALUES: OnceLock<[f64; 1024]> = OnceLock::new();
    VALUES.get_or_init(|| {
        let mut state = 0x9E37_79B9_7F4A_7C15u64;
        std::array::from_fn(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((state >> 40) as f64 / (1u64 << 24) as f64 * 4.6).exp() * 5.0
        })
    })
}

/// The value of the call numbered `i`.
#[inline(always)]
pub fn value(values: &[f64; 1024], i: usize) -> f64 {
    values[i & 1023]
}

/// Bounds of peers' histograms: the powers of two that our text shows of milliseconds.
pub fn bounds() -> Vec<f64> {
    (-3..=20).map(|power| 2f64.powi(power)).collect()
}
