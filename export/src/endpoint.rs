//! The endpoint for scrapes: a server that comes as soon as its address is free.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::config::Endpoint as Settings;
use crate::health::Health;
use crate::server::{Handler, Limits, Server, Service, Tls};

const COMPONENT: &str = "prometheus endpoint";
/// Between two attempts to listen.
const PAUSE: Duration = Duration::from_millis(500);

/// A server, or the attempts to have one. Dropping it ends both.
pub(crate) struct Endpoint {
    shared: Arc<Shared>,
    retry: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stopping: bool,
    server: Option<Server>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Endpoint {
    /// Listens, at once or later: until then it is a problem in `health`.
    pub fn start(settings: &Settings, handler: Handler, health: &Arc<Health>) -> Self {
        let shared = Arc::<Shared>::default();
        let retry = match listen(settings, &handler) {
            Ok(server) => {
                shared.lock().server = Some(server);
                None
            }
            Err(reason) => {
                health.problem(COMPONENT, &reason, 0);
                let (settings, health, ours) = (settings.clone(), health.clone(), shared.clone());
                let retry = move || retry(&settings, &handler, &health, &ours);
                std::thread::Builder::new().name("coati-http-retry".into()).spawn(retry).ok()
            }
        };
        Self { shared, retry: Mutex::new(retry) }
    }

    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.shared.lock().server.as_ref().map(Server::local_addr)
    }

    /// Stops listening, gives answers under way a moment to finish, and returns.
    pub fn stop(&self) {
        let server = {
            let mut state = self.shared.lock();
            state.stopping = true;
            self.shared.changed.notify_all();
            state.server.take()
        };
        let retry = self.retry.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(retry) = retry {
            let _ = retry.join();
        }
        drop(server);
    }

    /// In a forked child: closes what it inherited of its parent's server, unless the fork came
    /// while that was changing. The rest is to be leaked.
    #[cfg(unix)]
    pub fn abandon_in_child(&self) {
        if let Ok(mut state) = self.shared.state.try_lock()
            && let Some(server) = state.server.take()
        {
            server.abandon_in_child();
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stop();
    }
}

fn listen(settings: &Settings, handler: &Handler) -> Result<Server, String> {
    let address = settings.address();
    let failed = |error: std::io::Error| format!("{address}: {error}");
    let tls = settings.tls().map(|(certificate, key)| Tls::new(certificate, key));
    let tls = tls.transpose().map_err(failed)?;
    let service = Service { handler: handler.clone(), credentials: settings.credentials(), tls };
    Server::listen(&address, Limits::default(), service).map_err(failed)
}

fn retry(settings: &Settings, handler: &Handler, health: &Health, shared: &Shared) {
    loop {
        let waiting = |state: &mut State| !state.stopping;
        let waited = shared.changed.wait_timeout_while(shared.lock(), PAUSE, waiting);
        if waited.unwrap_or_else(PoisonError::into_inner).0.stopping {
            return;
        }
        match listen(settings, handler) {
            Ok(server) => {
                let mut state = shared.lock();
                if !state.stopping {
                    state.server = Some(server);
                    health.solved(COMPONENT);
                }
                return;
            }
            Err(reason) => health.problem(COMPONENT, &reason, 0),
        }
    }
}
