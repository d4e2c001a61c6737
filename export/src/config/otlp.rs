//! Sinks of type `otlp`: their keys, their settings, and the variables that feed them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use coati_core::record::Level;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Source;
use super::env;
use super::kind::Kind;
use super::layers::Layers;
use super::schema::{COUNT, GIB, LIVE, MIB, Row};
use super::settings::Signal;
use super::sinks::{ALL_SIGNALS, SINK_LEVEL, SINK_TYPE};

/// A sink of type `otlp`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OtlpSink {
    /// Where it sends, and how.
    #[serde(flatten)]
    pub target: Target,
    /// Lowest level of the logs it takes.
    #[serde(with = "super::level")]
    pub level: Level,
    /// The signals it takes.
    pub signals: Vec<Signal>,
    /// What differs for spans.
    pub traces: SignalSettings,
    /// What differs for logs.
    pub logs: SignalSettings,
    /// What differs for metrics.
    pub metrics: SignalSettings,
    /// Largest request, before compression.
    pub batch_bytes: usize,
    /// Most bytes that wait, of each signal.
    pub queue_bytes: usize,
    /// First pause after a failure.
    pub retry_initial_ms: u64,
    /// Longest pause between two attempts.
    pub retry_max_ms: u64,
    /// Attempts that fail in a row before everything goes to the spool.
    pub breaker_failures: u32,
    /// The directory of the spool.
    pub spool: Option<PathBuf>,
    /// Most bytes in it, for each process.
    pub spool_bytes: u64,
    /// Age at which what is in it is given up.
    pub spool_seconds: u64,
    /// What counters and histograms tell.
    pub temporality: Temporality,
    /// How exponential histograms are sent.
    pub histograms: Option<Histograms>,
}

/// Where and how to send. What is absent follows from the rest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// The receiver; of a sink a base, of one signal the whole URL.
    pub endpoint: Option<String>,
    /// How it is spoken to.
    pub protocol: Option<Protocol>,
    /// Headers of each request.
    pub headers: Option<BTreeMap<String, String>>,
    /// Longest time for one attempt, connecting included.
    pub timeout_ms: Option<u64>,
    /// Whether bodies are compressed.
    pub compression: Option<Compression>,
    /// Certificates to trust, instead of the system's.
    pub certificate: Option<PathBuf>,
    /// The certificate shown to the receiver.
    pub client_certificate: Option<PathBuf>,
    /// Its key.
    pub client_key: Option<PathBuf>,
    /// Whether a gRPC endpoint without a scheme is plain.
    pub insecure: Option<bool>,
}

/// What differs for one signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalSettings {
    /// Overrides of the sink's.
    #[serde(flatten)]
    pub target: Target,
    /// How long records wait for others; of metrics the time between two exports.
    pub delay_ms: u64,
    /// Most records in a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_records: Option<usize>,
    /// Most records that wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_records: Option<usize>,
    /// How long a batch is tried before it goes to the spool or is given up.
    pub export_timeout_ms: u64,
}

/// How a receiver is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// Protobuf over HTTP/1.1.
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
    /// JSON over HTTP/1.1.
    #[serde(rename = "http/json")]
    HttpJson,
    /// Protobuf over gRPC.
    #[serde(rename = "grpc")]
    Grpc,
}

/// How bodies are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Not at all.
    None,
    /// By gzip.
    Gzip,
}

/// What counters and histograms tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Temporality {
    /// Everything since the start.
    Cumulative,
    /// What came since the last export.
    Delta,
    /// The same: observable instruments are not told apart.
    Lowmemory,
}

/// How histograms without bounds of their own are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Histograms {
    /// With the specification's default bounds.
    ExplicitBucketHistogram,
    /// As they are recorded.
    #[serde(rename = "base2_exponential_bucket_histogram")]
    Exponential,
}

impl Target {
    /// This target, with what it leaves open taken from `below`.
    pub fn over(&self, below: &Self) -> Self {
        let (own, below) = (self.clone(), below.clone());
        Self {
            endpoint: own.endpoint.or(below.endpoint),
            protocol: own.protocol.or(below.protocol),
            headers: own.headers.or(below.headers),
            timeout_ms: own.timeout_ms.or(below.timeout_ms),
            compression: own.compression.or(below.compression),
            certificate: own.certificate.or(below.certificate),
            client_certificate: own.client_certificate.or(below.client_certificate),
            client_key: own.client_key.or(below.client_key),
            insecure: own.insecure.or(below.insecure),
        }
    }
}

