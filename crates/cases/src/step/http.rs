//! `http_check`: a request is answered as expected.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use regex::Regex;
use seatrial_engine::{Deadline, EventSource, Look, Mismatch};
use serde_json::{Map, Value as Json};
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;

use super::context::{Fault, Output, StepContext, causes};
use super::delivery::Network;
use crate::{
    http::{ClientIdentity, Expected, FetchError, Request, Response, Trust, Url, connector, fetch},
    json_path::JsonPath,
    vocabulary::HttpCheck,
};

/// An answer that takes longer is given up and asked for again, unless the step has more than twice that time: a server
/// that took a connection before it was ready may never answer on it.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Sends the request until the answer is as expected.
///
/// # Errors
///
/// When it is not in time: with everything that was seen instead.
pub(crate) async fn check(step: &HttpCheck, context: &StepContext<'_>) -> Result<Output, Fault> {
    let call = Call::render(step, context)?;
    let expected = expected(step, context)?;
    let mut wait = context.wait(format!(
        "{} {} to be answered as expected",
        call.request.method, call.shown
    ));
    wait.part = context.part_behind(call.request.url.port());
    let answer = wait
        .until(Pauses::new(), || async {
            match call.ask(context).await {
                Ok(answer) => {
                    let mismatches = expected.mismatches(&answer);
                    if mismatches.is_empty() {
                        Look::Matches(answer)
                    } else {
                        Look::Differs(mismatches)
                    }
                }
                Err(seen) => Look::Differs(vec![Mismatch {
                    field: String::new(),
                    expected: "an answer".to_owned(),
                    seen,
                }]),
            }
        })
        .await;
    match answer {
        Ok(answer) => Ok(output(&answer)),
        Err(mut failure) => {
            if failure.mismatches.is_empty() {
                failure = failure.mismatch("", "an answer", "none yet");
            }
            Err(failure.into())
        }
    }
}

/// Pauses that grow from 10 to 100 ms. Nothing tells when a server would answer differently, so it has to be asked again:
/// soon at first, since targets start fast, and never so often that waiting costs a noticeable part of a core.
pub(crate) struct Pauses(Duration);

impl Pauses {
    pub(crate) fn new() -> Self {
        Self(Duration::from_millis(10))
    }
}

impl EventSource for Pauses {
    async fn changed(&mut self) {
        // Nothing tells, as said above.
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 3 / 2).min(Duration::from_millis(100));
    }
}

/// A request with all that it takes to send it.
struct Call {
    request: Request,
    /// The address as it was written.
    shown: String,
    /// A Unix socket, instead of the address's host and port.
    socket: Option<PathBuf>,
    trust: Trust,
    identity: Option<ClientIdentity>,
    /// What [`Self::tls`] made.
    made: OnceLock<TlsConnector>,
}

impl Call {
    fn render(step: &HttpCheck, context: &StepContext<'_>) -> Result<Self, Fault> {
        let scope = context.scope;
        let bad = |what: &str, text: &str| Fault::errored(format!("`{text}` is no {what} of a request"));
        let shown = step.url.render(scope)?;
        let (socket, address) = match shown.strip_prefix("http+unix://") {
            Some(rest) => {
                let (path, resource) = rest.split_once(':').unwrap_or((rest, "/"));
                (
                    Some(context.part_path(path)?),
                    format!("http://localhost{resource}"),
                )
            }
            None => (None, shown.clone()),
        };
        let url: Url = address
            .parse()
            .map_err(|error| Fault::errored(format!("{error}")))?;
        let method = step.method.render(scope)?;
        let method = method
            .to_uppercase()
            .parse()
            .map_err(|_| bad("method", &method))?;
        let mut headers = Vec::new();
        for (name, value) in &step.headers {
            let value = value.render(scope)?;
            let name: HeaderName = name.parse().map_err(|_| bad("header name", name))?;
            let value = HeaderValue::from_str(&value).map_err(|_| bad("header value", &value))?;
            headers.push((name, value));
        }
        let body = match step.body.as_ref().map(|body| body.render(scope)).transpose()? {
            None => Bytes::new(),
            Some(Json::String(text)) => Bytes::from(text),
            Some(value) => {
                if !headers.iter().any(|(name, _)| name == CONTENT_TYPE) {
                    headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
                }
                Bytes::from(value.to_string())
            }
        };
        let file = |path: &Option<crate::template::Templated<String>>| -> Result<Option<PathBuf>, Fault> {
            Ok(path
                .as_ref()
                .map(|path| path.render(scope))
                .transpose()?
                .map(|path| context.dir.join(path)))
        };
        let trust = match (step.insecure, file(&step.ca)?) {
            (true, _) => Trust::Anyone,
            (false, Some(path)) => Trust::Authority(path),
            (false, None) => Trust::System,
        };
        let identity = file(&step.client_certificate)?
            .zip(file(&step.client_key)?)
            .map(|(certificate, key)| ClientIdentity { certificate, key });
        let request = Request {
            method,
            url,
            headers,
            body,
        };
        Ok(Self {
            request,
            shown,
            socket,
            trust,
            identity,
            made: OnceLock::new(),
        })
    }

