//! Plain log lines on stderr: `LEVEL area: message`.
//!
//! stdout is for data. Lines carry no time: whoever collects them (journald, a container runtime,
//! seatrial) stamps them on arrival. The level is one atomic, so that a reload can change it while
//! other tasks log.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU8, Ordering};

use serde::{Deserialize, Serialize};

use crate::defect::Defect;

static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);

/// How important a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something was lost or could not be done.
    Error,
    /// Something is not as it should be, and the agent goes on.
    Warn,
    /// What an operator wants to know.
    Info,
    /// What a developer wants to know.
    Debug,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
        })
    }
}

/// From now on, lines less important than `level` are not written.
pub fn set_level(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Writes one line. `area` is the part of the agent that speaks.
pub fn line(level: Level, area: &str, message: fmt::Arguments<'_>) {
    if level as u8 > LEVEL.load(Ordering::Relaxed)
        || (level == Level::Debug && Defect::LogLevelIgnored.is_on())
    {
        return;
    }
    // A log that cannot be written has nowhere to complain.
    let _ = writeln!(io::stderr().lock(), "{level:<5} {area}: {message}");
}

macro_rules! error { ($area:literal, $($message:tt)+) => {
    $crate::log::line($crate::log::Level::Error, $area, format_args!($($message)+))
} }
macro_rules! warning { ($area:literal, $($message:tt)+) => {
    $crate::log::line($crate::log::Level::Warn, $area, format_args!($($message)+))
} }
macro_rules! info { ($area:literal, $($message:tt)+) => {
    $crate::log::line($crate::log::Level::Info, $area, format_args!($($message)+))
} }
macro_rules! debug { ($area:literal, $($message:tt)+) => {
    $crate::log::line($crate::log::Level::Debug, $area, format_args!($($message)+))
} }
pub(crate) use {debug, error, info, warning};
