//! Standard output or error: pretty on a terminal, JSON lines elsewhere.

use std::io;

use super::{Lost, Routed, Sink};
use crate::config::{ConsoleFormat, ConsoleSink, Stream};
use crate::encode::pretty::PrettyEncoder;

/// A standard stream. Written to directly: the standard library's lock around it may have been
/// held by another thread at a fork.
pub struct Console {
    name: &'static str,
    stream: Stream,
    pretty: Option<PrettyEncoder>,
    batch: Vec<u8>,
    /// Where each record of the batch ends.
    ends: Vec<usize>,
    /// The last batch broke off within a line.
    torn: bool,
}

impl Console {
    /// The stream that `config` describes.
    pub fn new(config: &ConsoleSink) -> Self {
        use std::io::IsTerminal;
        let (name, terminal) = match config.stream {
            Stream::Stdout => ("console stdout", io::stdout().is_terminal()),
            Stream::Stderr => ("console stderr", io::stderr().is_terminal()),
        };
        // https://no-color.org
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let pretty = match config.format {
            ConsoleFormat::Auto => terminal,
            ConsoleFormat::Pretty => true,
            ConsoleFormat::Json => false,
        };
        let pretty = pretty.then_some(PrettyEncoder { colour });
        Self {
            name,
            stream: config.stream,
            pretty,
            batch: Vec::new(),
            ends: Vec::new(),
            torn: false,
        }
    }

    /// Whether it shows lines for people.
    pub fn is_pretty(&self) -> bool {
        self.pretty.is_some()
    }

    /// Writes lines that are no records.
    ///
    /// # Errors
    /// Whatever the stream says.
    pub fn write(&self, lines: &[u8]) -> io::Result<()> {
        write_all(self.stream, lines, &mut 0)
    }
}

impl Sink for Console {
    fn name(&self) -> &str {
        self.name
    }

    fn accept(&mut self, record: &mut Routed<'_, '_>) {
        if self.torn && self.batch.is_empty() {
            self.batch.push(b'\n');
        }
        match &self.pretty {
            Some(pretty) => {
                pretty.line(&record.record, record.ticks, &record.clock, &mut self.batch);
            }
            None => record.append_json(&mut self.batch),
        }
        self.ends.push(self.batch.len());
    }

    fn commit(&mut self) -> Result<(), Lost> {
        let mut written = 0;
        let outcome = write_all(self.stream, &self.batch, &mut written);
        if written > 0 {
            self.torn = self.batch[written - 1] != b'\n';
        }
        let arrived = self.ends.partition_point(|&end| end <= written) as u64;
        self.batch.clear();
        self.ends.clear();
        outcome.map_err(|error| Lost { error, arrived })
    }
}

#[cfg(unix)]
fn write_all(stream: Stream, bytes: &[u8], written: &mut usize) -> io::Result<()> {
    let fd = match stream {
        Stream::Stdout => libc::STDOUT_FILENO,
        Stream::Stderr => libc::STDERR_FILENO,
    };
    while *written < bytes.len() {
        let rest = &bytes[*written..];
        // SAFETY: pointer and length describe `rest`.
        let n = unsafe { libc::write(fd, rest.as_ptr().cast(), rest.len()) };
        if n >= 0 {
            *written += n as usize;
            continue;
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::Interrupted => {}
            io::ErrorKind::WouldBlock => wait_writable(fd)?,
            _ => return Err(error),
        }
    }
    Ok(())
}

/// A stream that somebody made non-blocking: waits until it takes more, at most a second.
#[cfg(unix)]
fn wait_writable(fd: i32) -> io::Result<()> {
    let mut poll = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one valid entry.
    match unsafe { libc::poll(&mut poll, 1, 1000) } {
        0 => Err(io::ErrorKind::TimedOut.into()),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn write_all(stream: Stream, bytes: &[u8], written: &mut usize) -> io::Result<()> {
    use std::io::Write;
    match stream {
        Stream::Stdout => io::stdout().write_all(bytes)?,
        Stream::Stderr => io::stderr().write_all(bytes)?,
    }
    *written = bytes.len();
    Ok(())
}
