//! A small HTTP/1.1 server for scrapes and health checks.
//!
//! It answers GET and HEAD, a bounded number of connections at a time, one request each, all
//! within a deadline. Its state belongs to the [`Server`], so that a forked child can forget it.

mod connection;
mod credentials;
mod request;
mod response;
mod timed;
#[cfg(feature = "otlp")]
mod tls;
#[cfg(not(feature = "otlp"))]
#[path = "server/without_tls.rs"]
mod tls;

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use credentials::Credentials;
pub use request::Request;
pub(crate) use request::weight;
pub use response::Response;
pub use tls::Tls;

/// Connections served at a time; one more is told to come again.
const MOST_CONNECTIONS: usize = 8;
/// How long to wait when the system has no descriptor or thread to give.
const PAUSE: Duration = Duration::from_millis(50);

/// What makes answers.
pub type Handler = Arc<dyn Fn(&Request) -> Response + Send + Sync>;

/// What is served, and to whom.
#[derive(Clone)]
pub struct Service {
    /// What makes answers.
    pub handler: Handler,
    /// What a client has to know; `None`: nothing.
    pub credentials: Option<Credentials>,
    /// TLS; `None`: plain HTTP.
    pub tls: Option<Tls>,
}

/// How long a server waits for its clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a request to come in, and again for its answer to go out.
    pub request: Duration,
    /// For answers under way at a shutdown.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { request: Duration::from_secs(5), shutdown: Duration::from_secs(1) }
    }
}

/// A running server. Dropping it stops it.
pub struct Server {
    address: SocketAddr,
    listener: Arc<TcpListener>,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    service: Service,
    limits: Limits,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stopping: bool,
    accepted: u64,
    /// The connections being served.
    sockets: HashMap<u64, TcpStream>,
}

impl Server {
    /// Listens on `address`, such as `127.0.0.1:9464`; port 0 takes a free one. Plain HTTP for
    /// everybody.
    ///
    /// # Errors
    /// If the address cannot be listened on or the system has no thread to give.
    pub fn start(
        address: &str,
        limits: Limits,
        handler: impl Fn(&Request) -> Response + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let service = Service { handler: Arc::new(handler), credentials: None, tls: None };
        Self::listen(address, limits, service)
    }

    /// The same with a service of any kind.
    ///
    /// # Errors
    /// If the address cannot be listened on or the system has no thread to give.
    pub fn listen(address: &str, limits: Limits, service: Service) -> io::Result<Self> {
        let listener = Arc::new(TcpListener::bind(address)?);
        let address = listener.local_addr()?;
        let shared =
            Arc::new(Shared { service, limits, state: Mutex::default(), changed: Condvar::new() });
        let (socket, ours) = (listener.clone(), shared.clone());
        let acceptor = thread::Builder::new()
            .name("coati-http".into())
            .spawn(move || accept(&socket, &ours))?;
        Ok(Self { address, listener, shared, acceptor: Some(acceptor) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, gives answers under way a moment to finish, and returns.
    pub fn shutdown(self) {}

    /// Closes what a forked child inherited of its parent's server, so that the address is free
    /// once the parent lets go of it. Takes no lock; the rest is leaked.
    #[cfg(unix)]
    pub fn abandon_in_child(self) {
        use std::os::fd::AsRawFd;
        // SAFETY: the descriptor is open, and the only other owner is a thread that does not
        // exist in the child; forgetting `self` keeps it from being closed again.
        unsafe { libc::close(self.listener.as_raw_fd()) };
        std::mem::forget(self);
    }

    /// Makes the acceptor return from `accept`.
    fn wake(&self) {
        #[cfg(target_os = "linux")]
        {
            use std::os::fd::AsRawFd;
            // SAFETY: the descriptor is open for as long as `self.listener` lives. Besides waking
            // `accept`, this ends listening even where a child still holds the socket.
            unsafe { libc::shutdown(self.listener.as_raw_fd(), libc::SHUT_RDWR) };
        }
        #[cfg(not(target_os = "linux"))]
        {
            let mut address = self.address;
            if address.ip().is_unspecified() {
                address.set_ip(match address {
                    SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                    SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
                });
            }
            // Where it is refused for a full queue, the acceptor has something to accept.
            let _ = TcpStream::connect_timeout(&address, self.shared.limits.shutdown);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_all();
        self.wake();
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        self.shared.close_connections();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a connection; `None` if there are too many.
    fn admit(&self, stream: &TcpStream) -> Option<u64> {
        let mut state = self.lock();
        if state.stopping || state.sockets.len() >= MOST_CONNECTIONS {
            return None;
        }
        state.accepted += 1;
        let id = state.accepted;
        state.sockets.insert(id, stream.try_clone().ok()?);
        Some(id)
    }

    fn dismiss(&self, id: u64) {
        self.lock().sockets.remove(&id);
        self.changed.notify_all();
    }

    /// Ends reading, so that only answers under way go on, and after a moment those too.
    fn close_connections(&self) {
        let close = |state: &State, how| {
            for socket in state.sockets.values() {
                let _ = socket.shutdown(how);
            }
        };
        let state = self.lock();
        close(&state, Shutdown::Read);
        let busy = |state: &mut State| !state.sockets.is_empty();
        let waited = self.changed.wait_timeout_while(state, self.limits.shutdown, busy);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        close(&state, Shutdown::Both);
    }

    /// Waits a moment, or until the server stops.
    fn pause(&self) {
        let running = |state: &mut State| !state.stopping;
        let _ = self.changed.wait_timeout_while(self.lock(), PAUSE, running);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let accepted = listener.accept();
        if shared.lock().stopping {
            return;
        }
        match accepted {
            Ok((stream, _)) => begin(stream, shared),
            Err(_) => shared.pause(),
        }
    }
}

fn begin(stream: TcpStream, shared: &Arc<Shared>) {
    let Some(id) = shared.admit(&stream) else {
        connection::turn_away(&stream, &shared.service);
        return;
    };
    let ours = shared.clone();
    let serve = move || {
        connection::serve(&stream, &ours.service, ours.limits.request);
        ours.dismiss(id);
    };
    if thread::Builder::new().name(format!("coati-http-{id}")).spawn(serve).is_err() {
        shared.dismiss(id);
        shared.pause();
    }
}
