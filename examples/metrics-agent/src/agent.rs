//! The agent: its parts put together, and its life from start to the last flush.
//!
//! Everything runs on one thread. An agent should be a good neighbour to what it watches, and between
//! two awaits nothing else happens: a datagram that was read is in the bucket before anyone flushes.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::aggregator::{Added, Aggregator, Context, Settings};
use crate::api;
use crate::config::{Config, ConfigError, Source};
use crate::defect::Defect;
use crate::dogstatsd;
use crate::http::{self, TlsError, UrlError};
use crate::listener::{DATAGRAM_BYTES_MAX, Listener, ListenerKind};
use crate::log;
use crate::output::{Drained, Output};
use crate::telemetry::Telemetry;

/// So many datagrams are taken from a socket before a flush: more than a socket's buffer holds, and an end to
/// it when they come faster than they are taken.
const CATCH_UP_MAX: usize = 10_000;

/// A running agent, as its tasks and its API see it.
pub struct Agent {
    /// What it counts about itself.
    pub telemetry: Arc<Telemetry>,
    /// Where buckets go.
    pub output: Output,
    /// Where datagrams arrive.
    pub listeners: Vec<Listener>,
    /// Since when it runs.
    pub started: Instant,
    source: Source,
    config: watch::Sender<Config>,
    bucket: Mutex<Bucket>,
    stopping: AtomicBool,
}

struct Bucket {
    aggregator: Aggregator,
    settings: Settings,
    /// When it began, in seconds since the epoch.
    start: i64,
    /// Malformed lines since it began.
    malformed: u64,
}

/// How much a flush sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Flushed {
    /// Series.
    pub series: usize,
    /// Events.
    pub events: usize,
    /// Service checks.
    pub checks: usize,
}

/// Why the agent ended, or never began.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// A socket cannot be had.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// Where.
        address: String,
        /// Why.
        error: io::Error,
    },
    /// A socket broke.
    #[error("cannot receive on {address}: {error}")]
    Receive {
        /// Where.
        address: String,
        /// Why.
        error: io::Error,
    },
    /// The API's TLS files cannot be used.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] TlsError),
    /// The receiver's URL cannot be used.
    #[error("forward_url: {0}")]
    Url(#[from] UrlError),
    /// The process cannot be told about signals.
    #[error("cannot handle signals: {0}")]
    Signals(io::Error),
    /// What [`Defect::MalformedIsFatal`] does.
    #[error("malformed line")]
    Malformed,
    /// What [`Defect::BadReloadIsFatal`] does.
    #[error(transparent)]
    Reload(ConfigError),
}

/// Runs the agent until SIGTERM or SIGINT.
///
/// # Errors
///
/// It could not start, or a part of it broke.
pub async fn run(source: Source, config: Config) -> Result<(), AgentError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(AgentError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(AgentError::Signals)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(AgentError::Signals)?;

    log::set_level(config.log_level);
    let (agent, api) = Agent::bind(source, config).await?;
    let agent = Arc::new(agent);
    let mut tasks = JoinSet::new();
    for index in 0..agent.listeners.len() {
        tasks.spawn(Arc::clone(&agent).listen(index));
    }
    tasks.spawn(Arc::clone(&agent).flush_regularly());
    if let Some(forwarder) = agent.output.forwarder() {
        let forwarder = Arc::clone(forwarder);
        tasks.spawn(async move {
            forwarder.run().await;
            Ok(())
        });
    }
    if let Some((listener, tls)) = api {
        let agent = Arc::clone(&agent);
        tasks.spawn(async move {
            match http::serve(listener, tls, move |request| {
                api::handle(Arc::clone(&agent), request)
            })
            .await {}
        });
    }
    log::info!("agent", "ready");

    loop {
        tokio::select! {
            _ = terminate.recv() => if !Defect::SigtermIgnored.is_on() { break },
            _ = interrupt.recv() => break,
            _ = hangup.recv() => agent.reload()?,
            // No task ends by itself while the agent is well.
            Some(Ok(Err(error))) = tasks.join_next() => return Err(error),
        }
    }
    agent.stop().await;
    Ok(())
}

