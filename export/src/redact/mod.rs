//! The stage between decoding and routing that no sink can be built without.
//!
//! A sink takes [`Redacted`] records, and only [`Redactor::apply`] makes them: the record behind
//! one cannot be reached, only what the rules leave of it.

mod keep;
pub mod keys;
mod view;

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use coati_core::intern::{self, Id};
use coati_core::metrics::{LabelPolicy, LabelValue, MetricSnapshot, OwnedLabel, SeriesSnapshot};
use coati_core::record::read::Record;
use coati_core::record::value::Key;

use crate::genai::{Names, Shown, rename_metrics};
pub use keep::keep;
use keys::{KeyRules, MASK};
pub use view::{Event, Fields, Link, List, Map, Redacted, RedactedLog, RedactedSpan, Scope, Value};

/// Applies the rules to records. One per drain thread.
#[derive(Debug)]
pub struct Redactor {
    rules: Option<Arc<KeyRules>>,
    names: Option<Names>,
    /// By interned id: what the rules say of the name. The first page has room for a thousand names;
    /// most programs never need another.
    known: Box<[OnceCell<Page>]>,
}

const PAGE: usize = 1024;
type Page = Box<[Cell<Verdict>; PAGE]>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Unknown,
    Passes,
    Masked,
}

impl Redactor {
    /// Applies `rules`; none lets everything pass.
    pub fn new(rules: Option<Arc<KeyRules>>) -> Self {
        let known = vec![OnceCell::new(); intern::IDS.div_ceil(PAGE)].into();
        Self { rules, names: None, known }
    }

    /// Shows what is recorded of generative AI by these names; none leaves it as it is.
    pub fn showing(mut self, names: Option<Shown>) -> Self {
        self.names = names.map(Names::new);
        self
    }

    /// What the rules leave of `record`.
    #[inline(always)]
    pub fn apply<'a>(&'a self, record: Record<'a>) -> Redacted<'a> {
        view::redacted(record, self)
    }

    /// Whether the value of a field called `key` is withheld.
    #[inline(always)]
    fn masks(&self, key: Key<'_>) -> bool {
        match key {
            Key::Id(id) => match self.known(id) {
                Verdict::Passes => false,
                Verdict::Masked => true,
                Verdict::Unknown => self.judge(id),
            },
            Key::Text(name) => self.masks_name(name),
        }
    }

    #[inline(always)]
    fn known(&self, id: Id) -> Verdict {
        let page = self.known.get(id.0 as usize / PAGE).and_then(OnceCell::get);
        page.map_or(Verdict::Unknown, |page| page[id.0 as usize % PAGE].get())
    }

    /// Judges a name for the first time. One that cannot be found is withheld.
    #[cold]
    #[inline(never)]
    fn judge(&self, id: Id) -> bool {
        let masked = match intern::text(id) {
            Some(name) => self.masks_name(name),
            None => return self.rules.is_some(),
        };
        if let Some(page) = self.known.get(id.0 as usize / PAGE) {
            let page = page.get_or_init(|| Box::new([const { Cell::new(Verdict::Unknown) }; PAGE]));
            page[id.0 as usize % PAGE].set(if masked { Verdict::Masked } else { Verdict::Passes });
        }
        masked
    }

    #[cold]
    #[inline(never)]
    fn masks_name(&self, name: &str) -> bool {
        let Some(rules) = &self.rules else { return false };
        let shown = |key| matches!(key, Some(key) if rules.matches(name_of(key)));
        // A secret by any of its names.
        rules.matches(name)
            || self
                .names
                .as_ref()
                .is_some_and(|names| shown(names.instead(name)) || shown(names.beside(name)))
    }
}

fn name_of(key: Key<'_>) -> &str {
    match key {
        Key::Id(id) => intern::text(id).unwrap_or_default(),
        Key::Text(name) => name,
    }
}

/// The same rules for metric labels: where a series is made, and again where it is read, as rules
/// may have come since.
#[derive(Debug, Default)]
pub struct LabelRules {
    rules: ArcSwapOption<KeyRules>,
    names: ArcSwap<Option<Shown>>,
}

impl LabelRules {
    /// Replaces the rules, and the names by which metrics of generative AI are shown.
    pub fn set(&self, rules: Option<Arc<KeyRules>>, names: Option<Shown>) {
        self.rules.store(rules);
        self.names.store(Arc::new(names));
    }

    /// Masks the labels of what was read, adds up series that become equal, and shows metrics by
    /// the names that are asked for.
    pub fn apply(&self, metrics: &mut Vec<MetricSnapshot>) {
        self.mask_all(metrics);
        if let Some(names) = **self.names.load() {
            rename_metrics(metrics, names);
        }
    }

    fn mask_all(&self, metrics: &mut [MetricSnapshot]) {
        let Some(rules) = self.rules.load_full() else { return };
        for metric in metrics {
            // The series of a metric share their keys, so that few have to be judged.
            const FEW: usize = 16;
            let mut passing: Vec<*const u8> = Vec::new();
            let mut names_secret = |label: &OwnedLabel| {
                let key = label.key.as_ptr();
                if passing.contains(&key) {
                    return false;
                }
                let secret = rules.matches(&label.key);
                if !secret && passing.len() < FEW {
                    passing.push(key)
                }
                secret
            };
            if !metric.series.iter().any(|series| series.labels.iter().any(&mut names_secret)) {
                continue;
            }
            let kind = metric.descriptor.kind;
            let mut masked: Vec<SeriesSnapshot> = Vec::new();
            for mut series in std::mem::take(&mut metric.series) {
                series.labels = series.labels.iter().map(|label| self.masked(label)).collect();
                match masked.iter_mut().find(|known| known.labels == series.labels) {
                    Some(known) => {
                        known.value.add(&series.value, kind);
                        known.exemplars.append(&mut series.exemplars);
                    }
                    None => masked.push(series),
                }
            }
            metric.series = masked;
        }
    }

    fn masked(&self, label: &OwnedLabel) -> OwnedLabel {
        let value = self.mask(&label.key, label.value.borrowed()).keep();
        OwnedLabel { key: label.key.clone(), value }
    }
}

impl LabelPolicy for LabelRules {
    fn mask<'a>(&self, key: &str, value: LabelValue<'a>) -> LabelValue<'a> {
        let rules = self.rules.load();
        if rules.as_ref().is_some_and(|rules| rules.matches(key)) {
            LabelValue::Str(MASK)
        } else {
            value
        }
    }
}
