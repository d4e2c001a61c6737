//! Whether receivers answer: an empty request to each, as `coati doctor` shows it.

use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::client::{Client, Outcome, Receiver};
use super::compose::Encoding;
use super::endpoint::Endpoint;
use super::exporter::takes;
use super::signal::Signal;
use crate::config;

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends an empty request of every signal that `sink` takes, all at once, and waits for the answers.
///
/// # Errors
/// If the system has no runtime to give.
pub fn check(sink: &config::OtlpSink) -> io::Result<Vec<Endpoint>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let endpoints = runtime.block_on(async {
        let [traces, logs, metrics] = Signal::ALL.map(|signal| ask(sink, signal));
        let (traces, logs, metrics) = tokio::join!(traces, logs, metrics);
        [traces, logs, metrics].into_iter().flatten().collect()
    });
    // A name that is still being looked up must not hold up the end.
    runtime.shutdown_background();
    Ok(endpoints)
}

async fn ask(sink: &config::OtlpSink, signal: Signal) -> Option<Endpoint> {
    if !takes(sink, signal) {
        return None;
    }
    let mut receiver = Receiver::of(sink, signal);
    receiver.timeout = receiver.timeout.min(PATIENCE);
    let url = match receiver.protocol {
        config::Protocol::Grpc => receiver.name(),
        // A query may hold a secret.
        _ => format!("{}{}", receiver.name(), receiver.path.split('?').next().unwrap_or_default()),
    };
    let encoding = receiver.encoding();
    // A resource with nothing in it: a body of no bytes at all is no request to some receivers.
    let nothing = match encoding {
        Encoding::Json => Bytes::from_static(b"{}"),
        Encoding::Protobuf => Bytes::from_static(&[0x0a, 0]),
    };
    let begun = Instant::now();
    let outcome = Client::new(signal, receiver).send(nothing, encoding, false).await;
    let problem = match outcome {
        Outcome::Accepted { .. } | Outcome::NotCompressed => None,
        Outcome::Refused(message) | Outcome::TooLarge(message) => {
            Some(format!("refused: {message}"))
        }
        Outcome::Failed { message, .. } => Some(message),
    };
    Some(Endpoint { signal: signal.name(), url, problem, took: begun.elapsed() })
}
