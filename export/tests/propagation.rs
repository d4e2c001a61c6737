//! Headers, valid and hostile: each case of `data/headers.json`, which the Python tests share.

use std::collections::BTreeMap;

use coati_core::propagate::{Context, Formats, Headers};
use coati_core::span::SpanContext;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// Names of formats; without them W3C's.
    formats: Option<Vec<String>>,
    headers: Vec<(String, String)>,
    /// `trace id-span id-flags`; without it there is none.
    span: Option<String>,
    state: Option<String>,
    #[serde(default)]
    baggage: BTreeMap<String, String>,
    /// What injecting what was extracted writes.
    sent: Option<BTreeMap<String, String>>,
}

fn shown(span: &SpanContext) -> Option<String> {
    let SpanContext { trace_id, span_id, trace_flags, .. } = span;
    span.is_valid().then(|| format!("{trace_id}-{span_id}-{trace_flags:02x}"))
}

fn sent(formats: Formats, context: &Context) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    formats.inject(context, &mut |name, value| {
        assert!(headers.insert(name.to_owned(), value.to_owned()).is_none(), "{name} twice");
    });
    headers
}

#[test]
fn every_case_of_the_table() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("data/headers.json")).unwrap();
    assert!(cases.len() >= 120);
    for case in &cases {
        let names = case.formats.as_ref().map(|names| names.iter().map(String::as_str));
        let formats = names.map_or(Formats::W3C, Formats::from_names);
        let mut headers = Headers::default();
        case.headers.iter().for_each(|(name, value)| headers.add(name, value));
        let found = formats.extract(&headers);
        let name = &case.name;
        assert_eq!(shown(&found.span), case.span, "{name}");
        assert_eq!(found.span.remote, case.span.is_some(), "{name}");
        let state = found.state.as_ref().map(|state| state.as_str());
        assert_eq!(state, case.state.as_deref(), "{name}");
        let members = found.baggage.iter().map(|m| (m.name.to_string(), m.value.to_string()));
        assert_eq!(members.collect::<BTreeMap<_, _>>(), case.baggage, "{name}");
        let headers_sent = sent(formats, &found);
        if let Some(expected) = &case.sent {
            assert_eq!(&headers_sent, expected, "{name}");
        }
        // What is sent says the same again, but for a list that had to be cut.
        let mut again = Headers::default();
        headers_sent.iter().for_each(|(name, value)| again.add(name, value));
        let again = formats.extract(&again);
        assert_eq!((&again.span, &again.baggage), (&found.span, &found.baggage), "{name}");
        assert_eq!(sent(formats, &again), headers_sent, "{name}");
    }
}
