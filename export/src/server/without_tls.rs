//! What stands for TLS in a build that has none.

use std::io;
use std::path::Path;

/// Never made.
#[derive(Clone, Debug)]
pub enum Tls {}

impl Tls {
    /// Says that there is none.
    ///
    /// # Errors
    /// Always.
    pub fn new(_: &Path, _: &Path) -> io::Result<Self> {
        Err(io::Error::other("built without TLS"))
    }

    pub(super) fn serve<S>(
        &self,
        _: &mut S,
        _: impl FnOnce(&mut S) -> io::Result<()>,
    ) -> io::Result<()> {
        match *self {}
    }
}
