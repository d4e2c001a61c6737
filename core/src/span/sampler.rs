//! Head sampling: decided once per trace, at its root.
//!
//! A span inside another one of this process always does as that one did; who comes from another
//! process does so where the sampler is parent-based. All others are decided on here: by the first
//! rule that fits, else by the sampler.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::SpanContext;
use super::bucket::Bucket;
use super::rules::{Matcher, Rule};
use crate::clock;
use crate::ids::TraceId;
use crate::record::value::Value;

/// What decides on a trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Root {
    /// Keep all.
    On,
    /// Keep none.
    Off,
    /// Keep this share, chosen by the trace id, so that services with the same ratio agree.
    Ratio(f64),
    /// Keep at most so many a second.
    Rate(f64),
}

/// A sampler with one of the names of `OTEL_TRACES_SAMPLER`, or one that limits the rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// For traces that begin here, and for those from elsewhere unless `parent_based`.
    pub root: Root,
    /// Whether the child of a span in another process does as its parent did.
    pub parent_based: bool,
}

impl Default for Sampler {
    fn default() -> Self {
        Self { root: Root::On, parent_based: true }
    }
}

/// Names accepted by [`Sampler::from_name`].
pub const NAMES: [&str; 8] = [
    "always_on",
    "always_off",
    "traceidratio",
    "rate_limited",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
    "parentbased_rate_limited",
];

impl Sampler {
    /// The sampler called `name`; `arg` is its ratio, or how many traces it keeps a second.
    pub fn from_name(name: &str, arg: f64) -> Option<Self> {
        let (parent_based, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, name),
        };
        let root = match root {
            "always_on" => Root::On,
            "always_off" => Root::Off,
            "traceidratio" => Root::Ratio(arg.clamp(0.0, 1.0)),
            "rate_limited" => Root::Rate(arg.max(0.0)),
            _ => return None,
        };
        Some(Self { root, parent_based })
    }
}

/// A share of all traces by their ids, as OpenTelemetry's `TraceIdRatioBased` takes it: the id's
/// last 8 bytes as a number below the ratio of 2^64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// All.
    All,
    /// Those below.
    Below(u64),
}

/// As written: a power computed need not be exact everywhere.
const TWO_TO_64: f64 = 18_446_744_073_709_551_616.0;

impl Share {
    /// The share `ratio` of all.
    pub fn of(ratio: f64) -> Self {
        if ratio >= 1.0 {
            return Self::All;
        }
        // Exact but for the last rounding: a power of two changes the exponent alone.
        Self::Below((ratio * TWO_TO_64).round_ties_even() as u64)
    }

    /// Whether the trace is in it.
    #[inline(always)]
    pub fn has(self, trace_id: TraceId) -> bool {
        match self {
            Self::All => true,
            Self::Below(bound) => last_half(trace_id) < bound,
        }
    }

    /// The same for who decides on what a ratio has let through: ids are scattered, so that a share
    /// of a share is their product.
    pub fn has_apart(self, trace_id: TraceId) -> bool {
        match self {
            Self::All => true,
            // 2^64 by the golden ratio: multiples of it are spread as evenly as can be.
            Self::Below(bound) => last_half(trace_id).wrapping_mul(0x9e37_79b9_7f4a_7c15) < bound,
        }
    }
}

