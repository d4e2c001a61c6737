//! `[[spans.rules]]` and `[spans.tail]`: sampling by what a trace is and how it went.

use std::collections::BTreeMap;
use std::time::Duration;

use coati_core::span::rules::{Matcher, Pattern, Rule, Wanted};
use coati_core::span::sampler::{Root, Sampler, Share};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::kind::Kind;
use super::schema::{GIB, LIVE, MIB, Row};
use super::settings::Settings;
use super::{ConfigError, Source};
use crate::tail::{Policy, Slow};

const NAME: Row = Row {
    path: "name",
    kind: Kind::Text,
    default: "\"*\"",
    meaning: "Name of the span; `*` stands for any characters, `?` for one",
    ..LIVE
};
const TRACER: Row =
    Row { path: "tracer", meaning: "Name of the tracer, with the same wildcards", ..NAME };
const ATTRIBUTES: Row = Row {
    path: "attributes",
    kind: Kind::Attributes,
    default: "{}",
    meaning: "Attributes given at the start, all of which must fit; text with the same wildcards",
    ..LIVE
};

/// The keys of a rule.
pub(super) const RULE: &[Row] = &[
    NAME,
    TRACER,
    ATTRIBUTES,
    Row {
        path: "sample",
        kind: Kind::Share,
        meaning: "Share of the traces that is recorded: `always`, `never` or a ratio",
        ..LIVE
    },
    Row {
        path: "rate",
        kind: Kind::Number,
        meaning: "Instead of `sample`: most traces recorded a second",
        ..LIVE
    },
];

/// The keys of tail sampling.
pub(super) const TAIL: &[Row] = &[
    Row { path: "errors", default: "true", meaning: "Traces with a failed span are kept", ..LIVE },
    Row {
        path: "slow",
        kind: Kind::Times,
        default: "{}",
        meaning: "Traces with a span that takes so long are kept: span name with wildcards = time, \
                  such as `\"500ms\"`; the longest name that fits counts, else `default`",
        ..LIVE
    },
    Row {
        path: "rules",
        kind: Kind::Tables(TAIL_RULE),
        default: "[]",
        meaning: "What share of the others is kept, by the first rule that one of their spans fits",
        ..LIVE
    },
    Row {
        path: "keep",
        kind: Kind::Share,
        default: "0.1",
        meaning: "What share of the rest is kept, chosen by the trace id",
        ..LIVE
    },
    Row {
        path: "grace",
        kind: Kind::Seconds,
        default: "1.0",
        meaning: "How long a trace waits for late spans after its local root's end",
        ..LIVE
    },
    Row {
        path: "decide_after",
        kind: Kind::Seconds,
        default: "120.0",
        meaning: "How long a trace without an ended local root waits for its next span",
        ..LIVE
    },
    Row {
        path: "budget_bytes",
        kind: Kind::Int { min: MIB / 16, max: 64 * GIB },
        default: "67108864",
        meaning: "Memory for spans of undecided traces; beyond it the oldest are decided early",
        ..LIVE
    },
];

const TAIL_RULE: &[Row] = &[
    NAME,
    TRACER,
    Row {
        meaning: "Attributes, all of which must fit; text with the same wildcards",
        ..ATTRIBUTES
    },
    Row {
        path: "keep",
        kind: Kind::Share,
        default: "1.0",
        meaning: "Share of the traces that is kept: `always`, `never` or a ratio",
        ..LIVE
    },
];

/// `[spans.tail]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TailSampling {
    /// Whether traces with an error are kept.
    pub errors: bool,
    /// From how many seconds on a span makes its trace kept, by name with wildcards.
    pub slow: BTreeMap<String, f64>,
    /// What of the others is kept.
    pub rules: Vec<TailRule>,
    /// What share of the rest is kept.
    pub keep: f64,
    /// Seconds that a trace waits after its local root's end.
    pub grace: f64,
    /// Seconds that a trace without an ended local root waits after its last span.
    pub decide_after: f64,
    /// Memory for what waits.
    pub budget_bytes: usize,
}

