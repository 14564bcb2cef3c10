//! One request, one answer.

use std::fmt;
use std::io;
use std::str::FromStr;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::ServerName;

/// A body longer than this is not an answer that a check can be about.
const BODY_BYTES_MAX: usize = 16 << 20;

/// An `http` or `https` address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    uri: Uri,
    tls: bool,
    host: String,
    port: u16,
}

/// An address that cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` is no address to ask: {reason}")]
pub(crate) struct UrlError {
    url: String,
    reason: String,
}

/// What to ask.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why nothing came back, in words that fit on a line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("{}", plainly(.0))]
    Connect(#[source] io::Error),
    #[error("TLS: {}", plainly(.0))]
    Tls(#[source] io::Error),
    #[error("`{0}` is no name that a TLS server can have")]
    ServerName(String),
    #[error("connection closed before an answer")]
    Closed,
    #[error("no valid HTTP answer: {0}")]
    Http(#[source] hyper::Error),
    #[error("connection closed in the middle of the answer's body")]
    Body,
    #[error("the body is longer than 16 MiB")]
    TooLong,
}

impl Url {
    /// The host to connect to, without brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The port to connect to.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Whether to speak TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.tls
    }

    /// What follows the host, as it stands in a request's first line.
    pub(crate) fn path(&self) -> &str {
        self.uri.path_and_query().map_or("/", |path| path.as_str())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        let error = |reason: &str| UrlError {
            url: url.to_owned(),
            reason: reason.to_owned(),
        };
        let uri: Uri = url
            .parse()
            .map_err(|source: hyper::http::uri::InvalidUri| error(&source.to_string()))?;
        let (tls, default_port) = match uri.scheme_str() {
            Some("http") => (false, 80),
            Some("https") => (true, 443),
            Some(other) => return Err(error(&format!("`{other}` is neither http nor https"))),
            None => return Err(error("it does not start with http:// or https://")),
        };
        let host = uri
            .host()
            .filter(|host| !host.is_empty())
            .ok_or_else(|| error("it has no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            return Err(error("credentials belong into an `Authorization` header"));
        }
        let port = uri.port_u16().unwrap_or(default_port);
        Ok(Self { uri, tls, host, port })
    }
}

/// Asks over this connection; with `tls`, TLS is spoken first.
///
/// # Errors
///
/// When no complete answer comes back.
pub(crate) async fn fetch<C>(
    request: &Request,
    connection: C,
    tls: Option<&TlsConnector>,
) -> Result<Response, FetchError>
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(tls) = tls.filter(|_| request.url.is_tls()) else {
        return exchange(request, connection).await;
    };
    let host = request.url.host();
    let name = ServerName::try_from(host.to_owned()).map_err(|_| FetchError::ServerName(host.to_owned()))?;
    exchange(
        request,
        tls.connect(name, connection).await.map_err(FetchError::Tls)?,
    )
    .await
}

async fn exchange<C>(request: &Request, connection: C) -> Result<Response, FetchError>
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, driver) = http1::handshake(TokioIo::new(connection))
        .await
        .map_err(from_hyper)?;
    let ask = async {
        let response = sender.send_request(build(request)?).await.map_err(from_hyper)?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| match error.is::<LengthLimitError>() {
                true => FetchError::TooLong,
                false => FetchError::Body,
            })?;
        Ok(Response {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.to_bytes(),
        })
    };
    // Both halves are driven here rather than in a task, so that dropping the step closes the connection.
    tokio::pin!(ask, driver);
    tokio::select! {
        biased;
        answer = &mut ask => answer,
        ended = &mut driver => match ended {
            // The connection is done; what it delivered may still have to be taken.
            Ok(()) => ask.await,
            Err(error) => match ask.await {
                Err(FetchError::Closed) => Err(from_hyper(error)),
                answer => answer,
            },
        },
    }
}

fn build(request: &Request) -> Result<hyper::Request<Full<Bytes>>, FetchError> {
    let mut built = hyper::Request::new(Full::new(request.body.clone()));
    *built.method_mut() = request.method.clone();
    if let Ok(path) = request.url.path().parse() {
        *built.uri_mut() = path;
    }
    let headers = built.headers_mut();
    if let Some(host) = request
        .url
        .uri
        .authority()
        .and_then(|a| HeaderValue::from_str(a.as_str()).ok())
    {
        headers.insert(HOST, host);
    }
    headers.insert(USER_AGENT, HeaderValue::from_static("seatrial"));
    let mut given = HeaderMap::new();
    for (name, value) in &request.headers {
        // The first of a name replaces what is set by default; more of it are added to it.
        if given.append(name.clone(), value.clone()) {
            headers.append(name.clone(), value.clone());
        } else {
            headers.insert(name.clone(), value.clone());
        }
    }
    Ok(built)
}

fn from_hyper(error: hyper::Error) -> FetchError {
    use std::error::Error as _;
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return FetchError::Closed;
    }
    let io = error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>());
    match io {
        // A TLS 1.3 server rejects a client's certificate after the handshake: it comes with the first read.
        Some(io) if tls_error(io).is_some() => FetchError::Tls(io::Error::new(io.kind(), plainly(io))),
        Some(io) if io.kind() == io::ErrorKind::BrokenPipe => FetchError::Closed,
        Some(io) => FetchError::Connect(io::Error::new(io.kind(), plainly(io))),
        None => FetchError::Http(error),
    }
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// An I/O error without the number of the system call's error, and TLS alerts in words.
pub(crate) fn plainly(error: &io::Error) -> String {
    use rustls::{AlertDescription, CertificateError, Error};
    match tls_error(error) {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "the server's certificate is of no authority that is trusted here".to_owned()
        }
        Some(Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => "the server's certificate has expired".to_owned(),
        Some(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => format!("the server's certificate is for another name ({error})"),
        Some(Error::AlertReceived(AlertDescription::CertificateRequired)) => {
            "the server wants a client certificate".to_owned()
        }
        Some(Error::AlertReceived(alert)) => format!("the server refused: {alert:?}"),
        Some(Error::InvalidMessage(_)) => "the server does not speak TLS".to_owned(),
        Some(other) => other.to_string(),
        None => match error.kind() {
            io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
            io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
            io::ErrorKind::UnexpectedEof => "connection closed".to_owned(),
            _ => {
                let text = error.to_string();
                match text.find(" (os error") {
                    Some(end) => text[..end].to_lowercase(),
                    None => text,
                }
            }
        },
    }
}
