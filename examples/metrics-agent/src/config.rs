//! The configuration: its keys, their defaults, and what makes one valid.
//!
//! It is flat on purpose. One name is a key in the file, in `PUT /config`, and, in capitals after
//! `METRICS_AGENT_`, in the environment.

mod duration;
mod source;

pub use source::{ConfigError, Source};

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::defect::Defect;
use crate::log::Level;
use crate::summary::Aggregate;

/// Keys that may change while the agent runs.
pub const LIVE_KEYS: &[&str] = &[
    "contexts_max",
    "flush_interval",
    "histogram_aggregates",
    "log_level",
    "tags",
];

/// What the API shows instead of a secret.
const MASK: &str = "********";

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Lines less important than this are not logged.
    pub log_level: Level,
    /// The name of this host; unset, it is the kernel's.
    pub hostname: Option<String>,
    /// Added to everything that is forwarded.
    pub tags: Vec<String>,

    /// Where DogStatsD datagrams arrive by UDP; empty, nowhere.
    #[serde(deserialize_with = "empty_is_none")]
    pub dogstatsd_udp: Option<SocketAddr>,
    /// Where they arrive on a Unix datagram socket; unset, nowhere.
    pub dogstatsd_unix: Option<PathBuf>,

    /// How long a bucket is. `0s`: a flush happens only when it is asked for, and at the end.
    #[serde(with = "duration")]
    pub flush_interval: Duration,
    /// What becomes of histograms, timers and distributions.
    pub histogram_aggregates: Vec<Aggregate>,
    /// So many contexts fit into a bucket.
    pub contexts_max: usize,

    /// Where flushed buckets go.
    pub output: OutputKind,
    /// For `output: file`: where to append.
    pub output_file: Option<PathBuf>,
    /// For `output: http`: the receiver, `http://host:port` or `https://…`.
    pub forward_url: Option<String>,
    /// Sent along as `DD-API-KEY`.
    pub forward_api_key: Option<String>,
    /// PEM file of the authorities that may vouch for an `https` receiver.
    pub forward_ca: Option<PathBuf>,
    /// How long the receiver may take to answer.
    #[serde(with = "duration")]
    pub forward_timeout: Duration,
    /// So many payloads wait while the receiver is away; then the oldest are dropped.
    pub forward_queue_max: usize,
    /// So often is a payload tried again before it is dropped.
    pub forward_retries_max: u32,
    /// The wait before the first retry; it doubles with each.
    #[serde(with = "duration")]
    pub forward_backoff_min: Duration,
    /// The longest wait before a retry.
    #[serde(with = "duration")]
    pub forward_backoff_max: Duration,

    /// Where the API listens; unset, there is none.
    pub api_listen: Option<SocketAddr>,
    /// PEM file of the API's certificate chain. With it, the API speaks TLS.
    pub api_certificate: Option<PathBuf>,
    /// PEM file of the API's private key.
    pub api_key_file: Option<PathBuf>,
    /// PEM file of the authorities whose clients may use the API; unset, no certificate is asked for.
    pub api_client_ca: Option<PathBuf>,

    /// How long the last payloads may take at shutdown.
    #[serde(with = "duration")]
    pub shutdown_timeout: Duration,
}

/// Where flushed buckets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputKind {
    /// To a receiver, as Datadog's v1 API.
    Http,
    /// To a file, as JSON lines.
    File,
    /// To stdout, as JSON lines.
    Stdout,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            log_level: Level::Info,
            hostname: None,
            tags: Vec::new(),
            dogstatsd_udp: Some(SocketAddr::from(([127, 0, 0, 1], 8125))),
            dogstatsd_unix: None,
            flush_interval: Duration::from_secs(10),
            histogram_aggregates: vec![
                Aggregate::Avg,
                Aggregate::Count,
                Aggregate::Max,
                Aggregate::Median,
                Aggregate::P95,
            ],
            contexts_max: 100_000,
            output: OutputKind::Stdout,
            output_file: None,
            forward_url: None,
            forward_api_key: None,
            forward_ca: None,
            forward_timeout: Duration::from_secs(10),
            forward_queue_max: 100,
            forward_retries_max: 10,
            forward_backoff_min: Duration::from_millis(100),
            forward_backoff_max: Duration::from_secs(30),
            api_listen: None,
            api_certificate: None,
            api_key_file: None,
            api_client_ca: None,
            shutdown_timeout: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// Says what does not fit together.
    ///
    /// # Errors
    ///
    /// The first thing that does not.
    pub fn validate(&self) -> Result<(), Invalid> {
        if !self.flush_interval.is_zero() && self.flush_interval < Duration::from_millis(10) {
            return Err(Invalid("flush_interval is shorter than 10ms"));
        }
        if self.output == OutputKind::Http && self.forward_url.is_none() {
            return Err(Invalid("output is http, but forward_url is not set"));
        }
        if self.output == OutputKind::File && self.output_file.is_none() {
            return Err(Invalid("output is file, but output_file is not set"));
        }
        if self.forward_queue_max == 0 {
            return Err(Invalid("forward_queue_max is 0"));
        }
        if self.api_certificate.is_some() != self.api_key_file.is_some() {
            return Err(Invalid("api_certificate and api_key_file need each other"));
        }
        if self.api_client_ca.is_some() && self.api_certificate.is_none() {
            return Err(Invalid("api_client_ca needs api_certificate"));
        }
        Ok(())
    }

    /// This configuration with secrets masked, for others to see.
    pub fn masked(&self) -> Self {
        let mut config = self.clone();
        if let Some(key) = config
            .forward_api_key
            .as_mut()
            .filter(|_| !Defect::ApiKeyShown.is_on())
        {
            MASK.clone_into(key);
        }
        config
    }

    /// The configured name of this host, or the kernel's.
    pub fn host(&self) -> String {
        self.hostname.clone().unwrap_or_else(|| {
            let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            name.trim().to_owned()
        })
    }
}

/// TOML has no null, and this key has a default that one may not want.
fn empty_is_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text: Option<String> = Deserialize::deserialize(deserializer)?;
    match text.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|_| de::Error::custom(format!("bad address `{text}`"))),
    }
}

/// Values that are right each, and wrong together.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(&'static str);
