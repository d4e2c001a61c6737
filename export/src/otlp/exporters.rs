//! The exporters of an engine.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::exporter::{Context, Exporter};
use super::queue::Queue;
use crate::config;
use crate::sink::Sink;

/// The exporters of an engine in one process.
#[derive(Default)]
pub struct Exporters {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Those in use.
    running: Vec<Arc<Exporter>>,
    /// The queues of all that have not ended, those replaced included.
    queues: Vec<Arc<Queue>>,
}

impl Exporters {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sink that does what `config` describes, before an exporter that runs already if one fits.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn sink(&self, config: &config::OtlpSink, context: &Context) -> io::Result<Box<dyn Sink>> {
        let mut inner = self.inner();
        if let Some(known) = inner.running.iter().find(|exporter| exporter.fits(config)) {
            return Ok(Box::new(known.sink()));
        }
        let fresh = Arc::new(Exporter::start(config, context)?);
        inner.queues.retain(|queue| !queue.has_ended());
        inner.queues.push(fresh.queue().clone());
        inner.running.push(fresh.clone());
        Ok(Box::new(fresh.sink()))
    }

    /// Lets those end that none of `configs` describes, once the drain has let go of them.
    pub fn keep<'a>(&self, configs: impl Iterator<Item = &'a config::OtlpSink> + Clone) {
        let fits = |exporter: &Arc<Exporter>| configs.clone().any(|config| exporter.fits(config));
        let mut inner = self.inner();
        let (kept, gone) = std::mem::take(&mut inner.running).into_iter().partition(fits);
        inner.running = kept;
        drop(inner);
        drop::<Vec<_>>(gone);
    }

    fn queues(&self) -> Vec<Arc<Queue>> {
        self.inner().queues.clone()
    }

    /// Waits until everything they were given is settled or spooled; `false` if it is not by
    /// `deadline`.
    pub fn flush(&self, deadline: Instant) -> bool {
        let queues = self.queues();
        if queues.iter().any(|queue| queue.is_own_thread()) {
            return false;
        }
        // All are asked before any is waited for.
        let flushes: Vec<_> = queues.into_iter().map(|queue| (queue.ask(), queue)).collect();
        flushes.into_iter().fold(true, |all, (flush, queue)| queue.wait(flush, deadline) && all)
    }

    /// Ends them: they send until `deadline` and then spool or give up. `false` if one has not
    /// ended by `at_last`.
    pub fn stop(&self, deadline: Instant, at_last: Instant) -> bool {
        let queues = self.queues();
        queues.iter().for_each(|queue| queue.stop(deadline));
        queues.iter().all(|queue| !queue.is_own_thread() && queue.join(at_last))
    }
}
