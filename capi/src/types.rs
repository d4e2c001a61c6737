//! Plain data that crosses the boundary.

use std::ffi::c_char;

/// Text by pointer and length. It needs no NUL at its end and is borrowed for the call only. NULL
/// with length 0 is the empty text; invalid UTF-8 is replaced by U+FFFD.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct coati_str {
    /// The first byte.
    pub ptr: *const c_char,
    /// Number of bytes.
    pub len: usize,
}

/// Severity of a log line: COATI_DEBUG to COATI_CRITICAL. Any other value is COATI_BAD_ARGUMENT.
pub type coati_level = u8;

/// Details for a developer.
pub const COATI_DEBUG: coati_level = 0;
/// Normal events.
pub const COATI_INFO: coati_level = 1;
/// Something is off.
pub const COATI_WARN: coati_level = 2;
/// Something failed.
pub const COATI_ERROR: coati_level = 3;
/// The program is in danger.
pub const COATI_CRITICAL: coati_level = 4;

/// The value is in `value.i64`.
pub const COATI_FIELD_I64: u32 = 1;
/// The value is in `value.u64`.
pub const COATI_FIELD_U64: u32 = 2;
/// The value is in `value.f64`; NaN and infinities are kept.
pub const COATI_FIELD_F64: u32 = 3;
/// The value is in `value.boolean`.
pub const COATI_FIELD_BOOL: u32 = 4;
/// The value is in `value.str`.
pub const COATI_FIELD_STR: u32 = 5;

/// A field's value; `coati_field.type` says which member counts.
#[derive(Clone, Copy)]
#[repr(C)]
pub union coati_value {
    /// COATI_FIELD_I64
    pub i64: i64,
    /// COATI_FIELD_U64
    pub u64: u64,
    /// COATI_FIELD_F64
    pub f64: f64,
    /// COATI_FIELD_BOOL
    pub boolean: bool,
    /// COATI_FIELD_STR
    pub str: coati_str,
}

/// A key and its value: a field of a log line, an attribute of a span, a label of a metric. Of
/// equal keys in one call the last counts.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct coati_field {
    /// The name.
    pub key: coati_str,
    /// COATI_FIELD_I64 to COATI_FIELD_STR. Any other value is COATI_BAD_ARGUMENT.
    pub r#type: u32,
    /// The value.
    pub value: coati_value,
}

/// Memory that the library gives away; give it back with coati_buffer_free. A NUL that `len` does
/// not count stands at its end.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct coati_buffer {
    /// The first byte; NULL in an empty buffer.
    pub ptr: *mut c_char,
    /// Number of bytes.
    pub len: usize,
}

/// What of a span crosses threads and processes. All zero: no span.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct coati_span_context {
    /// The trace.
    pub trace_id: [u8; 16],
    /// The span.
    pub span_id: [u8; 8],
    /// W3C trace flags; bit 0: sampled.
    pub flags: u8,
    /// 1 if it came from another process, else 0.
    pub remote: u8,
}

/// The signal of log lines.
pub const COATI_LOGS: u32 = 0;
/// The signal of spans.
pub const COATI_SPANS: u32 = 1;

/// The books of one signal. When producers have stopped and a flush has returned COATI_OK,
/// `recorded == delivered + dropped`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct coati_ledger {
    /// Calls that passed level and sampling.
    pub recorded: u64,
    /// Records that reached every sink that wanted them.
    pub delivered: u64,
    /// Records lost; coati_health_json says why.
    pub dropped: u64,
    /// Records in a ring or a batch.
    pub in_flight: u64,
}

/// Nobody said how it went.
pub const COATI_SPAN_UNSET: u32 = 0;
/// Well, and somebody said so: final.
pub const COATI_SPAN_OK: u32 = 1;
/// Badly.
pub const COATI_SPAN_ERROR: u32 = 2;
