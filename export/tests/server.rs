//! The HTTP server over real sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use coati_export::server::{Credentials, Limits, Response, Server, Service, Tls};
use std::sync::Arc;

const LONG: Duration = Duration::from_secs(120);
/// No test waits for a server's limits, and none meets them where the machine stands still.
const PATIENT: Limits = Limits { request: LONG, shutdown: LONG };

fn start() -> Server {
    start_with(PATIENT)
}

fn start_with(limits: Limits) -> Server {
    Server::start("127.0.0.1:0", limits, |request| match &*request.path {
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
    wait_until_it_serves(address);
}

/// Connections that have been answered keep their places for a moment.
fn wait_until_it_serves(address: SocketAddr) {
    let deadline = Instant::now() + LONG;
    let serves = || {
        let mut answer = Vec::new();
        let mut stream = connect(address);
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n");
        let _ = stream.read_to_end(&mut answer);
        answer.starts_with(b"HTTP/1.1 200 ")
    };
    while !serves() {
        assert!(Instant::now() < deadline, "no place ever became free");
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

#[test]
fn answers_are_compressed_for_those_who_take_it() {
    let server = start();
    let request = b"GET /large HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n";
    let mut stream = connect(server.local_addr());
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    assert!(head.contains("Content-Encoding: gzip\r\n") && head.contains("Vary: Accept"), "{head}");
    let mut body = Vec::new();
    flate2::read::GzDecoder::new(&answer[end..]).read_to_end(&mut body).unwrap();
    assert!(body.len() == 4 << 20 && body.iter().all(|byte| *byte == b'x'));
    assert!(!get(server.local_addr(), "/large").contains("Content-Encoding"));
}

#[test]
fn a_client_that_does_not_read_keeps_nobody_else_waiting() {
    let server = start();
    let address = server.local_addr();
    let slow: Vec<_> = (0..4)
        .map(|_| {
            let mut stream = connect(address);
            stream.write_all(b"GET /large HTTP/1.1\r\n\r\n").unwrap();
            stream
        })
        .collect();
    (0..20).for_each(|_| wait_until_it_serves(address));
    for mut stream in slow {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.len() > 4 << 20, "whoever reads at last gets it whole");
    }
}

fn service(credentials: Option<Credentials>, tls: Option<Tls>) -> Service {
    let handler = Arc::new(|_: &_| Response::ok("text/plain", "secret 1\n"));
    Service { handler, credentials, tls }
}

#[test]
fn only_who_knows_the_secret_is_answered() {
    let cases = [
        (Credentials::bearer("t0ken"), "Bearer t0ken", "Bearer"),
        (Credentials::basic("user", "pass"), "Basic dXNlcjpwYXNz", "Basic realm=\"metrics\""),
    ];
    for (credentials, right, challenge) in cases {
        let service = service(Some(credentials), None);
        let server = Server::listen("127.0.0.1:0", PATIENT, service).unwrap();
        let with = |header: &str| {
            let request = format!("GET /metrics HTTP/1.1\r\n{header}\r\n\r\n");
            ask(server.local_addr(), request.as_bytes())
        };
        let answer = with(&format!("authorization: {right}"));
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("secret 1\n"), "{answer}");
        for wrong in
            ["X: y".to_owned(), format!("Authorization: {right}x"), "Authorization:".into()]
        {
            let answer = with(&wrong);
            assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
            assert!(answer.contains(&format!("WWW-Authenticate: {challenge}")), "{answer}");
            assert!(!answer.contains("secret"), "{answer}");
        }
    }
}

#[test]
fn tls_with_a_certificate_that_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let make = || {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        made.cert.der().clone()
    };
    assert!(Tls::new(&certificate, &key).is_err(), "there are no files yet");
    let mut trusted = make();
    let tls = Tls::new(&certificate, &key).unwrap();
    let service = service(None, Some(tls));
    let server = Server::listen("127.0.0.1:0", PATIENT, service).unwrap();
    for _ in 0..2 {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(trusted).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "localhost".try_into().unwrap();
        let mut connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut socket = connect(server.local_addr());
        let mut stream = rustls::Stream::new(&mut connection, &mut socket);
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("secret 1\n"), "{answer}");
        trusted = make();
    }
    let mut plain = connect(server.local_addr());
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.windows(6).any(|window| window == b"secret"));
}