#[inline(always)]
fn last_half(trace_id: TraceId) -> u64 {
    let [.., a, b, c, d, e, f, g, h] = trace_id.0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// The sampler and the rules in force.
#[derive(Debug)]
pub struct Head {
    /// [`ON`], [`OFF`], [`RATIO`] or [`CAREFUL`], and bits.
    word: AtomicU64,
    /// Of [`RATIO`]: ids below it are kept.
    below: AtomicU64,
    /// Everything; asked where the word does not decide.
    whole: ArcSwap<Whole>,
}

const ON: u64 = 0;
const OFF: u64 = 1;
const RATIO: u64 = 2;
const CAREFUL: u64 = 3;
const KIND: u64 = 3;
const PARENT_BASED: u64 = 4;
const RULES: u64 = 8;

/// A sampler and rules with what they have counted.
#[derive(Debug)]
struct Whole {
    sampler: Sampler,
    otherwise: Chance,
    rules: Vec<(Rule, Chance)>,
}

#[derive(Debug, Clone)]
enum Chance {
    Share(Share),
    Rate(Arc<Bucket>),
}

impl Chance {
    /// `before`, if it was made of the same, else a new one: who is at a limit stays there.
    fn new(root: Root, before: Option<(Root, &Self)>) -> Self {
        match (root, before) {
            (Root::On, _) => Self::Share(Share::All),
            (Root::Off, _) => Self::Share(Share::Below(0)),
            (Root::Ratio(ratio), _) => Self::Share(Share::of(ratio)),
            (Root::Rate(_), Some((same, chance))) if same == root => chance.clone(),
            (Root::Rate(rate), _) => Self::Rate(Arc::new(Bucket::new(rate, clock::per_second()))),
        }
    }

    fn keeps(&self, trace_id: TraceId) -> bool {
        match self {
            Self::Share(share) => share.has(trace_id),
            Self::Rate(bucket) => bucket.take(clock::now()),
        }
    }
}

impl Whole {
    fn new(sampler: Sampler, rules: Vec<Rule>, before: Option<&Self>) -> Self {
        let with_chance = |rule: Rule| {
            let known = before.and_then(|b| b.rules.iter().find(|(known, _)| *known == rule));
            let chance = Chance::new(rule.root, known.map(|(known, chance)| (known.root, chance)));
            (rule, chance)
        };
        let known = before.map(|before| (before.sampler.root, &before.otherwise));
        let otherwise = Chance::new(sampler.root, known);
        Self { sampler, otherwise, rules: rules.into_iter().map(with_chance).collect() }
    }

    fn word(&self) -> u64 {
        let parent = if self.sampler.parent_based { PARENT_BASED } else { 0 };
        let rules = if self.rules.is_empty() { 0 } else { RULES };
        let kind = match (self.rules.is_empty(), &self.otherwise) {
            (true, Chance::Share(Share::All)) => ON,
            (true, Chance::Share(Share::Below(0))) => OFF,
            (true, Chance::Share(Share::Below(_))) => RATIO,
            _ => CAREFUL,
        };
        parent | rules | kind
    }
}

/// A root that is decided on with care.
pub struct Candidate<'a> {
    /// Its trace.
    pub trace_id: TraceId,
    /// Its name.
    pub name: &'a str,
    /// Its tracer's name.
    pub tracer: &'a str,
    /// The values it begins with, by name.
    pub attribute: &'a dyn Fn(&str) -> Option<Value<'a>>,
}

impl Default for Head {
    fn default() -> Self {
        let whole = Whole::new(Sampler::default(), Vec::new(), None);
        Self {
            word: AtomicU64::new(whole.word()),
            below: AtomicU64::new(0),
            whole: ArcSwap::from_pointee(whole),
        }
    }
}

impl Head {
    /// Replaces the sampler and the rules. Limits that stay go on where they are.
    pub fn set(&self, sampler: Sampler, rules: Vec<Rule>) {
        let before = self.whole.load();
        self.whole.store(Arc::new(Whole::new(sampler, rules, Some(&before))));
        // Until the word is of what stays: another thread may set it meanwhile.
        loop {
            let whole = self.whole.load_full();
            if let Chance::Share(Share::Below(bound)) = whole.otherwise {
                // Relaxed: the word, stored behind it, says whether it counts.
                self.below.store(bound, Ordering::Relaxed);
            }
            // Release: who meets the word finds what it refers to.
            self.word.store(whole.word(), Ordering::Release);
            if Arc::ptr_eq(&whole, &self.whole.load()) {
                return;
            }
        }
    }

    /// The sampler.
    pub fn sampler(&self) -> Sampler {
        self.whole.load().sampler
    }

    /// Whether a child of `parent` does as it did.
    #[inline(always)]
    pub fn follows(&self, parent: &SpanContext) -> bool {
        !parent.remote || self.word.load(Ordering::Relaxed) & PARENT_BASED != 0
    }

    /// Whether there are rules, which look at names and attributes.
    #[inline(always)]
    pub fn has_rules(&self) -> bool {
        self.word.load(Ordering::Relaxed) & RULES != 0
    }

    /// Whether the trace is kept, where the id alone decides.
    #[inline(always)]
    pub fn by_id(&self, trace_id: TraceId) -> Option<bool> {
        match self.word.load(Ordering::Acquire) & KIND {
            ON => Some(true),
            OFF => Some(false),
            RATIO => Some(last_half(trace_id) < self.below.load(Ordering::Relaxed)),
            _ => None,
        }
    }

