//! Which format a scraper gets, by what it says it takes.

/// A format of the page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Prometheus' text, version 0.0.4.
    Text,
    /// OpenMetrics' text, version 1.0, which has exemplars and units.
    OpenMetrics,
    /// Delimited protobuf messages, which have native histograms.
    Protobuf,
}

impl Format {
    /// The format for a request with this `Accept` header: the one of the highest weight, of equal
    /// ones the first. Who names none of them gets [`Format::Text`].
    pub fn accepted(accept: &str) -> Self {
        let mut best = (Self::Text, 0);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let (mut weight, mut parameters) = (1000, Vec::new());
            for part in parts {
                let (name, value) = part.split_once('=').unwrap_or((part, ""));
                let (name, value) = (name.trim_end(), value.trim_start().trim_matches('"'));
                if name.eq_ignore_ascii_case("q") {
                    weight = crate::server::weight(value);
                } else {
                    parameters.push((name, value));
                }
            }
            if let Some(format) = Self::named(media, &parameters)
                && weight > best.1
            {
                best = (format, weight);
            }
        }
        best.0
    }

    fn named(media: &str, parameters: &[(&str, &str)]) -> Option<Self> {
        let is = |name: &str| media.eq_ignore_ascii_case(name);
        let get = |wanted: &str| {
            let mut found = parameters.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.next().map(|(_, value)| *value)
        };
        let version = |known: &str| get("version").is_none_or(|version| version == known);
        if is("application/vnd.google.protobuf") {
            let delimited = get("encoding").is_none_or(|encoding| encoding == "delimited");
            let family = get("proto").is_none_or(|proto| proto == MESSAGE);
            return (delimited && family).then_some(Self::Protobuf);
        }
        if is("application/openmetrics-text") {
            return version("1.0.0").then_some(Self::OpenMetrics);
        }
        let text = is("text/plain") && version("0.0.4");
        (text || is("text/*") || is("*/*")).then_some(Self::Text)
    }

    /// Its media type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
                 encoding=delimited"
            }
        }
    }
}

const MESSAGE: &str = "io.prometheus.client.MetricFamily";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_format_that_is_accepted() {
        use Format::{OpenMetrics, Protobuf, Text};
        let native = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
                      encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,\
                      application/openmetrics-text;version=0.0.1;q=0.75,\
                      text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let cases = [
            ("", Text),
            ("*/*", Text),
            ("text/html", Text),
            ("nonsense", Text),
            (",;q=;=,\"", Text),
            (native, Protobuf),
            (native.split_once(',').unwrap().1, OpenMetrics),
            ("text/plain;version=0.0.4;q=0.5,application/openmetrics-text;q=0.4", Text),
            ("text/plain;q=0.5,application/openmetrics-text;q=0.501", OpenMetrics),
            ("text/plain, application/openmetrics-text", Text),
            ("application/openmetrics-text, text/plain", OpenMetrics),
            ("APPLICATION/OpenMetrics-Text ; Version=\"1.0.0\" ; Q=1.0", OpenMetrics),
            ("application/openmetrics-text;version=0.0.1", Text),
            ("application/openmetrics-text;version=1.0.0;escaping=underscores", OpenMetrics),
            ("application/openmetrics-text;q=0,*/*;q=0.1", Text),
            ("application/openmetrics-text;q=2", Text),
            ("application/openmetrics-text;q=NaN", Text),
            ("application/vnd.google.protobuf;encoding=text", Text),
            ("application/vnd.google.protobuf;proto=other;encoding=delimited", Text),
            ("application/vnd.google.protobuf;q=0.3;encoding=delimited,text/*;q=0.2", Protobuf),
        ];
        for (accept, wanted) in cases {
            assert_eq!(Format::accepted(accept), wanted, "{accept}");
        }
    }
}
