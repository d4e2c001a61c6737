//! What a row says of a key, and how tables are read by their rows: from them follow loading, errors,
//! the table of defaults and `doctor`.

use serde_json::{Map, Value};

use super::error::{Refusal, nearest, show};
use super::kind::Kind;
use super::{ConfigError, Source};

/// A key of the configuration.
#[derive(Debug)]
pub(super) struct Row {
    /// `section.key`, or `key` outside any section.
    pub path: &'static str,
    pub kind: Kind,
    /// As JSON; `null` makes the key optional.
    pub default: &'static str,
    /// Whether it can change while the engine runs.
    pub live: bool,
    /// The OpenTelemetry variables that feed it, first one first.
    pub otel: &'static [&'static str],
    pub meaning: &'static str,
}

impl Row {
    pub fn default(&self) -> Value {
        serde_json::from_str(self.default).unwrap_or(Value::Null)
    }

    /// Its variable: `COATI_<SECTION>_<KEY>`.
    pub fn variable(&self) -> String {
        format!("COATI_{}", self.path.replace('.', "_").to_ascii_uppercase())
    }

    fn check(&self, key: &str, value: &Value, source: &Source) -> Result<Value, ConfigError> {
        // A key that variables feed may be left to them.
        if value.is_null() && (self.default == "null" || !self.otel.is_empty()) {
            return Ok(Value::Null);
        }
        self.kind.check(key, value, source)
    }
}

pub(super) const RESTART: Row =
    Row { path: "", kind: Kind::Bool, default: "null", live: false, otel: &[], meaning: "" };
pub(super) const LIVE: Row = Row { live: true, ..RESTART };
pub(super) const KIB: u64 = 1 << 10;
pub(super) const MIB: u64 = 1 << 20;
pub(super) const GIB: u64 = 1 << 30;
pub(super) const COUNT: Kind = Kind::Int { min: 0, max: MIB };

/// The normal form of a table: every key that `rows` have, in order.
pub(super) fn check_table(
    rows: &'static [Row],
    key: &str,
    table: &Value,
    source: &Source,
) -> Result<Value, ConfigError> {
    let kind = Kind::Table(rows);
    let refuse = || ConfigError::bad_value(key, table, kind.accepts(), source);
    Ok(normal(rows, key, table.as_object().ok_or_else(refuse)?, source)?.into())
}

pub(super) fn normal(
    rows: &'static [Row],
    key: &str,
    table: &Map<String, Value>,
    source: &Source,
) -> Result<Map<String, Value>, ConfigError> {
    // A key that variables feed has no value until they have been asked.
    let first = |row: &Row| if row.otel.is_empty() { row.default() } else { Value::Null };
    let mut normal: Map<String, Value> =
        rows.iter().map(|row| (row.path.to_owned(), first(row))).collect();
    read(rows, key, table, source, &mut |row, value| {
        normal.insert(row.path.to_owned(), value);
    })?;
    Ok(normal)
}

/// Hands each key of a table in normal form to `take`, secrets masked. A value that is the default's
/// counts as coming from there.
pub(super) fn table_leaves(
    rows: &'static [Row],
    at: &str,
    table: &Value,
    source: &Source,
    take: &mut dyn FnMut(String, Value, Source),
) {
    for row in rows {
        let (path, value) = (format!("{at}.{}", row.path), &table[row.path]);
        match row.kind {
            // What a signal has of its own is shown where it has any.
            Kind::Table(inner) => {
                table_leaves(inner, &path, value, source, &mut |path, value, source| {
                    if !value.is_null() {
                        take(path, value, source);
                    }
                })
            }
            kind => {
                let is_default = *value == row.default();
                let source = if is_default { Source::Default } else { source.clone() };
                take(path, kind.masked(value), source);
            }
        }
    }
}

/// Hands each key of `table` that has a row to `take`, in its normal form. `at` is the path of
/// the table, empty for the whole configuration.
pub(super) fn read(
    rows: &'static [Row],
    at: &str,
    table: &Map<String, Value>,
    source: &Source,
    take: &mut dyn FnMut(&'static Row, Value),
) -> Result<(), ConfigError> {
    let whole = |path: &str| if at.is_empty() { path.to_owned() } else { format!("{at}.{path}") };
    for (key, value) in table {
        if let Some(row) = rows.iter().find(|row| row.path == key && !key.contains('.')) {
            take(row, row.check(&whole(key), value, source)?);
            continue;
        }
        if keys_in(rows, key).next().is_none() {
            return Err(unknown(rows, &whole(key), key, value, source));
        }
        let section = value.as_object().ok_or_else(|| {
            let accepted = format!("a table of {}", list(keys_in(rows, key)));
            ConfigError::bad_value(whole(key), value, accepted, source)
        })?;
        for (name, value) in section {
            let path = format!("{key}.{name}");
            match rows.iter().find(|row| row.path == path) {
                Some(row) => take(row, row.check(&whole(&path), value, source)?),
                None => return Err(unknown(rows, &whole(&path), &path, value, source)),
            }
        }
    }
    Ok(())
}

/// The keys of a section, without its name.
fn keys_in(rows: &'static [Row], section: &str) -> impl Iterator<Item = &'static str> {
    let section = section.to_owned();
    rows.iter().filter_map(move |row| row.path.strip_prefix(&section)?.strip_prefix('.'))
}

/// The sections and the keys outside any.
fn top(rows: &'static [Row]) -> Vec<&'static str> {
    let mut names: Vec<_> = rows.iter().filter_map(|row| row.path.split('.').next()).collect();
    names.dedup();
    names
}

fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

fn unknown(
    rows: &'static [Row],
    whole: &str,
    path: &str,
    value: &Value,
    source: &Source,
) -> ConfigError {
    let last = path.rsplit('.').next().unwrap_or(path);
    let section = path.split_once('.').map(|(section, _)| section);
    let siblings: Vec<_> = section.map(|name| keys_in(rows, name).collect()).unwrap_or_default();
    let same_name =
        || rows.iter().map(|row| row.path).find(|path| path.ends_with(&format!(".{last}")));
    let near = nearest(path, rows.iter().map(|row| row.path).chain(top(rows))).or_else(same_name);
    let nested = near.filter(|near| *near == path).and_then(|near| near.split_once('.'));
    ConfigError::UnknownKey(Box::new(Refusal {
        key: whole.into(),
        value: show(value),
        accepted: if siblings.is_empty() { list(top(rows)) } else { list(siblings) },
        nearest: match nested {
            Some((section, key)) => Some(format!("{key} inside a table called {section}")),
            None => near.map(Into::into),
        },
        source: source.clone(),
    }))
}
