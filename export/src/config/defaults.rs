//! The table of defaults, as the documentation shows it.

use super::kind::Kind;
use super::rows::ROWS;
use super::schema::Row;
use super::sinks::{SINK_TYPES, sink_rows};
use super::{endpoint, otlp, view};

/// A row, and those of its tables.
fn with_inner(line: &mut dyn FnMut(&str, &Row), prefix: &str, row: &'static Row) {
    line(prefix, row);
    let rows = match row.kind {
        Kind::Endpoint => endpoint::ROWS,
        Kind::Views => view::ROWS,
        Kind::Tables(rows) | Kind::Table(rows) => rows,
        _ => return,
    };
    rows.iter().for_each(|inner| with_inner(line, &format!("{prefix}{}.", row.path), inner));
}

/// The table of defaults in Markdown, as the documentation shows it.
pub fn defaults_table() -> String {
    let mut text = String::from("| key | default | while running | meaning |\n|---|---|---|---|\n");
    let mut line = |prefix: &str, row: &Row| {
        let default = match row.default {
            "null" => "absent".to_owned(),
            json => format!("`{json}`"),
        };
        let live = if row.live { "live" } else { "restart" };
        text.push_str(&format!(
            "| `{prefix}{}` | {default} | {live} | {} |\n",
            row.path, row.meaning
        ));
    };
    for row in ROWS {
        with_inner(&mut line, "", row);
    }
    for kind in SINK_TYPES {
        for row in sink_rows(kind).iter().filter(|row| row.path != "type") {
            let prefix = format!("sinks({kind}).");
            line(&prefix, row);
            if let Kind::Table(rows) = row.kind {
                // Those of all signals stand above.
                let own = rows.iter().filter(|inner| !otlp::is_common(inner.path));
                own.for_each(|inner| line(&format!("{prefix}{}.", row.path), inner));
            }
        }
    }
    text
}
