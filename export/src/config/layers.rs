//! Values of every source laid over each other, one leaf at a time.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::error::show;
use super::kind::Kind;
use super::rows::{self, ROWS};
use super::schema::{self, Row};
use super::settings::Settings;
use super::{Config, ConfigError, Source, otlp, sampling};

/// The normal form of every key and where it came from.
pub(super) struct Layers {
    leaves: BTreeMap<&'static str, (Value, Source)>,
    /// The variables behind keys of sinks, by full path.
    filled: BTreeMap<String, Source>,
    warnings: Vec<String>,
    pub(super) otlp: otlp::Environment,
}

impl Layers {
    /// The defaults.
    pub fn new() -> Self {
        let leaves = ROWS.iter().map(|row| (row.path, (row.default(), Source::Default)));
        Self {
            leaves: leaves.collect(),
            filled: BTreeMap::new(),
            warnings: Vec::new(),
            otlp: Default::default(),
        }
    }

    /// The values of a configuration already in force.
    pub fn of(config: &Config) -> Self {
        let values = config.entries().map(|(path, value, source)| (path, (value, source.clone())));
        Self {
            leaves: values.collect(),
            filled: config.filled.clone(),
            warnings: config.warnings.clone(),
            otlp: config.otlp.clone(),
        }
    }

    pub fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// Lays a value in normal form over what is there.
    pub fn set(&mut self, row: &'static Row, value: Value, source: &Source) {
        let leaf = self.leaves.entry(row.path).or_insert((Value::Null, Source::Default));
        match (row.kind, &mut leaf.0, value) {
            (Kind::Attributes, Value::Object(below), Value::Object(above)) => below.extend(above),
            (_, below, value) => *below = value,
        }
        leaf.1 = source.clone();
    }

    /// What stands at `path` so far.
    pub fn get(&self, path: &str) -> Value {
        self.leaves.get(path).map(|leaf| leaf.0.clone()).unwrap_or_default()
    }

    /// Lays a value in normal form, from the environment, over what is there.
    pub fn put(&mut self, path: &str, value: Value, variable: &str) {
        if let Some(row) = rows::row(path) {
            self.set(row, value, &Source::Environment(variable.into()));
        }
    }

    /// Lays a whole table over what is there.
    pub fn add(&mut self, table: &Value, source: &Source) -> Result<(), ConfigError> {
        schema::read(ROWS, "", object(table, source)?, source, &mut |row, value| {
            self.set(row, value, source);
        })
    }

    /// Lays a change over a configuration in force.
    pub fn patch(&mut self, table: &Value) -> Result<(), ConfigError> {
        let source = Source::Configure;
        let mut changes = Vec::new();
        schema::read(ROWS, "", object(table, &source)?, &source, &mut |row, value| {
            changes.push((row, value));
        })?;
        for (row, value) in changes {
            let before = self.leaves.get(row.path).map(|leaf| leaf.0.clone()).unwrap_or_default();
            let shown = show(&row.kind.masked(&value));
            self.set(row, value, &source);
            let changed = self.leaves.get(row.path).is_some_and(|leaf| leaf.0 != before);
            if row.path == "sinks" {
                self.filled.clear();
            }
            if changed && !row.live {
                return Err(ConfigError::NeedsRestart { key: row.path.into(), value: shown });
            }
        }
        Ok(())
    }

    /// The configuration they amount to.
    pub fn finish(mut self) -> Result<Config, ConfigError> {
        self.name_service();
        self.check_together()?;
        if let Some((Value::Array(sinks), _)) = self.leaves.get_mut("sinks") {
            for (index, sink) in sinks.iter_mut().enumerate() {
                self.otlp.complete(sink, &mut |path, variable| {
                    let source = Source::Environment(variable.to_owned());
                    self.filled.insert(format!("sinks[{index}].{path}"), source);
                });
            }
        }
        let mut tree = Map::new();
        let mut sources = BTreeMap::new();
        for (path, (value, source)) in std::mem::take(&mut self.leaves) {
            sources.insert(path, source);
            match path.split_once('.') {
                None => tree.insert(path.into(), value),
                Some((section, key)) => {
                    let section = tree.entry(section).or_insert_with(|| json!({}));
                    section.as_object_mut().and_then(|table| table.insert(key.into(), value))
                }
            };
        }
        // Every row's normal form fits its field: a test reads each kind of value back.
        let settings: Settings = serde_json::from_value(tree.into()).map_err(|error| {
            let accepted = "what the table of defaults says";
            ConfigError::bad_value("config", &error.to_string().into(), accepted, &Source::Default)
        })?;
        let Self { filled, warnings, otlp, .. } = self;
        Ok(Config { settings, sources, filled, warnings, otlp })
    }

    /// `service`, else `service.name` of the resource, else the name of the program.
    fn name_service(&mut self) {
        let named = self.leaves.get_mut("resource").and_then(|(resource, source)| {
            let name = resource.as_object_mut()?.shift_remove("service.name")?;
            let text = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
            Some((text, source.clone())).filter(|(text, _)| !text.trim().is_empty())
        });
        let unnamed = || {
            let program = std::env::args_os().next().map(std::path::PathBuf::from);
            let name = program.as_deref().and_then(|path| path.file_name()).unwrap_or_default();
            match name.to_string_lossy() {
                name if name.is_empty() => ("unknown_service".to_owned(), Source::Default),
                name => (format!("unknown_service:{name}"), Source::Default),
            }
        };
        let service = self.leaves.entry("service").or_insert((Value::Null, Source::Default));
        if service.0.is_null() {
            let (name, source) = named.unwrap_or_else(unnamed);
            *service = (name.into(), source);
        }
    }

    /// What no row can say alone.
    fn check_together(&mut self) -> Result<(), ConfigError> {
        self.check_sampling()?;
        let number = |path| self.leaves.get(path).and_then(|leaf| leaf.0.as_u64());
        if let Some((total, source)) = self.leaves.get("ring.total_bytes")
            && let Some(one) = number("ring.bytes")
            && total.as_u64() < Some(one)
        {
            let accepted = format!("an integer from {one} (ring.bytes)");
            return Err(ConfigError::bad_value("ring.total_bytes", total, accepted, source));
        }
        Ok(())
    }

    fn check_sampling(&mut self) -> Result<(), ConfigError> {
        if let Some((rules, source)) = self.leaves.get("spans.rules") {
            sampling::check_rules(rules, source)?;
        }
        let sampler = self.get("spans.sampler");
        let Some((arg, source)) = self.leaves.get_mut("spans.sampler_arg") else { return Ok(()) };
        let Err(accepted) = sampling::check_arg(&sampler, arg) else { return Ok(()) };
        let error = ConfigError::bad_value("spans.sampler_arg", arg, accepted, source);
        match source {
            // What the specification's own variables say badly is a warning.
            Source::Environment(name) if name.starts_with("OTEL_") => {
                let warning = format!("{error}; {name} is ignored");
                (*arg, *source) = (1.0.into(), Source::Default);
                self.warn(warning);
                Ok(())
            }
            _ => Err(error),
        }
    }
}

fn object<'a>(table: &'a Value, source: &Source) -> Result<&'a Map<String, Value>, ConfigError> {
    table.as_object().ok_or_else(|| {
        ConfigError::bad_value("config", table, "a table of sections and keys", source)
    })
}
