//! One JSON object a line, as `report.py` reads it.

use serde_json::{Value, json};

use crate::measure::Measured;

/// Prints `measured` as one line.
pub fn print(measured: &Measured) {
    let mut line = json!({
        "row": measured.row,
        "name": measured.name,
        "kind": measured.kind.name(),
        "unit": measured.unit,
        "min": rounded(measured.min),
        "median": rounded(measured.median),
        "rounds": measured.rounds,
        "drops": measured.drops,
    });
    if let Some(note) = measured.note {
        line["note"] = Value::from(note);
    }
    println!("{line}");
}

/// Four significant digits and at least three decimals.
fn rounded(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}
