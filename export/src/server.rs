//! The HTTP endpoint (to come).
#![allow(missing_docs)]

pub struct Response;

impl Response {
    pub fn ok(_: &str, _: impl Into<Vec<u8>>) -> Self {
        Self
    }
    pub fn new(_: u16, _: &str, _: impl Into<Vec<u8>>) -> Self {
        Self
    }
    pub fn not_found() -> Self {
        Self
    }
}

pub struct Server;

impl Server {
    pub fn start(
        _: &str,
        _: impl Fn(&str) -> Response + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
    pub fn local_addr(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }
    pub fn shutdown(self) {}
}
