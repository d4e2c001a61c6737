//! Instruments, series, limits, resets and readers.

use coati_core::metrics::{
    Descriptor, Kind, Label, LabelPolicy, LabelValue, MetricSnapshot, Number, OwnedLabel, Reader,
    Refused, Scope, SeriesCache, Store, StoreConfig, Temporality, Value,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

fn store() -> Arc<Store> {
    Store::new(StoreConfig::default())
}

fn descriptor(name: &str, kind: Kind) -> Descriptor {
    Descriptor::new(name, kind, "", "")
}

/// Count and extremes of the first series of the first metric.
fn extremes(metrics: &[MetricSnapshot]) -> (u64, Option<f64>, Option<f64>) {
    match &metrics[0].series[0].value {
        Value::Histogram(histogram) => (histogram.count, histogram.min, histogram.max),
        Value::Number(number) => panic!("{number:?}"),
    }
}

fn number(metrics: &[MetricSnapshot], at: usize) -> Number {
    match &metrics[at].series[0].value {
        Value::Number(number) => *number,
        Value::Histogram(histogram) => panic!("{histogram:?}"),
    }
}

#[test]
fn integers_stay_exact_and_floats_are_added_to_them() {
    let store = store();
    let shard = store.acquire_shard();
    let series = store.instrument(descriptor("c", Kind::Counter)).unwrap().series(&[]);
    series.add_int(&shard, 1 << 53);
    series.add_int(&shard, 1);
    assert_eq!(series.value(), Number::Int((1 << 53) + 1));
    series.add_float(&shard, 0.0);
    assert_eq!(series.value(), Number::Float(9007199254740992.0));
}

#[test]
fn a_counter_only_goes_up() {
    let store = store();
    let shard = store.acquire_shard();
    let counter = store.instrument(descriptor("c", Kind::Counter)).unwrap().series(&[]);
    counter.add_int(&shard, 5);
    counter.add_int(&shard, -1);
    for amount in [-0.5, f64::NAN, f64::INFINITY] {
        counter.add_float(&shard, amount);
    }
    assert_eq!((counter.value(), store.ignored()), (Number::Int(5), 4));
    let both = store.instrument(descriptor("u", Kind::UpDownCounter)).unwrap().series(&[]);
    both.add_int(&shard, -7);
    both.add_float(&shard, 2.5);
    assert_eq!((both.value(), store.ignored()), (Number::Float(-4.5), 4));
}

#[test]
fn calls_of_another_kind_change_nothing() {
    let store = store();
    let shard = store.acquire_shard();
    let of = |name, kind| store.instrument(descriptor(name, kind)).unwrap().series(&[]);
    let (counter, gauge) = (of("c", Kind::Counter), of("g", Kind::Gauge));
    let histogram = of("h", Kind::Histogram);
    counter.add_int(&shard, 1);
    histogram.record(&shard, 1.0);
    counter.set(9.0);
    counter.record(&shard, 9.0);
    gauge.record(&shard, 9.0);
    histogram.add_int(&shard, 9);
    histogram.add_float(&shard, 9.0);
    histogram.set(9.0);
    assert_eq!(store.ignored(), 6);
    assert_eq!((counter.value(), gauge.value()), (Number::Int(1), Number::Float(0.0)));
    assert_eq!(histogram.stats().count, 1);
}

#[test]
fn a_gauge_keeps_the_last_and_can_be_moved() {
    let store = store();
    let shard = store.acquire_shard();
    let gauge = store.instrument(descriptor("g", Kind::Gauge)).unwrap().series(&[]);
    gauge.set(3.5);
    gauge.set(2.5);
    gauge.add_int(&shard, -2);
    gauge.add_float(&shard, 0.25);
    assert_eq!(gauge.value(), Number::Float(0.75));
}

#[test]
fn the_same_name_gives_the_same_or_says_why_not() {
    let store = store();
    let had = Descriptor::new("t", Kind::Histogram, "ms", "Time").with_bounds(&[1.0, 2.0]);
    let instrument = store.instrument(had).unwrap();
    let again = store.instrument(descriptor("t", Kind::Histogram)).unwrap();
    assert!(Arc::ptr_eq(&instrument, &again));
    let refused = [
        (descriptor("t", Kind::Counter), r#"metric "t" is a histogram, not a counter"#),
        (Descriptor::new("t", Kind::Histogram, "s", ""), r#"metric "t" has unit "ms", not "s""#),
        (
            descriptor("t", Kind::Histogram).with_bounds(&[1.0]),
            r#"histogram "t" has bounds [1.0, 2.0], not [1.0]"#,
        ),
        (
            descriptor("x", Kind::Histogram).with_bounds(&[2.0, 1.0]),
            r#"histogram "x": bounds [2.0, 1.0] are not finite and ascending"#,
        ),
    ];
    for (wanted, message) in refused {
        assert_eq!(store.instrument(wanted).err().unwrap().to_string(), message);
    }
    for name in ["", "1x", "a b", "ä", &"x".repeat(256)] {
        let error = store.instrument(descriptor(name, Kind::Gauge)).err().unwrap().to_string();
        assert!(error.starts_with("bad metric name"), "{error}");
    }
}

#[test]
fn scopes_have_names_of_their_own() {
    let store = store();
    let scope = |name: &str, copy| Scope { name: name.into(), copy, ..Scope::default() };
    let of = |scope| descriptor("c", Kind::Counter).with_scope(Arc::new(scope));
    let own = store.instrument(descriptor("c", Kind::Counter)).unwrap();
    let a = store.instrument(of(scope("a", 0))).unwrap();
    let b = store.instrument(of(scope("b", 0))).unwrap();
    assert!(!Arc::ptr_eq(&own, &a) && !Arc::ptr_eq(&a, &b));
    assert!(Arc::ptr_eq(&a, &store.instrument(of(scope("a", 0))).unwrap()));
    let gauge = |copy| descriptor("c", Kind::Gauge).with_scope(Arc::new(scope("a", copy)));
    assert!(store.instrument(gauge(0)).is_err());
    store.instrument(gauge(1)).unwrap();
    let shown = store.snapshot();
    let scopes: Vec<_> =
        shown.iter().map(|m| m.descriptor.scope.as_ref().map(|s| (&*s.name, s.copy))).collect();
    assert_eq!(scopes, [None, Some(("a", 0)), Some(("b", 0)), Some(("a", 1))]);
}

#[test]
fn labels_are_canonical_and_typed() {
    let store = store();
    let counter = store.instrument(descriptor("c", Kind::Counter)).unwrap();
    let a = ("a", LabelValue::Int(1));
    let b = ("b", LabelValue::Str("x"));
    let series = counter.series(&[a, b]);
    for same in [&[b, a][..], &[("b", LabelValue::Int(9)), a, b], &[a, b]] {
        assert!(Arc::ptr_eq(&series, &counter.series(same)));
        assert!(Arc::ptr_eq(&series, &counter.find(same).unwrap()));
    }
    for other in [LabelValue::Bool(true), LabelValue::Float(1.0), LabelValue::Str("1")] {
        assert!(counter.find(&[("a", other), b]).is_none());
        counter.series(&[("a", other), b]);
    }
    assert_eq!(counter.len(), 4);
    let other = store.instrument(descriptor("d", Kind::Counter)).unwrap();
    assert!(other.find(&[a, b]).is_none());
    assert!(Arc::ptr_eq(&series.labels()[0].key, &counter.all()[3].labels()[0].key));
}

#[test]
fn metrics_share_the_labels_of_their_series() {
    let store = store();
    let names: Vec<String> = (0..20).map(|at| format!("metric-{at}")).collect();
    let metrics: Vec<_> = names
        .iter()
        .map(|name| store.instrument(descriptor(name, Kind::Counter)).unwrap())
        .collect();
    let labels = |agent| [("agent", LabelValue::Str(agent)), ("tier", LabelValue::Int(1))];
    for agent in ["a1", "a2"] {
        let first = metrics[0].series(&labels(agent));
        for metric in &metrics[1..] {
            assert!(Arc::ptr_eq(metric.series(&labels(agent)).labels(), first.labels()));
        }
    }
    let one = metrics[0].series(&[("agent", LabelValue::Str("a1")), ("tier", LabelValue::Int(2))]);
    assert!(!Arc::ptr_eq(one.labels(), metrics[1].series(&labels("a1")).labels()));
    let grown = |agent| {
        let before = store.memory_bytes();
        metrics[0].series(&labels(agent));
        let first = store.memory_bytes() - before;
        metrics[1].series(&labels(agent));
        (first, store.memory_bytes() - before - first)
    };
    let (first, second) = grown("a3");
    let owned = 2 * size_of::<OwnedLabel>() + "a3".len();
    assert_eq!(first, second + owned);
}

#[test]
fn beyond_the_limit_everything_is_the_overflow_series() {
    let store = Store::new(StoreConfig { max_series: 10, ..StoreConfig::default() });
    let shard = store.acquire_shard();
    let counter = store.instrument(descriptor("c", Kind::Counter)).unwrap();
    for i in 0..100 {
        counter.series(&[("i", LabelValue::Int(i))]).add_int(&shard, 1);
    }
    assert_eq!(counter.len(), 10);
    let overflow = counter.find(&[("otel.metric.overflow", LabelValue::Bool(true))]).unwrap();
    assert_eq!(overflow.value(), Number::Int(91));
    assert_eq!(counter.series(&[("i", LabelValue::Int(3))]).value(), Number::Int(1));
    let one = Store::new(StoreConfig { max_series: 0, ..StoreConfig::default() });
    let only = one.instrument(descriptor("c", Kind::Counter)).unwrap();
    assert_eq!(&*only.series(&[]).labels()[0].key, "otel.metric.overflow");
    assert_eq!(only.len(), 1);
}

#[test]
fn an_instrument_beyond_the_limit_ignores_and_counts() {
    let store = Store::new(StoreConfig { max_instruments: 2, ..StoreConfig::default() });
    let shard = store.acquire_shard();
    let first = store.instrument(descriptor("a", Kind::Counter)).unwrap();
    store.instrument(descriptor("b", Kind::Histogram)).unwrap();
    assert_eq!(store.refused(), None);
    for (name, kind) in [
        ("c", Kind::Counter),
        ("d", Kind::UpDownCounter),
        ("e", Kind::Gauge),
        ("f", Kind::Histogram),
    ] {
        let before = store.ignored();
        let series = store.instrument(descriptor(name, kind)).unwrap().series(&[]);
        match kind {
            Kind::Counter | Kind::UpDownCounter => {
                series.add_int(&shard, 1);
                series.add_float(&shard, 1.0);
            }
            Kind::Gauge => {
                series.set(1.0);
                series.add_int(&shard, 1);
            }
            Kind::Histogram => {
                series.record(&shard, 1.0);
                series.record(&shard, 2.0);
            }
        }
        assert_eq!(store.ignored() - before, 2, "{kind}");
    }
    assert_eq!(store.refused(), Some(Refused { times: 4, name: "f".into() }));
    assert!(Arc::ptr_eq(&first, &store.instrument(descriptor("a", Kind::Counter)).unwrap()));
    assert!(store.snapshot().iter().map(|m| &*m.descriptor.name).eq(["a", "b"]));
}

#[test]
fn labels_are_bounded_in_number_and_length() {
    let store = Store::new(StoreConfig { max_labels: 2, max_string: 5, ..StoreConfig::default() });
    let counter = store.instrument(Descriptor::new("c", Kind::Counter, "", "1234é")).unwrap();
    assert_eq!(&*counter.descriptor().description, "1234");
    let labels = [
        ("a", LabelValue::Str("1234é")),
        ("bcdefg", LabelValue::Int(1)),
        ("z", LabelValue::Int(2)),
    ];
    let series = counter.series(&labels);
    let kept: Vec<_> = series.labels().iter().map(OwnedLabel::borrowed).collect();
    let expected =
        [("a", LabelValue::Str("1234…[+2 bytes]")), ("bcdef…[+1 bytes]", LabelValue::Int(1))];
    assert_eq!(kept, expected);
    assert!(Arc::ptr_eq(&series, &counter.series(&labels)));
    assert!(Arc::ptr_eq(&series, &counter.find(&labels).unwrap()));
    let mut cache = SeriesCache::default();
    let long = "x".repeat(5000);
    for value in [&long[..], "short", &long] {
        let labels = [("a", LabelValue::Str(value))];
        assert!(Arc::ptr_eq(cache.series(&counter, &labels), &counter.series(&labels)));
    }
    assert_eq!(counter.len(), 3);
}

#[test]
fn a_policy_masks_before_a_series_is_named() {
    struct Mask;
    impl LabelPolicy for Mask {
        fn mask<'a>(&self, key: &str, value: LabelValue<'a>) -> LabelValue<'a> {
            if key == "token" { LabelValue::Str("[REDACTED]") } else { value }
        }
    }
    let config = StoreConfig { label_policy: Some(Arc::new(Mask)), ..StoreConfig::default() };
    let counter = Store::new(config).instrument(descriptor("c", Kind::Counter)).unwrap();
    let secret = |value| -> [Label; 1] { [("token", LabelValue::Str(value))] };
    let series = counter.series(&secret("s3cret"));
    assert!(Arc::ptr_eq(&series, &counter.series(&secret("other"))));
    assert!(counter.find(&secret("s3cret")).is_some());
    assert_eq!(series.labels()[0].borrowed(), ("token", LabelValue::Str("[REDACTED]")));
}

#[test]
fn snapshots_stand_in_creation_order() {
    let store = store();
    let names = ["z", "a", "m"];
    for name in names {
        let gauge = store.instrument(descriptor(name, Kind::Gauge)).unwrap();
        for value in ["y", "x"] {
            gauge.series(&[("k", LabelValue::Str(value))]).set(1.0);
        }
    }
    let snapshot = store.snapshot();
    assert!(snapshot.iter().map(|metric| &*metric.descriptor.name).eq(names));
    for metric in &snapshot {
        let labels = metric.series.iter().map(|series| series.labels[0].borrowed().1);
        assert!(labels.eq([LabelValue::Str("y"), LabelValue::Str("x")]));
    }
}

#[test]
fn reset_starts_from_zero_and_handles_go_on() {
    let store = store();
    let shard = store.acquire_shard();
    let of = |name, kind| store.instrument(descriptor(name, kind)).unwrap().series(&[]);
    let (histogram, counter) = (of("h", Kind::Histogram), of("c", Kind::Counter));
    let (floats, gauge) = (of("f", Kind::Counter), of("g", Kind::Gauge));
    for round in 1..=3 {
        [1.0, 1000.0].iter().for_each(|value| histogram.record(&shard, *value));
        counter.add_int(&shard, 5);
        floats.add_float(&shard, 0.5);
        gauge.set(4.0);
        let stats = histogram.stats();
        assert_eq!((stats.count, stats.sum, stats.min, stats.max), (2, 1001.0, 1.0, 1000.0));
        assert_eq!(counter.value(), Number::Int(5));
        assert_eq!(floats.value(), Number::Float(0.5));
        store.reset();
        assert_eq!(histogram.stats().count, 0, "round {round}");
        assert_eq!((counter.value(), floats.value()), (Number::Int(0), Number::Float(0.0)));
        assert_eq!(gauge.value(), Number::Float(0.0));
        histogram.record(&shard, 10.0);
        assert_eq!(extremes(&store.snapshot()), (1, Some(10.0), Some(10.0)));
        store.reset();
    }
}

#[test]
fn delta_readers_have_their_own_baselines() {
    let store = store();
    let shard = store.acquire_shard();
    let of = |name, kind| store.instrument(descriptor(name, kind)).unwrap().series(&[]);
    let (histogram, counter) = (of("h", Kind::Histogram), of("c", Kind::Counter));
    let up_down = of("u", Kind::UpDownCounter);
    let mut often = Reader::new(store.clone(), Temporality::Delta);
    let mut seldom = Reader::new(store.clone(), Temporality::Delta);
    let mut whole = Reader::new(store.clone(), Temporality::Cumulative);
    histogram.record(&shard, 100.0);
    counter.add_int(&shard, 3);
    up_down.add_int(&shard, -3);
    let first = often.read();
    assert_eq!(extremes(&first), (1, Some(100.0), Some(100.0)));
    assert_eq!((number(&first, 1), number(&first, 2)), (Number::Int(3), Number::Int(-3)));
    assert_eq!(extremes(&seldom.read()), (1, Some(100.0), Some(100.0)));

    histogram.record(&shard, 50.0);
    assert_eq!(extremes(&often.read()), (1, Some(50.0), Some(50.0)));
    assert_eq!(extremes(&often.read()), (0, None, None));
    store.reset();
    histogram.record(&shard, 70.0);
    let second = often.read();
    assert_eq!(extremes(&second), (1, Some(70.0), Some(70.0)));
    assert_eq!((number(&second, 1), number(&second, 2)), (Number::Int(0), Number::Int(0)));
    assert_eq!(extremes(&whole.read()), (1, Some(70.0), Some(70.0)));
    assert_eq!(extremes(&seldom.read()), (2, Some(50.0), Some(70.0)));
}

#[test]
fn extremes_outlive_a_delta_reader() {
    let store = store();
    let shard = store.acquire_shard();
    let series = store.instrument(descriptor("h", Kind::Histogram)).unwrap().series(&[]);
    let mut reader = Reader::new(store.clone(), Temporality::Delta);
    [1.0, 100.0].iter().for_each(|value| series.record(&shard, *value));
    reader.read();
    // First an extreme of the new window only, then one of both.
    [10.0, 200.0].iter().for_each(|value| series.record(&shard, *value));
    assert_eq!(extremes(&reader.read()), (2, Some(10.0), Some(200.0)));
    // An extreme of everything that opens a window.
    series.record(&shard, 0.5);
    assert_eq!(extremes(&store.snapshot()), (5, Some(0.5), Some(200.0)));
}

#[test]
fn observed_values_are_absolute() {
    let store = store();
    let counter = store.instrument(descriptor("c", Kind::Counter)).unwrap().series(&[]);
    let gauge = store.instrument(descriptor("g", Kind::Gauge)).unwrap().series(&[]);
    let of_callback = (counter.clone(), gauge.clone());
    let calls = AtomicI64::new(0);
    store.observe(Box::new(move || {
        let call = calls.fetch_add(1, Ordering::Relaxed) + 1;
        of_callback.0.observe_int(call * 10);
        of_callback.1.observe_float(0.5);
    }));
    let mut reader = Reader::new(store.clone(), Temporality::Delta);
    reader.read();
    assert_eq!((counter.value(), gauge.value()), (Number::Int(10), Number::Float(0.5)));
    assert_eq!(number(&reader.read(), 0), Number::Int(10));
    assert_eq!(counter.value(), Number::Int(20));
    counter.observe_float(-1.0);
    assert_eq!((counter.value(), store.ignored()), (Number::Int(20), 1));
}

#[test]
fn what_is_not_observed_any_more_is_not_shown() {
    let store = store();
    let gauge = store.instrument(descriptor("g", Kind::Gauge)).unwrap();
    let of = |name| gauge.series(&[("disk", LabelValue::Str(name))]);
    let shown = || store.snapshot()[0].series.len();
    let observe = |name, round| {
        let series = of(name);
        series.observe_int(1);
        series.observed_in(round);
    };
    observe("a", 1);
    observe("b", 1);
    gauge.show_since(1);
    assert_eq!(shown(), 2);
    observe("b", 2);
    // Until the round is over, all is shown as before.
    assert_eq!(shown(), 2);
    gauge.show_since(2);
    assert_eq!(shown(), 1);
    // A round that ends late hides nothing of a later one.
    observe("a", 3);
    gauge.show_since(3);
    gauge.show_since(2);
    assert_eq!(shown(), 1);
    observe("b", 4);
    observe("a", 4);
    gauge.show_since(4);
    assert_eq!(shown(), 2);
}
