//! The configuration: one table of keys, several sources, one typed result.
//!
//! From weakest to strongest: defaults, preset, environment (`OTEL_*`, then `COATI_*`), TOML
//! file, dict, arguments. Every value is checked by its row in the schema where it enters, so an
//! error names the key, the value, its source and what is accepted.

mod core;
mod defaults;
mod endpoint;
mod env;
mod error;
mod exporters;
mod file;
mod kind;
mod layers;
mod level;
mod otlp;
mod preset;
mod rows;
mod sampling;
mod schema;
mod settings;
mod sinks;
mod source;
mod view;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::Path;

use serde_json::Value;

pub use defaults::defaults_table;
pub use endpoint::{Endpoint, EndpointTable, Secret};
pub use env::{CONFIG_FILE, PRESET, process_env};
pub use error::{ConfigError, Refusal};
pub use otlp::{Compression, Histograms, OtlpSink, Protocol, SignalSettings, Target, Temporality};
pub use preset::Preset;
pub use sampling::{SpanRule, TailRule, TailSampling};
pub use settings::{
    ConsoleFormat, ConsoleSink, Drain, Durability, Exemplars, FileSink, Logs, MemorySink, Metrics,
    Overflow, Redaction, Ring, Settings, Signal, Sink, Spans, Stream,
};
pub use source::Source;
pub(crate) use view::DEFAULT_BOUNDS;
pub use view::{Aggregation, View};

use env::Environment;
use layers::Layers;

/// What a configuration is made of. The default has no environment: see [`process_env`].
#[derive(Clone, Debug, Default)]
pub struct Sources<'a> {
    /// Name of the preset; else `COATI_PRESET`, else `development`.
    pub preset: Option<&'a str>,
    /// The variables of the environment; the last one of a name counts.
    pub env: Vec<(String, String)>,
    /// The TOML file; else `COATI_CONFIG_FILE`, else none.
    pub file: Option<&'a Path>,
    /// Sections and keys from the program.
    pub dict: Option<Value>,
    /// Name of the service.
    pub service: Option<&'a str>,
}

/// A checked configuration and where each of its values came from.
///
/// It is read through [`Settings`], to which it dereferences. Two are equal if their settings
/// are, wherever those came from.
#[derive(Clone, Debug)]
pub struct Config {
    settings: Settings,
    sources: BTreeMap<&'static str, Source>,
    /// The variables behind keys of sinks, by full path such as `sinks[0].traces.endpoint`.
    filled: BTreeMap<String, Source>,
    warnings: Vec<String>,
    /// What the environment says of OTLP, for sinks that come later.
    otlp: otlp::Environment,
}

impl Config {
    /// Lays the sources over each other.
    pub fn load(sources: Sources<'_>) -> Result<Self, ConfigError> {
        let env = Environment::new(&sources.env);
        let mut layers = Layers::new();

        let preset = find_preset(sources.preset, &env)?;
        layers.add(&preset.layer(), &Source::Preset(preset.name()))?;
        env.read_otel(&mut layers);
        env.read_coati(&mut layers)?;
        if let Some(path) = sources.file.or_else(|| env.get(CONFIG_FILE).map(Path::new)) {
            layers.add(&file::read(path)?, &Source::File(path.into()))?;
        }
        if let Some(dict) = &sources.dict {
            layers.add(dict, &Source::Dict)?;
        }
        if let Some(service) = sources.service {
            layers.add(&serde_json::json!({ "service": service }), &Source::Argument)?;
        }
        layers.finish()
    }

    /// This configuration with a change made while running. A key that needs a restart is an
    /// error, unless the change leaves its value as it is.
    pub fn apply(&self, patch: &Value) -> Result<Self, ConfigError> {
        let mut layers = Layers::of(self);
        layers.patch(patch)?;
        layers.finish()
    }

    /// Where the value of a key, such as `logs.level`, came from; `None` for an unknown key.
    pub fn source(&self, key: &str) -> Option<&Source> {
        self.sources.get(key)
    }

    /// What was ignored in the environment, and why.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Every key with its value and where that came from, in the order of the documentation.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, Value, &Source)> {
        let tree = self.to_json();
        rows::ROWS.iter().map(move |row| {
            let value = tree.pointer(&format!("/{}", row.path.replace('.', "/"))).cloned();
            let source = self.sources.get(row.path).unwrap_or(&Source::Default);
            (row.path, value.unwrap_or_default(), source)
        })
    }

    /// The same for people: each key of each sink is an entry of its own, such as
    /// `sinks[0].traces.endpoint`, and secrets are masked.
    pub fn shown(&self) -> Vec<(String, Value, Source)> {
        let mut shown = Vec::new();
        for (path, value, source) in self.entries() {
            match value.as_array().filter(|list| path == "sinks" && !list.is_empty()) {
                Some(sinks) => {
                    for (index, sink) in sinks.iter().enumerate() {
                        let at = format!("sinks[{index}]");
                        sinks::leaves(&at, sink, source, &mut |path, value, source| {
                            let source = self.filled.get(&path).cloned().unwrap_or(source);
                            shown.push((path, value, source));
                        });
                    }
                }
                None => {
                    let kind = rows::row(path).map(|row| row.kind);
                    let value = kind.map_or(Value::Null, |kind| kind.masked(&value));
                    shown.push((path.to_owned(), value, source.clone()));
                }
            }
        }
        shown
    }

    /// All settings as a dict that [`Config::load`] reads back to an equal configuration.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(&self.settings).unwrap_or_default()
    }
}

impl Deref for Config {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

impl PartialEq for Config {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

fn find_preset(argument: Option<&str>, env: &Environment<'_>) -> Result<Preset, ConfigError> {
    let variable = || Some((env.get(PRESET)?.trim(), Source::Environment(PRESET.into())));
    let named = argument.map(|name| (name, Source::Argument)).or_else(variable);
    let Some((name, source)) = named else { return Ok(Preset::Development) };
    let names = Preset::ALL.map(Preset::name);
    Preset::ALL.into_iter().find(|preset| preset.name() == name).ok_or_else(|| {
        ConfigError::bad_value("preset", &name.into(), names.join(", "), &source)
            .or_rather(error::nearest(name, names))
    })
}
