//! Labels: borrowed as a caller gives them, canonical as a series keeps them.

use std::cmp::Ordering;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A label's value. `True`, `1` and `1.0` are three values.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum LabelValue<'a> {
    /// Text.
    Str(&'a str),
    /// A whole number.
    Int(i64),
    /// A double; its bits count, with one NaN and one zero.
    Float(f64),
    /// A truth value.
    Bool(bool),
}

/// A key and its value.
pub type Label<'a> = (&'a str, LabelValue<'a>);

/// Redaction of metric labels, run whenever labels are about to name a series, so that no series
/// ever holds what it takes out.
pub trait LabelPolicy: Send + Sync {
    /// What is to stand under `key` in place of `value`. A panic withholds the value.
    fn mask<'a>(&self, key: &str, value: LabelValue<'a>) -> LabelValue<'a>;
}

/// A label value a series owns.
#[derive(Clone, PartialEq, Debug)]
pub enum OwnedValue {
    /// Text.
    Str(Box<str>),
    /// A whole number.
    Int(i64),
    /// A double.
    Float(f64),
    /// A truth value.
    Bool(bool),
}

/// A label a series owns; its key is shared by all series of the store.
#[derive(Clone, PartialEq, Debug)]
pub struct OwnedLabel {
    /// The key.
    pub key: Arc<str>,
    /// The value.
    pub value: OwnedValue,
}

impl OwnedLabel {
    /// The same, borrowed.
    pub fn borrowed(&self) -> Label<'_> {
        (&self.key, self.value.borrowed())
    }

    pub(super) fn bytes(&self) -> usize {
        let text = if let OwnedValue::Str(text) = &self.value { text.len() } else { 0 };
        size_of::<Self>() + text
    }
}

impl OwnedValue {
    /// The same, borrowed.
    pub fn borrowed(&self) -> LabelValue<'_> {
        match self {
            Self::Str(text) => LabelValue::Str(text),
            Self::Int(value) => LabelValue::Int(*value),
            Self::Float(value) => LabelValue::Float(*value),
            Self::Bool(value) => LabelValue::Bool(*value),
        }
    }
}

fn float_bits(value: f64) -> u64 {
    if value.is_nan() {
        f64::NAN.to_bits()
    } else {
        // Adding zero makes -0.0 positive.
        (value + 0.0).to_bits()
    }
}

impl LabelValue<'_> {
    /// Whether both name the same series.
    pub(super) fn same(self, other: LabelValue<'_>) -> bool {
        match (self, other) {
            (Self::Str(a), LabelValue::Str(b)) => a == b,
            (Self::Int(a), LabelValue::Int(b)) => a == b,
            (Self::Float(a), LabelValue::Float(b)) => float_bits(a) == float_bits(b),
            (Self::Bool(a), LabelValue::Bool(b)) => a == b,
            _ => false,
        }
    }

    /// A copy that owns its text.
    pub fn keep(self) -> OwnedValue {
        match self {
            Self::Str(text) => OwnedValue::Str(text.into()),
            Self::Int(value) => OwnedValue::Int(value),
            Self::Float(value) => OwnedValue::Float(f64::from_bits(float_bits(value))),
            Self::Bool(value) => OwnedValue::Bool(value),
        }
    }

    fn hash(self, seed: u64) -> u64 {
        match self {
            Self::Str(text) => hash_bytes(seed, text.as_bytes()),
            Self::Int(value) => fold(seed ^ 1, value as u64),
            Self::Float(value) => fold(seed ^ 2, float_bits(value)),
            Self::Bool(value) => fold(seed ^ 3, u64::from(value)),
        }
    }
}

/// Multiplies to 128 bits and folds the halves together.
#[inline(always)]
pub(super) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0x9E37_79B9_7F4A_7C15) * u128::from(b ^ 0xD1B5_4A32_D192_ED03);
    (product as u64) ^ ((product >> 64) as u64)
}

