//! Views: instruments shown otherwise than they were made.

use super::descriptor::{Buckets, Descriptor, Kind};
use super::label::Label;
use std::sync::Arc;

/// What is different about the instruments it is for.
#[derive(Clone, PartialEq, Debug)]
pub struct View {
    /// The name of an instrument; `*` stands for any text, `?` for any one character.
    pub instrument: Box<str>,
    /// Its new name.
    pub name: Option<Box<str>>,
    /// Its new description.
    pub description: Option<Box<str>>,
    /// The labels that stay.
    pub labels: Option<LabelFilter>,
    /// How a histogram counts, or that the instrument shows nothing.
    pub aggregation: Option<Aggregation>,
}

/// Which labels series have.
#[derive(Clone, PartialEq, Debug)]
pub enum LabelFilter {
    /// These alone.
    Keep(Box<[Box<str>]>),
    /// All but these.
    Drop(Box<[Box<str>]>),
}

/// What becomes of values.
#[derive(Clone, PartialEq, Debug)]
pub enum Aggregation {
    /// They go into the buckets of a histogram.
    Buckets(Buckets),
    /// They are not counted, and there are no series.
    Drop,
}

impl LabelFilter {
    fn keeps(&self, key: &str) -> bool {
        match self {
            Self::Keep(keys) => keys.iter().any(|kept| **kept == *key),
            Self::Drop(keys) => !keys.iter().any(|dropped| **dropped == *key),
        }
    }

    /// The labels that stay.
    pub(super) fn apply<'a>(&self, labels: &[Label<'a>]) -> Vec<Label<'a>> {
        labels.iter().copied().filter(|(key, _)| self.keeps(key)).collect()
    }
}

/// An instrument as views show it.
pub(super) struct Shown {
    pub(super) descriptor: Descriptor,
    pub(super) labels: Option<LabelFilter>,
    pub(super) dropped: bool,
}

/// What `views` make of an instrument. Each that is for it says what it says; of two that say
/// something of the same, the later one counts.
pub(super) fn show(views: &[View], made: &Descriptor) -> Shown {
    let mut shown = Shown { descriptor: made.clone(), labels: None, dropped: false };
    for view in views.iter().filter(|view| matches(&view.instrument, &made.name)) {
        if let Some(name) = &view.name {
            shown.descriptor.name.clone_from(name);
        }
        if let Some(description) = &view.description {
            shown.descriptor.description.clone_from(description);
        }
        if view.labels.is_some() {
            shown.labels.clone_from(&view.labels);
        }
        match &view.aggregation {
            Some(Aggregation::Drop) => shown.dropped = true,
            Some(Aggregation::Buckets(buckets)) => {
                shown.dropped = false;
                if made.kind == Kind::Histogram {
                    shown.descriptor.buckets = buckets.clone();
                }
            }
            None => {}
        }
    }
    shown
}

/// Whether `pattern` stands for `name`.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut read) = (0, 0);
    // Where to go on when what follows the last star does not fit.
    let mut star = None;
    while read < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, read));
                at += 1;
            }
            Some(wanted) if *wanted == b'?' || *wanted == name[read] => {
                at += 1;
                read += 1;
            }
            _ => match star {
                Some((after, taken)) => {
                    star = Some((after, taken + 1));
                    (at, read) = (after, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|rest| *rest == b'*')
}

/// No views.
pub(super) fn none() -> Arc<[View]> {
    Arc::from([])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let cases = [
            ("a.b", "a.b", true),
            ("a.b", "a.bc", false),
            ("a.b", "a", false),
            ("*", "anything", true),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("http.*", "http.server", true),
            ("http.*", "http.", true),
            ("http.*", "http", false),
            ("*.duration", "http.server.duration", true),
            ("*.duration", "http.duration.s", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "abcbc", true),
            ("a*b*c", "abcb", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("**?", "", false),
            ("**?", "x", true),
        ];
        for (pattern, name, wanted) in cases {
            assert_eq!(matches(pattern, name), wanted, "{pattern} {name}");
        }
    }
}
