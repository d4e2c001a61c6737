//! What tail sampling keeps.

use std::time::Duration;

use coati_core::record::value::Value;
use coati_core::span::rules::{Matcher, Pattern};
use coati_core::span::sampler::Share;

/// What is kept, and how long and in how much memory spans wait for that.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Keep traces with an error.
    pub errors: bool,
    /// Keep traces with a span that takes so long, by its name.
    pub slow: Slow,
    /// What of the others, by the first rule that a span of theirs fits.
    pub rules: Vec<(Matcher, Share)>,
    /// What of the rest.
    pub keep: Share,
    /// How long a trace waits after its local root's end.
    pub grace: Duration,
    /// How long a trace waits whose local root has not ended, after its last span.
    pub decide_after: Duration,
    /// Memory for everything.
    pub budget_bytes: usize,
}

/// How long is too long, by name.
#[derive(Debug, Clone, Default)]
pub struct Slow {
    /// The longest pattern first.
    by_name: Vec<(Pattern, u64)>,
    default: Option<u64>,
    least: u64,
}

impl Slow {
    /// Of patterns that fit the longest counts; `default` is for names that none fits.
    pub fn new(thresholds: impl IntoIterator<Item = (String, Duration)>) -> Self {
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let (default, by_name): (Vec<_>, Vec<_>) =
            thresholds.into_iter().partition(|(name, _)| name == "default");
        let mut by_name: Vec<_> =
            by_name.into_iter().map(|(name, time)| (Pattern::new(&name), ns(time))).collect();
        by_name.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.text().len()));
        let default = default.first().map(|&(_, time)| ns(time));
        let all = by_name.iter().map(|&(_, time)| time).chain(default);
        Self { least: all.min().unwrap_or(u64::MAX), by_name, default }
    }

    /// Whether a span so called takes too long.
    pub fn is_slow(&self, name: &str, duration_ns: u64) -> bool {
        // Most spans are quicker than any threshold.
        if duration_ns < self.least {
            return false;
        }
        let fitting = self.by_name.iter().find(|(pattern, _)| pattern.fits(name));
        let limit = fitting.map(|&(_, limit)| limit).or(self.default);
        limit.is_some_and(|limit| duration_ns >= limit)
    }
}

/// What a decision looks at of a span.
pub struct Seen<'a> {
    /// Its trace.
    pub trace_id: coati_core::ids::TraceId,
    /// Whether nothing of the trace is above it in this process.
    pub is_local_root: bool,
    /// Whether it failed.
    pub is_error: bool,
    /// How long it took.
    pub duration_ns: u64,
    /// Its name.
    pub name: &'a str,
    /// Its tracer's name.
    pub tracer: &'a str,
    /// Its values by name.
    pub attribute: &'a dyn Fn(&str) -> Option<Value<'a>>,
}

impl Policy {
    /// The first rule that fits, before the one called `before`.
    pub(super) fn rule(&self, seen: &Seen<'_>, before: usize) -> Option<usize> {
        self.rules.iter().take(before).position(|(matcher, _)| {
            matcher.fits(seen.name, seen.tracer, |key| (seen.attribute)(key))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_pattern_counts() {
        let ms = Duration::from_millis;
        let table = [("default", 500), ("llm.*", 5_000), ("llm.embed*", 100), ("*", 9_000)];
        let slow = |table: &[(&str, u64)]| {
            Slow::new(table.iter().map(|&(name, time)| (name.to_owned(), ms(time))))
        };
        let all = slow(&table);
        for (name, time, is_slow) in [
            ("llm.chat", 4_999, false),
            ("llm.chat", 5_000, true),
            ("llm.embedding", 100, true),
            ("llm.embedding", 99, false),
            ("other", 8_999, false),
        ] {
            assert_eq!(all.is_slow(name, time * 1_000_000), is_slow, "{name} {time}");
        }
        assert!(slow(&table[..1]).is_slow("other", 500_000_000));
        assert!(!slow(&table[1..3]).is_slow("other", u64::MAX));
        assert!(!Slow::default().is_slow("other", 0), "no threshold, nothing slow");
    }
}