#[inline]
fn hash_bytes(seed: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut state = seed ^ bytes.len() as u64;
    for word in words {
        state = fold(state, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    fold(state, u64::from_le_bytes(last))
}

const INLINE: usize = 16;

/// Labels masked, sorted by key, the last of equal keys kept; on the stack unless they are many.
pub(super) struct Canonical<'a> {
    inline: [Label<'a>; INLINE],
    many: Vec<Label<'a>>,
    len: usize,
}

impl<'a> Canonical<'a> {
    pub(super) fn new(labels: &[Label<'a>], policy: Option<&dyn LabelPolicy>) -> Self {
        let mut canonical =
            Self { inline: [("", LabelValue::Bool(false)); INLINE], many: Vec::new(), len: 0 };
        if labels.len() > INLINE {
            canonical.many.resize(labels.len(), ("", LabelValue::Bool(false)));
        }
        for &(key, value) in labels {
            let value = policy.map_or(value, |policy| masked(policy, key, value));
            canonical.insert((key, value));
        }
        canonical
    }

    fn storage(&mut self) -> &mut [Label<'a>] {
        if self.many.is_empty() { &mut self.inline } else { &mut self.many }
    }

    /// Insertion sort: labels are few and mostly sorted already.
    fn insert(&mut self, label: Label<'a>) {
        let len = self.len;
        let storage = self.storage();
        let mut at = len;
        while at > 0 {
            match storage[at - 1].0.cmp(label.0) {
                Ordering::Less => break,
                Ordering::Equal => {
                    storage[at - 1] = label;
                    return;
                }
                Ordering::Greater => at -= 1,
            }
        }
        storage[at..=len].rotate_right(1);
        storage[at] = label;
        self.len += 1;
    }

    pub(super) fn labels(&self) -> &[Label<'a>] {
        let storage = if self.many.is_empty() { &self.inline[..] } else { &self.many };
        &storage[..self.len]
    }

    pub(super) fn hash(&self, seed: u64) -> u64 {
        self.labels()
            .iter()
            .fold(seed, |state, (key, value)| value.hash(hash_bytes(state, key.as_bytes())))
    }

    /// Whether `owned`, canonical itself, are the same labels.
    pub(super) fn is(&self, owned: &[OwnedLabel]) -> bool {
        let labels = self.labels();
        labels.len() == owned.len()
            && labels.iter().zip(owned).all(|((key, value), owned)| {
                *key == &*owned.key && value.same(owned.value.borrowed())
            })
    }
}

/// Calls `f` with the first `most` labels, whose texts are cut at `limit` bytes and marked so.
pub(super) fn within<R>(
    labels: &[Label<'_>],
    most: usize,
    limit: usize,
    f: impl FnOnce(&[Label<'_>]) -> R,
) -> R {
    let labels = &labels[..labels.len().min(most)];
    let fits = |(key, value): &Label<'_>| {
        key.len() <= limit && !matches!(value, LabelValue::Str(text) if text.len() > limit)
    };
    if labels.iter().all(fits) {
        return f(labels);
    }
    let owned: Vec<(String, OwnedValue)> = labels
        .iter()
        .map(|&(key, value)| match value {
            LabelValue::Str(text) => (cut(key, limit), OwnedValue::Str(cut(text, limit).into())),
            value => (cut(key, limit), value.keep()),
        })
        .collect();
    let borrowed: Vec<Label<'_>> =
        owned.iter().map(|(key, value)| (&**key, value.borrowed())).collect();
    f(&borrowed)
}

fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let kept = &text[..text.floor_char_boundary(limit)];
    format!("{kept}…[+{} bytes]", text.len() - kept.len())
}

fn masked<'a>(policy: &dyn LabelPolicy, key: &str, value: LabelValue<'a>) -> LabelValue<'a> {
    catch_unwind(AssertUnwindSafe(|| policy.mask(key, value)))
        .unwrap_or(LabelValue::Str("[REDACTED]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_and_the_last_wins() {
        let labels = [
            ("b", LabelValue::Int(1)),
            ("a", LabelValue::Str("x")),
            ("b", LabelValue::Int(2)),
            ("", LabelValue::Bool(true)),
        ];
        let canonical = Canonical::new(&labels, None);
        assert_eq!(
            canonical.labels(),
            [("", LabelValue::Bool(true)), ("a", LabelValue::Str("x")), ("b", LabelValue::Int(2))]
        );
    }

    #[test]
    fn many_labels_in_any_order_are_the_same() {
        let keys: Vec<String> = (0..40).map(|i| format!("k{i:02}")).collect();
        let mut labels: Vec<Label> = keys.iter().map(|k| (&**k, LabelValue::Int(7))).collect();
        let forwards = Canonical::new(&labels, None).hash(1);
        labels.reverse();
        let canonical = Canonical::new(&labels, None);
        assert_eq!(canonical.hash(1), forwards);
        assert!(canonical.labels().is_sorted_by_key(|label| label.0));
        assert_eq!(canonical.labels().len(), 40);
    }

    #[test]
    fn types_are_apart_and_zeros_are_one() {
        let hash = |value| Canonical::new(&[("k", value)], None).hash(9);
        let all = [
            LabelValue::Bool(true),
            LabelValue::Int(1),
            LabelValue::Float(1.0),
            LabelValue::Str("1"),
        ];
        for (i, a) in all.into_iter().enumerate() {
            for b in &all[i + 1..] {
                assert!(!a.same(*b));
                assert_ne!(hash(a), hash(*b));
            }
        }
        assert_eq!(hash(LabelValue::Float(0.0)), hash(LabelValue::Float(-0.0)));
        assert!(LabelValue::Float(f64::NAN).same(LabelValue::Float(-f64::NAN)));
    }

    #[test]
    fn a_panicking_policy_withholds() {
        struct Broken;
        impl LabelPolicy for Broken {
            fn mask<'a>(&self, _: &str, _: LabelValue<'a>) -> LabelValue<'a> {
                std::panic::resume_unwind(Box::new(()))
            }
        }
        let canonical = Canonical::new(&[("k", LabelValue::Str("secret"))], Some(&Broken));
        assert_eq!(canonical.labels(), [("k", LabelValue::Str("[REDACTED]"))]);
    }
}
