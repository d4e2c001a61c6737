//! Which headers are read and written, by the names of `OTEL_PROPAGATORS`.

use super::{Baggage, Context, Headers, TraceState, b3, jaeger, traceparent};

/// One way of carrying a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Format {
    /// W3C: `traceparent` and `tracestate`.
    TraceContext = 1,
    /// W3C: `baggage`.
    Baggage = 2,
    /// Zipkin's single header, `b3`.
    B3 = 3,
    /// Zipkin's several headers, `X-B3-…`.
    B3Multi = 4,
    /// Jaeger's `uber-trace-id` and `uberctx-…`.
    Jaeger = 5,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::TraceContext, Self::Baggage, Self::B3, Self::B3Multi, Self::Jaeger];
    /// Their names, and that for none of them.
    pub const NAMES: [&str; 6] = ["tracecontext", "baggage", "b3", "b3multi", "jaeger", "none"];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize - 1]
    }

    /// The names of the headers it writes.
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            Self::TraceContext => &["traceparent", "tracestate"],
            Self::Baggage => &["baggage"],
            Self::B3 => &["b3"],
            Self::B3Multi => &["x-b3-traceid", "x-b3-spanid", "x-b3-sampled"],
            Self::Jaeger => &["uber-trace-id"],
        }
    }

    fn extract(self, headers: &Headers, context: &mut Context) {
        let (span, state) = match self {
            Self::TraceContext => {
                let span = headers.only("traceparent");
                let span = span.and_then(|header| traceparent::parse(header.as_bytes()));
                let state = || TraceState::parse(&headers.joined("tracestate"));
                (span, span.and_then(|_| state()))
            }
            Self::Baggage => {
                return context.baggage.extend(&Baggage::parse(&headers.joined("baggage")));
            }
            Self::B3 | Self::B3Multi => (b3::extract(headers), None),
            Self::Jaeger => {
                jaeger::extract_baggage(headers, &mut context.baggage);
                (jaeger::extract(headers), None)
            }
        };
        if let Some(span) = span {
            (context.span, context.state) = (span, state);
        }
    }

    fn inject(self, context: &Context, put: &mut dyn FnMut(&str, &str)) {
        match self {
            Self::TraceContext => {
                let Some(header) = traceparent::format(&context.span) else { return };
                put("traceparent", std::str::from_utf8(&header).unwrap_or_default());
                if let Some(state) = &context.state {
                    put("tracestate", &state.header());
                }
            }
            Self::Baggage => {
                if let Some(header) = context.baggage.header() {
                    put("baggage", &header);
                }
            }
            Self::B3 => b3::inject_one(&context.span, put),
            Self::B3Multi => b3::inject_many(&context.span, put),
            Self::Jaeger => jaeger::inject(context, put),
        }
    }
}

/// Formats in their order, each once: of those that find a span the last one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Formats(u32);

const BITS: u32 = 4;

impl Formats {
    /// Nothing is read or written.
    pub const NONE: Self = Self(0);
    /// W3C trace context and baggage.
    pub const W3C: Self = Self(Format::TraceContext as u32 | (Format::Baggage as u32) << BITS);

    /// The formats with these names; `none` and what is unknown stand for none.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut formats = Self::NONE;
        let mut shift = 0;
        for name in names {
            let format = Format::ALL.into_iter().find(|format| format.name() == name);
            if let Some(format) = format.filter(|format| !formats.iter().any(|f| f == *format)) {
                formats.0 |= (format as u32) << shift;
                shift += BITS;
            }
        }
        formats
    }

    /// As one word.
    pub(crate) fn pack(self) -> u32 {
        self.0
    }

    pub(crate) fn unpack(word: u32) -> Self {
        Self(word)
    }

    /// The formats, in order.
    pub fn iter(self) -> impl Iterator<Item = Format> {
        let number = move |at| self.0 >> (BITS * at) & ((1 << BITS) - 1);
        (0..Format::ALL.len() as u32).filter_map(move |at| {
            let number = number(at) as usize;
            Format::ALL.get(number.checked_sub(1)?).copied()
        })
    }

    /// What headers say.
    pub fn extract(self, headers: &Headers) -> Context {
        let mut context = Context::default();
        self.extract_over(headers, &mut context);
        context
    }

    /// Puts what headers say over what others have said.
    pub fn extract_over(self, headers: &Headers, context: &mut Context) {
        self.iter().for_each(|format| format.extract(headers, context));
    }

    /// Hands each header that carries `context` to `put`, by its name in lower case.
    pub fn inject(self, context: &Context, put: &mut dyn FnMut(&str, &str)) {
        self.iter().for_each(|format| format.inject(context, put));
    }
}

impl Default for Formats {
    fn default() -> Self {
        Self::W3C
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Generator;
    use crate::span::SpanContext;

    fn there_and_back(formats: Formats, context: &Context) -> Context {
        let mut headers = Headers::default();
        formats.inject(context, &mut |name, value| headers.add(name, value));
        formats.extract(&headers)
    }

    #[test]
    fn every_format_brings_back_what_it_carries() {
        let ids = Generator::seeded();
        for flags in [0, 1] {
            let span = SpanContext {
                trace_id: ids.trace_id(),
                span_id: ids.span_id(),
                trace_flags: flags,
                remote: true,
            };
            let mut baggage = Baggage::default();
            assert!(baggage.set("user", "é 1", ""));
            let context = Context { span, state: TraceState::parse("a=1"), baggage };
            assert_eq!(there_and_back(Formats::W3C, &context), context);
            for name in ["b3", "b3multi", "jaeger"] {
                let back = there_and_back(Formats::from_names([name]), &context);
                assert_eq!(back.span, span, "{name}");
                assert_eq!(back.state, None);
                assert_eq!(back.baggage.get("user"), (name == "jaeger").then_some("é 1"));
            }
            let all = Formats::from_names(Format::NAMES);
            assert_eq!(all.iter().count(), Format::ALL.len());
            assert_eq!(there_and_back(all, &context).span, span);
        }
        assert_eq!(Formats::from_names(["tracecontext", "baggage", "baggage"]), Formats::W3C);
        assert_eq!(Formats::from_names(["none"]), Formats::NONE);
        assert_eq!(there_and_back(Formats::W3C, &Context::default()), Context::default());
    }

    #[test]
    fn the_last_format_that_finds_a_span_counts() {
        let mut headers = Headers::default();
        headers.add("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        headers.add("tracestate", "a=1");
        let formats = Formats::from_names(["tracecontext", "b3"]);
        assert!(formats.extract(&headers).state.is_some());
        headers.add("b3", "0af7651916cd43dd8448eb211c80319d-b7ad6b7169203332-0");
        let found = formats.extract(&headers);
        assert_eq!(found.span.span_id.to_string(), "b7ad6b7169203332");
        assert_eq!((found.span.trace_flags, found.state), (0, None));
    }
}
