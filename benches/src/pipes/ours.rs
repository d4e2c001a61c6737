//! The engine with a file as its sink.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use coati_core::log::Logger;
use coati_export::Engine;
use serde_json::json;

use super::Pipe;
use crate::candidate::Kind;
use crate::ours;

/// Callers wait while their ring is full.
#[derive(Default)]
pub struct Coati(Option<Arc<Engine>>);

impl Pipe for Coati {
    fn name(&self) -> &'static str {
        ours::NAME
    }

    fn kind(&self) -> Kind {
        Kind::Ours
    }

    fn open(&mut self, path: &Path) {
        self.0 = Some(ours::engine(json!({
            "ring": {"overflow": "block", "block_ms": 60_000},
            "sinks": [{"type": "file", "path": path}],
        })));
    }

    fn producer(&self) -> Box<dyn FnOnce(usize) + Send> {
        let engine = self.0.as_ref().expect("an open pipe");
        let logger = Logger::new(engine.hub().clone(), "bench");
        Box::new(move |records| (0..records).for_each(|i| ours::log(&logger, i)))
    }

    fn close(&mut self) {
        let engine = self.0.take().expect("an open pipe");
        let books = engine.shutdown(Duration::from_secs(60)).logs;
        assert_eq!(books.recorded, books.delivered, "the books");
    }
}
