//! Who may ask.

use std::fmt;
use std::hint::black_box;

use crate::encode::json::base64;

/// What a client has to know.
#[derive(Clone)]
pub struct Credentials {
    basic: bool,
    /// What follows the scheme in the `Authorization` header.
    expected: Vec<u8>,
}

/// Without what is secret.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("basic", &self.basic).finish_non_exhaustive()
    }
}

impl Credentials {
    /// `Authorization: Bearer <token>`
    pub fn bearer(token: &str) -> Self {
        Self { basic: false, expected: token.as_bytes().to_vec() }
    }

    /// `Authorization: Basic <user:password in base64>`
    pub fn basic(user: &str, password: &str) -> Self {
        let mut quoted = Vec::new();
        base64(format!("{user}:{password}").as_bytes(), &mut quoted);
        Self { basic: true, expected: quoted[1..quoted.len() - 1].to_vec() }
    }

    /// What a client without them is told in `WWW-Authenticate`.
    pub(super) fn challenge(&self) -> &'static str {
        if self.basic { "Basic realm=\"metrics\", charset=\"UTF-8\"" } else { "Bearer" }
    }

    /// Whether an `Authorization` header has them. The time it takes tells nothing of how much
    /// of them was right.
    pub(super) fn admit(&self, authorization: &[u8]) -> bool {
        let scheme: &[u8] = if self.basic { b"basic " } else { b"bearer " };
        let Some((given, rest)) = authorization.split_at_checked(scheme.len()) else {
            return false;
        };
        let rest = rest.trim_ascii();
        let mut difference = u8::from(!given.eq_ignore_ascii_case(scheme));
        difference |= u8::from(rest.len() != self.expected.len());
        for (at, expected) in self.expected.iter().enumerate() {
            let given = rest.get(at).copied().unwrap_or_default();
            // Not to be cut short by the compiler.
            difference = black_box(difference | (given ^ expected));
        }
        difference == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_secret_is_admitted() {
        let token = Credentials::bearer("s3cret");
        let admitted: [&[u8]; 3] = [b"Bearer s3cret", b"bearer s3cret", b"BEARER  s3cret "];
        assert!(admitted.iter().all(|header| token.admit(header)));
        let refused: [&[u8]; 7] = [
            b"",
            b"Bearer",
            b"Bearer ",
            b"Bearer s3cre",
            b"Bearer s3cret1",
            b"Bearer S3cret",
            b"Basic s3cret",
        ];
        assert!(!refused.iter().any(|header| token.admit(header)));
        let basic = Credentials::basic("Aladdin", "open sesame");
        assert!(basic.admit(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
        assert!(!basic.admit(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZR=="));
        assert!(!format!("{token:?}").contains("s3cret"));
    }
}
