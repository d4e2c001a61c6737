//! Every key with every kind of value: written as TOML, as environment, and as the settings
//! themselves, it reads back to an equal configuration.

use std::collections::{BTreeMap, BTreeSet};

use coati_core::record::Level;
use coati_core::span::sampler::NAMES;
use coati_export::config::{Config, Source, Sources};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

const MIB: u64 = 1 << 20;

/// Any text a file can hold that is not blank.
const ANY_TEXT: &str = "\\PC{0,8}[a-zé\"\\\\#=]\\PC{0,8}";
/// A text that is not taken for something else where no quotes tell.
const PLAIN_TEXT: &str = "[a-zé][a-zé0-9_./-]{0,12}";

fn number(range: std::ops::RangeInclusive<u64>) -> BoxedStrategy<Value> {
    let (low, high) = range.clone().into_inner();
    prop_oneof![8 => range, 1 => Just(low), 1 => Just(high)].prop_map(Value::from).boxed()
}

fn one_of(words: &'static [&'static str]) -> BoxedStrategy<Value> {
    select(words).prop_map(Value::from).boxed()
}

fn flag() -> BoxedStrategy<Value> {
    any::<bool>().prop_map(Value::from).boxed()
}

fn level() -> BoxedStrategy<Value> {
    select(&Level::ALL[..]).prop_map(|level| level.name().into()).boxed()
}

fn text(form: &'static str) -> BoxedStrategy<Value> {
    form.prop_map(Value::from).boxed()
}

fn texts(form: &'static str) -> BoxedStrategy<Value> {
    // A text given twice is kept once.
    let texts = prop::collection::hash_set(form, 0..4);
    texts.prop_map(|texts| texts.into_iter().collect()).boxed()
}

fn some_names(words: &'static [&'static str]) -> BoxedStrategy<Value> {
    subsequence(words, 0..words.len()).prop_map(Value::from).boxed()
}

fn table(form: &'static str, value: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let entries = prop::collection::btree_map(form, value, 0..4);
    entries.prop_map(|map| Value::Object(map.into_iter().collect())).boxed()
}

fn address() -> BoxedStrategy<Value> {
    let host = prop_oneof!["127\\.0\\.0\\.1", "localhost", "\\[::1\\]"];
    (host, any::<u16>()).prop_map(|(host, port)| format!("{host}:{port}").into()).boxed()
}

fn endpoint(form: &'static str) -> BoxedStrategy<Value> {
    let table = some_of(vec![
        ("host", one_of(&["localhost", "::1"])),
        ("port", number(0..=65_535)),
        ("bearer_token", text("[!-~]{1,20}")),
    ]);
    let secured = (text(form), text(form)).prop_map(|(certificate, key)| {
        serde_json::json!({"certificate": certificate, "key": key, "username": "a", "password": "b"})
    });
    prop_oneof![address(), table.prop_map(Value::Object), secured].boxed()
}

fn view(form: &'static str) -> BoxedStrategy<Value> {
    let bounds = prop::collection::btree_set(-1000..1000i32, 0..5)
        .prop_map(|bounds| bounds.into_iter().map(f64::from).map(Value::from).collect());
    let aggregation = prop_oneof![
        bounds.prop_map(|bounds: Vec<Value>| ("buckets", Value::from(bounds))),
        one_of(&["exponential", "explicit", "drop"]).prop_map(|word| ("aggregation", word)),
    ];
    let labels = (one_of(&["keep", "drop"]), texts(form));
    let name = "[a-z][a-z.]{0,9}";
    (name, name, text(form), labels, aggregation)
        .prop_map(|(instrument, name, description, (which, labels), (how, value))| {
            let mut view = json!({"name": name, "description": description});
            for key in
                ["instrument", "name", "description", "keep", "drop", "buckets", "aggregation"]
            {
                view[key] = view.get(key).cloned().unwrap_or_default();
            }
            view["instrument"] = instrument.into();
            view[which.as_str().unwrap()] = labels;
            view[how] = value;
            view
        })
        .boxed()
}

fn attribute(form: &'static str) -> BoxedStrategy<Value> {
    let fraction = (-1e9..1e9f64).prop_map(Value::from);
    prop_oneof![text(form), any::<i64>().prop_map(Value::from), fraction, flag()].boxed()
}

