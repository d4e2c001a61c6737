//! How long to pause after failures.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Exponential pauses with jitter.
#[derive(Debug)]
pub struct Backoff {
    initial: Duration,
    longest: Duration,
    failures: u32,
    retry_at: Option<Instant>,
    random: u64,
}

impl Backoff {
    /// Pauses from `initial` to `longest`.
    pub fn new(initial: Duration, longest: Duration) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seed = now.as_nanos() as u64 ^ u64::from(std::process::id()) << 32;
        Self { initial, longest, failures: 0, retry_at: None, random: seed | 1 }
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When to try again; none: at once.
    pub fn retry_at(&self) -> Option<Instant> {
        self.retry_at.filter(|at| *at > Instant::now())
    }

    /// It works.
    pub fn succeeded(&mut self) {
        (self.failures, self.retry_at) = (0, None);
    }

    /// It failed; the receiver may have asked for a pause.
    pub fn failed(&mut self, asked: Option<Duration>) {
        self.failures = self.failures.saturating_add(1);
        let doubled = 1u32.checked_shl(self.failures - 1).unwrap_or(u32::MAX);
        let pause = self.initial.saturating_mul(doubled).min(self.longest);
        // Between half of it and all: those who failed together do not come back together.
        let pause = pause.mul_f64(0.5 + self.random() / 2.0);
        self.retry_at = Instant::now().checked_add(asked.map_or(pause, |asked| asked.max(pause)));
    }

    /// Lets the next attempt be made at once.
    pub fn hurry(&mut self) {
        self.retry_at = None;
    }

    /// From 0 to 1.
    fn random(&mut self) -> f64 {
        // xorshift64*
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_keep_what_was_asked_for() {
        let (initial, longest) = (Duration::from_secs(100), Duration::from_secs(800));
        let mut backoff = Backoff::new(initial, longest);
        for expected in [100, 200, 400, 800, 800, 800] {
            let before = Instant::now();
            backoff.failed(None);
            let pause = backoff.retry_at().expect("a pause") - before;
            let most = Duration::from_secs(expected);
            assert!(pause >= most / 2 && pause <= most * 2, "{pause:?} of {most:?}");
        }
        backoff.failed(Some(Duration::from_secs(5000)));
        assert!(backoff.retry_at().expect("a pause") > Instant::now() + longest * 5);
        backoff.hurry();
        assert!(backoff.retry_at().is_none() && backoff.failures() == 7);
        backoff.succeeded();
        assert_eq!(backoff.failures(), 0);
    }
}
