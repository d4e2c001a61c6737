//! What receivers answer.

use std::time::Duration;

use hyper::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;

use super::Outcome;
use crate::otlp::signal::Signal;
use crate::wire::{Field, Fields};

/// Longer texts are cut.
const LONGEST_MESSAGE: usize = 300;

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/json"))
}

fn text(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    text.truncate(text.floor_char_boundary(LONGEST_MESSAGE));
    text.trim().replace(char::is_control, " ")
}

/// The fields of the message in field `number` of `message`.
fn inside(message: &[u8], number: u32) -> Option<Fields<'_>> {
    Fields::of(message).find_map(|field| match field {
        (found, Field::Bytes(bytes)) if found == number => Some(Fields::of(bytes)),
        _ => None,
    })
}

/// A success, perhaps a partial one. What cannot be read says nothing against it.
pub fn partial(signal: Signal, headers: &HeaderMap, body: &[u8]) -> Outcome {
    if !is_json(headers) {
        return of_protobuf(body);
    }
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let partial = &answer["partialSuccess"];
    let rejected = &partial[signal.rejected()];
    // Wide numbers are texts.
    let rejected = rejected.as_u64().or_else(|| rejected.as_str()?.parse().ok()).unwrap_or(0);
    let message = text(partial["errorMessage"].as_str().unwrap_or_default().as_bytes());
    Outcome::Accepted { rejected, message }
}

/// The same in protobuf.
pub fn of_protobuf(body: &[u8]) -> Outcome {
    let (mut rejected, mut message) = (0, String::new());
    for field in inside(body, 1).into_iter().flatten() {
        match field {
            (1, Field::Number(number)) => rejected = i64::max(number as i64, 0) as u64,
            (2, Field::Bytes(bytes)) => message = text(bytes),
            _ => {}
        }
    }
    Outcome::Accepted { rejected, message }
}

/// What an answer that is no success says: `google.rpc.Status`, or a text.
pub fn message(headers: &HeaderMap, body: &[u8]) -> String {
    if is_json(headers) {
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        return text(answer["message"].as_str().unwrap_or_default().as_bytes());
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-protobuf") {
        return text(body);
    }
    let said = Fields::of(body).find_map(|field| match field {
        (2, Field::Bytes(bytes)) => Some(text(bytes)),
        _ => None,
    });
    said.unwrap_or_default()
}

/// The pause in the `google.rpc.RetryInfo` of a gRPC status.
pub fn retry_delay(trailers: &HeaderMap) -> Option<Duration> {
    let status = base64(trailers.get("grpc-status-details-bin")?.as_bytes())?;
    Fields::of(&status).find_map(|field| {
        let (3, Field::Bytes(any)) = field else { return None };
        let of = |number| {
            Fields::of(any).find_map(move |field| match field {
                (found, Field::Bytes(bytes)) if found == number => Some(bytes),
                _ => None,
            })
        };
        if !of(1)?.ends_with(b"google.rpc.RetryInfo") {
            return None;
        }
        let mut delay = Duration::ZERO;
        for field in inside(of(2).unwrap_or_default(), 1).into_iter().flatten() {
            match field {
                (1, Field::Number(seconds)) => delay += Duration::from_secs(seconds.min(3600)),
                (2, Field::Number(nanos)) => delay += Duration::from_nanos(nanos.min(999_999_999)),
                _ => {}
            }
        }
        Some(delay)
    })
}

/// Decodes base64, padded or not.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut word, mut bits) = (0u32, 0);
    for &letter in text.iter().take_while(|&&letter| letter != b'=') {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        word = word << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    #[test]
    fn partial_success_is_read_in_both_encodings() {
        let expected = Outcome::Accepted { rejected: 5, message: "too old".into() };
        let mut body = Vec::new();
        wire::message(0x0a, &mut body, |out| {
            wire::number(0x08, 5, out);
            wire::bytes(0x12, b"too old", out);
        });
        assert_eq!(partial(Signal::Traces, &HeaderMap::new(), &body), expected);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
        let body = br#"{"partialSuccess":{"rejectedSpans":"5","errorMessage":"too old"}}"#;
        assert_eq!(partial(Signal::Traces, &headers, body), expected);
        let none = Outcome::Accepted { rejected: 0, message: String::new() };
        assert_eq!(partial(Signal::Traces, &headers, b"<html>"), none);
        assert_eq!(of_protobuf(b"\xff\xff garbage"), none);
    }

    #[test]
    fn retry_info_is_found_in_a_status() {
        let mut status = vec![0x08, 8];
        wire::message(0x1a, &mut status, |any| {
            wire::bytes(0x0a, b"type.googleapis.com/google.rpc.RetryInfo", any);
            wire::message(0x12, any, |info| {
                wire::message(0x0a, info, |delay| {
                    wire::number(0x08, 2, delay);
                    wire::number(0x10, 500_000_000, delay);
                });
            });
        });
        let mut quoted = Vec::new();
        crate::encode::json::base64(&status, &mut quoted);
        let value = hyper::header::HeaderValue::from_bytes(&quoted[1..quoted.len() - 1]).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status-details-bin", value);
        assert_eq!(retry_delay(&trailers), Some(Duration::from_millis(2500)));
    }
}
