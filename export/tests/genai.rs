//! Names of generative AI: recorded once, shown as the configuration says, in every output.

use std::sync::Arc;

use coati_core::hub::Hub;
use coati_core::instrument::Instrument;
use coati_core::intern::intern;
use coati_core::log::Logger;
use coati_core::metrics::{Buckets, Descriptor, Kind, LabelValue, Scope};
use coati_core::record::Level;
use coati_core::record::value::{Key, Value};
use coati_core::span::{Start, Tracer};
use coati_export::config::Sources;
use coati_export::{Config, Engine, Options};
use serde_json::{Value as Json, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn key(name: &str) -> Key<'_> {
    intern(name).map_or(Key::Text(name), Key::Id)
}

fn start(genai: Json, more: Json) -> Arc<Engine> {
    let mut dict = json!({"genai": genai, "sinks": [{"type": "memory"}]});
    for (name, value) in more.as_object().unwrap() {
        dict[name] = value.clone();
    }
    let config = Config::load(Sources { dict: Some(dict), ..Sources::default() }).unwrap();
    Engine::start(Hub::new(), config, Options::default()).unwrap()
}

/// What is shown of a span and of a log line with these fields.
fn shown(engine: &Engine, fields: &[(&str, &str)]) -> (Json, Json) {
    let hub = engine.hub().clone();
    let fields: Vec<_> =
        fields.iter().map(|&(name, value)| (key(name), Value::Str(value))).collect();
    let mut span = Tracer::new(hub.clone(), "t").start("s", Start::default());
    fields.iter().for_each(|&field| span.set_attribute(field));
    span.end(&hub, None);
    Logger::new(hub, "t").log(Level::Info, "m", &fields[..]);
    assert!(engine.flush(PATIENCE));
    let lines: Vec<Json> =
        engine.memory_records().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [span, log] = &lines[..] else { panic!("a span and a log line: {lines:?}") };
    let mut log = log.clone();
    for name in ["timestamp", "level", "logger", "message", "service"] {
        log.as_object_mut().unwrap().remove(name);
    }
    (span["attributes"].clone(), log)
}

fn both_show(names: Json, fields: &[(&str, &str)], expected: Json) {
    let engine = start(json!({"names": names}), json!({}));
    let (span, log) = shown(&engine, fields);
    assert_eq!(span, expected, "span by {names}");
    assert_eq!(log, expected, "log line by {names}");
    engine.shutdown(PATIENCE);
}

#[test]
fn what_was_recorded_by_the_newest_names() {
    let fields = [("a", "1"), ("gen_ai.provider.name", "x_ai"), ("gen_ai.request.model", "m")];
    let newest = json!({"a": "1", "gen_ai.provider.name": "x_ai", "gen_ai.request.model": "m"});
    let older = json!({"a": "1", "gen_ai.system": "xai", "gen_ai.request.model": "m"});
    both_show(Json::Null, &fields, newest.clone());
    both_show(json!("latest"), &fields, newest.clone());
    both_show(json!("older"), &fields, older);
    let mut both = newest;
    both["gen_ai.system"] = "xai".into();
    both_show(json!("both"), &fields, both);
}

#[test]
fn what_others_recorded_by_older_names() {
    let fields = [
        ("gen_ai.system", "az.ai.openai"),
        ("gen_ai.usage.prompt_tokens", "7"),
        ("gen_ai.openai.request.service_tier", "auto"),
    ];
    let recorded = json!({
        "gen_ai.system": "az.ai.openai",
        "gen_ai.usage.prompt_tokens": "7",
        "gen_ai.openai.request.service_tier": "auto",
    });
    both_show(Json::Null, &fields, recorded.clone());
    both_show(json!("older"), &fields, recorded);
    let newest = json!({
        "gen_ai.provider.name": "azure.ai.openai",
        "gen_ai.usage.input_tokens": "7",
        "openai.request.service_tier": "auto",
    });
    both_show(json!("latest"), &fields, newest.clone());
    let mut both = newest;
    both["gen_ai.system"] = "az.ai.openai".into();
    both["gen_ai.openai.request.service_tier"] = "auto".into();
    both_show(json!("both"), &fields, both);
}

