//! `[[metrics.views]]`: instruments shown otherwise than they are made.

use coati_core::metrics::{
    Aggregation as CoreAggregation, Buckets, Descriptor, LabelFilter, View as CoreView,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kind::Kind;
use super::schema::{self, RESTART, Row};
use super::{ConfigError, Source};

pub(super) const ROWS: &[Row] = &[
    Row {
        path: "instrument",
        kind: Kind::Text,
        meaning: "Which instruments it is for: a name, `*` and `?` stand for other text; required",
        ..RESTART
    },
    Row { path: "name", kind: Kind::Text, meaning: "Another name", ..RESTART },
    Row { path: "description", kind: Kind::Text, meaning: "Another description", ..RESTART },
    Row {
        path: "keep",
        kind: Kind::Texts,
        meaning: "The labels that stay; series that become equal add up",
        ..RESTART
    },
    Row { path: "drop", kind: Kind::Texts, meaning: "The labels that go", ..RESTART },
    Row {
        path: "buckets",
        kind: Kind::Bounds,
        meaning: "Upper bounds of a histogram's buckets",
        ..RESTART
    },
    Row {
        path: "aggregation",
        kind: Kind::OneOf(&["exponential", "explicit", "drop"]),
        meaning: "How a histogram counts (`explicit` without `buckets`: OpenTelemetry's default \
                  ones); `drop`: nothing is counted",
        ..RESTART
    },
];

/// OpenTelemetry's default bounds.
pub(crate) const DEFAULT_BOUNDS: [f64; 15] = [
    0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0,
    10000.0,
];

/// One of `[[metrics.views]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// Which instruments it is for.
    pub instrument: String,
    /// Another name.
    pub name: Option<String>,
    /// Another description.
    pub description: Option<String>,
    /// The labels that stay.
    pub keep: Option<Vec<String>>,
    /// The labels that go.
    pub drop: Option<Vec<String>>,
    /// Upper bounds of a histogram's buckets.
    pub buckets: Option<Vec<f64>>,
    /// How a histogram counts.
    pub aggregation: Option<Aggregation>,
}

/// What becomes of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// Base-2 exponential buckets.
    Exponential,
    /// Buckets between bounds.
    Explicit,
    /// They are not counted.
    Drop,
}

impl View {
    /// In the core's own types.
    pub fn core(&self) -> CoreView {
        let boxed = |names: &Vec<String>| names.iter().map(|name| (**name).into()).collect();
        let explicit = |bounds: &[f64]| CoreAggregation::Buckets(Buckets::Explicit(bounds.into()));
        let aggregation = match (self.aggregation, &self.buckets) {
            (Some(Aggregation::Drop), _) => Some(CoreAggregation::Drop),
            (Some(Aggregation::Exponential), _) => {
                Some(CoreAggregation::Buckets(Buckets::Exponential))
            }
            (_, Some(bounds)) => Some(explicit(bounds)),
            (Some(Aggregation::Explicit), None) => Some(explicit(&DEFAULT_BOUNDS)),
            (None, None) => None,
        };
        let keep = self.keep.as_ref().map(|keys| LabelFilter::Keep(boxed(keys)));
        let drop = self.drop.as_ref().map(|keys| LabelFilter::Drop(boxed(keys)));
        CoreView {
            instrument: (*self.instrument).into(),
            name: self.name.as_deref().map(Into::into),
            description: self.description.as_deref().map(Into::into),
            labels: keep.or(drop),
            aggregation,
        }
    }
}

/// The normal form of one view.
pub(super) fn check(key: &str, value: &Value, source: &Source) -> Result<Value, ConfigError> {
    let view = schema::check_table(ROWS, key, value, source)?;
    let refuse = |name: &str, accepted: &str| {
        Err(ConfigError::bad_value(format!("{key}.{name}"), &view[name], accepted, source))
    };
    let Some(instrument) = view["instrument"].as_str() else {
        return refuse("instrument", "the name of an instrument, with `*` and `?` for other text");
    };
    if let Some(name) = view["name"].as_str() {
        if !Descriptor::is_name(name) {
            return refuse(
                "name",
                "a letter or `_`, then letters, digits, `_`, `.`, `-`, `/` or `:`",
            );
        }
        if instrument.contains(['*', '?']) {
            return refuse("name", &format!("only with {key}.instrument without `*` and `?`"));
        }
    }
    if !view["keep"].is_null() && !view["drop"].is_null() {
        return refuse("drop", &format!("only without {key}.keep"));
    }
    if !view["buckets"].is_null()
        && !matches!(view["aggregation"].as_str(), None | Some("explicit"))
    {
        return refuse("aggregation", &format!("explicit, or no {key}.buckets"));
    }
    Ok(view)
}
