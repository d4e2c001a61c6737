//! From encoded items to a whole request: resource, scopes, items.

use coati_core::intern;
use coati_core::scope;
use serde_json::Value as Json;

use super::json::{self, Member};
use super::proto;
use super::signal::Signal;
use crate::redact::Value;
use crate::wire;

/// How bodies are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// Binary protobuf, over HTTP and gRPC.
    Protobuf = 0,
    /// OTLP's JSON.
    Json = 1,
}

impl Encoding {
    /// The encoding with this number.
    pub fn from_u8(number: u8) -> Option<Self> {
        [Self::Protobuf, Self::Json].get(usize::from(number)).copied()
    }

    /// Its media type over HTTP.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// What every record of this program has in common, encoded.
#[derive(Debug, Clone)]
pub struct Resource {
    encoding: Encoding,
    bytes: Vec<u8>,
}

impl Resource {
    /// The resource that has `attributes`: texts, numbers and truth values.
    pub fn new<'a>(
        encoding: Encoding,
        attributes: impl IntoIterator<Item = (&'a str, &'a Json)>,
    ) -> Self {
        let mut bytes = Vec::new();
        if encoding == Encoding::Json {
            bytes.extend_from_slice(b"{\"attributes\":[");
        }
        for (name, value) in attributes {
            let value = plain(value);
            match encoding {
                Encoding::Protobuf => proto::attribute(0x0a, name, value, &mut bytes),
                Encoding::Json => json::attribute(name, value, &mut bytes),
            }
        }
        if encoding == Encoding::Json {
            bytes.extend_from_slice(b"]}");
        }
        Self { encoding, bytes }
    }

    /// How it is encoded.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }
}

fn plain(value: &Json) -> Value<'_> {
    match value {
        Json::Bool(truth) => Value::Bool(*truth),
        Json::String(text) => Value::Str(text, 0),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Value::I64(number),
            (None, Some(number)) => Value::F64(number),
            (None, None) => Value::Null,
        },
        Json::Null | Json::Array(_) | Json::Object(_) => Value::Null,
    }
}

/// Items of one scope, one after another.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Id of its name, or its word: see [`coati_core::scope`].
    pub name: u32,
    /// Its attributes, encoded.
    pub attributes: Vec<u8>,
    /// The items.
    pub items: Vec<u8>,
}

/// The request for `signal` with the items of `scopes`; scopes of equal names become one.
pub fn compose(signal: Signal, resource: &Resource, scopes: &[&Scope]) -> Vec<u8> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for scope in scopes {
        match groups.iter_mut().find(|known| known.is_of(scope)) {
            Some(group) => group.items.push(&scope.items),
            None => groups.push(Group { scope, items: vec![&scope.items] }),
        }
    }
    let size: usize = scopes.iter().map(|scope| scope.items.len() + 300).sum();
    let mut out = Vec::with_capacity(size + resource.bytes.len() + 64);
    match resource.encoding {
        Encoding::Protobuf => protobuf(resource, &groups, &mut out),
        Encoding::Json => as_json(signal, resource, &groups, &mut out),
    }
    out
}

/// A scope, and the items of all that are equal to it.
struct Group<'a> {
    scope: &'a Scope,
    items: Vec<&'a [u8]>,
}

impl Group<'_> {
    fn is_of(&self, scope: &Scope) -> bool {
        let Scope { name, attributes, .. } = self.scope;
        (*name, attributes) == (scope.name, &scope.attributes)
    }

    fn name(&self) -> &'static str {
        intern::text(scope::name(self.scope.name)).unwrap_or("")
    }

    /// Empty for none.
    fn version(&self) -> &'static str {
        scope::of(self.scope.name).map_or("", |scope| scope.version())
    }

    /// Empty for none.
    fn schema_url(&self) -> &'static str {
        scope::of(self.scope.name).map_or("", |scope| scope.schema_url())
    }
}

/// All three signals number these fields alike: 1 is what is outside, 2 what is inside.
fn protobuf(resource: &Resource, groups: &[Group<'_>], out: &mut Vec<u8>) {
    let nested = |len: usize| 1 + wire::varint_len(len as u64) + len;
    let text = |text: &str| if text.is_empty() { 0 } else { nested(text.len()) };
    let scope = |group: &Group<'_>| {
        nested(group.name().len()) + text(group.version()) + group.scope.attributes.len()
    };
    let inside = |group: &Group<'_>| {
        let items: usize = group.items.iter().map(|items| items.len()).sum();
        nested(scope(group)) + items + text(group.schema_url())
    };
    let all: usize = groups.iter().map(|group| nested(inside(group))).sum();
    wire::head(0x0a, nested(resource.bytes.len()) + all, out);
    wire::bytes(0x0a, &resource.bytes, out);
    for group in groups {
        wire::head(0x12, inside(group), out);
        wire::head(0x0a, scope(group), out);
        wire::bytes(0x0a, group.name().as_bytes(), out);
        if !group.version().is_empty() {
            wire::bytes(0x12, group.version().as_bytes(), out);
        }
        out.extend_from_slice(&group.scope.attributes);
        group.items.iter().for_each(|items| out.extend_from_slice(items));
        if !group.schema_url().is_empty() {
            wire::bytes(0x1a, group.schema_url().as_bytes(), out);
        }
    }
}

fn as_json(signal: Signal, resource: &Resource, groups: &[Group<'_>], out: &mut Vec<u8>) {
    let [resources, scopes, list] = signal.lists();
    let begin = |name: &str, out: &mut Vec<u8>| {
        out.name(name);
        out.extend_from_slice(b"[{");
    };
    out.push(b'{');
    begin(resources, out);
    out.name("resource");
    out.extend_from_slice(&resource.bytes);
    out.name(scopes);
    out.push(b'[');
    for group in groups {
        out.next();
        out.push(b'{');
        out.name("scope");
        out.push(b'{');
        out.text("name", group.name());
        if !group.version().is_empty() {
            out.text("version", group.version());
        }
        if !group.scope.attributes.is_empty() {
            out.next();
            out.extend_from_slice(&group.scope.attributes);
        }
        out.push(b'}');
        if !group.schema_url().is_empty() {
            out.text("schemaUrl", group.schema_url());
        }
        out.name(list);
        out.push(b'[');
        group.items.iter().for_each(|items| out.extend_from_slice(items));
        // Each item has a comma behind it.
        if out.last() == Some(&b',') {
            out.pop();
        }
        out.extend_from_slice(b"]}");
    }
    out.extend_from_slice(b"]}]}");
}
