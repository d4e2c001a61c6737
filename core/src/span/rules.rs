//! Which spans a rule is for.

use super::sampler::Root;
use crate::intern;
use crate::record::read;
use crate::record::value::{Key, Value};

/// A text in which `*` stands for any characters and `?` for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Box<str>);

impl Default for Pattern {
    /// Fits everything.
    fn default() -> Self {
        Self::new("*")
    }
}

impl Pattern {
    /// The pattern `text`.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// How it is written.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether all of `text` fits.
    pub fn fits(&self, text: &str) -> bool {
        if &*self.0 == "*" {
            return true;
        }
        let (mut pattern, mut rest) = (self.0.chars(), text.chars());
        // Behind the last star, and where what it stands for may end: one character further each
        // time that what follows does not fit.
        let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
        loop {
            match (pattern.next(), rest.clone().next()) {
                (Some('*'), _) => retry = Some((pattern.clone(), rest.clone())),
                (None, None) => return true,
                (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                    rest.next();
                }
                _ => {
                    let Some((behind, from)) = &mut retry else { return false };
                    if from.next().is_none() {
                        return false;
                    }
                    (pattern, rest) = (behind.clone(), from.clone());
                }
            }
        }
    }
}

/// What an attribute has to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// Text that fits.
    Text(Pattern),
    /// A number, integer or not.
    Number(f64),
    /// True or false.
    Bool(bool),
}

impl Wanted {
    fn fits(&self, value: &Value<'_>) -> bool {
        match (self, *value) {
            (Self::Text(pattern), Value::Str(text)) => pattern.fits(text),
            (Self::Number(wanted), Value::I64(number)) => *wanted == number as f64,
            (Self::Number(wanted), Value::U64(number)) => *wanted == number as f64,
            (Self::Number(wanted), Value::F64(number)) => *wanted == number,
            (Self::Bool(wanted), Value::Bool(found)) => *wanted == found,
            _ => false,
        }
    }
}

/// Which spans: all that is given must fit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matcher {
    /// The span's name.
    pub name: Pattern,
    /// The tracer's name.
    pub tracer: Pattern,
    /// Attributes by name.
    pub attributes: Vec<(String, Wanted)>,
}

impl Matcher {
    /// Whether a span with these is meant.
    pub fn fits<'a>(
        &self,
        name: &str,
        tracer: &str,
        attribute: impl Fn(&str) -> Option<Value<'a>>,
    ) -> bool {
        let has = |(key, wanted): &(String, Wanted)| {
            attribute(key).is_some_and(|value| wanted.fits(&value))
        };
        self.name.fits(name) && self.tracer.fits(tracer) && self.attributes.iter().all(has)
    }
}

/// What becomes of the traces whose root fits.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Which roots.
    pub matcher: Matcher,
    /// What decides on them.
    pub root: Root,
}

/// Whether `key` is called `name`.
pub fn is_called(key: Key<'_>, name: &str) -> bool {
    match key {
        Key::Id(id) => intern::text(id) == Some(name),
        Key::Text(text) => text == name,
    }
}

/// The plain value `name` among `fields`.
pub fn plain<'a>(mut fields: read::Fields<'a>, name: &str) -> Option<Value<'a>> {
    let (_, value) = fields.find(|&(key, _)| is_called(key, name))?;
    Some(match value {
        read::Value::Bool(value) => Value::Bool(value),
        read::Value::I64(value) => Value::I64(value),
        read::Value::U64(value) => Value::U64(value),
        read::Value::F64(value) => Value::F64(value),
        read::Value::Str(text, _) => Value::Str(text),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("health", "health", true),
            ("health", "healthy", false),
            ("health*", "health", true),
            ("health*", "health/live", true),
            ("*live", "health/live", true),
            ("*live", "live/health", false),
            ("GET */items/*", "GET /v1/items/7", true),
            ("GET */items/*", "GET /v1/item/7", false),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbXbX", false),
            ("?", "ü", true),
            ("?", "", false),
            ("a?c*", "abcdef", true),
            ("**", "x", true),
            ("*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(Pattern::new(pattern).fits(text), fits, "{pattern} on {text}");
        }
    }

    #[test]
    fn all_that_is_given_must_fit() {
        let matcher = Matcher {
            name: Pattern::new("GET *"),
            tracer: Pattern::default(),
            attributes: vec![
                ("http.route".into(), Wanted::Text(Pattern::new("/live*"))),
                ("status".into(), Wanted::Number(200.0)),
                ("internal".into(), Wanted::Bool(true)),
            ],
        };
        let values = |status: Value<'static>| {
            move |key: &str| match key {
                "http.route" => Some(Value::Str("/livez")),
                "status" => Some(status),
                "internal" => Some(Value::Bool(true)),
                _ => None,
            }
        };
        for status in [Value::I64(200), Value::U64(200), Value::F64(200.0)] {
            assert!(matcher.fits("GET /livez", "t", values(status)));
        }
        assert!(!matcher.fits("GET /livez", "t", values(Value::Str("200"))));
        assert!(!matcher.fits("POST /livez", "t", values(Value::I64(200))));
        assert!(!matcher.fits("GET /livez", "t", |_| None));
    }
}
