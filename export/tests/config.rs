//! Loading, layering, refusing and changing the configuration.

use std::path::Path;

use coati_core::record::Level;
use coati_core::span::sampler::{Root, Sampler};
use coati_export::config::{
    Compression, Config, ConfigError, ConsoleFormat, Durability, Endpoint, OtlpSink, Overflow,
    Protocol, Signal, Sink, Source, Sources, Stream, Temporality, defaults_table,
};
use coati_export::genai::Shown;
use proptest::prelude::*;
use serde_json::{Value, json};

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn from_env(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::load(Sources { env: env(pairs), ..Sources::default() })
}

fn from_dict(dict: Value) -> Result<Config, ConfigError> {
    Config::load(Sources { dict: Some(dict), ..Sources::default() })
}

fn refusal(result: Result<Config, ConfigError>) -> String {
    result.expect_err("it must be refused").to_string()
}

fn endpoint(config: &Config) -> Option<String> {
    config.metrics.prometheus.as_ref().map(Endpoint::address)
}

#[test]
fn variables_of_generative_ai_feed_its_keys() {
    const NAMES: &str = "OTEL_SEMCONV_STABILITY_OPT_IN";
    const CONTENT: &str = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
    let config = Config::load(Sources::default()).unwrap();
    assert_eq!((config.genai.names, config.genai.capture_content), (None, false));
    let config = from_env(&[(NAMES, "http/dup, gen_ai_latest_experimental")]).unwrap();
    assert_eq!(config.genai.names, Some(Shown::Latest));
    assert_eq!(config.source("genai.names"), Some(&Source::Environment(NAMES.into())));
    let both = [(NAMES, "gen_ai_latest_experimental"), ("COATI_GENAI_NAMES", "both")];
    assert_eq!(from_env(&both).unwrap().genai.names, Some(Shown::Both));
    assert_eq!(from_env(&[(NAMES, "http")]).unwrap().genai.names, None);
    for (text, expected) in [("True", true), ("SPAN_ONLY", true), ("span_and_event", true)]
        .into_iter()
        .chain([("false", false), ("NO_CONTENT", false), ("EVENT_ONLY", false), ("yes", false)])
    {
        let config = from_env(&[(CONTENT, text)]).unwrap();
        assert_eq!(config.genai.capture_content, expected, "{text}");
        assert_eq!(config.warnings().len(), usize::from(text == "yes"), "{text}");
    }
    let said = refusal(from_dict(json!({"genai": {"prices": {"m": {"inputs": 1}}}})));
    assert!(said.contains("genai.prices.m") && said.contains("cache_read"), "{said}");
    let said = refusal(from_dict(json!({"genai": {"prices": {"m": {"input": -1}}}})));
    assert!(said.contains("genai.prices.m.input"), "{said}");
    let config = from_dict(json!({"genai": {"prices": {"m": {"input": 2}}}})).unwrap();
    assert_eq!(config.genai.prices["m"]["input"], 2.0);
}

#[test]
fn presets_are_what_the_documentation_says() {
    let config = Config::load(Sources::default()).unwrap();
    assert_eq!(config.logs.level, Level::Debug);
    assert_eq!(config.sampler(), Sampler { root: Root::On, parent_based: true });
    assert!(!config.redaction.enabled);
    let [Sink::Console(console)] = config.sinks.as_slice() else { panic!("one console") };
    assert_eq!((console.format, console.stream), (ConsoleFormat::Auto, Stream::Stderr));
    assert_eq!(console.level, Level::Debug);
    assert_eq!(config.source("sinks"), Some(&Source::Preset("development")));
    assert!(config.service.starts_with("unknown_service:config-"), "{}", config.service);

    let config =
        Config::load(Sources { preset: Some("production"), ..Sources::default() }).unwrap();
    assert_eq!(config.logs.level, Level::Info);
    assert_eq!(config.sampler(), Sampler { root: Root::Ratio(0.1), parent_based: true });
    assert!(config.redaction.enabled);
    let [Sink::Console(console)] = config.sinks.as_slice() else { panic!("one console") };
    assert_eq!((console.format, console.stream), (ConsoleFormat::Json, Stream::Stdout));

    let config = from_env(&[("COATI_PRESET", "production")]).unwrap();
    assert_eq!(config.source("logs.level"), Some(&Source::Preset("production")));
    let said = refusal(Config::load(Sources { preset: Some("prodution"), ..Sources::default() }));
    assert!(said.contains("prodution") && said.contains("did you mean production?"), "{said}");
}

