//! tracing with tracing-appender's thread, lossless.

use std::path::Path;

use tracing::Dispatch;
use tracing::dispatcher::with_default;
use tracing_appender::non_blocking::{ErrorCounter, WorkerGuard};

use super::Pipe;
use crate::candidate::Kind;
use crate::peers::tracing::{json, log, non_blocking};

/// Callers format, and wait while the channel is full.
#[derive(Default)]
pub struct NonBlocking(Option<(Dispatch, WorkerGuard, ErrorCounter)>);

impl Pipe for NonBlocking {
    fn name(&self) -> &'static str {
        "tracing JSON, non_blocking"
    }

    fn kind(&self) -> Kind {
        Kind::Peer
    }

    fn open(&mut self, path: &Path) {
        let (writer, guard) = non_blocking(path);
        let lost = writer.error_counter();
        self.0 = Some((json(writer), guard, lost));
    }

    fn producer(&self) -> Box<dyn FnOnce(usize) + Send> {
        let (dispatch, ..) = self.0.as_ref().expect("an open pipe");
        let dispatch = dispatch.clone();
        Box::new(move |records| with_default(&dispatch, || (0..records).for_each(log)))
    }

    fn close(&mut self) {
        let (_, guard, lost) = self.0.take().expect("an open pipe");
        drop(guard);
        assert_eq!(lost.dropped_lines(), 0, "lossless");
    }
}
