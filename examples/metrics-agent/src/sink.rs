//! `metrics-agent sink`: a receiver that a test can ask what it got, and tell how to answer.
//!
//! It stands where the real receiver would, in the agent's own binary, so that a test needs one
//! program wherever it runs.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;

use crate::dogstatsd::{Check, Event};
use crate::forwarder::API_KEY_HEADER;
use crate::http::{self, Request, Response, TlsError};
use crate::log;
use crate::series::{Series, SeriesBody, SeriesType};

/// So many series, events and checks are kept, each; then payloads are answered with 507.
const ITEMS_MAX: usize = 1_000_000;

/// What the command line says.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Where to listen.
    pub listen: SocketAddr,
    /// PEM files of the certificate chain and its key; with them, the sink speaks TLS.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Why the sink ended, or never began.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The socket cannot be had.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The TLS files cannot be used.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] TlsError),
    /// The process cannot be told about signals.
    #[error("cannot handle signals: {0}")]
    Signals(io::Error),
}

/// Everything that was received, as `GET /received` shows it.
#[derive(Debug, Default, Serialize)]
struct Received {
    /// Payloads that arrived, refused ones too.
    requests: u64,
    /// Payloads that were answered with an error.
    refused: u64,
    /// The API key of the last payload.
    api_key: Option<String>,
    series: Vec<Series>,
    events: Vec<Event>,
    checks: Vec<Check>,
    #[serde(skip)]
    answer: Answer,
}

/// How payloads are answered from now on: the body of `PUT /answer`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Answer {
    /// The status.
    status: u16,
    /// So many times; then 202 again. 0 is always.
    times: u64,
    /// The wait before each answer.
    delay_ms: u64,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            status: 202,
            times: 0,
            delay_ms: 0,
        }
    }
}