    /// One answer, or why there is none, on a line.
    async fn ask(&self, context: &StepContext<'_>) -> Result<Response, String> {
        let within = ANSWER_WITHIN.max(context.timeout / 2);
        match Deadline::after(within).bound(self.ask_patiently(context)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {within:?}")),
        }
    }

    async fn ask_patiently(&self, context: &StepContext<'_>) -> Result<Response, String> {
        let said = |error: FetchError| error.to_string();
        if let Some(path) = &self.socket {
            let stream = UnixStream::connect(path)
                .await
                .map_err(|error| said(FetchError::Connect(error)))?;
            return fetch(&self.request, stream, None).await.map_err(said);
        }
        let url = &self.request.url;
        let tls = self.tls()?;
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host((url.host(), url.port()))
            .await
            .map_err(|_| format!("the name `{}` is not known", url.host()))?
            .collect();
        let mut refused = format!("the name `{}` has no address", url.host());
        for address in addresses {
            match Network(Some(context.group)).tcp(address).await {
                Ok(stream) => return fetch(&self.request, stream, tls.as_ref()).await.map_err(said),
                Err(error) => refused = said(FetchError::Connect(error)),
            }
        }
        Err(refused)
    }
}

impl Call {
    /// What opens TLS, where the address asks for it. Files that the case names are read anew each time: a target may make
    /// its certificates when it starts. The machine's own are many, and read once.
    fn tls(&self) -> Result<Option<TlsConnector>, String> {
        if !self.request.url.is_tls() {
            return Ok(None);
        }
        let make = || connector(&self.trust, self.identity.as_ref()).map_err(|error| causes(&error));
        match (&self.trust, &self.identity) {
            (Trust::System | Trust::Anyone, None) => match self.made.get() {
                Some(made) => Ok(Some(made.clone())),
                None => make().map(|made| Some(self.made.get_or_init(|| made).clone())),
            },
            _ => make().map(Some),
        }
    }
}

fn expected(step: &HttpCheck, context: &StepContext<'_>) -> Result<Expected, Fault> {
    let scope = context.scope;
    let mut expected = Expected {
        status: step.status.clone(),
        headers: Vec::new(),
        contains: Vec::new(),
        matches: Vec::new(),
        json: Vec::new(),
    };
    for (name, value) in &step.response_headers {
        expected.headers.push((name.to_lowercase(), value.render(scope)?));
    }
    if let Some(text) = &step.body_contains {
        expected.contains.push(text.render(scope)?);
    }
    if let Some(text) = &step.body_regex {
        let text = text.render(scope)?;
        let regex = Regex::new(&text).map_err(|error| Fault::errored(format!("`{text}`: {error}")))?;
        expected.matches.push(regex);
    }
    for (path, value) in &step.json {
        let path: JsonPath = path.parse().map_err(|error| Fault::errored(format!("{error}")))?;
        expected.json.push((path, value.render(scope)?));
    }
    Ok(expected)
}

fn output(answer: &Response) -> Output {
    let mut headers = Map::new();
    for (name, value) in &answer.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.entry(name.as_str()).or_insert(Json::String(value));
    }
    Output::main("body", String::from_utf8_lossy(&answer.body))
        .with("status", answer.status)
        .with("header", Json::Object(headers))
}
