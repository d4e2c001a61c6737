//! Prometheus' and OpenMetrics' text of a family, as `prometheus_client` writes it.

use std::sync::Arc;

use super::family::Family;
use super::series::{Exemplar, Series};
use super::{COUNTER, GAUGE, HISTOGRAM, SUMMARY};

/// What is written.
#[derive(Clone, Copy)]
pub struct Style {
    /// OpenMetrics, else version 0.0.4.
    pub open: bool,
    /// Whether the times at which series began are told.
    pub created: bool,
}

/// Appends a family whose names need no escape.
pub fn write(family: &Family, style: Style, out: &mut Vec<u8>) {
    let definition = &family.definition;
    let (kind, total) = match definition.kind {
        COUNTER => ("counter", if style.open { "" } else { "_total" }),
        GAUGE => ("gauge", ""),
        SUMMARY => ("summary", ""),
        _ => ("histogram", ""),
    };
    head(&definition.name, total, kind, &definition.documentation, style.open, out);
    if style.open && !definition.unit.is_empty() {
        put(out, &["# UNIT ", &definition.name, " ", &definition.unit, "\n"]);
    }
    let all = family.series();
    let lines = all.len() * (family.ends.len() + 3);
    out.reserve(lines * (definition.name.len() + 64));
    for series in &all {
        samples(family, series, style, out);
        if style.open && style.created && definition.kind != GAUGE {
            begin(family, "_created", series, out);
            series.write_created(out);
            out.push(b'\n');
        }
    }
    if !style.open && style.created && definition.kind != GAUGE && !all.is_empty() {
        head(&definition.name, "_created", "gauge", &definition.documentation, false, out);
        for series in &all {
            begin(family, "_created", series, out);
            series.write_created(out);
            out.push(b'\n');
        }
    }
}

fn head(name: &str, suffix: &str, kind: &str, documentation: &str, open: bool, out: &mut Vec<u8>) {
    put(out, &["# HELP ", name, suffix, " "]);
    escape(documentation, open, out);
    put(out, &["\n# TYPE ", name, suffix, " ", kind, "\n"]);
}

fn samples(family: &Family, series: &Series, style: Style, out: &mut Vec<u8>) {
    let definition = &family.definition;
    let value = |at: usize| series.cells[at].get();
    match definition.kind {
        COUNTER => {
            sample(family, "_total", series, value(0), out);
            if style.open && series.has_exemplars() {
                exemplar(series.exemplar(0), out);
            }
            out.push(b'\n');
        }
        GAUGE => {
            sample(family, "", series, value(0), out);
            out.push(b'\n');
        }
        SUMMARY => {
            sample(family, "_count", series, value(0), out);
            out.push(b'\n');
            sample(family, "_sum", series, value(1), out);
            out.push(b'\n');
        }
        HISTOGRAM => histogram(family, series, style, out),
        _ => {}
    }
}

fn histogram(family: &Family, series: &Series, style: Style, out: &mut Vec<u8>) {
    let bounds = &family.definition.bounds;
    let (before, after) = series.text.split_at(series.split);
    let first = if before.is_empty() || before.ends_with(',') { "" } else { "," };
    let second = if after.is_empty() || after.starts_with(',') { "" } else { "," };
    let exemplars = style.open && series.has_exemplars();
    let mut total = 0.0;
    for (at, end) in family.ends.iter().enumerate() {
        total += series.cells[at].get();
        put(out, &[&family.definition.name, "_bucket{", before, first, end, second, after, "} "]);
        go_float(total, out);
        if exemplars {
            exemplar(series.exemplar(at), out);
        }
        out.push(b'\n');
    }
    sample(family, "_count", series, total, out);
    out.push(b'\n');
    if bounds.first().is_some_and(|bound| *bound >= 0.0) {
        sample(family, "_sum", series, series.cells[bounds.len()].get(), out);
        out.push(b'\n');
    }
}

#[inline]
fn sample(family: &Family, suffix: &str, series: &Series, value: f64, out: &mut Vec<u8>) {
    begin(family, suffix, series, out);
    go_float(value, out);
}

/// Name and labels of a line.
#[inline]
fn begin(family: &Family, suffix: &str, series: &Series, out: &mut Vec<u8>) {
    let name = &family.definition.name;
    match &*series.text {
        "" => put(out, &[name, suffix, " "]),
        text => put(out, &[name, suffix, "{", text, "} "]),
    }
}

fn exemplar(exemplar: Option<Arc<Exemplar>>, out: &mut Vec<u8>) {
    let Some(exemplar) = exemplar else { return };
    put(out, &[" # {"]);
    for (at, (name, value)) in exemplar.labels.iter().enumerate() {
        put(out, &[if at == 0 { "" } else { "," }, name, "=\""]);
        escape(value, true, out);
        out.push(b'"');
    }
    put(out, &["} "]);
    go_float(exemplar.value, out);
    out.push(b' ');
    python_float(exemplar.timestamp, out);
}

