//! OTLP: CPU per span, log record and data point, encoded alone and sent to a receiver in another
//! process, beside the official kit (feature `peers`).
//!
//! `coati-bench-otlp ROUNDS [COMMAND]` measures, and runs a command that measures another kit
//! against the same receiver; `coati-bench-otlp receiver` takes and forgets, and prints its port.

#[cfg(feature = "peers")]
mod kit;
mod ours;
mod receiver;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Items in a batch, as the specification has it.
pub const BATCH: usize = 512;

/// Nanoseconds per item, by row and who.
#[derive(Default)]
pub struct Rows(BTreeMap<(&'static str, &'static str), Vec<f64>>);

impl Rows {
    /// Adds a measurement of `items` items.
    pub fn add(&mut self, row: &'static str, who: &'static str, nanos: f64, items: usize) {
        self.0.entry((row, who)).or_default().push(nanos / items as f64);
    }

    fn print(&self) {
        for ((row, who), figures) in &self.0 {
            let mut sorted = figures.clone();
            sorted.sort_by(f64::total_cmp);
            let (least, median) = (sorted[0], sorted[sorted.len() / 2]);
            println!(r#"{{"row":"{row}","who":"{who}","min":{least:.1},"median":{median:.1}}}"#);
        }
    }
}

/// CPU time of this process in nanoseconds, all threads.
pub fn cpu() -> f64 {
    // SAFETY: a valid place for the answer.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let nanos = |time: libc::timeval| time.tv_sec as f64 * 1e9 + time.tv_usec as f64 * 1e3;
    nanos(usage.ru_utime) + nanos(usage.ru_stime)
}

/// Time of the calling thread in nanoseconds.
pub fn thread_cpu() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid place for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// A receiver in a process of its own, and its URL.
fn start_receiver() -> (Child, String) {
    let program = std::env::current_exe().expect("this program");
    let mut child =
        Command::new(program).arg("receiver").stdout(Stdio::piped()).spawn().expect("a receiver");
    let mut port = String::new();
    let output = child.stdout.take().expect("its output");
    BufReader::new(output).read_line(&mut port).expect("its port");
    (child, format!("http://127.0.0.1:{}", port.trim()))
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some("receiver") {
        return receiver::run();
    }
    let rounds = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(31);
    let (mut receiver, url) = start_receiver();
    let mut rows = Rows::default();
    let mut ours = ours::Ours::new();
    let sender = ours::Sender::new(&url, "none");
    let packer = ours::Sender::new(&url, "gzip");
    #[cfg(feature = "peers")]
    let kit = kit::Kit::new(&url);
    for _ in 0..rounds {
        ours.encode(&mut rows);
        #[cfg(feature = "peers")]
        kit.encode(&mut rows);
        sender.send(&mut rows, ["span sent", "log sent", "point sent"]);
        packer.send(&mut rows, ["span sent, gzip", "log sent, gzip", "point sent, gzip"]);
        #[cfg(feature = "peers")]
        kit.send(&mut rows);
    }
    rows.print();
    sender.end();
    packer.end();
    if let Some(command) = std::env::args().nth(2) {
        let mut words = command.split(' ');
        let program = words.next().expect("a program");
        let status = Command::new(program).args(words).arg(&url).status();
        assert!(status.expect("it starts").success());
    }
    let _ = receiver.kill();
    let _ = receiver.wait();
}
