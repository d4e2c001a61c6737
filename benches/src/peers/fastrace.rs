//! fastrace: spans in a local trace, and each span a trace of its own as ours is.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fastrace::collector::{Config, Reporter, SpanContext, SpanRecord};
use fastrace::local::LocalSpan;
use fastrace::{Span, flush};

use crate::candidate::{Candidate, Kind};
use crate::workload::{COST, MODEL};

type Property = (&'static str, Cow<'static, str>);

/// Counts what arrives.
struct Counting(Arc<AtomicU64>);

impl Reporter for Counting {
    fn report(&mut self, spans: Vec<SpanRecord>) {
        // Relaxed: read behind a flush.
        self.0.fetch_add(spans.len() as u64, Ordering::Relaxed);
    }
}

#[inline(always)]
fn properties(i: usize) -> [Property; 4] {
    [
        ("agent", "a1".into()),
        ("steps", i.to_string().into()),
        ("model", MODEL.into()),
        ("cost", COST.to_string().into()),
    ]
}

/// All of them; losses are counted for both together.
pub fn all() -> Vec<Candidate> {
    let arrived = Arc::new(AtomicU64::new(0));
    let made = Arc::new(AtomicU64::new(0));
    fastrace::set_reporter(Counting(arrived.clone()), Config::default());
    let (local, roots) = (made.clone(), made.clone());
    vec![
        Candidate::new("rust_span", Kind::Peer, "fastrace, local spans", 4096, move |calls| {
            let root = Span::root("round", SpanContext::random());
            let _guard = root.set_local_parent();
            for i in 0..calls {
                drop(LocalSpan::enter_with_local_parent("plan").with_properties(|| properties(i)));
            }
            local.fetch_add(calls as u64 + 1, Ordering::Relaxed);
        })
        .after(flush)
        .dropped(move || {
            flush();
            made.load(Ordering::Relaxed) - arrived.load(Ordering::Relaxed)
        })
        .note("4,096 spans of one trace, in one thread"),
        Candidate::new("rust_span", Kind::Peer, "fastrace, root spans", 1024, move |calls| {
            for i in 0..calls {
                drop(Span::root("plan", SpanContext::random()).with_properties(|| properties(i)));
            }
            roots.fetch_add(calls as u64, Ordering::Relaxed);
        })
        .after(flush),
    ]
}
