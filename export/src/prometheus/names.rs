//! Metric and label names as Prometheus takes them, after OpenTelemetry's compatibility rules.

use coati_core::metrics::{Descriptor, Kind};
use std::collections::HashSet;

/// The words for UCUM units; an unknown unit is taken as it is.
const UNITS: [(&str, &str); 29] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("kBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("bit", "bits"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("%", "percent"),
    ("1", ""),
    ("", ""),
];

/// The words after "per".
const PER: [(&str, &str); 7] = [
    ("s", "second"),
    ("m", "minute"),
    ("min", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("mo", "month"),
    ("y", "year"),
];

/// Replaces what may not stand in a name, runs of underscores by one.
fn clean(text: &str, colon: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let c = if c.is_ascii_alphanumeric() || (colon && c == ':') { c } else { '_' };
        if c != '_' || !out.ends_with('_') {
            out.push(c);
        }
    }
    out
}

fn word(unit: &str, words: &[(&str, &str)]) -> String {
    match words.iter().find(|(ucum, _)| *ucum == unit) {
        Some((_, word)) => (*word).into(),
        None => clean(unit, false).trim_matches('_').into(),
    }
}

/// Leaves out `{annotations}`.
fn plain(unit: &str) -> String {
    let mut depth = 0;
    let outside = unit.chars().filter(|c| {
        depth += i32::from(*c == '{');
        let keep = depth == 0;
        depth -= i32::from(*c == '}');
        keep
    });
    outside.collect()
}

/// The words a unit puts at the end of a name: `ms` milliseconds, `By/s` bytes_per_second.
pub(super) fn unit_words(unit: &str) -> String {
    let unit = plain(unit);
    let (of, per) = unit.split_once('/').unwrap_or((&unit, ""));
    let (of, per) = (word(of.trim(), &UNITS), word(per.trim(), &PER));
    match (of.is_empty(), per.is_empty()) {
        (_, true) => of,
        (true, false) => format!("per_{per}"),
        (false, false) => format!("{of}_per_{per}"),
    }
}

/// The name of a metric, `copy` told apart when two would be called the same.
fn metric_name(descriptor: &Descriptor, copy: usize) -> String {
    let mut name = clean(&descriptor.name, true);
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    let counter = descriptor.kind == Kind::Counter;
    if counter {
        name.truncate(name.strip_suffix("_total").unwrap_or(&name).len());
    }
    let unit = unit_words(&descriptor.unit);
    if !unit.is_empty() {
        let bare = name.strip_suffix(&unit).and_then(|name| name.strip_suffix('_'));
        name.truncate(bare.unwrap_or(&name).len());
    }
    if copy > 1 {
        name += &format!("_{copy}");
    }
    // The whole name may be the unit: then it is there already.
    if !unit.is_empty() && name != unit {
        name.truncate(name.trim_end_matches('_').len());
        name = format!("{name}_{unit}");
    }
    if counter {
        name += "_total";
    }
    name
}

/// Gives each metric a name of its own.
pub(super) struct Names {
    taken: HashSet<String>,
}

impl Default for Names {
    fn default() -> Self {
        Self { taken: ["target_info", "target"].map(String::from).into() }
    }
}

impl Names {
    /// The name of the next metric. One that would be called as an earlier one, or as a line of an
    /// earlier histogram, gets `_2`, `_3` and so on before its unit.
    pub(super) fn next(&mut self, descriptor: &Descriptor) -> String {
        for copy in 1.. {
            let name = metric_name(descriptor, copy);
            // OpenMetrics' family of a counter is called as it is without its ending.
            let bare = name.strip_suffix("_total").unwrap_or(&name);
            let (stem, suffixes): (_, &[&str]) = match descriptor.kind {
                Kind::Counter => (bare, &["", "_total"]),
                Kind::Histogram => (&*name, &["", "_bucket", "_sum", "_count"]),
                _ => (&*name, &[""]),
            };
            let lines: Vec<String> = suffixes.iter().map(|end| format!("{stem}{end}")).collect();
            if !lines.iter().any(|line| self.taken.contains(line)) {
                self.taken.extend(lines);
                return name;
            }
        }
        unreachable!("names do not run out")
    }
}

/// A label name; `le` belongs to the buckets of a histogram.
pub(super) fn label_name(key: &str, histogram: bool) -> String {
    let mut name = clean(key, false);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    if histogram && name == "le" {
        name.insert_str(0, "exported_");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str, kind: Kind, unit: &str) -> String {
        metric_name(&Descriptor::new(name, kind, unit, ""), 1)
    }

    #[test]
    fn names_have_their_unit() {
        use Kind::{Counter, Gauge, Histogram};
        let cases = [
            ("agent.response_time", Histogram, "ms", "agent_response_time_milliseconds"),
            ("agent_executions", Counter, "1", "agent_executions_total"),
            ("executions_total", Counter, "", "executions_total"),
            ("http.request.duration", Histogram, "s", "http_request_duration_seconds"),
            ("duration_seconds", Histogram, "s", "duration_seconds"),
            ("io_bytes_total", Counter, "By", "io_bytes_total"),
            ("io", Counter, "By", "io_bytes_total"),
            ("usage", Gauge, "{token}", "usage"),
            ("usage", Gauge, "{token}/s", "usage_per_second"),
            ("rate", Gauge, "By/min", "rate_bytes_per_minute"),
            ("share", Gauge, "%", "share_percent"),
            ("share", Gauge, "1", "share"),
            ("odd", Gauge, "foo bar", "odd_foo_bar"),
            ("a--b..c", Gauge, "", "a_b_c"),
            ("job:rate", Gauge, "", "job:rate"),
            ("seconds", Gauge, "s", "seconds"),
        ];
        for (given, kind, unit, wanted) in cases {
            assert_eq!(name(given, kind, unit), wanted, "{given} {unit}");
        }
    }

    #[test]
    fn clashes_are_numbered_in_order() {
        let mut names = Names::default();
        let mut next = |name, kind, unit| names.next(&Descriptor::new(name, kind, unit, ""));
        assert_eq!(next("a.b", Kind::Counter, "s"), "a_b_seconds_total");
        assert_eq!(next("a_b", Kind::Counter, "s"), "a_b_2_seconds_total");
        assert_eq!(next("a-b", Kind::Counter, "s"), "a_b_3_seconds_total");
        assert_eq!(next("h", Kind::Histogram, ""), "h");
        assert_eq!(next("h.count", Kind::Gauge, ""), "h_count_2");
    }

    #[test]
    fn label_names() {
        let cases = [("a.b", "a_b"), ("1a", "_1a"), ("", "_"), ("le", "exported_le"), ("ä", "_")];
        for (key, wanted) in cases {
            assert_eq!(label_name(key, true), wanted);
        }
        assert_eq!(label_name("le", false), "le");
    }
}
