//! Certificates, keys and authorities from PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{
    self, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
};

use crate::defect::Defect;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file cannot be read, or holds none of what it should.
    #[error("{}: {error}", .path.display())]
    Pem {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: pem::Error,
    },
    /// Key and certificate do not fit, or an authority's certificate is none.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
    /// The file of authorities holds none.
    #[error(transparent)]
    ClientVerifier(#[from] VerifierBuilderError),
}

/// For a server with a certificate, that asks its clients for one if `client_ca` is given.
///
/// # Errors
///
/// Files that cannot be read or do not fit together.
pub fn server_config(
    certificate: &Path,
    key: &Path,
    client_ca: Option<&Path>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match client_ca.filter(|_| !Defect::TlsNoClientAuth.is_on()) {
        Some(path) => {
            let roots = Arc::new(read_roots(path)?);
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(roots, provider).build()?,
            )
        }
        None => builder.with_no_client_auth(),
    };
    let config = builder.with_single_cert(read_certificates(certificate)?, read_key(key)?)?;
    Ok(Arc::new(config))
}

/// The files of a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientFiles {
    /// PEM file of the authorities to be trusted; without it, none are.
    pub ca: Option<PathBuf>,
    /// PEM files of the client's own certificate chain and key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// For a client.
///
/// # Errors
///
/// Files that cannot be read or do not fit together.
pub fn client_config(files: &ClientFiles) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = if Defect::ForwardCertificateIgnored.is_on() {
        let verifier = Arc::new(TrustsAnyone(provider));
        builder.dangerous().with_custom_certificate_verifier(verifier)
    } else {
        let roots = files.ca.as_deref().map(read_roots).transpose()?;
        builder.with_root_certificates(roots.unwrap_or_else(RootCertStore::empty))
    };
    Ok(Arc::new(match &files.identity {
        Some((certificate, key)) => {
            builder.with_client_auth_cert(read_certificates(certificate)?, read_key(key)?)?
        }
        None => builder.with_no_client_auth(),
    }))
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| TlsError::Pem {
        path: path.into(),
        error,
    })
}

fn read_roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(path)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| TlsError::Pem {
            path: path.into(),
            error,
        })
}

/// What [`Defect::ForwardCertificateIgnored`] does.
#[derive(Debug)]
struct TrustsAnyone(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustsAnyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
