//! The listener and its connections. Every task belongs to the [`Served`] and ends with it.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use base64::Engine as _;
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{RootCertStore, ServerConfig, crypto::ring, server::WebPkiClientVerifier},
};

use super::certificates::{Certificates, make};
use crate::server::ApiServer;

/// A handshake that takes longer is given up.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// HTTP/2 windows: large lists go out without waiting for the client's updates.
const WINDOW_BYTES: u32 = 4 << 20;

/// Why a server does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("listen on {address}")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The certificates cannot be made.
    #[error("make certificates")]
    Certificates(#[source] rcgen::Error),
    /// The TLS configuration is refused.
    #[error("configure TLS")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A server that listens. Dropping it closes everything.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    authority_pem: String,
    client_pem: String,
    client_key_pem: String,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Served {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `https://...`
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The authority that signed the server's certificate, PEM.
    pub fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    /// An administrator's certificate, PEM.
    pub fn client_certificate_pem(&self) -> &str {
        &self.client_pem
    }

    /// The key of [`Self::client_certificate_pem`], PEM.
    pub fn client_key_pem(&self) -> &str {
        &self.client_key_pem
    }

    /// A kubeconfig with one context, `name`.
    pub fn kubeconfig(&self, name: &str) -> String {
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: {name}\n  cluster:\n    server: {}\n    certificate-authority-data: {}\nusers:\n- name: {name}\n  user:\n    client-certificate-data: {}\n    client-key-data: {}\ncontexts:\n- name: {name}\n  context:\n    cluster: {name}\n    user: {name}\ncurrent-context: {name}\n",
            self.url(),
            encode(&self.authority_pem),
            encode(&self.client_pem),
            encode(&self.client_key_pem),
        )
    }
}

fn tls(certificates: &Certificates) -> Result<ServerConfig, ServeError> {
    let refused = |error: Box<dyn std::error::Error + Send + Sync>| ServeError::Tls(error);
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots
        .add(certificates.authority.clone())
        .map_err(|error| refused(error.into()))?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|error| refused(error.into()))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(error.into()))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![certificates.server.clone()],
            certificates.server_key.clone_key(),
        )
        .map_err(|error| refused(error.into()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

impl ApiServer {
    /// Listens on `address` (port 0: any) with TLS.
    ///
    /// # Errors
    /// The address is taken, or TLS cannot be set up.
    pub async fn serve(&self, address: SocketAddr) -> Result<Served, ServeError> {
        let mut addresses = vec![
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1)),
        ];
        if !address.ip().is_unspecified() && !addresses.contains(&address.ip()) {
            addresses.push(address.ip());
        }
        let certificates = make(&addresses).map_err(ServeError::Certificates)?;
        let acceptor = TlsAcceptor::from(Arc::new(tls(&certificates)?));
        let failed = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        let task = tokio::spawn(accept(listener, acceptor, self.clone()));
        Ok(Served {
            address: local,
            authority_pem: certificates.authority_pem,
            client_pem: certificates.client_pem,
            client_key_pem: certificates.client_key_pem,
            task,
        })
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, server: ApiServer) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    // Out of descriptors, most likely: a moment may bring one back.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                connections.spawn(connection(stream, acceptor.clone(), server.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, server: ApiServer) {
    // Without it small answers wait for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await else {
        return;
    };
    let service = service_fn(move |request| {
        let server = server.clone();
        async move { Ok::<_, std::convert::Infallible>(server.handle(request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http2()
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_concurrent_streams(1000)
        .max_send_buf_size(1 << 20);
    // A broken connection is the client's affair.
    let _ = builder
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .await;
}
