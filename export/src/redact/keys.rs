//! Which keys hold secrets: whole names, without regard to case.

/// What stands in place of a secret.
pub const MASK: &str = "[REDACTED]";

const BUILT_IN: [&str; 12] = [
    "password",
    "passwd",
    "secret",
    "authorization",
    "api_key",
    "apikey",
    "api-key",
    "x-api-key",
    "token",
    "access_token",
    "cookie",
    "set-cookie",
];

/// The names whose values are masked.
#[derive(Debug, Clone)]
pub struct KeyRules(Vec<String>);

impl KeyRules {
    /// The built-in names and `more`.
    pub fn new(more: &[String]) -> Self {
        Self(BUILT_IN.into_iter().map(str::to_owned).chain(more.iter().cloned()).collect())
    }

    /// Whether `key`, or what follows its last dot, is such a name.
    pub fn matches(&self, key: &str) -> bool {
        let last = key.rsplit('.').next().unwrap_or(key);
        self.0.iter().any(|name| name.eq_ignore_ascii_case(key) || name.eq_ignore_ascii_case(last))
    }
}
