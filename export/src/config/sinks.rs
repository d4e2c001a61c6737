//! The keys of sinks, but those of type `otlp`, which have a file of their own.

use serde_json::Value;

use super::kind::Kind;
use super::schema::{self, COUNT, LIVE, Row};
use super::{ConfigError, Source, otlp};

const SIGNALS: Kind = Kind::SomeOf(&["logs", "spans"]);
pub(super) const ALL_SIGNALS: Kind = Kind::SomeOf(&["logs", "spans", "metrics"]);

pub(super) const SINK_TYPES: &[&str] = &["file", "console", "memory", "otlp"];

pub(super) const SINK_TYPE: Row = Row {
    path: "type",
    kind: Kind::OneOf(SINK_TYPES),
    meaning: "What kind of sink it is; required",
    ..LIVE
};
pub(super) const SINK_LEVEL: Row = Row {
    path: "level",
    kind: Kind::Level,
    default: "\"debug\"",
    meaning: "Lowest level of the logs it takes",
    ..LIVE
};
const SINK_SIGNALS: Row = Row {
    path: "signals",
    kind: SIGNALS,
    default: "[\"logs\", \"spans\"]",
    meaning: "The signals it takes",
    ..LIVE
};

const FILE: &[Row] = &[
    SINK_TYPE,
    Row {
        path: "path",
        kind: Kind::Text,
        default: "\"coati.jsonl\"",
        meaning: "The file; directories are created",
        ..LIVE
    },
    SINK_LEVEL,
    SINK_SIGNALS,
    Row {
        path: "rotate_bytes",
        kind: Kind::Int { min: 1, max: i64::MAX as u64 },
        meaning: "Size at which a new file is begun; absent: never",
        ..LIVE
    },
    Row {
        path: "rotate_seconds",
        kind: Kind::Int { min: 1, max: 10_000_000_000 },
        meaning: "Age at which a new file is begun; absent: never",
        ..LIVE
    },
    Row { path: "keep", kind: COUNT, meaning: "How many closed files stay; absent: all", ..LIVE },
    Row {
        path: "keep_days",
        kind: Kind::Int { min: 1, max: 100_000 },
        meaning: "How many days closed files stay, by modification time; absent: for good",
        ..LIVE
    },
    Row { path: "gzip", default: "false", meaning: "Closed files are compressed", ..LIVE },
    Row {
        path: "fsync",
        default: "false",
        meaning: "A flush also waits until the disk has the data",
        ..LIVE
    },
    Row {
        path: "per_process",
        default: "true",
        meaning: "A forked child writes `stem.<pid>.extension`; `false`: the same file",
        ..LIVE
    },
];

const CONSOLE: &[Row] = &[
    SINK_TYPE,
    Row {
        path: "format",
        kind: Kind::OneOf(&["auto", "pretty", "json"]),
        default: "\"auto\"",
        meaning: "`auto`: pretty on a terminal, else JSON",
        ..LIVE
    },
    Row {
        path: "stream",
        kind: Kind::OneOf(&["stderr", "stdout"]),
        default: "\"stderr\"",
        meaning: "Where it goes",
        ..LIVE
    },
    SINK_LEVEL,
    Row { kind: ALL_SIGNALS, ..SINK_SIGNALS },
];

const MEMORY: &[Row] = &[
    SINK_TYPE,
    SINK_LEVEL,
    SINK_SIGNALS,
    Row {
        path: "capacity",
        kind: Kind::Int { min: 1, max: 10_000_000 },
        default: "100000",
        meaning: "Most records held; beyond that the oldest go",
        ..LIVE
    },
];

pub(super) fn sink_rows(kind: &str) -> &'static [Row] {
    match kind {
        "file" => FILE,
        "console" => CONSOLE,
        "otlp" => otlp::SINK,
        _ => MEMORY,
    }
}

/// The normal form of one sink: every key of its type, in order.
pub(super) fn check_sink(key: &str, sink: &Value, source: &Source) -> Result<Value, ConfigError> {
    let table = sink.as_object().ok_or_else(|| {
        let accepted = format!("a table with a type out of {}", SINK_TYPES.join(", "));
        ConfigError::bad_value(key, sink, accepted, source)
    })?;
    let kind = table.get("type").unwrap_or(&Value::Null);
    let kind = SINK_TYPE.kind.check(&format!("{key}.type"), kind, source)?;
    let rows = sink_rows(kind.as_str().unwrap_or_default());
    Ok(schema::normal(rows, key, table, source)?.into())
}

/// The same of a sink as [`schema::table_leaves`].
pub(super) fn leaves(
    at: &str,
    sink: &Value,
    source: &Source,
    take: &mut dyn FnMut(String, Value, Source),
) {
    let kind = sink["type"].as_str().unwrap_or_default();
    schema::table_leaves(sink_rows(kind), at, sink, source, take);
}
