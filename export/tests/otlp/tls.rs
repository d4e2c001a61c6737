//! Receivers behind TLS, with an authority of one's own and client certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::json;
use tokio_rustls::TlsAcceptor;

use crate::grpc_receiver::GrpcReceiver;
use crate::receiver::{PATIENCE, numbers};
use crate::send::{all, log, sorted, start};

/// An authority with a certificate for a server and one for a client, in files.
struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let write =
            |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        write("ca.pem", ca.pem());
        for (name, host) in [("server", "127.0.0.1"), ("client", "client.test")] {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
            let certificate = params.signed_by(&key, &ca).unwrap();
            write(&format!("{name}.pem"), certificate.pem());
            write(&format!("{name}.key"), key.serialize_pem());
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a server needs that asks for a client's certificate.
    fn acceptor(&self) -> TlsAcceptor {
        let certificate = |path: &Path| CertificateDer::from_pem_file(path).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate(&self.path("ca.pem"))).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .unwrap();
        let key = PrivateKeyDer::from_pem_file(self.path("server.key")).unwrap();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate(&self.path("server.pem"))], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

#[test]
fn both_sides_show_certificates_of_an_authority_of_their_own() {
    let authority = Authority::new();
    let receiver = GrpcReceiver::start(Some(authority.acceptor()));
    let engine = start(json!({
        "endpoint": format!("https://{}", receiver.address),
        "protocol": "grpc",
        "certificate": authority.path("ca.pem"),
        "client_certificate": authority.path("client.pem"),
        "client_key": authority.path("client.key"),
    }));
    log(&engine, 0..10);
    assert!(engine.flush(PATIENCE), "{}", engine.health());
    assert_eq!(sorted(numbers(&receiver.taken(), "i")), all(10));
    engine.shutdown(PATIENCE);
}

/// Waits for a problem that says `part`.
fn problem(engine: &coati_export::Engine, part: &str) {
    let begun = Instant::now();
    loop {
        let health = engine.health().to_string();
        if health.contains(part) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{health}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn nothing_goes_to_a_receiver_that_is_not_trusted_or_does_not_trust() {
    let (authority, other) = (Authority::new(), Authority::new());
    let receiver = GrpcReceiver::start(Some(authority.acceptor()));
    let url = format!("https://{}", receiver.address);
    let engine = start(json!({
        "endpoint": url, "protocol": "grpc", "certificate": other.path("ca.pem"),
    }));
    log(&engine, 0..10);
    problem(&engine, "invalid peer certificate");
    engine.shutdown(std::time::Duration::from_millis(100));
    let engine = start(json!({
        "endpoint": url, "protocol": "grpc", "certificate": authority.path("missing.pem"),
    }));
    log(&engine, 0..10);
    problem(&engine, "missing.pem");
    engine.shutdown(std::time::Duration::from_millis(100));
    let engine = start(json!({
        "endpoint": url, "protocol": "grpc", "certificate": authority.path("ca.pem"),
    }));
    log(&engine, 0..10);
    problem(&engine, "ertificate");
    engine.shutdown(std::time::Duration::from_millis(100));
    assert!(receiver.taken().is_empty());
}
