//! What values a key takes, and their one normal form.

use coati_core::record::Level;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::error::nearest;
use super::schema::{self, Row};
use super::sinks;
use super::{ConfigError, Source, endpoint, view};
use crate::redact::keys::MASK;

/// One bit each in the mask of the sinks that want a record.
pub(super) const MAX_SINKS: usize = u64::BITS as usize;

/// The values a key takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Bool,
    Int {
        min: u64,
        max: u64,
    },
    PowerOfTwo {
        min: u64,
        max: u64,
    },
    Ratio,
    /// A number that is not negative.
    Number,
    /// A share of all: its normal form is a number.
    Share,
    /// A time: its normal form is a number of seconds.
    Seconds,
    /// Span name to time.
    Times,
    Text,
    /// An address, or a table with a schema of its own.
    Endpoint,
    /// As `Text`; no error and no list shows it.
    Secret,
    Level,
    OneOf(&'static [&'static str]),
    /// Strings, none empty.
    Texts,
    /// Strings out of a set, at least one.
    SomeOf(&'static [&'static str]),
    /// Strings out of a set, in the environment with commas between them.
    Names(&'static [&'static str]),
    /// Logger name to level.
    Levels,
    /// Attribute name to string, number or boolean; a higher layer adds to a lower one.
    Attributes,
    /// Header name to value.
    Headers,
    /// `http://…` or `https://…`; a gRPC endpoint may be `host:port`.
    Url,
    /// A table with a schema of its own.
    Table(&'static [Row]),
    /// A list of tables that have the same schema.
    Tables(&'static [Row]),
    /// A list of tables, each of a type with a schema of its own.
    Sinks,
    /// A list of tables.
    Views,
    /// Model to a table of what a million tokens cost.
    Prices,
    /// Finite numbers, each greater than the one before.
    Bounds,
}

impl Kind {
    /// The accepted values, for an error message or a table.
    pub fn accepts(self) -> String {
        match self {
            Self::Bool => "true or false".into(),
            Self::Int { min, max } => format!("an integer from {min} to {max}"),
            Self::PowerOfTwo { min, max } => format!("a power of two from {min} to {max}"),
            Self::Ratio => "a number from 0 to 1".into(),
            Self::Number => "a number from 0".into(),
            Self::Share => "always, never or a number from 0 to 1".into(),
            Self::Seconds => SECONDS.into(),
            Self::Times => format!("a table of span name = {SECONDS}"),
            Self::Text => "a string that is not empty".into(),
            Self::Endpoint => format!(
                "host:port, such as \"127.0.0.1:9464\", or {}",
                Self::Table(endpoint::ROWS).accepts()
            ),
            Self::Secret => "a string that is not empty, without line breaks".into(),
            Self::Level => Level::ALL.map(Level::name).join(", "),
            Self::OneOf(words) => words.join(", "),
            Self::Texts => "a list of strings that are not empty".into(),
            Self::SomeOf(words) | Self::Names(words) => format!("a list of {}", words.join(", ")),
            Self::Levels => {
                format!("a table of logger name = {}", Level::ALL.map(Level::name).join(", "))
            }
            Self::Attributes => "a table of name = string, number or boolean".into(),
            Self::Headers => "a table of header name = string".into(),
            Self::Url => "a URL, such as \"http://localhost:4318\"".into(),
            Self::Table(rows) => {
                let names: Vec<_> = rows.iter().map(|row| row.path).collect();
                format!("a table of {}", names.join(", "))
            }
            Self::Views => format!("a list of tables, each {}", Self::Table(view::ROWS).accepts()),
            Self::Bounds => "a list of finite numbers, each greater than the one before".into(),
            Self::Prices => format!("a table of model = table of {} = a number", PRICES.join(", ")),
            Self::Tables(rows) => {
                let names: Vec<_> = rows.iter().map(|row| row.path).collect();
                format!("a list of tables of {}", names.join(", "))
            }
            Self::Sinks => {
                format!("a list of tables with a type out of {}", sinks::SINK_TYPES.join(", "))
            }
        }
    }

    /// `value` as people may see it: what may hold a secret is masked.
    pub fn masked(self, value: &Value) -> Value {
        match (self, value) {
            (Self::Headers, Value::Object(headers)) => {
                headers.keys().map(|name| (name.clone(), Value::from(MASK))).collect()
            }
            (Self::Headers | Self::Secret, Value::Null) => Value::Null,
            (Self::Headers | Self::Secret, _) => MASK.into(),
            (Self::Endpoint, _) => endpoint::masked(value),
            // A query may hold a key.
            (Self::Url, Value::String(url)) => match url.split_once('?') {
                Some((url, _)) => format!("{url}?{MASK}").into(),
                None => value.clone(),
            },
            _ => value.clone(),
        }
    }

    /// The value an environment variable's text stands for; what it cannot stand for stays text,
    /// which [`Kind::check`] then refuses.
    pub fn parse(self, text: &str) -> Value {
        let trimmed = text.trim();
        match self {
            Self::Text | Self::Secret | Self::Level | Self::OneOf(_) | Self::Url => {
                Value::from(text)
            }
            Self::Endpoint if !trimmed.starts_with('{') => text.into(),
            Self::Names(_) if !trimmed.starts_with('[') => {
                trimmed.split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
            }
            Self::Headers => pairs(trimmed).map_or_else(|| text.into(), Value::from),
            Self::Bool if trimmed.eq_ignore_ascii_case("true") || trimmed == "1" => true.into(),
            Self::Bool if trimmed.eq_ignore_ascii_case("false") || trimmed == "0" => false.into(),
            Self::Ratio | Self::Number => {
                trimmed.parse::<f64>().map_or_else(|_| text.into(), Value::from)
            }
            _ => serde_json::from_str(trimmed).unwrap_or_else(|_| text.into()),
        }
    }

    /// The normal form of `value`, or why it is not accepted at `key`.
    pub fn check(self, key: &str, value: &Value, source: &Source) -> Result<Value, ConfigError> {
        let refuse = || self.refuse(key, value, source);
        match self {
            Self::Bool if value.is_boolean() => Ok(value.clone()),
            Self::Int { min, max } => match value.as_u64() {
                Some(number) if (min..=max).contains(&number) => Ok(number.into()),
                _ => Err(refuse()),
            },
            Self::PowerOfTwo { min, max } => match value.as_u64() {
                Some(number) if (min..=max).contains(&number) && number.is_power_of_two() => {
                    Ok(number.into())
                }
                _ => Err(refuse()),
            },
            Self::Ratio => match value.as_f64() {
                Some(number) if (0.0..=1.0).contains(&number) => Ok(number.into()),
                _ => Err(refuse()),
            },
            Self::Number => match value.as_f64() {
                Some(number) if (0.0..f64::INFINITY).contains(&number) => Ok(number.into()),
                _ => Err(refuse()),
            },
            Self::Share => match value.as_str() {
                Some("always") => Ok(1.0.into()),
                Some("never") => Ok(0.0.into()),
                Some(_) => Err(refuse()),
                None => Self::Ratio.check(key, value, source).map_err(|_| refuse()),
            },
            Self::Seconds => seconds(value).map(Value::from).ok_or_else(refuse),
            Self::Text => match value.as_str() {
                Some(text) if usable(text) => Ok(value.clone()),
                _ => Err(refuse()),
            },
            Self::Endpoint => match value.as_str() {
                Some(text) if is_address(text) => Ok(value.clone()),
                Some(_) => Err(refuse()),
                None => endpoint::check(key, value, source),
            },
            Self::Secret => match value.as_str() {
                Some(text) if usable(text) && !text.contains(['\r', '\n']) => Ok(value.clone()),
                _ => Err(refuse()),
            },
            Self::Level => {
                let level = value.as_str().and_then(Level::from_name).ok_or_else(refuse)?;
                Ok(level.name().into())
            }
            Self::OneOf(words) => {
                let word = value.as_str().and_then(|text| find(words, text)).ok_or_else(refuse)?;
                Ok(word.into())
            }
            Self::Texts => self.each(key, value, source, Self::Text),
            Self::Names(words) => self.each(key, value, source, Self::OneOf(words)),
            Self::SomeOf(words) => {
                let list = self.each(key, value, source, Self::OneOf(words))?;
                if list.as_array().is_some_and(|list| list.is_empty()) {
                    return Err(refuse());
                }
                Ok(list)
            }
            Self::Url => match value.as_str() {
                Some(text) if is_url(text) => Ok(value.clone()),
                _ => Err(refuse()),
            },
            Self::Table(rows) => schema::check_table(rows, key, value, source),
            Self::Levels | Self::Attributes | Self::Headers | Self::Times => {
                let table = value.as_object().ok_or_else(refuse)?;
                let mut normal = Map::new();
                for (name, value) in table {
                    let key = format!("{key}.{name}");
                    let value = match self {
                        Self::Levels => Self::Level.check(&key, value, source)?,
                        Self::Times => Self::Seconds.check(&key, value, source)?,
                        Self::Headers if is_header(name, value) => value.clone(),
                        // A value in a table of headers is as secret as the table.
                        Self::Headers => return Err(self.refuse(&key, value, source)),
                        _ if value.is_string() || value.is_number() || value.is_boolean() => {
                            value.clone()
                        }
                        _ => return Err(self.refuse(&key, value, source)),
                    };
                    normal.insert(name.clone(), value);
                }
                Ok(normal.into())
            }
            Self::Tables(rows) => {
                let list = value.as_array().ok_or_else(refuse)?;
                let tables = list.iter().enumerate().map(|(index, table)| {
                    schema::check_table(rows, &format!("{key}[{index}]"), table, source)
                });
                tables.collect()
            }
            Self::Sinks => {
                let list = value.as_array().ok_or_else(refuse)?;
                if list.len() > MAX_SINKS {
                    let given = format!("{} sinks", list.len());
                    let accepted = format!("at most {MAX_SINKS} sinks");
                    return Err(ConfigError::bad_value(key, &given.into(), accepted, source));
                }
                let sinks = list.iter().enumerate().map(|(index, sink)| {
                    sinks::check_sink(&format!("{key}[{index}]"), sink, source)
                });
                sinks.collect()
            }
            Self::Views => {
                let list = value.as_array().ok_or_else(refuse)?;
                let views = list
                    .iter()
                    .enumerate()
                    .map(|(index, view)| view::check(&format!("{key}[{index}]"), view, source));
                views.collect()
            }
            Self::Bounds => {
                let list = value.as_array().ok_or_else(refuse)?;
                let bounds: Option<Vec<f64>> = list.iter().map(Value::as_f64).collect();
                let bounds = bounds.ok_or_else(refuse)?;
                let ascending = bounds.windows(2).all(|pair| pair[0] < pair[1]);
                if !ascending || bounds.iter().any(|bound| !bound.is_finite()) {
                    return Err(refuse());
                }
                Ok(bounds.into())
            }
            Self::Prices => {
                let mut normal = Map::new();
                for (model, table) in value.as_object().ok_or_else(refuse)? {
                    let key = format!("{key}.{model}");
                    let refuse = |value: &Value| self.refuse(&key, value, source);
                    let mut prices = Map::new();
                    for (what, dollars) in table.as_object().ok_or_else(|| refuse(table))? {
                        if !PRICES.contains(&&**what) {
                            return Err(refuse(table));
                        }
                        let key = format!("{key}.{what}");
                        prices.insert(what.clone(), Self::Number.check(&key, dollars, source)?);
                    }
                    normal.insert(model.clone(), prices.into());
                }
                Ok(normal.into())
            }
            Self::Bool => Err(refuse()),
        }
    }

    /// The list with each element in its normal form, duplicates left out.
    fn each(
        self,
        key: &str,
        value: &Value,
        source: &Source,
        element: Self,
    ) -> Result<Value, ConfigError> {
        let list = value.as_array().ok_or_else(|| self.refuse(key, value, source))?;
        let mut normal = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            let value = element.check(&format!("{key}[{index}]"), value, source)?;
            if !normal.contains(&value) {
                normal.push(value);
            }
        }
        Ok(normal.into())
    }

    fn refuse(self, key: &str, value: &Value, source: &Source) -> ConfigError {
        let words: &[&str] = match self {
            Self::Level => &Level::ALL.map(Level::name),
            Self::OneOf(words) => words,
            _ => &[],
        };
        let near = value.as_str().and_then(|text| nearest(text, words.iter().copied()));
        ConfigError::bad_value(key, &self.masked(value), self.accepts(), source).or_rather(near)
    }
}

