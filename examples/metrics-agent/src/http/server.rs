//! Serving: a function from a request to a response, on a listener, with or without TLS.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::BODY_BYTES_MAX;
use crate::log;

/// So many connections are served at a time; further ones wait in the kernel's backlog.
const CONNECTIONS_MAX: usize = 256;

/// How long a TLS handshake, or the head of a request, may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request with its whole body.
#[derive(Debug)]
pub struct Request {
    /// `GET`, `PUT`…
    pub method: Method,
    /// Without the query.
    pub path: String,
    /// What follows the `?`, as it was sent.
    pub query: String,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

/// What is answered.
#[derive(Debug)]
pub struct Response {
    status: StatusCode,
    content_type: &'static str,
    allow: Option<&'static str>,
    body: String,
}

impl Response {
    /// A JSON body.
    pub fn json(status: StatusCode, body: &impl Serialize) -> Self {
        match serde_json::to_string(body) {
            Ok(body) => Self {
                status,
                content_type: "application/json",
                allow: None,
                body,
            },
            Err(error) => Self::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }

    /// `{"error": …}`
    pub fn error(status: StatusCode, message: impl ToString) -> Self {
        Self::json(status, &serde_json::json!({ "error": message.to_string() }))
    }

    /// There is nothing at that path.
    pub fn not_found() -> Self {
        Self::error(StatusCode::NOT_FOUND, "no such path")
    }

    /// There is something at that path, but for other methods.
    pub fn method_not_allowed(allowed: &'static str) -> Self {
        let answer = Self::error(StatusCode::METHOD_NOT_ALLOWED, format_args!("use {allowed}"));
        Self {
            allow: Some(allowed),
            ..answer
        }
    }

    /// A plain text body.
    pub fn text(status: StatusCode, body: String) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            allow: None,
            body,
        }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    fn into_hyper(self) -> hyper::Response<Full<Bytes>> {
        let mut response = hyper::Response::new(Full::from(self.body));
        *response.status_mut() = self.status;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if let Some(allow) = self.allow {
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

/// Serves until it is dropped, and ends its connections then.
pub async fn serve<H, F>(listener: TcpListener, tls: Option<TlsAcceptor>, handler: H) -> Infallible
where
    H: Fn(Request) -> F + Clone + Send + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => match tls.clone() {
                    Some(tls) => {
                        let handler = handler.clone();
                        connections.spawn(async move {
                            match tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
                                Ok(Ok(stream)) => serve_connection(stream, handler).await,
                                Ok(Err(error)) => log::warning!("http", "TLS handshake failed: {error}"),
                                Err(_) => log::warning!("http", "TLS handshake failed: timed out"),
                            }
                        });
                    }
                    None => {
                        connections.spawn(serve_connection(stream, handler.clone()));
                    }
                },
                Err(error) => {
                    // Out of file descriptors, most likely: accepting again at once would spin.
                    log::error!("http", "cannot accept: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection<S, H, F>(stream: S, handler: H)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request) -> F + Clone + Send + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let handler = handler.clone();
        async move {
            let (head, body) = request.into_parts();
            let response = match Limited::new(body, BODY_BYTES_MAX).collect().await {
                Ok(body) => {
                    let request = Request {
                        method: head.method,
                        path: head.uri.path().to_owned(),
                        query: head.uri.query().unwrap_or_default().to_owned(),
                        headers: head.headers,
                        body: body.to_bytes(),
                    };
                    handler(request).await
                }
                Err(error) => Response::error(StatusCode::BAD_REQUEST, error),
            };
            Ok::<_, Infallible>(response.into_hyper())
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        // A client may close its half and still wait for the answer.
        .half_close(true)
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        log::debug!("http", "connection ended: {error}");
    }
}
