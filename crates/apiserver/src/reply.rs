//! Responses, and the one body type that all of them have.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::{Frame, SizeHint};
use serde_json::Value;

use crate::{
    json,
    media::{Accepted, Encoding},
    status::{Status, serde_json_ordered},
    yaml,
};

/// A response body: what is ready at once, then what comes.
pub struct Body {
    ready: VecDeque<Bytes>,
    stream: Option<Pin<Box<dyn Stream<Item = Bytes> + Send>>>,
}

impl Body {
    /// A body of one piece.
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        Self {
            ready: VecDeque::from([bytes.into()]),
            stream: None,
        }
    }

    /// A body of several pieces.
    pub(crate) fn chunks(chunks: VecDeque<Bytes>) -> Self {
        Self {
            ready: chunks,
            stream: None,
        }
    }

    /// A body that goes on.
    pub(crate) fn stream(stream: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self {
            ready: VecDeque::new(),
            stream: Some(Box::pin(stream)),
        }
    }

    /// The pieces, if nothing more comes.
    pub(crate) fn take_ready(&mut self) -> Option<VecDeque<Bytes>> {
        self.stream.is_none().then(|| std::mem::take(&mut self.ready))
    }

    pub(crate) fn ready_len(&self) -> usize {
        self.ready.iter().map(Bytes::len).sum()
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.stream.is_some()
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body")
            .field("ready", &self.ready_len())
            .field("goes_on", &self.is_stream())
            .finish()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(bytes) = self.ready.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match &mut self.stream {
            Some(stream) => stream
                .as_mut()
                .poll_next(cx)
                .map(|next| next.map(|bytes| Ok(Frame::data(bytes)))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ready.is_empty() && self.stream.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.stream.is_some() {
            SizeHint::default()
        } else {
            SizeHint::with_exact(self.ready_len() as u64)
        }
    }
}

/// A response.
pub type Reply = Response<Body>;

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Bytes of a media type.
pub(crate) fn bytes(status: u16, content_type: &str, body: Body) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = code(status);
    if let Ok(value) = HeaderValue::from_str(content_type) {
        reply.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    reply
}

/// Plain text.
pub(crate) fn text(status: u16, body: impl Into<String>) -> Reply {
    let mut reply = bytes(status, "text/plain; charset=utf-8", Body::full(body.into()));
    reply
        .headers_mut()
        .insert("X-Content-Type-Options", HeaderValue::from_static("nosniff"));
    reply
}

/// What the mux says where nothing is.
pub(crate) fn page_not_found() -> Reply {
    text(404, "404 page not found\n")
}

/// A tree, in the encoding that was negotiated, its keys in the order they have.
pub(crate) fn tree(status: u16, accepted: &Accepted, value: &Value) -> Reply {
    let body = match accepted.encoding {
        Encoding::Json => {
            let mut out = serde_json_ordered(value);
            out.push(b'\n');
            out
        }
        Encoding::Yaml => yaml::to_string(value).into_bytes(),
    };
    bytes(status, &accepted.content_type, Body::full(body))
}

/// An object's JSON bytes, re-encoded if need be.
pub(crate) fn object(status: u16, accepted: &Accepted, bytes_of: Bytes) -> Reply {
    match accepted.encoding {
        Encoding::Json => {
            let chunks = VecDeque::from([bytes_of, Bytes::from_static(b"\n")]);
            bytes(status, &accepted.content_type, Body::chunks(chunks))
        }
        Encoding::Yaml => {
            let value = json::parse(&bytes_of)
                .map(|parsed| parsed.value)
                .unwrap_or_default();
            bytes(
                status,
                &accepted.content_type,
                Body::full(yaml::to_string(&value)),
            )
        }
    }
}

/// A refusal, in JSON or YAML as the client accepts.
pub(crate) fn refusal(status: &Status, accept: &str) -> Reply {
    let yaml_wanted =
        crate::media::negotiate(accept, false).is_ok_and(|accepted| accepted.encoding == Encoding::Yaml);
    let mut reply = if yaml_wanted {
        bytes(
            status.code,
            "application/yaml",
            Body::full(yaml::to_string(&status.to_value())),
        )
    } else {
        bytes(status.code, "application/json", Body::full(status.to_bytes()))
    };
    if let Some(after) = status
        .details
        .as_ref()
        .map(|details| details.retry_after_s)
        .filter(|after| *after > 0)
    {
        reply
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(after));
    }
    reply
}

/// Adds `Warning` headers, as upstream writes them.
pub(crate) fn warn(reply: &mut Reply, warnings: &[String]) {
    for warning in warnings {
        let text: String = warning
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_bytes(format!("299 - \"{escaped}\"").as_bytes()) {
            reply.headers_mut().append(header::WARNING, value);
        }
    }
}
