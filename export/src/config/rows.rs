//! Every key outside sinks.

use coati_core::propagate::Format;
use coati_core::span::sampler::NAMES;

use super::kind::Kind;
use super::sampling;
use super::schema::{COUNT, GIB, KIB, LIVE, MIB, RESTART, Row};

const STRING: Kind = Kind::Int { min: 0, max: 16 * MIB };

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
        path: "genai.names",
        kind: Kind::OneOf(&["latest", "older", "both"]),
        meaning: "Names of generative AI that go out: the newest, those of version 1.36, or both; \
                  absent: as recorded, by coati the newest (`latest` also by \
                  `OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental`)",
        ..LIVE
    },
    Row {
        path: "genai.capture_content",
        default: "false",
        meaning: "Messages, arguments and results of models and tools are kept (also \
                  `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`)",
        ..LIVE
    },
    Row {
        path: "genai.prices",
        kind: Kind::Prices,
        default: "{}",
        meaning: "By `model` or `provider/model`: US dollars for a million tokens, as `input`, \
                  `output`, `cache_read`, `cache_write`",
        ..LIVE
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

/// The row of a full path.
pub(super) fn row(path: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.path == path)
}
