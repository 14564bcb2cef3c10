//! Signals by name and number, the same for processes and containers.
//!
//! The numbers are those of Linux on x86_64 and aarch64, where they agree.

use std::{fmt, str::FromStr};

/// A signal that can be sent to a part, or that ended one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(i32);

/// In the order of their numbers, from 1.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// The highest real-time signal.
const NUMBER_MAX: i32 = 64;

impl Signal {
    /// Hang-up; by custom: read your configuration again.
    pub const HUP: Self = Self(1);
    /// Interrupt, as Ctrl-C sends it.
    pub const INT: Self = Self(2);
    /// Ends a process at once; cannot be caught.
    pub const KILL: Self = Self(9);
    /// Free for a target's own use.
    pub const USR1: Self = Self(10);
    /// Free for a target's own use.
    pub const USR2: Self = Self(12);
    /// Asks a process to end.
    pub const TERM: Self = Self(15);
    /// Goes on after [`STOP`](Self::STOP).
    pub const CONT: Self = Self(18);
    /// Suspends a process; cannot be caught.
    pub const STOP: Self = Self(19);

    /// A signal by its number, 1 to 64.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        (1..=NUMBER_MAX).contains(&number).then_some(Self(number))
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = usize::try_from(self.0 - 1)
            .ok()
            .and_then(|index| NAMES.get(index));
        match name {
            Some(name) => write!(f, "SIG{name}"),
            None => write!(f, "signal {}", self.0),
        }
    }
}

/// No signal has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown signal `{0}`")]
pub struct UnknownSignal(pub String);

impl FromStr for Signal {
    type Err = UnknownSignal;

    /// Reads `TERM`, `SIGTERM`, `sigterm` or `15`.
    fn from_str(text: &str) -> Result<Self, UnknownSignal> {
        let unknown = || UnknownSignal(text.to_owned());
        if let Ok(number) = text.parse() {
            return Self::from_number(number).ok_or_else(unknown);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        (1..)
            .zip(NAMES)
            .find(|(_, known)| *known == name)
            .map(|(number, _)| Self(number))
            .ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for number in 1..=31 {
            let signal = Signal::from_number(number).unwrap();
            assert_eq!(signal.to_string().parse(), Ok(signal));
        }
        assert_eq!("term".parse(), Ok(Signal::TERM));
        assert_eq!("10".parse(), Ok(Signal::USR1));
        assert_eq!("SIGSYS".parse(), Ok(Signal(31)));
    }

    #[test]
    fn refuses_what_is_no_signal() {
        for text in ["", "SIG", "SIGFOO", "0", "65", "-1"] {
            assert_eq!(text.parse::<Signal>(), Err(UnknownSignal(text.to_owned())));
        }
    }
}
