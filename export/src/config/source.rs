//! Where a value came from.

use std::fmt;
use std::path::PathBuf;

/// Where a value of the configuration came from, weakest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The table of defaults.
    Default,
    /// A preset, by name.
    Preset(&'static str),
    /// A variable of the environment, by name.
    Environment(String),
    /// A configuration file.
    File(PathBuf),
    /// The `config` argument.
    Dict,
    /// An argument of its own, such as `service`.
    Argument,
    /// A change made while running.
    Configure,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Preset(name) => write!(f, "preset {name}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Dict => f.write_str("config argument"),
            Self::Argument => f.write_str("argument"),
            Self::Configure => f.write_str("configure"),
        }
    }
}
