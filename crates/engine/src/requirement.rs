//! What a test needs of the machine, and whether it is there.
//!
//! A requirement that is not met means *skipped, with the reason and what to do*, unless the run was told to
//! require it: then its tests are *errored*. Each is checked once a run, on a thread of its own, because some
//! checks (a daemon that does not answer) take seconds and other tests must not wait for them.

use serde::{Deserialize, Serialize};

/// Something that a machine has or has not.
pub trait Requirement: Send + Sync {
    /// Its name, as `--require` and case files say it: `docker`, `root`, `nats-server`.
    fn name(&self) -> &str;

    /// Looks whether it is there; on success says what was found (a version, a path). May block.
    ///
    /// # Errors
    /// What is missing and what to do.
    fn check(&self) -> Result<String, Unmet>;
}

/// Why a requirement is not met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmet {
    /// What is missing: "no nats-server on the PATH".
    pub reason: String,
    /// What to do about it: "apt-get install nats-server".
    pub help: Option<String>,
}

impl Unmet {
    /// Missing for this reason.
    pub fn because(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            help: None,
        }
    }

    /// Says what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
