//! How what a journal lists is ended: one [`Reaper`] for each kind of entry.

use serde_json::Value;
use std::{fmt, io, sync::Arc, time::Instant};

/// Knows one kind of journal entry. The data is what the creator wrote, at any time in the life of the thing: it may not
/// exist yet, or no longer, or another one may have its name by now; only what is certainly ours may be touched.
pub trait Reaper: Send + Sync {
    /// The kind of entries it is for.
    fn kind(&self) -> &'static str;

    /// What the entry is, for people: `directory /tmp/…`.
    fn describe(&self, data: &Value) -> String;

    /// Whether there is something to reap.
    fn is_there(&self, data: &Value) -> bool;

    /// Ends it and waits until it is gone. That there is nothing is success.
    ///
    /// # Errors
    ///
    /// When it is still there at the deadline, or cannot be ended.
    fn reap(&self, data: &Value, deadline: Instant) -> Result<(), ReapError>;
}

/// Something could not be reaped.
#[derive(Debug, thiserror::Error)]
pub enum ReapError {
    /// The system refused.
    #[error("{doing}")]
    Io {
        /// What was tried.
        doing: String,
        /// Why it went wrong.
        #[source]
        source: io::Error,
    },
    /// It did not go away in time.
    #[error("see the end of {what} in time")]
    StillThere {
        /// What is left.
        what: String,
    },
    /// The entry is not what its kind should be.
    #[error("understand the journal entry")]
    Data(#[from] serde_json::Error),
}

/// The reapers that are known, in the order in which kinds are reaped: processes before the network namespaces that
/// they hold, and both before the directories that they write to.
#[derive(Clone, Default)]
pub struct Reapers(Vec<Arc<dyn Reaper>>);

impl Reapers {
    /// Knows nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a reaper behind the others.
    #[must_use]
    pub fn with(mut self, reaper: impl Reaper + 'static) -> Self {
        self.0.push(Arc::new(reaper));
        self
    }

    /// In the order of reaping.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &dyn Reaper> {
        self.0.iter().map(|reaper| &**reaper)
    }

    pub(crate) fn knows(&self, kind: &str) -> bool {
        self.iter().any(|reaper| reaper.kind() == kind)
    }
}

impl fmt::Debug for Reapers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(Reaper::kind)).finish()
    }
}
