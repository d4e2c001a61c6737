//! From encoded items to a whole request: resource, scopes, items.

use coati_core::intern::{self, Id};
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
    /// Id of its name.
    pub name: u32,
    /// Id of its version, 0 for none.
    pub version: u32,
    /// The items.
    pub items: Vec<u8>,
}

/// The request for `signal` with the items of `scopes`; scopes of equal names become one.
pub fn compose(signal: Signal, resource: &Resource, scopes: &[&Scope]) -> Vec<u8> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for scope in scopes {
        let key = (scope.name, scope.version);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, items)) => items.push(&scope.items),
            None => groups.push((key, vec![&scope.items])),
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

/// Name and version of a scope, and its items.
type Group<'a> = ((u32, u32), Vec<&'a [u8]>);

fn text_of(name: u32) -> &'static str {
    intern::text(Id(name)).unwrap_or("")
}

/// All three signals number these fields alike: 1 is what is outside, 2 what is inside.
fn protobuf(resource: &Resource, groups: &[Group<'_>], out: &mut Vec<u8>) {
    let nested = |len: usize| 1 + wire::varint_len(len as u64) + len;
    let scope = |(name, version): (u32, u32)| {
        let version = if version == 0 { 0 } else { nested(text_of(version).len()) };
        nested(text_of(name).len()) + version
    };
    let group = |(key, items): &Group<'_>| {
        nested(scope(*key)) + items.iter().map(|items| items.len()).sum::<usize>()
    };
    let inside: usize = groups.iter().map(|one| nested(group(one))).sum();
    wire::head(0x0a, nested(resource.bytes.len()) + inside, out);
    wire::bytes(0x0a, &resource.bytes, out);
    for one in groups {
        wire::head(0x12, group(one), out);
        let (name, version) = one.0;
        wire::head(0x0a, scope(one.0), out);
        wire::bytes(0x0a, text_of(name).as_bytes(), out);
        if version != 0 {
            wire::bytes(0x12, text_of(version).as_bytes(), out);
        }
        one.1.iter().for_each(|items| out.extend_from_slice(items));
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
    for ((name, version), items) in groups {
        out.next();
        out.push(b'{');
        out.name("scope");
        out.push(b'{');
        out.text("name", text_of(*name));
        if *version != 0 {
            out.text("version", text_of(*version));
        }
        out.push(b'}');
        out.name(list);
        out.push(b'[');
        items.iter().for_each(|items| out.extend_from_slice(items));
        // Each item has a comma behind it.
        if out.last() == Some(&b',') {
            out.pop();
        }
        out.extend_from_slice(b"]}");
    }
    out.extend_from_slice(b"]}]}");
}
