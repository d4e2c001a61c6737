//! Headers under whatever name they come.

use std::borrow::Cow;

/// Headers of one request that concern the context, by their normal names.
#[derive(Debug, Default)]
pub struct Headers(Vec<(String, String)>);

/// The name of a header of ours in its normal form: lower case with dashes. Names may come in any
/// case, as environment variables (`TRACEPARENT`, `X_B3_TRACEID`) and as WSGI has them
/// (`HTTP_TRACEPARENT`).
pub fn normal(name: &str) -> Option<Cow<'_, str>> {
    const LONGEST: usize = 256;
    const KNOWN: [&str; 9] = [
        "traceparent",
        "tracestate",
        "baggage",
        "b3",
        "x-b3-traceid",
        "x-b3-spanid",
        "x-b3-sampled",
        "x-b3-flags",
        "uber-trace-id",
    ];
    if name.len() > LONGEST {
        return None;
    }
    if KNOWN.contains(&name) {
        return Some(Cow::Borrowed(name));
    }
    let bare = match name.get(..5) {
        Some(prefix) if prefix.eq_ignore_ascii_case("http_") => &name[5..],
        _ => name,
    };
    let lower = bare.to_ascii_lowercase().replace('_', "-");
    let is_ours = KNOWN.contains(&&*lower) || lower.starts_with(super::jaeger::BAGGAGE);
    is_ours.then_some(Cow::Owned(lower))
}

impl Headers {
    /// Adds a header, if it is one of ours.
    pub fn add(&mut self, name: &str, value: &str) {
        if let Some(name) = normal(name) {
            self.0.push((name.into_owned(), value.to_owned()));
        }
    }

    /// The values of one header, in order.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| &**value)
    }

    /// The values of one header as one, joined by commas.
    pub(super) fn joined(&self, name: &str) -> String {
        self.all(name).collect::<Vec<_>>().join(",")
    }

    /// The value of a header that is there once: several contradict each other.
    pub(super) fn only<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let mut all = self.all(name);
        all.next().filter(|_| all.next().is_none())
    }

    /// What follows `prefix` in names, and values.
    pub(super) fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, &**value)))
    }
}