fn put(out: &mut Vec<u8>, parts: &[&str]) {
    parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
}

/// Appends a text with backslashes, line ends and, if asked for, quotes escaped.
pub fn escape(text: &str, quotes: bool, out: &mut Vec<u8>) {
    let special = |byte: &u8| matches!(byte, b'\\' | b'\n') || (*byte == b'"' && quotes);
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(special) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(match rest[at] {
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            _ => b"\\\"",
        });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// A number as `prometheus_client` writes it: as Python, but with an exponent from a million on.
pub fn go_float(value: f64, out: &mut Vec<u8>) {
    const MILLION: f64 = 1e6;
    if value == f64::INFINITY {
        return out.extend_from_slice(b"+Inf");
    }
    if value == f64::NEG_INFINITY {
        return out.extend_from_slice(b"-Inf");
    }
    if value.is_nan() {
        return out.extend_from_slice(b"NaN");
    }
    // The zero below zero has a sign of its own.
    if value.trunc() == value && (1.0..MILLION).contains(&value) || value.to_bits() == 0 {
        return whole(value as u32, out);
    }
    number(value, value > 0.0, out);
}

/// A number as Python writes it.
fn python_float(value: f64, out: &mut Vec<u8>) {
    match value.is_finite() {
        true => number(value, false, out),
        false => out.extend_from_slice(format!("{value:?}").to_lowercase().as_bytes()),
    }
}

fn whole(mut value: u32, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 12];
    let mut at = 10;
    digits[at] = b'.';
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return out.extend_from_slice(&digits[at..]);
        }
    }
}

/// Appends `1234567.25` as `1.23456725e+06`; `false`, and nothing appended, if it is not of that
/// form.
fn shifted(text: &[u8], out: &mut Vec<u8>) -> bool {
    let Some(point) = text.iter().position(|byte| *byte == b'.') else { return false };
    let (whole, fraction) = (&text[..point], &text[point + 1..]);
    if fraction == b"0" || fraction.contains(&b'e') || !(2..100).contains(&point) {
        return false;
    }
    let power = point as u8 - 1;
    out.extend_from_slice(&[whole[0], b'.']);
    out.extend_from_slice(&whole[1..]);
    out.extend_from_slice(fraction);
    out.extend_from_slice(&[b'e', b'+', b'0' + power / 10, b'0' + power % 10]);
    true
}

/// The shortest digits that read back as `value`. `early`: with an exponent from a million on, as
/// Go, else from 10^16 on.
fn number(value: f64, early: bool, out: &mut Vec<u8>) {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value.abs()).as_bytes();
    if early && value >= 1e6 && shifted(text, out) {
        return;
    }
    // The value is 0.digits times ten to the `point`.
    let (mut digits, mut len, mut point) = ([b'0'; 40], 0, None);
    let mut exponent = 0;
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b'.' => point = Some(len as i32),
            b'e' => {
                let told = std::str::from_utf8(&text[at + 1..]).unwrap_or_default();
                exponent = told.parse().unwrap_or(0);
                break;
            }
            // Zeros in front are none of the digits.
            b'0' if len == 0 && point.is_none() => {}
            b'0' if len == 0 => point = point.map(|point| point - 1),
            digit => {
                digits[len] = digit;
                len += 1;
            }
        }
    }
    let mut point = point.unwrap_or(len as i32) + exponent;
    while len > 0 && digits[len - 1] == b'0' {
        len -= 1;
    }
    if len == 0 {
        (len, point) = (1, 1);
    }
    let digits = &digits[..len];
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let most = if early { 6 } else { 16 };
    if point > most || point <= -4 {
        out.push(digits[0]);
        if len > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        let power = point - 1;
        out.extend_from_slice(if power < 0 { b"e-" } else { b"e+" });
        let power = power.unsigned_abs();
        if power > 99 {
            out.push(b'0' + (power / 100) as u8);
        }
        return out.extend([b'0' + (power / 10 % 10) as u8, b'0' + (power % 10) as u8]);
    }
    let zeros = |count: i32, out: &mut Vec<u8>| (0..count).for_each(|_| out.push(b'0'));
    if point <= 0 {
        out.extend_from_slice(b"0.");
        zeros(-point, out);
        out.extend_from_slice(digits);
    } else if point as usize >= len {
        out.extend_from_slice(digits);
        zeros(point - len as i32, out);
        out.extend_from_slice(b".0");
    } else {
        let (whole, fraction) = digits.split_at(point as usize);
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(fraction);
    }
}
