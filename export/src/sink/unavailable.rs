//! A sink that cannot be had: everything it is given is lost, counted, and said.

use std::io;

use super::{Lost, Routed, Sink};

/// Loses what it is given.
pub struct Unavailable {
    name: String,
    reason: String,
}

impl Unavailable {
    /// Stands for the sink called `name`.
    pub fn new(name: &str, reason: &io::Error) -> Self {
        Self { name: name.into(), reason: reason.to_string() }
    }
}

impl Sink for Unavailable {
    fn name(&self) -> &str {
        &self.name
    }

    fn accept(&mut self, _: &mut Routed<'_, '_>) {}

    fn commit(&mut self) -> Result<(), Lost> {
        Err(io::Error::other(self.reason.clone()).into())
    }
}
