//! `OTEL_{TRACES,LOGS,METRICS}_EXPORTER`: where each signal goes.

use serde_json::{Value, json};

use super::env::Environment;
use super::layers::Layers;
use super::{Source, sinks};

/// The signal in the variables' names, and in a sink's `signals`.
const SIGNALS: [(&str, &str); 3] = [("TRACES", "spans"), ("LOGS", "logs"), ("METRICS", "metrics")];

impl Environment<'_> {
    /// Lays the sinks that the variables ask for over those of the preset. A list of exporters is
    /// the whole of where its signal goes; an endpoint alone adds a sink of type `otlp`.
    pub(super) fn read_exporters(&self, layers: &mut Layers) {
        let mut wanted = layers.get("sinks").as_array().cloned().unwrap_or_default();
        let mut sent = Vec::new();
        let mut asked = None;
        for (variable, signal) in SIGNALS {
            let list = format!("OTEL_{variable}_EXPORTER");
            let endpoint = format!("OTEL_EXPORTER_OTLP_{variable}_ENDPOINT");
            let all = "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned();
            if let Some(names) = self.exporters(&list, signal == "metrics", layers) {
                show_on_console(&mut wanted, signal, names.contains(&"console"));
                if names.contains(&"otlp") {
                    sent.push(signal);
                }
                asked.get_or_insert(list);
            } else if let Some(by) = [endpoint, all].into_iter().find(|by| self.get(by).is_some()) {
                sent.push(signal);
                asked.get_or_insert(by);
            }
        }
        let Some(by) = asked else { return };
        if !sent.is_empty() {
            let sink = json!({ "type": "otlp", "signals": sent });
            let source = Source::Environment(by.clone());
            wanted.extend(sinks::check_sink("sinks", &sink, &source));
        }
        layers.put("sinks", wanted.into(), &by);
    }

    /// The exporters in a list, if it names any that there are.
    fn exporters(&self, name: &str, metrics: bool, layers: &mut Layers) -> Option<Vec<&str>> {
        let known: &[&str] = match metrics {
            true => &["otlp", "prometheus", "console", "none"],
            false => &["otlp", "console", "none"],
        };
        let text = self.get(name)?;
        let named = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let (taken, other): (Vec<_>, Vec<_>) = named.partition(|name| known.contains(name));
        if !other.is_empty() {
            let (other, known) = (other.join(", "), known.join(", "));
            layers.warn(format!("{name} = {text:?}: {other} is ignored: accepted: {known}"));
        }
        (!taken.is_empty()).then_some(taken)
    }
}

/// Gives a signal to the consoles among sinks, or to a new one, or takes it from all of them.
fn show_on_console(shown_by: &mut Vec<Value>, signal: &str, shown: bool) {
    for sink in shown_by.iter_mut() {
        if let Some(signals) = sink["signals"].as_array_mut() {
            signals.retain(|taken| taken != signal);
            if shown {
                signals.push(signal.into());
            }
        }
    }
    shown_by.retain(|sink| sink["signals"].as_array().is_some_and(|signals| !signals.is_empty()));
    if shown && shown_by.is_empty() {
        let sink = json!({ "type": "console", "stream": "stdout", "signals": [signal] });
        shown_by.extend(sinks::check_sink("sinks", &sink, &Source::Default));
    }
}
