//! Prometheus text, read back by a parser of its own.

use coati_core::metrics::{Descriptor, Kind, LabelValue, Store, StoreConfig};
use coati_export::prometheus::Format;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

type Labels = BTreeMap<String, String>;

/// A page: types, helps and samples in order.
#[derive(Default, Debug)]
struct Page {
    types: BTreeMap<String, String>,
    helps: BTreeMap<String, String>,
    samples: Vec<(String, Labels, f64)>,
}

impl Page {
    fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let wanted: Labels = labels.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let mut found = self.samples.iter().filter(|(n, l, _)| n == name && *l == wanted);
        let first = found.next().map(|(_, _, value)| *value);
        assert!(found.next().is_none(), "{name} {labels:?} twice");
        first
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some(c @ ('\\' | '"')) => out.push(c),
                other => panic!("escape {other:?}"),
            },
            c => out.push(c),
        }
    }
    out
}

fn is_name(name: &str, colon: bool) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_' || (colon && c == ':');
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
}

/// The labels of a line and what follows them.
fn parse_labels(mut rest: &str) -> (Labels, &str) {
    let mut labels = Labels::new();
    loop {
        let (name, after) = rest.split_once("=\"").expect("a label");
        assert!(is_name(name, false), "{name:?}");
        let mut escaped = false;
        let end = after.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let (value, after) = after.split_at(end.expect("a closing quote"));
        assert!(labels.insert(name.into(), unescape(value)).is_none(), "{name} twice");
        match after.as_bytes()[1] {
            b',' => rest = &after[2..],
            b'}' => return (labels, &after[2..]),
            other => panic!("{other}"),
        }
    }
}

fn parse(text: &str) -> Page {
    assert!(text.is_empty() || text.ends_with('\n'));
    let mut page = Page::default();
    // Not `lines`: a carriage return is a character like any other.
    for line in text.split_terminator('\n') {
        if let Some(head) = line.strip_prefix("# ") {
            let (what, rest) = head.split_once(' ').unwrap();
            let (name, text) = rest.split_once(' ').unwrap();
            let into = if what == "TYPE" { &mut page.types } else { &mut page.helps };
            assert!(into.insert(name.into(), unescape(text)).is_none(), "{name} twice");
            continue;
        }
        let end = line.find(['{', ' ']).unwrap();
        let (name, rest) = line.split_at(end);
        assert!(is_name(name, true), "{name:?}");
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => parse_labels(rest),
            None => (Labels::new(), rest),
        };
        let value = rest.strip_prefix(' ').unwrap().parse().unwrap();
        page.samples.push((name.into(), labels, value));
    }
    let mut seen: Vec<_> = page.samples.iter().map(|(name, labels, _)| (name, labels)).collect();
    seen.sort();
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "a line twice");
    page
}

fn text(store: &Store) -> String {
    let [fine, powers] = [store.snapshot(), store.snapshot_powers()].map(|metrics| {
        let mut out = Vec::new();
        Format::Text.encode(None, &metrics, &mut out);
        String::from_utf8(out).unwrap()
    });
    assert_eq!(fine, powers, "a text shows powers of two alone");
    powers
}

fn store() -> Arc<Store> {
    Store::new(StoreConfig::default())
}

#[test]
fn a_page_as_it_looks() {
    let store = store();
    let shard = store.acquire_shard();
    let make = |descriptor| store.instrument(descriptor).unwrap();
    make(Descriptor::new("unused", Kind::Counter, "", "Nothing"));
    let runs = make(Descriptor::new("agent.runs", Kind::Counter, "1", "Runs\\of\n\"agents\""));
    let labels = [("ok", LabelValue::Bool(true)), ("agent", LabelValue::Str("a\"\\\n1"))];
    runs.series(&labels).add_int(&shard, 3);
    let load = make(Descriptor::new("load", Kind::Gauge, "", ""));
    load.series(&[]).set(f64::NEG_INFINITY);
    let time = Descriptor::new("time", Kind::Histogram, "ms", "").with_bounds(&[1.0, 2.5]);
    let time = make(time).series(&[("le", LabelValue::Int(-1))]);
    [1.0, 2.0, 3.0].iter().for_each(|value| time.record(&shard, *value));
    let wanted = r#"# HELP agent_runs_total Runs\\of\n"agents"
# TYPE agent_runs_total counter
agent_runs_total{agent="a\"\\\n1",ok="true"} 3
# TYPE load gauge
load -Inf
# TYPE time_milliseconds histogram
time_milliseconds_bucket{exported_le="-1",le="1.0"} 1
time_milliseconds_bucket{exported_le="-1",le="2.5"} 2
time_milliseconds_bucket{exported_le="-1",le="+Inf"} 3
time_milliseconds_sum{exported_le="-1"} 6.0
time_milliseconds_count{exported_le="-1"} 3
"#;
    assert_eq!(text(&store), wanted);
    assert_eq!(parse(wanted).samples.len(), 7);
    assert_eq!(parse(wanted).helps["agent_runs_total"], "Runs\\of\n\"agents\"");
}

