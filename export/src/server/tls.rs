//! TLS for those who ask.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

/// A certificate and its private key, in PEM files.
#[derive(Clone, Debug)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    first: Arc<ServerConfig>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// If they cannot be read or do not belong together.
    pub fn new(certificate: &Path, key: &Path) -> io::Result<Self> {
        let first = load(certificate, key)?;
        Ok(Self { certificate: certificate.into(), key: key.into(), first })
    }

    /// Shakes hands over `stream` and calls `answer` with what is inside.
    pub(super) fn serve<S: Read + Write>(
        &self,
        stream: &mut S,
        answer: impl FnOnce(&mut Stream<'_, ServerConnection, S>) -> io::Result<()>,
    ) -> io::Result<()> {
        // Files are read anew each time: certificates are replaced. In between they may not fit.
        let config = load(&self.certificate, &self.key).unwrap_or_else(|_| self.first.clone());
        let mut connection = ServerConnection::new(config).map_err(io::Error::other)?;
        answer(&mut Stream::new(&mut connection, stream))?;
        connection.send_close_notify();
        while connection.wants_write() {
            connection.write_tls(stream)?;
        }
        Ok(())
    }
}

fn load(certificate: &Path, key: &Path) -> io::Result<Arc<ServerConfig>> {
    let named = |path: &Path, error: &dyn std::fmt::Display| {
        io::Error::other(format!("{}: {error}", path.display()))
    };
    let of_chain = |error| named(certificate, &error);
    let chain = CertificateDer::pem_file_iter(certificate).map_err(of_chain)?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(of_chain)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| named(key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| named(certificate, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
