//! A connection and the task that drives it.

use std::io;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::target::Receiver;
use super::tls;
use crate::config::Protocol;

/// What requests are sent over. Dropping it closes it.
pub enum Connection {
    /// HTTP/1.1.
    Http(http1::SendRequest<Full<Bytes>>),
    /// HTTP/2, for gRPC.
    Grpc(http2::SendRequest<Full<Bytes>>),
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Connection {
    /// Connects to `receiver`.
    pub async fn open(receiver: &Receiver) -> io::Result<Self> {
        let stream = TcpStream::connect((&*receiver.host, receiver.port)).await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = if receiver.tls {
            Box::new(tls::connect(receiver, stream).await?)
        } else {
            Box::new(stream)
        };
        let stream = TokioIo::new(stream);
        // What a connection's task ends with is told by the request that it was to carry.
        if receiver.protocol == Protocol::Grpc {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.timer(TokioTimer::new());
            let (sender, connection) = builder.handshake(stream).await.map_err(io::Error::other)?;
            tokio::spawn(async { drop(connection.await) });
            Ok(Self::Grpc(sender))
        } else {
            let (sender, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
            tokio::spawn(async { drop(connection.await) });
            Ok(Self::Http(sender))
        }
    }

    /// Whether it takes another request; a closed one does not.
    pub async fn is_ready(&mut self) -> bool {
        // Its task learns first what has come meanwhile, such as the end of it.
        tokio::task::yield_now().await;
        match self {
            Self::Http(sender) => sender.ready().await.is_ok(),
            Self::Grpc(sender) => sender.ready().await.is_ok(),
        }
    }
}
