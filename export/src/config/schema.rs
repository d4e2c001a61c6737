//! One row for each key: from it follow loading, errors, the table of defaults and `doctor`.

use coati_core::propagate::Format;
use coati_core::span::sampler::NAMES;
use serde_json::{Map, Value};

use super::error::{Refusal, nearest, show};
use super::kind::Kind;
use super::{ConfigError, Source, endpoint, otlp, sampling, view};

/// A key of the configuration.
#[derive(Debug)]
pub(super) struct Row {
    /// `section.key`, or `key` outside any section.
    pub path: &'static str,
    pub kind: Kind,
    /// As JSON; `null` makes the key optional.
    pub default: &'static str,
    /// Whether it can change while the engine runs.
    pub live: bool,
    /// The OpenTelemetry variables that feed it, first one first.
    pub otel: &'static [&'static str],
    pub meaning: &'static str,
}

impl Row {
    pub fn default(&self) -> Value {
        serde_json::from_str(self.default).unwrap_or(Value::Null)
    }

    /// Its variable: `COATI_<SECTION>_<KEY>`.
    pub fn variable(&self) -> String {
        format!("COATI_{}", self.path.replace('.', "_").to_ascii_uppercase())
    }

    fn check(&self, key: &str, value: &Value, source: &Source) -> Result<Value, ConfigError> {
        // A key that variables feed may be left to them.
        if value.is_null() && (self.default == "null" || !self.otel.is_empty()) {
            return Ok(Value::Null);
        }
        self.kind.check(key, value, source)
    }
}

pub(super) const RESTART: Row =
    Row { path: "", kind: Kind::Bool, default: "null", live: false, otel: &[], meaning: "" };
pub(super) const LIVE: Row = Row { live: true, ..RESTART };
const KIB: u64 = 1 << 10;
pub(super) const MIB: u64 = 1 << 20;
pub(super) const GIB: u64 = 1 << 30;
pub(super) const COUNT: Kind = Kind::Int { min: 0, max: MIB };
const STRING: Kind = Kind::Int { min: 0, max: 16 * MIB };
const SIGNALS: Kind = Kind::SomeOf(&["logs", "spans"]);
pub(super) const ALL_SIGNALS: Kind = Kind::SomeOf(&["logs", "spans", "metrics"]);

