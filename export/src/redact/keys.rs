//! Which keys hold secrets: whole names, without regard to case.

/// What stands in place of a secret.
pub const MASK: &str = "[REDACTED]";

/// Masked wherever redaction is on. A hyphen and an underscore are different characters, and
/// header names are recorded with either.
const BUILT_IN: &[&str] = &[
    "access_key",
    "access_token",
    "access-token",
    "api_key",
    "api_secret",
    "api_token",
    "api-key",
    "apikey",
    "auth_token",
    "auth-token",
    "authorization",
    "aws_secret_access_key",
    "aws_session_token",
    "bearer",
    "bearer_token",
    "client_secret",
    "client-secret",
    "connection_string",
    "cookie",
    "credential",
    "credentials",
    "csrf_token",
    "csrftoken",
    "encryption_key",
    "id_token",
    "jwt",
    "passphrase",
    "passwd",
    "password",
    "private_key",
    "private-key",
    "proxy_authorization",
    "proxy-authorization",
    "pwd",
    "refresh_token",
    "refresh-token",
    "secret",
    "secret_access_key",
    "secret_key",
    "secret-key",
    "session_key",
    "session_token",
    "sessionid",
    "set_cookie",
    "set-cookie",
    "signing_key",
    "token",
    "x_api_key",
    "x_auth_token",
    "x_csrf_token",
    "x-amz-security-token",
    "x-api-key",
    "x-auth-token",
    "x-csrf-token",
];

/// The names whose values are masked, in lower case and sorted.
#[derive(Clone, Debug)]
pub struct KeyRules(Box<[Box<str>]>);

impl KeyRules {
    /// The built-in names and `more`.
    pub fn new(more: &[String]) -> Self {
        let built_in = BUILT_IN.iter().copied();
        let mut names: Vec<Box<str>> = built_in
            .chain(more.iter().map(|name| name.trim()))
            .map(|name| lower(name).collect::<String>().into())
            .collect();
        names.sort_unstable();
        names.dedup();
        Self(names.into())
    }

    /// Whether `key`, or what follows its last dot, is one of the names. Allocates nothing.
    pub fn matches(&self, key: &str) -> bool {
        let last = key.rfind('.').map(|dot| &key[dot + 1..]);
        self.has(key) || last.is_some_and(|last| self.has(last))
    }

    fn has(&self, key: &str) -> bool {
        let mut buffer = [0; 64];
        let found = match buffer.get_mut(..key.len()) {
            Some(lowered) if key.is_ascii() => {
                lowered.copy_from_slice(key.as_bytes());
                lowered.make_ascii_lowercase();
                self.0.binary_search_by(|name| name.as_bytes().cmp(lowered))
            }
            // The order of characters is the order of their UTF-8 bytes.
            _ => self.0.binary_search_by(|name| name.chars().cmp(lower(key))),
        };
        found.is_ok()
    }
}

fn lower(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_in_any_case() {
        let rules =
            KeyRules::new(&["X-Internal-Token".into(), "user.Émail".into(), "k".repeat(70)]);
        for key in [
            "password",
            "PassWord",
            "Set-Cookie",
            "token",
            "x-internal-token",
            "user.password",
            "http.request.header.authorization",
            "http.request.header.X-API-Key",
            "a.b.client_secret",
            "USER.ÉMAIL",
            "to\u{212a}en",
            &"K".repeat(70),
        ] {
            assert!(rules.matches(key), "{key}");
        }
        for key in [
            "tokens",
            "gen_ai.usage.input_tokens",
            "max_tokens",
            "password_hint",
            "token.count",
            "passwor",
            "émail",
            "",
            ".",
            "password.",
            "ｐassword",
        ] {
            assert!(!rules.matches(key), "{key}");
        }
    }

    #[test]
    fn every_built_in_name_is_found() {
        let rules = KeyRules::new(&[]);
        for name in BUILT_IN {
            assert!(rules.matches(name) && rules.matches(&name.to_uppercase()), "{name}");
            assert!(rules.matches(&format!("a.{name}")), "{name}");
            assert!(!rules.matches(&format!("{name}s ")), "{name}");
        }
    }
}
