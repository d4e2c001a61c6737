//! One connection to one receiver, over HTTP/1.1 or gRPC.

mod answer;
mod connect;
mod grpc;
mod http;
mod target;
mod tls;

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

pub use target::Receiver;

use super::compose::Encoding;
use super::signal::Signal;
use connect::Connection;

/// What became of an attempt.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// Taken, but for so many items.
    Accepted {
        /// Items refused.
        rejected: u64,
        /// What the receiver had to say.
        message: String,
    },
    /// Refused for good.
    Refused(String),
    /// Too large for the receiver.
    TooLarge(String),
    /// The receiver does not understand the compression.
    NotCompressed,
    /// Nothing came of it this time.
    Failed {
        /// Why.
        message: String,
        /// The pause that the receiver asks for.
        after: Option<Duration>,
    },
}

impl Outcome {
    fn failed(message: impl ToString) -> Self {
        Self::Failed { message: message.to_string(), after: None }
    }

    /// With what lies behind the error.
    fn error(error: impl std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            let text = error.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            source = error.source();
        }
        Self::failed(message)
    }
}

/// Sends the requests of one signal.
pub struct Client {
    signal: Signal,
    receiver: Receiver,
    connection: Option<Connection>,
}

impl Client {
    /// A client that connects when it has something to send.
    pub fn new(signal: Signal, receiver: Receiver) -> Self {
        Self { signal, receiver, connection: None }
    }

    /// Whom it speaks to.
    pub fn receiver(&self) -> &Receiver {
        &self.receiver
    }

    /// Sends `body` once, within the receiver's time-out.
    pub async fn send(&mut self, body: Bytes, encoding: Encoding, gzip: bool) -> Outcome {
        let timeout = self.receiver.timeout;
        match tokio::time::timeout(timeout, self.exchange(body, encoding, gzip)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                self.connection = None;
                Outcome::failed(format!("no answer within {} ms", timeout.as_millis()))
            }
        }
    }

    async fn exchange(&mut self, body: Bytes, encoding: Encoding, gzip: bool) -> Outcome {
        // Taken: a connection on which anything breaks off is not used again.
        let known = match self.connection.take() {
            Some(mut known) => known.is_ready().await.then_some(known),
            None => None,
        };
        let mut connection = match known {
            Some(known) => known,
            None => match Connection::open(&self.receiver).await {
                Ok(fresh) => fresh,
                Err(error) => return Outcome::error(error),
            },
        };
        let outcome = match &mut connection {
            Connection::Http(sender) => {
                http::exchange(sender, self.signal, &self.receiver, body, encoding, gzip).await
            }
            Connection::Grpc(sender) => {
                grpc::exchange(sender, self.signal, &self.receiver, body, gzip).await
            }
        };
        match outcome {
            Ok(outcome) => {
                self.connection = Some(connection);
                outcome
            }
            Err(outcome) => outcome,
        }
    }
}

/// `body` compressed.
pub fn gzip(body: &[u8]) -> Bytes {
    let mut packed = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    // Writing into memory does not fail.
    let _ = packed.write_all(body);
    packed.finish().unwrap_or_default().into()
}