const MILLISECONDS: Kind = Kind::Int { min: 0, max: 86_400_000 };
const SOME_MILLISECONDS: Kind = Kind::Int { min: 1, max: 86_400_000 };

const ENDPOINT: Row = Row {
    path: "endpoint",
    kind: Kind::Url,
    otel: &["OTEL_EXPORTER_OTLP_ENDPOINT"],
    meaning: "Base URL, to which HTTP adds `/v1/traces` and so on; absent: \
              `http://localhost:4318`, of gRPC `http://localhost:4317`",
    ..LIVE
};
const PROTOCOL: Row = Row {
    path: "protocol",
    kind: Kind::OneOf(&["http/protobuf", "http/json", "grpc"]),
    default: "\"http/protobuf\"",
    otel: &["OTEL_EXPORTER_OTLP_PROTOCOL"],
    meaning: "How the receiver is spoken to",
    ..LIVE
};
const HEADERS: Row = Row {
    path: "headers",
    kind: Kind::Headers,
    default: "{}",
    otel: &["OTEL_EXPORTER_OTLP_HEADERS"],
    meaning: "Headers of each request",
    ..LIVE
};
const TIMEOUT: Row = Row {
    path: "timeout_ms",
    kind: SOME_MILLISECONDS,
    default: "10000",
    otel: &["OTEL_EXPORTER_OTLP_TIMEOUT"],
    meaning: "Longest time for one attempt, connecting included",
    ..LIVE
};
const COMPRESSION: Row = Row {
    path: "compression",
    kind: Kind::OneOf(&["none", "gzip"]),
    default: "\"none\"",
    otel: &["OTEL_EXPORTER_OTLP_COMPRESSION"],
    meaning: "How requests are compressed",
    ..LIVE
};
const CERTIFICATE: Row = Row {
    path: "certificate",
    kind: Kind::Text,
    otel: &["OTEL_EXPORTER_OTLP_CERTIFICATE"],
    meaning: "PEM file of the authorities trusted; absent: the system's",
    ..LIVE
};
const CLIENT_CERTIFICATE: Row = Row {
    path: "client_certificate",
    kind: Kind::Text,
    otel: &["OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"],
    meaning: "PEM file of the certificate shown to the receiver",
    ..LIVE
};
const CLIENT_KEY: Row = Row {
    path: "client_key",
    kind: Kind::Text,
    otel: &["OTEL_EXPORTER_OTLP_CLIENT_KEY"],
    meaning: "PEM file of its private key",
    ..LIVE
};
const INSECURE: Row = Row {
    path: "insecure",
    kind: Kind::Bool,
    default: "false",
    otel: &["OTEL_EXPORTER_OTLP_INSECURE"],
    meaning: "A gRPC endpoint without a scheme is spoken to without TLS",
    ..LIVE
};

/// The keys a signal may have apart from its sink, in the sink's own table.
const COMMON: [Row; 9] = [
    ENDPOINT,
    PROTOCOL,
    HEADERS,
    TIMEOUT,
    COMPRESSION,
    CERTIFICATE,
    CLIENT_CERTIFICATE,
    CLIENT_KEY,
    INSECURE,
];

/// Whether the key is one of them.
pub(super) fn is_common(path: &str) -> bool {
    COMMON.iter().any(|row| row.path == path)
}

/// The same key in a signal's table, where it overrides the sink's.
const fn own(row: Row) -> Row {
    Row { default: "null", ..row }
}

const DELAY: &str = "How long records wait for others to go with, in milliseconds";
const RECORDS: Kind = Kind::Int { min: 1, max: MIB };

const fn delay(default: &'static str, otel: &'static [&'static str], meaning: &'static str) -> Row {
    Row { path: "delay_ms", kind: MILLISECONDS, default, otel, meaning, ..LIVE }
}

const fn batch(otel: &'static [&'static str]) -> Row {
    let meaning = "Most records in a request";
    Row { path: "batch_records", kind: RECORDS, default: "512", otel, meaning, ..LIVE }
}

