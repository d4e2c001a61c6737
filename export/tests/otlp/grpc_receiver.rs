//! A receiver of gRPC for tests, perhaps behind TLS.

use std::collections::VecDeque;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::receiver::{PATIENCE, Taken};

/// A status, a message, and bytes of `grpc-status-details-bin`; status 0 takes the request.
pub type Answer = (u32, &'static str, Option<String>);

#[derive(Default)]
struct State {
    taken: Vec<Taken>,
    next: VecDeque<Answer>,
    seen: u64,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    hangs: std::sync::atomic::AtomicBool,
    refuses_gzip: std::sync::atomic::AtomicBool,
    stop: tokio::sync::Notify,
}

/// A running receiver. Dropping it ends it.
pub struct GrpcReceiver {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl GrpcReceiver {
    pub fn start(tls: Option<TlsAcceptor>) -> Self {
        let shared = Arc::new(Shared::default());
        let (ours, (told, address)) = (shared.clone(), std::sync::mpsc::channel());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                told.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    () = accept(&listener, tls, &ours) => {}
                    () = ours.stop.notified() => {}
                }
            });
            runtime.shutdown_background();
        });
        Self { address: address.recv().unwrap(), shared }
    }

    pub fn next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.state.lock().unwrap().next.extend(answers);
    }

    pub fn hang(&self, hangs: bool) {
        self.shared.hangs.store(hangs, std::sync::atomic::Ordering::SeqCst);
    }

    pub fn refuse_gzip(&self) {
        self.shared.refuses_gzip.store(true, std::sync::atomic::Ordering::SeqCst);
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.shared.state.lock().unwrap().taken.clone()
    }

    pub fn seen(&self) -> u64 {
        self.shared.state.lock().unwrap().seen
    }

    pub fn wait_seen(&self, seen: u64) {
        let state = self.shared.state.lock().unwrap();
        let open = |state: &mut State| state.seen < seen;
        let (_state, out) = self.shared.changed.wait_timeout_while(state, PATIENCE, open).unwrap();
        assert!(!out.timed_out(), "in vain");
    }
}

impl Drop for GrpcReceiver {
    fn drop(&mut self) {
        self.shared.stop.notify_one();
    }
}

async fn accept(listener: &TcpListener, tls: Option<TlsAcceptor>, shared: &Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (shared, tls) = (shared.clone(), tls.clone());
        tokio::spawn(async move {
            match tls {
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, shared).await;
                    }
                }
                None => serve(stream, shared).await,
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, std::convert::Infallible>(answer(request, &shared).await) }
    });
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    shared: &Shared,
) -> Response<BoxBody<Bytes, std::convert::Infallible>> {
    use std::sync::atomic::Ordering::SeqCst;
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let gzip = body[0] == 1;
    assert_eq!(u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize, body.len() - 5);
    let mut message = body[5..].to_vec();
    if gzip {
        assert_eq!(head.headers["grpc-encoding"], "gzip");
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&*message).read_to_end(&mut plain).unwrap();
        message = plain;
    }
    let answer = {
        let mut state = shared.state.lock().unwrap();
        state.seen += 1;
        state.next.pop_front()
    };
    shared.changed.notify_all();
    while shared.hangs.load(SeqCst) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let (status, said, details) = match answer {
        _ if gzip && shared.refuses_gzip.load(SeqCst) => (12, "no gzip here", None),
        Some(answer) => answer,
        None => (0, "", None),
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status.into());
    if !said.is_empty() {
        trailers.insert("grpc-message", said.parse().unwrap());
    }
    if let Some(details) = details {
        trailers.insert("grpc-status-details-bin", details.parse().unwrap());
    }
    let response = Response::builder().header("content-type", "application/grpc");
    if status != 0 {
        // As servers do when a call fails at once: everything in the head.
        let mut response = response.body(Empty::new().boxed()).unwrap();
        response.headers_mut().extend(trailers);
        return response;
    }
    let headers = head.headers.iter().map(|(name, value)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    let taken =
        Taken { path: head.uri.path().to_owned(), headers: headers.collect(), body: message };
    shared.state.lock().unwrap().taken.push(taken);
    shared.changed.notify_all();
    let empty = Full::new(Bytes::from_static(&[0; 5]));
    response.body(empty.with_trailers(async move { Some(Ok(trailers)) }).boxed()).unwrap()
}