#[test]
fn stronger_sources_win() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("coati.toml");
    std::fs::write(
        &path,
        "[logs]\nlevel = \"ERROR\"\nmax_fields = 3\n[ring]\nblock_ms = 4\n\
         [[sinks]]\ntype = \"file\"\npath = \"a.jsonl\"\nrotate_bytes = 10\n",
    )
    .unwrap();
    let pairs = [
        ("OTEL_SERVICE_NAME", "otel"),
        ("COATI_SERVICE", "coati"),
        ("COATI_LOGS_LEVEL", "critical"),
        ("COATI_LOGS_MAX_FIELDS", "5"),
        ("COATI_LOGS_CALL_SITES", "True"),
        ("COATI_RING_BLOCK_MS", "9"),
        ("COATI_LOGS_DISABLED", r#"["a", "b"]"#),
        ("COATI_CONFIG_FILE", path.to_str().unwrap()),
    ];
    let config = Config::load(Sources {
        env: env(&pairs),
        dict: Some(json!({ "ring": { "block_ms": 1 }, "service": "dict" })),
        service: Some("argument"),
        ..Sources::default()
    })
    .unwrap();

    assert_eq!(config.service, "argument");
    assert_eq!(config.source("service"), Some(&Source::Argument));
    assert_eq!(config.ring.block_ms, 1);
    assert_eq!(config.source("ring.block_ms"), Some(&Source::Dict));
    assert_eq!((config.logs.level, config.logs.max_fields), (Level::Error, 3));
    assert_eq!(config.source("logs.level"), Some(&Source::File(path.clone())));
    assert!(config.logs.call_sites);
    assert_eq!(config.logs.disabled, ["a", "b"]);
    let variable = Source::Environment("COATI_LOGS_CALL_SITES".into());
    assert_eq!(config.source("logs.call_sites"), Some(&variable));
    assert_eq!(config.source("ring.bytes"), Some(&Source::Default));
    assert_eq!(config.source("ring.byte"), None);
    let [Sink::File(file)] = config.sinks.as_slice() else { panic!("the file only") };
    assert_eq!((file.rotate_bytes, file.keep, file.gzip), (Some(10), None, false));
    assert_eq!(file.signals, [Signal::Logs, Signal::Spans]);
    assert!(config.warnings().is_empty());

    let other = directory.path().join("other.toml");
    std::fs::write(&other, "").unwrap();
    let sources = Sources { env: env(&pairs), file: Some(&other), ..Sources::default() };
    let config = Config::load(sources).unwrap();
    assert_eq!((config.service.as_str(), config.logs.level), ("coati", Level::Critical));
}

#[test]
fn opentelemetry_variables_feed_the_keys() {
    let config = from_env(&[
        ("OTEL_SDK_DISABLED", "TRUE"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=from%20resource, team=a%2Cb,,region=eu=1"),
        ("COATI_RESOURCE", r#"{"team": "c", "replica": 3}"#),
        ("OTEL_PROPAGATORS", "b3, tracecontext,baggage,b3"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "20"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "10"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "7"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", ""),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "100"),
        ("OTEL_METRICS_EXPORTER", "otlp, prometheus"),
        ("OTEL_EXPORTER_PROMETHEUS_HOST", "::1"),
    ])
    .unwrap();
    assert!(!config.enabled);
    assert_eq!(config.service, "from resource");
    assert_eq!(config.propagators, ["b3", "tracecontext", "baggage"]);
    assert_eq!(config.formats().iter().count(), 3);
    let resource = serde_json::to_value(&config.resource).unwrap();
    assert_eq!(resource, json!({ "region": "eu=1", "replica": 3, "team": "c" }));
    assert_eq!(config.sampler(), Sampler { root: Root::Ratio(0.25), parent_based: false });
    assert_eq!((config.logs.max_fields, config.spans.max_attributes), (20, 10));
    assert_eq!((config.spans.max_events, config.spans.max_links), (7, 128));
    assert_eq!((config.logs.max_string, config.limits().max_span_string), (100, 100));
    assert_eq!(endpoint(&config), Some("[::1]:9464".into()));
    assert!(config.warnings().is_empty(), "{:?}", config.warnings());

    let config = from_env(&[
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "100"),
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "50"),
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "3"),
        ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "4"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "500"),
    ])
    .unwrap();
    let limits = config.limits();
    assert_eq!((limits.max_string, limits.max_span_string), (100, 50));
    assert_eq!((limits.max_event_attributes, limits.max_link_attributes), (3, 4));
    assert_eq!(config.metrics.console_interval_ms, 500);

    let config = from_env(&[("OTEL_EXPORTER_PROMETHEUS_PORT", "9000")]).unwrap();
    assert_eq!(config.metrics.prometheus, None);
    let config = from_env(&[
        ("OTEL_SERVICE_NAME", "named"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other"),
    ]);
    assert_eq!(config.unwrap().service, "named");
}

#[test]
fn bad_opentelemetry_values_and_unknown_variables_only_warn() {
    let config = from_env(&[
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "many"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "-1"),
        ("OTEL_PROPAGATORS", "tracecontext,xray"),
        ("OTEL_TRACES_SAMPLER", "xray"),
        ("OTEL_TRACES_SAMPLER_ARG", "NaN"),
        ("OTEL_SDK_DISABLED", "yes"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "99999"),
        ("COATI_LOGS_LEVL", "debug"),
    ])
    .unwrap();
    assert!(config.enabled && config.resource.is_empty());
    assert_eq!((config.spans.max_events, config.spans.max_links), (128, 128));
    assert_eq!(config.sampler(), Sampler::default());
    assert_eq!(endpoint(&config), Some("localhost:9464".into()));
    assert_eq!(config.formats(), Default::default());
    assert_eq!(config.warnings().len(), 9, "{:#?}", config.warnings());
    let last = config.warnings().last().unwrap();
    assert!(last.contains("COATI_LOGS_LEVL") && last.contains("did you mean COATI_LOGS_LEVEL?"));
}

