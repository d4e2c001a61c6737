//! A limit on how often something happens in a second.

use std::sync::atomic::{AtomicU64, Ordering};

/// A token bucket in one word: the moment until which all tokens are given away, in ticks. It holds
/// the tokens of one second, at least one; so after a pause so many come through at once, and no
/// second sees more than twice as many. A forked child goes on with a copy of its own.
#[derive(Debug)]
pub struct Bucket {
    spent_until: AtomicU64,
    /// Ticks until there is another token.
    interval: u64,
    /// How far ahead of now tokens are given away.
    ahead: u64,
}

impl Bucket {
    /// A full bucket of `rate` tokens a second.
    pub fn new(rate: f64, ticks_per_second: f64) -> Self {
        // Too large a float becomes the largest integer: never, for a rate of 0.
        let interval = (ticks_per_second / rate) as u64;
        let ahead = ((rate.max(1.0) - 1.0) * ticks_per_second / rate) as u64;
        Self { spent_until: AtomicU64::new(0), interval, ahead }
    }

    /// Takes a token, if there is one.
    pub fn take(&self, now: u64) -> bool {
        if self.interval == u64::MAX {
            return false;
        }
        // Relaxed: a count of its own, nothing is published through it.
        let mut spent = self.spent_until.load(Ordering::Relaxed);
        loop {
            let from = spent.max(now);
            if from - now > self.ahead {
                return false;
            }
            let until = from.saturating_add(self.interval);
            match self.spent_until.compare_exchange_weak(
                spent,
                until,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(other) => spent = other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticks are microseconds here.
    const SECOND: u64 = 1_000_000;

    fn taken(bucket: &Bucket, times: impl Iterator<Item = u64>) -> usize {
        times.filter(|&now| bucket.take(now)).count()
    }

    #[test]
    fn a_steady_stream_gets_its_rate_after_one_burst() {
        let bucket = Bucket::new(10.0, SECOND as f64);
        let start = 5 * SECOND;
        assert_eq!(taken(&bucket, std::iter::repeat_n(start, 1000)), 10);
        // Asked every millisecond for 20 s.
        assert_eq!(taken(&bucket, (1..=20_000).map(|ms| start + ms * 1000)), 200);
        // After a pause the burst is that of a second, however long the pause.
        assert_eq!(taken(&bucket, std::iter::repeat_n(start + 1000 * SECOND, 1000)), 10);
    }

    #[test]
    fn less_than_one_a_second_is_one_now_and_then() {
        let bucket = Bucket::new(0.5, SECOND as f64);
        assert_eq!(taken(&bucket, (0..10).map(|s| 100 * SECOND + s * SECOND)), 5);
    }

    #[test]
    fn none_and_very_many() {
        assert_eq!(taken(&Bucket::new(0.0, SECOND as f64), 1..1000), 0);
        assert_eq!(taken(&Bucket::new(1e12, SECOND as f64), 1..1000), 999);
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing_away() {
        let bucket = Bucket::new(1.0, SECOND as f64);
        assert!(bucket.take(10 * SECOND));
        assert!(!bucket.take(10 * SECOND - 1) && !bucket.take(9 * SECOND));
        assert!(bucket.take(11 * SECOND));
    }

    #[test]
    fn threads_share_it() {
        let bucket = Bucket::new(100.0, SECOND as f64);
        let many = if cfg!(miri) { 60 } else { 10_000 };
        let kept: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| taken(&bucket, std::iter::repeat_n(7, many))))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(kept, 100);
    }
}