/// Some of these keys, each with a value.
fn some_of(keys: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Map<String, Value>> {
    let fields =
        keys.into_iter().map(|(key, value)| prop::option::weighted(0.7, (Just(key), value)));
    let fields: Vec<_> = fields.collect();
    let object = |fields: Vec<Option<(&str, Value)>>| {
        fields.into_iter().flatten().map(|(key, value)| (key.to_owned(), value)).collect()
    };
    fields.prop_map(object).boxed()
}

fn sink(form: &'static str) -> BoxedStrategy<Value> {
    let signals = || subsequence(vec!["logs", "spans"], 1..=2).prop_map(Value::from).boxed();
    let common = || vec![("level", level()), ("signals", signals())];
    let of = |kind: &'static str, more: Vec<(&'static str, BoxedStrategy<Value>)>| {
        some_of(common().into_iter().chain(more).collect()).prop_map(move |mut sink| {
            sink.insert("type".into(), kind.into());
            Value::Object(sink)
        })
    };
    prop_oneof![
        of(
            "file",
            vec![
                ("path", text(form)),
                ("rotate_bytes", number(1..=i64::MAX as u64)),
                ("rotate_seconds", number(1..=10_000_000_000)),
                ("keep", number(0..=MIB)),
                ("keep_days", number(1..=100_000)),
                ("gzip", flag()),
                ("fsync", flag()),
                ("per_process", flag()),
            ]
        ),
        of(
            "console",
            vec![
                ("format", one_of(&["auto", "pretty", "json"])),
                ("stream", one_of(&["stderr", "stdout"])),
            ]
        ),
        of("memory", vec![("capacity", number(1..=10_000_000))]),
    ]
    .boxed()
}

fn share() -> BoxedStrategy<Value> {
    (0.0..=1.0f64).prop_map(Value::from).boxed()
}

/// A number of seconds.
fn time() -> BoxedStrategy<Value> {
    (0.0..3600.0f64).prop_map(Value::from).boxed()
}

fn tail(form: &'static str) -> BoxedStrategy<Value> {
    let rule = some_of(vec![
        ("name", text(form)),
        ("tracer", text(form)),
        ("attributes", table(form, attribute(form))),
        ("keep", share()),
    ]);
    let rules = prop::collection::vec(rule.prop_map(Value::from), 0..3).prop_map(Value::from);
    let all = some_of(vec![
        ("errors", flag()),
        ("slow", table(form, time())),
        ("rules", rules.boxed()),
        ("keep", share()),
        ("grace", time()),
        ("decide_after", time()),
        ("budget_bytes", number(64 << 10..=64 << 30)),
    ]);
    all.prop_map(Value::from).boxed()
}

/// Names, attributes, and one of `sample` and `rate`.
fn rules(form: &'static str) -> BoxedStrategy<Value> {
    let verdict = prop_oneof![
        share().prop_map(|share| ("sample", share)),
        (0.0..1e6f64).prop_map(|rate| ("rate", rate.into())),
    ];
    let matching = some_of(vec![
        ("name", text(form)),
        ("tracer", text(form)),
        ("attributes", table(form, attribute(form))),
    ]);
    let rule = (matching, verdict).prop_map(|(mut rule, (key, value))| {
        rule.insert(key.into(), value);
        Value::Object(rule)
    });
    prop::collection::vec(rule, 0..3).prop_map(Value::from).boxed()
}

/// What a model costs.
fn prices() -> BoxedStrategy<Value> {
    let dollars = || (0.0..1e3f64).prop_map(Value::from).boxed();
    let all = ["input", "output", "cache_read", "cache_write"].map(|what| (what, dollars()));
    some_of(all.into()).prop_map(Value::from).boxed()
}

/// What each key takes, by its path.
fn keys(form: &'static str) -> Vec<(&'static str, BoxedStrategy<Value>)> {
    let power = (12..=30u32).prop_map(|bits| Value::from(1u64 << bits)).boxed();
    vec![
        ("service", text(form)),
        ("enabled", flag()),
        ("durability", one_of(&["memory", "crash"])),
        ("durability_dir", text(form)),
        ("resource", table(form, attribute(form))),
        (
            "propagators",
            some_names(&["tracecontext", "baggage", "b3", "b3multi", "jaeger", "none"]),
        ),
        ("context.baggage_fields", texts(form)),
        ("logs.level", level()),
        ("logs.levels", table(form, level())),
        ("logs.disabled", texts(form)),
        ("logs.call_sites", flag()),
        ("logs.max_string", number(0..=16 * MIB)),
        ("logs.max_fields", number(0..=MIB)),
        ("spans.sampler", one_of(&NAMES)),
        ("spans.sampler_arg", (0.0..=1.0f64).prop_map(Value::from).boxed()),
        ("spans.rules", rules(form)),
        ("spans.tail", tail(form)),
        ("spans.max_attributes", number(0..=MIB)),
        ("spans.max_events", number(0..=MIB)),
        ("spans.max_links", number(0..=MIB)),
        ("spans.max_string", number(0..=16 * MIB)),
        ("spans.max_event_attributes", number(0..=MIB)),
        ("spans.max_link_attributes", number(0..=MIB)),
        ("metrics.console_interval_ms", number(100..=3_600_000)),
        ("spans.heartbeat_seconds", (0.0..1e6f64).prop_map(Value::from).boxed()),
        ("spans.timeout_seconds", (0.0..1e6f64).prop_map(Value::from).boxed()),
        ("spans.max_open", number(1..=100_000_000)),
        ("metrics.max_instruments", number(0..=100_000_000)),
        ("metrics.max_series", number(1..=100_000_000)),
        ("metrics.max_labels", number(0..=MIB)),
        ("metrics.max_string", number(0..=MIB)),
        ("metrics.prometheus", endpoint(form)),
        ("metrics.exemplars", one_of(&["trace_based", "always_on", "always_off"])),
        ("metrics.process", flag()),
        ("metrics.host", flag()),
        ("metrics.runtime", flag()),
        ("metrics.views", prop::collection::vec(view(form), 0..3).prop_map(Value::from).boxed()),
        ("metrics.shard_bytes", number(64 << 10..=64 << 30)),
        ("genai.names", one_of(&["latest", "older", "both"])),
        ("genai.capture_content", flag()),
        ("genai.prices", table(form, prices())),
        ("ring.bytes", power),
        // Never less than one ring.
        ("ring.total_bytes", number(1 << 30..=1 << 40)),
        ("ring.max_record", number(1 << 10..=64 << 20)),
        ("ring.overflow", one_of(&["drop_newest", "block", "keep_severe"])),
        ("ring.block_ms", number(0..=60_000)),
        ("drain.merge_window_ms", number(0..=1000)),
        ("drain.batch_records", number(1..=MIB)),
        ("redaction.enabled", flag()),
        ("redaction.keys", texts(form)),
        ("sinks", prop::collection::vec(sink(form), 0..4).prop_map(Value::from).boxed()),
    ]
}

