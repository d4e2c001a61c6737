//! OTLP over gRPC: one unary call, its message in a frame of its own.

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http2::SendRequest;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE};
use hyper::{Request, StatusCode};
use percent_encoding::percent_decode_str;

use super::http::LONGEST_ANSWER;
use super::target::Receiver;
use super::{Outcome, answer};
use crate::otlp::signal::Signal;

/// Sends a request and reads its answer. An error says that the connection is not to be used again.
pub async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    signal: Signal,
    receiver: &Receiver,
    body: Bytes,
    gzip: bool,
) -> Result<Outcome, Outcome> {
    let scheme = if receiver.tls { "https" } else { "http" };
    let uri = format!("{scheme}://{}{}", receiver.authority, receiver.path);
    let mut request =
        Request::post(uri).body(Full::new(frame(&body, gzip))).map_err(Outcome::error)?;
    let headers = request.headers_mut();
    headers.extend(receiver.headers.clone());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    if let Ok(timeout) = HeaderValue::from_str(&format!("{}m", receiver.timeout.as_millis())) {
        headers.insert("grpc-timeout", timeout);
    }
    if gzip {
        headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
    }
    let response = sender.send_request(request).await.map_err(Outcome::error)?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, LONGEST_ANSWER).collect().await;
    let body = body.map_err(|error| Outcome::failed(error.to_string()))?;
    // A call that failed at once has its status in the head.
    let trailers = body.trailers().unwrap_or(&head.headers).clone();
    let status = number(&trailers).or_else(|| number(&head.headers));
    Ok(match status {
        Some(0) => match body.to_bytes().split_at_checked(5) {
            Some((_, message)) => answer::of_protobuf(message),
            None => answer::of_protobuf(&[]),
        },
        Some(status) => refusal(status, &trailers, gzip),
        // No gRPC behind this address, or a proxy before it.
        None => match head.status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Outcome::failed(head.status),
            StatusCode::OK => Outcome::failed("an answer without a gRPC status"),
            status => Outcome::Refused(format!("{signal:?}: no gRPC: {status}")),
        },
    })
}

fn frame(message: &[u8], gzip: bool) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(gzip.into());
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    frame.freeze()
}

fn number(headers: &HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// What a status other than OK means, by the table of OTLP's specification.
fn refusal(status: u32, trailers: &HeaderMap, gzip: bool) -> Outcome {
    let name = NAMES.get(status as usize).copied().unwrap_or("an unknown status");
    let said = trailers.get("grpc-message").and_then(|value| value.to_str().ok()).unwrap_or("");
    let said = percent_decode_str(said).decode_utf8_lossy();
    let message = if said.is_empty() { name.to_owned() } else { format!("{name}: {said}") };
    let after = answer::retry_delay(trailers);
    let too_large = said.contains("too large") || said.contains("larger than max");
    match name {
        // A receiver that limits sizes says so with one of these.
        "RESOURCE_EXHAUSTED" if after.is_none() => Outcome::TooLarge(message),
        "OUT_OF_RANGE" if too_large => Outcome::TooLarge(message),
        "CANCELLED" | "DEADLINE_EXCEEDED" | "RESOURCE_EXHAUSTED" | "ABORTED" | "OUT_OF_RANGE"
        | "UNAVAILABLE" | "DATA_LOSS" => Outcome::Failed { message, after },
        "UNIMPLEMENTED" if gzip => Outcome::NotCompressed,
        _ => Outcome::Refused(message),
    }
}
