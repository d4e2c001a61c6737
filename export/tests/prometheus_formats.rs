//! OpenMetrics' text, and protobuf read back by messages after Prometheus' public schema.

use coati_core::ids::{SpanId, TraceId};
use coati_core::metrics::{
    Descriptor, Exemplar, Kind, LabelValue, MetricSnapshot, Number, Store, StoreConfig, Value,
};
use coati_core::record::SpanIds;
use coati_export::prometheus::{Format, Target};
use proptest::prelude::*;
use prost::Message;
use serde_json::json;
use std::sync::Arc;

/// `io.prometheus.client`, as far as it is used.
mod proto {
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct LabelPair {
        #[prost(string, optional, tag = "1")]
        pub name: Option<String>,
        #[prost(string, optional, tag = "2")]
        pub value: Option<String>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Timestamp {
        #[prost(int64, tag = "1")]
        pub seconds: i64,
        #[prost(int32, tag = "2")]
        pub nanos: i32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Exemplar {
        #[prost(message, repeated, tag = "1")]
        pub label: Vec<LabelPair>,
        #[prost(double, optional, tag = "2")]
        pub value: Option<f64>,
        #[prost(message, optional, tag = "3")]
        pub timestamp: Option<Timestamp>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Gauge {
        #[prost(double, optional, tag = "1")]
        pub value: Option<f64>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Counter {
        #[prost(double, optional, tag = "1")]
        pub value: Option<f64>,
        #[prost(message, optional, tag = "2")]
        pub exemplar: Option<Exemplar>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Bucket {
        #[prost(uint64, optional, tag = "1")]
        pub cumulative_count: Option<u64>,
        #[prost(double, optional, tag = "2")]
        pub upper_bound: Option<f64>,
        #[prost(message, optional, tag = "3")]
        pub exemplar: Option<Exemplar>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct BucketSpan {
        #[prost(sint32, optional, tag = "1")]
        pub offset: Option<i32>,
        #[prost(uint32, optional, tag = "2")]
        pub length: Option<u32>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Histogram {
        #[prost(uint64, optional, tag = "1")]
        pub sample_count: Option<u64>,
        #[prost(double, optional, tag = "2")]
        pub sample_sum: Option<f64>,
        #[prost(message, repeated, tag = "3")]
        pub bucket: Vec<Bucket>,
        #[prost(sint32, optional, tag = "5")]
        pub schema: Option<i32>,
        #[prost(double, optional, tag = "6")]
        pub zero_threshold: Option<f64>,
        #[prost(uint64, optional, tag = "7")]
        pub zero_count: Option<u64>,
        #[prost(message, repeated, tag = "9")]
        pub negative_span: Vec<BucketSpan>,
        #[prost(sint64, repeated, tag = "10")]
        pub negative_delta: Vec<i64>,
        #[prost(message, repeated, tag = "12")]
        pub positive_span: Vec<BucketSpan>,
        #[prost(sint64, repeated, tag = "13")]
        pub positive_delta: Vec<i64>,
        #[prost(message, repeated, tag = "16")]
        pub exemplars: Vec<Exemplar>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Metric {
        #[prost(message, repeated, tag = "1")]
        pub label: Vec<LabelPair>,
        #[prost(message, optional, tag = "2")]
        pub gauge: Option<Gauge>,
        #[prost(message, optional, tag = "3")]
        pub counter: Option<Counter>,
        #[prost(message, optional, tag = "7")]
        pub histogram: Option<Histogram>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct MetricFamily {
        #[prost(string, optional, tag = "1")]
        pub name: Option<String>,
        #[prost(string, optional, tag = "2")]
        pub help: Option<String>,
        #[prost(int32, optional, tag = "3")]
        pub kind: Option<i32>,
        #[prost(message, repeated, tag = "4")]
        pub metric: Vec<Metric>,
        #[prost(string, optional, tag = "5")]
        pub unit: Option<String>,
    }
}

use proto::{BucketSpan, Histogram, MetricFamily};

fn store() -> Arc<Store> {
    Store::new(StoreConfig::default())
}

fn encode(format: Format, target: Option<&Target>, metrics: &[MetricSnapshot]) -> Vec<u8> {
    let mut out = b"kept".to_vec();
    format.encode(target, metrics, &mut out);
    assert!(out.starts_with(b"kept"));
    out.split_off(4)
}

fn families(bytes: &[u8]) -> Vec<MetricFamily> {
    let (mut all, mut rest) = (Vec::<MetricFamily>::new(), bytes);
    while !rest.is_empty() {
        all.push(Message::decode_length_delimited(&mut rest).unwrap());
    }
    // No field is lost, none stands where it should not, no length is longer than it must be.
    let again: Vec<u8> = all.iter().flat_map(Message::encode_length_delimited_to_vec).collect();
    assert_eq!(again, bytes);
    all
}

const SPAN: SpanIds =
    SpanIds { trace_id: TraceId([0xab; 16]), span_id: SpanId([1, 2, 3, 4, 5, 6, 7, 8]) };
const LINK: &str = "trace_id=\"abababababababababababababababab\",span_id=\"0102030405060708\"";

fn exemplar(value: f64, time: u64) -> Exemplar {
    Exemplar { value: Number::Float(value), time, span: Some(SPAN) }
}

/// A counter, a gauge, an explicit histogram and a target, with exemplars.
fn example() -> (Target, Vec<MetricSnapshot>) {
    let store = store();
    let shard = store.acquire_shard();
    let make = |descriptor| store.instrument(descriptor).unwrap();
    let runs = make(Descriptor::new("agent.runs", Kind::Counter, "By", "Runs of\n\"agents\""));
    runs.series(&[("ok", LabelValue::Bool(true))]).add_int(&shard, 3);
    make(Descriptor::new("load", Kind::Gauge, "", "")).series(&[]).set(-0.5);
    let time = Descriptor::new("time", Kind::Histogram, "s", "").with_bounds(&[1.0, 2.5]);
    let time = make(time).series(&[("le", LabelValue::Int(-1))]);
    [1.0, 2.0, 3.0].iter().for_each(|value| time.record(&shard, *value));
    let mut metrics = store.snapshot();
    metrics[0].series[0].exemplars = vec![exemplar(2.0, 1_000_000_007), exemplar(1.0, 5)];
    metrics[1].series[0].exemplars = vec![exemplar(2.0, 1)];
    metrics[2].series[0].exemplars = vec![
        exemplar(2.5, 1_600_000_000_000_000_001),
        exemplar(1.5, 1_600_000_000_000_000_000),
        Exemplar { value: Number::Int(3), time: 2_500_000_000, span: None },
    ];
    let resource =
        [("service.name", json!("a\"b")), ("service_name", json!(1)), ("ok", json!(true))];
    (Target::new(resource.iter().map(|(name, value)| (*name, value))), metrics)
}

#[test]
fn openmetrics_as_it_looks() {
    let (target, metrics) = example();
    let wanted = format!(
        r#"# HELP target Target metadata
# TYPE target info
target_info{{service_name="a\"b;1",ok="true"}} 1
# HELP agent_runs_bytes Runs of\n\"agents\"
# TYPE agent_runs_bytes counter
# UNIT agent_runs_bytes bytes
agent_runs_bytes_total{{ok="true"}} 3 # {{{LINK}}} 2.0 1.000000007
# TYPE load gauge
load -0.5
# TYPE time_seconds histogram
# UNIT time_seconds seconds
time_seconds_bucket{{exported_le="-1",le="1.0"}} 1
time_seconds_bucket{{exported_le="-1",le="2.5"}} 2 # {{{LINK}}} 2.5 1600000000.000000001
time_seconds_bucket{{exported_le="-1",le="+Inf"}} 3 # {{}} 3 2.500000000
time_seconds_sum{{exported_le="-1"}} 6.0
time_seconds_count{{exported_le="-1"}} 3
# EOF
"#
    );
    let page = encode(Format::OpenMetrics, Some(&target), &metrics);
    assert_eq!(String::from_utf8(page).unwrap(), wanted);
    let classic = String::from_utf8(encode(Format::Text, Some(&target), &metrics)).unwrap();
    assert!(classic.contains("\n# TYPE target_info gauge\ntarget_info{service_name=\"a\\\"b;1\""));
    assert!(classic.contains("agent_runs_bytes_total{ok=\"true\"} 3\n"));
    assert!(!classic.contains("# {") && !classic.contains("UNIT") && !classic.contains("EOF"));
    assert_eq!(encode(Format::OpenMetrics, None, &[]), b"# EOF\n");
}

#[test]
fn what_may_be_negative_has_no_sum_in_openmetrics() {
    let store = store();
    let shard = store.acquire_shard();
    let explicit = |name| Descriptor::new(name, Kind::Histogram, "", "").with_bounds(&[-1.0, 1.0]);
    let series = store.instrument(explicit("below")).unwrap().series(&[]);
    series.record(&shard, 2.0);
    let exponential = Descriptor::new("powers", Kind::Histogram, "", "");
    store.instrument(exponential).unwrap().series(&[]).record(&shard, -2.0);
    let page = encode(Format::OpenMetrics, None, &store.snapshot_powers());
    assert!(!String::from_utf8(page).unwrap().contains("_sum"));
    let page = encode(Format::Text, None, &store.snapshot_powers());
    assert!(String::from_utf8(page).unwrap().contains("powers_sum -2.0"));
}

#[test]
fn protobuf_says_what_the_texts_say() {
    let (target, metrics) = example();
    let all = families(&encode(Format::Protobuf, Some(&target), &metrics));
    let names: Vec<_> = all.iter().map(|family| family.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["target_info", "agent_runs_bytes_total", "load", "time_seconds"]);
    let kinds: Vec<_> = all.iter().map(|family| family.kind).collect();
    assert_eq!(kinds, [Some(1), Some(0), Some(1), Some(4)]);
    assert_eq!(all[1].help.as_deref(), Some("Runs of\n\"agents\""));
    assert_eq!(all[1].unit.as_deref(), Some("bytes"));
    let pairs = |pairs: &[proto::LabelPair]| -> Vec<(String, String)> {
        let text = |text: &Option<String>| text.clone().unwrap();
        pairs.iter().map(|pair| (text(&pair.name), text(&pair.value))).collect()
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        pairs(&all[0].metric[0].label),
        [pair("service_name", "a\"b;1"), pair("ok", "true")]
    );
    let counter = all[1].metric[0].counter.clone().unwrap();
    assert_eq!(pairs(&all[1].metric[0].label), [pair("ok", "true")]);
    assert_eq!(counter.value, Some(3.0));
    let exemplar = counter.exemplar.unwrap();
    assert_eq!(exemplar.value, Some(2.0));
    assert_eq!(exemplar.timestamp.unwrap(), proto::Timestamp { seconds: 1, nanos: 7 });
    let ids = [pair("trace_id", &"ab".repeat(16)), pair("span_id", "0102030405060708")];
    assert_eq!(pairs(&exemplar.label), ids);
    assert_eq!(all[2].metric[0].gauge.clone().unwrap().value, Some(-0.5));
    let time = all[3].metric[0].histogram.clone().unwrap();
    assert_eq!((time.sample_count, time.sample_sum, time.schema), (Some(3), Some(6.0), None));
    let buckets: Vec<_> = time
        .bucket
        .iter()
        .map(|bucket| {
            let exemplar = bucket.exemplar.as_ref().and_then(|exemplar| exemplar.value);
            (bucket.upper_bound.unwrap(), bucket.cumulative_count.unwrap(), exemplar)
        })
        .collect();
    assert_eq!(buckets, [(1.0, 1, None), (2.5, 2, Some(2.5)), (f64::INFINITY, 3, Some(3.0))]);
}

/// Index and count of the buckets that are not empty.
fn buckets(spans: &[BucketSpan], deltas: &[i64]) -> Vec<(i32, i64)> {
    let (mut index, mut count, mut deltas) = (0, 0, deltas.iter());
    let mut all = Vec::new();
    for span in spans {
        index += span.offset.unwrap_or(0);
        for _ in 0..span.length.unwrap_or(0) {
            count += deltas.next().expect("a delta for each bucket");
            if count > 0 {
                all.push((index, count));
            }
            index += 1;
        }
    }
    assert_eq!(deltas.next(), None, "a bucket for each delta");
    all
}

fn native(values: &[f64]) -> Histogram {
    let store = store();
    let shard = store.acquire_shard();
    let instrument = store.instrument(Descriptor::new("h", Kind::Histogram, "s", "")).unwrap();
    let series = instrument.series(&[]);
    values.iter().for_each(|value| series.record(&shard, *value));
    let mut metrics = store.snapshot();
    metrics[0].series[0].exemplars = vec![exemplar(1.0, 7)];
    let mut all = families(&encode(Format::Protobuf, None, &metrics));
    let histogram = all.remove(0).metric.remove(0).histogram.unwrap();
    let Value::Histogram(read) = &metrics[0].series[0].value else { panic!() };
    assert_eq!(histogram.sample_count.unwrap_or(0), read.count);
    assert_eq!(histogram.exemplars.len(), 1);
    assert_eq!(
        histogram.bucket.len(),
        Descriptor::new("h", Kind::Histogram, "s", "").ladder().count()
    );
    histogram
}

#[test]
fn an_empty_native_histogram_is_one_all_the_same() {
    let empty = native(&[]);
    assert_eq!((empty.schema, empty.sample_count), (Some(6), None));
    assert!(empty.zero_threshold.unwrap() > 0.0);
    assert!(empty.positive_span.is_empty() && empty.positive_delta.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn native_buckets_hold_the_values(
        values in prop::collection::vec(prop_oneof![
            3 => 1e-6..1e6f64, 1 => -1e3..1e3f64, 1 => Just(0.0), 1 => -1e300..1e300f64
        ], 0..60),
    ) {
        let histogram = native(&values);
        let schema = histogram.schema.unwrap_or(0);
        prop_assert!((-4..=6).contains(&schema));
        let base = f64::from(-schema).exp2().exp2();
        let positive = buckets(&histogram.positive_span, &histogram.positive_delta);
        let negative = buckets(&histogram.negative_span, &histogram.negative_delta);
        // Prometheus' bucket i holds (base^(i-1), base^i].
        let inside = |all: &[(i32, i64)], sign: f64| -> bool {
            let mut left: Vec<f64> =
                values.iter().map(|value| value * sign).filter(|value| *value > 0.0).collect();
            for (index, count) in all {
                let low = f64::from(index - 1) * base.log2();
                let high = f64::from(*index) * base.log2();
                let before = left.len();
                left.retain(|value| !(value.log2() > low - 1e-9 && value.log2() <= high + 1e-9));
                if before - left.len() < *count as usize {
                    return false;
                }
            }
            left.is_empty()
        };
        prop_assert!(inside(&positive, 1.0) && inside(&negative, -1.0));
        let zeros = values.iter().filter(|value| **value == 0.0).count() as i64;
        let total: i64 = positive.iter().chain(&negative).map(|(_, count)| count).sum();
        prop_assert_eq!(total + zeros, values.len() as i64);
        prop_assert_eq!(histogram.zero_count.unwrap_or(0) as i64, zeros);
    }

    #[test]
    fn series_that_look_alike_are_one_in_protobuf(amounts in prop::collection::vec(1..100i64, 3)) {
        let store = store();
        let shard = store.acquire_shard();
        let counter = store.instrument(Descriptor::new("c", Kind::Counter, "", "")).unwrap();
        let labels = [("a.b", LabelValue::Int(1)), ("a_b", LabelValue::Str("1"))];
        for (label, amount) in labels.iter().zip(&amounts) {
            counter.series(&[*label]).add_int(&shard, *amount);
        }
        counter.series(&labels).add_int(&shard, amounts[2]);
        let all = families(&encode(Format::Protobuf, None, &store.snapshot()));
        let values: Vec<_> =
            all[0].metric.iter().map(|metric| metric.counter.clone().unwrap().value.unwrap()).collect();
        prop_assert_eq!(values, [(amounts[0] + amounts[1]) as f64, amounts[2] as f64]);
    }
}
