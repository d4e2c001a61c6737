//! A socket whose reads and writes end by a deadline.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// For the client to close its side after the answer.
const FAREWELL: Duration = Duration::from_millis(500);

/// One socket until one moment, which may be put off.
pub(super) struct Timed<'a> {
    stream: &'a TcpStream,
    deadline: &'a Cell<Instant>,
}

impl<'a> Timed<'a> {
    pub fn new(stream: &'a TcpStream, deadline: &'a Cell<Instant>) -> Self {
        Self { stream, deadline }
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.get().saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }

    /// Closing with input unread would reset the connection and may take the answer with it.
    pub fn take_leave(&mut self) {
        self.deadline.set(Instant::now() + FAREWELL);
        let _ = self.stream.shutdown(Shutdown::Write);
        let mut rest = [0; 1024];
        while self.read(&mut rest).is_ok_and(|read| read > 0) {}
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
