//! JSON lines against an oracle: any record gives, byte for byte, the line put together from what
//! `serde_json` and `ryu` write.

use coati_core::clock::Timeline;
use coati_core::ids::{SpanId, TraceId};
use coati_core::intern::{Id, intern, reserved};
use coati_core::log::{LogHead, encode_log};
use coati_core::record::read::Record;
use coati_core::record::value::Key;
use coati_core::record::write::Encoder;
use coati_core::record::{
    CallSite, EventFixed, Header, Kind, Level, LinkFixed, SpanFixed, SpanIds, Tag, WALL_TIME, flags,
};
use coati_export::encode::json::JsonEncoder;
use coati_export::encode::{Clock, rfc3339};
use coati_export::redact::Redactor;
use coati_export::redact::keys::{KeyRules, MASK};
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::Arc;

const MAX_STRING: usize = 40;

#[derive(Debug, Clone)]
enum Value {
    Null,
    Bool(bool),
    I64(i64),
    U64(u64),
    F64(f64),
    Str(String),
    BigInt(i128),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

/// A field, and whether its key is written as text although it could be an id.
type Field = (String, bool, Value);

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ -~]{0,60}",
        "[a-z]{0,20}[\"\\\\\n\r\t\u{0}-\u{1f}\u{7f}é…😀]{0,2}[a-z]{0,20}"
    ]
}

fn key() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] =
        &["level", "message", "span", "password", "Authorization", "user.token", "field.span"];
    let any = prop_oneof![
        3 => "[a-z_.]{1,24}".boxed(),
        1 => text().boxed(),
        1 => prop::sample::select(KNOWN).prop_map(String::from).boxed(),
    ];
    any.prop_filter("not cut", |key| key.len() <= MAX_STRING)
}

fn float() -> impl Strategy<Value = f64> {
    let decimal = (any::<i64>(), 0..64u32, 0..20)
        .prop_map(|(digits, shift, places)| (digits >> shift) as f64 / 10f64.powi(places));
    prop_oneof![any::<u64>().prop_map(f64::from_bits), decimal]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (any::<i64>(), 0..64u32).prop_map(|(v, shift)| Value::I64(v >> shift)),
        (any::<u64>(), 0..64u32).prop_map(|(v, shift)| Value::U64(v >> shift)),
        prop::sample::select(&[i64::MIN, i64::MAX, -1, 0][..]).prop_map(Value::I64),
        float().prop_map(Value::F64),
        text().prop_map(Value::Str),
        any::<i128>().prop_map(Value::BigInt),
        vec(any::<u8>(), 0..12).prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::List),
            vec(("[a-z\"]{0,9}", inner), 0..5).prop_map(Value::Map),
        ]
    })
}

fn fields() -> impl Strategy<Value = Vec<Field>> {
    vec((key(), any::<bool>(), value()), 0..6)
}

fn as_key(name: &str, inline: bool) -> Key<'_> {
    if inline { Key::Text(name) } else { Key::new(name) }
}

impl Value {
    fn encode(&self, key: Key<'_>, encoder: &mut Encoder<'_>) {
        const NO_KEY: Key<'static> = Key::Id(Id(0));
        assert!(match self {
            Self::Null => encoder.small_field(key, Tag::Null, 0),
            Self::Bool(v) => encoder.small_field(key, Tag::Bool, usize::from(*v)),
            Self::I64(v) => encoder.word_field(key, Tag::I64, *v as u64),
            Self::U64(v) => encoder.word_field(key, Tag::U64, *v),
            Self::F64(v) => encoder.word_field(key, Tag::F64, v.to_bits()),
            Self::Str(v) => encoder.str_field(key, v.as_bytes()),
            Self::BigInt(v) => encoder.bytes_field(key, Tag::BigInt, v.to_string().as_bytes()),
            Self::Bytes(v) => encoder.bytes_field(key, Tag::Bytes, v),
            Self::List(all) => encoder.nested(key, Tag::List, |encoder| {
                all.iter().for_each(|value| value.encode(NO_KEY, encoder));
            }),
            Self::Map(all) => encoder.nested(key, Tag::Map, |encoder| {
                for (name, value) in all {
                    encoder.str_field(NO_KEY, name.as_bytes());
                    value.encode(NO_KEY, encoder);
                }
            }),
        });
    }

