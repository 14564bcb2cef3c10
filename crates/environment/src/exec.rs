//! Commands run beside a part, in its environment: same variables, working directory, namespaces.

use crate::part::ExitStatus;
use std::{ffi::OsString, io, time::Duration};

/// What is kept of each output stream, unless [`ExecSpec::output_bytes_max`] says otherwise.
pub const OUTPUT_BYTES_MAX: usize = 1 << 20;

/// A command to run in a part's environment.
#[derive(Debug, Clone)]
pub struct ExecSpec {
    /// Program and arguments; the program is looked up as for a part.
    pub command: Vec<OsString>,
    /// Variables on top of the part's.
    pub env: Vec<(String, OsString)>,
    /// What it reads on its standard input; otherwise nothing.
    pub stdin: Option<Vec<u8>>,
    /// After this the command and all that it started is killed.
    pub timeout: Duration,
    /// How much of each stream is kept; the rest is read and dropped.
    pub output_bytes_max: usize,
}

impl ExecSpec {
    /// A command with a deadline.
    #[must_use]
    pub fn new(command: impl IntoIterator<Item = impl Into<OsString>>, timeout: Duration) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            stdin: None,
            timeout,
            output_bytes_max: OUTPUT_BYTES_MAX,
        }
    }
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// How it ended.
    pub status: ExitStatus,
    /// The first bytes of its standard output.
    pub stdout: Vec<u8>,
    /// The first bytes of its standard error.
    pub stderr: Vec<u8>,
    /// More was written than was kept.
    pub truncated: bool,
}

/// A command could not be run to its end.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// There is no program in the command.
    #[error("run a command without words")]
    Empty,
    /// No such program.
    #[error("find the program `{program}`")]
    ProgramNotFound {
        /// As it was asked for.
        program: String,
    },
    /// The program is there and could not be executed.
    #[error("execute `{program}`")]
    NotExecutable {
        /// Its path.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It was still running at its deadline, and was killed with all that it had started.
    #[error("finish `{command}` within {timeout:?}")]
    TimedOut {
        /// The command line.
        command: String,
        /// Its deadline.
        timeout: Duration,
        /// What it had written by then.
        stdout: Vec<u8>,
        /// What it had written by then.
        stderr: Vec<u8>,
    },
    /// The part is gone, so there is nothing to run it in.
    #[error("run a command in `{part}`, which is gone")]
    PartGone {
        /// The part's name.
        part: String,
    },
    /// seatrial could not hold the command.
    #[error("run a command in a part")]
    Io(#[from] io::Error),
}
