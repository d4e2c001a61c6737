//! Levels by name in serialised settings.

use coati_core::record::Level;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

fn named<E: Error>(name: &str) -> Result<Level, E> {
    Level::from_name(name).ok_or_else(|| E::custom(format!("no level is called {name}")))
}

pub(super) fn serialize<S: Serializer>(level: &Level, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(level.name())
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Level, D::Error> {
    named(&String::deserialize(from)?)
}

/// A table of them.
pub(super) mod by_name {
    use std::collections::BTreeMap;

    use super::{Deserialize, Deserializer, Level, Serializer, named};

    type Levels = BTreeMap<String, Level>;

    pub fn serialize<S: Serializer>(levels: &Levels, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(levels.iter().map(|(name, level)| (name, level.name())))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Levels, D::Error> {
        let names = BTreeMap::<String, String>::deserialize(from)?;
        names.into_iter().map(|(name, level)| Ok((name, named(&level)?))).collect()
    }
}
