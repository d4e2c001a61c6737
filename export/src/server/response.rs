//! What a handler answers.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The media type of the body.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
    /// Lines of the head.
    more: String,
}

/// Shorter bodies go out as they are.
const LEAST_TO_COMPRESS: usize = 512;

impl Response {
    /// An answer with this status.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let (content_type, body) = (content_type.into(), body.into());
        Self { status, content_type, body, more: String::new() }
    }

    /// An answer with status 200.
    pub fn ok(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, content_type, body)
    }

    /// There is nothing at that path.
    pub fn not_found() -> Self {
        Self::plain(404)
    }

    /// An answer that is only its status.
    pub(super) fn plain(status: u16) -> Self {
        Self::new(status, "text/plain; charset=utf-8", format!("{}\n", reason(status)))
    }

    /// The same with one more header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.more += &format!("{name}: {value}\r\n");
        self
    }

    /// The same compressed.
    pub(super) fn compressed(mut self) -> Self {
        if self.body.len() < LEAST_TO_COMPRESS {
            return self;
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        // Writing to memory does not fail; if it did, the body would go out as it is.
        match encoder.write_all(&self.body).and_then(|()| encoder.finish()) {
            Ok(body) => {
                self.body = body;
                self.with("Content-Encoding", "gzip")
            }
            Err(_) => self,
        }
    }

    /// The bytes that go out; `with_body` is false for HEAD.
    pub(super) fn encode(&self, with_body: bool) -> Vec<u8> {
        let Self { status, content_type, body, more } = self;
        let allow = if *status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
        let mut bytes = format!(
            "HTTP/1.1 {status} {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\
             Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n{allow}{more}\
             Connection: close\r\n\r\n",
            reason(*status),
            body.len(),
        )
        .into_bytes();
        if with_body {
            bytes.extend_from_slice(body);
        }
        bytes
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
