//! What an instrument is.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The kind of an instrument. An observable one is the same, set from a callback.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Only goes up.
    Counter,
    /// Goes up and down; sums over threads.
    UpDownCounter,
    /// The last value set.
    Gauge,
    /// A distribution.
    Histogram,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::UpDownCounter => "up_down_counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

/// A histogram's buckets.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Buckets {
    /// Base-2 exponential, at most 0.6 % relative error over all doubles.
    #[default]
    Exponential,
    /// Upper bounds, inclusive, in ascending order; one more bucket holds what lies above.
    Explicit(Arc<[f64]>),
}

/// Who an instrument belongs to: OpenTelemetry's instrumentation scope. Instruments of different
/// scopes may have the same name.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Scope {
    /// Its name.
    pub name: Box<str>,
    /// Its version, empty for none.
    pub version: Box<str>,
    /// The schema its names follow, empty for none.
    pub schema_url: Box<str>,
    /// Tells instruments apart that share scope and name and do not agree; shown nowhere.
    pub copy: u32,
}

/// Everything fixed about an instrument.
#[derive(Clone, PartialEq, Debug)]
pub struct Descriptor {
    /// The OpenTelemetry instrument name.
    pub name: Box<str>,
    /// Its kind.
    pub kind: Kind,
    /// UCUM unit, empty for none.
    pub unit: Box<str>,
    /// For people.
    pub description: Box<str>,
    /// Read for histograms only.
    pub buckets: Buckets,
    /// `None`: the program's own.
    pub scope: Option<Arc<Scope>>,
}

impl Descriptor {
    /// A descriptor with exponential buckets.
    pub fn new(name: &str, kind: Kind, unit: &str, description: &str) -> Self {
        Self {
            name: name.into(),
            kind,
            unit: unit.into(),
            description: description.into(),
            buckets: Buckets::Exponential,
            scope: None,
        }
    }

    /// The same with explicit bucket bounds.
    pub fn with_bounds(mut self, bounds: &[f64]) -> Self {
        self.buckets = Buckets::Explicit(bounds.into());
        self
    }

    /// The same of a scope.
    pub fn with_scope(mut self, scope: Arc<Scope>) -> Self {
        self.scope = Some(scope);
        self
    }

    /// What it is found by: no two instruments of a store have the same.
    pub(super) fn key(&self) -> Key {
        (self.scope.clone(), self.name.clone())
    }

    /// The explicit bounds, if it is a histogram that has them.
    pub fn bounds(&self) -> Option<&[f64]> {
        match &self.buckets {
            Buckets::Explicit(bounds) if self.kind == Kind::Histogram => Some(bounds),
            _ => None,
        }
    }

    /// The powers of two at which text formats show an exponential histogram. It depends on the
    /// unit alone, so that every scrape shows the same.
    pub fn ladder(&self) -> RangeInclusive<i32> {
        match &*self.unit {
            "ns" => 7..=34,
            "us" => 0..=30,
            // 0.1 ms to 17 minutes, in either unit.
            "ms" => -3..=20,
            "s" => -13..=10,
            "By" => 4..=34,
            _ => -7..=18,
        }
    }

    /// Whether both count the same in the same way.
    pub(super) fn counts_as(&self, other: &Self) -> bool {
        (self.kind, &self.unit, self.bounds()) == (other.kind, &other.unit, other.bounds())
    }

    /// Cuts unit and description.
    pub(super) fn cut(&mut self, limit: usize) {
        for text in [&mut self.unit, &mut self.description] {
            if text.len() > limit {
                *text = text[..text.floor_char_boundary(limit)].into();
            }
        }
    }

    /// Whether an instrument may be called so.
    pub fn is_name(name: &str) -> bool {
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let goes_on = |c: char| c.is_ascii_alphanumeric() || "_.-/:".contains(c);
        begins && name.len() <= 255 && name.chars().all(goes_on)
    }

    pub(super) fn check(&self) -> Result<(), MetricError> {
        let name = &*self.name;
        if !Self::is_name(name) {
            return Err(MetricError::Name { name: name.into() });
        }
        let bounds = self.bounds().unwrap_or_default();
        let ascending = bounds.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || !bounds.iter().all(|bound| bound.is_finite()) {
            return Err(MetricError::Bounds { name: name.into(), bounds: bounds.into() });
        }
        Ok(())
    }

    /// Whether asking for `wanted` may be answered with `self`: an empty unit and exponential
    /// buckets are what is said when nothing is said, so they agree with any.
    pub(super) fn agrees(&self, wanted: &Self) -> Result<(), MetricError> {
        let name = || self.name.to_string();
        if self.kind != wanted.kind {
            return Err(MetricError::Kind { name: name(), had: self.kind, wanted: wanted.kind });
        }
        if !wanted.unit.is_empty() && self.unit != wanted.unit {
            let (had, wanted) = (self.unit.to_string(), wanted.unit.to_string());
            return Err(MetricError::Unit { name: name(), had, wanted });
        }
        if wanted.bounds().is_some() && self.bounds() != wanted.bounds() {
            let had = self.bounds().map(Into::into);
            let wanted = wanted.bounds().unwrap_or_default().into();
            return Err(MetricError::OtherBounds { name: name(), had, wanted });
        }
        Ok(())
    }
}

/// Scope and name.
pub(super) type Key = (Option<Arc<Scope>>, Box<str>);

/// Why there is no such instrument.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum MetricError {
    /// Not an instrument name.
    Name {
        /// As given.
        name: String,
    },
    /// Bounds not ascending or not finite.
    Bounds {
        /// The instrument.
        name: String,
        /// As given.
        bounds: Box<[f64]>,
    },
    /// The name belongs to another kind.
    Kind {
        /// The instrument.
        name: String,
        /// What it is.
        had: Kind,
        /// What was asked for.
        wanted: Kind,
    },
    /// The name belongs to another unit.
    Unit {
        /// The instrument.
        name: String,
        /// What it has.
        had: String,
        /// What was asked for.
        wanted: String,
    },
    /// The name belongs to a histogram with other buckets.
    OtherBounds {
        /// The instrument.
        name: String,
        /// What it has; `None` is exponential.
        had: Option<Box<[f64]>>,
        /// What was asked for.
        wanted: Box<[f64]>,
    },
}

impl fmt::Display for MetricError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { name } => write!(
                f,
                "bad metric name {name:?}: a letter or `_`, then letters, digits, `_`, `.`, `-`, \
                 `/` or `:`, at most 255 in all"
            ),
            Self::Bounds { name, bounds } => {
                write!(f, "histogram {name:?}: bounds {bounds:?} are not finite and ascending")
            }
            Self::Kind { name, had, wanted } => {
                write!(f, "metric {name:?} is a {had}, not a {wanted}")
            }
            Self::Unit { name, had, wanted } => {
                write!(f, "metric {name:?} has unit {had:?}, not {wanted:?}")
            }
            Self::OtherBounds { name, had: Some(had), wanted } => {
                write!(f, "histogram {name:?} has bounds {had:?}, not {wanted:?}")
            }
            Self::OtherBounds { name, had: None, wanted } => {
                write!(f, "histogram {name:?} has exponential buckets, not bounds {wanted:?}")
            }
        }
    }
}

impl std::error::Error for MetricError {}