    fn json(&self, rules: &KeyRules) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Bool(v) => v.to_string(),
            Self::I64(v) => v.to_string(),
            Self::U64(v) => v.to_string(),
            Self::F64(v) if v.is_nan() => "\"NaN\"".into(),
            Self::F64(f64::INFINITY) => "\"Infinity\"".into(),
            Self::F64(f64::NEG_INFINITY) => "\"-Infinity\"".into(),
            Self::F64(v) => ryu::Buffer::new().format(*v).into(),
            Self::Str(v) => string(v),
            Self::BigInt(v) => v.to_string(),
            Self::Bytes(v) => format!("\"{}\"", base64(v)),
            Self::List(all) => {
                let all: Vec<_> = all.iter().map(|value| value.json(rules)).collect();
                format!("[{}]", all.join(","))
            }
            Self::Map(all) => {
                let pair = |(key, value): &(String, Self)| {
                    format!("{}:{}", serde_json::to_string(key).unwrap(), value.under(key, rules))
                };
                format!("{{{}}}", all.iter().map(pair).collect::<Vec<_>>().join(","))
            }
        }
    }

    fn under(&self, key: &str, rules: &KeyRules) -> String {
        if rules.matches(key) { format!("\"{MASK}\"") } else { self.json(rules) }
    }
}

/// A JSON string, cut as texts are.
fn string(text: &str) -> String {
    let mut end = text.len().min(MAX_STRING);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let left_out = text.len() - end;
    let mark = if left_out > 0 { format!("…[+{left_out} bytes]") } else { String::new() };
    serde_json::to_string(&format!("{}{mark}", &text[..end])).unwrap()
}

