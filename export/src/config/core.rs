//! What the core takes of the settings, in its own types.

use std::time::Duration;

use coati_core::live::{ExemplarFilter, Levels, Limits};
use coati_core::pipeline::Overflow as CoreOverflow;
use coati_core::propagate::Formats;

use super::settings::{Exemplars, Overflow, Settings};

impl Settings {
    /// The thresholds of loggers.
    pub fn levels(&self) -> Levels {
        Levels {
            default: self.logs.level,
            by_name: self.logs.levels.iter().map(|(name, level)| (name.clone(), *level)).collect(),
            disabled: self.logs.disabled.clone(),
        }
    }

    /// The bounds on what one record holds.
    pub fn limits(&self) -> Limits {
        let bound = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Limits {
            max_string: bound(self.logs.max_string),
            max_span_string: bound(self.spans.max_string.unwrap_or(self.logs.max_string)),
            max_fields: bound(self.logs.max_fields),
            max_attributes: bound(self.spans.max_attributes),
            max_event_attributes: bound(self.spans.max_event_attributes),
            max_link_attributes: bound(self.spans.max_link_attributes),
            max_events: bound(self.spans.max_events),
            max_links: bound(self.spans.max_links),
        }
    }

    /// The headers that carry a context.
    pub fn formats(&self) -> Formats {
        Formats::from_names(self.propagators.iter().map(String::as_str))
    }

    /// Which measurements may be exemplars.
    pub fn exemplars(&self) -> ExemplarFilter {
        match self.metrics.exemplars {
            Exemplars::TraceBased => ExemplarFilter::TraceBased,
            Exemplars::AlwaysOn => ExemplarFilter::AlwaysOn,
            Exemplars::AlwaysOff => ExemplarFilter::AlwaysOff,
        }
    }

    /// What happens to a record that finds its ring full.
    pub fn overflow(&self) -> CoreOverflow {
        match self.ring.overflow {
            Overflow::DropNewest => CoreOverflow::DropNewest,
            Overflow::Block => CoreOverflow::Block(Duration::from_millis(self.ring.block_ms)),
            Overflow::KeepSevere => CoreOverflow::KeepSevere,
        }
    }
}