const fn queue(otel: &'static [&'static str]) -> Row {
    let meaning = "Most records that wait; absent: `queue_bytes` alone is the bound";
    Row { path: "queue_records", kind: Kind::Int { min: 1, max: GIB }, otel, meaning, ..LIVE }
}

const fn give_up(otel: &'static [&'static str]) -> Row {
    let meaning = "How long a batch is tried before it goes to the spool or is given up";
    Row {
        path: "export_timeout_ms",
        kind: SOME_MILLISECONDS,
        default: "30000",
        otel,
        meaning,
        ..LIVE
    }
}

macro_rules! table {
    ($($row:expr),* $(,)?) => {
        &[
            own(ENDPOINT), own(PROTOCOL), own(HEADERS), own(TIMEOUT), own(COMPRESSION),
            own(CERTIFICATE), own(CLIENT_CERTIFICATE), own(CLIENT_KEY), own(INSECURE), $($row),*
        ]
    };
}

const TRACES: &[Row] = table![
    delay("5000", &["OTEL_BSP_SCHEDULE_DELAY"], DELAY),
    batch(&["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"]),
    queue(&["OTEL_BSP_MAX_QUEUE_SIZE"]),
    give_up(&["OTEL_BSP_EXPORT_TIMEOUT"]),
];
const LOGS: &[Row] = table![
    delay("1000", &["OTEL_BLRP_SCHEDULE_DELAY"], DELAY),
    batch(&["OTEL_BLRP_MAX_EXPORT_BATCH_SIZE"]),
    queue(&["OTEL_BLRP_MAX_QUEUE_SIZE"]),
    give_up(&["OTEL_BLRP_EXPORT_TIMEOUT"]),
];
const METRICS: &[Row] = table![
    delay("60000", &["OTEL_METRIC_EXPORT_INTERVAL"], "Time between two exports, in milliseconds"),
    give_up(&["OTEL_METRIC_EXPORT_TIMEOUT"]),
];

const SIGNALS: [(&str, &[Row]); 3] = [("traces", TRACES), ("logs", LOGS), ("metrics", METRICS)];

/// Every key of the sink.
pub(super) const SINK: &[Row] = &[
    SINK_TYPE,
    ENDPOINT,
    PROTOCOL,
    HEADERS,
    TIMEOUT,
    COMPRESSION,
    CERTIFICATE,
    CLIENT_CERTIFICATE,
    CLIENT_KEY,
    INSECURE,
    SINK_LEVEL,
    Row {
        path: "signals",
        kind: ALL_SIGNALS,
        default: "[\"logs\", \"spans\", \"metrics\"]",
        meaning: "The signals it takes",
        ..LIVE
    },
    Row {
        path: "traces",
        kind: Kind::Table(TRACES),
        default: "{}",
        meaning: "For spans alone: any key from `endpoint` (the whole URL) to `insecure`, and these",
        ..LIVE
    },
    Row {
        path: "logs",
        kind: Kind::Table(LOGS),
        default: "{}",
        meaning: "The same for logs",
        ..LIVE
    },
    Row {
        path: "metrics",
        kind: Kind::Table(METRICS),
        default: "{}",
        meaning: "The same for metrics",
        ..LIVE
    },
    Row {
        path: "batch_bytes",
        kind: Kind::Int { min: 1024, max: GIB },
        default: "2097152",
        meaning: "Largest request, before compression",
        ..LIVE
    },
    Row {
        path: "queue_bytes",
        kind: Kind::Int { min: 64 << 10, max: 64 * GIB },
        default: "33554432",
        meaning: "Memory for what waits to be sent, for each signal; beyond it records are dropped",
        ..LIVE
    },
    Row {
        path: "retry_initial_ms",
        kind: SOME_MILLISECONDS,
        default: "1000",
        meaning: "First pause after a failure; each further one is longer, with jitter",
        ..LIVE
    },
    Row {
        path: "retry_max_ms",
        kind: SOME_MILLISECONDS,
        default: "30000",
        meaning: "Longest pause between two attempts, unless the receiver asks for more",
        ..LIVE
    },
    Row {
        path: "breaker_failures",
        kind: COUNT,
        default: "3",
        meaning: "Failures in a row after which everything goes to the spool and the receiver is \
                  only probed",
        ..LIVE
    },
    Row {
        path: "spool",
        kind: Kind::Text,
        meaning: "Directory that takes what cannot be sent; absent: it waits in memory",
        ..LIVE
    },
    Row {
        path: "spool_bytes",
        kind: Kind::Int { min: 64 << 10, max: 1024 * GIB },
        default: "268435456",
        meaning: "Most bytes in the spool, for each process; beyond it the oldest are dropped",
        ..LIVE
    },
    Row {
        path: "spool_seconds",
        kind: Kind::Int { min: 1, max: 10_000_000_000 },
        default: "86400",
        meaning: "Age at which what is in the spool is dropped",
        ..LIVE
    },
    Row {
        path: "temporality",
        kind: Kind::OneOf(&["cumulative", "delta", "lowmemory"]),
        default: "\"cumulative\"",
        otel: &["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"],
        meaning: "What counters and histograms tell: everything, or what is new",
        ..LIVE
    },
    Row {
        path: "histograms",
        kind: Kind::OneOf(&["explicit_bucket_histogram", "base2_exponential_bucket_histogram"]),
        otel: &["OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"],
        meaning: "How histograms without bounds of their own are sent; absent: exponential",
        ..LIVE
    },
];

