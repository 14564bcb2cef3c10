//! What a proxy does to the traffic, as plain data, and the set of it that is in force.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// One thing that is wrong with the network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Toxic {
    /// Which way it works.
    #[serde(default)]
    pub direction: Direction,
    /// What it does.
    #[serde(flatten)]
    pub kind: ToxicKind,
}

/// Which way a toxic works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// On what the client sends.
    Upstream,
    /// On what the server sends, as toxiproxy has it by default.
    #[default]
    Downstream,
    /// On both.
    Both,
}

/// What a toxic does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToxicKind {
    /// Everything arrives later by `latency`, give or take up to `jitter`. The order of a stream is kept; datagrams may
    /// overtake each other, as they do on a network.
    Latency {
        /// How much later.
        latency: Duration,
        /// By how much that varies, evenly.
        #[serde(default)]
        jitter: Duration,
    },
    /// No more than this gets through.
    Bandwidth {
        /// In bytes a second; at least one.
        bytes_per_second: u64,
    },
    /// The end of a stream arrives later.
    SlowClose {
        /// How much later.
        delay: Duration,
    },
    /// Nothing gets through, and the connection is closed after a while.
    Timeout {
        /// Until it is closed; `None` is a black hole: never.
        #[serde(default)]
        after: Option<Duration>,
    },
    /// The connection is reset, as by a process that died.
    ResetPeer {
        /// How long after it was opened, or after the toxic was added to an open one.
        #[serde(default)]
        after: Duration,
    },
    /// The connection is closed after so many bytes.
    LimitData {
        /// How many still arrive.
        bytes: u64,
    },
    /// The server is gone without a word: its connection is closed, the client's stays open, and what the client sends is
    /// swallowed.
    HalfOpen,
    /// Nobody listens: new connections are refused and open ones reset.
    Down,
}

/// The toxics in force, by name. Clones share them, and so do all connections that are open.
#[derive(Clone, Debug)]
pub struct Toxics {
    sender: Arc<watch::Sender<BTreeMap<String, Toxic>>>,
}

impl Default for Toxics {
    fn default() -> Self {
        Self {
            sender: Arc::new(watch::Sender::new(BTreeMap::new())),
        }
    }
}

impl Toxics {
    /// Adds a toxic, or puts it in the place of the one of that name.
    pub fn set(&self, name: impl Into<String>, toxic: Toxic) {
        self.sender.send_modify(|toxics| {
            toxics.insert(name.into(), toxic);
        });
    }

    /// Takes a toxic away; says whether there was one of that name.
    pub fn remove(&self, name: &str) -> bool {
        let mut found = false;
        self.sender.send_if_modified(|toxics| {
            found = toxics.remove(name).is_some();
            found
        });
        found
    }

    /// Takes all away.
    pub fn clear(&self) {
        self.sender.send_modify(BTreeMap::clear);
    }

    pub(super) fn watch(&self, way: Direction) -> InForce {
        InForce {
            receiver: self.sender.subscribe(),
            way,
        }
    }
}

/// What is in force on traffic one way, now.
#[derive(Clone)]
pub(super) struct InForce {
    receiver: watch::Receiver<BTreeMap<String, Toxic>>,
    way: Direction,
}

impl InForce {
    /// The first toxic for which `pick` has an answer.
    pub(super) fn find<T>(&self, pick: impl Fn(ToxicKind) -> Option<T>) -> Option<T> {
        let applies = |toxic: &&Toxic| {
            toxic.direction == self.way || toxic.direction == Direction::Both || self.way == Direction::Both
        };
        self.receiver
            .borrow()
            .values()
            .filter(applies)
            .find_map(|toxic| pick(toxic.kind))
    }

    /// Completes when something has changed. Never, once the proxy is gone.
    pub(super) async fn changed(&mut self) {
        if self.receiver.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub(super) fn is_down(&self) -> bool {
        self.find(|kind| matches!(kind, ToxicKind::Down).then_some(()))
            .is_some()
    }

    /// Whether nothing gets through.
    pub(super) fn is_blocked(&self) -> bool {
        self.find(|kind| matches!(kind, ToxicKind::Timeout { .. }).then_some(()))
            .is_some()
    }

    /// How long what arrives now is held back.
    pub(super) fn delay(&self) -> Duration {
        self.find(|kind| match kind {
            ToxicKind::Latency { latency, jitter } => Some(with_jitter(latency, jitter)),
            _ => None,
        })
        .unwrap_or_default()
    }

    /// How long so many bytes take on the wire.
    pub(super) fn time_on_wire(&self, bytes: usize) -> Duration {
        self.find(|kind| match kind {
            ToxicKind::Bandwidth { bytes_per_second } => Some(Duration::from_secs_f64(
                bytes as f64 / bytes_per_second.max(1) as f64,
            )),
            _ => None,
        })
        .unwrap_or_default()
    }

    pub(super) fn limit(&self) -> Option<u64> {
        self.find(|kind| match kind {
            ToxicKind::LimitData { bytes } => Some(bytes),
            _ => None,
        })
    }
}

/// Evenly spread around `latency`, never below zero. The standard library's hasher keys are random enough for a jitter.
fn with_jitter(latency: Duration, jitter: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    if jitter.is_zero() {
        return latency;
    }
    let share = RandomState::new().hash_one(0) as f64 / u64::MAX as f64;
    (latency + jitter.mul_f64(2.0 * share)).saturating_sub(jitter)
}
