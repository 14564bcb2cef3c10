//! Where flushed buckets go: a receiver, a file or stdout.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, OutputKind};
use crate::defect::Defect;
use crate::forwarder::Forwarder;
use crate::http::UrlError;
use crate::log;
use crate::series::Batch;
use crate::telemetry::Telemetry;

/// Takes batches.
pub struct Output {
    destination: Destination,
    telemetry: Arc<Telemetry>,
}

enum Destination {
    Http(Arc<Forwarder>),
    File(PathBuf),
    Stdout,
}

impl Output {
    /// The output that `config` asks for.
    ///
    /// # Errors
    ///
    /// The receiver's URL cannot be used.
    pub fn new(config: &Config, telemetry: Arc<Telemetry>) -> Result<Self, UrlError> {
        let destination = match config.output {
            OutputKind::Http => {
                let url = config.forward_url.as_deref().unwrap_or_default();
                Destination::Http(Arc::new(Forwarder::new(url, config, Arc::clone(&telemetry))?))
            }
            OutputKind::File => Destination::File(config.output_file.clone().unwrap_or_default()),
            OutputKind::Stdout => Destination::Stdout,
        };
        Ok(Self {
            destination,
            telemetry,
        })
    }

    /// The part that delivers in the background, if this output has one.
    pub fn forwarder(&self) -> Option<&Arc<Forwarder>> {
        match &self.destination {
            Destination::Http(forwarder) => Some(forwarder),
            Destination::File(_) | Destination::Stdout => None,
        }
    }

    /// Writes or queues a batch. Failures are logged and counted: the agent goes on.
    pub fn push(&self, batch: Batch) {
        let written = match &self.destination {
            Destination::Http(forwarder) => return forwarder.push(batch),
            Destination::File(path) => append(path, &batch),
            Destination::Stdout if Defect::StdoutSilent.is_on() => Ok(()),
            Destination::Stdout => {
                to_text(&batch).and_then(|text| io::stdout().lock().write_all(text.as_bytes()))
            }
        };
        match written {
            Ok(()) => self.telemetry.payloads_sent.increment(),
            Err(error) => {
                self.telemetry.payloads_dropped.increment();
                log::error!("output", "cannot write: {error}");
            }
        }
    }

    /// Waits until everything is delivered or given up, at most for `patience`.
    pub async fn drain(&self, patience: Duration) -> Drained {
        match self.forwarder() {
            Some(forwarder) if tokio::time::timeout(patience, forwarder.idle()).await.is_err() => {
                Drained::Partly
            }
            _ => Drained::Fully,
        }
    }
}

/// Whether there was time to deliver everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Nothing is left.
    Fully,
    /// Payloads still wait.
    Partly,
}

fn append(path: &PathBuf, batch: &Batch) -> io::Result<()> {
    let truncate = Defect::FileTruncated.is_on();
    let mut file = OpenOptions::new()
        .create(true)
        .append(!truncate)
        .write(true)
        .truncate(truncate)
        .open(path)?;
    file.write_all(to_text(batch)?.as_bytes())
}

fn to_text(batch: &Batch) -> io::Result<String> {
    batch.to_lines().map_err(io::Error::other)
}