/// One of `[[spans.tail.rules]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TailRule {
    /// Name of the span, with wildcards.
    pub name: String,
    /// Name of the tracer, with wildcards.
    pub tracer: String,
    /// Strings with wildcards, numbers and booleans by name.
    pub attributes: Map<String, Value>,
    /// The share kept.
    pub keep: f64,
}

impl TailSampling {
    fn policy(&self) -> Policy {
        let rule = |rule: &TailRule| {
            (matcher(&rule.name, &rule.tracer, &rule.attributes), Share::of(rule.keep))
        };
        let time = |(name, seconds): (&String, &f64)| (name.clone(), duration(*seconds));
        Policy {
            errors: self.errors,
            slow: Slow::new(self.slow.iter().map(time)),
            rules: self.rules.iter().map(rule).collect(),
            keep: Share::of(self.keep),
            grace: duration(self.grace),
            decide_after: duration(self.decide_after),
            budget_bytes: self.budget_bytes,
        }
    }
}

fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// One of `[[spans.rules]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpanRule {
    /// Name of the span, with wildcards.
    pub name: String,
    /// Name of the tracer, with wildcards.
    pub tracer: String,
    /// Strings with wildcards, numbers and booleans by name.
    pub attributes: Map<String, Value>,
    /// The share recorded.
    pub sample: Option<f64>,
    /// The most recorded a second.
    pub rate: Option<f64>,
}

impl SpanRule {
    fn core(&self) -> Rule {
        Rule {
            matcher: matcher(&self.name, &self.tracer, &self.attributes),
            root: match (self.sample, self.rate) {
                (Some(share), _) => Root::Ratio(share),
                (None, Some(rate)) => Root::Rate(rate),
                (None, None) => Root::On,
            },
        }
    }
}

pub(super) fn matcher(name: &str, tracer: &str, attributes: &Map<String, Value>) -> Matcher {
    let wanted = |value: &Value| match value {
        Value::String(text) => Wanted::Text(Pattern::new(text)),
        Value::Bool(flag) => Wanted::Bool(*flag),
        other => Wanted::Number(other.as_f64().unwrap_or(f64::NAN)),
    };
    Matcher {
        name: Pattern::new(name),
        tracer: Pattern::new(tracer),
        attributes: attributes.iter().map(|(key, value)| (key.clone(), wanted(value))).collect(),
    }
}

impl Settings {
    /// The head sampler.
    pub fn sampler(&self) -> Sampler {
        Sampler::from_name(&self.spans.sampler, self.spans.sampler_arg).unwrap_or_default()
    }

    /// What tail sampling does, where it is on.
    pub fn tail(&self) -> Option<Policy> {
        self.spans.tail.as_ref().map(TailSampling::policy)
    }

    /// The rules that come before it.
    pub fn rules(&self) -> Vec<Rule> {
        self.spans.rules.iter().map(SpanRule::core).collect()
    }
}

/// A rule says one thing of what fits.
pub(super) fn check_rules(rules: &Value, source: &Source) -> Result<(), ConfigError> {
    for (index, rule) in rules.as_array().into_iter().flatten().enumerate() {
        if rule["sample"].is_null() == rule["rate"].is_null() {
            let key = format!("spans.rules[{index}]");
            return Err(ConfigError::bad_value(key, rule, "either sample or rate", source));
        }
    }
    Ok(())
}

/// What `spans.sampler_arg` must be for this sampler, if it is not.
pub(super) fn check_arg(sampler: &Value, arg: &Value) -> Result<(), &'static str> {
    let is_rate = sampler.as_str().is_some_and(|name| name.ends_with("rate_limited"));
    if is_rate || arg.as_f64().is_some_and(|arg| arg <= 1.0) {
        return Ok(());
    }
    Err("a number from 0 to 1; with a rate-limited sampler, any from 0")
}