#[test]
fn what_has_both_names_is_shown_once_by_each() {
    for fields in [
        [("gen_ai.provider.name", "new"), ("gen_ai.system", "old")],
        [("gen_ai.system", "old"), ("gen_ai.provider.name", "new")],
    ] {
        // Of two names for the same the last counts.
        let last = fields[1].1;
        both_show(json!("latest"), &fields, json!({"gen_ai.provider.name": last}));
        both_show(json!("older"), &fields, json!({"gen_ai.system": last}));
        let both = json!({"gen_ai.provider.name": last, "gen_ai.system": last});
        both_show(json!("both"), &fields, both);
    }
}

#[test]
fn a_secret_is_one_by_any_of_its_names() {
    for (names, recorded, secret, shown_as) in [
        ("older", "gen_ai.provider.name", "gen_ai.system", "gen_ai.system"),
        ("older", "gen_ai.provider.name", "gen_ai.provider.name", "gen_ai.system"),
        ("latest", "gen_ai.system", "gen_ai.provider.name", "gen_ai.provider.name"),
        ("both", "gen_ai.provider.name", "gen_ai.system", "gen_ai.provider.name"),
    ] {
        let redaction = json!({"redaction": {"enabled": true, "keys": [secret]}});
        let engine = start(json!({"names": names}), redaction);
        let (span, log) = shown(&engine, &[(recorded, "openai")]);
        for line in [&span, &log] {
            assert_eq!(line[shown_as], "[REDACTED]", "{recorded} by {names}");
            assert!(!line.to_string().contains("openai"), "{line}");
        }
        engine.shutdown(PATIENCE);
    }
}

#[test]
fn names_change_while_running() {
    let engine = start(json!({}), json!({}));
    let fields = [("gen_ai.provider.name", "openai")];
    assert_eq!(shown(&engine, &fields).0, json!({"gen_ai.provider.name": "openai"}));
    engine.configure(&json!({"genai": {"names": "older"}})).unwrap();
    assert_eq!(shown(&engine, &fields).0, json!({"gen_ai.system": "openai"}));
    engine.configure(&json!({"genai": {"names": null}})).unwrap();
    assert_eq!(shown(&engine, &fields).0, json!({"gen_ai.provider.name": "openai"}));
    engine.shutdown(PATIENCE);
}

#[test]
fn traces_that_wait_for_a_decision_get_their_names_once() {
    let tail = json!({
        "spans": {"tail": {"keep": 1.0, "grace": "1ms"}},
        "redaction": {"enabled": true},
    });
    let engine = start(json!({"names": "both"}), tail);
    let fields = [("gen_ai.provider.name", "x_ai"), ("password", "hunter2")];
    let hub = engine.hub().clone();
    let mut span = Tracer::new(hub.clone(), "t").start("s", Start::default());
    fields.iter().for_each(|&(name, value)| span.set_attribute((key(name), Value::Str(value))));
    span.end(&hub, None);
    assert!(engine.flush(PATIENCE));
    let line: Json = serde_json::from_str(&engine.memory_records()[0]).unwrap();
    let expected = json!({
        "gen_ai.provider.name": "x_ai",
        "password": "[REDACTED]",
        "gen_ai.system": "xai",
    });
    assert_eq!(line["attributes"], expected);
    engine.shutdown(PATIENCE);
}

/// Name and labels of every series, and the count or value of it.
fn series(engine: &Engine) -> Vec<String> {
    let mut found: Vec<_> = engine
        .prometheus_text()
        .lines()
        .filter(|line| !line.starts_with('#') && !line.contains("_bucket"))
        .filter(|line| !line.contains("_sum") && !line.contains("target_info"))
        .map(str::to_owned)
        .collect();
    found.sort();
    found
}

