//! The two starting points.

use serde_json::{Value, json};

/// A starting point, below every other source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// For whoever writes the program: everything, readable, on standard error.
    Development,
    /// For whoever runs it: JSON on standard output, a tenth of the traces, redacted.
    Production,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 2] = [Self::Development, Self::Production];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Production => "production",
        }
    }

    /// What it sets.
    pub(super) fn layer(self) -> Value {
        match self {
            Self::Development => json!({
                "logs": { "level": "debug" },
                "spans": { "sampler": "parentbased_always_on" },
                "redaction": { "enabled": false },
                "sinks": [{ "type": "console", "format": "auto", "stream": "stderr" }],
            }),
            Self::Production => json!({
                "logs": { "level": "info" },
                "spans": { "sampler": "parentbased_traceidratio", "sampler_arg": 0.1 },
                "redaction": { "enabled": true },
                "sinks": [{ "type": "console", "format": "json", "stream": "stdout" }],
            }),
        }
    }
}