#[test]
fn errors_name_key_value_source_and_what_is_accepted() {
    let cases = [
        (json!({ "logs": { "levle": "debug" } }), "logs.levle", r#""debug""#, "logs.level?"),
        (json!({ "log": {} }), "log", "{}", "did you mean logs?"),
        (json!({ "level": "info" }), "level", r#""info""#, "did you mean logs.level?"),
        (json!({ "logs.level": "info" }), "logs.level", "info", "level inside a table called logs"),
        (json!({ "logs": { "level": "inof" } }), "logs.level", "inof", "did you mean info?"),
        (json!({ "logs": { "level": 3 } }), "logs.level", "3", "debug, info, warning"),
        (json!({ "logs": "debug" }), "logs", "debug", "a table of level, levels"),
        (json!({ "logs": { "levels": { "a.b": "x" } } }), "logs.levels.a.b", "x", "debug, info"),
        (json!({ "logs": { "disabled": ["a", 1] } }), "logs.disabled[1]", "1", "a string"),
        (json!({ "enabled": "yes" }), "enabled", "yes", "true or false"),
        (json!({ "enabled": null }), "enabled", "null", "true or false"),
        (json!({ "service": "" }), "service", "\"\"", "not empty"),
        (json!({ "resource": { "a": [] } }), "resource.a", "[]", "string, number or boolean"),
        (json!({ "ring": { "bytes": 5000 } }), "ring.bytes", "5000", "a power of two from 4096"),
        (json!({ "ring": { "bytes": 2048 } }), "ring.bytes", "2048", "a power of two from 4096"),
        (json!({ "ring": { "total_bytes": 8192 } }), "ring.total_bytes", "8192", "1048576"),
        (json!({ "ring": { "overflow": "blok" } }), "ring.overflow", "blok", "mean block?"),
        (json!({ "spans": { "sampler_arg": 1.5 } }), "spans.sampler_arg", "1.5", "from 0 to 1"),
        (json!({ "spans": { "sampler_arg": -1 } }), "spans.sampler_arg", "-1", "a number from 0"),
        (
            json!({ "spans": { "rules": [{ "name": "a" }] } }),
            "spans.rules[0]",
            "name",
            "either sample or rate",
        ),
        (
            json!({ "spans": { "rules": [{ "sample": "sometimes" }] } }),
            "spans.rules[0].sample",
            "sometimes",
            "always, never",
        ),
        (
            json!({ "spans": { "rules": [{ "sample": 0.5, "nam": "a" }] } }),
            "spans.rules[0].nam",
            "a",
            "did you mean name?",
        ),
        (
            json!({ "spans": { "tail": { "slow": { "a": "5 parsecs" } } } }),
            "spans.tail.slow.a",
            "5 parsecs",
            "a time up to an hour",
        ),
        (json!({ "spans": { "tail": { "keeep": 1 } } }), "spans.tail.keeep", "1", "mean keep?"),
        (json!({ "spans": { "max_open": -1 } }), "spans.max_open", "-1", "an integer from 1"),
        (json!({ "metrics": { "prometheus": "9464" } }), "metrics.prometheus", "9464", "host:port"),
        (json!({ "metrics": { "prometheus": "a:+1" } }), "metrics.prometheus", "a:+1", "host:port"),
        (json!({ "sinks": {} }), "sinks", "{}", "a list of tables"),
        (json!({ "sinks": vec![json!({ "type": "memory" }); 65] }), "sinks", "65", "at most 64"),
        (json!({ "sinks": ["file"] }), "sinks[0]", "file", "a table with a type"),
        (json!({ "sinks": [{ "path": "a" }] }), "sinks[0].type", "null", "file, console, memory"),
        (json!({ "sinks": [{ "type": "fil" }] }), "sinks[0].type", "fil", "mean file?"),
        (
            json!({ "sinks": [{ "type": "memory" }, { "type": "file", "rotate_byte": 1 }] }),
            "sinks[1].rotate_byte",
            "1",
            "did you mean rotate_bytes?",
        ),
        (
            json!({ "sinks": [{ "type": "file", "signals": ["log"] }] }),
            "sinks[0].signals[0]",
            "log",
            "mean logs?",
        ),
        (json!([]), "config", "[]", "a table of sections"),
    ];
    for (dict, key, value, accepted) in cases {
        let error = from_dict(dict.clone()).expect_err(&dict.to_string());
        let said = error.to_string();
        assert_eq!(error.key(), key, "{said}");
        for part in [key, value, accepted, "config argument"] {
            assert!(said.contains(part), "{said:?} lacks {part:?}");
        }
    }
    let said = refusal(from_env(&[("COATI_LOGS_DISABLED", "a,b")]));
    assert!(said.contains("logs.disabled") && said.contains("environment COATI_LOGS_DISABLED"));
    let said = refusal(from_env(&[("COATI_CONFIG_FILE", "/nowhere/coati.toml")]));
    assert!(said.contains("/nowhere/coati.toml"), "{said}");
}

#[test]
fn the_argument_of_a_sampler_is_a_ratio_or_a_rate() {
    let rate = from_dict(json!({ "spans": { "sampler": "rate_limited", "sampler_arg": 100 } }));
    let rate = rate.unwrap();
    assert_eq!(rate.sampler(), Sampler { root: Root::Rate(100.0), parent_based: false });
    let said = refusal(rate.apply(&json!({ "spans": { "sampler": "traceidratio" } })));
    assert!(said.contains("spans.sampler_arg = 100"), "{said}");
    // Of the specification's own variables a bad one is ignored.
    let pairs = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "7")];
    let ignored = from_env(&pairs).unwrap();
    assert_eq!(ignored.sampler(), Sampler { root: Root::Ratio(1.0), parent_based: false });
    assert!(ignored.warnings()[0].contains("OTEL_TRACES_SAMPLER_ARG is ignored"));
}