/// Every key outside `sinks`, and `sinks` itself.
pub(super) const ROWS: &[Row] = &[
    Row {
        path: "service",
        kind: Kind::Text,
        otel: &["OTEL_SERVICE_NAME"],
        meaning: "Name of the service; absent: `unknown_service:<program>`",
        ..RESTART
    },
    Row {
        path: "enabled",
        default: "true",
        meaning: "`false`: every call does nothing (also `OTEL_SDK_DISABLED=true`)",
        ..RESTART
    },
    Row {
        path: "durability",
        kind: Kind::OneOf(&["memory", "crash"]),
        default: "\"memory\"",
        meaning: "`crash`: rings are files that outlive the process",
        ..RESTART
    },
    Row {
        path: "durability_dir",
        kind: Kind::Text,
        meaning: "Where ring files go; absent: `coati-<uid>` in the temporary directory",
        ..RESTART
    },
    Row {
        path: "resource",
        kind: Kind::Attributes,
        default: "{}",
        meaning: "Resource attributes; layers add up (also `OTEL_RESOURCE_ATTRIBUTES`)",
        ..RESTART
    },
    Row {
        path: "propagators",
        kind: Kind::Names(&Format::NAMES),
        default: "[\"tracecontext\", \"baggage\"]",
        otel: &["OTEL_PROPAGATORS"],
        meaning: "Headers that carry a context; of those that find a span the last one counts",
        ..LIVE
    },
    Row {
        path: "context.baggage_fields",
        kind: Kind::Texts,
        default: "[]",
        meaning: "Names of baggage that spans and log lines carry as fields",
        ..LIVE
    },
    Row {
        path: "logs.level",
        kind: Kind::Level,
        default: "\"info\"",
        meaning: "Lowest level recorded",
        ..LIVE
    },
    Row {
        path: "logs.levels",
        kind: Kind::Levels,
        default: "{}",
        meaning: "Lowest level by logger name, for it and its dotted children",
        ..LIVE
    },
    Row {
        path: "logs.disabled",
        kind: Kind::Texts,
        default: "[]",
        meaning: "Loggers and tracers switched off",
        ..LIVE
    },
    Row {
        path: "logs.call_sites",
        default: "false",
        meaning: "Records carry file and line of the call",
        ..LIVE
    },
    Row {
        path: "logs.max_string",
        kind: STRING,
        default: "16384",
        otel: &["OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"],
        meaning: "Longest string in bytes, in logs and in spans without a limit of their own",
        ..LIVE
    },
    Row {
        path: "logs.max_fields",
        kind: COUNT,
        default: "128",
        otel: &["OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"],
        meaning: "Most fields of a record, bound and context ones included",
        ..LIVE
    },
    Row {
        path: "spans.sampler",
        kind: Kind::OneOf(&NAMES),
        default: "\"parentbased_always_on\"",
        otel: &["OTEL_TRACES_SAMPLER"],
        meaning: "Which traces are recorded",
        ..LIVE
    },
    Row {
        path: "spans.sampler_arg",
        kind: Kind::Number,
        default: "1.0",
        otel: &["OTEL_TRACES_SAMPLER_ARG"],
        meaning: "The ratio of the ratio samplers, the traces a second of the rate-limited ones",
        ..LIVE
    },
    Row {
        path: "spans.rules",
        kind: Kind::Tables(sampling::RULE),
        default: "[]",
        meaning: "Which traces are recorded, by what their root is: the first that fits decides, \
                  else the sampler",
        ..LIVE
    },
    Row {
        path: "spans.tail",
        kind: Kind::Table(sampling::TAIL),
        meaning: "Tail sampling: which traces are kept, decided at their end; absent: all",
        ..LIVE
    },
    Row {
        path: "spans.max_string",
        kind: STRING,
        otel: &["OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"],
        meaning: "Longest string in bytes; absent: as in logs",
        ..LIVE
    },
    Row {
        path: "spans.max_attributes",
        kind: COUNT,
        default: "128",
        otel: &["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"],
        meaning: "Most attributes of a span",
        ..LIVE
    },
    Row {
        path: "spans.max_event_attributes",
        kind: COUNT,
        default: "128",
        otel: &["OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT"],
        meaning: "Most attributes of an event of a span",
        ..LIVE
    },
    Row {
        path: "spans.max_link_attributes",
        kind: COUNT,
        default: "128",
        otel: &["OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"],
        meaning: "Most attributes of a link",
        ..LIVE
    },
    Row {
        path: "spans.max_events",
        kind: COUNT,
        default: "128",
        otel: &["OTEL_SPAN_EVENT_COUNT_LIMIT"],
        meaning: "Most events of a span",
        ..LIVE
    },
    Row {
        path: "spans.max_links",
        kind: COUNT,
        default: "128",
        otel: &["OTEL_SPAN_LINK_COUNT_LIMIT"],
        meaning: "Most links of a span",
        ..LIVE
    },
    Row {
        path: "spans.heartbeat_seconds",
        kind: Kind::Number,
        meaning: "Log lines of spans open so long, and again after each such time; absent: none",
        ..LIVE
    },
    Row {
        path: "spans.timeout_seconds",
        kind: Kind::Number,
        meaning: "Time after which an open span is told to be late; absent: never",
        ..LIVE
    },
    Row {
        path: "spans.max_open",
        kind: Kind::Int { min: 1, max: 100_000_000 },
        default: "10000",
        meaning: "Most spans open at a time",
        ..RESTART
    },
    Row {
        path: "metrics.max_instruments",
        kind: Kind::Int { min: 0, max: 100_000_000 },
        default: "10000",
        meaning: "Most instruments; what is recorded into one more is ignored and counted",
        ..RESTART
    },
    Row {
        path: "metrics.max_series",
        kind: Kind::Int { min: 1, max: 100_000_000 },
        default: "2000",
        meaning: "Most series of a metric, the overflow series included",
        ..RESTART
    },
    Row {
        path: "metrics.max_labels",
        kind: COUNT,
        default: "128",
        meaning: "Most labels of a series; the first count",
        ..RESTART
    },
    Row {
        path: "metrics.max_string",
        kind: Kind::Int { min: 0, max: MIB },
        default: "4096",
        meaning: "Longest text of a label, a unit or a description, in bytes",
        ..RESTART
    },
    Row {
        path: "metrics.prometheus",
        kind: Kind::Endpoint,
        meaning: "Address of the Prometheus endpoint, or a table of the keys below; absent: none \
                  (also `OTEL_METRICS_EXPORTER=prometheus`)",
        ..RESTART
    },
    Row {
        path: "metrics.console_interval_ms",
        kind: Kind::Int { min: 1, max: 86_400_000 },
        default: "60000",
        otel: &["OTEL_METRIC_EXPORT_INTERVAL"],
        meaning: "Time between two prints of metrics to consoles that take them",
        ..RESTART
    },
    Row {
        path: "metrics.exemplars",
        kind: Kind::OneOf(&["trace_based", "always_on", "always_off"]),
        default: "\"trace_based\"",
        otel: &["OTEL_METRICS_EXEMPLAR_FILTER"],
        meaning: "Which measurements may be exemplars: those inside a sampled span, all, or none",
        ..LIVE
    },
    Row {
        path: "metrics.process",
        default: "false",
        meaning: "Processor time, memory, threads and file descriptors of the process (Linux)",
        ..RESTART
    },
    Row {
        path: "metrics.host",
        default: "false",
        meaning: "Processor time and memory of the host (Linux)",
        ..RESTART
    },
    Row {
        path: "metrics.runtime",
        default: "false",
        meaning: "What Python's garbage collector has done",
        ..RESTART
    },
    Row {
        path: "metrics.views",
        kind: Kind::Views,
        default: "[]",
        meaning: "Instruments shown otherwise than they are made: tables of the keys below; of two \
                  for one instrument the later one counts",
        ..RESTART
    },
    Row {
        path: "metrics.shard_bytes",
        kind: Kind::Int { min: 64 * KIB, max: 64 * GIB },
        default: "67108864",
        meaning: "Memory for cells that belong to one thread; beyond it threads share cells",
        ..RESTART
    },
    Row {
        path: "ring.bytes",
        kind: Kind::PowerOfTwo { min: 4 * KIB, max: GIB },
        default: "1048576",
        meaning: "Ring of each thread",
        ..RESTART
    },
    Row {
        path: "ring.total_bytes",
        kind: Kind::Int { min: 4 * KIB, max: 1024 * GIB },
        default: "268435456",
        meaning: "All rings together, at least one ring",
        ..RESTART
    },
    Row {
        path: "ring.max_record",
        kind: Kind::Int { min: KIB, max: 64 * MIB },
        default: "262144",
        meaning: "Largest record, and never more than half of the ring",
        ..RESTART
    },
    Row {
        path: "ring.overflow",
        kind: Kind::OneOf(&["drop_newest", "block", "keep_severe"]),
        default: "\"drop_newest\"",
        meaning: "What happens to a record that does not fit",
        ..RESTART
    },
    Row {
        path: "ring.block_ms",
        kind: Kind::Int { min: 0, max: 60_000 },
        default: "100",
        meaning: "Longest wait for space under `block`",
        ..RESTART
    },
    Row {
        path: "drain.merge_window_ms",
        kind: Kind::Int { min: 0, max: 1000 },
        default: "10",
        meaning: "How long records wait for older ones of other threads",
        ..RESTART
    },
    Row {
        path: "drain.batch_records",
        kind: Kind::Int { min: 1, max: MIB },
        default: "4096",
        meaning: "Most records held between the rings and the sinks",
        ..RESTART
    },
    Row {
        path: "redaction.enabled",
        default: "true",
        meaning: "Values of sensitive keys are masked before any sink sees them",
        ..LIVE
    },
    Row {
        path: "redaction.keys",
        kind: Kind::Texts,
        default: "[]",
        meaning: "Keys masked besides the built-in ones",
        ..LIVE
    },
    Row {
        path: "sinks",
        kind: Kind::Sinks,
        default: "[]",
        meaning: "Where records go; replaces the preset's",
        ..LIVE
    },
];

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