/// What a price is for.
const PRICES: [&str; 4] = ["input", "output", "cache_read", "cache_write"];

fn find(words: &[&'static str], text: &str) -> Option<&'static str> {
    words.iter().copied().find(|word| word.eq_ignore_ascii_case(text))
}

const SECONDS: &str = "a time up to an hour, such as \"500ms\", \"2s\" or a number of seconds";

/// A time in seconds, out of a number or a text with its unit.
fn seconds(value: &Value) -> Option<f64> {
    let seconds = match value.as_str() {
        None => value.as_f64()?,
        Some(text) => {
            let text = text.trim();
            let unit = text.find(|digit: char| digit.is_ascii_alphabetic())?;
            let (number, unit) = text.split_at(unit);
            let number: f64 = number.trim_end().parse().ok()?;
            match unit {
                "us" => number / 1e6,
                "ms" => number / 1e3,
                "s" => number,
                "m" | "min" => number * 60.0,
                "h" => number * 3600.0,
                _ => return None,
            }
        }
    };
    (0.0..=3600.0).contains(&seconds).then_some(seconds)
}

/// Not empty, and without NUL, which no path may contain.
fn usable(text: &str) -> bool {
    !text.trim().is_empty() && !text.contains('\0')
}

/// `k=v,k2=v2`, percent-decoded.
pub(super) fn pairs(text: &str) -> Option<Map<String, Value>> {
    let decode = |part: &str| percent_decode_str(part.trim()).decode_utf8().ok().map(String::from);
    let members = text.split(',').filter(|member| !member.trim().is_empty());
    members
        .map(|member| {
            let (key, value) = member.split_once('=')?;
            let key = decode(key).filter(|key| !key.is_empty())?;
            Some((key, Value::from(decode(value)?)))
        })
        .collect()
}

/// A token and visible text, as HTTP has them.
fn is_header(name: &str, value: &Value) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let visible = |byte: u8| byte == b'\t' || (byte >= 0x20 && byte != 0x7f);
    !name.is_empty()
        && name.bytes().all(token)
        && value.as_str().is_some_and(|text| text.bytes().all(visible))
}

fn is_url(text: &str) -> bool {
    let rest = match text.split_once("://") {
        Some((scheme, rest)) if ["http", "https"].contains(&&*scheme.to_ascii_lowercase()) => rest,
        Some(_) => return false,
        None => text,
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let port = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
    usable(authority)
        && !text.contains([' ', '\n', '\r', '\t'])
        && !authority.contains('@')
        && port.is_none_or(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let sound = match bracketed {
        true => host[1..host.len() - 1].parse::<std::net::Ipv6Addr>().is_ok(),
        false => usable(host) && !host.contains([':', '/', ' ']),
    };
    sound && port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
}
