//! The typed configuration. Defaults, ranges and documentation stand in the schema's rows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use coati_core::record::Level;
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::otlp::OtlpSink;
use super::sampling::{SpanRule, TailSampling};
use super::view::View;
use crate::genai::Shown;

/// Every setting of the engine, checked: what the schema's rows say holds for each of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Name of the service, on every record.
    pub service: String,
    /// Whether anything is recorded at all.
    pub enabled: bool,
    /// What a record outlives before it reaches a sink.
    pub durability: Durability,
    /// Where ring files go; see [`Settings::ring_directory`].
    pub durability_dir: Option<PathBuf>,
    /// Resource attributes other than `service.name`: strings, numbers and booleans.
    pub resource: BTreeMap<String, serde_json::Value>,
    /// Headers that carry a context; see [`Settings::formats`].
    pub propagators: Vec<String>,
    /// What is current.
    pub context: Context,
    /// Log records.
    pub logs: Logs,
    /// Spans.
    pub spans: Spans,
    /// Metrics.
    pub metrics: Metrics,
    /// Generative AI.
    pub genai: GenAi,
    /// The ring of each thread.
    pub ring: Ring,
    /// The drain thread.
    pub drain: Drain,
    /// What is masked before any sink sees it.
    pub redaction: Redaction,
    /// Where records go.
    pub sinks: Vec<Sink>,
}

impl Settings {
    /// Where the ring files of `durability = "crash"` go.
    ///
    /// Without `durability_dir` that is a directory of this user under the system's temporary
    /// one. Others may write there: whoever creates it must check its owner and mode.
    pub fn ring_directory(&self) -> PathBuf {
        self.durability_dir.clone().unwrap_or_else(|| {
            #[cfg(unix)]
            // SAFETY: geteuid has no preconditions and cannot fail.
            let user = unsafe { libc::geteuid() }.to_string();
            #[cfg(not(unix))]
            let user = "rings";
            std::env::temp_dir().join(format!("coati-{user}"))
        })
    }
}

/// What a record outlives before it reaches a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Nothing: rings are in anonymous memory.
    Memory,
    /// The death of the process: rings are in files.
    Crash,
}

/// `[context]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Names of baggage that spans and log lines carry as fields.
    pub baggage_fields: Vec<String>,
}

/// `[logs]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// Lowest level recorded.
    #[serde(with = "super::level")]
    pub level: Level,
    /// Lowest level by logger name, for it and its dotted children.
    #[serde(with = "super::level::by_name")]
    pub levels: BTreeMap<String, Level>,
    /// Loggers and tracers switched off.
    pub disabled: Vec<String>,
    /// Whether records carry file and line of the call.
    pub call_sites: bool,
    /// Longest string in bytes.
    pub max_string: usize,
    /// Most fields of a record.
    pub max_fields: usize,
}

/// `[spans]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spans {
    /// Which traces are recorded, by its `OTEL_TRACES_SAMPLER` name; see [`Settings::sampler`].
    pub sampler: String,
    /// The ratio of the ratio samplers, the traces a second of the rate-limited ones.
    pub sampler_arg: f64,
    /// What is decided by name and attributes of a trace's root.
    pub rules: Vec<SpanRule>,
    /// What is decided at the end of a trace.
    pub tail: Option<TailSampling>,
    /// Longest string in bytes; absent: as in logs.
    pub max_string: Option<usize>,
    /// Most attributes of a span.
    pub max_attributes: usize,
    /// Most attributes of an event of a span.
    pub max_event_attributes: usize,
    /// Most attributes of a link.
    pub max_link_attributes: usize,
    /// Most events of a span.
    pub max_events: usize,
    /// Most links of a span.
    pub max_links: usize,
    /// Time between two log lines of an open span; absent: none.
    pub heartbeat_seconds: Option<f64>,
    /// Time after which an open span is told to be late; absent: never.
    pub timeout_seconds: Option<f64>,
    /// Most spans open at a time.
    pub max_open: usize,
}

/// `[metrics]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Most instruments.
    pub max_instruments: usize,
    /// Most series of a metric, the overflow series included.
    pub max_series: usize,
    /// Most labels of a series.
    pub max_labels: usize,
    /// Longest text of a label, of a unit and of a description, in bytes.
    pub max_string: usize,
    /// The Prometheus endpoint.
    pub prometheus: Option<Endpoint>,
    /// Time between two prints of metrics to consoles that take them.
    pub console_interval_ms: u64,
    /// Which measurements may be exemplars.
    pub exemplars: Exemplars,
    /// Whether metrics of the process are shown.
    pub process: bool,
    /// Whether metrics of the host are shown.
    pub host: bool,
    /// Whether metrics of the language's runtime are shown, by its binding.
    pub runtime: bool,
    /// Instruments shown otherwise than they are made.
    pub views: Vec<View>,
    /// Memory for the cells that belong to one thread each.
    pub shard_bytes: usize,
}