/// One metric in short, whatever the number of flushes it took: `GET /received/<metric>`.
#[derive(Debug, PartialEq, Serialize)]
struct Summary {
    metric: String,
    #[serde(rename = "type")]
    kind: SeriesType,
    /// How many different sets of tags there were.
    contexts: usize,
    points: usize,
    /// Of all points.
    sum: f64,
    /// The value of the last point.
    last: f64,
    /// The tags of the last point, joined by commas.
    tags: String,
    /// The host of the last point.
    host: String,
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
///
/// It could not start.
pub async fn run(options: Options) -> Result<(), SinkError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(SinkError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(SinkError::Signals)?;
    let bind_error = |error| SinkError::Bind {
        address: options.listen,
        error,
    };
    let listener = TcpListener::bind(options.listen).await.map_err(bind_error)?;
    log::info!(
        "sink",
        "listening on {}",
        listener.local_addr().map_err(bind_error)?
    );
    let tls = match &options.identity {
        Some((certificate, key)) => Some(TlsAcceptor::from(http::server_config(certificate, key, None)?)),
        None => None,
    };
    let received = Arc::new(Mutex::new(Received::default()));
    tokio::select! {
        never = http::serve(listener, tls, move |request| handle(Arc::clone(&received), request)) => match never {},
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

async fn handle(received: Arc<Mutex<Received>>, request: Request) -> Response {
    let (response, delay) = {
        let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
        match (&request.method, request.path.as_str()) {
            (&Method::POST, _) => received.take(&request),
            (&Method::PUT, "/answer") => (received.set_answer(&request.body), Duration::ZERO),
            (&Method::GET, path) => (received.show(path, &request.query), Duration::ZERO),
            _ => (Response::not_found(), Duration::ZERO),
        }
    };
    tokio::time::sleep(delay).await;
    response
}

impl Received {
    fn take(&mut self, request: &Request) -> (Response, Duration) {
        self.requests += 1;
        let key = request
            .headers
            .get(API_KEY_HEADER)
            .and_then(|key| key.to_str().ok());
        self.api_key = key.map(str::to_owned);
        let delay = Duration::from_millis(self.answer.delay_ms);
        let told = StatusCode::from_u16(self.answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match self.answer.times {
            0 => {}
            1 => self.answer = Answer::default(),
            times => self.answer.times = times - 1,
        }
        let response = if told.is_success() {
            self.keep(request, told)
        } else {
            Response::error(told, "as told")
        };
        if !response.status().is_success() {
            self.refused += 1;
        }
        log::info!(
            "sink",
            "{}: {} bytes, {}",
            request.path,
            request.body.len(),
            response.status()
        );
        (response, delay)
    }

    fn keep(&mut self, request: &Request, status: StatusCode) -> Response {
        let kept = match request.path.as_str() {
            "/api/v1/series" => serde_json::from_slice::<SeriesBody>(&request.body)
                .map(|body| self.series.extend(body.series)),
            "/api/v1/events" => serde_json::from_slice(&request.body).map(|event| self.events.push(event)),
            "/api/v1/check_run" => {
                serde_json::from_slice::<Vec<Check>>(&request.body).map(|checks| self.checks.extend(checks))
            }
            _ => return Response::not_found(),
        };
        match kept {
            Err(error) => Response::error(StatusCode::BAD_REQUEST, error),
            Ok(())
                if [self.series.len(), self.events.len(), self.checks.len()]
                    .iter()
                    .any(|n| *n > ITEMS_MAX) =>
            {
                Response::error(StatusCode::INSUFFICIENT_STORAGE, "the sink is full")
            }
            Ok(()) => Response::json(status, &json!({ "status": "ok" })),
        }
    }

    fn set_answer(&mut self, body: &[u8]) -> Response {
        match serde_json::from_slice(body) {
            Ok(answer) => {
                self.answer = answer;
                Response::json(StatusCode::OK, &json!({}))
            }
            Err(error) => Response::error(StatusCode::BAD_REQUEST, error),
        }
    }

    fn show(&self, path: &str, query: &str) -> Response {
        match path {
            "/health" => Response::json(StatusCode::OK, &json!({ "status": "ok" })),
            "/received" => Response::json(StatusCode::OK, self),
            path => match path
                .strip_prefix("/received/")
                .and_then(|metric| self.summary(metric, query))
            {
                Some(summary) => Response::json(StatusCode::OK, &summary),
                None => Response::error(StatusCode::NOT_FOUND, "not received"),
            },
        }
    }

    /// `query` is `tags=a,b` for the series with just these tags, or empty for all.
    fn summary(&self, metric: &str, query: &str) -> Option<Summary> {
        let wanted = query.strip_prefix("tags=");
        let mut contexts = BTreeSet::new();
        let mut summary: Option<Summary> = None;
        for series in self.series.iter().filter(|series| series.metric == metric) {
            let tags = series.tags.join(",");
            if wanted.is_some_and(|wanted| wanted != tags) {
                continue;
            }
            contexts.insert(tags.clone());
            let so_far = summary.get_or_insert_with(|| Summary {
                metric: metric.to_owned(),
                kind: series.kind,
                contexts: 0,
                points: 0,
                sum: 0.0,
                last: 0.0,
                tags: String::new(),
                host: String::new(),
            });
            for (_, value) in &series.points {
                so_far.points += 1;
                so_far.sum += value;
                so_far.last = *value;
            }
            so_far.tags = tags;
            so_far.host.clone_from(&series.host);
        }
        summary.map(|summary| Summary {
            contexts: contexts.len(),
            ..summary
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(tags: &[&str], value: f64) -> Series {
        Series {
            metric: "page.views".into(),
            kind: SeriesType::Count,
            points: vec![(1000, value)],
            interval: 10,
            host: "host".into(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        }
    }

    #[test]
    fn a_metric_in_short() {
        let received = Received {
            series: vec![
                series(&["a", "b"], 3.0),
                series(&[], 5.0),
                series(&["a", "b"], 4.0),
            ],
            ..Received::default()
        };
        let all = received.summary("page.views", "").unwrap();
        assert_eq!((all.contexts, all.points, all.sum, all.last), (2, 3, 12.0, 4.0));
        let some = received.summary("page.views", "tags=a,b").unwrap();
        assert_eq!(
            (some.contexts, some.points, some.sum, &*some.tags),
            (1, 2, 7.0, "a,b")
        );
        assert_eq!(received.summary("page.clicks", ""), None);
    }
}
