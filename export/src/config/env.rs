//! The environment: `OTEL_*` first, `COATI_*` over it.

use std::collections::BTreeMap;

use super::error::nearest;
use super::kind::pairs;
use super::rows::{self, ROWS};
use super::{ConfigError, Layers, Source};

/// Names the configuration file.
pub const CONFIG_FILE: &str = "COATI_CONFIG_FILE";
/// Names the preset.
pub const PRESET: &str = "COATI_PRESET";

/// The variables of this process that a configuration may read.
pub fn process_env() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with("OTEL_") || name.starts_with("COATI_"))
        .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
        .collect()
}

/// The variables that are set: an empty value counts as unset.
pub(super) struct Environment<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Environment<'a> {
    pub fn new(pairs: &'a [(String, String)]) -> Self {
        let set = pairs.iter().filter(|(_, value)| !value.trim().is_empty());
        Self(set.map(|(name, value)| (name.as_str(), value.as_str())).collect())
    }

    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).copied()
    }

    /// Adds what the `OTEL_*` variables say; what they say badly is a warning.
    pub fn read_otel(&self, layers: &mut Layers) {
        for row in ROWS {
            let set = row.otel.iter().find_map(|name| Some((*name, self.get(name)?)));
            let Some((name, text)) = set else { continue };
            let source = Source::Environment(name.into());
            match row.kind.check(row.path, &row.kind.parse(text.trim()), &source) {
                Ok(value) => layers.set(row, value, &source),
                Err(error) => layers.warn(format!("{error}; {name} is ignored")),
            }
        }
        self.read_disabled(layers);
        self.read_resource(layers);
        self.read_genai(layers);
        self.read_prometheus(layers);
        self.read_otlp(layers);
        self.read_exporters(layers);
    }

    fn read_disabled(&self, layers: &mut Layers) {
        const NAME: &str = "OTEL_SDK_DISABLED";
        let Some(text) = self.get(NAME).map(str::trim) else { return };
        if text.eq_ignore_ascii_case("true") {
            layers.put("enabled", false.into(), NAME);
        } else if !text.eq_ignore_ascii_case("false") {
            layers.warn(format!("{NAME} = {text:?} counts as false: accepted: true or false"));
        }
    }

    fn read_resource(&self, layers: &mut Layers) {
        const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
        let Some(text) = self.get(NAME) else { return };
        match pairs(text) {
            Some(table) => layers.put("resource", table.into(), NAME),
            // The specification asks to discard the whole value when a part cannot be decoded.
            None => layers.warn(format!(
                "{NAME} = {text:?} is ignored: accepted: key=value,key=value, percent-encoded"
            )),
        }
    }

    /// The variable that opts into new conventions lists them for all areas; the one for contents
    /// has been a boolean, and says by now where they go as well.
    fn read_genai(&self, layers: &mut Layers) {
        const NAMES: &str = "OTEL_SEMCONV_STABILITY_OPT_IN";
        let mut areas = self.get(NAMES).unwrap_or_default().split(',');
        if areas.any(|area| area.trim() == "gen_ai_latest_experimental") {
            layers.put("genai.names", "latest".into(), NAMES);
        }
        const CONTENT: &str = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
        let Some(text) = self.get(CONTENT).map(str::trim) else { return };
        match &*text.to_ascii_lowercase() {
            "true" | "span_only" | "span_and_event" => {
                layers.put("genai.capture_content", true.into(), CONTENT);
            }
            "false" | "no_content" | "event_only" => {}
            _ => layers.warn(format!(
                "{CONTENT} = {text:?} counts as false: accepted: true, false, NO_CONTENT, \
                 SPAN_ONLY, EVENT_ONLY, SPAN_AND_EVENT"
            )),
        }
    }

    fn read_prometheus(&self, layers: &mut Layers) {
        const NAME: &str = "OTEL_METRICS_EXPORTER";
        let exporters = self.get(NAME).unwrap_or_default();
        if !exporters.split(',').any(|name| name.trim() == "prometheus") {
            return;
        }
        let host = self.get("OTEL_EXPORTER_PROMETHEUS_HOST").unwrap_or("localhost").trim();
        let port = self.get("OTEL_EXPORTER_PROMETHEUS_PORT").unwrap_or("9464").trim();
        let port = port.parse::<u16>().unwrap_or_else(|_| {
            layers.warn(format!(
                "OTEL_EXPORTER_PROMETHEUS_PORT = {port:?} is ignored, 9464 stands: accepted: \
                 an integer from 0 to 65535"
            ));
            9464
        });
        let address = match host.contains(':') && !host.starts_with('[') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        let Some(row) = rows::row("metrics.prometheus") else { return };
        let source = Source::Environment(NAME.into());
        match row.kind.check(row.path, &address.into(), &source) {
            Ok(value) => layers.set(row, value, &source),
            Err(error) => layers.warn(format!("{error}; OTEL_EXPORTER_PROMETHEUS_HOST is ignored")),
        }
    }

    /// Adds what the `COATI_*` variables say. Bad values are errors, unknown names warnings.
    pub fn read_coati(&self, layers: &mut Layers) -> Result<(), ConfigError> {
        let rows: BTreeMap<String, _> = ROWS.iter().map(|row| (row.variable(), row)).collect();
        for (name, text) in
            self.0.range("COATI_"..).take_while(|(name, _)| name.starts_with("COATI_"))
        {
            match rows.get(*name) {
                Some(row) => {
                    let source = Source::Environment((*name).into());
                    let value = row.kind.check(row.path, &row.kind.parse(text), &source)?;
                    layers.set(row, value, &source);
                }
                None if [CONFIG_FILE, PRESET].contains(name) => {}
                None => {
                    let lower: Vec<_> = rows.keys().map(|name| name.to_ascii_lowercase()).collect();
                    let near = nearest(name, lower.iter().map(String::as_str));
                    let hint =
                        near.map(|near| format!("; did you mean {}?", near.to_ascii_uppercase()));
                    layers.warn(format!(
                        "{name} is ignored: no such key; accepted: COATI_<SECTION>_<KEY>{}",
                        hint.unwrap_or_default()
                    ));
                }
            }
        }
        Ok(())
    }
}
