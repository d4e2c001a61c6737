//! OTLP over HTTP/1.1.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, RETRY_AFTER};
use hyper::{Request, StatusCode};

use super::target::Receiver;
use super::{Outcome, answer};
use crate::otlp::compose::Encoding;
use crate::otlp::signal::Signal;

/// Longer answers are not read.
pub const LONGEST_ANSWER: usize = 1 << 20;
/// The longest pause a receiver may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Sends a request and reads its answer. An error says that the connection is not to be used again.
pub async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    signal: Signal,
    receiver: &Receiver,
    body: Bytes,
    encoding: Encoding,
    gzip: bool,
) -> Result<Outcome, Outcome> {
    let mut request = Request::post(&receiver.path)
        .header(HOST, &receiver.authority)
        .body(Full::new(body))
        .map_err(Outcome::error)?;
    let headers = request.headers_mut();
    headers.extend(receiver.headers.clone());
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(encoding.content_type()));
    if gzip {
        headers.insert(CONTENT_ENCODING, hyper::header::HeaderValue::from_static("gzip"));
    }
    let response = sender.send_request(request).await.map_err(Outcome::error)?;
    let (head, body) = response.into_parts();
    let status = head.status;
    // The status decides: what breaks off behind it is not sent again.
    let (whole, body) = match Limited::new(body, LONGEST_ANSWER).collect().await {
        Ok(body) => (true, body.to_bytes()),
        Err(_) => (false, Bytes::new()),
    };
    let said = || answer::message(&head.headers, &body);
    let told = || match said() {
        text if text.is_empty() => status.to_string(),
        text => format!("{status}: {text}"),
    };
    let outcome = match status {
        _ if status.is_success() => answer::partial(signal, &head.headers, &body),
        StatusCode::PAYLOAD_TOO_LARGE => Outcome::TooLarge(told()),
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            Outcome::Failed { message: told(), after: retry_after(&head.headers) }
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE if gzip => Outcome::NotCompressed,
        _ => Outcome::Refused(told()),
    };
    if whole { Ok(outcome) } else { Err(outcome) }
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).ok()?,
    };
    Some(pause.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(value: &'static str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, hyper::header::HeaderValue::from_static(value));
        retry_after(&headers)
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("soon"), None);
        assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), None, "it is over");
        assert_eq!(after("Fri, 01 Jan 2100 00:00:00 GMT"), Some(LONGEST_PAUSE));
    }
}