fn sink_rows(kind: &str) -> &'static [Row] {
    match kind {
        "file" => FILE,
        "console" => CONSOLE,
        "otlp" => otlp::SINK,
        _ => MEMORY,
    }
}

/// The row of a full path.
pub(super) fn row(path: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.path == path)
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
    Ok(normal(rows, key, table, source)?.into())
}

/// The normal form of a table: every key that `rows` have, in order.
pub(super) fn check_table(
    rows: &'static [Row],
    key: &str,
    table: &Value,
    source: &Source,
) -> Result<Value, ConfigError> {
    let kind = Kind::Table(rows);
    let refuse = || ConfigError::bad_value(key, table, kind.accepts(), source);
    Ok(normal(rows, key, table.as_object().ok_or_else(refuse)?, source)?.into())
}

fn normal(
    rows: &'static [Row],
    key: &str,
    table: &Map<String, Value>,
    source: &Source,
) -> Result<Map<String, Value>, ConfigError> {
    // A key that variables feed has no value until they have been asked.
    let first = |row: &Row| if row.otel.is_empty() { row.default() } else { Value::Null };
    let mut normal: Map<String, Value> =
        rows.iter().map(|row| (row.path.to_owned(), first(row))).collect();
    read(rows, key, table, source, &mut |row, value| {
        normal.insert(row.path.to_owned(), value);
    })?;
    Ok(normal)
}