/// Some keys with their values, a flat map by path. `ring.total_bytes` is always among them, as
/// its default may be less than a ring.
fn settings(form: &'static str) -> impl Strategy<Value = BTreeMap<String, Value>> {
    (some_of(keys(form)), number(1 << 30..=1 << 40)).prop_map(|(given, total)| {
        let mut given: BTreeMap<_, _> = given.into_iter().collect();
        given.entry("ring.total_bytes".into()).or_insert(total);
        given
    })
}

fn nested(flat: &BTreeMap<String, Value>) -> Value {
    let mut tree = Map::new();
    for (path, value) in flat {
        match path.split_once('.') {
            None => tree.insert(path.clone(), value.clone()),
            Some((section, key)) => {
                let section = tree.entry(section).or_insert_with(|| json!({}));
                section.as_object_mut().unwrap().insert(key.into(), value.clone())
            }
        };
    }
    tree.into()
}

/// Without what is absent, for which TOML has no word.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let present = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(present.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Value::Array(list) => list.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

fn from_dict(dict: Value) -> Config {
    Config::load(Sources { dict: Some(dict), ..Sources::default() }).unwrap()
}

fn from_toml(tree: Value) -> Config {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), toml::to_string(&without_nulls(tree)).unwrap()).unwrap();
    Config::load(Sources { file: Some(file.path()), ..Sources::default() }).unwrap()
}

/// What was given is there; other keys of tables have their defaults.
fn has(found: &Value, given: &Value, path: &str) -> Result<(), TestCaseError> {
    match (found, given) {
        (Value::Object(found), Value::Object(given)) => {
            for (key, value) in given {
                prop_assert!(found.contains_key(key), "{}: {}", path, key);
                has(&found[key], value, path)?;
            }
        }
        (Value::Array(found), Value::Array(given)) => {
            prop_assert_eq!(found.len(), given.len());
            found.iter().zip(given).try_for_each(|(found, given)| has(found, given, path))?;
        }
        _ => prop_assert_eq!(found, given, "{}", path),
    }
    Ok(())
}

/// What was given is in force, and said to come from where it was given.
fn holds(config: &Config, flat: &BTreeMap<String, Value>) -> Result<(), TestCaseError> {
    let found: BTreeMap<_, _> = config.entries().map(|(path, value, _)| (path, value)).collect();
    for (path, value) in flat {
        if ["sinks", "spans.rules", "spans.tail", "metrics.prometheus"].contains(&path.as_str()) {
            has(&found[path.as_str()], value, path)?;
        } else {
            prop_assert_eq!(&found[path.as_str()], value, "{}", path);
        }
        prop_assert_ne!(config.source(path), Some(&Source::Default), "{}", path);
    }
    Ok(())
}

#[test]
fn every_key_is_tried() {
    let tried: BTreeSet<_> = keys(ANY_TEXT).into_iter().map(|(path, _)| path).collect();
    let config = from_dict(json!({}));
    let all: BTreeSet<_> = config.entries().map(|(path, ..)| path).collect();
    assert_eq!(tried, all);
}

proptest! {
    #[test]
    fn a_file_reads_back(flat in settings(ANY_TEXT)) {
        let config = from_toml(nested(&flat));
        holds(&config, &flat)?;
        // And what was read, written with all its defaults, is the same again.
        prop_assert_eq!(&from_toml(config.to_json()), &config);
        prop_assert_eq!(&from_dict(config.to_json()), &config);
    }

    #[test]
    fn an_environment_reads_back(flat in settings(PLAIN_TEXT)) {
        let variable = |(path, value): (&String, &Value)| {
            let name = format!("COATI_{}", path.replace('.', "_").to_uppercase());
            (name, value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        };
        let env = flat.iter().map(variable).collect();
        let config = Config::load(Sources { env, ..Sources::default() }).unwrap();
        holds(&config, &flat)?;
        prop_assert!(config.warnings().is_empty(), "{:?}", config.warnings());
        prop_assert_eq!(config, from_dict(nested(&flat)));
    }
}
