//! Sending: one connection for one request. A flush every ten seconds needs no pool.

use std::io;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName};
use hyper::{Method, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{InvalidDnsNameError, ServerName};

use super::BODY_BYTES_MAX;
use super::tls::{ClientFiles, TlsError, client_config};

/// Sends requests to one server.
pub struct Client {
    base: String,
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// Why a URL cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// Not `http://host…` or `https://host…`.
    #[error("`{0}` is no http or https URL")]
    Bad(String),
    /// No certificate can be for such a name.
    #[error("bad host name")]
    HostName(#[from] InvalidDnsNameError),
    /// The authorities cannot be read.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// No connection, or TLS failed.
    #[error("cannot connect: {0}")]
    Connect(#[from] io::Error),
    /// Not HTTP, or it ended early.
    #[error("no answer: {0}")]
    Http(#[from] hyper::Error),
    /// The request cannot be written down.
    #[error("bad request: {0}")]
    Request(#[from] hyper::http::Error),
    /// The answer's body ended early or is too long.
    #[error("bad answer: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
}

impl Client {
    /// For the server that `url` names. `files` are for `https`.
    ///
    /// # Errors
    ///
    /// A URL or a file that cannot be used.
    pub fn new(url: &str, files: &ClientFiles) -> Result<Self, UrlError> {
        let bad = || UrlError::Bad(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let host = uri.host().ok_or_else(bad)?.to_owned();
        let (tls, default_port) = match uri.scheme_str() {
            Some("http") => (None, 80),
            Some("https") => {
                let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
                (Some((TlsConnector::from(client_config(files)?), name)), 443)
            }
            _ => return Err(bad()),
        };
        let port = uri.port_u16().unwrap_or(default_port);
        Ok(Self {
            base: uri.path().trim_end_matches('/').to_owned(),
            host,
            port,
            tls,
        })
    }

    /// Sends one request, and reads the whole answer. The caller sets the deadline.
    ///
    /// # Errors
    ///
    /// There was no answer. An answer with an error status is not an error here.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, &str)],
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), RequestError> {
        let target = format!("{}{path}", self.base);
        let mut request = hyper::Request::builder()
            .method(method)
            .uri(if target.is_empty() { "/" } else { &target })
            .header(HOST, format!("{}:{}", self.host, self.port))
            .header(CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(Full::from(body))?;
        let stream = TcpStream::connect((self.host.trim_matches(['[', ']']), self.port)).await?;
        match &self.tls {
            Some((connector, name)) => {
                exchange(connector.connect(name.clone(), stream).await?, request).await
            }
            None => exchange(stream, request).await,
        }
    }
}

async fn exchange<S>(
    stream: S,
    request: hyper::Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), RequestError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let answer = async move {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX)
            .collect()
            .await
            .map_err(RequestError::Body)?;
        Ok((status, body.to_bytes()))
    };
    // The connection makes the answer progress, and may be done before the answer is read.
    tokio::select! {
        answer = answer => answer,
        Err(error) = connection => Err(error.into()),
    }
}
