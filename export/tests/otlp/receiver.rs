//! A receiver for tests: HTTP/1.1 by hand, so that it can misbehave, and gRPC by h2.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use coati_export::wire::{Field, Fields};

/// The longest a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A request that was taken.
#[derive(Debug, Clone)]
pub struct Taken {
    pub path: String,
    pub headers: Vec<(String, String)>,
    /// Uncompressed.
    pub body: Vec<u8>,
}

impl Taken {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// What to do with a request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Take it and say so.
    Ok,
    /// Take it, and answer with these bytes of `application/x-protobuf`.
    With(Vec<u8>),
    /// Refuse it with a status and headers.
    Status(u16, &'static str),
    /// Take it, and say so once all are released.
    HoldUntilReleased,
    /// Say nothing as long as this is the answer to all.
    Hang,
    /// Take it and break off in the middle of a good answer.
    BreakOff,
    /// Not HTTP.
    Garbage,
    /// Close without a word.
    Close,
    /// Refuse with 413 what is larger than this.
    Larger(usize),
}

#[derive(Default)]
struct State {
    taken: Vec<Taken>,
    /// Answers to come; then `always`.
    next: VecDeque<Answer>,
    seen: u64,
}

/// A running receiver of HTTP.
pub struct Receiver {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    always: Mutex<Answer>,
    changed: Condvar,
    stopped: AtomicBool,
    released: AtomicBool,
    sockets: Mutex<Vec<TcpStream>>,
}

impl Receiver {
    pub fn start() -> Self {
        Self::on("127.0.0.1:0".parse().unwrap())
    }