/// Which measurements may be exemplars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exemplars {
    /// Those inside a sampled span.
    TraceBased,
    /// All.
    AlwaysOn,
    /// None.
    AlwaysOff,
}

/// `[genai]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenAi {
    /// The names by which it is shown; absent: those by which it was recorded.
    pub names: Option<Shown>,
    /// Whether messages, arguments and results are kept.
    pub capture_content: bool,
    /// By model: US dollars for a million tokens, by what they are.
    pub prices: BTreeMap<String, BTreeMap<String, f64>>,
}

/// `[ring]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ring {
    /// Size of each thread's ring: a power of two.
    pub bytes: usize,
    /// Memory for all rings together.
    pub total_bytes: usize,
    /// Largest record; the core never takes one larger than half of the ring.
    pub max_record: usize,
    /// What happens to a record that does not fit.
    pub overflow: Overflow,
    /// Longest wait for space under `block`.
    pub block_ms: u64,
}

/// What happens to a record that does not fit into its ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overflow {
    /// It is dropped and counted.
    DropNewest,
    /// The caller waits up to `block_ms`, then it is dropped and counted.
    Block,
    /// It is dropped and counted; the last share of the ring is for warnings and above.
    KeepSevere,
}

/// `[drain]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// How long records wait for older ones of other threads.
    pub merge_window_ms: u64,
    /// Most records held between the rings and the sinks.
    pub batch_records: usize,
}

/// `[redaction]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redaction {
    /// Whether anything is masked.
    pub enabled: bool,
    /// Keys masked besides the built-in ones.
    pub keys: Vec<String>,
}

/// One of `[[sinks]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Sink {
    /// JSON lines in a rotating file.
    File(FileSink),
    /// Standard output or error.
    Console(ConsoleSink),
    /// The last records, in memory.
    Memory(MemorySink),
    /// A receiver of OpenTelemetry's protocol.
    Otlp(Box<OtlpSink>),
}

impl Sink {
    /// Lowest level of the logs it takes.
    pub fn level(&self) -> Level {
        match self {
            Self::File(sink) => sink.level,
            Self::Console(sink) => sink.level,
            Self::Memory(sink) => sink.level,
            Self::Otlp(sink) => sink.level,
        }
    }

    /// Whether it takes this signal.
    pub fn wants(&self, signal: Signal) -> bool {
        match self {
            Self::File(sink) => &sink.signals,
            Self::Console(sink) => &sink.signals,
            Self::Memory(sink) => &sink.signals,
            Self::Otlp(sink) => &sink.signals,
        }
        .contains(&signal)
    }
}

/// What a sink can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Log records.
    Logs,
    /// Ended spans.
    Spans,
    /// Metrics, which sinks of type `otlp` and `console` take.
    Metrics,
}

/// A sink of type `file`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSink {
    /// The file.
    pub path: PathBuf,
    /// Lowest level of the logs it takes.
    #[serde(with = "super::level")]
    pub level: Level,
    /// The signals it takes.
    pub signals: Vec<Signal>,
    /// Size at which the file is closed and a new one begun.
    pub rotate_bytes: Option<u64>,
    /// Age at which the file is closed and a new one begun.
    pub rotate_seconds: Option<u64>,
    /// How many closed files stay.
    pub keep: Option<usize>,
    /// How many days closed files stay.
    pub keep_days: Option<u64>,
    /// Whether closed files are compressed.
    pub gzip: bool,
    /// Whether a flush also waits until the disk has the data.
    pub fsync: bool,
    /// Whether a forked child writes a file of its own.
    pub per_process: bool,
}

impl FileSink {
    /// The file of a forked child: with `per_process` the process id goes before the extension,
    /// else it is the parent's file, shared.
    pub fn path_in_child(&self, pid: u32) -> PathBuf {
        if !self.per_process {
            return self.path.clone();
        }
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let name = match self.path.extension().map(Path::new) {
            Some(extension) => format!("{stem}.{pid}.{}", extension.display()),
            None => format!("{stem}.{pid}"),
        };
        self.path.with_file_name(name)
    }
}

/// A sink of type `console`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsoleSink {
    /// How a record looks.
    pub format: ConsoleFormat,
    /// Where it goes.
    pub stream: Stream,
    /// Lowest level of the logs it takes.
    #[serde(with = "super::level")]
    pub level: Level,
    /// The signals it takes.
    pub signals: Vec<Signal>,
}

/// How a record looks on the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsoleFormat {
    /// Pretty on a terminal, else JSON.
    Auto,
    /// For people.
    Pretty,
    /// JSON lines.
    Json,
}

/// A standard stream of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A sink of type `memory`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemorySink {
    /// Lowest level of the logs it takes.
    #[serde(with = "super::level")]
    pub level: Level,
    /// The signals it takes.
    pub signals: Vec<Signal>,
    /// Most records held; beyond that the oldest go.
    pub capacity: usize,
}
