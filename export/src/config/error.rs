//! What is wrong with a configuration, said so that it can be mended.

use std::fmt;

use serde_json::Value;

use super::Source;

/// Why a configuration was refused. Nothing of a refused configuration takes effect.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfigError {
    /// A key that does not exist.
    UnknownKey(Box<Refusal>),
    /// A value of the wrong type, out of range or misspelt.
    BadValue(Box<Refusal>),
    /// A key that cannot change while the engine runs.
    NeedsRestart {
        /// The full path of the key.
        key: String,
        /// The value it would have changed to, shortened for display.
        value: String,
    },
    /// A configuration file that cannot be read or is not TOML.
    File {
        /// The file.
        path: String,
        /// What the operating system or the parser said.
        reason: String,
    },
}

/// A key or value that was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The full path of the key, such as `logs.level`.
    pub key: String,
    /// The value given for it, shortened for display.
    pub value: String,
    /// What is accepted in its place.
    pub accepted: String,
    /// What was probably meant, if anything is near.
    pub nearest: Option<String>,
    /// Where it was given.
    pub source: Source,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value, accepted, nearest, source } = self;
        write!(f, "{key} = {value} ({source}): accepted: {accepted}")?;
        match nearest {
            Some(near) => write!(f, "; did you mean {near}?"),
            None => Ok(()),
        }
    }
}

impl ConfigError {
    pub(super) fn bad_value(
        key: impl Into<String>,
        value: &Value,
        accepted: impl Into<String>,
        source: &Source,
    ) -> Self {
        Self::BadValue(Box::new(Refusal {
            key: key.into(),
            value: show(value),
            accepted: accepted.into(),
            nearest: None,
            source: source.clone(),
        }))
    }

    /// Adds what was probably meant.
    pub(super) fn or_rather(mut self, near: Option<&str>) -> Self {
        if let Self::UnknownKey(refusal) | Self::BadValue(refusal) = &mut self {
            refusal.nearest = near.map(Into::into);
        }
        self
    }

    /// The full path of the key at fault; for a file that cannot be read, `config_file`.
    pub fn key(&self) -> &str {
        match self {
            Self::UnknownKey(refusal) | Self::BadValue(refusal) => &refusal.key,
            Self::NeedsRestart { key, .. } => key,
            Self::File { .. } => "config_file",
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey(refusal) => write!(f, "unknown key {refusal}"),
            Self::BadValue(refusal) => write!(f, "bad value {refusal}"),
            Self::NeedsRestart { key, value } => write!(
                f,
                "{key} = {value} needs a restart: {key} cannot change while the engine runs; \
                 accepted: its present value, or a call of shutdown and init"
            ),
            Self::File { path, reason } => write!(f, "config_file {path}: {reason}"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// The value as JSON, cut to a length fit for one line.
pub(super) fn show(value: &Value) -> String {
    const MOST: usize = 80;
    let mut text = value.to_string();
    if text.len() > MOST {
        text.truncate(text.floor_char_boundary(MOST));
        text.push('…');
    }
    text
}

/// The candidate nearest to `word`, if one is near enough to be what was meant.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if word.len() > 100 {
        return None;
    }
    let word = word.to_ascii_lowercase();
    let limit = 1 + word.chars().count() / 4;
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