    /// Listens where another one listened before.
    pub fn on(address: SocketAddr) -> Self {
        let begun = Instant::now();
        let listener = loop {
            match TcpListener::bind(address) {
                Ok(listener) => break listener,
                Err(error) if begun.elapsed() > PATIENCE => panic!("{error}"),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            always: Mutex::new(Answer::Ok),
            changed: Condvar::new(),
            stopped: AtomicBool::new(false),
            released: AtomicBool::new(false),
            sockets: Mutex::default(),
        });
        let ours = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ours.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), ours) = (stream, ours.clone()) else { continue };
                ours.sockets.lock().unwrap().push(stream.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = ours.serve(stream);
                });
            }
        });
        Self { address, shared }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers the next requests thus.
    pub fn next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.state.lock().unwrap().next.extend(answers);
    }

    /// Answers all others thus.
    pub fn always(&self, answer: Answer) {
        *self.shared.always.lock().unwrap() = answer;
    }

    /// Lets held requests go.
    pub fn release(&self) {
        self.shared.released.store(true, Ordering::SeqCst);
    }

    /// Ends it; all that it has taken and answered.
    pub fn stop(self) -> Vec<Taken> {
        let state = self.shared.state.lock().unwrap();
        self.shared.stopped.store(true, Ordering::SeqCst);
        state.taken.clone()
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.shared.state.lock().unwrap().taken.clone()
    }

    /// Requests that came, taken or not.
    pub fn seen(&self) -> u64 {
        self.shared.state.lock().unwrap().seen
    }

    /// Waits until the condition holds of what was taken.
    pub fn wait(&self, done: impl Fn(&[Taken]) -> bool) -> Vec<Taken> {
        let state = self.shared.state.lock().unwrap();
        let open = |state: &mut State| !done(&state.taken);
        let (state, out) = self.shared.changed.wait_timeout_while(state, PATIENCE, open).unwrap();
        assert!(
            !out.timed_out(),
            "in vain: {} requests taken, {} seen",
            state.taken.len(),
            state.seen
        );
        state.taken.clone()
    }

    /// Waits until so many requests came.
    pub fn wait_seen(&self, seen: u64) {
        let state = self.shared.state.lock().unwrap();
        let open = |state: &mut State| state.seen < seen;
        let (state, out) = self.shared.changed.wait_timeout_while(state, PATIENCE, open).unwrap();
        assert!(!out.timed_out(), "{} of {seen} requests", state.seen);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        for socket in self.shared.sockets.lock().unwrap().drain(..) {
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut stream = stream;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
            let mut headers = Vec::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line)?;
                match line.trim_end().split_once(':') {
                    Some((key, value)) => headers.push((key.to_owned(), value.trim().to_owned())),
                    None => break,
                }
            }
            let mut request = Taken { path, headers, body: Vec::new() };
            let length = request.header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            if request.header("content-encoding") == Some("gzip") {
                let mut plain = Vec::new();
                flate2::read::GzDecoder::new(&*body).read_to_end(&mut plain)?;
                body = plain;
            }
            request.body = body;
            if !self.answer(&mut stream, request)? {
                return stream.shutdown(std::net::Shutdown::Both);
            }
        }
    }

    fn answer(&self, stream: &mut TcpStream, request: Taken) -> std::io::Result<bool> {
        let mut state = self.state.lock().unwrap();
        state.seen += 1;
        let mut answer =
            state.next.pop_front().unwrap_or_else(|| self.always.lock().unwrap().clone());
        if let Answer::Larger(limit) = answer {
            answer = match request.body.len() > limit {
                true => Answer::Status(413, ""),
                false => Answer::Ok,
            };
        }
        if self.stopped.load(Ordering::SeqCst) {
            return Ok(false);
        }
        // Under the lock: whoever stops the receiver finds all that it has answered.
        if matches!(answer, Answer::Ok) {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        }
        let takes = matches!(
            answer,
            Answer::Ok | Answer::With(_) | Answer::BreakOff | Answer::HoldUntilReleased
        );
        if takes {
            state.taken.push(request);
        }
        drop(state);
        self.changed.notify_all();
        match answer {
            Answer::Ok => {}
            Answer::HoldUntilReleased => {
                while !self.released.load(Ordering::SeqCst) && !self.stopped.load(Ordering::SeqCst)
                {
                    std::thread::sleep(Duration::from_millis(5));
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
            }
            Answer::With(body) => {
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n\
                     Content-Length: {}\r\n\r\n",
                    body.len()
                )?;
                stream.write_all(&body)?;
            }
            Answer::Status(status, headers) => {
                write!(stream, "HTTP/1.1 {status} No\r\n{headers}Content-Length: 4\r\n\r\nwhy?")?;
            }
            Answer::Hang => {
                let hangs = || matches!(*self.always.lock().unwrap(), Answer::Hang);
                while hangs() && !self.stopped.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                return Ok(false);
            }
            Answer::BreakOff => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")?;
                return Ok(false);
            }
            Answer::Garbage => {
                stream.write_all(b"\x00\xffSSH-2.0-not http\r\n\r\n")?;
                return Ok(false);
            }
            Answer::Close | Answer::Larger(_) => return Ok(false),
        }
        Ok(true)
    }
}

/// The values of the integer attribute `key` of all items, in order.
pub fn numbers(taken: &[Taken], key: &str) -> Vec<i64> {
    let bytes = |message, wanted| {
        Fields::of(message).filter_map(move |field| match field {
            (number, Field::Bytes(bytes)) if number == wanted => Some(bytes),
            _ => None,
        })
    };
    let mut found = Vec::new();
    for request in taken {
        let logs = request.path.ends_with("/v1/logs") || request.path.contains("Logs");
        for group in bytes(&request.body, 1).flat_map(|whole| bytes(whole, 2)) {
            for item in bytes(group, 2) {
                for pair in bytes(item, if logs { 6 } else { 9 }) {
                    if bytes(pair, 1).next() == Some(key.as_bytes())
                        && let Some(value) = bytes(pair, 2).next()
                        && let Some((3, Field::Number(number))) = Fields::of(value).next()
                    {
                        found.push(number as i64);
                    }
                }
            }
        }
    }
    found
}
