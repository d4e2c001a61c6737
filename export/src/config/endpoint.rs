//! `metrics.prometheus`: an address, or a table with it and who may come.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kind::Kind;
use super::schema::{self, RESTART, Row};
use super::{ConfigError, Source};
use crate::redact::keys::MASK;
use crate::server::Credentials;

pub(super) const ROWS: &[Row] = &[
    Row {
        path: "host",
        kind: Kind::Text,
        default: "\"localhost\"",
        meaning: "Where to listen",
        ..RESTART
    },
    Row {
        path: "port",
        kind: Kind::Int { min: 0, max: 65_535 },
        default: "9464",
        meaning: "The port; 0: a free one",
        ..RESTART
    },
    Row {
        path: "certificate",
        kind: Kind::Text,
        meaning: "PEM file of the certificate and those that signed it; absent: no TLS",
        ..RESTART
    },
    Row { path: "key", kind: Kind::Text, meaning: "PEM file of its private key", ..RESTART },
    Row {
        path: "bearer_token",
        kind: Kind::Secret,
        meaning: "What scrapers must send as `Authorization: Bearer …`",
        ..RESTART
    },
    Row {
        path: "username",
        kind: Kind::Text,
        meaning: "Whom scrapers must be, by basic authentication",
        ..RESTART
    },
    Row { path: "password", kind: Kind::Secret, meaning: "Their password", ..RESTART },
];

const SECRETS: [&str; 2] = ["bearer_token", "password"];

/// `metrics.prometheus`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Endpoint {
    /// `host:port`, plain and for everybody.
    Address(String),
    /// The table.
    Table(Box<EndpointTable>),
}

/// The table form of `metrics.prometheus`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointTable {
    /// Where to listen.
    pub host: String,
    /// The port.
    pub port: u16,
    /// PEM file of the certificate.
    pub certificate: Option<PathBuf>,
    /// PEM file of its private key.
    pub key: Option<PathBuf>,
    /// Token of bearer authentication.
    pub bearer_token: Option<Secret>,
    /// User of basic authentication.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Endpoint {
    /// `host:port`
    pub fn address(&self) -> String {
        match self {
            Self::Address(address) => address.clone(),
            Self::Table(table) => match table.host.contains(':') && !table.host.starts_with('[') {
                true => format!("[{}]:{}", table.host, table.port),
                false => format!("{}:{}", table.host, table.port),
            },
        }
    }

    /// Certificate and key, where it speaks TLS.
    pub fn tls(&self) -> Option<(&Path, &Path)> {
        match self {
            Self::Address(_) => None,
            Self::Table(table) => table.certificate.as_deref().zip(table.key.as_deref()),
        }
    }

    /// What clients have to know.
    pub(crate) fn credentials(&self) -> Option<Credentials> {
        let Self::Table(table) = self else { return None };
        if let Some(Secret(token)) = &table.bearer_token {
            return Some(Credentials::bearer(token));
        }
        let (user, Secret(password)) = table.username.as_ref().zip(table.password.as_ref())?;
        Some(Credentials::basic(user, password))
    }
}

/// The normal form of the table.
pub(super) fn check(key: &str, value: &Value, source: &Source) -> Result<Value, ConfigError> {
    if !value.is_object() {
        return Err(ConfigError::bad_value(key, &masked(value), Kind::Endpoint.accepts(), source));
    }
    let table = schema::check_table(ROWS, key, value, source).map_err(hide)?;
    let has = |name: &str| !table[name].is_null();
    let refuse = |name: &str, accepted: &str| {
        let shown = masked(&table)[name].clone();
        Err(ConfigError::bad_value(format!("{key}.{name}"), &shown, accepted, source))
    };
    for (one, other) in [("certificate", "key"), ("username", "password")] {
        let (one, other) = if has(one) { (one, other) } else { (other, one) };
        if has(one) && !has(other) {
            return refuse(one, &format!("together with {key}.{other}"));
        }
    }
    if has("bearer_token") && has("username") {
        return refuse("bearer_token", &format!("without {key}.username"));
    }
    if table["username"].as_str().is_some_and(|user| user.contains(':')) {
        return refuse("username", "a string without a colon");
    }
    Ok(table)
}

/// A misspelt key may hold a secret.
fn hide(error: ConfigError) -> ConfigError {
    match error {
        ConfigError::UnknownKey(mut refusal) => {
            refusal.value = MASK.into();
            ConfigError::UnknownKey(refusal)
        }
        other => other,
    }
}

/// The value without its secrets.
pub(super) fn masked(value: &Value) -> Value {
    let mut shown = value.clone();
    match &mut shown {
        Value::Object(table) => {
            for (name, value) in table {
                if SECRETS.contains(&&**name) && !value.is_null() {
                    *value = MASK.into();
                }
            }
        }
        // A table that could not be read.
        Value::String(text) if text.trim_start().starts_with('{') => shown = MASK.into(),
        _ => {}
    }
    shown
}