impl Agent {
    async fn bind(
        source: Source,
        config: Config,
    ) -> Result<(Self, Option<(TcpListener, Option<TlsAcceptor>)>), AgentError> {
        let api = match config.api_listen {
            Some(address) => Some((bind_api(address).await?, api_tls(&config)?)),
            None => None,
        };
        let mut listeners = Vec::new();
        if let Some(address) = config.dogstatsd_udp {
            let bound = Listener::bind_udp(address).await;
            listeners.extend(unless_taken(bound, address)?);
        }
        if let Some(path) = &config.dogstatsd_unix {
            listeners.extend(unless_taken(Listener::bind_unix(path), path.display())?);
        }
        for listener in &listeners {
            log::info!("dogstatsd", "listening on {}", listener.address());
        }
        let telemetry = Arc::new(Telemetry::default());
        let settings = bucket_settings(&config);
        let agent = Self {
            output: Output::new(&config, Arc::clone(&telemetry))?,
            telemetry,
            listeners,
            started: Instant::now(),
            source,
            bucket: Mutex::new(Bucket {
                aggregator: Aggregator::default(),
                start: bucket_start(settings.interval),
                settings,
                malformed: 0,
            }),
            config: watch::Sender::new(config),
            stopping: AtomicBool::new(false),
        };
        Ok((agent, api))
    }

