//! OTLP: what is encoded, and how it is sent.
#![cfg(feature = "otlp")]

mod encode;
#[cfg(unix)]
mod fork;
mod grpc;
mod grpc_receiver;
mod outage;
mod receiver;
mod records;
mod send;
mod spool;
mod tail;
mod tls;
