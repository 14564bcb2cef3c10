//! Delivery over HTTP: a bounded queue, one payload in flight, retries with back-off.
//!
//! A receiver that is away must cost neither memory nor the newest data: the queue has a bound, and
//! what is dropped is the oldest. What the receiver refuses for good (a 4xx) is not tried again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::HeaderName;
use hyper::{Method, StatusCode};
use tokio::sync::{Notify, watch};

use crate::config::Config;
use crate::defect::Defect;
use crate::http::{Client, ClientFiles, UrlError};
use crate::log;
use crate::series::{Batch, SeriesBody};
use crate::telemetry::Telemetry;

/// The header that carries the API key.
pub const API_KEY_HEADER: HeaderName = HeaderName::from_static("dd-api-key");

/// Sends what is queued.
pub struct Forwarder {
    client: Client,
    settings: Settings,
    queue: Mutex<VecDeque<Payload>>,
    /// Payloads queued or in flight.
    pending: watch::Sender<usize>,
    queued: Notify,
    hurry: watch::Sender<bool>,
    telemetry: Arc<Telemetry>,
}

struct Settings {
    api_key: Option<String>,
    timeout: Duration,
    queue_max: usize,
    retries_max: u32,
    backoff_min: Duration,
    backoff_max: Duration,
}

/// One request to be made.
#[derive(Debug)]
struct Payload {
    path: &'static str,
    body: Bytes,
}

/// How one attempt went.
enum Attempt {
    Accepted,
    /// Trying again would change nothing.
    Refused(StatusCode),
    Failed(String),
}

impl Forwarder {
    /// A forwarder to `url`, with everything else from `config`.
    ///
    /// # Errors
    ///
    /// The URL or the file of authorities cannot be used.
    pub fn new(url: &str, config: &Config, telemetry: Arc<Telemetry>) -> Result<Self, UrlError> {
        let files = ClientFiles {
            ca: config.forward_ca.clone(),
            identity: None,
        };
        Ok(Self {
            client: Client::new(url, &files)?,
            settings: Settings {
                api_key: config.forward_api_key.clone(),
                timeout: config.forward_timeout,
                queue_max: config.forward_queue_max,
                retries_max: config.forward_retries_max,
                backoff_min: config.forward_backoff_min,
                backoff_max: config.forward_backoff_max,
            },
            queue: Mutex::default(),
            pending: watch::Sender::new(0),
            queued: Notify::new(),
            hurry: watch::Sender::new(false),
            telemetry,
        })
    }

    /// Queues a batch: one payload for all series, one for each event, one for all checks.
    pub fn push(&self, batch: Batch) {
        if !batch.series.is_empty() {
            self.push_payload("/api/v1/series", &SeriesBody { series: batch.series });
        }
        for event in batch.events {
            self.push_payload("/api/v1/events", &event);
        }
        if !batch.checks.is_empty() {
            self.push_payload("/api/v1/check_run", &batch.checks);
        }
    }

    fn push_payload(&self, path: &'static str, body: &impl serde::Serialize) {
        let body = match serde_json::to_vec(body) {
            Ok(body) => Bytes::from(body),
            Err(error) => return log::error!("forwarder", "{path}: {error}"),
        };
        let mut queue = self.queue();
        if queue.len() >= self.settings.queue_max && !Defect::QueueUnbounded.is_on() {
            queue.pop_front();
            self.telemetry.payloads_dropped.increment();
            log::warning!("forwarder", "queue is full, dropped the oldest payload");
        } else {
            self.pending.send_modify(|pending| *pending += 1);
        }
        queue.push_back(Payload { path, body });
        drop(queue);
        self.queued.notify_one();
    }

    /// Payloads that wait, without the one in flight.
    pub fn queue_length(&self) -> usize {
        self.queue().len()
    }

    /// Waits until every payload is delivered or given up.
    pub async fn idle(&self) {
        // The sender is a field of this, so it outlives the wait.
        let _ = self.pending.subscribe().wait_for(|pending| *pending == 0).await;
    }

    /// From now on, retries wait no longer than the shortest back-off: the agent is about to end.
    pub fn hurry(&self) {
        self.hurry.send_replace(true);
    }

    /// Delivers until it is dropped.
    pub async fn run(self: Arc<Self>) {
        loop {
            let next = self.queue().pop_front();
            match next {
                Some(payload) => {
                    self.deliver(payload).await;
                    self.pending.send_modify(|pending| *pending -= 1);
                }
                None => self.queued.notified().await,
            }
        }
    }

    async fn deliver(&self, payload: Payload) {
        let mut backoff = self.settings.backoff_min;
        let mut retries = 0;
        loop {
            let reason = match self.attempt(&payload).await {
                Attempt::Accepted => {
                    self.telemetry.payloads_sent.increment();
                    return log::debug!(
                        "forwarder",
                        "{}: {} bytes delivered",
                        payload.path,
                        payload.body.len()
                    );
                }
                Attempt::Refused(status) if !Defect::RetriesForever.is_on() => {
                    self.telemetry.payloads_dropped.increment();
                    return log::error!("forwarder", "{}: refused with {status}, dropped", payload.path);
                }
                Attempt::Refused(status) => status.to_string(),
                Attempt::Failed(reason) => reason,
            };
            if retries >= self.settings.retries_max || Defect::NoRetry.is_on() {
                self.telemetry.payloads_dropped.increment();
                return log::error!(
                    "forwarder",
                    "{}: {reason}, dropped after {retries} retries",
                    payload.path
                );
            }
            retries += 1;
            self.telemetry.payloads_retried.increment();
            log::warning!(
                "forwarder",
                "{}: {reason}, retry {retries} in {} ms",
                payload.path,
                backoff.as_millis()
            );
            self.wait(backoff).await;
            backoff = (backoff * 2).min(self.settings.backoff_max);
        }
    }

    async fn wait(&self, backoff: Duration) {
        let hurried = async {
            let _ = self.hurry.subscribe().wait_for(|hurry| *hurry).await;
            tokio::time::sleep(self.settings.backoff_min).await;
        };
        tokio::select! {
            () = tokio::time::sleep(backoff) => {}
            () = hurried => {}
        }
    }

    async fn attempt(&self, payload: &Payload) -> Attempt {
        let key = self
            .settings
            .api_key
            .as_deref()
            .filter(|_| !Defect::ApiKeyMissing.is_on());
        let headers: Vec<_> = key.map(|key| (API_KEY_HEADER, key)).into_iter().collect();
        let request = self
            .client
            .send(Method::POST, payload.path, &headers, payload.body.clone());
        match tokio::time::timeout(self.settings.timeout, request).await {
            Err(_) => Attempt::Failed(format!("no answer in {} ms", self.settings.timeout.as_millis())),
            Ok(Err(error)) => Attempt::Failed(error.to_string()),
            Ok(Ok((status, _))) if status.is_success() => Attempt::Accepted,
            Ok(Ok((status, _))) => match status {
                StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                    Attempt::Failed(status.to_string())
                }
                status if status.is_client_error() => Attempt::Refused(status),
                status => Attempt::Failed(status.to_string()),
            },
        }
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Payload>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