/// What the environment says of OTLP, by key or `signal.key`, in normal form, and which variable
/// says it.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment(BTreeMap<String, (Value, String)>);

impl Environment {
    /// Gives a sink in normal form the values it leaves open, and tells `took` which of its keys
    /// came from which variable. What a program says of a key for all signals stands above what
    /// the environment says of it for one.
    pub fn complete(&self, sink: &mut Value, took: &mut dyn FnMut(&str, &str)) {
        let Some(table) = sink.as_object_mut().filter(|table| table["type"] == "otlp") else {
            return;
        };
        let said: Vec<&str> =
            COMMON.map(|row| row.path).into_iter().filter(|key| !table[*key].is_null()).collect();
        for (signal, rows) in SIGNALS {
            let Some(own) = table.get_mut(signal).and_then(Value::as_object_mut) else { continue };
            for row in rows.iter().filter(|row| !said.contains(&row.path)) {
                self.fill(row, &format!("{signal}.{}", row.path), own, took);
            }
            defaults(rows, own);
        }
        for row in SINK {
            self.fill(row, row.path, table, took);
        }
        defaults(SINK, table);
    }

    fn fill(
        &self,
        row: &Row,
        path: &str,
        table: &mut Map<String, Value>,
        took: &mut dyn FnMut(&str, &str),
    ) {
        if let Some((value, variable)) = self.0.get(path)
            && table.get(row.path).is_none_or(Value::is_null)
        {
            table.insert(row.path.to_owned(), value.clone());
            took(path, variable);
        }
    }
}

fn defaults(rows: &[Row], table: &mut Map<String, Value>) {
    for row in rows {
        let value = table.entry(row.path).or_insert(Value::Null);
        if value.is_null() {
            *value = row.default();
        }
    }
}

impl env::Environment<'_> {
    /// Reads the variables that feed sinks of type `otlp`.
    pub(super) fn read_otlp(&self, layers: &mut Layers) {
        for (signal, rows) in SIGNALS {
            for row in rows {
                let specific = |name: &&str| {
                    name.replacen("OTLP_", &format!("OTLP_{}_", signal.to_ascii_uppercase()), 1)
                };
                for name in row.otel.iter().map(specific) {
                    self.read_one(row, &format!("{signal}.{}", row.path), &name, layers);
                }
            }
        }
        for row in SINK {
            for name in row.otel {
                self.read_one(row, row.path, name, layers);
            }
        }
    }

    fn read_one(&self, row: &Row, path: &str, name: &str, layers: &mut Layers) {
        let Some(text) = self.get(name) else { return };
        let source = Source::Environment(name.to_owned());
        let value = match row.kind {
            Kind::Bool => text.trim().eq_ignore_ascii_case("true").into(),
            kind => kind.parse(text.trim()),
        };
        match row.kind.check(path, &value, &source) {
            Ok(value) => {
                layers.otlp.0.insert(path.to_owned(), (value, name.to_owned()));
            }
            Err(error) => layers.warn(format!("{error}; {name} is ignored")),
        }
    }
}
