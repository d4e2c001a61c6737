//! Levels as OpenTelemetry's severities.

use coati_core::record::Level;

/// Number and text of a level.
pub const fn severity(level: Level) -> (u8, &'static str) {
    match level {
        Level::Debug => (5, "DEBUG"),
        Level::Info => (9, "INFO"),
        Level::Warning => (13, "WARN"),
        Level::Error => (17, "ERROR"),
        Level::Critical => (21, "CRITICAL"),
    }
}
