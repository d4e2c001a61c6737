//! The TOML file.

use std::path::Path;

use serde_json::Value;

use super::ConfigError;

/// The file's tables as JSON.
pub(super) fn read(path: &Path) -> Result<Value, ConfigError> {
    let fail = |reason: String| ConfigError::File { path: path.display().to_string(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    let table: toml::Table = toml::from_str(&text)
        .map_err(|error| fail(format!("not TOML: {}", error.to_string().trim_end())))?;
    Ok(to_json(toml::Value::Table(table)))
}

/// Dates, infinities and NaN, which no key takes, become text that an error can show.
fn to_json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) if number.is_finite() => number.into(),
        toml::Value::Float(number) => number.to_string().into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(list) => list.into_iter().map(to_json).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(key, value)| (key, to_json(value))).collect())
        }
    }
}