fn record(engine: &Engine) {
    let hub = engine.hub();
    let labels = |operation: &'static str| {
        [
            ("gen_ai.operation.name", LabelValue::Str(operation)),
            ("gen_ai.provider.name", LabelValue::Str("x_ai")),
        ]
    };
    let histogram = |name: &str, operation: &'static str| {
        let mut descriptor = Descriptor::new(name, Kind::Histogram, "s", "");
        descriptor.buckets = Buckets::Explicit([1.0, 4.0].into());
        let instrument = Instrument::new(hub.clone(), descriptor).unwrap();
        instrument.bind(&labels(operation)).record(2.0);
    };
    histogram("gen_ai.client.inference.duration", "chat");
    histogram("gen_ai.client.operation.duration", "retrieval");
    histogram("gen_ai.client.inference.operation.input_tokens", "chat");
    histogram("gen_ai.client.inference.operation.output_tokens", "chat");
    let counter =
        Descriptor::new("gen_ai.client.inference.usage.input_tokens", Kind::Counter, "", "");
    let counter = Instrument::new(hub.clone(), counter).unwrap();
    counter.bind(&labels("chat")).add_int(2);
    let other =
        Instrument::new(hub.clone(), Descriptor::new("other", Kind::Counter, "", "")).unwrap();
    other.bind(&[("gen_ai.provider.name", LabelValue::Str("x_ai"))]).add_int(1);
}

#[test]
fn metrics_are_shown_by_the_names_asked_for() {
    let engine = start(json!({"names": "older"}), json!({}));
    record(&engine);
    let chat = r#"gen_ai_operation_name="chat",gen_ai_system="xai""#;
    assert_eq!(
        series(&engine),
        [
            format!("gen_ai_client_operation_duration_seconds_count{{{chat}}} 1"),
            r#"gen_ai_client_operation_duration_seconds_count{gen_ai_operation_name="retrieval",gen_ai_system="xai"} 1"#.into(),
            format!(r#"gen_ai_client_token_usage_seconds_count{{{chat},gen_ai_token_type="input"}} 1"#),
            format!(r#"gen_ai_client_token_usage_seconds_count{{{chat},gen_ai_token_type="output"}} 1"#),
            r#"other_total{gen_ai_provider_name="x_ai"} 1"#.into(),
        ]
    );
    engine.configure(&json!({"genai": {"names": "both"}})).unwrap();
    let both = series(&engine);
    let named = |name: &str| both.iter().filter(|line| line.starts_with(name)).count();
    assert_eq!(named("gen_ai_client_inference_duration"), 1);
    assert_eq!(named("gen_ai_client_operation_duration"), 2);
    assert_eq!(named("gen_ai_client_token_usage"), 2);
    assert_eq!(named("gen_ai_client_inference_operation"), 2);
    assert_eq!(named("gen_ai_client_inference_usage_input_tokens_total"), 1);
    let labels = r#"gen_ai_provider_name="x_ai",gen_ai_system="xai""#;
    assert!(both.iter().filter(|line| line.starts_with("gen_ai")).all(|l| l.contains(labels)));
    for names in [json!("latest"), Json::Null] {
        engine.configure(&json!({"genai": {"names": names}})).unwrap();
        let newest = series(&engine);
        assert_eq!(newest.len(), 6, "{newest:?}");
        assert!(newest.iter().all(|line| !line.contains("gen_ai_system")), "{newest:?}");
    }
    engine.shutdown(PATIENCE);
}

#[test]
fn metrics_of_other_scopes_and_buckets_stay_apart() {
    let engine = start(json!({"names": "older"}), json!({}));
    let made = |name: &str, scope: Option<&str>, bounds: &[f64]| {
        let mut descriptor = Descriptor::new(name, Kind::Histogram, "s", "").with_bounds(bounds);
        descriptor.scope =
            scope.map(|name| Arc::new(Scope { name: name.into(), ..Scope::default() }));
        Instrument::new(engine.hub().clone(), descriptor).unwrap().bind(&[]).record(2.0);
    };
    let older = "gen_ai.client.operation.duration";
    made(older, Some("a"), &[1.0, 10.0]);
    made(older, Some("b"), &[2.0, 20.0]);
    made("gen_ai.client.inference.duration", None, &[1.0, 10.0]);
    made("gen_ai.client.inference.duration", Some("a"), &[1.0, 10.0]);
    let found = series(&engine);
    let name = "gen_ai_client_operation_duration";
    assert_eq!(
        found,
        [
            format!(r#"{name}_2_seconds_count{{otel_scope_name="b"}} 1"#),
            format!("{name}_seconds_count 1"),
            format!(r#"{name}_seconds_count{{otel_scope_name="a"}} 2"#),
        ]
    );
    engine.shutdown(PATIENCE);
}