fn base64(bytes: &[u8]) -> String {
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let digit = |six: &[u8]| {
        let six = format!("{:0<6}", std::str::from_utf8(six).unwrap());
        match u8::from_str_radix(&six, 2).unwrap() {
            n @ 0..=25 => b'A' + n,
            n @ 26..=51 => b'a' + n - 26,
            n @ 52..=61 => b'0' + n - 52,
            62 => b'+',
            _ => b'/',
        }
    };
    let mut text: String = bits.as_bytes().chunks(6).map(|six| char::from(digit(six))).collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

fn encode_all(fields: &[Field], encoder: &mut Encoder<'_>) -> u32 {
    for (name, inline, value) in fields {
        value.encode(as_key(name, *inline), encoder);
    }
    fields.len() as u32
}

/// `"key":value` for each field.
fn pairs(fields: &[Field], rules: &KeyRules, key: impl Fn(&str) -> String) -> Vec<String> {
    let pair = |(name, _, value): &Field| {
        format!("{}:{}", serde_json::to_string(&key(name)).unwrap(), value.under(name, rules))
    };
    fields.iter().map(pair).collect()
}

/// Where of equal keys the last counts.
fn last_of_each(mut fields: Vec<Field>) -> Vec<Field> {
    for at in (0..fields.len()).rev() {
        if fields[at + 1..].iter().any(|later| later.0 == fields[at].0 && later.1 == fields[at].1) {
            fields.remove(at);
        }
    }
    // A key as text and the same as an id are two.
    fields
}

fn time(wall_ns: u64) -> String {
    let mut out = Vec::new();
    rfc3339(wall_ns, &mut out);
    String::from_utf8(out).unwrap()
}

struct Bench {
    memory: Vec<u64>,
    json: JsonEncoder,
    timeline: Timeline,
    rules: Arc<KeyRules>,
    redactor: Redactor,
    out: Vec<u8>,
}

impl Bench {
    fn new(service: &str) -> Self {
        let rules = Arc::new(KeyRules::new(&[]));
        Self {
            memory: vec![0; 1 << 16],
            json: JsonEncoder::new(service),
            timeline: Timeline::start(),
            redactor: Redactor::new(Some(rules.clone())),
            rules,
            out: Vec::new(),
        }
    }

    /// The line of the record that `encode` writes.
    fn line(&mut self, ticks: u64, encode: impl FnOnce(&mut Encoder<'_>)) -> String {
        let mut encoder = Encoder::new(&mut self.memory, MAX_STRING);
        encode(&mut encoder);
        assert_eq!(encoder.missed(), 0);
        let size = encoder.len();
        encoder.patch(0, &(size as u32));
        let record = Record::parse(&bytemuck::cast_slice(&self.memory)[..size]).unwrap();
        let clock = Clock { timeline: &self.timeline };
        let begin = self.out.len();
        self.json.line(&self.redactor.apply(record), ticks, &clock, &mut self.out);
        String::from_utf8(self.out[begin..].to_vec()).unwrap()
    }
}

const IDS: SpanIds = SpanIds {
    trace_id: TraceId([0, 1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 9, 10, 11, 12, 13, 14, 255]),
    span_id: SpanId([0xf0, 0x0f, 1, 2, 3, 4, 5, 6]),
};
const IDS_JSON: &str =
    "\"trace_id\":\"000123456789abcdef090a0b0c0d0eff\",\"span_id\":\"f00f010203040506\"";

fn log_line(
    bench: &mut Bench,
    (level, logger, message): (Level, &str, &str),
    (in_span, site, layered): (bool, Option<u32>, bool),
    fields: &[Field],
    service: &str,
) -> (String, String) {
    let ticks = coati_core::clock::now();
    let head = LogHead {
        level,
        logger: intern(logger).unwrap(),
        flags: if layered { flags::LAYERED } else { 0 },
        span: in_span.then_some(IDS),
        call_site: site.map(|line| CallSite { file: intern("a \"file\"").unwrap().0, line }),
        message: message.as_bytes(),
    };
    let line = bench.line(ticks, |encoder| {
        encode_log(encoder, ticks, &head, |encoder| (encode_all(fields, encoder), 7));
    });
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    let mut parts = vec![
        format!("\"timestamp\":\"{}\"", time(bench.timeline.wall_ns(ticks))),
        format!("\"level\":\"{}\"", level.name()),
        format!("\"logger\":{}", quoted(logger)),
        format!("\"message\":{}", string(message)),
        format!("\"service\":{}", quoted(service)),
    ];
    parts.extend(in_span.then(|| IDS_JSON.to_owned()));
    let shown = if layered { last_of_each(fields.to_vec()) } else { fields.to_vec() };
    parts.extend(pairs(&shown, &bench.rules, |name| match name {
        "level" | "message" | "span" | "field.span" => format!("field.{name}"),
        name => name.to_owned(),
    }));
    parts.extend(site.map(|line| format!("\"code.file\":\"a \\\"file\\\"\",\"code.line\":{line}")));
    parts.push("\"dropped_fields\":7".into());
    (line, format!("{{{}}}\n", parts.join(",")))
}

proptest! {
    #[test]
    fn any_log_line(
        service in text(),
        lines in vec((
            (prop::sample::select(&Level::ALL[..]), "[a-c]|.{0,40}", text()),
            (any::<bool>(), any::<Option<u32>>(), any::<bool>()),
            fields(),
        ), 1..4),
    ) {
        let mut bench = Bench::new(&service);
        for ((level, logger, message), options, fields) in lines {
            let head = (level, &*logger, &*message);
            let (line, expected) = log_line(&mut bench, head, options, &fields, &service);
            prop_assert_eq!(line, expected);
        }
    }

    #[test]
    fn any_span_line(
        name in text(),
        description in text(),
        attributes in fields(),
        of_event in fields(),
        of_link in fields(),
        start in 0..u64::MAX / 4,
        length in prop_oneof![0..5_000_000_000u64, 0..u64::MAX / 4],
        event_at in 0..u64::MAX / 2,
    ) {
        let mut bench = Bench::new("spans");
        // Texts of the fixed part are not cut by the encoder.
        let end = start + length;
        let line = bench.line(0, |encoder| {
            encoder.fixed(&SpanFixed {
                header: Header {
                    size: 0,
                    kind: Kind::Span as u8,
                    version: coati_core::record::VERSION,
                    level: Level::Info as u8,
                    flags: flags::WALL_START | flags::ABANDONED | flags::TRACE_STATE,
                    ticks: 0,
                },
                start,
                wall_end: end.max(1),
                ids: IDS,
                parent: IDS.span_id,
                tracer: intern("a \"tracer\"").unwrap().0,
                span_kind: 2,
                status: 2,
                trace_flags: 1,
                reserved: 0,
                name_len: name.len() as u32,
                description_len: description.len() as u32,
                attributes: attributes.len() as u32,
                events: 1,
                links: 1,
                dropped_attributes: 0,
                dropped_events: u32::MAX,
                dropped_links: 1,
            });
            encoder.text(name.as_bytes());
            encoder.text(description.as_bytes());
            encode_all(&attributes, encoder);
            let at = encoder.len();
            let mut event = EventFixed {
                size: 0,
                name_len: name.len() as u32,
                time: event_at | WALL_TIME,
                attributes: of_event.len() as u32,
                dropped_attributes: 0,
            };
            encoder.fixed(&event);
            encoder.text(name.as_bytes());
            encode_all(&of_event, encoder);
            event.size = (encoder.len() - at) as u32;
            encoder.patch(at, &event);
            encoder.words([STATE.len() as u64]);
            encoder.text(STATE.as_bytes());
            let at = encoder.len();
            let mut link = LinkFixed {
                size: 0,
                attributes: of_link.len() as u32,
                ids: IDS,
                flags: 0x101,
                state_len: STATE.len() as u32,
            };
            encoder.fixed(&link);
            encoder.text(STATE.as_bytes());
            encode_all(&of_link, encoder);
            link.size = (encoder.len() - at) as u32;
            encoder.patch(at, &link);
        });
        let quoted = |text: &str| serde_json::to_string(text).unwrap();
        let object = |fields: &Vec<Field>| match &*last_of_each(fields.clone()) {
            [] => String::new(),
            fields => {
                let pairs = pairs(fields, &bench.rules, str::to_owned);
                format!(",\"attributes\":{{{}}}", pairs.join(","))
            }
        };
        let end = end.max(1);
        let description = match &*description {
            "" => String::new(),
            text => format!(",\"description\":{}", quoted(text)),
        };
        let expected = format!(
            "{{\"span\":{},{IDS_JSON},\"parent_span_id\":\"f00f010203040506\",\
             \"trace_state\":\"a=\\\"1\\\",b=2\",\"kind\":\"client\",\
             \"start\":\"{}\",\"end\":\"{}\",\"duration_ns\":{},\"status\":{{\"code\":\"error\"\
             {description}}},\"service\":\"spans\",\"tracer\":\"a \\\"tracer\\\"\"{},\
             \"events\":[{{\"name\":{},\"timestamp\":\"{}\"{}}}],\"links\":[{{{IDS_JSON}{}}}],\
             \"dropped_events\":4294967295,\"dropped_links\":1,\"abandoned\":true}}\n",
            quoted(&name), time(start), time(end), end - start, object(&attributes),
            quoted(&name), time(event_at), object(&of_event), object(&of_link),
        );
        prop_assert_eq!(line, expected);
    }
}

const STATE: &str = "a=\"1\",b=2";

/// What the properties hold for is JSON that says what was recorded.
#[test]
fn numbers_and_texts_read_back() {
    let mut bench = Bench::new("read back");
    let floats = [0.1, -0.0, 1e-7, 123_456.789, f64::MAX, 5e-324, 1e21, 9_007_199_254_740_993.0];
    let text: String = (0..0x300u32).filter_map(char::from_u32).take(30).collect();
    let fields: Vec<Field> = floats
        .iter()
        .enumerate()
        .map(|(i, float)| (format!("f{i}"), false, Value::F64(*float)))
        .chain([("text".into(), false, Value::Str(text.clone()))])
        .chain([("max".into(), false, Value::U64(u64::MAX))])
        .chain([("min".into(), false, Value::I64(i64::MIN))])
        .collect();
    let (line, _) =
        log_line(&mut bench, (Level::Info, "x", "m"), (false, None, false), &fields, "read back");
    let read: serde_json::Value = serde_json::from_str(&line).unwrap();
    for (i, float) in floats.iter().enumerate() {
        assert_eq!(read[format!("f{i}")].as_f64().unwrap().to_bits(), float.to_bits());
    }
    assert_eq!(read["text"], text);
    assert_eq!((read["max"].as_u64(), read["min"].as_i64()), (Some(u64::MAX), Some(i64::MIN)));
}

/// The engine's own key stands under its own name, a user's field of that name does not.
#[test]
fn reserved_ids_keep_their_names() {
    let mut bench = Bench::new("s");
    let head = LogHead {
        level: Level::Error,
        logger: intern("x").unwrap(),
        flags: 0,
        span: None,
        call_site: None,
        message: b"m",
    };
    let line = bench.line(0, |encoder| {
        encode_log(encoder, 0, &head, |encoder| {
            encoder.str_field(Key::Id(reserved::EXCEPTION_TYPE), b"ValueError");
            encoder.str_field(Key::new("exception.type"), b"mine");
            // An id that nobody has been given has no name to be judged by.
            encoder.str_field(Key::Id(Id(3_000_000_000)), b"whose?");
            (3, 0)
        });
    });
    let end = ",\"exception.type\":\"ValueError\",\"field.exception.type\":\"mine\",\"?\":\"[REDACTED]\"}\n";
    assert!(line.ends_with(end), "{line}");
}
