//! One connection: one request, one answer.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::timed::Timed;
use super::{Handler, Request, Response, Service};

const LARGEST_REQUEST: usize = 8 * 1024;

/// Answers one request; `limit` is for it to come in, and again for the answer to go out.
pub(super) fn serve(stream: &TcpStream, service: &Service, limit: Duration) {
    let deadline = Cell::new(Instant::now() + limit);
    let mut timed = Timed::new(stream, &deadline);
    let put_off = || deadline.set(Instant::now() + limit);
    let answered = match &service.tls {
        None => answer(&mut timed, service, put_off),
        Some(tls) => tls.serve(&mut timed, |stream| answer(stream, service, put_off)),
    };
    if answered.is_ok() {
        timed.take_leave();
    }
}

/// Answers a connection too many, without waiting for what it asks.
pub(super) fn turn_away(stream: &TcpStream, service: &Service) {
    if service.tls.is_none() {
        let _ = stream.set_nonblocking(true);
        let mut stream = stream;
        let _ = stream.write(&Response::plain(503).encode(true));
    }
}

/// An error if the client went away.
fn answer(
    stream: &mut (impl Read + Write),
    service: &Service,
    put_off: impl Fn(),
) -> io::Result<()> {
    let (response, with_body) = match read_request(stream) {
        Ok(request) => (respond(&request, service), !request.head_only),
        Err(Refused::Answer(status)) => (Response::plain(status), true),
        Err(Refused::Gone) => return Err(io::ErrorKind::ConnectionAborted.into()),
    };
    let bytes = response.encode(with_body);
    put_off();
    stream.write_all(&bytes)?;
    stream.flush()
}

fn respond(request: &Request, service: &Service) -> Response {
    if let Some(credentials) = &service.credentials
        && !credentials.admit(&request.authorization)
    {
        return Response::plain(401).with("WWW-Authenticate", credentials.challenge());
    }
    let handler: &Handler = &service.handler;
    let made = catch_unwind(AssertUnwindSafe(|| {
        let response = handler(request);
        let response = response.with("Vary", "Accept, Accept-Encoding");
        if request.takes_gzip() { response.compressed() } else { response }
    }));
    made.unwrap_or_else(|_| Response::plain(500))
}

/// Why there is no request.
enum Refused {
    /// It is to be answered with this status.
    Answer(u16),
    /// The client went away.
    Gone,
}

fn read_request(stream: &mut impl Read) -> Result<Request, Refused> {
    let mut buffer = [0; LARGEST_REQUEST];
    let mut filled = 0;
    loop {
        if let Some(request) = Request::parse(&buffer[..filled]).map_err(Refused::Answer)? {
            return Ok(request);
        }
        if filled == buffer.len() {
            return Err(Refused::Answer(431));
        }
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => return Err(Refused::Gone),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_late(&error) => return Err(Refused::Answer(408)),
            Err(_) => return Err(Refused::Gone),
        }
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
