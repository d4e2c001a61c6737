//! TLS: whom to trust, and whom to show.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::target::Receiver;
use crate::config::Protocol;

/// Shakes hands over `stream`. Files are read anew each time: certificates are replaced.
pub async fn connect(receiver: &Receiver, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(receiver.host.clone()).map_err(io::Error::other)?;
    let connector = TlsConnector::from(Arc::new(config(receiver)?));
    connector.connect(name, stream).await
}

fn config(receiver: &Receiver) -> io::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots(receiver.certificate.as_deref())?);
    let mut config = match &receiver.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let key_of = |error| named(key, error);
            let private = PrivateKeyDer::from_pem_file(key).map_err(key_of)?;
            let chain = certificates(certificate)?;
            builder.with_client_auth_cert(chain, private).map_err(io::Error::other)?
        }
    };
    let protocol: &[u8] = if receiver.protocol == Protocol::Grpc { b"h2" } else { b"http/1.1" };
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}

fn roots(own: Option<&Path>) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    match own {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| named(path, error))?;
            }
        }
        // One of the system's that cannot be read is left out.
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(io::Error::other("no certificate authority to trust"));
    }
    Ok(roots)
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let all = CertificateDer::pem_file_iter(path).map_err(|error| named(path, error))?;
    all.collect::<Result<_, _>>().map_err(|error| named(path, error))
}

fn named(path: &Path, error: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}