/// Hands each key of a sink in normal form to `take`, secrets masked. A value that is the default's
/// counts as coming from there.
pub(super) fn leaves(
    at: &str,
    sink: &Value,
    source: &Source,
    take: &mut dyn FnMut(String, Value, Source),
) {
    let kind = sink["type"].as_str().unwrap_or_default();
    table_leaves(sink_rows(kind), at, sink, source, take);
}

fn table_leaves(
    rows: &'static [Row],
    at: &str,
    table: &Value,
    source: &Source,
    take: &mut dyn FnMut(String, Value, Source),
) {
    for row in rows {
        let (path, value) = (format!("{at}.{}", row.path), &table[row.path]);
        match row.kind {
            // What a signal has of its own is shown where it has any.
            Kind::Table(inner) => {
                table_leaves(inner, &path, value, source, &mut |path, value, source| {
                    if !value.is_null() {
                        take(path, value, source);
                    }
                })
            }
            kind => {
                let is_default = *value == row.default();
                let source = if is_default { Source::Default } else { source.clone() };
                take(path, kind.masked(value), source);
            }
        }
    }
}

/// Hands each key of `table` that has a row to `take`, in its normal form. `at` is the path of
/// the table, empty for the whole configuration.
pub(super) fn read(
    rows: &'static [Row],
    at: &str,
    table: &Map<String, Value>,
    source: &Source,
    take: &mut dyn FnMut(&'static Row, Value),
) -> Result<(), ConfigError> {
    let whole = |path: &str| if at.is_empty() { path.to_owned() } else { format!("{at}.{path}") };
    for (key, value) in table {
        if let Some(row) = rows.iter().find(|row| row.path == key && !key.contains('.')) {
            take(row, row.check(&whole(key), value, source)?);
            continue;
        }
        if keys_in(rows, key).next().is_none() {
            return Err(unknown(rows, &whole(key), key, value, source));
        }
        let section = value.as_object().ok_or_else(|| {
            let accepted = format!("a table of {}", list(keys_in(rows, key)));
            ConfigError::bad_value(whole(key), value, accepted, source)
        })?;
        for (name, value) in section {
            let path = format!("{key}.{name}");
            match rows.iter().find(|row| row.path == path) {
                Some(row) => take(row, row.check(&whole(&path), value, source)?),
                None => return Err(unknown(rows, &whole(&path), &path, value, source)),
            }
        }
    }
    Ok(())
}

/// The keys of a section, without its name.
fn keys_in(rows: &'static [Row], section: &str) -> impl Iterator<Item = &'static str> {
    let section = section.to_owned();
    rows.iter().filter_map(move |row| row.path.strip_prefix(&section)?.strip_prefix('.'))
}

/// The sections and the keys outside any.
fn top(rows: &'static [Row]) -> Vec<&'static str> {
    let mut names: Vec<_> = rows.iter().filter_map(|row| row.path.split('.').next()).collect();
    names.dedup();
    names
}

fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

fn unknown(
    rows: &'static [Row],
    whole: &str,
    path: &str,
    value: &Value,
    source: &Source,
) -> ConfigError {
    let last = path.rsplit('.').next().unwrap_or(path);
    let section = path.split_once('.').map(|(section, _)| section);
    let siblings: Vec<_> = section.map(|name| keys_in(rows, name).collect()).unwrap_or_default();
    let same_name =
        || rows.iter().map(|row| row.path).find(|path| path.ends_with(&format!(".{last}")));
    let near = nearest(path, rows.iter().map(|row| row.path).chain(top(rows))).or_else(same_name);
    let nested = near.filter(|near| *near == path).and_then(|near| near.split_once('.'));
    ConfigError::UnknownKey(Box::new(Refusal {
        key: whole.into(),
        value: show(value),
        accepted: if siblings.is_empty() { list(top(rows)) } else { list(siblings) },
        nearest: match nested {
            Some((section, key)) => Some(format!("{key} inside a table called {section}")),
            None => near.map(Into::into),
        },
        source: source.clone(),
    }))
}

/// A row, and those of its tables.
fn with_inner(line: &mut dyn FnMut(&str, &Row), prefix: &str, row: &'static Row) {
    line(prefix, row);
    let rows = match row.kind {
        Kind::Endpoint => endpoint::ROWS,
        Kind::Views => view::ROWS,
        Kind::Tables(rows) | Kind::Table(rows) => rows,
        _ => return,
    };
    rows.iter().for_each(|inner| with_inner(line, &format!("{prefix}{}.", row.path), inner));
}

/// The table of defaults in Markdown, as the documentation shows it.
pub fn defaults_table() -> String {
    let mut text = String::from("| key | default | while running | meaning |\n|---|---|---|---|\n");
    let mut line = |prefix: &str, row: &Row| {
        let default = match row.default {
            "null" => "absent".to_owned(),
            json => format!("`{json}`"),
        };
        let live = if row.live { "live" } else { "restart" };
        text.push_str(&format!(
            "| `{prefix}{}` | {default} | {live} | {} |\n",
            row.path, row.meaning
        ));
    };
    for row in ROWS {
        with_inner(&mut line, "", row);
    }
    for kind in SINK_TYPES {
        for row in sink_rows(kind).iter().filter(|row| row.path != "type") {
            let prefix = format!("sinks({kind}).");
            line(&prefix, row);
            if let Kind::Table(rows) = row.kind {
                // Those of all signals stand above.
                let own = rows.iter().filter(|inner| !otlp::is_common(inner.path));
                own.for_each(|inner| line(&format!("{prefix}{}.", row.path), inner));
            }
        }
    }
    text
}
