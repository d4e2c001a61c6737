//! Before `init`: warnings and worse go to standard error, as a line for people.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use coati_core::intern;
use coati_core::record::Level;
use coati_core::record::read::{Fields, Value};
use coati_core::record::value::Key;
use pyo3::prelude::*;

use crate::convert::tolerate;
use crate::current::Current;
use crate::fields::Layer;
use crate::logger::Prepared;

/// Set by the first `init`.
static STARTED: AtomicBool = AtomicBool::new(false);

/// Whether the time before `init` goes on.
pub fn applies() -> bool {
    // Relaxed: stored and loaded under the interpreter's lock.
    !STARTED.load(Ordering::Relaxed)
}

/// Ends the time before `init`.
pub fn end() {
    STARTED.store(true, Ordering::Relaxed);
}

/// Prints one line.
pub fn print(
    py: Python<'_>,
    level: Level,
    logger: &str,
    bound: Option<&Layer>,
    call: &Prepared,
) -> PyResult<()> {
    let current = Current::get();
    let context = current.node().and_then(|node| node.fields());
    let mut line = format!("{} {logger}: {}", level.name().to_uppercase(), call.message);
    for layer in [context, bound, Some(&call.fields), call.exception.as_ref()].into_iter().flatten()
    {
        add(&mut line, layer.fields());
    }
    line.push('\n');
    // Nowhere left to tell what goes wrong here; a KeyboardInterrupt is not swallowed.
    write(py, &line).or_else(|error| tolerate(py, error))
}

fn write(py: Python<'_>, line: &str) -> PyResult<()> {
    let stream = py.import("sys")?.getattr("stderr")?;
    if !stream.is_none() {
        stream.call_method1("write", (line,))?;
    }
    Ok(())
}

fn add(line: &mut String, fields: Fields<'_>) {
    for (key, value) in fields {
        let key = match key {
            Key::Id(id) => intern::text(id).unwrap_or("?"),
            Key::Text(text) => text,
        };
        if key == "exception.stacktrace" {
            if let Value::Str(text, _) = value {
                line.push('\n');
                line.push_str(text.trim_end());
            }
            continue;
        }
        let _ = write!(line, " {key}=");
        show(line, value);
    }
}

fn show(line: &mut String, value: Value<'_>) {
    let _ = match value {
        Value::Null => write!(line, "null"),
        Value::Bool(value) => write!(line, "{value}"),
        Value::I64(value) => write!(line, "{value}"),
        Value::U64(value) => write!(line, "{value}"),
        Value::F64(value) => write!(line, "{value}"),
        Value::Str(value, 0) => write!(line, "{value:?}"),
        Value::Str(value, left_out) => write!(line, "\"{value}…[+{left_out} bytes]\""),
        Value::BigInt(digits) => write!(line, "{digits}"),
        Value::Bytes(bytes) => write!(line, "<{} bytes>", bytes.len()),
        Value::List(values) => {
            line.push('[');
            for (index, value) in values.enumerate() {
                line.push_str(if index > 0 { ", " } else { "" });
                show(line, value);
            }
            write!(line, "]")
        }
        Value::Map(pairs) => {
            line.push('{');
            for (index, (key, value)) in pairs.enumerate() {
                let _ = write!(line, "{}{key}: ", if index > 0 { ", " } else { "" });
                show(line, value);
            }
            write!(line, "}}")
        }
    };
}