    /// Whether the trace is kept.
    #[cold]
    pub fn with_care(&self, candidate: &Candidate<'_>) -> bool {
        let whole = self.whole.load();
        let fits = |matcher: &Matcher| {
            matcher.fits(candidate.name, candidate.tracer, |key| (candidate.attribute)(key))
        };
        let rule = whole.rules.iter().find(|(rule, _)| fits(&rule.matcher));
        rule.map_or(&whole.otherwise, |(_, chance)| chance).keeps(candidate.trace_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Generator;

    fn head(name: &str, arg: f64) -> Head {
        let head = Head::default();
        head.set(Sampler::from_name(name, arg).unwrap(), Vec::new());
        head
    }

    #[test]
    fn names_mean_what_they_say() {
        for name in NAMES {
            let sampler = Sampler::from_name(name, 0.25).unwrap();
            assert_eq!(head(name, 0.25).sampler(), sampler, "{name}");
            assert_eq!(sampler.parent_based, name.starts_with("parentbased_"));
        }
        assert_eq!(Sampler::from_name("sometimes", 1.0), None);
    }

    #[test]
    fn the_bound_is_that_of_the_official_kit() {
        // round(ratio * 2**64), half to even, as Python counts.
        for (ratio, bound) in [
            (0.0, 0),
            (0.1, 1_844_674_407_370_955_264),
            (0.25, 1 << 62),
            (1.0 / 3.0, 6_148_914_691_236_516_864),
            (0.999_999_999_999, 18_446_744_073_691_105_280),
            (1.5 / TWO_TO_64, 2),
            (2.5 / TWO_TO_64, 2),
            (0.4 / TWO_TO_64, 0),
        ] {
            assert_eq!(Share::of(ratio), Share::Below(bound), "{ratio}");
        }
        assert_eq!(Share::of(1.0), Share::All);
        let id = |low: u64| TraceId((0xffu128 << 120 | u128::from(low)).to_be_bytes());
        assert!(Share::of(0.25).has(id((1 << 62) - 1)) && !Share::of(0.25).has(id(1 << 62)));
        assert!(Share::All.has(id(u64::MAX)));
    }

    #[test]
    #[cfg_attr(miri, ignore = "arithmetic alone, and slow")]
    fn a_share_of_a_share_is_their_product() {
        let mut state = 4u64;
        let mut low = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state ^ state >> 31
        };
        let ids = (0..200_000).map(|_| TraceId(u128::from(low()).to_be_bytes()));
        let first: Vec<_> = ids.filter(|&id| Share::of(0.25).has(id)).collect();
        let second = first.iter().filter(|&&id| Share::of(0.1).has_apart(id)).count();
        let share = second as f64 / first.len() as f64;
        assert!((0.095..0.105).contains(&share), "{share}");
        // Also where ids are counted up.
        let counted = (1..=10_000u128).map(|id| TraceId(id.to_be_bytes()));
        let kept = counted.filter(|&id| Share::of(0.1).has_apart(id)).count();
        assert!((998..=1002).contains(&kept), "{kept}");
    }

    #[test]
    #[cfg_attr(miri, ignore = "arithmetic alone, and slow")]
    fn a_ratio_keeps_its_share_and_children_follow() {
        let generator = Generator::seeded();
        let head = head("parentbased_traceidratio", 0.1);
        let kept = (0..100_000).filter(|_| head.by_id(generator.trace_id()) == Some(true)).count();
        assert!((9_500..10_500).contains(&kept), "{kept}");
    }

    #[test]
    fn only_a_parent_elsewhere_may_be_overruled() {
        let parent = |remote| SpanContext { remote, ..SpanContext::default() };
        let based = head("parentbased_always_on", 1.0);
        assert!(based.follows(&parent(true)) && based.follows(&parent(false)));
        let free = head("always_on", 1.0);
        assert!(!free.follows(&parent(true)) && free.follows(&parent(false)));
    }

    #[test]
    fn a_limit_that_stays_goes_on_where_it_is() {
        let head = head("rate_limited", 2.0);
        let none = |_: &str| None;
        let candidate =
            Candidate { trace_id: TraceId([1; 16]), name: "n", tracer: "t", attribute: &none };
        let kept = |head: &Head| (0..100).filter(|_| head.with_care(&candidate)).count();
        assert_eq!(head.by_id(candidate.trace_id), None);
        assert!(kept(&head) >= 2);
        let before = head.whole.load_full();
        head.set(Sampler { root: Root::Rate(2.0), parent_based: true }, Vec::new());
        let after = head.whole.load_full();
        match (&before.otherwise, &after.otherwise) {
            (Chance::Rate(before), Chance::Rate(after)) => assert!(Arc::ptr_eq(before, after)),
            other => panic!("{other:?}"),
        }
        head.set(Sampler { root: Root::Rate(0.0), parent_based: true }, Vec::new());
        assert_eq!(kept(&head), 0);
    }
}
