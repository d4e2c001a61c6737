//! Instruments shown otherwise than they are made.

use coati_core::metrics::{
    Aggregation, Buckets, Descriptor, Instrument, Kind, LabelFilter, LabelValue, MetricSnapshot,
    Number, Reader, SeriesCache, Store, StoreConfig, Temporality, Value, View,
};
use std::sync::Arc;

fn view(instrument: &str) -> View {
    let (name, description, labels, aggregation) = (None, None, None, None);
    View { instrument: instrument.into(), name, description, labels, aggregation }
}

fn store(views: Vec<View>) -> Arc<Store> {
    Store::new(StoreConfig { views: views.into(), ..StoreConfig::default() })
}

fn counter(store: &Store, name: &str) -> Arc<Instrument> {
    store.instrument(Descriptor::new(name, Kind::Counter, "", "made")).unwrap()
}

fn names(metrics: &[MetricSnapshot]) -> Vec<&str> {
    metrics.iter().map(|metric| &*metric.descriptor.name).collect()
}

fn numbers(metric: &MetricSnapshot) -> Vec<(String, Number)> {
    let text = |label: &coati_core::metrics::OwnedLabel| format!("{}={:?}", label.key, label.value);
    let series = metric.series.iter().map(|series| {
        let labels: Vec<_> = series.labels.iter().map(text).collect();
        let Value::Number(number) = series.value else { panic!("a number") };
        (labels.join(","), number)
    });
    series.collect()
}

const LABELS: [(&str, LabelValue<'static>); 3] =
    [("agent", LabelValue::Int(1)), ("user", LabelValue::Int(2)), ("ok", LabelValue::Bool(true))];

#[test]
fn labels_that_go_leave_series_that_add_up() {
    let keys = |keys: &[&str]| keys.iter().map(|key| (*key).into()).collect();
    let kept = View { labels: Some(LabelFilter::Keep(keys(&["ok"]))), ..view("kept") };
    let less = View { labels: Some(LabelFilter::Drop(keys(&["user"]))), ..view("l*") };
    let store = store(vec![kept, less]);
    let shard = store.acquire_shard();
    let mut cache = SeriesCache::default();
    for name in ["kept", "less", "all"] {
        let counter = counter(&store, name);
        for user in 0..5 {
            let mut labels = LABELS;
            labels[1].1 = LabelValue::Int(user);
            counter.series(&labels).add_int(&shard, 1);
            cache.series(&counter, &labels).add_int(&shard, 1);
        }
        assert!(counter.find(&LABELS).is_some());
    }
    let metrics = store.snapshot();
    assert_eq!(numbers(&metrics[0]), [("ok=Bool(true)".into(), Number::Int(10))]);
    assert_eq!(numbers(&metrics[1]), [("agent=Int(1),ok=Bool(true)".into(), Number::Int(10))]);
    assert_eq!(numbers(&metrics[2]).len(), 5);
    let delta = Reader::new(store.clone(), Temporality::Delta).read();
    assert_eq!(numbers(&delta[0]), numbers(&metrics[0]));
}

#[test]
fn names_and_descriptions_are_replaced_and_equal_ones_are_one() {
    let renamed = |from: &str| View { name: Some("runs".into()), ..view(from) };
    let described = View { description: Some("shown".into()), ..view("*") };
    let store = store(vec![renamed("a"), renamed("b"), renamed("gauge"), described]);
    let shard = store.acquire_shard();
    for name in ["a", "b", "runs"] {
        counter(&store, name).series(&[]).add_int(&shard, 1);
        counter(&store, name).series(&[]).add_int(&shard, 1);
    }
    assert_eq!(store.clashed(), None);
    let gauge = store.instrument(Descriptor::new("gauge", Kind::Gauge, "", "")).unwrap();
    gauge.series(&[]).set(7.0);
    let metrics = store.snapshot();
    assert_eq!(names(&metrics), ["runs", "gauge"], "a gauge is no counter");
    assert_eq!(numbers(&metrics[0]), [(String::new(), Number::Int(6))]);
    assert!(metrics.iter().all(|metric| &*metric.descriptor.description == "shown"));
    assert_eq!(store.clashed().unwrap().name, "gauge".into());
    let kind = Descriptor::new("a", Kind::Gauge, "", "");
    assert!(store.instrument(kind).is_err(), "what it was made as still counts");
}

#[test]
fn histograms_count_as_a_view_says() {
    let buckets = |buckets| Some(Aggregation::Buckets(buckets));
    let bounds: Arc<[f64]> = Arc::from([1.0, 2.0]);
    let explicit = View { aggregation: buckets(Buckets::Explicit(bounds)), ..view("to.explicit") };
    let exponential = View { aggregation: buckets(Buckets::Exponential), ..view("to.exponential") };
    let store = store(vec![explicit, exponential]);
    let shard = store.acquire_shard();
    let made = |name| Descriptor::new(name, Kind::Histogram, "s", "").with_bounds(&[5.0]);
    for name in ["to.explicit", "to.exponential", "other"] {
        let histogram = store.instrument(made(name)).unwrap();
        histogram.series(&[]).record(&shard, 1.5);
        assert!(Arc::ptr_eq(&histogram, &store.instrument(made(name)).unwrap()));
    }
    let bounds: Vec<_> =
        store.snapshot().iter().map(|m| m.descriptor.bounds().map(<[f64]>::to_vec)).collect();
    assert_eq!(bounds, [Some(vec![1.0, 2.0]), None, Some(vec![5.0])]);
    let counts: Vec<_> =
        store.instruments().iter().map(|one| one.find(&[]).unwrap().value()).collect();
    assert_eq!(counts, [Number::Int(1); 3]);
}

#[test]
fn what_is_dropped_is_nowhere_and_costs_one_series() {
    let dropped = View { aggregation: Some(Aggregation::Drop), ..view("noise.*") };
    let store = store(vec![dropped]);
    let shard = store.acquire_shard();
    for kind in [Kind::Counter, Kind::UpDownCounter, Kind::Gauge, Kind::Histogram] {
        let name = format!("noise.{kind}");
        let noise = store.instrument(Descriptor::new(&name, kind, "", "")).unwrap();
        for user in 0..100 {
            let series = noise.series(&[("user", LabelValue::Int(user))]);
            match kind {
                Kind::Histogram => series.record(&shard, 1.0),
                Kind::Gauge => series.set(1.0),
                _ => series.add_int(&shard, 1),
            }
        }
        assert_eq!(noise.len(), 1);
        assert!(noise.find(&[("user", LabelValue::Int(1))]).is_none());
    }
    counter(&store, "signal").series(&[]).add_int(&shard, 1);
    assert_eq!(names(&store.snapshot()), ["signal"]);
    assert_eq!(store.ignored(), 0, "dropping is what was asked for");
}