#[test]
fn the_tables_of_the_readme_load() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let blocks: Vec<&str> = readme.split("```toml\n").skip(1).collect();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("coati.toml");
    for block in &blocks {
        std::fs::write(&path, block.split("```").next().unwrap()).unwrap();
        let loaded = Config::load(Sources { file: Some(&path), ..Sources::default() });
        loaded.unwrap_or_else(|error| panic!("{error} in\n{block}"));
    }
    assert!(blocks.len() > 2, "{}", blocks.len());
}

#[test]
fn times_and_shares_have_several_forms() {
    let config = from_dict(json!({ "spans": { "tail": {
        "slow": { "a": "500ms", "b": "2 s", "c": 1.5, "d": "1m", "e": "250us", "f": "1h" },
        "keep": "never",
        "rules": [{ "keep": "always" }, {}, { "keep": 0.5 }],
    } } }));
    let tail = config.unwrap().spans.tail.clone().unwrap();
    let slow: Vec<_> = tail.slow.values().copied().collect();
    assert_eq!(slow, [0.5, 2.0, 1.5, 60.0, 0.00025, 3600.0]);
    assert_eq!((tail.keep, tail.errors, tail.budget_bytes), (0.0, true, 64 << 20));
    assert_eq!(tail.rules.iter().map(|rule| rule.keep).collect::<Vec<_>>(), [1.0, 1.0, 0.5]);
    assert!(from_dict(json!({})).unwrap().spans.tail.is_none());
}