#[test]
fn the_ladder_is_the_same_at_every_scrape() {
    let store = store();
    let shard = store.acquire_shard();
    let descriptor = Descriptor::new("time", Kind::Histogram, "s", "");
    let ladder = descriptor.ladder();
    let series = store.instrument(descriptor).unwrap().series(&[]);
    let names = |page: Page| -> Vec<_> { page.samples.into_iter().map(|s| (s.0, s.1)).collect() };
    let empty = names(parse(&text(&store)));
    assert_eq!(empty.len(), ladder.count() + 3);
    [-1.0, 0.0, 0.25, 0.26, 1e9].iter().for_each(|value| series.record(&shard, *value));
    let page = parse(&text(&store));
    let at = |le| page.get("time_seconds_bucket", &[("le", le)]).unwrap();
    assert_eq!((at("0.125"), at("0.25"), at("0.5"), at("1024.0")), (2.0, 3.0, 4.0, 4.0));
    assert_eq!((at("+Inf"), page.get("time_seconds_count", &[])), (5.0, Some(5.0)));
    assert_eq!(names(page), empty);
}

#[test]
fn clashes_are_joined_numbered_or_added() {
    let store = store();
    let shard = store.acquire_shard();
    let counter = |name| store.instrument(Descriptor::new(name, Kind::Counter, "", "")).unwrap();
    let first = counter("a.b");
    let second = counter("a_b");
    second.series(&[]).add_int(&shard, 2);
    let labels = [("x.y", LabelValue::Str("1")), ("x_y", LabelValue::Str("2"))];
    first.series(&labels).add_int(&shard, 1);
    first.series(&labels[..1]).add_int(&shard, 10);
    first.series(&[("x-y", LabelValue::Int(1))]).add_float(&shard, 0.5);
    let gauge = store.instrument(Descriptor::new("g", Kind::Gauge, "", "")).unwrap();
    gauge.series(&[("k", LabelValue::Bool(true))]).set(1.0);
    gauge.series(&[("k", LabelValue::Str("true"))]).set(2.0);
    let page = parse(&text(&store));
    assert_eq!(page.get("a_b_total", &[("x_y", "1;2")]), Some(1.0));
    assert_eq!(page.get("a_b_total", &[("x_y", "1")]), Some(10.5));
    assert_eq!(page.get("a_b_2_total", &[]), Some(2.0));
    assert_eq!(page.get("g", &[("k", "true")]), Some(2.0));
}

proptest! {
    #[test]
    fn whatever_the_labels_the_page_reads_back(
        series in prop::collection::vec(
            (prop::collection::btree_map(".{0,4}", ".{0,12}", 0..4), any::<u32>()), 0..20),
        help in ".{0,20}",
    ) {
        let store = store();
        let shard = store.acquire_shard();
        let counter = store.instrument(Descriptor::new("c", Kind::Counter, "", &help)).unwrap();
        let mut total = 0.0;
        for (labels, amount) in &series {
            let labels: Vec<_> =
                labels.iter().map(|(k, v)| (&**k, LabelValue::Str(v))).collect();
            counter.series(&labels).add_int(&shard, i64::from(*amount));
            total += f64::from(*amount);
        }
        let page = parse(&text(&store));
        prop_assert_eq!(page.samples.iter().map(|sample| sample.2).sum::<f64>(), total);
        if !series.is_empty() && !help.is_empty() {
            prop_assert_eq!(&page.helps["c_total"], &help);
        }
    }
}
