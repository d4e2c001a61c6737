//! Instrumentation scopes: what OpenTelemetry knows of a tracer besides its name.
//!
//! There are few and they stay: a table that only grows, without a lock for the same reason as the
//! names' ([`crate::intern`]). A record names its scope by the number of a place in the upper bits of
//! the word that holds the id of its tracer's name. Whoever reads records of another process finds no
//! scope there, and has the name.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::intern::{self, Id};
use crate::record::read::Fields;
use crate::record::words::Words;
use crate::record::write::Encoder;

/// Bits of a tracer's word that hold the id of its name.
const NAME_BITS: u32 = 20;
const PLACES: usize = if cfg!(miri) { 16 } else { 1 << (u32::BITS - NAME_BITS) };
const _: () = assert!(intern::IDS <= 1 << NAME_BITS);
/// Of one scope's attributes.
const MOST_BYTES: usize = 16 << 10;

/// A scope but for its name.
#[derive(Debug, Default)]
pub struct Scope {
    version: Box<str>,
    schema_url: Box<str>,
    attributes: Words,
    count: u32,
}

impl Scope {
    /// A scope with a version and the schema that its names follow; empty for none.
    pub fn new(version: &str, schema_url: &str) -> Self {
        Self { version: version.into(), schema_url: schema_url.into(), ..Self::default() }
    }

    /// Adds the attribute that `encode` writes, if there is room for it.
    pub fn add(&mut self, encode: impl Fn(&mut Encoder<'_>) -> bool) {
        let added = self.attributes.append(MOST_BYTES, MOST_BYTES / 4, encode);
        self.count += u32::from(added.is_some());
    }

    /// Its version, empty for none.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The schema that its names follow, empty for none.
    pub fn schema_url(&self) -> &str {
        &self.schema_url
    }

    /// Its attributes.
    pub fn attributes(&self) -> Fields<'_> {
        Fields::over(self.attributes.bytes(), self.count)
    }

    fn says_nothing(&self) -> bool {
        self.version.is_empty() && self.schema_url.is_empty() && self.count == 0
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version
            && self.schema_url == other.schema_url
            && self.count == other.count
            && self.attributes.words() == other.attributes.words()
    }
}

static TABLE: [AtomicPtr<Scope>; PLACES] = [const { AtomicPtr::new(null_mut()) }; PLACES];

/// The word that names a tracer: the id of its name, and its scope, for which a place is found. One
/// that is one too many has the name alone.
pub fn word(name: Id, scope: Scope) -> u32 {
    if scope.says_nothing() {
        return name.0;
    }
    let fresh = Box::into_raw(Box::new(scope));
    // The first place stands for no scope.
    for (place, slot) in TABLE.iter().enumerate().skip(1) {
        // Release: who finds the scope finds it whole. Acquire: for the comparison.
        let there = slot.compare_exchange(null_mut(), fresh, Ordering::Release, Ordering::Acquire);
        let named = name.0 | (place as u32) << NAME_BITS;
        match there {
            Ok(_) => return named,
            // SAFETY: what is in the table stays for ever; `fresh` is ours alone until it is there.
            Err(known) if unsafe { *known == *fresh } => {
                // SAFETY: as above, from `Box::into_raw`.
                drop(unsafe { Box::from_raw(fresh) });
                return named;
            }
            Err(_) => {}
        }
    }
    // SAFETY: ours, from `Box::into_raw`.
    drop(unsafe { Box::from_raw(fresh) });
    name.0
}

/// The id of the name in a tracer's word.
#[inline(always)]
pub fn name(word: u32) -> Id {
    Id(word & ((1 << NAME_BITS) - 1))
}

/// The scope in a tracer's word, if it has one.
#[inline(always)]
pub fn of(word: u32) -> Option<&'static Scope> {
    let place = word >> NAME_BITS;
    if place == 0 { None } else { at(place as usize) }
}

#[cold]
fn at(place: usize) -> Option<&'static Scope> {
    let scope = TABLE.get(place)?.load(Ordering::Acquire);
    // SAFETY: null, or what stays for ever.
    unsafe { scope.as_ref() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::value::{Key, Value};

    fn scope(version: &str) -> Scope {
        let mut scope = Scope::new(version, "https://schema");
        scope.add(|encoder| encoder.field((Key::new("scope-test-key"), Value::I64(7))));
        scope
    }

    #[test]
    fn equal_scopes_have_one_place_and_others_their_own() {
        let (name, other) = (Id(20), Id(21));
        assert_eq!(word(name, Scope::default()), name.0);
        let words = [word(name, scope("1")), word(other, scope("1")), word(name, scope("2"))];
        assert_eq!(words[0], word(name, scope("1")));
        assert_eq!(words.map(super::name), [name, other, name]);
        assert_eq!(words[0] >> NAME_BITS, words[1] >> NAME_BITS);
        assert_ne!(words[0], words[2]);
        let found = of(words[2]).expect("it is there");
        assert_eq!((found.version(), found.schema_url()), ("2", "https://schema"));
        assert_eq!(found.attributes().count(), 1);
        assert!(of(name.0).is_none());
    }
}