#[test]
fn rules_read_as_they_are_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("coati.toml");
    let text = r#"
        [[spans.rules]]
        name = "health*"
        attributes = { "http.route" = "/live", probe = true, n = 3 }
        sample = "never"
        [[spans.rules]]
        tracer = "jobs"
        rate = 10
    "#;
    std::fs::write(&path, text).unwrap();
    let config = Config::load(Sources { file: Some(&path), ..Sources::default() }).unwrap();
    let [health, jobs] = &config.rules()[..] else { panic!("{:?}", config.rules()) };
    assert_eq!((health.root, jobs.root), (Root::Ratio(0.0), Root::Rate(10.0)));
    assert_eq!((health.matcher.name.text(), jobs.matcher.name.text()), ("health*", "*"));
    assert_eq!((health.matcher.tracer.text(), jobs.matcher.tracer.text()), ("*", "jobs"));
    assert_eq!(health.matcher.attributes.len(), 3);
    assert!(from_env(&[("COATI_SPANS_RULES", r#"[{"sample": 0.5}]"#)]).is_ok());
}

#[test]
fn a_bad_file_says_where() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("coati.toml");
    let load = |text: &str| {
        std::fs::write(&path, text).unwrap();
        refusal(Config::load(Sources { file: Some(&path), ..Sources::default() }))
    };
    let said = load("[logs]\nlevel = \n");
    assert!(said.contains("line 2") && said.contains("coati.toml"), "{said}");
    let said = load("[logs]\nlevel = 2020-01-01\n");
    assert!(said.contains("logs.level = \"2020-01-01\" (file "), "{said}");
    let said = load("[spans]\nsampler_arg = nan\n");
    assert!(said.contains("spans.sampler_arg = \"NaN\""), "{said}");
}

#[test]
fn live_keys_change_and_restart_keys_say_so() {
    let before =
        from_dict(json!({ "service": "s", "logs": { "levels": { "a": "info" } } })).unwrap();
    let after = before
        .apply(&json!({
            "logs": { "level": "WARN", "levels": { "b": "debug" } },
            "spans": { "sampler": "always_off" },
            "redaction": { "enabled": true, "keys": ["x"] },
            "service": "s",
            "sinks": [{ "type": "memory", "capacity": 3 }],
        }))
        .unwrap();
    assert_eq!(after.logs.level, Level::Warning);
    assert_eq!(after.levels().by_name, [("b".to_owned(), Level::Debug)]);
    assert_eq!(after.source("logs.level"), Some(&Source::Configure));
    assert_eq!(after.source("ring.bytes"), Some(&Source::Default));
    assert!(matches!(after.sinks.as_slice(), [Sink::Memory(memory)] if memory.capacity == 3));
    assert_eq!(before.logs.level, Level::Debug);

    for patch in [
        json!({ "logs": { "level": "error" }, "service": "t" }),
        json!({ "durability": "crash" }),
        json!({ "resource": { "a": "b" } }),
        json!({ "ring": { "bytes": 8192 } }),
        json!({ "spans": { "max_open": 5 } }),
        json!({ "metrics": { "prometheus": "127.0.0.1:0" } }),
    ] {
        let error = before.apply(&patch).expect_err(&patch.to_string());
        assert!(matches!(error, ConfigError::NeedsRestart { .. }), "{error}");
        assert!(error.to_string().contains("needs a restart"), "{error}");
    }
    let said = refusal(before.apply(&json!({ "logs": { "levl": 1 } })));
    assert!(said.contains("logs.levl") && said.contains("configure"), "{said}");
}

#[test]
fn children_write_beside_their_parent() {
    let path = |path: &str, per_process: bool| {
        let sink = json!({ "type": "file", "path": path, "per_process": per_process });
        let config = from_dict(json!({ "sinks": [sink] })).unwrap();
        let [Sink::File(file)] = config.sinks.as_slice() else { panic!("one file") };
        file.path_in_child(7)
    };
    assert_eq!(path("logs/coati.jsonl", true), Path::new("logs/coati.7.jsonl"));
    assert_eq!(path("logs/coati", true), Path::new("logs/coati.7"));
    assert_eq!(path("logs/coati.jsonl", false), Path::new("logs/coati.jsonl"));
}

#[test]
fn ring_files_have_a_directory() {
    let config = from_dict(json!({ "durability": "crash", "durability_dir": "/var/x" })).unwrap();
    assert_eq!(config.durability, Durability::Crash);
    assert_eq!(config.ring_directory(), Path::new("/var/x"));
    let config = from_dict(json!({})).unwrap();
    assert!(config.ring_directory().starts_with(std::env::temp_dir()));
    assert_eq!(config.ring.overflow, Overflow::DropNewest);
}

#[test]
fn defaults_are_documented() {
    let table = defaults_table();
    assert!(table.contains("| `ring.bytes` | `1048576` | restart |"));
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let Ok(readme) = std::fs::read_to_string(readme) else { return };
    let Some((_, after)) = readme.split_once("<!-- defaults -->") else { return };
    let (shown, _) = after.split_once("<!-- /defaults -->").expect("an end of the table");
    assert_eq!(shown.trim(), table.trim(), "README.md shows another table");
}

#[test]
fn each_key_of_a_sink_is_shown_with_its_source_and_without_its_secrets() {
    let env = env(&[
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cret"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4318/x"),
    ]);
    let sinks = json!([{"type": "file"}, {"type": "otlp", "logs": {"headers": {"key": "s3cret"}}}]);
    let dict = Some(json!({ "sinks": sinks }));
    let config = Config::load(Sources { env, dict, ..Sources::default() }).unwrap();
    let check = |config: &Config| {
        let shown = config.shown();
        let of = |path: &str| {
            let found = shown.iter().find(|(key, ..)| key == path);
            let (_, value, source) = found.unwrap_or_else(|| panic!("{path} in {shown:#?}"));
            (value.clone(), source.to_string())
        };
        assert_eq!(of("sinks[0].type"), (json!("file"), "config argument".into()));
        assert_eq!(of("sinks[0].gzip"), (json!(false), "default".into()));
        assert_eq!(
            of("sinks[1].headers"),
            (
                json!({"authorization": "[REDACTED]"}),
                "environment OTEL_EXPORTER_OTLP_HEADERS".into()
            )
        );
        assert_eq!(
            of("sinks[1].traces.endpoint"),
            (
                json!("http://traces:4318/x"),
                "environment OTEL_EXPORTER_OTLP_TRACES_ENDPOINT".into()
            )
        );
        let own = of("sinks[1].logs.headers");
        assert_eq!(own, (json!({"key": "[REDACTED]"}), "config argument".into()));
        assert!(!format!("{shown:?}").contains("s3cret"));
    };
    check(&config);
    check(&config.apply(&json!({"logs": {"level": "error"}})).unwrap());

    let bad = json!({"sinks": [{"type": "otlp", "headers": {"bad name": "s3cret"}}]});
    let said = refusal(from_dict(bad));
    assert!(said.contains("sinks[0].headers.bad name") && !said.contains("s3cret"), "{said}");
}

fn every_key() -> Vec<String> {
    let config = Config::load(Sources::default()).unwrap();
    config.entries().map(|(path, ..)| path.to_owned()).collect()
}

fn garbage() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-zA-Z_:.0-9é\0 ]{0,12}".prop_map(Value::from),
        prop_oneof!["warn", "file", "always_on", "logs"].prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let key = prop_oneof!["type", "path", "level", "keep", "[a-z.]{0,6}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..4)
                .prop_map(|table| Value::Object(table.into_iter().collect())),
        ]
    })
}

