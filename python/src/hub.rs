//! The process's one hub.

use std::sync::{Arc, LazyLock};

use coati_core::hub::Hub;

static HUB: LazyLock<Arc<Hub>> = LazyLock::new(Hub::new);

/// The hub of everything in this process.
#[inline(always)]
pub fn hub() -> &'static Arc<Hub> {
    &HUB
}

/// What bounds fields that are gathered apart from a record.
pub struct Bounds {
    /// Bytes of one string, in log lines or spans.
    pub string: usize,
    /// Bytes of all fields.
    pub record: usize,
}

/// The bounds in force, the defaults while nothing runs.
pub fn bounds() -> Bounds {
    match hub().pipeline() {
        Some(pipeline) => {
            let string = pipeline.max_string().max(pipeline.max_span_string());
            Bounds { string, record: pipeline.max_record() }
        }
        None => {
            let limits = hub().live().limits();
            let string = limits.max_string.max(limits.max_span_string) as usize;
            Bounds { string, record: string.max(1 << 16) }
        }
    }
}
