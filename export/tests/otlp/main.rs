//! OTLP: what is encoded, and how it is sent.

mod encode;
mod records;
