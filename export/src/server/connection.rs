//! One connection: one request, one answer.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::{Handler, Response};

/// For the client to close its side after the answer.
const FAREWELL: Duration = Duration::from_millis(500);
const LARGEST_REQUEST: usize = 8 * 1024;
const MOST_HEADERS: usize = 64;

struct Request {
    head_only: bool,
    path: String,
}

/// Answers one request; `limit` is for it to come in, and again for the answer to go out.
pub(super) fn serve(stream: &TcpStream, handler: &Handler, limit: Duration) {
    let (response, with_body) = match read_request(stream, limit) {
        Ok(Some(Request { head_only, path })) => {
            let answered = catch_unwind(AssertUnwindSafe(|| handler(&path)));
            (answered.unwrap_or_else(|_| Response::plain(500)), !head_only)
        }
        Ok(None) => return,
        Err(status) => (Response::plain(status), true),
    };
    if send(stream, &response.encode(with_body), limit).is_ok() {
        take_leave(stream);
    }
}

/// Answers a connection too many, without waiting for what it asks.
pub(super) fn turn_away(stream: &TcpStream) {
    let _ = stream.set_nonblocking(true);
    let mut stream = stream;
    let _ = stream.write(&Response::plain(503).encode(true));
}

/// The request; `None` if the client went away, the status to answer if it is a bad one.
fn read_request(mut stream: &TcpStream, limit: Duration) -> Result<Option<Request>, u16> {
    let deadline = Instant::now() + limit;
    let mut buffer = [0; LARGEST_REQUEST];
    let mut filled = 0;
    loop {
        if let Some(request) = parse(&buffer[..filled])? {
            return Ok(Some(request));
        }
        if filled == buffer.len() {
            return Err(431);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return Err(408);
        }
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => return Ok(None),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_late(&error) => return Err(408),
            Err(_) => return Ok(None),
        }
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// The request once its head is complete.
fn parse(bytes: &[u8]) -> Result<Option<Request>, u16> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Partial) => return Ok(None),
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(431),
        Err(_) => return Err(400),
    }
    let head_only = match request.method {
        Some("GET") => false,
        Some("HEAD") => true,
        _ => return Err(405),
    };
    let path = path_of(request.path.unwrap_or_default()).ok_or(400u16)?;
    Ok(Some(Request { head_only, path: path.into() }))
}

/// The path of a request target, which may be a whole URL, without its query.
fn path_of(target: &str) -> Option<&str> {
    let path = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    };
    let path = path.split(['?', '#']).next()?;
    path.starts_with('/').then_some(path)
}

fn send(mut stream: &TcpStream, mut bytes: &[u8], limit: Duration) -> io::Result<()> {
    let deadline = Instant::now() + limit;
    while !bytes.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_write_timeout(Some(left))?;
        match stream.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Closing with input unread would reset the connection and may take the answer with it.
fn take_leave(mut stream: &TcpStream) {
    let deadline = Instant::now() + FAREWELL;
    let _ = stream.shutdown(Shutdown::Write);
    let mut rest = [0; 1024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return;
        }
        match stream.read(&mut rest) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}
