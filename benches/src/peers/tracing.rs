//! tracing with tracing-subscriber's JSON lines.

use std::path::Path;

use tracing::Dispatch;
use tracing::dispatcher::with_default;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::candidate::{Candidate, Kind};
use crate::workload::{COST, MESSAGE, MODEL};

/// JSON lines with the fields beside the message.
pub fn json(writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static) -> Dispatch {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(writer)
        .finish()
        .into()
}

/// A thread that writes to `path`, for which callers wait.
pub fn non_blocking(path: &Path) -> (NonBlocking, WorkerGuard) {
    let file = std::fs::File::create(path).expect("a file");
    NonBlockingBuilder::default().lossy(false).finish(file)
}

/// The log call that is measured everywhere.
#[inline(always)]
pub fn log(i: usize) {
    tracing::info!(steps = i, model = MODEL, cost = COST, "{MESSAGE}");
}

/// A line written nowhere, one for another thread to write, and a span.
pub fn all(folder: &Path) -> Vec<Candidate> {
    let (writer, guard) = non_blocking(&folder.join("tracing.jsonl"));
    let lost = writer.error_counter();
    let (nowhere, threaded) = (json(std::io::sink), json(writer));
    let spans = nowhere.clone();
    vec![
        Candidate::new("rust_log", Kind::Peer, "tracing JSON", 1024, move |calls| {
            with_default(&nowhere, || (0..calls).for_each(log));
        })
        .note("formats in the caller, writes to io::sink"),
        Candidate::new(
            "rust_log_drain",
            Kind::Peer,
            "tracing JSON, non_blocking",
            1024,
            move |calls| with_default(&threaded, || (0..calls).for_each(log)),
        )
        .dropped(move || {
            let _ = &guard;
            lost.dropped_lines() as u64
        })
        .note("formats in the caller, its own thread writes to a file; lossless"),
        Candidate::new("rust_span", Kind::Peer, "tracing JSON", 1024, move |calls| {
            with_default(&spans, || {
                for steps in 0..calls {
                    drop(
                        tracing::info_span!(
                            "plan",
                            agent = "a1",
                            steps,
                            model = MODEL,
                            cost = COST
                        )
                        .entered(),
                    );
                }
            });
        })
        .note("a line when the span closes, to io::sink"),
    ]
}
