//! From settings to a receiver.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName, HeaderValue, USER_AGENT};

use crate::config::{Compression, OtlpSink, Protocol, Target};
use crate::otlp::compose::Encoding;
use crate::otlp::signal::Signal;

/// A receiver of one signal and how it is spoken to.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Whether through TLS.
    pub tls: bool,
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// What stands in `Host`.
    pub authority: String,
    /// Path and query.
    pub path: String,
    /// Headers of each request.
    pub headers: HeaderMap,
    /// Longest time for one attempt.
    pub timeout: Duration,
    /// Whether bodies are compressed.
    pub gzip: bool,
    /// Certificates to trust, instead of the system's.
    pub certificate: Option<PathBuf>,
    /// Certificate and key shown to the receiver.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Receiver {
    /// The receiver of `signal` that `sink` describes.
    pub fn of(sink: &OtlpSink, signal: Signal) -> Self {
        let own = match signal {
            Signal::Traces => &sink.traces,
            Signal::Logs => &sink.logs,
            Signal::Metrics => &sink.metrics,
        };
        // A signal's own URL is used as it is, a base gets the signal's path.
        let whole = own.target.endpoint.is_some();
        Self::new(&own.target.over(&sink.target), signal, whole)
    }

    fn new(target: &Target, signal: Signal, whole: bool) -> Self {
        let protocol = target.protocol.unwrap_or(Protocol::HttpProtobuf);
        let grpc = protocol == Protocol::Grpc;
        let default = if grpc { "http://localhost:4317" } else { "http://localhost:4318" };
        let url = target.endpoint.as_deref().unwrap_or(default).trim();
        let (tls, rest) = match url.split_once("://") {
            Some((scheme, rest)) => (scheme.eq_ignore_ascii_case("https"), rest),
            None => (grpc && !target.insecure.unwrap_or(false), url),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let rest = rest.split('#').next().unwrap_or_default();
        let (host, port) = host_and_port(authority, if tls { 443 } else { 80 });
        let path = match (grpc, whole) {
            (true, _) => signal.method().to_owned(),
            (false, true) if rest.starts_with('/') => rest.to_owned(),
            (false, true) => format!("/{rest}"),
            (false, false) => {
                let (path, query) =
                    rest.split_once('?').map_or((rest, None), |(p, q)| (p, Some(q)));
                let query = query.map(|query| format!("?{query}")).unwrap_or_default();
                format!("{}{}{query}", path.trim_end_matches('/'), signal.path())
            }
        };
        let key = target.client_key.clone();
        Self {
            protocol,
            tls,
            host,
            port,
            authority: authority.to_owned(),
            path,
            headers: headers(target.headers.as_ref()),
            timeout: Duration::from_millis(target.timeout_ms.unwrap_or(10_000)),
            gzip: target.compression == Some(Compression::Gzip),
            certificate: target.certificate.clone(),
            identity: target.client_certificate.clone().zip(key),
        }
    }

    /// How bodies are encoded.
    pub fn encoding(&self) -> Encoding {
        match self.protocol {
            Protocol::HttpJson => Encoding::Json,
            Protocol::HttpProtobuf | Protocol::Grpc => Encoding::Protobuf,
        }
    }

    /// Its address for people.
    pub fn name(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.authority)
    }
}

fn host_and_port(authority: &str, default: u16) -> (String, u16) {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().unwrap_or(default)),
        _ => (authority, default),
    };
    (host.trim_start_matches('[').trim_end_matches(']').to_owned(), port)
}

fn headers(pairs: Option<&BTreeMap<String, String>>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let agent = concat!("OTel-OTLP-Exporter-Coati/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    for (name, value) in pairs.into_iter().flatten() {
        // Both were checked with the configuration.
        if let (Ok(name), Ok(mut value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
        {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receiver(endpoint: &str, protocol: Protocol, whole: bool) -> Receiver {
        let target = Target {
            endpoint: Some(endpoint.into()),
            protocol: Some(protocol),
            ..Target::default()
        };
        Receiver::new(&target, Signal::Traces, whole)
    }

    #[test]
    fn a_base_gets_the_signals_path_and_a_whole_url_does_not() {
        let base = receiver("http://a:4318", Protocol::HttpProtobuf, false);
        assert_eq!(
            (&*base.host, base.port, &*base.path, base.tls),
            ("a", 4318, "/v1/traces", false)
        );
        assert_eq!(receiver("https://a/x/", Protocol::HttpJson, false).path, "/x/v1/traces");
        assert_eq!(receiver("https://a/x?k=v", Protocol::HttpJson, false).path, "/x/v1/traces?k=v");
        assert_eq!(receiver("http://a/x", Protocol::HttpProtobuf, true).path, "/x");
        assert_eq!(receiver("http://a", Protocol::HttpProtobuf, true).path, "/");
        let v6 = receiver("https://[::1]:9/p", Protocol::HttpProtobuf, true);
        assert_eq!((&*v6.host, v6.port, &*v6.authority), ("::1", 9, "[::1]:9"));
        assert_eq!(receiver("https://a", Protocol::HttpProtobuf, false).port, 443);
    }

    #[test]
    fn grpc_has_its_own_paths_and_is_safe_without_a_scheme() {
        let grpc = receiver("http://a:4317/ignored", Protocol::Grpc, true);
        assert!(grpc.path.ends_with("TraceService/Export") && !grpc.tls);
        assert!(receiver("a:4317", Protocol::Grpc, false).tls);
        let target = Target {
            endpoint: Some("a:4317".into()),
            protocol: Some(Protocol::Grpc),
            insecure: Some(true),
            ..Target::default()
        };
        assert!(!Receiver::new(&target, Signal::Logs, false).tls);
    }
}
