//! The HTTP server over real sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use coati_export::server::{Limits, Response, Server};

const LONG: Duration = Duration::from_secs(120);
/// No test waits for a server's limits, and none meets them where the machine stands still.
const PATIENT: Limits = Limits { request: LONG, shutdown: LONG };

fn start() -> Server {
    start_with(PATIENT)
}

fn start_with(limits: Limits) -> Server {
    Server::start("127.0.0.1:0", limits, |path| match path {
        "/metrics" => Response::ok("text/plain", "a 1\n"),
        "/large" => Response::ok("text/plain", vec![b'x'; 4 << 20]),
        "/panic" => panic!("as asked"),
        _ => Response::not_found(),
    })
    .unwrap()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, LONG).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

fn ask(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = connect(address);
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(address: SocketAddr, path: &str) -> String {
    ask(address, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())
}

#[test]
fn it_answers_get_and_head() {
    let server = start();
    let address = server.local_addr();
    let answer = get(address, "/metrics?a=b");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"), "{answer}");
    assert!(answer.contains("Content-Length: 4\r\n") && answer.ends_with("\r\n\r\na 1\n"));
    assert!(get(address, "http://host:1/metrics").starts_with("HTTP/1.1 200"));
    assert_eq!(get(address, "/large").split_once("\r\n\r\n").unwrap().1.len(), 4 << 20);

    let answer = ask(address, b"HEAD /metrics HTTP/1.0\r\n\r\n");
    assert!(answer.contains("Content-Length: 4\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    server.shutdown();
}

#[test]
fn it_refuses_what_it_does_not_serve() {
    let server = start();
    let address = server.local_addr();
    assert!(get(address, "/other").starts_with("HTTP/1.1 404 "));
    assert!(get(address, "/panic").starts_with("HTTP/1.1 500 "));
    assert!(get(address, "*").starts_with("HTTP/1.1 400 "));
    assert!(ask(address, b"\x16\x03\x01 tls\r\n\r\n").starts_with("HTTP/1.1 400 "));
    let post = b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
    let answer = ask(address, post);
    assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("Allow: GET, HEAD\r\n"));
    let large = format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(8192));
    assert!(ask(address, &large.as_bytes()[..8192]).starts_with("HTTP/1.1 431 "));
    let headers = "A: b\r\n".repeat(100);
    let many = format!("GET /metrics HTTP/1.1\r\n{headers}\r\n");
    assert!(ask(address, many.as_bytes()).starts_with("HTTP/1.1 431 "));
    assert!(get(address, "/metrics").starts_with("HTTP/1.1 200 "), "it still serves");
}

#[test]
fn a_request_may_come_in_pieces() {
    let server = start();
    let mut stream = connect(server.local_addr());
    stream.set_nodelay(true).unwrap();
    for piece in ["GET /met", "rics HTTP/1.1\r\nHo", "st: a\r\n\r", "\n"] {
        stream.write_all(piece.as_bytes()).unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("a 1\n"), "{answer}");
}

#[test]
fn connections_are_bounded_and_free_up() {
    let server = start();
    let address = server.local_addr();
    let held: Vec<_> = (0..8).map(|_| connect(address)).collect();
    // Connections are accepted in order, so the ninth finds eight before it.
    let mut answer = String::new();
    connect(address).read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    drop(held);
    let deadline = Instant::now() + LONG;
    let serves = || {
        let mut answer = Vec::new();
        let mut stream = connect(address);
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n");
        let _ = stream.read_to_end(&mut answer);
        answer.starts_with(b"HTTP/1.1 200 ")
    };
    while !serves() {
        assert!(Instant::now() < deadline, "eight closed connections never freed a place");
    }
}

#[test]
fn a_client_that_says_too_little_is_told_so() {
    let server = start_with(Limits { request: Duration::from_millis(10), ..PATIENT });
    let answer = ask(server.local_addr(), b"GET /metrics HT");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[test]
fn shutdown_frees_the_address_at_once_whatever_clients_do() {
    const ROUNDS: usize = 20;
    let mut freed = 0;
    for _ in 0..ROUNDS {
        let server = start();
        let address = server.local_addr();
        let mut silent = connect(address);
        let mut half = connect(address);
        half.write_all(b"GET /metrics HT").unwrap();
        get(address, "/metrics");
        let begun = Instant::now();
        server.shutdown();
        assert!(begun.elapsed() < LONG, "it waited for its clients");
        freed += usize::from(TcpListener::bind(address).is_ok());
        let mut rest = Vec::new();
        let _ = silent.read_to_end(&mut rest);
        assert!(rest.is_empty());
    }
    // Another process may be given a port just freed.
    assert!(freed > ROUNDS / 2, "{freed} of {ROUNDS} addresses were free");
}

#[test]
fn shutdown_lets_an_answer_finish() {
    let (entered, enter) = mpsc::channel();
    let (go, gone) = mpsc::channel::<()>();
    let (entered, gone) = (std::sync::Mutex::new(entered), std::sync::Mutex::new(gone));
    let server = Server::start("127.0.0.1:0", PATIENT, move |_| {
        entered.lock().unwrap().send(()).unwrap();
        gone.lock().unwrap().recv_timeout(LONG).unwrap();
        Response::ok("text/plain", "late")
    })
    .unwrap();
    let address = server.local_addr();
    let client = std::thread::spawn(move || get(address, "/"));
    enter.recv_timeout(LONG).unwrap();
    let stopping = std::thread::spawn(move || server.shutdown());
    go.send(()).unwrap();
    assert!(client.join().unwrap().ends_with("late"));
    stopping.join().unwrap();
}

#[test]
fn a_taken_address_is_an_error() {
    let server = start();
    let address = server.local_addr().to_string();
    assert!(Server::start(&address, PATIENT, |_| Response::not_found()).is_err());
    assert!(Server::start("nonsense", PATIENT, |_| Response::not_found()).is_err());
}

#[cfg(unix)]
#[test]
fn a_child_can_let_go_of_the_address() {
    let server = start();
    let address = server.local_addr();
    // SAFETY: the child only makes system calls before it exits.
    match unsafe { libc::fork() } {
        0 => {
            server.abandon_in_child();
            // SAFETY: ends the child without running anything of the parent's.
            unsafe { libc::_exit(0) }
        }
        child => {
            let mut status = 0;
            // SAFETY: `child` is this process's, and `status` lives through the call.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            assert_eq!(status, 0);
        }
    }
    assert!(get(address, "/metrics").ends_with("a 1\n"), "the parent goes on");
}