fn nested(key: &str, value: Value) -> Value {
    match key.split_once('.') {
        Some((section, key)) => json!({ section: { key: value } }),
        None => json!({ key: value }),
    }
}

proptest! {
    #[test]
    fn garbage_is_refused_with_its_key_or_reads_back(
        index in any::<prop::sample::Index>(),
        value in garbage(),
        text in "\\PC{0,20}",
    ) {
        let keys = every_key();
        let key = index.get(&keys);
        let dict = nested(key, value);
        for result in [
            from_dict(dict.clone()),
            from_dict(json!({})).unwrap().apply(&dict),
            from_env(&[(&format!("COATI_{}", key.replace('.', "_").to_uppercase()), &text)]),
            from_dict(json!({ text.clone(): dict.clone() })),
        ] {
            match result {
                Ok(config) => prop_assert_eq!(from_dict(config.to_json()).unwrap(), config),
                Err(error) => {
                    let known = [key.as_str(), &text, "config"];
                    prop_assert!(known.iter().any(|at| error.key().starts_with(at)), "{}", error);
                }
            }
        }
    }

    #[test]
    fn a_configuration_reads_back(
        number in 0..5u8,
        bits in 12..30u32,
        ratio in 0.0..=1.0f64,
        count in 0..1_000_000usize,
        names in prop::collection::btree_map("[a-z][a-z.]{0,9}", 0..5u8, 0..4),
        keep in prop::option::of(0..1000usize),
        flag in any::<bool>(),
        overflow in prop_oneof!["block", "drop_newest", "keep_severe"],
    ) {
        let level = |number: u8| Level::from_u8(number).name();
        let levels: serde_json::Map<_, _> =
            names.into_iter().map(|(name, number)| (name, level(number).into())).collect();
        let config = from_dict(json!({
            "enabled": flag,
            "logs": { "level": level(number), "levels": levels, "max_fields": count },
            "spans": { "sampler_arg": ratio, "max_links": count },
            "ring": { "bytes": 1u64 << bits, "total_bytes": 1u64 << 30, "overflow": overflow },
            "sinks": [
                { "type": "file", "path": "x", "keep": keep, "gzip": flag },
                { "type": "memory" },
                { "type": "console", "level": level(4 - number) },
            ],
        })).unwrap();
        let again = from_dict(config.to_json()).unwrap();
        prop_assert_eq!(again.to_json(), config.to_json());
        prop_assert_eq!(again, config);
    }
}

fn otlp(config: &Config) -> &OtlpSink {
    let found = config.sinks.iter().find_map(|sink| match sink {
        Sink::Otlp(otlp) => Some(&**otlp),
        _ => None,
    });
    found.expect("an OTLP sink")
}

#[test]
fn an_otlp_sink_has_the_specifications_defaults() {
    let config = from_dict(json!({"sinks": [{"type": "otlp"}]})).unwrap();
    let sink = otlp(&config);
    assert_eq!(sink.signals, [Signal::Logs, Signal::Spans, Signal::Metrics]);
    assert_eq!(sink.target.protocol, Some(Protocol::HttpProtobuf));
    assert_eq!((sink.target.timeout_ms, sink.target.endpoint.as_ref()), (Some(10_000), None));
    assert_eq!(
        (sink.traces.delay_ms, sink.logs.delay_ms, sink.metrics.delay_ms),
        (5000, 1000, 60_000)
    );
    assert_eq!((sink.traces.batch_records, sink.traces.export_timeout_ms), (Some(512), 30_000));
    let again = from_dict(config.to_json()).unwrap();
    assert_eq!(again, config);
}

#[test]
fn variables_of_otlp_feed_a_sink_that_is_given_and_code_beats_them() {
    let env = env(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://general:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4318/x"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=b%20c,d=e"),
        ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "DELTA"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "1"),
        ("OTEL_BSP_SCHEDULE_DELAY", "7"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "99"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "many"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "11"),
    ]);
    let load = |sink: Value| {
        let dict = Some(json!({"sinks": [sink]}));
        Config::load(Sources { env: env.clone(), dict, ..Sources::default() }).unwrap()
    };
    let config = load(json!({"type": "otlp"}));
    let sink = otlp(&config);
    assert_eq!(sink.target.endpoint.as_deref(), Some("http://general:4318"));
    assert_eq!(sink.traces.target.endpoint.as_deref(), Some("http://traces:4318/x"));
    assert_eq!(sink.logs.target.endpoint, None);
    assert_eq!(sink.target.headers.as_ref().unwrap()["a"], "b c");
    assert_eq!(sink.logs.target.compression, Some(Compression::Gzip));
    assert_eq!(sink.metrics.target.protocol, Some(Protocol::Grpc));
    assert_eq!((sink.target.timeout_ms, sink.target.insecure), (Some(250), Some(false)));
    assert_eq!(sink.temporality, Temporality::Delta);
    assert_eq!((sink.traces.delay_ms, sink.metrics.delay_ms), (7, 11));
    assert_eq!((sink.logs.queue_records, sink.traces.batch_records), (Some(99), Some(512)));
    assert!(config.warnings().iter().any(|warning| warning.contains("OTEL_BSP_MAX_EXPORT")));

    let config = load(json!({
        "type": "otlp", "endpoint": "http://code", "traces": {"delay_ms": 1},
        "temporality": "cumulative",
    }));
    let sink = otlp(&config);
    assert_eq!(sink.target.endpoint.as_deref(), Some("http://code"));
    assert_eq!(sink.traces.target.endpoint, None, "code beats a signal's variable");
    assert_eq!((sink.traces.delay_ms, sink.temporality), (1, Temporality::Cumulative));
    // A sink that comes later is fed alike.
    let later = config.apply(&json!({"sinks": [{"type": "otlp"}]})).unwrap();
    assert_eq!(otlp(&later).target.endpoint.as_deref(), Some("http://general:4318"));
}