    async fn listen(self: Arc<Self>, index: usize) -> Result<(), AgentError> {
        let listener = &self.listeners[index];
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            let length = listener
                .receive(&mut buffer)
                .await
                .map_err(|error| AgentError::Receive {
                    address: listener.address().to_owned(),
                    error,
                })?;
            self.take_packet(listener.kind(), &buffer[..length])?;
        }
    }

    /// Puts every line of a packet into the bucket.
    fn take_packet(&self, kind: ListenerKind, packet: &[u8]) -> Result<(), AgentError> {
        self.telemetry.packets(kind).increment();
        let ignored = match kind {
            ListenerKind::Udp => Defect::UdpIgnored,
            ListenerKind::Unix => Defect::UnixIgnored,
        };
        let mut bucket = self.bucket();
        let lines = packet
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty() && !ignored.is_on());
        let lines_max = if Defect::FirstLineOnly.is_on() {
            1
        } else {
            usize::MAX
        };
        for line in lines.take(lines_max) {
            let text = String::from_utf8_lossy(line);
            match dogstatsd::parse(line) {
                Ok(message) => {
                    log::debug!("dogstatsd", "{text}");
                    let Bucket {
                        aggregator, settings, ..
                    } = &mut *bucket;
                    match aggregator.add(message, settings, epoch().as_secs().cast_signed()) {
                        Added::Kept => self.telemetry.messages.increment(),
                        Added::Dropped => self.telemetry.bucket_dropped.increment(),
                    }
                }
                Err(_) if Defect::MalformedIsFatal.is_on() => return Err(AgentError::Malformed),
                Err(error) => {
                    if !Defect::MalformedNotCounted.is_on() {
                        self.telemetry.malformed.increment();
                    }
                    bucket.malformed += 1;
                    // One warning a bucket: a broken client must not fill the disk.
                    let level = if bucket.malformed == 1 {
                        log::Level::Warn
                    } else {
                        log::Level::Debug
                    };
                    log::line(
                        level,
                        "dogstatsd",
                        format_args!("malformed line `{}`: {error}", text.escape_debug()),
                    );
                }
            }
        }
        Ok(())
    }

    async fn flush_regularly(self: Arc<Self>) -> Result<(), AgentError> {
        let mut config = self.config.subscribe();
        loop {
            let interval = config.borrow_and_update().flush_interval;
            let by_clock = !interval.is_zero() && !Defect::FlushIntervalIgnored.is_on();
            tokio::select! {
                () = tokio::time::sleep(until_next_multiple(interval)), if by_clock => {
                    self.flush();
                }
                // A new interval counts from now.
                _ = config.changed() => {}
            }
        }
    }

    /// Closes the bucket and hands it to the output. Datagrams that the kernel has already are in it.
    pub fn flush(&self) -> Flushed {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        for listener in &self.listeners {
            for _ in 0..CATCH_UP_MAX {
                let Some(length) = listener.receive_now(&mut buffer) else {
                    break;
                };
                // Its only error is a defect's, which the listening task raises as well.
                let _ = self.take_packet(listener.kind(), &buffer[..length]);
            }
        }
        let mut bucket = self.bucket();
        let Bucket {
            aggregator,
            settings,
            start,
            malformed,
        } = &mut *bucket;
        let batch = aggregator.flush(settings, *start);
        *start = bucket_start(settings.interval);
        *malformed = 0;
        drop(bucket);

        self.telemetry.flushes.increment();
        let flushed = Flushed {
            series: batch.series.len(),
            events: batch.events.len(),
            checks: batch.checks.len(),
        };
        if !batch.is_empty() {
            let Flushed {
                series,
                events,
                checks,
            } = flushed;
            log::debug!(
                "agent",
                "flushed {series} series, {events} events, {checks} checks"
            );
            self.output.push(batch);
        }
        flushed
    }

    /// The configuration in force.
    pub fn config(&self) -> Config {
        self.config.borrow().clone()
    }

    /// Puts a configuration in force, as far as it can change while the agent runs.
    pub fn set_config(&self, config: Config) {
        log::set_level(config.log_level);
        self.bucket().settings = bucket_settings(&config);
        self.config.send_replace(config);
    }

    /// Where the configuration comes from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    fn reload(&self) -> Result<(), AgentError> {
        if Defect::ReloadIgnored.is_on() {
            return Ok(());
        }
        match self.source.load() {
            Ok(new) => {
                let (config, ignored) = self.config().with_live_keys_of(&new);
                if !ignored.is_empty() {
                    log::warning!("config", "only a restart changes {}", ignored.join(", "));
                }
                self.set_config(config);
                self.telemetry.reloads.increment();
                log::info!("config", "reloaded");
            }
            Err(error) if Defect::BadReloadIsFatal.is_on() => return Err(AgentError::Reload(error)),
            Err(error) => {
                self.telemetry.reloads_refused.increment();
                log::error!("config", "not reloaded, the old one stays: {error}");
            }
        }
        Ok(())
    }

    /// Whether the agent takes data and will go on to.
    pub fn is_ready(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed) && !Defect::NeverReady.is_on()
    }

    async fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        log::info!("agent", "stopping");
        if !Defect::SigtermNoFlush.is_on() {
            self.flush();
        }
        if let Some(forwarder) = self.output.forwarder() {
            forwarder.hurry();
        }
        let patience = self.config.borrow().shutdown_timeout;
        match self.output.drain(patience).await {
            Drained::Fully => log::info!("agent", "stopped"),
            Drained::Partly => log::error!("agent", "stopped with payloads that could not be delivered"),
        }
    }

    /// The first `max` contexts of the open bucket, and how many there are.
    pub fn contexts(&self, max: usize) -> (Vec<Context>, usize) {
        let bucket = self.bucket();
        let contexts = bucket.aggregator.contexts();
        let count = contexts.len();
        (contexts.take(max).cloned().collect(), count)
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn bind_api(address: SocketAddr) -> Result<TcpListener, AgentError> {
    let bind_error = |error| AgentError::Bind {
        address: address.to_string(),
        error,
    };
    let listener = TcpListener::bind(address).await.map_err(bind_error)?;
    log::info!(
        "api",
        "listening on {}",
        listener.local_addr().map_err(bind_error)?
    );
    Ok(listener)
}

fn api_tls(config: &Config) -> Result<Option<TlsAcceptor>, TlsError> {
    let (Some(certificate), Some(key)) = (&config.api_certificate, &config.api_key_file) else {
        return Ok(None);
    };
    if Defect::TlsOff.is_on() {
        return Ok(None);
    }
    let client_ca: Option<&PathBuf> = config.api_client_ca.as_ref();
    let tls = http::server_config(certificate, key, client_ca.map(PathBuf::as_path))?;
    Ok(Some(TlsAcceptor::from(tls)))
}

/// The listener, or why not.
fn unless_taken(
    bound: io::Result<Listener>,
    address: impl std::fmt::Display,
) -> Result<Option<Listener>, AgentError> {
    match bound {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && Defect::AddressInUseIgnored.is_on() => {
            Ok(None)
        }
        Err(error) => Err(AgentError::Bind {
            address: address.to_string(),
            error,
        }),
    }
}

fn bucket_settings(config: &Config) -> Settings {
    Settings {
        tags: config.tags.clone(),
        host: config.host(),
        histogram_aggregates: config.histogram_aggregates.clone(),
        contexts_max: config.contexts_max,
        interval: config.flush_interval,
    }
}

/// Time since the epoch. A clock that stands before it counts as the epoch.
fn epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// When the bucket that is open now began, in seconds: buckets begin at multiples of their length, so
/// that those of many agents are the same.
fn bucket_start(interval: Duration) -> i64 {
    let passed = since_last_multiple(interval);
    (epoch() - passed).as_secs().cast_signed()
}

fn until_next_multiple(interval: Duration) -> Duration {
    interval - since_last_multiple(interval)
}

fn since_last_multiple(interval: Duration) -> Duration {
    let nanos = epoch()
        .as_nanos()
        .checked_rem(interval.as_nanos())
        .unwrap_or_default();
    Duration::from_nanos(u64::try_from(nanos).unwrap_or_default())
}