#[test]
fn variables_say_where_each_signal_goes() {
    use Signal::{Logs, Metrics, Spans};
    // What the console takes, and what is sent.
    let signals = |pairs: &[(&str, &str)]| {
        let config = from_env(pairs).unwrap();
        assert!(config.warnings().is_empty(), "{:?}", config.warnings());
        let (mut shown, mut sent) = (Vec::new(), Vec::new());
        for sink in &config.sinks {
            match sink {
                Sink::Console(console) => shown.extend(&console.signals),
                Sink::Otlp(otlp) => sent.extend(&otlp.signals),
                other => panic!("{other:?}"),
            }
        }
        (shown, sent)
    };
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4318");
    assert_eq!(signals(&[]), (vec![Logs, Spans], vec![]));
    assert_eq!(signals(&[endpoint]), (vec![Logs, Spans], vec![Spans, Logs, Metrics]));
    assert_eq!(
        signals(&[endpoint, ("OTEL_LOGS_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "console")]),
        (vec![Spans, Metrics], vec![Spans])
    );
    let both = ("OTEL_TRACES_EXPORTER", "console, otlp");
    assert_eq!(signals(&[both]), (vec![Logs, Spans], vec![Spans]));
    assert_eq!(signals(&[("OTEL_TRACES_EXPORTER", "otlp")]), (vec![Logs], vec![Spans]));
    let none = [("OTEL_TRACES_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none")];
    assert_eq!(signals(&none), (vec![], vec![]));
    let again = [none[0], none[1], ("OTEL_METRICS_EXPORTER", "console")];
    assert_eq!(signals(&again), (vec![Metrics], vec![]));
    let of_metrics = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://a:4318/m");
    assert_eq!(signals(&[of_metrics]), (vec![Logs, Spans], vec![Metrics]));
    let config = from_env(&[("OTEL_TRACES_EXPORTER", "zipkin")]).unwrap();
    let [warning] = config.warnings() else { panic!("{:?}", config.warnings()) };
    assert!(warning.contains("zipkin") && warning.contains("otlp, console, none"), "{warning}");
    let dict = Some(json!({"sinks": [{"type": "memory"}]}));
    let config =
        Config::load(Sources { env: env(&[endpoint]), dict, ..Sources::default() }).unwrap();
    assert_eq!(config.sinks.len(), 1, "code says where records go");
}

#[test]
fn bad_values_of_an_otlp_sink_are_refused_by_name() {
    let said = |sink: Value| refusal(from_dict(json!({"sinks": [sink]})));
    let bad = said(json!({"type": "otlp", "endpoint": "ftp://a"}));
    assert!(bad.contains("sinks[0].endpoint") && bad.contains("a URL"), "{bad}");
    let bad = said(json!({"type": "otlp", "endpoint": "http://user:secret@a"}));
    assert!(bad.contains("endpoint"), "{bad}");
    let bad = said(json!({"type": "otlp", "traces": {"delay": 1}}));
    assert!(bad.contains("sinks[0].traces.delay") && bad.contains("delay_ms"), "{bad}");
    let bad = said(json!({"type": "otlp", "headers": {"a b": "c"}}));
    assert!(bad.contains("sinks[0].headers.a b"), "{bad}");
    let bad = said(json!({"type": "otlp", "headers": {"a": "c\nd"}}));
    assert!(bad.contains("headers.a"), "{bad}");
    let bad = said(json!({"type": "otlp", "protocol": "http/protobof"}));
    assert!(bad.contains("did you mean http/protobuf?"), "{bad}");
    let bad = said(json!({"type": "file", "signals": ["metrics"]}));
    assert!(bad.contains("logs, spans"), "{bad}");
}

#[test]
fn the_endpoint_is_an_address_or_a_table() {
    let with = |table: Value| from_dict(json!({"metrics": {"prometheus": table}}));
    let config = with(json!({"port": 0})).unwrap();
    assert_eq!(endpoint(&config).unwrap(), "localhost:0");
    assert_eq!(config.metrics.prometheus.as_ref().unwrap().tls(), None);
    let config = with(json!({"host": "::1", "certificate": "c.pem", "key": "k.pem"})).unwrap();
    assert_eq!(endpoint(&config).unwrap(), "[::1]:9464");
    let tls = (Path::new("c.pem"), Path::new("k.pem"));
    assert_eq!(config.metrics.prometheus.as_ref().unwrap().tls(), Some(tls));
    assert_eq!(from_dict(config.to_json()).unwrap(), config);
    let variable = "COATI_METRICS_PROMETHEUS";
    let config = from_env(&[(variable, r#"{"port": 1, "bearer_token": "x"}"#)]).unwrap();
    assert_eq!(endpoint(&config).unwrap(), "localhost:1");
    assert_eq!(endpoint(&from_env(&[(variable, "[::]:2")]).unwrap()).unwrap(), "[::]:2");
}

#[test]
fn secrets_are_in_no_error_and_no_list() {
    const SECRET: &str = "hunter2";
    let with = |table: Value| from_dict(json!({"metrics": {"prometheus": table}}));
    let refused = [
        (json!({"bearer_tokn": SECRET}), "bearer_token?"),
        (json!({"bearer_token": [SECRET]}), "metrics.prometheus.bearer_token"),
        (json!({"bearer_token": "hunter2\n"}), "line breaks"),
        (json!({"password": SECRET}), "together with metrics.prometheus.username"),
        (json!({"username": "a"}), "together with metrics.prometheus.password"),
        (json!({"key": "k"}), "together with metrics.prometheus.certificate"),
        (json!({"username": "a:b", "password": SECRET}), "without a colon"),
        (json!({"username": "a", "password": SECRET, "bearer_token": SECRET}), "without"),
        (json!({"port": 65_536, "password": SECRET}), "from 0 to 65535"),
    ];
    for (table, wanted) in refused {
        let said = refusal(with(table));
        assert!(said.contains(wanted) && !said.contains(SECRET), "{said}");
    }
    let broken = format!("{{\"bearer_token\": \"{SECRET}\"");
    let said = refusal(from_env(&[("COATI_METRICS_PROMETHEUS", &broken)]));
    assert!(said.contains("COATI_METRICS_PROMETHEUS") && !said.contains(SECRET), "{said}");
    let table = json!({"username": "a", "password": SECRET});
    let said =
        refusal(from_dict(json!({})).unwrap().apply(&json!({"metrics": {"prometheus": table}})));
    assert!(said.contains("needs a restart") && !said.contains(SECRET), "{said}");

    let sink = json!({"type": "otlp", "headers": {"authorization": SECRET}, "logs": {"headers": {"x": SECRET}}});
    let config = json!({"metrics": {"prometheus": {"bearer_token": SECRET}}, "sinks": [sink]});
    let config = from_dict(config).unwrap();
    assert!(config.to_json().to_string().contains(SECRET), "the program has them");
    let shown: Vec<_> =
        config.shown().into_iter().map(|(path, value, _)| format!("{path} {value}")).collect();
    assert!(!shown.concat().contains(SECRET), "{shown:?}");
    assert!(shown.concat().contains("authorization"), "{shown:?}");
    assert!(!format!("{:?}", config.metrics).contains(SECRET));
}

#[test]
fn views_say_what_is_wrong_with_them() {
    let with = |view: Value| from_dict(json!({"metrics": {"views": [{"instrument": "a"}, view]}}));
    let refused = [
        (json!({}), "metrics.views[1].instrument"),
        (json!("a"), "metrics.views[1] = "),
        (json!({"instrument": "a", "nam": "b"}), "did you mean name?"),
        (json!({"instrument": "a", "name": "1 b"}), "a letter or `_`"),
        (json!({"instrument": "a*", "name": "b"}), "without `*` and `?`"),
        (json!({"instrument": "a", "keep": ["x"], "drop": ["y"]}), "only without"),
        (json!({"instrument": "a", "keep": "x"}), "a list of strings"),
        (json!({"instrument": "a", "buckets": [2, 1]}), "each greater than the one before"),
        (json!({"instrument": "a", "buckets": ["1"]}), "a list of finite numbers"),
        (json!({"instrument": "a", "buckets": [1], "aggregation": "drop"}), "explicit, or no"),
        (json!({"instrument": "a", "aggregation": "exponentil"}), "did you mean exponential?"),
    ];
    for (view, wanted) in refused {
        let said = refusal(with(view));
        assert!(said.contains(wanted) && said.contains("metrics.views[1]"), "{said}");
    }
    let config = with(json!({"instrument": "b.*", "buckets": [1, 2.5], "drop": ["user"]})).unwrap();
    assert_eq!(config.metrics.views[1].buckets.as_deref(), Some(&[1.0, 2.5][..]));
    let variable = r#"[{"instrument": "x", "aggregation": "drop"}]"#;
    let config = from_env(&[("COATI_METRICS_VIEWS", variable)]).unwrap();
    assert_eq!(config.metrics.views.len(), 1);
}

#[test]
fn the_readmes_files_are_accepted() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let Ok(readme) = std::fs::read_to_string(readme) else { return };
    let blocks: Vec<_> =
        readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 2);
    for block in blocks {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), block).unwrap();
        Config::load(Sources { file: Some(file.path()), ..Sources::default() }).unwrap();
    }
}
